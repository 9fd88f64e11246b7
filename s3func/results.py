"""What the verbs answer: the head of a response with typed fields, and for get_object the body with it.

Fields are read from the headers when they are asked for, because most callers ask for one or two of them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Self, cast

from s3func.errors import ChecksumMismatch, S3FuncError
from s3func.message import BLOCK
from s3func.wire.encoding import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from s3func.message import BodyStream, Response
    from s3func.wire.checksum import Hasher

_META = "x-amz-meta-"
_FACTS = frozenset({"status", "content_length", "etag", "version_id", "upload_timestamp"})
# Compiled and kept by the re module when it is first used.
_ENCODED_WORD = r"=\?([!-<>@-~]+)\?([BbQq])\?([!->@-~]*)\?="


class ObjectResult:
    """Status and headers of an answer about one object, with the usual headers as typed fields."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        """`headers` have lower-case names."""
        self.status = status
        self.headers = headers

    @property
    def etag(self) -> str:
        """The ETag without its quotes: opaque, and no hash of the content in general."""
        return self.headers.get("etag", "").removeprefix("W/").strip('"')

    @property
    def version_id(self) -> str | None:
        """The version, where the bucket keeps versions."""
        return self.headers.get("x-amz-version-id")

    @property
    def size(self) -> int | None:
        """Bytes of the body that the answer describes (of the part, when a range was asked for)."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None

    content_length = size

    @property
    def content_type(self) -> str | None:
        """The media type that was stored with the object."""
        return self.headers.get("content-type")

    @property
    def content_range(self) -> str | None:
        """`bytes first-last/size` in the answer to a range."""
        return self.headers.get("content-range")

    @property
    def storage_class(self) -> str:
        """STANDARD unless the store says otherwise."""
        return self.headers.get("x-amz-storage-class", "STANDARD")

    @property
    def last_modified(self) -> datetime | None:
        """When the object was written: aware, UTC, whole seconds."""
        try:
            return parse_http_date(self.headers["last-modified"])
        except (KeyError, ValueError):
            return None

    @property
    def request_id(self) -> str:
        """The store's name for this exchange; its support asks for it."""
        return self.headers.get("x-amz-request-id", "")

    @property
    def user_metadata(self) -> dict[str, str]:
        """The metadata that was stored with the object, and nothing else; names in lower case."""
        return {
            name[len(_META) :]: decode_metadata(value) for name, value in self.headers.items() if name.startswith(_META)
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """The user metadata together with status, content_length, etag, version_id and upload_timestamp.

        A user's own value never stands under one of those names, also where the store says nothing; `user_metadata` has
        it.
        """
        metadata: dict[str, Any] = {name: value for name, value in self.user_metadata.items() if name not in _FACTS}
        metadata["status"] = self.status
        if self.size is not None:
            metadata["content_length"] = self.size
        if self.etag:
            metadata["etag"] = self.etag
        if self.version_id is not None:
            metadata["version_id"] = self.version_id
        try:
            metadata["upload_timestamp"] = self.last_modified or parse_http_date(self.headers["date"])
        except (KeyError, ValueError):
            pass
        return metadata

    def __repr__(self) -> str:
        etag = f" etag={self.etag}" if self.etag else ""
        return f"<{type(self).__name__} status={self.status}{etag}>"

    def __getstate__(self) -> tuple[int, dict[str, str]]:
        return (self.status, self.headers)

    def __setstate__(self, state: tuple[int, dict[str, str]]) -> None:
        self.status, self.headers = state


class PutResult(ObjectResult):
    """The answer to put_object: `etag` and `version_id`; `headers` has the checksum that the store keeps."""

    __slots__ = ()


class HeadResult(ObjectResult):
    """The answer to head_object."""

    __slots__ = ()


class DeleteResult(ObjectResult):
    """The answer to delete_object."""

    __slots__ = ()

    @property
    def delete_marker(self) -> bool:
        """Whether a delete marker was written (or, with a version_id, removed)."""
        return self.headers.get("x-amz-delete-marker") == "true"


class CopyResult(ObjectResult):
    """The answer to copy_object; `etag` and `last_modified` come from its document."""

    __slots__ = ("_etag", "_last_modified")

    def __init__(self, status: int, headers: dict[str, str], etag: str, last_modified: datetime | None) -> None:
        super().__init__(status, headers)
        self._etag = etag
        self._last_modified = last_modified

    @property
    def etag(self) -> str:
        """The ETag of the copy, without quotes."""
        return self._etag

    @property
    def last_modified(self) -> datetime | None:
        """When the copy was made: aware, UTC."""
        return self._last_modified

    @property
    def source_version_id(self) -> str | None:
        """The version of the source that was copied."""
        return self.headers.get("x-amz-copy-source-version-id")

    def __getstate__(self) -> Any:
        return (self.status, self.headers, self._etag, self._last_modified)

    def __setstate__(self, state: Any) -> None:
        self.status, self.headers, self._etag, self._last_modified = state


class GetResult(ObjectResult):
    """The answer to get_object: its head, and its body as `.data`, `.read()`, `.readinto()` or `.iter_chunks()`.

    The connection goes back to the pool at the end of the body, on close(), at the end of a `with` block, or when the
    result is garbage. Where the store sends a checksum of the whole object, it is verified with the last byte:
    ChecksumMismatch. TruncatedBody when the body ends early. After close() only a `.data` that was read before is left,
    reading is a ValueError. Not for use by several threads at once.
    """

    __slots__ = (
        "_algorithm",
        "_closed",
        "_data",
        "_expected",
        "_hasher",
        "_kept",
        "_length",
        "_position",
        "_stream",
        "bucket",
        "key",
    )

    def __init__(self, response: Response, *, algorithm: str = "", expected: str = "") -> None:
        """algorithm and expected: the checksum to verify at the end of the body, if there is one."""
        super().__init__(response.status, response.headers)
        self.bucket: str | None = None
        self.key: str | None = None
        body = response.body
        hasher: Hasher | None = None
        if algorithm:
            from s3func.wire.checksum import hasher as make_hasher

            hasher = make_hasher(algorithm)
        self._hasher = hasher
        self._algorithm = algorithm
        self._expected = expected
        self._position = 0
        self._length: int | None = None
        self._closed = False
        self._kept = False
        self._data: bytes | None = None
        self._stream: BodyStream | None = None
        if isinstance(body, bytes):
            # All of it came with the head, so it can be judged at once.
            if hasher is not None:
                hasher.update(body)
                self._verify()
            self._data = body
        else:
            self._stream = body
            self._length = self.size

    @property
    def checksum(self) -> tuple[str, str] | None:
        """Algorithm and value (base64) that the body is compared with at its end; None where there is none to compare."""
        return (self._algorithm, self._expected) if self._algorithm else None

    def waive_verification(self) -> None:
        """Compare nothing at the end: whoever reads does it himself, as a download in ranges does, or does not care."""
        self._hasher = None

    @property
    def stream(self) -> GetResult:
        """The body as a stream: the result itself, which reads like a binary file."""
        return self

    @property
    def data(self) -> bytes:
        """All of the body; the first access reads it. ValueError when a part of it was read as a stream before."""
        if not self._kept:
            # A small body is here in any case, but whether `.data` works must not depend on a body's size.
            if self._position or (self._stream is None and self._data is None):
                raise ValueError("data is not kept once the body was read as a stream, or closed")
            if self._data is None:
                self._data = self._read_all()
            self._kept = True
        return cast("bytes", self._data)

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end, where it is b""; all that is left without a size."""
        if size is None or size < 0:
            return b"".join(self.iter_chunks())
        block = self._read_some(size)
        if len(block) == size or not block:
            return block
        # What the network brings in one piece is no number of bytes that a reader of a header could rely on.
        blocks = [block]
        left = size - len(block)
        while left and (block := self._read_some(left)):
            blocks.append(block)
            left -= len(block)
        return b"".join(blocks)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill a part of the buffer and return how many bytes that was; 0 at the end."""
        stream = self._stream
        view = memoryview(buffer).cast("B")
        if stream is None:
            block = self._from_data(len(view))
            view[: len(block)] = block
            return len(block)
        if not view:
            return 0
        try:
            count = stream.readinto(view)
            self._account(view[:count], count)
        except S3FuncError as error:
            raise self._named(error) from error.__cause__
        return count

    def _read_some(self, size: int) -> bytes:
        stream = self._stream
        if stream is None:
            return self._from_data(size)
        if size == 0:
            return b""
        try:
            block = stream.read(min(size, BLOCK))
            self._account(block, len(block))
        except S3FuncError as error:
            raise self._named(error) from error.__cause__
        return block

    def _named(self, error: S3FuncError) -> S3FuncError:
        error.bucket, error.key = self.bucket, self.key
        return error

    def iter_chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The rest of the body in blocks of at most `size` bytes."""
        if size < 1:
            raise ValueError("size must be at least 1")
        while block := self._read_some(size):
            yield block

    __iter__ = iter_chunks

    def close(self) -> None:
        """Give up what has not been read; the connection of an unread rest is closed, not drained."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        self._closed = True
        if not self._kept:
            self._data = None

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def readable(self) -> bool:
        """True: io.BufferedReader and io.TextIOWrapper ask a stream what it can do."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def seekable(self) -> bool:
        """False."""
        return False

    def flush(self) -> None:
        """Nothing to do, but closing a reader of the standard library flushes what is below it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_all(self) -> bytes:
        data = b"".join(self.iter_chunks())
        # Reading `.data` leaves the stream at its beginning: it can be read as well, from memory.
        self._position = 0
        return data

    def _from_data(self, size: int) -> bytes:
        if self._closed:
            # Never b"", which would look like the end of the body.
            raise ValueError("the result is closed")
        data = self._data
        if data is None:
            return b""
        block = data[self._position : self._position + size]
        self._position += len(block)
        return block

    def _account(self, block: bytes | memoryview, count: int) -> None:
        if count:
            self._position += count
            if self._hasher is not None:
                self._hasher.update(block)
                if self._position == self._length:
                    # Whoever knows the size stops reading here.
                    self._verify()
            return
        self._stream = None
        self._verify()

    def _verify(self) -> None:
        hasher, self._hasher = self._hasher, None
        if hasher is not None and hasher.base64() != self._expected:
            self.close()
            raise ChecksumMismatch(
                f"the body's {self._algorithm} is {hasher.base64()}, the store's is {self._expected}"
            )

    def __getstate__(self) -> Any:
        raise TypeError("a GetResult holds a connection and cannot be pickled; pickle its .data")


def decode_metadata(value: str) -> str:
    """Undo RFC 2047 encoded words (how S3 presents what is not ASCII); with a malformed one all stays as it is."""
    if "=?" not in value:
        return value
    try:
        # White space between two encoded words belongs to neither.
        return re.sub(_ENCODED_WORD, _decoded_word, re.sub(r"(?<=\?=)[ \t]+(?==\?)", "", value))
    except (LookupError, ValueError):
        return value


def _decoded_word(match: re.Match[str]) -> str:
    charset, coding, text = match.groups()
    if coding in "Bb":
        content = b64decode(text + "=" * (-len(text) % 4), validate=True)
    else:
        from binascii import a2b_qp

        if re.search("=(?![0-9A-Fa-f]{2})", text):
            raise ValueError("an escape that is none")
        content = a2b_qp(text, header=True)
    # RFC 2231 allows a language behind the charset.
    return content.decode(charset.partition("*")[0])
