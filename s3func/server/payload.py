"""The body of a request: read once, in blocks, and checked against everything that the request says about it.

Rule: whoever reads a body through here learns of a wrong length, hash or checksum before it can use what it has read,
because `pour` and `read` raise then; so nothing becomes visible of a body that is not the one that was signed. A body
in chunks (aws-chunked) is taken out of them here; nobody behind this file knows how it travelled.
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
from s3func.server.auth import Grant
from s3func.server.call import Call
from s3func.wire import checksum
from s3func.wire.aws_chunked import SIGNED_TRAILER, UNSIGNED_TRAILER, Decoder
from s3func.wire.checksum import Hasher

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

    length: bytes of the payload to come, None where nobody knows. algorithm: of the checksum that the sender gives, in
    the head or behind the body; "" for none. checksums: its value, there and true once the body has been read.
    """

    def __init__(self, call: Call, *, required: bool = True, of_body: bool = True) -> None:
        """Read the headers; InvalidRequest (InvalidDigest, MissingContentLength …) where they make no sense.

        A body that is not required may come without Content-Length, and is empty then. of_body: the x-amz-checksum-*
        headers are about this body, and not about the object that the request makes.
        """
        headers = call.headers
        self._body = call.request.body
        self._sent_length = declared_length(self._body, headers, required=required)
        self.length = self._sent_length
        self._decoder: Decoder | None = None
        if call.grant.payload_form:
            self.length = _decoded_length(headers)
            self._decoder = _decoder(call.grant, self.length)
        self._trailer = _declared_trailer(headers, call.grant.payload_form)
        declared = declared_checksum(headers) if of_body else {}
        if declared and self._trailer:
            raise _several_checksums()
        if of_body:
            _check_sdk_algorithm(headers, {*declared, self._trailer})
        self.algorithm = self._trailer or next(iter(declared), "")
        self.checksums: dict[str, str] = {}
        self._declared = declared
        self._computed = ""
        self._demands = [_checksum_demand(name, text) for name, text in declared.items()]
        self._md5: bytes | None = None
        if "content-md5" in headers:
            self._md5 = _decoded(headers["content-md5"], "md5")
            if self._md5 is None:
                raise service_error("InvalidDigest", "The Content-MD5 you specified is not valid.")
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
        """Whether the sender gives a digest besides the one that is part of the signature."""
        return self._md5 is not None or bool(self.algorithm)

    def compute(self, algorithm: str) -> None:
        """Have this checksum, too, in `checksums` when the body has been read."""
        self._computed = algorithm

    def pour(self, write: Callable[[bytes | memoryview], None], limit: int) -> None:
        """Hand every block to `write`, then check length, digests and trailers; all but Content-MD5, see `check_md5`.

        More than `limit` bytes are EntityTooLarge, known from the declared length before anything is read.
        """
        if self.length is not None and self.length > limit:
            raise _too_large(self.length, limit)
        hashers = {demand.algorithm: checksum.hasher(demand.algorithm) for demand in self._demands}
        for algorithm in filter(None, (self._trailer, self._computed)):
            hashers[algorithm] = checksum.hasher(algorithm)
        updates = [hasher.update for hasher in hashers.values()]
        size = 0
        for block in self._payload_blocks():
            size += len(block)
            if size > limit:
                raise _too_large(size, limit)
            for update in updates:
                update(block)
            write(block)
        for demand in self._demands:
            if hashers[demand.algorithm].digest() != demand.digest:
                raise service_error(demand.code, demand.message)
        self.checksums |= self._declared
        if self._decoder is not None:
            self._check_trailers(self._decoder.finish(), hashers)
        if self._computed:
            self.checksums[self._computed] = hashers[self._computed].base64()

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

    def _payload_blocks(self) -> Iterator[bytes | memoryview]:
        """The payload, taken out of its chunks; IncompleteBody where fewer or more bytes came than were announced."""
        received = 0
        for block in blocks_of(self._body):
            received += len(block)
            if self._decoder is None:
                yield block
            else:
                yield from self._decoder.feed(block)
        if self._sent_length is not None and received != self._sent_length:
            raise service_error(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            )

    def _check_trailers(self, trailers: Mapping[str, str], hashers: Mapping[str, Hasher]) -> None:
        announced = {f"x-amz-checksum-{self._trailer}"} if self._trailer else set()
        if trailers.keys() != announced:
            raise service_error(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our published "
                "schema.",
            )
        for text in trailers.values():
            demand = _checksum_demand(self._trailer, text)
            if hashers[self._trailer].digest() != demand.digest:
                raise service_error(demand.code, demand.message)
            self.checksums[self._trailer] = text


def declared_checksum(headers: Mapping[str, str]) -> dict[str, str]:
    """The x-amz-checksum-* value in the head, at most one, by its algorithm in lower case; not yet looked into."""
    sent = {_CHECKSUMS[name]: value for name, value in headers.items() if name in _CHECKSUMS}
    if len(sent) > 1:
        raise _several_checksums()
    return sent


def declared_length(body: bytes | UploadBody | BodyStream, headers: Mapping[str, str], *, required: bool) -> int | None:
    """Bytes of a body as it is sent, None where nobody knows; one that is not required and not announced is empty."""
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


def _decoded_length(headers: Mapping[str, str]) -> int:
    declared = headers.get("x-amz-decoded-content-length")
    if declared is None:
        raise service_error("MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.")
    if _LENGTH.fullmatch(declared) is None:
        raise service_error("InvalidArgument", "x-amz-decoded-content-length is not a number of bytes.")
    return int(declared)


def _decoder(grant: Grant, length: int) -> Decoder:
    # A server that asks for no signatures cannot check those of chunks; everywhere else a signed form has its signer.
    trusting = grant.payload_form != UNSIGNED_TRAILER and grant.chunk_signer is None
    return Decoder(grant.payload_form, decoded_length=length, signer=grant.chunk_signer, trusting=trusting)


def _declared_trailer(headers: Mapping[str, str], form: str) -> str:
    """The algorithm of the checksum that is to follow the body, "" for none."""
    names = headers.get("x-amz-trailer")
    if names is None:
        return ""
    algorithm = _CHECKSUMS.get(names.strip().lower())
    if algorithm is None or form not in {UNSIGNED_TRAILER, SIGNED_TRAILER}:
        raise service_error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    return algorithm


def _check_sdk_algorithm(headers: Mapping[str, str], sent: set[str]) -> None:
    algorithm = headers.get("x-amz-sdk-checksum-algorithm")
    if algorithm is not None and algorithm.lower() not in sent:
        raise service_error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found.",
        )


def _several_checksums() -> ServiceError:
    return service_error(
        "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )


def _checksum_demand(algorithm: str, text: str) -> _Demand:
    """A checksum that was sent; what is none at all is refused like a wrong one, and before the body is read."""
    digest = _decoded(text, algorithm)
    message = f"The {algorithm.upper()} you specified did not match the calculated checksum."
    if digest is None:
        raise service_error("BadDigest", message)
    return _Demand(algorithm, digest, "BadDigest", message)


def _decoded(text: str, algorithm: str) -> bytes | None:
    """The digest in base64, None for what is none of this algorithm."""
    try:
        digest = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None
    return digest if len(digest) == _DIGEST_BYTES[algorithm] else None


def blocks_of(body: bytes | UploadBody | BodyStream) -> Iterator[bytes | memoryview]:
    """The body as it arrives; what is wrong with it on the way is a ServiceError, or a BodySourceError."""
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
