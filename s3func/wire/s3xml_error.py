"""The error document of S3, and the frame that every other document shares: how it is opened and how it is written.

An `<Error>` may arrive in place of any answer, also with status 200, so opening a document looks for it.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from s3func.errors import CODES, ProtocolError, ServiceError, service_error
from s3func.wire.encoding import parse_iso8601
from s3func.wire.xmltree import Element, decode_document, escape, parse_tree

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ERROR_ROOT = (
    rb"(?s)(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?(?:<!--(?:(?!--).)*+-->\s*+)*+"
    rb"<(?:[A-Za-z_][\w.\-]*+:)?Error(?:Response)?[\s/>]"
)


class ErrorDocument(NamedTuple):
    """An error as the store words it; `details` holds its other elements, such as Region, BucketName or Resource."""

    code: str
    message: str
    request_id: str
    host_id: str
    details: dict[str, str]


def parse_error(body: bytes) -> ErrorDocument | None:
    """The error in a body, None when the body is no S3 error document: empty, HTML, JSON, cut off, something else."""
    try:
        root = parse_tree(decode_document(body))
    except ProtocolError:
        return None
    return _error_document(root)


def is_error_document(body: bytes) -> bool:
    """Whether a body begins as an error document does; cheap, for answers with status 200."""
    return re.match(_ERROR_ROOT, body) is not None


def render_error(
    code: str,
    message: str = "",
    *,
    resource: str = "",
    request_id: str = "",
    host_id: str = "",
    extra: Mapping[str, str] | None = None,
) -> bytes:
    """An error document; `extra` are further elements by name, such as Region. Like S3's, it has no namespace."""
    fields = {"Code": code, "Message": message, "Resource": resource, **(extra or {})}
    fields |= {"RequestId": request_id, "HostId": host_id}
    # Code and Message are always there, the others where they say something.
    elements = [element(name, text) for name, text in fields.items() if text or name in {"Code", "Message"}]
    # An error must always be told, so what cannot be encoded is replaced here, and only here.
    return f"{_HEAD}<Error>{''.join(elements)}</Error>".encode(errors="replace")


def error_from_document(document: ErrorDocument, *, status: int | None = None) -> ServiceError:
    """The ServiceError of a document. Without a status, a code that nobody knows counts as a failure of the store."""
    return service_error(
        document.code,
        document.message,
        status=status or (None if document.code in CODES else 500),
        request_id=document.request_id,
        host_id=document.host_id,
        details=document.details,
    )


def open_root(text: str, *names: str) -> Element:
    """The root of a decoded document, which must have one of the names.

    Raises the ServiceError of an `<Error>` in its place, ProtocolError for anything else.
    """
    root = parse_tree(text)
    if root.name in names:
        return root
    document = _error_document(root)
    if document is not None:
        raise error_from_document(document)
    raise ProtocolError(f"the answer is a <{root.name[:40]}> document, not <{names[0]}>")


def open_document(body: bytes, *names: str) -> Element:
    """`open_root` of the body's text."""
    return open_root(decode_document(body), *names)


def frame(name: str, content: str) -> bytes:
    """A whole document: declaration, root element with S3's namespace, content that is escaped already."""
    return f'{_HEAD}<{name} xmlns="{NAMESPACE}">{content}</{name}>'.encode()


def element(name: str, text: str) -> str:
    """One element that holds a text."""
    return f"<{name}>{escape(text)}</{name}>"


def strip_quotes(etag: str) -> str:
    """An ETag without the quotes around it."""
    return etag[1:-1] if len(etag) > 1 and etag[0] == etag[-1] == '"' else etag


def parse_time(text: str | None) -> datetime | None:
    """A document's timestamp, aware and in UTC; None where there is none."""
    if not text:
        return None
    try:
        return parse_iso8601(text)
    except (ValueError, OverflowError) as error:
        raise ProtocolError(f"not a timestamp: {text[:40]!r}") from error


def render_time(moment: datetime) -> str:
    """`2026-11-21T10:00:00.000Z`: UTC, in milliseconds, rounded down."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def _error_document(root: Element) -> ErrorDocument | None:
    request_id = ""
    if root.name == "ErrorResponse":
        # The form of AWS's other services, which some stores and every gateway in front of one may send.
        inner = next(root.all("Error"), None)
        if inner is None:
            return None
        request_id = root.value("RequestId") or root.value("RequestID") or ""
        root = inner
    if root.name != "Error":
        return None
    fields = {child.name: child.text for child in root.children if not child.children}
    return ErrorDocument(
        fields.pop("Code", ""),
        fields.pop("Message", ""),
        fields.pop("RequestId", "") or request_id,
        fields.pop("HostId", ""),
        fields,
    )
