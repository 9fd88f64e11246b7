"""The verbs about objects: put, get, head, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.b2 import operations
from s3func.b2.config import check_key, check_version_id
from s3func.b2.headers import CustomerKey, customer_headers, refuse
from s3func.b2.putting import PutEngine
from s3func.b2.results import gone, hidden
from s3func.errors import InvalidRequest, NoSuchKey, NoSuchVersion, NotFound, NotSupported, ServiceError
from s3func.retention import Retention
from s3func.transport.sources import source_of
from s3func.wire.b2json import parse_file, parse_object
from s3func.wire.ranges import byte_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.b2.results import FileDeleted, FileGot, FileHead, FilePut
    from s3func.transport.body import BodySource
    from s3func.transport.transfer import Progress, TransferConfig


class ObjectVerbs(PutEngine):
    """Objects of a bucket, one by one."""

    def put_object(
        self,
        key: str,
        body: BodySource,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        last_modified: Any = None,
        *,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Any = None,
        encryption: str | CustomerKey | None = None,
        retention: Retention | None = None,
        legal_hold: bool | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tagging: Mapping[str, str] | str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        checksum: str | None = None,
        headers: Mapping[str, str] | None = None,
        multipart: bool | None = None,
        transfer: TransferConfig | None = None,
        progress: Progress | None = None,
        bucket: str | None = None,
    ) -> FilePut:
        """Store an object, whole or not at all. What was there before stays as an older version.

        body, metadata, content headers, transfer, progress, multipart: as for S3Session; metadata may be any text, at
        most 7,000 bytes together with the key (2,048 with encryption). content_type: None lets B2 choose by the key's
        extension. last_modified: of the original (a datetime or an epoch), kept as src_last_modified_millis.
        encryption: "AES256", or a CustomerKey. B2 has no conditional writes, classes, ACLs of objects and tags:
        NotSupported, and nothing is sent.
        https://www.backblaze.com/apidocs/b2-upload-file
        """
        put = self._put_of(
            key,
            {
                "metadata": metadata,
                "content_type": content_type,
                "last_modified": last_modified,
                "cache_control": cache_control,
                "content_disposition": content_disposition,
                "content_encoding": content_encoding,
                "content_language": content_language,
                "expires": expires,
                "encryption": encryption,
                "retention": retention,
                "legal_hold": legal_hold,
                "storage_class": storage_class,
                "acl": acl,
                "tagging": tagging,
                "if_match": if_match,
                "if_none_match": if_none_match,
                "checksum": checksum,
                "headers": headers,
                "multipart": multipart,
                "transfer": transfer,
                "progress": progress,
                "bucket": bucket,
            },
        )
        source = source_of(body)
        try:
            return self._put(put, source)
        finally:
            source.close()

    def get_object(
        self,
        key: str,
        version_id: str | None = None,
        range_start: int | None = None,
        range_end: int | None = None,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        if_modified_since: Any = None,
        if_unmodified_since: Any = None,
        customer_key: CustomerKey | None = None,
        stream: bool | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> FileGot:
        """Read an object: `.data` for all of it, or the result as a binary file: read, readline, seek, iter_chunks …

        The whole of a file is compared with its SHA-1 at the end, and a body that breaks is asked for again. Ranges and
        conditions as for S3Session; B2 knows no conditions, so they are judged by the head of its answer.
        NoSuchKey, NoSuchVersion, NotModified, PreconditionFailed, InvalidRange; while reading ChecksumMismatch …
        https://www.backblaze.com/apidocs/b2-download-file-by-name
        """
        wanted = None
        if range_start is not None or range_end is not None:
            wanted = byte_range(range_start, range_end)
        fields = customer_headers(customer_key)
        verifies = _asks_to_verify(headers) or self._verify
        reading = operations.Reading(
            self._name(bucket),
            check_key(key),
            None if version_id is None else check_version_id(version_id),
            wanted,
            if_match,
            if_none_match,
            if_modified_since,
            if_unmodified_since,
            verifies,
        )
        about = reading.bucket, key
        missing = NoSuchKey if version_id is None else NoSuchVersion
        request = reading.request("GET", dict(fields))
        result = self._client.send(request, self._reader(*about, missing), reading.parse_get)
        # Errors that come up while the body is read say what it was.
        result.bucket, result.key = about
        if result.raw is not None:
            from s3func.b2.reopening import FileReopener

            result.raw.reopener = FileReopener(
                self._client,
                lambda: self._reader(*about, missing),
                result.headers,
                fields,
                about,
                by_name=reading.request("GET", {}).path if self._account is None else None,
            )
            if not (self._stream if stream is None else stream):
                _ = result.data
        return result

    def head_object(
        self,
        key: str,
        version_id: str | None = None,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        if_modified_since: Any = None,
        if_unmodified_since: Any = None,
        customer_key: CustomerKey | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> FileHead:
        """What get_object would answer, without the body. NotFound when there is no such object (or bucket)."""
        _asks_to_verify(headers)
        reading = operations.Reading(
            self._name(bucket),
            check_key(key),
            None if version_id is None else check_version_id(version_id),
            None,
            if_match,
            if_none_match,
            if_modified_since,
            if_unmodified_since,
        )
        request = reading.request("HEAD", customer_headers(customer_key))
        return self._client.send(request, self._reader(reading.bucket, key, NotFound), reading.parse_head)

    def delete_object(
        self,
        key: str,
        version_id: str | None = None,
        *,
        if_match: str | None = None,
        bypass_governance: bool = False,
        bucket: str | None = None,
    ) -> FileDeleted:
        """Hide an object, or delete one version of it for good; deleting what is not there succeeds.

        Hiding keeps all versions and needs the capability writeFiles; deleting the newest version makes the one before
        it the newest again. bypass_governance: also where a governance retention forbids it.
        https://www.backblaze.com/apidocs/b2-hide-file, https://www.backblaze.com/apidocs/b2-delete-file-version
        """
        refuse(if_match=if_match)
        check_key(key)
        name = self._name(bucket)
        if version_id is None:
            return self._hide(name, key)
        fields = {
            "fileName": key,
            "fileId": check_version_id(version_id),
            "bypassGovernance": bypass_governance or None,
        }
        try:
            self._call("b2_delete_file_version", fields, parse_object, bucket=name, key=key, missing=NoSuchVersion)
        except ServiceError as error:
            if error.code not in {"file_not_present", "not_found"}:
                raise
        return gone(version_id)

    def _hide(self, name: str, key: str) -> FileDeleted:
        fields = {"bucketId": self._bucket_id(name), "fileName": key}
        try:
            return hidden(self._call("b2_hide_file", fields, parse_file, bucket=name, key=key))
        except (NotFound, InvalidRequest) as error:
            if error.code not in {"no_such_file", "already_hidden"}:
                raise
            # There is nothing to see of it, which is what was asked for.
            return gone()


def _asks_to_verify(headers: Mapping[str, str] | None) -> bool:
    """Whether the caller's headers ask for a checksum, which is all that they can ask of B2."""
    names = {name.lower() for name in headers or {}}
    if names - {"x-amz-checksum-mode"}:
        raise NotSupported("B2 takes no further headers: every one that it knows is a keyword")
    return bool(names)
