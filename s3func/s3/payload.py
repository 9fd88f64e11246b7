"""What is said about a body before it is sent: its checksum header, and the payload hash of the signature.

Integrity travels as one checksum in a header (CRC32 unless told otherwise): every store understands that or ignores it,
which cannot be said of aws-chunked trailers.
The payload hash is SHA-256 over plain http, where anyone on the way could change the bytes; over TLS, which protects
them already, and for large bodies that never leave the machine, it is UNSIGNED-PAYLOAD as long as a checksum travels,
because SHA-256 costs three times as much as sending.
A checksum that nobody asked for is a DefaultChecksum: a store that refuses it by name is asked again without it, and
not bothered with one any more. A checksum that was asked for is sent or the call fails.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import warnings
from binascii import b2a_base64
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING
from zlib import crc32

from s3func.errors import ChecksumRefused
from s3func.s3.endpoints import is_loopback
from s3func.wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD

if TYPE_CHECKING:
    from s3func.errors import ServiceError
    from s3func.message import Request, UploadBody
    from s3func.transport.body import Body

CHECKSUMS = frozenset({"auto", "crc32", "crc32c", "crc64nvme", "sha1", "sha256", "off"})
# Headers that talk about a checksum and are none.
_ABOUT_CHECKSUMS = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})
_SMALL = 1024 * 1024
_REFUSALS = frozenset({"InvalidArgument", "InvalidRequest", "NotImplemented"})
# Where these are missing, a header that "implies functionality that is not implemented" can only be the checksum's.
_ALWAYS_SENT = frozenset({"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"})
_CONDITIONS = frozenset({"if-match", "if-none-match"})


class DefaultChecksum(str):
    """The value of a checksum header that is sent because nobody said otherwise, and that may be left out."""

    __slots__ = ()


class ChecksumChoice:
    """The checksum of the uploads that choose none themselves; one for a session and all its twins.

    `refused` tells it that the store takes no checksums: from then on "auto" is "off".
    """

    __slots__ = ("_first", "_store", "algorithm", "asks")

    def __init__(self, algorithm: str, store: str) -> None:
        """store: its URL, for the warning."""
        self.algorithm = algorithm
        self.asks = True
        """Whether the store is asked for the checksums that it keeps."""
        self._store = store
        self._first = Lock()

    def refused(self, error: ServiceError) -> None:
        """Send no default checksums any more, and say so once."""
        if self.algorithm == "auto":
            self.algorithm = "off"
        self.asks = False
        # A lock that is never released: whoever comes first warns.
        if self._first.acquire(blocking=False):
            warnings.warn(
                f"{self._store} refuses checksums ({error.code}: {error.message}), so this session sends none any more; "
                "S3Session(checksum='off') says that this is known",
                ChecksumRefused,
                stacklevel=2,
            )


def describe(body: Body, fields: dict[str, str], algorithm: str, origin: str) -> str:
    """Add the checksum header to `fields`, unless the caller brought one, and return the payload hash."""
    has_checksum = False
    if fields:
        has_checksum = "content-md5" in fields or any(
            name.startswith("x-amz-checksum-") and name not in _ABOUT_CHECKSUMS for name in fields
        )
    if not isinstance(algorithm, str) or algorithm not in CHECKSUMS:
        raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {algorithm!r}")
    if not has_checksum and algorithm != "off":
        has_checksum = True
        if algorithm in {"auto", "crc32"}:
            # Without a Hasher object: 0.4 µs for 1 KiB.
            value = crc32(body) if isinstance(body, bytes) and len(body) <= _SMALL else _crc32(body)
            digest = b2a_base64(value.to_bytes(4, "big"), newline=False).decode()
            fields["x-amz-checksum-crc32"] = DefaultChecksum(digest) if algorithm == "auto" else digest
        else:
            _add_checksum(body, fields, algorithm)
    if not origin.startswith("https:"):
        if not has_checksum or body_length(body) <= _SMALL or not is_loopback(origin):
            return _sha256(body)
        return UNSIGNED_PAYLOAD
    if has_checksum:
        return UNSIGNED_PAYLOAD
    return _sha256(body)


def leave_out_checksum(request: Request, error: ServiceError) -> bool:
    """Take the default checksum out of a request that was refused because of it; False, and no change, otherwise."""
    headers = request.headers
    if "x-amz-checksum-mode" in headers:
        named = error.details.get("Header", "") or error.details.get("ArgumentName", "")
        if error.code not in _REFUSALS or "x-amz-checksum-mode" not in f"{named} {error.message}".lower():
            return False
        del headers["x-amz-checksum-mode"]
        return True
    names = [name for name, value in headers.items() if isinstance(value, DefaultChecksum)]
    if not names or not _is_about_checksum(error, [name for name in headers if name not in names]):
        return False
    for name in names:
        del headers[name]
    if headers["x-amz-content-sha256"] == UNSIGNED_PAYLOAD:
        # What the checksum protected is left to the signature.
        headers["x-amz-content-sha256"] = _sha256(request.body)  # type: ignore[arg-type]  # a client's body, never a stream
    return True


def _is_about_checksum(error: ServiceError, others: list[str]) -> bool:
    """Whether a store says that it takes no checksum header; `others` are the names of the request's other headers."""
    if error.code not in _REFUSALS:
        return False
    named = (error.details.get("Header", "") or error.details.get("ArgumentName", "")).lower()
    message = error.message.lower()
    if "x-amz-checksum" in named or "x-amz-checksum" in message:
        # A checksum that was compared and does not match is no reason to go on without one.
        return "match" not in message
    if error.code != "NotImplemented" or named:
        return False
    if "checksum" in message:
        return True
    unusual = {name for name in others if name.startswith("x-amz-") and not name.startswith("x-amz-meta-")}
    return "header" in message and not (unusual - _ALWAYS_SENT) and _CONDITIONS.isdisjoint(others)


def body_length(body: Body) -> int:
    """Bytes in all."""
    return len(body) if isinstance(body, bytes) else body.length


def _sha256(body: Body | UploadBody) -> str:
    if isinstance(body, bytes):
        return sha256(body).hexdigest() if body else EMPTY_SHA256
    digest = sha256()
    for block in body.blocks():
        digest.update(block)
    return digest.hexdigest()


def _crc32(body: Body) -> int:
    if not isinstance(body, bytes):
        return body.crc32()
    from s3func.wire.checksum import crc32_of

    return crc32_of(body)


def _add_checksum(body: Body, fields: dict[str, str], algorithm: str) -> None:
    from s3func.wire import checksum

    hasher = checksum.hasher(algorithm)
    if isinstance(body, bytes):
        hasher.update(body)
    else:
        for block in body.blocks():
            hasher.update(block)
    fields[f"x-amz-checksum-{algorithm}"] = hasher.base64()
