"""A recorded case: its files under a root of our own, its environment, and its HTTP traffic played back in order."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from s3func.errors import ConnectError
from s3func.message import Request, Response
from s3func.s3.config import read_settings
from s3func.s3.credentials.chain import Surroundings
from s3func.s3.credentials.files import load_profile
from s3func.transport.network import Network
from s3func.transport.timeouts import Timeouts
from tests.s3.rigs import FrozenClock, body_bytes

THEN = 1_200_000_000.0
"""2008: before every expiration that was recorded."""
# What identifies a request besides its address; what the recording SDK added for itself does not count.
_TOKENS = ("x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds", "x-amz-sso_bearer_token")


class Exchange(NamedTuple):
    """A request as it was recorded, and its answer; None when there was none."""

    method: str
    url: str
    tokens: dict[str, str]
    action: str
    status: int | None
    headers: dict[str, str]
    body: bytes


def exchanges(traffic: list[dict[str, Any]]) -> list[Exchange]:
    """The events of http-traffic.json, put together by connection."""
    by_connection: dict[int, dict[str, Any]] = {}
    for event in traffic:
        known = by_connection.setdefault(event["connection_id"], {"sent": "", "answered": ""})
        kind, content = next(iter(event["action"].items()))
        if kind == "Request":
            known["request"] = content["request"]
        elif kind == "Response":
            known["response"] = content["response"]
        elif kind == "Data":
            known["sent" if content["direction"] == "Request" else "answered"] += content["data"].get("Utf8", "")
    found = []
    for number in sorted(by_connection):
        known = by_connection[number]
        request, response = known["request"], known["response"].get("Ok")
        headers = {name.lower(): values[0] for name, values in request["headers"].items()}
        answered = {} if response is None else {n.lower(): v[0] for n, v in response["headers"].items()}
        # Of the years in which the cases were recorded; every clock here stands in another one.
        answered.pop("date", None)
        found.append(
            Exchange(
                request["method"],
                request["uri"],
                {name: headers[name] for name in _TOKENS if name in headers},
                parse_qs(known["sent"]).get("Action", [""])[0],
                None if response is None else response["status"],
                answered,
                known["answered"].encode(),
            )
        )
    return found


def canonical(url: str) -> tuple[str, str, str, dict[str, list[str]]]:
    """An address without what makes no difference: the order of its query, and the path of an origin."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path or "/", parse_qs(parts.query)


class Replay:
    """A transport that answers what was recorded, as long as it is asked what was recorded, and in that order."""

    def __init__(self, recorded: list[Exchange]) -> None:
        self.left = list(recorded)
        self.asked: list[str] = []
        self.limits: list[tuple[Timeouts, Network]] = []

    def transport(self, timeouts: Timeouts, network: Network) -> Replay:
        """Takes the place of the pool."""
        self.limits.append((timeouts, network))
        return self

    def __call__(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.origin}{request.target}")
        if not self.left:
            raise ConnectError("nothing more was recorded")
        expected = self.left.pop(0)
        assert (expected.method, canonical(expected.url)) == (
            request.method,
            canonical(f"{request.origin}{request.target}"),
        )
        assert expected.tokens == {name: request.headers[name] for name in _TOKENS if name in request.headers}
        assert expected.action == parse_qs(body_bytes(request.body).decode()).get("Action", [""])[0]
        if expected.action:
            assert (expected.action == "AssumeRole") == ("authorization" in request.headers)
        if expected.status is None:
            raise ConnectError("the connection was refused when this was recorded")
        return Response(expected.status, dict(expected.headers), expected.body)

    def close(self) -> None:
        """Nothing is open."""


class Case(NamedTuple):
    """One folder of the recorded cases."""

    folder: Path

    @property
    def expected(self) -> dict[str, Any]:
        """{"Ok": credentials} or {"ErrorContains": text of the recording SDK}."""
        result: dict[str, Any] = json.loads((self.folder / "test-case.json").read_text())["result"]
        return result

    def traffic(self) -> list[Exchange]:
        """What was recorded."""
        return exchanges(json.loads((self.folder / "http-traffic.json").read_text())["events"])

    def surroundings(self, root: Path, replay: Replay, *, profile_only: bool) -> Surroundings:
        """Its environment and files, below `root`: absolute paths in both are moved there."""
        environment: dict[str, str] = json.loads((self.folder / "env.json").read_text())
        for path in sorted((self.folder / "fs").rglob("*")):
            if path.is_file():
                moved = root / path.relative_to(self.folder / "fs")
                moved.parent.mkdir(parents=True, exist_ok=True)
                moved.write_text(re.sub(r"= */token", f"= {root}/token", path.read_text()))
        environment = {
            name: f"{root}{value}" if name in {"HOME", *_PATHS} else value for name, value in environment.items()
        }
        environment.setdefault("HOME", str(root))
        if profile_only:
            environment["AWS_EC2_METADATA_DISABLED"] = "true"
        profile, files = load_profile(None, environment)
        settings = read_settings(environment, profile, files)
        return Surroundings(
            environment, profile, files, profile_only, settings, None, FrozenClock(THEN), replay.transport
        )


_PATHS = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
