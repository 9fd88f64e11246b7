"""aws-chunked bodies: a payload in chunks, each perhaps signed, perhaps followed by trailers.

The four forms, by their x-amz-content-sha256:
    STREAMING-AWS4-HMAC-SHA256-PAYLOAD           hex;chunk-signature=S CRLF data CRLF … 0;chunk-signature=S CRLF CRLF
    STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER   the same, then name:value CRLF … x-amz-trailer-signature:S CRLF CRLF
    STREAMING-UNSIGNED-PAYLOAD-TRAILER           hex CRLF data CRLF … 0 CRLF name:value CRLF … CRLF
    (UNSIGNED-PAYLOAD is no aws-chunked body.)
Each signature covers the one before it, so chunks can neither be changed nor dropped nor put in another order.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from s3func.errors import service_error
from s3func.wire.sigv4 import EMPTY_SHA256, signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = frozenset({SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER})

_LINE_MAX = 8 * 1024
_TRAILERS_MAX = 16
_CHUNK_HEAD = r"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?"
_TRAILER = r"([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*?)[ \t]*"
_TRAILER_SIGNATURE = "x-amz-trailer-signature"


class ChunkSigner:
    """The chain of signatures of one body: each call signs the next piece."""

    def __init__(self, key: bytes, date: str, scope: str, seed_signature: str) -> None:
        """key: the signing key. date: x-amz-date. seed_signature: the one of the request's head."""
        self._key = key
        self._about = f"{date}\n{scope}"
        self.previous = seed_signature

    def chunk(self, payload_hash: str) -> str:
        """The signature of the next chunk, whose SHA-256 is given in hexadecimal."""
        return self._next("AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY_SHA256}\n{payload_hash}")

    def trailer(self, trailers: Iterable[tuple[str, str]]) -> str:
        """The signature of the trailers; they are hashed with LF, though CRLF ends them on the wire."""
        text = "".join([f"{name}:{value}\n" for name, value in trailers])
        return self._next("AWS4-HMAC-SHA256-TRAILER", sha256(text.encode()).hexdigest())

    def _next(self, algorithm: str, hashes: str) -> str:
        self.previous = signature(self._key, f"{algorithm}\n{self._about}\n{self.previous}\n{hashes}")
        return self.previous


class Decoder:
    """Takes a body apart as it arrives: `feed` gives payload back, `finish` the trailers.

    Nothing may be made visible before `finish` has returned: a wrong signature or a missing end shows only then.
    Raises the ServiceError that the server answers with.
    """

    def __init__(
        self, form: str, *, decoded_length: int | None, signer: ChunkSigner | None = None, trusting: bool = False
    ) -> None:
        """form: one of FORMS. decoded_length: x-amz-decoded-content-length. signer: for the signed forms.

        trusting: the signatures of a signed form have to be there, but nobody knows what they should be.
        """
        if (signer is None) != (trusting or form == UNSIGNED_TRAILER):
            raise ValueError("signed forms need a signer, the unsigned one and whoever trusts have none")
        self._signer = signer
        self._is_signed = form != UNSIGNED_TRAILER
        self._may_have_trailers = form != SIGNED
        self._left_in_body = decoded_length
        self._buffer = bytearray()
        self._left_in_chunk = 0
        self._signature = ""
        self._hash = sha256()
        self._state = self._read_head
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The payload that these bytes complete; must be exhausted."""
        self._buffer += data
        while (piece := self._state()) is not None:
            if piece:
                yield piece

    def finish(self) -> dict[str, str]:
        """The trailers (lower-case names), once all bytes were fed."""
        if self._state != self._read_nothing:
            raise service_error("IncompleteBody", "The aws-chunked body ends before its last chunk.")
        if self._left_in_body:
            raise service_error(
                "IncompleteBody", "The body is shorter than the x-amz-decoded-content-length that was promised."
            )
        return self.trailers

    # Each state consumes from the buffer and returns payload, b"" for "go on", or None for "more bytes are needed".

    def _read_head(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        match = re.fullmatch(_CHUNK_HEAD, line)
        if match is None or (match[2] is not None) != self._is_signed:
            raise service_error("InvalidRequest", "The body has a chunk header that is malformed.")
        self._left_in_chunk = int(match[1], 16)
        self._signature = match[2] or ""
        self._hash = sha256()
        if self._left_in_body is not None:
            self._left_in_body -= self._left_in_chunk
            if self._left_in_body < 0:
                raise service_error("InvalidRequest", "The body is longer than its x-amz-decoded-content-length.")
        if self._left_in_chunk:
            self._state = self._read_data
        else:
            self._check_chunk()
            self._state = self._read_trailer
        return b""

    def _read_data(self) -> bytes | None:
        piece = bytes(memoryview(self._buffer)[: self._left_in_chunk])
        if not piece:
            return None
        del self._buffer[: len(piece)]
        self._left_in_chunk -= len(piece)
        if self._signer is not None:
            self._hash.update(piece)
        if self._left_in_chunk == 0:
            self._state = self._read_chunk_end
        return piece

    def _read_chunk_end(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        if line:
            raise service_error("InvalidRequest", "A chunk is longer than its header says.")
        self._check_chunk()
        self._state = self._read_head
        return b""

    def _read_trailer(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        if not line:
            self._check_trailer()
            self._state = self._read_nothing
            return b""
        match = re.fullmatch(_TRAILER, line)
        if match is None or not self._may_have_trailers or len(self.trailers) >= _TRAILERS_MAX:
            raise service_error("MalformedTrailerError", "The body has a trailer that is malformed.")
        self.trailers[match[1].lower()] = match[2]
        return b""

    def _read_nothing(self) -> bytes | None:
        if self._buffer:
            raise service_error("InvalidRequest", "The body goes on behind its last chunk.")
        return None

    def _line(self) -> str | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _LINE_MAX:
                raise service_error("InvalidRequest", "The body has a chunk header without end.")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line.decode("latin-1")

    def _check_chunk(self) -> None:
        if self._signer is None:
            return
        if not hmac.compare_digest(self._signer.chunk(self._hash.hexdigest()), self._signature):
            raise service_error("SignatureDoesNotMatch", "The signature of a chunk does not match.")

    def _check_trailer(self) -> None:
        if not self._is_signed or not self._may_have_trailers:
            return
        given = self.trailers.pop(_TRAILER_SIGNATURE, "")
        if self._signer is not None and not hmac.compare_digest(self._signer.trailer(self.trailers.items()), given):
            raise service_error("SignatureDoesNotMatch", "The signature of the trailers does not match.")


def encoded_length(decoded_length: int, chunk_size: int, trailers: Mapping[str, int], *, signed: bool) -> int:
    """Bytes of the body on the wire, known before its trailers are; `trailers` maps names to lengths of values."""
    whole, rest = divmod(decoded_length, chunk_size)
    mark = len(";chunk-signature=") + 64 if signed else 0
    total = whole * (len(f"{chunk_size:x}") + mark + 4 + chunk_size)
    if rest:
        total += len(f"{rest:x}") + mark + 4 + rest
    total += 1 + mark + 2
    total += sum(len(name) + 1 + length + 2 for name, length in trailers.items())
    if signed and trailers:
        total += len(_TRAILER_SIGNATURE) + 1 + 64 + 2
    return total + 2


def encode_chunk(data: bytes | memoryview, signer: ChunkSigner | None = None) -> bytes:
    """One chunk on the wire; the last one has no data and is followed by `encode_trailers`."""
    head = f"{len(data):x}"
    if signer is not None:
        head += f";chunk-signature={signer.chunk(sha256(data).hexdigest())}"
    return b"%s\r\n%s\r\n" % (head.encode(), data) if len(data) else f"{head}\r\n".encode()


def encode_trailers(trailers: Mapping[str, str], signer: ChunkSigner | None = None) -> bytes:
    """What follows the last chunk: the trailers, their signature, the end."""
    lines = [f"{name}:{value}\r\n" for name, value in trailers.items()]
    if signer is not None and trailers:
        lines.append(f"{_TRAILER_SIGNATURE}:{signer.trailer(trailers.items())}\r\n")
    return "".join([*lines, "\r\n"]).encode()
