"""select_object_content: the rows of a CSV, JSON or Parquet object that an SQL expression asks for, and no others.

AWS has it for accounts that used it before July 2024; MinIO and Ceph have it for everybody.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from s3func.errors import ProtocolError, TruncatedBody, service_error
from s3func.s3.base import S3Base

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from s3func.message import BodyStream, Response
    from s3func.wire.s3xml_select import SelectStats


class SelectResult:
    """What was selected: iterate over its blocks of bytes, which end anywhere, or `.read()` all; use it in a `with` block.

    .stats: how much was scanned, a SelectStats, when the end has come.
    """

    def __init__(self, response: Response) -> None:
        """Nothing is read."""
        body = response.body
        self._stream: BodyStream | BytesIO = BytesIO(body) if isinstance(body, bytes) else body
        self._blocks = self._read_blocks()
        self.bucket: str | None = None
        self.key: str | None = None
        self.stats: SelectStats | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def read(self) -> bytes:
        """All that has not been read. TruncatedBody, ServiceError: what came before it is not all."""
        return b"".join(self._blocks)

    def _read_blocks(self) -> Iterator[bytes]:
        from s3func.wire.event_stream import messages

        try:
            for message in messages(self._stream.read):
                kind = message.headers.get(":message-type")
                event = message.headers.get(":event-type")
                if kind != "event":
                    self._refuse(message.headers)
                elif event == "Records":
                    if message.payload:
                        yield message.payload
                elif event == "Stats":
                    from s3func.wire.s3xml_select import parse_stats

                    self.stats = parse_stats(message.payload)
                elif event == "End":
                    return
            raise TruncatedBody(f"the selection from {self.key!r} came without its end: rows are missing")
        finally:
            self.close()

    def _refuse(self, headers: Mapping[str, str]) -> None:
        code = headers.get(":error-code") or headers.get(":exception-type")
        if code is None:
            raise ProtocolError(f"a message of the event stream is of type {headers.get(':message-type')!r}")
        error = service_error(code, headers.get(":error-message", ""))
        error.bucket, error.key = self.bucket, self.key
        raise error

    def close(self) -> None:
        """Give up what has not been read."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SelectVerbs(S3Base):
    """The one verb that looks into objects."""

    def select_object_content(
        self,
        key: str,
        expression: str,
        *,
        input_serialization: Mapping[str, Any],
        output_serialization: Mapping[str, Any] | None = None,
        scan_range: tuple[int | None, int | None] | None = None,
        bucket: str | None = None,
    ) -> SelectResult:
        """Run an SQL expression where the object is: `"SELECT s.name FROM S3Object s WHERE s.age > '30'"`.

        input_serialization, output_serialization: AWS's names, as boto3 has them: {"CSV": {"FileHeaderInfo": "USE"},
        "CompressionType": "GZIP"}, {"JSON": {"Type": "LINES"}}, {"Parquet": {}}; output without one: CSV from CSV, else
        JSON. scan_range: rows that begin from the first to before the second byte; (None, n) the last n bytes.
        NotSupported or another ServiceError where the store has no S3 Select.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html
        """
        from s3func.s3.headers import check_text
        from s3func.s3.settings_operations import about_object
        from s3func.wire.s3xml_schema import render_document
        from s3func.wire.s3xml_select import SELECT

        if not check_text("expression", expression):
            raise ValueError("expression is empty")
        if output_serialization is None:
            is_csv = hasattr(input_serialization, "keys") and "CSV" in input_serialization
            output_serialization = {"CSV" if is_csv else "JSON": {}}
        document = {
            "Expression": expression,
            "ExpressionType": "SQL",
            "InputSerialization": _one_of("input_serialization", input_serialization, "CSV", "JSON", "Parquet"),
            "OutputSerialization": _one_of("output_serialization", output_serialization, "CSV", "JSON"),
            "ScanRange": _scan_range(scan_range),
        }
        body = render_document(SELECT, document)
        authorizer = self._at(bucket)
        request = about_object("POST", authorizer.place, key, "select", body=body)
        request.query += "&select-type=2"

        # No content type is looked at: Ceph calls its event streams application/xml.
        result = self._client.send(request, authorizer, lambda _request, response: SelectResult(response))
        result.bucket, result.key = authorizer.bucket, key
        return result


def _one_of(argument: str, value: Mapping[str, Any], *formats: str) -> dict[str, Any]:
    """A serialization that names exactly one format; TypeError or ValueError."""
    if not hasattr(value, "keys"):
        raise TypeError(f"{argument} must be a dict, not {type(value).__name__}")
    if sum(name in value for name in formats) != 1:
        raise ValueError(f"{argument} must have exactly one of {', '.join(formats)}")
    return dict(value)


def _scan_range(wanted: tuple[int | None, int | None] | None) -> dict[str, int] | None:
    if wanted is None:
        return None
    if not isinstance(wanted, tuple) or len(wanted) != 2:
        raise TypeError("scan_range must be a pair of (first, last) bytes")
    found = {name: value for name, value in zip(("Start", "End"), wanted, strict=True) if value is not None}
    for value in found.values():
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"scan_range must hold int, not {type(value).__name__}")
        if value < 0:
            raise ValueError(f"scan_range must not be negative: {wanted!r}")
    if not found:
        raise ValueError("scan_range holds no byte")
    return found
