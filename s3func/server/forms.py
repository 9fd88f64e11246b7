"""multipart/form-data, as browsers send it: fields in memory, the file in blocks to whoever wants it.

`FormReader` is the form of PostObject:
Rule 1: the file is the field named "file", and the last one that counts: what comes behind it is read over.
Rule 2: whoever takes the file is asked when its first byte is about to come, with all fields before it; a refusal then
        ends the request before the file is read.
`FormFiles` is that of the server's own pages, with any number of files, each a stream while it arrives:
Rule 3: a file is whole, or reading it fails: where the form ends before it does, that is a TruncatedBody.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from s3func.errors import ServiceError, TruncatedBody, service_error
from s3func.message import BLOCK

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

FIELDS_BYTES_MAX = 20 * 1024
"""Everything in front of the file, names and values."""

HEADER_BYTES_MAX = 4 * 1024

Writer = Callable[[bytes | memoryview], None]
Begin = Callable[[list[tuple[str, str]], str], Writer]
"""Is given the fields in their order and the name of the user's file; returns what takes the file's blocks."""


class _Parts:
    """What every reader of a form does: the headers of a part, and a bound on what is kept of the fields."""

    def __init__(self, content_type: str) -> None:
        """content_type: of the request. PreconditionFailed where it is no form; NotImplementedByStore without the parser."""
        self._parser = _parser(content_type, self)
        self._fields: list[tuple[str, str]] = []
        self._bytes = 0
        self._headers: dict[str, bytes] = {}
        self._name = self._value = b""
        self._field = ""
        self._data: list[bytes] = []
        self._has_ended = False

    def feed(self, block: bytes | memoryview) -> None:
        """Read a block. Raises InvalidRequest (MalformedPOSTRequest, …), and what the taker of a file raises."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(bytes(block))
        except FormParserError as error:
            raise _malformed() from error

    def on_part_begin(self) -> None:
        """The next field begins."""
        self._headers = {}
        self._data = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's name."""
        self._name += data[start:end]
        self._count_header()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's value."""
        self._value += data[start:end]
        self._count_header()

    def on_header_end(self) -> None:
        """A header is complete."""
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def on_end(self) -> None:
        """The form is complete."""
        self._has_ended = True

    def _describe(self) -> bytes | None:
        """Learn from the headers what the field is called; the name of its file, None where it is none."""
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._headers.get("content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed()
        self._field = _text(options[b"name"])
        return options.get(b"filename")

    def _keep(self, piece: bytes) -> None:
        self._count(len(piece))
        self._data.append(piece)

    def _end_field(self) -> None:
        self._count(len(self._field))
        self._fields.append((self._field, _text(b"".join(self._data))))

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > FIELDS_BYTES_MAX:
            raise service_error(
                "MaxPostPreDataLengthExceededError",
                "Your POST request fields preceding the upload file were too large.",
                status=400,
            )

    def _count_header(self) -> None:
        if len(self._name) + len(self._value) > HEADER_BYTES_MAX:
            raise _malformed()


class FormReader(_Parts):
    """Takes a form apart as it arrives: `feed` it every block, then `finish`."""

    def __init__(self, content_type: str, begin: Begin) -> None:
        """content_type: of the request. PreconditionFailed where it is no form; NotImplementedByStore without the parser."""
        super().__init__(content_type)
        self._begin = begin
        self._write: Writer | None = None
        self._in_file = False

    def finish(self) -> None:
        """The body is over; InvalidRequest where the form is not, or where it had no file."""
        if not self._has_ended:
            raise _malformed()
        if self._write is None:
            raise service_error("InvalidArgument", "POST requires exactly one file upload per request.")

    def on_headers_finished(self) -> None:
        """What the field is called is known now."""
        filename = self._describe()
        self._in_file = self._field.lower() == "file" and self._write is None
        if self._in_file:
            self._write = self._begin(self._fields, _text(filename or b""))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a value."""
        if self._in_file:
            assert self._write is not None
            self._write(memoryview(data)[start:end])
        elif self._write is None:
            self._keep(data[start:end])

    def on_part_end(self) -> None:
        """A field is complete."""
        if self._write is None:
            self._end_field()
        self._in_file = False


class FormFile:
    """A BodyStream of one file of a form. name: what the user's file is called, "" for none that was chosen.

    fields: those that came before it; of a repeated one the last.
    """

    def __init__(
        self, name: str, content_type: str, fields: Mapping[str, str], following: Callable[[], bytes | None]
    ) -> None:
        """`following`: the next piece of it, None at its end."""
        self.name = name
        self.content_type = content_type
        self.fields = fields
        self._following = following
        self._rest = b""
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" at the end; a negative size reads to the end. TransportError where it breaks off."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        pieces = [self._rest]
        held = len(self._rest)
        while held < size and not self._is_over:
            piece = self._following()
            if piece is None:
                self._is_over = True
            else:
                pieces.append(piece)
                held += len(piece)
        whole = b"".join(pieces)
        self._rest = whole[size:]
        return whole[:size]

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of the buffer; 0 at the end."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Read over what is left of it."""
        while self.read(BLOCK):
            pass


class FormFiles(_Parts):
    """The files of a form, one after the other. A file is a field that has a name for it, chosen or not."""

    def __init__(self, content_type: str, body: Iterator[bytes | memoryview]) -> None:
        """body: blocks as they arrive. PreconditionFailed and NotImplementedByStore as FormReader has them."""
        super().__init__(content_type)
        self._body = body
        self._is_file = False
        # What the parser has found and nobody has asked for: the beginning of a file, pieces of it, None for its end.
        self._found: deque[FormFile | bytes | None] = deque()

    def __iter__(self) -> Iterator[FormFile]:
        """Every file, and what is not read of one is read over before the next.

        Raises InvalidRequest (MalformedPOSTRequest, …), and the TransportError of a body that ends too early.
        """
        while self._advance():
            file = self._found.popleft()
            assert isinstance(file, FormFile)
            yield file
            file.close()
        if not self._has_ended:
            raise _malformed()

    def on_headers_finished(self) -> None:
        """What the field is called is known now."""
        filename = self._describe()
        self._is_file = filename is not None
        if filename is not None:
            content_type = self._headers.get("content-type", b"").decode("latin-1")
            self._found.append(FormFile(_text(filename), content_type, dict(self._fields), self._following))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a value."""
        if self._is_file:
            self._found.append(data[start:end])
        else:
            self._keep(data[start:end])

    def on_part_end(self) -> None:
        """A field is complete."""
        if self._is_file:
            self._found.append(None)
        else:
            self._end_field()

    def _following(self) -> bytes | None:
        """The next piece of the file at hand, None at its end."""
        if not self._advance():
            raise TruncatedBody("the form ended in the middle of a file")
        piece = self._found.popleft()
        assert not isinstance(piece, FormFile)
        return piece

    def _advance(self) -> bool:
        """Read on until something was found; False at the end of the body."""
        while not self._found:
            block = next(self._body, None)
            if block is None:
                return False
            try:
                self.feed(block)
            except BaseException:
                # Whatever would come now, it is no form any more.
                self._body = iter(())
                raise
        return True


_CALLBACKS = (
    *("on_part_begin", "on_part_data", "on_part_end", "on_header_field", "on_header_value", "on_header_end"),
    *("on_headers_finished", "on_end"),
)


def _parser(content_type: str, reader: _Parts) -> MultipartParser:
    try:
        from python_multipart.multipart import MultipartParser, parse_options_header
    except ImportError as error:
        message = "Uploads from forms need the package python-multipart, which s3func[server] brings."
        raise service_error("NotImplemented", message) from error
    # The parser wants Latin-1; a boundary is ASCII in any case.
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
        raise service_error(
            "PreconditionFailed",
            "Bucket POST must be of the enclosure-type multipart/form-data",
            details={"Condition": "Bucket POST must be of the enclosure-type multipart/form-data"},
        )
    callbacks: Any = {name: getattr(reader, name) for name in _CALLBACKS}
    return MultipartParser(boundary, callbacks)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise service_error("InvalidArgument", "The fields of a form are UTF-8.") from None


def _malformed() -> ServiceError:
    return service_error(
        "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.", status=400
    )
