"""How B2, and what stands in front of it, answers when something is wrong: what faults make of right answers.

As of S3 (server/wrong_answers.py), all of it is well-formed HTTP, so that only a client that reads what it got can
notice: half a page, a page that does not say whether another follows, 200 with an error document.
"""

from __future__ import annotations

import json
from typing import Any

from s3func.message import Response
from s3func.server.faults import Fault
from s3func.server.wrong_answers import html_page
from s3func.wire.b2json import CODES, render_error

_ROWS = ("files", "parts", "keys", "buckets")
_PLACES = ("nextFileName", "nextFileId", "nextPartNumber", "nextApplicationKeyId")
_SHA1_HEADERS = ("x-bz-content-sha1", "x-bz-info-large_file_sha1")


def instead_of(fault: Fault) -> Response:
    """What is answered with status 200 by a store, or something before it, that did nothing."""
    if fault.answer == "html":
        return html_page()
    code = fault.code or "internal_error"
    status = CODES[code][1] if code in CODES else 500
    body = render_error(status, code, "This fault was asked for." if fault.message is None else fault.message)
    return Response(200, {"content-type": "application/json"}, body)


def spoil(response: Response, fault: Fault) -> Response:
    """Make a wrong answer of a right one; a refusal stays what it is."""
    if response.status >= 300:
        return response
    headers = response.headers
    is_document = headers.get("content-type") == "application/json" and "x-bz-file-id" not in headers
    if fault.answer == "wrong_checksum":
        for name in _SHA1_HEADERS:
            if name in headers:
                headers[name] = _other(headers[name])
    if is_document and isinstance(response.body, bytes):
        response.body = _spoil_document(response.body, fault)
        headers["content-length"] = str(len(response.body))
    return response


def _spoil_document(page: bytes, fault: Fault) -> bytes:
    if fault.answer == "cut_list":
        return page[: len(page) * 2 // 3]
    document: dict[str, Any] = json.loads(page)
    if fault.answer == "wrong_checksum":
        if isinstance(document.get("contentSha1"), str):
            document["contentSha1"] = _other(document["contentSha1"])
    elif fault.answer == "unmarked_list":
        document = {name: value for name, value in document.items() if name not in _PLACES}
    else:
        document |= {name: None for name in _PLACES if name in document}
        document |= {name: document[name][:-1] for name in _ROWS if name in document}
    return json.dumps(document).encode()


def _other(sha1: str) -> str:
    """Another SHA-1 of the same form; what is none stays what it is."""
    prefix, digits = sha1[:-40], sha1[-40:]
    return sha1 if len(digits) < 40 else prefix + ("0" if digits[0] != "0" else "1") + digits[1:]
