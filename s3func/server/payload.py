"""The body of a request: read once, in blocks, and checked against everything that the request says about it.

Rule: whoever reads a body through here learns of a wrong length, hash or checksum before it can use what it has read,
because `pour` and `read` raise then; so nothing becomes visible of a body that is not the one that was signed.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from s3func.errors import ServiceError, TimedOut, TransportError, service_error
from s3func.message import BLOCK, BodyStream, UploadBody
from s3func.server.call import Call
from s3func.wire import checksum

_LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)
_DIGEST_BYTES = {"md5": 16, "crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}
_CHECKSUMS = {f"x-amz-checksum-{name}": name for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")}


class BodySourceError(Exception):
    """A client in this process failed to produce its own body; the cause is what it has to see."""


class _Demand(NamedTuple):
    """A digest that the body must have, and how to refuse a body that has another."""

    algorithm: str
    digest: bytes
    code: str
    message: str


class Payload:
    """What is known of a body before it is read, and the ways to read it.

    length: bytes to come, None where nobody knows. checksums: the x-amz-checksum-* value that was sent, by algorithm in
    lower case; at most one, and true once the body has been read.
    """

    def __init__(self, call: Call, *, required: bool = True) -> None:
        """Read the headers; InvalidRequest (InvalidDigest, MissingContentLength …) where they make no sense.

        A body that is not required may come without Content-Length, and is empty then.
        """
        headers = call.headers
        self._body = call.request.body
        self.length = _declared_length(self._body, headers, required=required)
        self.checksums = _declared_checksum(headers)
        self._demands = [
            _Demand(
                name,
                _decoded(text, name, "InvalidRequest", f"Value for x-amz-checksum-{name} header is invalid."),
                "BadDigest",
                f"The {name.upper()} you specified did not match the calculated checksum.",
            )
            for name, text in self.checksums.items()
        ]
        self._md5: bytes | None = None
        if "content-md5" in headers:
            self._md5 = _decoded(
                headers["content-md5"], "md5", "InvalidDigest", "The Content-MD5 you specified is not valid."
            )
        if call.grant.payload_sha256 is not None:
            self._demands.append(
                _Demand(
                    "sha256",
                    bytes.fromhex(call.grant.payload_sha256),
                    "XAmzContentSHA256Mismatch",
                    "The provided 'x-amz-content-sha256' header does not match what was computed.",
                )
            )

    @property
    def is_checked(self) -> bool:
        """Whether the sender gave a digest besides the one that is part of the signature."""
        return self._md5 is not None or bool(self.checksums)

    def pour(self, write: Callable[[bytes | memoryview], None], limit: int) -> None:
        """Hand every block to `write`, then check length and digests; all but Content-MD5, see `check_md5`.

        More than `limit` bytes are EntityTooLarge, known from Content-Length before anything is read.
        """
        if self.length is not None and self.length > limit:
            raise _too_large(self.length, limit)
        hashers = {demand.algorithm: checksum.hasher(demand.algorithm) for demand in self._demands}
        updates = [hasher.update for hasher in hashers.values()]
        size = 0
        for block in _blocks(self._body):
            size += len(block)
            if size > limit:
                raise _too_large(size, limit)
            for update in updates:
                update(block)
            write(block)
        if self.length is not None and size != self.length:
            raise service_error(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            )
        for demand in self._demands:
            if hashers[demand.algorithm].digest() != demand.digest:
                raise service_error(demand.code, demand.message)

    def check_md5(self, digest: bytes) -> None:
        """Compare with Content-MD5 the MD5 that the store has computed anyway."""
        if self._md5 is not None and self._md5 != digest:
            raise service_error("BadDigest", "The Content-MD5 you specified did not match what we received.")

    def read(self, limit: int) -> bytes:
        """All of the body, checked; for documents."""
        parts: list[bytes] = []
        self.pour(lambda block: parts.append(bytes(block)), limit)
        body = b"".join(parts)
        if self._md5 is not None:
            hasher = checksum.hasher("md5")
            hasher.update(body)
            self.check_md5(hasher.digest())
        return body


def _declared_length(
    body: bytes | UploadBody | BodyStream, headers: Mapping[str, str], *, required: bool
) -> int | None:
    declared = headers.get("content-length")
    if declared is not None:
        if _LENGTH.fullmatch(declared) is None:
            raise service_error("InvalidArgument", "Content-Length is not a number of bytes.")
        return int(declared)
    if isinstance(body, bytes):
        return len(body)
    if isinstance(body, UploadBody):
        return body.length
    if "transfer-encoding" in headers:
        return None
    if not required:
        return 0
    raise service_error("MissingContentLength", "You must provide the Content-Length HTTP header.")


def _declared_checksum(headers: Mapping[str, str]) -> dict[str, str]:
    sent = {_CHECKSUMS[name]: value for name, value in headers.items() if name in _CHECKSUMS}
    if len(sent) > 1:
        raise service_error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    if "x-amz-trailer" in headers:
        raise service_error("NotImplemented", "Checksums behind the body (x-amz-trailer) are not implemented.")
    algorithm = headers.get("x-amz-sdk-checksum-algorithm")
    if algorithm is not None and algorithm.lower() not in sent:
        raise service_error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found.",
        )
    return sent


def _decoded(text: str, algorithm: str, code: str, message: str) -> bytes:
    try:
        digest = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        digest = b""
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise service_error(code, message)
    return digest


def _blocks(body: bytes | UploadBody | BodyStream) -> Iterator[bytes | memoryview]:
    if isinstance(body, bytes):
        if body:
            yield body
    elif isinstance(body, UploadBody):
        yield from _produced(body)
    else:
        while block := _received(body):
            yield block


def _produced(body: UploadBody) -> Iterator[bytes | memoryview]:
    blocks = iter(body.blocks())
    while True:
        try:
            block = next(blocks)
        except StopIteration:
            return
        except Exception as error:
            raise BodySourceError from error
        yield memoryview(block).cast("B") if isinstance(block, memoryview) else block


def _received(body: BodyStream) -> bytes:
    try:
        return body.read(BLOCK)
    except TimedOut as error:
        raise service_error(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ) from error
    except TransportError as error:
        raise service_error("IncompleteBody", "The request ended before its body did.") from error


def _too_large(size: int, limit: int) -> ServiceError:
    return service_error(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size",
        details={"ProposedSize": str(size), "MaxSizeAllowed": str(limit)},
    )
