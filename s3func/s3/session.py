"""S3Session: the verbs of S3, each one check, build, send, parse.

The path of a call: the arguments become a Request (operations.py), the Client authorizes (auth.py) and sends it
(transport/), the answer becomes a result (operations.py) or a typed error (errors.py).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import DeleteFailed, NotImplementedByStore, ProtocolError
from s3func.listing import ObjectListing
from s3func.s3 import operations
from s3func.s3.auth import SigV4Authorizer, Skew
from s3func.s3.config import check_bucket
from s3func.s3.headers import check_key
from s3func.s3.options import Options, one_secret
from s3func.s3.payload import CHECKSUMS, describe
from s3func.session import Session
from s3func.transport.body import BodySource, body_of
from s3func.transport.client import Client
from s3func.wire.sigv4 import EXPIRES_MAX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from s3func.message import Response, Transport
    from s3func.models import BucketEntry, ListPage, ObjectEntry
    from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
    from s3func.s3.credentials import Credentials
    from s3func.transport.retry import RetryPolicy
    from s3func.transport.timeouts import Timeouts
    from s3func.wire.s3xml import DeletedObject

_PAGE_MAX = 1000


class S3Session(Session):
    """A handle on one S3 store, usually bound to one bucket. Safe for threads and for fork; use one per process.

    Credentials come from the arguments, else from the environment (AWS_ACCESS_KEY_ID …), else from a profile of
    ~/.aws/credentials and ~/.aws/config. Region and endpoint likewise (AWS_REGION, AWS_ENDPOINT_URL_S3 …).
    """

    def __init__(
        self,
        access_key_id: str | None = None,
        access_key: str | None = None,
        bucket: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        *,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        profile: str | None = None,
        credentials: Credentials | Callable[[], Credentials] | None = None,
        anonymous: bool = False,
        addressing_style: str = "auto",
        stream: bool = True,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | int | None = None,
        max_connections: int = 10,
        checksum: str = "auto",
        verify_downloads: bool = True,
        transport: Transport | None = None,
        clock: Clock | None = None,
        max_pool_connections: int | None = None,
        max_attempts: int | None = None,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        retry_mode: str | None = None,
    ) -> None:
        """Check and keep the settings; nothing is sent.

        access_key: the secret (`secret_access_key` is its other name). addressing_style: "auto", "path" or "virtual"
        (a bucket whose name cannot be part of a host name is addressed by path in any case).
        stream: False makes get_object read every body at once. timeouts: seconds, see Timeouts. retries: a RetryPolicy,
        or how many attempts. max_connections: connections kept idle per host; more may be open at a time.
        checksum: sent with every upload: "auto" (CRC32), "crc32", "crc32c", "crc64nvme", "sha1", "sha256" or "off".
        verify_downloads: compare whole objects with the checksum that the store keeps. transport: moves the requests in
        place of the network. The last five are the names of the seed's release; retry_mode has no effect.
        """
        _check_choices(checksum, retry_mode)
        options = Options(
            os.environ,
            access_key_id=access_key_id,
            secret_access_key=one_secret(access_key, secret_access_key),
            session_token=session_token,
            profile=profile,
            credentials=credentials,
            anonymous=anonymous,
            in_process=transport is not None,
        )
        self._credentials = options.credentials_source()
        self._endpoint = options.endpoint(endpoint_url, region, addressing_style)
        limits = options.timeouts(timeouts, connect_timeout, read_timeout)
        policy = options.retry_policy(retries, max_attempts)
        kept = options.count("max_connections", max_connections)
        if max_pool_connections is not None:
            kept = options.count("max_pool_connections", max_pool_connections)
        if transport is None:
            from s3func.transport.pool import Pool

            transport = Pool(limits, max_connections=kept)
        elif not callable(transport):
            raise TypeError(f"transport must be callable, not {type(transport).__name__}")
        self._clock = clock or SYSTEM_CLOCK
        self._client = Client(transport, policy, total_seconds=limits.total, clock=self._clock)
        self._skew = Skew()
        self._authorizers: dict[str | None, SigV4Authorizer] = {}
        self._checksum = checksum
        self._verify = verify_downloads
        self._stream = stream
        self.bucket = None if bucket is None else check_bucket(bucket)

    @property
    def region(self) -> str:
        """The region of the session; a bucket found elsewhere is asked there, without changing this."""
        return self._endpoint.region

    @property
    def endpoint_url(self) -> str:
        """Where the store is."""
        return self._endpoint.url

    def __repr__(self) -> str:
        return f"<S3Session bucket={self.bucket!r} endpoint_url={self.endpoint_url!r} region={self.region!r}>"

    def close(self) -> None:
        """Close the idle connections. The session may be used again; it then opens new ones."""
        self._client.close()

    def _at(self, bucket: str | None, argument: str = "bucket") -> SigV4Authorizer:
        """The authorizer of a bucket, which also knows its place; the session's own bucket for None."""
        name = self.bucket if bucket is None else bucket
        authorizer = self._authorizers.get(name) if isinstance(name, str) else None
        if authorizer is None:
            checked = check_bucket(name, argument)
            authorizer = SigV4Authorizer(self._credentials, self._endpoint, checked, self._clock, self._skew)
            self._authorizers[checked] = authorizer
        return authorizer

    def _at_service(self) -> SigV4Authorizer:
        authorizer = self._authorizers.get(None)
        if authorizer is None:
            authorizer = SigV4Authorizer(self._credentials, self._endpoint, None, self._clock, self._skew)
            self._authorizers[None] = authorizer
        return authorizer

    # --- objects

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
        bucket: str | None = None,
    ) -> PutResult:
        """Store an object, whole or not at all.

        body: bytes, bytearray, memoryview, str (as UTF-8), a path (os.PathLike), a binary file (from its current
        offset; it is not closed) or an iterable of bytes (spooled to a temporary file first, to learn its length).
        metadata: str to str, at most 2 KB; names become lower case, values may be any text. expires: a datetime, an
        epoch or the header's text. if_none_match="*": only if there is no such object. if_match: only if the object has
        this ETag. headers: any further header. PreconditionFailed, NoSuchBucket, AccessDenied …
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
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
        place = authorizer.place
        path = place.prefix + check_key(key)
        algorithm = self._checksum if checksum is None else checksum
        payload = body_of(body)
        try:
            payload_hash = describe(payload, fields, algorithm, place.origin)
            request = operations.put_object(
                place, path, payload, payload_hash, fields, if_match=if_match, if_none_match=if_none_match
            )
            return self._client.send(request, authorizer, operations.parse_put_object)
        finally:
            if not isinstance(payload, bytes):
                payload.close()

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
        """Read an object: `.data` for all of it, `.read()`, `.readinto()` or `.iter_chunks()` piece by piece.

        range_start, range_end: first and last byte, both included; range_end alone means the last range_end bytes.
        if_*: ETags, and aware datetimes or epochs. stream: False reads the body before returning. A body that was not
        read to its end should be closed, or the result used in a `with` block. NoSuchKey, NotModified,
        PreconditionFailed, InvalidRange; while reading TruncatedBody, TimedOut, ChecksumMismatch.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        authorizer = self._at(bucket)
        wanted = None
        if range_start is not None or range_end is not None:
            wanted = operations.byte_range(range_start, range_end)
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
            verify=self._verify and wanted is None,
            headers=headers,
        )
        keep_stream = self._stream if stream is None else stream
        parse = operations.parse_get_object if keep_stream else operations.parse_get_whole_object
        result = self._client.send(request, authorizer, parse)
        # Errors that come up while the body is read say what it was.
        result.bucket, result.key = authorizer.bucket, key
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
            verify=self._verify,
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
        headers: Mapping[str, str] | None = None,
    ) -> CopyResult:
        """Copy an object of up to 5 GB inside the store.

        Without metadata and content headers the copy has those of the source; with any of them it has exactly what is
        given (S3's REPLACE). Tags likewise. storage_class and acl are the copy's own in both cases.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        authorizer = self._at(dest_bucket, "dest_bucket")
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
        request = operations.copy_object(
            authorizer.place,
            dest_key,
            check_bucket(source_bucket if source_bucket is not None else self.bucket, "source_bucket"),
            source_key,
            source_version_id,
            fields,
            # An empty mapping counts as given: it asks for a copy without metadata.
            replace_metadata=metadata is not None or any(value is not None for value in described),
            replace_tagging=tagging is not None,
            source_if_match=source_if_match,
        )
        return self._client.send(request, authorizer, operations.parse_copy_object)

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
        of those keys, for good. DeleteFailed when the store did not delete some of them, its `.failures` says which.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        from s3func.s3 import deletion

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

        def delete_one(key: str, version_id: str | None) -> DeleteResult:
            return self.delete_object(key, version_id, bucket=bucket)

        def delete_batch(body: bytes) -> Any:
            request = operations.delete_objects(authorizer.place, body)
            return self._client.send(request, authorizer, operations.parse_delete_objects)

        deleted, failures = deletion.delete_all(rows, delete_batch, delete_one)
        if failures:
            first = failures[0]
            error = DeleteFailed(
                f"{len(failures)} of {len(failures) + len(deleted)} objects were not deleted; "
                f"the first is {first.key!r}: {first.code} {first.message}",
                failures,
            )
            error.bucket = authorizer.bucket
            raise error
        return deleted

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

    # --- listings

    def list_objects(
        self,
        prefix: str | None = None,
        start_after: str | None = None,
        delimiter: str | None = None,
        max_keys: int | None = None,
        *,
        bucket: str | None = None,
    ) -> ObjectListing:
        """The objects under a prefix, in key order: lazy, and complete or an error.

        start_after: only keys behind this one. delimiter: fold what lies deeper into `.common_prefixes`. max_keys: rows
        per request (1 to 1,000), not in all.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        authorizer = self._at(bucket)
        _check_listing(prefix=prefix, start_after=start_after, delimiter=delimiter, max_keys=max_keys)

        def fetch(last: ListPage | None) -> ListPage:
            request = operations.list_objects(
                authorizer.place,
                prefix,
                delimiter,
                max_keys,
                start_after if last is None else None,
                None if last is None else last.next_token,
            )
            return self._client.send(request, authorizer, operations.parse_list_objects)

        return ObjectListing(fetch)

    def list_object_versions(
        self,
        prefix: str | None = None,
        start_after: str | None = None,
        delimiter: str | None = None,
        max_keys: int | None = None,
        *,
        bucket: str | None = None,
    ) -> ObjectListing:
        """All versions and delete markers under a prefix: key order, newest first within a key.

        start_after: only keys behind this one. Otherwise as list_objects.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        authorizer = self._at(bucket)
        _check_listing(prefix=prefix, start_after=start_after, delimiter=delimiter, max_keys=max_keys)

        def fetch(last: ListPage | None) -> ListPage:
            request = operations.list_object_versions(
                authorizer.place,
                prefix,
                delimiter,
                max_keys,
                start_after if last is None else last.next_token,
                None if last is None else last.next_version_id,
            )
            return self._client.send(request, authorizer, operations.parse_list_object_versions)

        return ObjectListing(fetch)

    # --- presigned URLs

    def presigned_url(
        self,
        method: str,
        key: str | None = None,
        *,
        expires: int = 3600,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        bucket: str | None = None,
    ) -> str:
        """A URL that lets whoever has it make this one request for `expires` seconds (1 to 604,800).

        method: "GET", "PUT", "HEAD", "DELETE", … key: None for the bucket itself. headers: must be sent with the
        request exactly as here. query: further parameters, such as {"response-content-type": "text/csv"}.
        Nothing is sent. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        if not isinstance(expires, int) or isinstance(expires, bool):
            raise TypeError(f"expires must be an int of seconds, not {type(expires).__name__}")
        if not 1 <= expires <= EXPIRES_MAX_SECONDS:
            raise ValueError(f"expires must be 1 to {EXPIRES_MAX_SECONDS} seconds, not {expires}")
        authorizer = self._at(bucket)
        request = operations.presigned(method, authorizer.place, key, version_id, query, headers)
        return authorizer.presign(request, expires)

    # --- buckets

    def create_bucket(self, bucket: str | None = None, *, acl: str | None = None) -> None:
        """Make a bucket in the session's region. BucketAlreadyExists when the name is taken, also by ourselves.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        """
        authorizer = self._at(bucket)
        request = operations.create_bucket(authorizer.place, acl=acl, is_aws=self._endpoint.is_aws)
        self._client.send(request, authorizer, operations.no_content)

    def delete_bucket(self, bucket: str | None = None) -> None:
        """Delete an empty bucket. BucketNotEmpty, NoSuchBucket."""
        authorizer = self._at(bucket)
        request = operations.on_bucket("DELETE", authorizer.place)
        self._client.send(request, authorizer, operations.no_content)

    def head_bucket(self, bucket: str | None = None) -> HeadResult:
        """Whether the bucket is there and may be used: NotFound, AccessDenied. `.headers` may hold its region."""
        authorizer = self._at(bucket)
        request = operations.on_bucket("HEAD", authorizer.place)
        return self._client.send(request, authorizer, operations.parse_head_object)

    def list_buckets(self) -> list[BucketEntry]:
        """All buckets of the account.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
        """
        authorizer = self._at_service()
        buckets: list[BucketEntry] = []
        tokens: set[str] = set()
        token: str | None = None
        while True:
            request = operations.list_buckets(authorizer.place, token)
            page = self._client.send(request, authorizer, operations.parse_list_buckets)
            buckets += page.buckets
            token = page.continuation_token
            if token is None:
                return buckets
            if token in tokens:
                raise ProtocolError("the list of buckets goes in a circle: the store repeats a token")
            tokens.add(token)

    # --- anything else

    def request(
        self,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: BodySource = b"",
        bucket: str | None = None,
    ) -> Response:
        """Any request, signed: `session.request("GET", query={"lifecycle": None})`. Refusals raise as everywhere.

        key: None addresses the bucket. The Response has `.status`, `.headers` and `.read()`.
        """
        authorizer = self._at(bucket)
        payload = body_of(body)
        try:
            payload_hash = describe(payload, {}, "off", authorizer.place.origin)
            request = operations.free_request(method, authorizer.place, key, query, headers, payload, payload_hash)
            return self._client.send(request, authorizer, lambda _request, response: response)
        finally:
            if not isinstance(payload, bytes):
                payload.close()


def _check_choices(checksum: str, retry_mode: str | None) -> None:
    if not isinstance(checksum, str) or checksum not in CHECKSUMS:
        raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {checksum!r}")
    if retry_mode not in (None, "legacy", "standard", "adaptive"):
        raise ValueError(f"retry_mode is unknown: {retry_mode!r}")


def _check_listing(*, prefix: str | None, start_after: str | None, delimiter: str | None, max_keys: int | None) -> None:
    for name, value in (("prefix", prefix), ("start_after", start_after), ("delimiter", delimiter)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if max_keys is not None:
        if not isinstance(max_keys, int) or isinstance(max_keys, bool):
            raise TypeError(f"max_keys must be an int, not {type(max_keys).__name__}")
        if not 1 <= max_keys <= _PAGE_MAX:
            raise ValueError(f"max_keys must be 1 to {_PAGE_MAX}, not {max_keys}")
