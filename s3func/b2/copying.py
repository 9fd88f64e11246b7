"""copy_object: inside the store, in one call up to 5 GB, in parts beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.b2 import operations
from s3func.b2.config import SMALL_FILE_MAX, check_bucket, check_key, check_version_id
from s3func.b2.headers import (
    LARGE_FILE_SHA1,
    CustomerKey,
    Stored,
    check_encryption,
    encryption_document,
    refuse,
    stored,
)
from s3func.b2.large import LargeUploads, part_size
from s3func.b2.results import copy_result, plain_sha1
from s3func.errors import InvalidRequest, NoSuchKey, NoSuchVersion, NotFound, ProtocolError
from s3func.retention import Retention
from s3func.transport.parallel import Crew
from s3func.transport.transfer import ProgressCount, TransferConfig, checked_transfer
from s3func.wire.b2json import parse_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.b2.results import FileCopied, FileHead
    from s3func.results import HeadResult
    from s3func.transport.transfer import Progress
    from s3func.wire.b2json import StoredFile


class _Target(NamedTuple):
    """What a copy shall be: where, with what, whether in place of what the source has, and how it goes there."""

    bucket: str
    key: str
    described: Stored
    replaces: bool
    source_customer_key: CustomerKey | None
    config: TransferConfig
    progress: ProgressCount

    def encryptions(self) -> dict[str, Any]:
        """The fields of every call about the copy."""
        return {
            "destinationServerSideEncryption": encryption_document(self.described.encryption),
            "sourceServerSideEncryption": encryption_document(self.source_customer_key),
        }


class CopyVerbs(LargeUploads):
    """Copies inside an account."""

    def copy_object(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        dest_bucket: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        *,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Any = None,
        last_modified: Any = None,
        encryption: str | CustomerKey | None = None,
        source_customer_key: CustomerKey | None = None,
        retention: Retention | None = None,
        legal_hold: bool | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tagging: Mapping[str, str] | str | None = None,
        source_if_match: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        checksum: str | None = None,
        headers: Mapping[str, str] | None = None,
        transfer: TransferConfig | None = None,
        progress: Progress | None = None,
    ) -> FileCopied:
        """Copy an object of any size inside the account; what is copied is the version that there was at the beginning.

        Without metadata and content headers the copy has those of the source; with any of them it has exactly what is
        given, an empty mapping included. source_if_match is the ETag of that version. Up to 5 GB in one call, in parts
        beyond. https://www.backblaze.com/apidocs/b2-copy-file
        """
        refuse(if_match=if_match, if_none_match=if_none_match, headers=headers or None)
        self._check_copy(source_key, dest_key, source_version_id, source_bucket, dest_bucket)
        check_encryption(source_customer_key, "source_customer_key")
        described = stored(
            dest_key,
            metadata=metadata,
            content_type=content_type,
            cache_control=cache_control,
            content_disposition=content_disposition,
            content_encoding=content_encoding,
            content_language=content_language,
            expires=expires,
            last_modified=last_modified,
            encryption=encryption,
            retention=retention,
            legal_hold=legal_hold,
            storage_class=storage_class,
            acl=acl,
            tagging=tagging,
            checksum=checksum,
        )
        given = (metadata, content_type, cache_control, content_disposition, content_encoding, content_language)
        target = _Target(
            self._name(dest_bucket, "dest_bucket"),
            dest_key,
            described,
            any(value is not None for value in (*given, expires, last_modified)),
            source_customer_key,
            self._transfer if transfer is None else checked_transfer(transfer),
            ProgressCount(progress, None),
        )
        source = (self._name(source_bucket, "source_bucket"), source_key, source_version_id)
        return self._copy(*self._found(*source, source_if_match, source_customer_key), target)

    def _copy(self, file_id: str, size: int | None, target: _Target) -> FileCopied:
        if size is None or size <= SMALL_FILE_MAX:
            try:
                return self._copy_file(file_id, target)
            except InvalidRequest as error:
                if error.code != "source_too_large":
                    raise
        return self._copy_large(file_id, target)

    def _check_copy(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None,
        source_bucket: str | None,
        dest_bucket: str | None,
    ) -> None:
        """What move() has to be sure of before it sends anything."""
        check_key(source_key, "source_key")
        check_key(dest_key, "dest_key")
        if source_version_id is not None:
            check_version_id(source_version_id, "source_version_id")
        for name, bucket in (("source_bucket", source_bucket), ("dest_bucket", dest_bucket)):
            if bucket is not None:
                check_bucket(bucket, name)

    def _head_source(
        self, source_key: str, source_version_id: str | None, source_bucket: str | None, options: Mapping[str, Any]
    ) -> HeadResult:
        """What is to be copied, also where it is encrypted with a key of the caller's own."""
        customer_key = options.get("source_customer_key")
        # This class has the copies, and another one of the same session the heads.
        head: Any = self.head_object
        result: HeadResult = head(source_key, source_version_id, customer_key=customer_key, bucket=source_bucket)
        return result

    def _found(
        self, bucket: str, key: str, version_id: str | None, if_match: str | None, customer_key: CustomerKey | None
    ) -> tuple[str, int | None]:
        """Id and size of what is to be copied; an id that was given is looked at only where its ETag matters."""
        if version_id is not None:
            check_version_id(version_id, "source_version_id")
            if if_match is None:
                return version_id, None
        reading = operations.Reading(bucket, key, version_id, if_match=if_match)
        request = reading.request("HEAD", {} if customer_key is None else customer_key.headers())
        missing = NoSuchKey if version_id is None else NoSuchVersion
        try:
            head: FileHead = self._client.send(request, self._reader(bucket, key, missing), reading.parse_head)
        except NotFound as error:
            # A HEAD has no body to say so.
            raise missing(
                "there is nothing to copy", code=error.code, status=error.status, bucket=bucket, key=key
            ) from error
        if head.version_id is None:
            raise ProtocolError("B2 does not say which version it has")
        return head.version_id, head.size

    def _copy_file(self, file_id: str, target: _Target) -> FileCopied:
        described = target.described
        replaced = {"contentType": described.content_type, "fileInfo": described.info} if target.replaces else {}
        fields = {
            "sourceFileId": file_id,
            "destinationBucketId": self._bucket_id(target.bucket),
            "fileName": target.key,
            "metadataDirective": "REPLACE" if target.replaces else "COPY",
            **replaced,
            **described.protection(),
            **target.encryptions(),
        }
        # Once: to copy again what may have been copied already would leave two versions, and be paid for twice.
        file = self._call(
            "b2_copy_file",
            fields,
            parse_file,
            bucket=target.bucket,
            key=target.key,
            missing=NoSuchVersion,
            once=True,
        )
        target.progress.finish(file.size)
        return copy_result(file, file_id)

    def _copy_large(self, file_id: str, target: _Target) -> FileCopied:
        bucket, key = target.bucket, target.key
        source = self.file_info(file_id, bucket, key)
        large_id = self.start_large_file(bucket, key, _of_large(target.described, source, replaces=target.replaces))
        target.progress.restart(source.size)
        try:
            sha1s = self._copy_parts(file_id, source.size, large_id, target)
            file = self.finish_large_file(large_id, sha1s, bucket, key)
        except BaseException as error:
            self.abandon(large_id, bucket, key, error)
            raise
        target.progress.finish(source.size)
        return copy_result(file, file_id)

    def _copy_parts(self, file_id: str, size: int, large_id: str, target: _Target) -> list[str]:
        authorization = self._grant().authorization
        config = target.config
        if config.part_size is None:
            # Nothing travels through here, so the parts may be as large as B2 likes them.
            config = config._replace(part_size=authorization.recommended_part_size)
        each = part_size(size, config, authorization.minimum_part_size)
        fields = target.encryptions()
        sha1s: dict[int, str] = {}

        def copying(number: int, start: int) -> Callable[[], None]:
            last = min(start + each, size) - 1

            def copy() -> None:
                wanted = f"bytes={start}-{last}"
                part = self.copy_part(large_id, number, file_id, wanted, bucket=target.bucket, key=target.key, **fields)
                sha1s[number] = plain_sha1(part.content_sha1)
                target.progress.add(last + 1 - start)

            return copy

        with Crew(config.concurrency, name="s3func-copy") as crew:
            for number, start in enumerate(range(0, size, each), 1):
                crew.submit(copying(number, start))
        return [sha1s[number] for number in sorted(sha1s)]


def _of_large(described: Stored, source: StoredFile, *, replaces: bool) -> Stored:
    """What is stored with a copy in parts, which B2 does not take over from the source by itself."""
    if not replaces:
        described = described._replace(
            content_type=source.content_type or described.content_type, info=dict(source.info)
        )
    digest = plain_sha1(source.content_sha1) or source.info.get(LARGE_FILE_SHA1)
    if digest and LARGE_FILE_SHA1 not in described.info:
        described = described._replace(info={**described.info, LARGE_FILE_SHA1: digest})
    return described
