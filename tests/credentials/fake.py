"""What credentials are asked of, all in one server on loopback: instance metadata, container, STS, SSO and its OIDC.

It counts what it is asked, checks signatures with botocore, which shares no code with us, and fails on request.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

import botocore.auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as TheirCredentials  # type: ignore[import-untyped]

from s3func.wire.encoding import parse_amz_date

SECRETS = ("S3KRIT", "T0KEN")
"""In every secret key and every token that this server gives, so that a test can look for them."""


class Answer(NamedTuple):
    """What is answered in place of the usual."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Fake:
    """The server. `now` is its clock; credentials live for `life` seconds; `faults` answers by the name of an operation."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.life = 3600.0
        self.faults: dict[str, Answer | Callable[[], Answer | None]] = {}
        self.counts: Counter[str] = Counter()
        self.calls: list[dict[str, str]] = []
        self.sends_date = True
        self.hold = threading.Event()
        self.hold.set()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                fake.hold.wait(30)
                answer = fake.answer(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                self.send_response_only(answer.status)
                if fake.sends_date:
                    self.send_header("date", formatdate(fake.now(), usegmt=True))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                # Other clients keep theirs open, and with it a thread of this server.
                self.send_header("connection", "close")
                self.close_connection = True
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = answer  # noqa: N815 -- the names of the standard library

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, *services: str) -> dict[str, str]:
        """The variables that lead to these parts of the server."""
        variables = {
            "imds": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url},
            "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container"},
            "sts": {"AWS_ENDPOINT_URL_STS": self.url},
            "sso": {"AWS_ENDPOINT_URL_SSO": self.url, "AWS_ENDPOINT_URL_SSO_OIDC": self.url},
        }
        return {name: value for service in services for name, value in variables[service].items()}

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        name, usual = self._find(method, parts.path, dict(parse_qsl(parts.query)), headers, body)
        with self._lock:
            self.counts[name] += 1
            number = self.counts[name]
        fault = self.faults.get(name)
        answer = fault() if callable(fault) else fault
        return usual(number) if answer is None else answer

    def _find(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> tuple[str, Callable[[int], Answer]]:
        if path == "/latest/api/token" and method == "PUT":
            assert "21600" == headers["x-aws-ec2-metadata-token-ttl-seconds"]
            return "imds token", lambda _: Answer(200, b"IMDS-TOKEN")
        if path.startswith("/latest/meta-data/"):
            v2 = headers.get("x-aws-ec2-metadata-token") == "IMDS-TOKEN"
            if path.endswith("/placement/region"):
                return "region", lambda _: Answer(200, b"eu-central-1")
            if path.endswith("/security-credentials/"):
                return f"imds role v{1 + v2}", lambda _: Answer(200, b"the-role")
            assert path.endswith("/the-role")
            return f"imds v{1 + v2}", lambda number: self._json("IMDS", number, Code="Success")
        if path == "/container":
            with self._lock:
                self.calls.append({"authorization": headers.get("authorization", "")})
            return "container", lambda number: self._json("CONTAINER", number)
        if path == "/federation/credentials":
            with self._lock:
                self.calls.append({**query, "token": headers["x-amz-sso_bearer_token"]})
            return "sso", self._sso
        if path == "/token" and method == "POST":
            with self._lock:
                self.calls.append(json.loads(body))
            return "oidc", lambda _: Answer(
                200, b'{"accessToken": "NEW-T0KEN", "expiresIn": 28800, "refreshToken": "R2"}'
            )
        assert (method, path) == ("POST", "/"), (method, path)
        call = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        call["signer"] = self._signer(headers, body)
        with self._lock:
            self.calls.append(call)
        if call["signer"] and abs(parse_amz_date(headers["x-amz-date"]) - self.now()) > 900:
            return "too late", lambda _: refused("SignatureDoesNotMatch", "Signature expired: it is too late")
        return call["Action"], lambda number: self._sts(call["Action"], number)

    def _signer(self, headers: dict[str, str], body: bytes) -> str:
        """Who signed, after botocore made the same signature; "" for nobody."""
        given = headers.get("authorization", "")
        if not given:
            return ""
        match = re.search(r"Credential=([^/]+)/\d+/([^/]+)/sts/.*SignedHeaders=([^,]+)", given)
        assert match is not None
        key_id, region, names = match.groups()
        request = AWSRequest("POST", f"{self.url}/", data=body)
        for name in names.split(";"):
            if name != "host":
                request.headers[name] = headers[name]
        request.headers["host"] = headers["host"]
        request.context["timestamp"] = headers["x-amz-date"]
        secret = "base/S3KRIT" if key_id.startswith("BASE") else f"{key_id}/S3KRIT"
        signer = botocore.auth.SigV4Auth(TheirCredentials(key_id, secret), "sts", region)
        canonical = signer.canonical_request(request)
        string = signer.string_to_sign(request, canonical)
        assert given.endswith(f"Signature={signer.signature(string, request)}")
        assert headers.get("x-amz-security-token", "").startswith("" if key_id.startswith("BASE") else key_id)
        return key_id

    def _json(self, name: str, number: int, **more: Any) -> Answer:
        said = {
            "AccessKeyId": f"{name}{number}",
            "SecretAccessKey": f"{name}{number}/S3KRIT",
            "Token": f"{name}{number}/T0KEN",
            "Expiration": self._end(),
            **more,
        }
        return Answer(200, json.dumps(said).encode())

    def _sso(self, number: int) -> Answer:
        said = {
            "accessKeyId": f"SSO{number}",
            "secretAccessKey": f"SSO{number}/S3KRIT",
            "sessionToken": f"SSO{number}/T0KEN",
            "expiration": int((self.now() + self.life) * 1000),
        }
        return Answer(200, json.dumps({"roleCredentials": said}).encode())

    def _sts(self, action: str, number: int) -> Answer:
        name = {"AssumeRole": "ROLE", "AssumeRoleWithWebIdentity": "WEB"}[action] + str(number)
        return Answer(
            200,
            f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>"
            f"<AccessKeyId>{name}</AccessKeyId><SecretAccessKey>{name}/S3KRIT</SecretAccessKey>"
            f"<SessionToken>{name}/T0KEN</SessionToken><Expiration>{self._end()}</Expiration>"
            f"</Credentials></{action}Result></{action}Response>".encode(),
        )

    def _end(self) -> str:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self.now() + self.life, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(code: str, message: str, status: int = 403) -> Answer:
    """An error document of STS."""
    return Answer(
        status,
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>r</RequestId></ErrorResponse>".encode(),
    )
