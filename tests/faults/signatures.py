"""Whose signature a request carries, by botocore, which shares no code with us."""

from __future__ import annotations

import re
from hashlib import sha256

import botocore.auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from tests.faults.scripted import Exchange


def is_signed(
    exchange: Exchange, key_id: str, secret: str, *, token: str | None = None, region: str = "us-east-1"
) -> bool:
    """Whether the request is signed with these keys for this region, at the time in its own x-amz-date."""
    headers = exchange.headers
    match = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request, "
        "SignedHeaders=([^ ]+), Signature=([0-9a-f]{64})",
        headers.get("authorization", ""),
    )
    if match is None or headers.get("x-amz-security-token") != token:
        return False
    signer, date, scope_region, names, signature = match.groups()
    signed = {name: headers[name] for name in names.split(";")}
    if not {name for name in headers if name.startswith("x-amz-")} | {"host"} <= signed.keys():
        return False
    if headers["x-amz-content-sha256"] not in {"UNSIGNED-PAYLOAD", sha256(exchange.body).hexdigest()}:
        return False
    request = AWSRequest(exchange.method, f"http://{headers['host']}{exchange.target}", signed)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = botocore.auth.S3SigV4Auth(Credentials(key_id, secret), "s3", region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return (key_id, headers["x-amz-date"][:8], region, expected) == (signer, date, scope_region, signature)
