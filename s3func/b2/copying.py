"""copy_object: inside the store, in one call up to 5 GB, in parts beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.b2 import operations
from s3func.b2.config import SMALL_FILE_MAX, check_bucket, check_key, check_version_id
from s3func.b2.headers import (
    LARGE_FILE_SHA1,
    CustomerKey,
    Retention,
    Stored,
    check_encryption,
    encryption_document,
    refuse,
    stored,
)
from s3func.b2.large import LargeUploads, part_size
from s3func.b2.results import copy_result, plain_sha1
from s3func.errors import InvalidRequest, NoSuchKey, NoSuchVersion, NotFound, ProtocolError
from s3func.transport.parallel import Crew
from s3func.wire.b2json import parse_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.b2.results import FileCopied, FileHead
    from s3func.results import HeadResult
    from s3func.wire.b2json import StoredFile


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
        headers: Mapping[str, str] | None = None,
    ) -> FileCopied:
        """Copy an object of any size inside the account; what is copied is the version that there was at the beginning.

        Without metadata and content headers the copy has those of the source; with any of them it has exactly what is
        given. source_if_match is compared with the ETag of that version. One call of B2's and one to find the version
        up to 5 GB, parts beyond. https://www.backblaze.com/apidocs/b2-copy-file
        """
        refuse(if_match=if_match, if_none_match=if_none_match, headers=headers or None)
        check_key(source_key, "source_key")
        described = stored(
            check_key(dest_key, "dest_key"),
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
        )
        check_encryption(source_customer_key, "source_customer_key")
        given = (content_type, cache_control, content_disposition, content_encoding, content_language, expires)
        # An empty mapping counts as given: it asks for a copy without metadata.
        replaces = metadata is not None or last_modified is not None or any(value is not None for value in given)
        source = self._name(source_bucket, "source_bucket")
        target = self._name(dest_bucket, "dest_bucket")
        file_id, size = self._found(source, source_key, source_version_id, source_if_match, source_customer_key)
        fields = _encryptions(encryption, source_customer_key)
        if size is None or size <= SMALL_FILE_MAX:
            try:
                return self._copy_file(file_id, target, dest_key, described, fields, replaces=replaces)
            except InvalidRequest as error:
                if error.code != "source_too_large":
                    raise
        return self._copy_large(file_id, target, dest_key, described, fields, replaces=replaces)

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

    def _copy_file(
        self, file_id: str, bucket: str, key: str, described: Stored, fields: dict[str, Any], *, replaces: bool
    ) -> FileCopied:
        fields = {
            "sourceFileId": file_id,
            "destinationBucketId": self._bucket_id(bucket),
            "fileName": key,
            "metadataDirective": "REPLACE" if replaces else "COPY",
            **({"contentType": described.content_type, "fileInfo": described.info} if replaces else {}),
            **described.protection(),
            **fields,
        }
        # Once: to copy again what may have been copied already would leave two versions, and be paid for twice.
        file = self._call("b2_copy_file", fields, parse_file, bucket=bucket, key=key, missing=NoSuchVersion, once=True)
        return copy_result(file, file_id)

    def _copy_large(
        self, file_id: str, bucket: str, key: str, described: Stored, fields: dict[str, Any], *, replaces: bool
    ) -> FileCopied:
        source = self.file_info(file_id, bucket, key)
        described = _of_large(described, source, replaces=replaces)
        large_id = self.start_large_file(bucket, key, described)
        try:
            sha1s = self._copy_parts(file_id, source.size, large_id, (bucket, key), fields)
            return copy_result(self.finish_large_file(large_id, sha1s, bucket, key), file_id)
        except BaseException as error:
            self.abandon(large_id, bucket, key, error)
            raise

    def _copy_parts(
        self, file_id: str, size: int, large_id: str, about: tuple[str, str], fields: dict[str, Any]
    ) -> list[str]:
        authorization = self._grant().authorization
        config = self._transfer._replace(part_size=authorization.recommended_part_size)
        each = part_size(size, config, authorization.minimum_part_size)
        sha1s: dict[int, str] = {}

        def copying(number: int, start: int) -> Callable[[], None]:
            last = min(start + each, size) - 1

            def copy() -> None:
                part = self.copy_part(
                    large_id, number, file_id, f"bytes={start}-{last}", bucket=about[0], key=about[1], **fields
                )
                sha1s[number] = plain_sha1(part.content_sha1)

            return copy

        with Crew(config.concurrency) as crew:
            for number, start in enumerate(range(0, size, each), 1):
                crew.submit(copying(number, start))
        return [sha1s[number] for number in sorted(sha1s)]


def _encryptions(encryption: str | CustomerKey | None, source: CustomerKey | None) -> dict[str, Any]:
    return {
        "destinationServerSideEncryption": encryption_document(encryption),
        "sourceServerSideEncryption": encryption_document(source),
    }


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
