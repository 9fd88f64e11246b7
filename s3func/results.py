"""What the verbs answer: the head of a response with typed fields, and for get_object the body with it.

Fields are read from the headers when they are asked for, because most callers ask for one or two of them.
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Self, cast

from s3func.body_reader import BUFFER, MemoryBody, RawBody
from s3func.errors import ChecksumMismatch
from s3func.message import BLOCK
from s3func.wire.encoding import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from s3func.message import Response

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
    """The answer to get_object: its head, and its body as `.data`, or read like any binary file.

    csv, gzip, zipfile, tarfile, json, pickle, pandas take it as it is. A body that breaks is asked for again from where
    it broke, and other bytes are asked for after seek(), where the store says with an ETag which object it is; one that
    was replaced meanwhile is ObjectChanged, never a mix. Where the store sends a checksum of the whole object, it is
    verified with the last byte: ChecksumMismatch. TruncatedBody when the body ends early.

    The connection goes back to the pool at the end of the body, on close(), at the end of a `with` block, or when the
    result is garbage. After close() only a `.data` that was read before is left, reading is a ValueError. Not for use by
    several threads at once.
    """

    __slots__ = ("_algorithm", "_closed", "_data", "_expected", "_file", "_kept", "bucket", "key", "raw")

    mode = "rb"
    raw: RawBody | None
    """The body while it is still arriving; None when all of it came with the head."""

    def __init__(self, response: Response, *, algorithm: str = "", expected: str = "") -> None:
        """algorithm and expected: the checksum to verify at the end of the body, if there is one."""
        self.status = response.status
        self.headers = response.headers
        self.bucket: str | None = None
        self.key: str | None = None
        self.raw = None
        self._algorithm = algorithm
        self._expected = expected
        self._closed = False
        self._kept = False
        self._data: bytes | None = None
        self._file: MemoryBody | io.BufferedReader | None = None
        body = response.body
        if isinstance(body, bytes):
            # All of it came with the head, so it can be judged at once.
            if algorithm:
                _verify(body, algorithm, expected)
            self._data = body
            return
        self.raw = RawBody(
            body,
            length=None if "transfer-encoding" in self.headers else self.size,
            first=self._first,
            algorithm=algorithm,
            expected=expected,
        )

    @property
    def _first(self) -> int | None:
        """Where in the object the body begins; None where the store does not say."""
        described = self.headers.get("content-range")
        if described is None:
            return 0 if self.status == 200 else None
        match = re.fullmatch(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)", described)
        return None if match is None else int(match[1])

    @property
    def checksum(self) -> tuple[str, str] | None:
        """Algorithm and value (base64) that the body is compared with at its end; None where there is none to compare."""
        return (self._algorithm, self._expected) if self._algorithm else None

    def waive_verification(self) -> None:
        """Compare nothing at the end: whoever reads does it himself, as a download in ranges does, or does not care."""
        if self.raw is not None:
            self.raw.waive_verification()

    @property
    def stream(self) -> GetResult:
        """The body as a stream: the result itself, which reads like a binary file."""
        return self

    @property
    def name(self) -> str:
        """The key, as an open file has the name of what it was opened from."""
        return self.key or ""

    @property
    def data(self) -> bytes:
        """All of the body; the first access reads it. ValueError when a part of it was read as a stream before."""
        if not self._kept:
            # A small body is here in any case, but whether `.data` works must not depend on a body's size.
            if self._closed or (self._file is not None and self._file.tell()):
                raise ValueError("data is not kept once the body was read as a stream, or closed")
            if self._data is None:
                self._data = self.read()
                self._let_go()
            self._kept = True
        return cast("bytes", self._data)

    def _opened(self) -> MemoryBody | io.BufferedReader:
        """The body as a file of the standard library, which does the reading of lines and parts."""
        file = self._file
        if file is None:
            if self._closed:
                # Never b"", which would look like the end of the body.
                raise ValueError("the result is closed")
            if self._data is not None:
                file = MemoryBody(self._data)
            elif self.raw is not None:
                file = io.BufferedReader(self.raw, BUFFER)
            else:
                raise ValueError("the body was detached")
            self._file = file
        return file

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end, where it is b""; all that is left without a size."""
        return self._opened().read(size)

    def read1(self, size: int = -1) -> bytes:
        """What the network brings in one piece, at most `size` bytes; b"" at the end."""
        return self._opened().read1(size)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill the buffer and return how many bytes that was: fewer than it holds only at the end."""
        return self._opened().readinto(buffer)

    def readinto1(self, buffer: bytearray | memoryview) -> int:
        """Fill a part of the buffer with what the network brings in one piece; 0 at the end."""
        return self._opened().readinto1(buffer)

    def readline(self, size: int | None = -1) -> bytes:
        """The next line with its end, at most `size` bytes of it; b"" at the end."""
        return self._opened().readline(-1 if size is None else size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        """All lines that are left, or as many as `hint` bytes take."""
        return self._opened().readlines(hint)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        line = self._opened().readline()
        if not line:
            raise StopIteration
        return line

    def iter_lines(self) -> Iterator[bytes]:
        """The lines that are left, without the ends (LF or CR LF) that `for line in result` keeps."""
        for line in self:
            yield line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line

    def iter_chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The rest of the body in blocks of at most `size` bytes."""
        if size < 1:
            raise ValueError("size must be at least 1")
        file = self._opened()
        return iter(lambda: file.read1(size), b"")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another byte of the body; nothing is sent before it is read.

        A little forward within the answer costs the bytes between, anything else a request for a range.
        """
        return self._opened().seek(offset, whence)

    def tell(self) -> int:
        """The offset in the body of the next byte."""
        return self._opened().tell()

    def seekable(self) -> bool:
        """True where the body is here already, or the store has said which object and how long it is."""
        return self._opened().seekable()

    def readable(self) -> bool:
        """True: io.BufferedReader and io.TextIOWrapper ask a stream what it can do."""
        return True

    def writable(self) -> bool:
        """False."""
        return False

    def isatty(self) -> bool:
        """False."""
        return False

    def flush(self) -> None:
        """Nothing to do, but closing a reader of the standard library flushes what is below it."""

    def close(self) -> None:
        """Give up what has not been read; the connection of an unread rest is closed, not drained."""
        self._let_go()
        self._closed = True
        if not self._kept:
            self._data = None

    def _let_go(self) -> None:
        file, self._file = self._file, None
        raw, self.raw = self.raw, None
        if file is not None:
            file.close()
        if raw is not None:
            raw.close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def detach(self) -> MemoryBody | RawBody:
        """The body as a raw file, for whoever puts a buffer of his own before it; the result keeps its head only."""
        if self._closed or self._file is not None:
            raise ValueError("the body was read before, or closed")
        body = MemoryBody(self._data) if self._data is not None else self.raw
        if body is None:
            raise ValueError("the body was detached before")
        self.raw = None
        self.close()
        return body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> Any:
        raise TypeError("a GetResult holds a connection and cannot be pickled; pickle its .data")


def _verify(body: bytes, algorithm: str, expected: str) -> None:
    from s3func.wire.checksum import hasher as make_hasher

    hasher = make_hasher(algorithm)
    hasher.update(body)
    found = hasher.base64()
    if found != expected:
        raise ChecksumMismatch(f"the body's {algorithm} is {found}, the store's is {expected}")


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
