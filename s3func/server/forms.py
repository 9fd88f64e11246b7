"""multipart/form-data, as browsers send it: fields in memory, the file in blocks to whoever wants it.

Rule 1: the file is the field named "file", and the last one that counts: what comes behind it is read over.
Rule 2: whoever takes the file is asked when its first byte is about to come, with all fields before it; a refusal then
        ends the request before the file is read.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s3func.errors import ServiceError, service_error

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

FIELDS_BYTES_MAX = 20 * 1024
"""Everything in front of the file, names and values."""

HEADER_BYTES_MAX = 4 * 1024

Writer = Callable[[bytes | memoryview], None]
Begin = Callable[[list[tuple[str, str]], str], Writer]
"""Is given the fields in their order and the name of the user's file; returns what takes the file's blocks."""


class FormReader:
    """Takes a form apart as it arrives: `feed` it every block, then `finish`."""

    def __init__(self, content_type: str, begin: Begin) -> None:
        """content_type: of the request. PreconditionFailed where it is no form; NotImplementedByStore without the parser."""
        self._begin = begin
        self._parser = _parser(content_type, self)
        self._fields: list[tuple[str, str]] = []
        self._bytes = 0
        self._headers: dict[str, bytes] = {}
        self._name = self._value = b""
        self._field = ""
        self._data: list[bytes] = []
        self._write: Writer | None = None
        self._in_file = self._has_ended = False

    def feed(self, block: bytes | memoryview) -> None:
        """Read a block. Raises InvalidRequest (MalformedPOSTRequest, …), and what the taker of the file raises."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(bytes(block))
        except FormParserError as error:
            raise _malformed() from error

    def finish(self) -> None:
        """The body is over; InvalidRequest where the form is not, or where it had no file."""
        if not self._has_ended:
            raise _malformed()
        if self._write is None:
            raise service_error("InvalidArgument", "POST requires exactly one file upload per request.")

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

    def on_headers_finished(self) -> None:
        """What the field is called is known now."""
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._headers.get("content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed()
        self._field = _text(options[b"name"])
        self._in_file = self._field.lower() == "file" and self._write is None
        if self._in_file:
            self._write = self._begin(self._fields, _text(options.get(b"filename", b"")))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """A piece of a value."""
        if self._in_file:
            assert self._write is not None
            self._write(memoryview(data)[start:end])
        elif self._write is None:
            self._count(end - start)
            self._data.append(data[start:end])

    def on_part_end(self) -> None:
        """A field is complete."""
        if self._write is None:
            self._count(len(self._field))
            self._fields.append((self._field, _text(b"".join(self._data))))
        self._in_file = False

    def on_end(self) -> None:
        """The form is complete."""
        self._has_ended = True

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


_CALLBACKS = (
    *("on_part_begin", "on_part_data", "on_part_end", "on_header_field", "on_header_value", "on_header_end"),
    *("on_headers_finished", "on_end"),
)


def _parser(content_type: str, reader: FormReader) -> MultipartParser:
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
