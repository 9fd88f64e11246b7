"""The verbs about objects: put, get, head, copy, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.errors import DeleteFailed, NotImplementedByStore
from s3func.s3 import operations
from s3func.s3.copy_verbs import CopyVerbs
from s3func.s3.headers import check_key
from s3func.s3.payload import describe
from s3func.s3.upload_verbs import UploadVerbs
from s3func.transport.body import BodySource
from s3func.wire.ranges import byte_range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s3func.models import ObjectEntry
    from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
    from s3func.transport.transfer import Progress, TransferConfig
    from s3func.wire.s3xml import DeletedObject


class ObjectVerbs(UploadVerbs, CopyVerbs):
    """Objects of a bucket, one by one and many at once."""

    def put_object(
        self,
        key: str,
        body: BodySource,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        *,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Any = None,
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
    ) -> PutResult:
        """Store an object of any size, whole or not at all.

        body: bytes, bytearray, memoryview, str (as UTF-8), a path (os.PathLike), a binary file (from its current
        offset; it is not closed) or an iterable of bytes. Up to 16 MiB go in one request, more in parts, ten at a time.
        metadata: str to str, at most 2 KB; names become lower case, values may be any text. expires: a datetime, an
        epoch or the header's text. if_none_match="*": only if there is no such object. if_match: only if the object has
        this ETag. headers: any further header. multipart: True for parts in any case, False for one request (a body
        without a size is spooled to a temporary file then). transfer: threshold, size of parts, concurrency, bandwidth.
        progress: called with the bytes sent and the bytes in all. PreconditionFailed, NoSuchBucket, AccessDenied …;
        SourceChanged when a file is being written to. A failed upload leaves no parts behind.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
        authorizer = self._at(bucket)
        fields = operations.object_headers(
            metadata=metadata,
            content_type=content_type,
            cache_control=cache_control,
            content_disposition=content_disposition,
            content_encoding=content_encoding,
            content_language=content_language,
            expires=expires,
            storage_class=storage_class,
            acl=acl,
            tagging=tagging,
            headers=headers,
        )
        if (
            type(body) is not bytes
            or len(body) >= self._direct_below
            or multipart is not None
            or transfer is not None
            or progress is not None
        ):
            conditions = (if_match, if_none_match)
            return self._store(key, body, fields, checksum, conditions, multipart, transfer, progress, bucket)
        # The way of most objects: nothing to open, nothing to decide.
        place = authorizer.place
        path = place.prefix + check_key(key)
        payload_hash = describe(body, fields, self._checksum if checksum is None else checksum, place.origin)
        request = operations.put_object(
            place, path, body, payload_hash, fields, if_match=if_match, if_none_match=if_none_match
        )
        return self._client.send(request, authorizer, operations.parse_put_object)

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
        stream: bool | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> GetResult:
        """Read an object: `.data` for all of it, or the result as a binary file: read, readline, seek, iter_chunks …

        A body that breaks is asked for again from where it broke, under the session's retry policy (attempts in a row
        that bring no byte; with retries=1 never), where the store has said which object it is; see GetResult.

        range_start, range_end: first and last byte, both included; range_end alone means the last range_end bytes.
        if_*: ETags, and aware datetimes or epochs. stream: False reads the body before returning. A body that was not
        read to its end should be closed, or the result used in a `with` block. NoSuchKey, NotModified,
        PreconditionFailed, InvalidRange; while reading TruncatedBody, TimedOut, ObjectChanged, ChecksumMismatch.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        authorizer = self._at(bucket)
        wanted = None
        if range_start is not None or range_end is not None:
            wanted = byte_range(range_start, range_end)
        request = operations.read_object(
            "GET",
            authorizer.place,
            key,
            version_id=version_id,
            byte_range=wanted,
            if_match=if_match,
            if_none_match=if_none_match,
            if_modified_since=if_modified_since,
            if_unmodified_since=if_unmodified_since,
            # A part of an object has no checksum of its own to compare with.
            verify=self._verify and self._checksum_choice.asks and wanted is None,
            headers=headers,
        )
        keep_stream = self._stream if stream is None else stream
        parse = operations.parse_get_object if keep_stream else operations.parse_get_whole_object
        result = self._client.send(request, authorizer, parse)
        # Errors that come up while the body is read say what it was.
        result.bucket, result.key = authorizer.bucket, key
        if result.raw is not None:
            from s3func.s3.reopening import ObjectReopener

            result.raw.reopener = ObjectReopener(self._client, authorizer, request, result.headers, key)
            if not keep_stream:
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
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> HeadResult:
        """What get_object would answer, without the body. NotFound when there is no such object (or bucket).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        authorizer = self._at(bucket)
        request = operations.read_object(
            "HEAD",
            authorizer.place,
            key,
            version_id=version_id,
            byte_range=None,
            if_match=if_match,
            if_none_match=if_none_match,
            if_modified_since=if_modified_since,
            if_unmodified_since=if_unmodified_since,
            verify=self._verify and self._checksum_choice.asks,
            headers=headers,
        )
        return self._client.send(request, authorizer, operations.parse_head_object)

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
    ) -> CopyResult:
        """Copy an object of any size inside the store: above 5 GiB in parts, in parallel, with the same result.

        Without metadata and content headers the copy has those of the source; with any of them it has exactly what is
        given (S3's REPLACE). Tags likewise; in parts, those of the source are read by GetObjectTagging, which has to be
        allowed as CopyObject wants it. storage_class and acl are the copy's own in both cases. source_if_match:
        only that state of the source. if_match, if_none_match: as in put_object, of what the copy would replace.
        checksum: which one the store is to keep. transfer: from its threshold on in parts as well. progress: called
        with the bytes copied and the bytes in all. ObjectChanged when the source is replaced meanwhile.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        fields = operations.object_headers(
            metadata=metadata,
            content_type=content_type,
            cache_control=cache_control,
            content_disposition=content_disposition,
            content_encoding=content_encoding,
            content_language=content_language,
            expires=expires,
            storage_class=storage_class,
            acl=acl,
            tagging=tagging,
            headers=headers,
        )
        described = (content_type, cache_control, content_disposition, content_encoding, content_language, expires)
        return self._copy(
            (source_bucket, source_key, source_version_id, source_if_match),
            (dest_bucket, dest_key, if_match, if_none_match),
            fields,
            # An empty mapping counts as given: it asks for a copy without metadata.
            replace_metadata=metadata is not None or any(value is not None for value in described),
            replace_tagging=tagging is not None,
            checksum=checksum,
            transfer=transfer,
            progress=progress,
        )

    def delete_object(
        self, key: str, version_id: str | None = None, *, if_match: str | None = None, bucket: str | None = None
    ) -> DeleteResult:
        """Delete an object, or one version of it for good; deleting what is not there succeeds.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """
        authorizer = self._at(bucket)
        request = operations.delete_object(authorizer.place, key, version_id=version_id, if_match=if_match)
        return self._client.send(request, authorizer, operations.parse_delete_object)

    def delete_objects(
        self,
        keys: Iterable[str | Mapping[str, str | None] | ObjectEntry] | None = None,
        prefix: str | None = None,
        purge: bool = False,
        *,
        bucket: str | None = None,
    ) -> list[DeletedObject]:
        """Delete many objects, 1,000 per request; returns what was deleted.

        keys: keys, mappings with "key" and optionally "version_id", or rows of a listing. prefix: everything under it
        instead; an empty prefix is refused, because it would empty the bucket. purge: every version and delete marker
        of those keys, for good. From 3,000 keys on several requests are under way at a time. DeleteFailed when the
        store did not delete some of them: its `.failures` says which, and why.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        from s3func.s3 import deletion
        from s3func.transport.parallel import Crew, PacedAuthorizer

        if (keys is None) == (prefix is None):
            raise ValueError("give either keys or prefix")
        if prefix is not None and not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
        if prefix == "":
            raise ValueError("prefix is empty: that would delete the whole bucket; list the keys and pass them")
        authorizer = self._at(bucket)
        rows: Iterator[tuple[str, str | None]]
        if keys is not None:
            rows = iter(deletion.checked_rows(keys))
            if purge:
                rows = deletion.all_versions(rows, lambda key: self.list_object_versions(key, bucket=bucket))
        elif purge:
            rows = ((entry.key, entry.version_id) for entry in self._versions_or_objects(prefix, bucket))
        else:
            rows = ((entry.key, None) for entry in self.list_objects(prefix, bucket=bucket))

        crew = Crew(deletion.CONCURRENCY, name="s3func-delete")

        def delete_one(key: str, version_id: str | None) -> DeleteResult:
            return self.delete_object(key, version_id, bucket=bucket)

        def delete_batch(body: bytes) -> Any:
            request = operations.delete_objects(authorizer.place, body)
            return self._client.send(request, PacedAuthorizer(authorizer, crew), operations.parse_delete_objects)

        outcome = deletion.delete_all(rows, delete_batch, delete_one, crew, is_known=keys is not None and not purge)
        if outcome.failures:
            first = outcome.failures[0]
            total = len(outcome.failures) + len(outcome.deleted)
            error = DeleteFailed(
                f"{len(outcome.failures)} of {total} objects were not deleted; "
                f"the first is {first.key!r}: {first.code} {first.message}"
                + ("" if outcome.is_whole else "; what else would have been listed was not tried"),
                outcome.failures,
            )
            error.bucket = authorizer.bucket
            raise error
        return outcome.deleted

    def _versions_or_objects(self, prefix: str | None, bucket: str | None) -> Iterator[Any]:
        """All versions; all objects where the store has no versions."""
        versions = iter(self.list_object_versions(prefix, bucket=bucket))
        try:
            first = next(versions, None)
        except NotImplementedByStore:
            yield from self.list_objects(prefix, bucket=bucket)
            return
        if first is not None:
            yield first
            yield from versions
