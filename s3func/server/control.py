"""Faults and the journal over HTTP, for tests in another process or language.

    POST   /-/faults        a JSON object with the arguments of `Faults.add`; 201 and the fault with its id
    GET    /-/faults        all of them, with how often they matched and fired
    DELETE /-/faults[/ID]   all of them, or one
    GET    /-/journal       ?operation=&bucket=&key= patterns; the entries, oldest first
    DELETE /-/journal       forget the entries
    POST   /-/b2/faults, POST /-/b2/wire-faults, GET /-/b2/journal    the same in the words of Backblaze's own harness

Rule 1: it exists only where it was asked for (`S3App(control=True)`, `s3func serve --faults`).
Rule 2: it is for this machine: another peer, a Host that is another's name, and anything that a web page in a browser
        sent (they all have an Origin) are refused. There are no keys to it.
Rule 3: no bucket can be called "-", so nothing of a store is hidden by it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from s3func.errors import ServiceError
from s3func.message import Request, Response
from s3func.server.addressing import parse_query
from s3func.server.faults import Faults
from s3func.server.journal import Journal

PREFIX = "/-/"
DOCUMENT_BYTES_MAX = 64 * 1024

_ARGUMENTS = frozenset(inspect.signature(Faults.add).parameters) - {"self"}

UPLOAD_URL = "uploadUrlId"
"""What the journal calls the place that an upload went to, in a call's query."""
_WIRE_FAULTS: dict[str, dict[str, Any]] = {
    "reset-before-response": {"reset": "after"},
    "reset-mid-request": {"cut_request": 1},
    "stall": {},
}


class Control:
    """Answers what is below PREFIX."""

    def __init__(self, faults: Faults, journal: Journal) -> None:
        self._faults = faults
        self._journal = journal

    def handle(self, request: Request, path: str) -> Response:
        """Answer a request whose path, without what is mounted around this server, begins with PREFIX."""
        refused = _refusal(request)
        if refused:
            return _answer(403, {"error": refused})
        name, _, rest = path.removeprefix(PREFIX).partition("/")
        try:
            if name == "faults":
                return self._of_faults(request, rest)
            if name == "journal" and not rest:
                return self._of_journal(request)
            if name == "b2":
                return self._of_b2(request, rest)
        except (ValueError, TypeError, ServiceError) as error:
            return _answer(400, {"error": str(error)})
        except RecursionError:
            return _answer(400, {"error": "a fault is a JSON object"})
        return _answer(404, {"error": "there are /-/faults and /-/journal"})

    def _of_faults(self, request: Request, number: str) -> Response:
        if request.method == "GET" and not number:
            return _answer(200, {"faults": [fault.describe() for fault in self._faults]})
        if request.method == "POST" and not number:
            arguments = json.loads(_body(request))
            if not isinstance(arguments, dict):
                raise ValueError("a fault is a JSON object")
            unknown = arguments.keys() - _ARGUMENTS
            if unknown:
                raise ValueError(f"{', '.join(sorted(unknown))}: a fault has {', '.join(sorted(_ARGUMENTS))}")
            return _answer(201, self._faults.add(**arguments).describe())
        if request.method == "DELETE":
            if not number:
                self._faults.clear()
                return _answer(200, {"faults": []})
            fault = self._faults.find(int(number)) if number.isdecimal() and len(number) < 20 else None
            if fault is None:
                return _answer(404, {"error": f"there is no fault {number}"})
            fault.remove()
            return _answer(200, fault.describe())
        return _not_allowed(("GET", "POST", "DELETE") if not number else ("DELETE",))

    def _of_journal(self, request: Request) -> Response:
        if request.method == "GET":
            patterns = dict(parse_query(request.query))
            unknown = patterns.keys() - {"operation", "bucket", "key"}
            if unknown:
                raise ValueError(f"{', '.join(sorted(unknown))}: a journal is filtered by operation, bucket and key")
            entries = self._journal.entries(
                patterns.get("operation", "*"), bucket=patterns.get("bucket", "*"), key=patterns.get("key", "*")
            )
            return _answer(200, {"entries": [entry._asdict() for entry in entries]})
        if request.method == "DELETE":
            self._journal.clear()
            return _answer(200, {"entries": []})
        return _not_allowed(("GET", "DELETE"))

    def _of_b2(self, request: Request, name: str) -> Response:
        """`{on, status, code, count, retryAfter}`, `{on, kind, ms, count}`, and entries with an endpoint each."""
        if name == "journal" and request.method == "GET":
            rows = enumerate(self._journal.entries("b2_*"), 1)
            entries = [
                {"seq": seq, "endpoint": each.operation, "status": each.status, "fault": each.fault or None}
                | {"uploadUrlId": each.query.get(UPLOAD_URL)}
                for seq, each in rows
            ]
            return _answer(200, {"entries": entries})
        if name not in {"faults", "wire-faults"} or request.method != "POST":
            return _answer(404, {"error": "there are faults, wire-faults and journal"})
        asked = json.loads(_body(request))
        if not isinstance(asked, dict) or not isinstance(asked.get("on"), str):
            raise ValueError("on: the name of a call is missing")  # noqa: TRY004 -- a mistake of the other side
        arguments: dict[str, Any] = {
            "operation": f"b2_{asked['on'].removeprefix('b2_')}",
            "times": asked.get("count", 1),
        }
        if name == "faults":
            arguments |= {"status": asked.get("status"), "code": asked.get("code")}
            if asked.get("retryAfter") is not None:
                arguments["headers"] = {"retry-after": str(asked["retryAfter"])}
        else:
            kind = asked.get("kind")
            if kind not in _WIRE_FAULTS:
                raise ValueError(f"kind: one of {', '.join(_WIRE_FAULTS)}")
            arguments |= _WIRE_FAULTS[kind]
            if kind == "stall":
                arguments["delay"] = asked.get("ms", 1000) / 1000
        return _answer(201, self._faults.add(**arguments).describe())


def is_local(address: str) -> bool:
    """Whether an address is one of this machine alone."""
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refusal(request: Request) -> str:
    """Why this request may not have it; "" if it may."""
    host = request.headers.get("host", "").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if not is_local(request.peer):
        return "faults and the journal are for this machine only"
    if name != "localhost" and not is_local(name.removeprefix("[").removesuffix("]")):
        return "faults and the journal are asked for at localhost, or at a loopback address"
    if "origin" in request.headers:
        return "faults and the journal are not for browsers"
    return ""


def _body(request: Request) -> bytes:
    body = request.body
    if isinstance(body, bytes):
        return body
    blocks: Any = body.blocks() if not hasattr(body, "read") else iter(lambda: body.read(DOCUMENT_BYTES_MAX), b"")
    collected = bytearray()
    for block in blocks:
        collected += block
        if len(collected) > DOCUMENT_BYTES_MAX:
            raise ValueError("that is no fault: it is too long")
    return bytes(collected)


def _answer(status: int, document: dict[str, Any]) -> Response:
    body = json.dumps(document).encode() + b"\n"
    headers = {"content-type": "application/json", "cache-control": "no-store", "content-length": str(len(body))}
    return Response(status, headers, body)


def _not_allowed(methods: Sequence[str]) -> Response:
    response = _answer(405, {"error": f"here are {', '.join(methods)}"})
    response.headers["allow"] = ", ".join(methods)
    return response
