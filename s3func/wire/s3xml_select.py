"""What S3 Select is asked, and what it says of its work. https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html"""

from __future__ import annotations

from typing import NamedTuple

from s3func.wire.s3xml_error import open_document
from s3func.wire.s3xml_fields import integer_of
from s3func.wire.s3xml_schema import Document, boolean, number, struct, text

__all__ = ["SELECT", "SelectStats", "parse_stats"]

_SEPARATORS = tuple(
    text(name) for name in ("QuoteEscapeCharacter", "RecordDelimiter", "FieldDelimiter", "QuoteCharacter")
)

SELECT = Document(
    "SelectObjectContentRequest",
    (
        text("Expression", required=True),
        text("ExpressionType", "SQL", required=True),
        struct(
            "InputSerialization",
            struct(
                "CSV",
                text("FileHeaderInfo", "USE", "IGNORE", "NONE"),
                text("Comments"),
                *_SEPARATORS,
                boolean("AllowQuotedRecordDelimiter"),
            ),
            text("CompressionType", "NONE", "GZIP", "BZIP2"),
            struct("JSON", text("Type", "DOCUMENT", "LINES")),
            struct("Parquet"),
            required=True,
        ),
        struct(
            "OutputSerialization",
            struct("CSV", text("QuoteFields", "ALWAYS", "ASNEEDED"), *_SEPARATORS),
            struct("JSON", text("RecordDelimiter")),
            required=True,
        ),
        struct("ScanRange", number("Start"), number("End")),
    ),
)


class SelectStats(NamedTuple):
    """Bytes that were read from the object, that were left of them when decompressed, and that came back."""

    bytes_scanned: int
    bytes_processed: int
    bytes_returned: int


def parse_stats(body: bytes) -> SelectStats:
    """The payload of a Stats event. ProtocolError."""
    root = open_document(body, "Stats")
    leaves = [root.child(name) for name in ("BytesScanned", "BytesProcessed", "BytesReturned")]
    return SelectStats(*(0 if leaf is None else integer_of(leaf) for leaf in leaves))
