"""How S3, and what stands in front of it, answers when something is wrong: what faults make of right answers.

All of it is well-formed HTTP, so that only a client that reads what it got can notice: a page that was cut before its
length was counted, a listing without IsTruncated, 200 with an error document or with somebody's login page.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

from s3func.errors import CODES, ServiceError, service_error
from s3func.message import Response
from s3func.server.auth import SKEW_SECONDS
from s3func.server.faults import Fault
from s3func.wire import s3xml
from s3func.wire.encoding import http_date, iso8601

_HTML = b"""<!DOCTYPE html>
<html><head><title>Welcome</title></head><body><h1>Please sign in to use this network.</h1></body></html>
"""
# What a status is usually sent with; for another one the fault has to name its code.
_CODES = {
    301: "PermanentRedirect",
    304: "NotModified",
    307: "TemporaryRedirect",
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    409: "OperationAborted",
    411: "MissingContentLength",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
}
_CHECKSUM = re.compile(r"x-amz-checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256)")
_ENVELOPE = re.compile(rb"<(?:IsTruncated|Next[A-Za-z]+)>[^<]*</[A-Za-z]+>|<Next[A-Za-z]+/>", re.DOTALL)
_ROW = re.compile(rb"<(Contents|Version|DeleteMarker|Upload|Part|CommonPrefixes)>.*?</\1>", re.DOTALL)


def refusal_of(fault: Fault, now: float) -> ServiceError:
    """The error that a fault stands for."""
    if fault.skew is not None:
        details = {
            "ServerTime": iso8601(now + fault.skew),
            "MaxAllowedSkewMilliseconds": str(SKEW_SECONDS * 1000),
        }
        message = "The difference between the request time and the current time is too large."
        return service_error("RequestTimeTooSkewed", message, details=details)
    code = fault.code
    if code is None:
        code = _CODES.get(fault.status or 0, "InternalError" if (fault.status or 0) >= 500 else "InvalidRequest")
    known = CODES.get(code)
    status = fault.status or (500 if known is None else known[1])
    return service_error(code, _message(fault), status=status)


def instead_of(fault: Fault) -> Response:
    """What is answered with status 200 by a store, or something before it, that did nothing."""
    if fault.answer == "html":
        return html_page()
    code = fault.code or "InternalError"
    return Response(200, {"content-type": "application/xml"}, s3xml.render_error(code, _message(fault)))


def html_page() -> Response:
    """What a portal answers, whatever it is asked for."""
    return Response(200, {"content-type": "text/html; charset=utf-8"}, _HTML)


def headers_of(fault: Fault, now: float) -> dict[str, str]:
    """The headers that a refusal has besides, or in place of, the usual ones."""
    return fault.headers if fault.skew is None else {"date": http_date(now + fault.skew), **fault.headers}


def spoil(response: Response, fault: Fault) -> Response:
    """Make a wrong answer of a right one; a refusal stays what it is."""
    if response.status >= 300:
        return response
    if fault.answer == "wrong_checksum":
        _spoil_checksum(response.headers)
    elif isinstance(response.body, bytes) and response.body:
        response.body = _spoil_list(response.body, fault)
        response.headers["content-length"] = str(len(response.body))
    return response


def _spoil_list(page: bytes, fault: Fault) -> bytes:
    if fault.answer == "cut_list":
        return page[: len(page) * 2 // 3]
    if fault.answer == "unmarked_list":
        return _ENVELOPE.sub(b"", page)
    rows = list(_ROW.finditer(page))
    if rows:
        page = page[: rows[-1].start()] + page[rows[-1].end() :]
    without_token = _ENVELOPE.sub(b"", page)
    end = without_token.rindex(b"</")
    return without_token[:end] + b"<IsTruncated>false</IsTruncated>" + without_token[end:]


def _spoil_checksum(headers: dict[str, str]) -> None:
    names = [name for name in headers if _CHECKSUM.fullmatch(name)]
    for name in names:
        digest, dash, parts = headers[name].partition("-")
        wrong = bytes(byte ^ 0xFF for byte in b64decode(digest))
        headers[name] = b64encode(wrong).decode() + dash + parts
    if not names:
        # No CRC of a body that a test is likely to have.
        headers["x-amz-checksum-crc32"] = b64encode(b"\xff\xff\xff\xfe").decode()
        headers["x-amz-checksum-type"] = "FULL_OBJECT"


def _message(fault: Fault) -> str:
    return "This fault was asked for." if fault.message is None else fault.message
