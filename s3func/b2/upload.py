"""One upload: the URL that it borrows, the SHA-1 that goes with it, and the file that comes back.

B2 uploads go to a URL with a token of its own, which is good for one upload at a time, and until one fails.
Rule 1: a URL is taken, and put back after a success only. Whatever goes wrong, the next attempt has a fresh one: idle
        ones have gone bad together, and the server may still be busy with the token of an upload that timed out.
Rule 2: at most five URLs for one upload. A cap, a key that may not write and a bad request end it at once.
Rule 3: what is sent is compared: by B2 with the SHA-1 that travels along, by us with the one that comes back.
https://www.backblaze.com/docs/cloud-storage-upload-files-with-the-native-api
"""

from __future__ import annotations

from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple

from s3func.b2 import operations
from s3func.b2.auth import B2Authorizer
from s3func.b2.base import B2Base
from s3func.b2.config import AUTHORIZED_SECONDS, UPLOAD_URLS_MAX, Address, told_address
from s3func.b2.results import put_result
from s3func.errors import S3FuncError, ServerError, ServiceError, Throttled
from s3func.transport.body import BufferBody
from s3func.transport.transfer import ProgressCount, WatchedBody
from s3func.wire.b2json import parse_upload_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.b2.headers import Stored
    from s3func.b2.results import FilePut
    from s3func.clock import Clock
    from s3func.message import Request, Response, UploadBody
    from s3func.transport.transfer import BandwidthLimit
    from s3func.wire.b2json import UploadUrl

_CONCURRENT = "more than one upload using auth token"
_DAMAGED = "sha1 did not match"


class Upload(NamedTuple):
    """A borrowed URL, taken apart, with its token. until: on the wall clock."""

    address: Address
    token: str
    until: float

    def __repr__(self) -> str:
        return f"<Upload to {self.address.origin}>"


class UploadAuthorizer(B2Authorizer):
    """An Authorizer for one upload: each attempt goes to a URL of its own."""

    __slots__ = ("_clock", "_damaged", "_fetch", "_idle", "_last", "_secure", "_taken", "_upload")

    def __init__(
        self,
        idle: deque[Upload],
        fetch: Callable[[float | None], UploadUrl],
        clock: Clock,
        bucket: str,
        key: str,
        *,
        secure: bool,
    ) -> None:
        """idle: URLs that are good and that nobody uses, the last one used at the end. fetch: asks B2 for another.

        secure: only one with TLS will do.
        """
        super().__init__(bucket, key)
        self._idle = idle
        self._fetch = fetch
        self._clock = clock
        self._secure = secure
        self._upload: Upload | None = None
        self._taken = 0
        self._damaged = False
        self._last: S3FuncError | None = None

    def authorize(self, request: Request) -> None:
        """Send the request to another URL than before."""
        if self._taken >= UPLOAD_URLS_MAX and self._last is not None:
            # The loop asks no authorizer's opinion any more after some renewals.
            raise self._last
        upload = self._take() if self._taken == 0 else None
        if upload is None:
            try:
                url = self._fetch(request.deadline)
                place = told_address(url.url, "uploadUrl", secure=self._secure)
            except S3FuncError as error:
                error.stale_connection = False  # type: ignore[attr-defined]  # the loop asks any error for it
                self.failure = error
                raise
            upload = Upload(place, url.token, self._clock.now() + AUTHORIZED_SECONDS)
        self._taken += 1
        self._upload = upload
        place = upload.address
        request.origin, request.path, request.query = place.origin, place.path or "/", place.query
        request.headers["host"] = place.host
        request.headers["authorization"] = upload.token

    def _take(self) -> Upload | None:
        # The ends of a deque are atomic: two threads never get the same one.
        while True:
            try:
                upload = self._idle.pop()
            except IndexError:
                return None
            if self._clock.now() < upload.until:
                return upload

    def put_back(self) -> None:
        """The upload was a success: the next one may have the URL."""
        if self._upload is not None:
            self._idle.append(self._upload)
            self._upload = None

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """A 503 is about the one machine behind this URL, so it is no reason to slow down."""
        error = super().refusal(request, response)
        if isinstance(error, Throttled) and error.status != 429:
            error = ServerError(error.message, code=error.code, status=error.status, headers=error.headers)
        self._last = error
        return error

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Whether another URL will do: this one's token has expired, or the server is busy with it, or bytes were damaged.

        What is left (a server that fails, a connection that breaks) waits a moment, as the retry policy says.
        """
        self._upload = None
        self._raise_final(error)
        if self._taken >= UPLOAD_URLS_MAX:
            error.attempts = self._taken
            raise error
        if not isinstance(error, ServiceError):
            return False
        if error.status == 401:
            return error.code in {"bad_auth_token", "expired_auth_token", "http_401"}
        if error.status != 400:
            return False
        message = error.message.lower()
        if error.code == "auth_token_limit" or _CONCURRENT in message:
            return True
        if _DAMAGED in message and not self._damaged:
            self._damaged = True
            return True
        return False


class TailBody:
    """An UploadBody with its own SHA-1, 40 hexadecimal digits, behind it: read once, compared all the same."""

    def __init__(self, body: UploadBody) -> None:
        self.length = body.length + operations.TAIL_BYTES
        self.replayable = body.replayable
        self.sha1 = ""
        """Known when all of it has been sent."""
        self._body = body

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The blocks of the body, then the digits."""
        digest = sha1(usedforsecurity=False)
        for block in self._body.blocks():
            digest.update(block)
            yield block
        self.sha1 = digest.hexdigest()
        yield self.sha1.encode()


class SmallUploads(B2Base):
    """Files that are sent in one call."""

    def _upload_authorizer(self, name: str, key: str) -> UploadAuthorizer:
        """An authorizer with the idle URLs that all sessions of this process share for the bucket."""
        bucket_id = self._bucket_id(name)
        idle = self._known_account().uploads.setdefault(bucket_id, deque())

        def fetch(deadline: float | None) -> UploadUrl:
            return self._call(
                "b2_get_upload_url",
                {"bucketId": bucket_id},
                parse_upload_url,
                bucket=name,
                reading=True,
                deadline=deadline,
            )

        return UploadAuthorizer(idle, fetch, self._clock, name, key, secure=self._realm.is_secure)

    def _put_small(
        self,
        name: str,
        key: str,
        stored: Stored,
        body: bytes | UploadBody,
        progress: ProgressCount,
        bandwidth: BandwidthLimit | None,
    ) -> FilePut:
        """Upload a file in one call."""
        authorizer = self._upload_authorizer(name, key)
        fields = stored.headers()
        if isinstance(body, bytes) and bandwidth is not None:
            body = BufferBody(memoryview(body))
        if isinstance(body, bytes):
            size, digest = len(body), sha1(body, usedforsecurity=False).hexdigest()
            request = operations.upload_file(key, fields, body, digest)
            result = self._client.send(
                request,
                authorizer,
                lambda _request, response: put_result(operations.parse_uploaded(response, key, size, digest)),
            )
        else:
            size = body.length
            watched = WatchedBody(body, count=progress, bandwidth=bandwidth)
            tail = TailBody(watched)
            result = self._client.send(
                operations.upload_file(key, fields, tail, operations.TAIL),
                authorizer,
                lambda _request, response: put_result(operations.parse_uploaded(response, key, size, tail.sha1)),
            )
        authorizer.put_back()
        progress.finish(size)
        return result
