"""Signature Version 2 for S3, which old clients still send: HMAC-SHA1 over a few lines of the request.

Pure functions: no clock, no environment, no I/O. Checked against published vectors and botocore
(tests/wire/test_sigv2.py). s3func itself signs with version 4; this is what the server needs.
Rule 1: the body is not covered, and of the headers only Content-MD5, Content-Type, Date and x-amz-…; of the query only
        what is in SUB_RESOURCES.
Rule 2: names and values of the query come in decoded, the path as it stood on the wire, with the bucket before it.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

SUB_RESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""The query parameters that are signed: the documented ones and those of botocore."""

_AUTHORIZATION = re.compile(r"AWS ([^\s]+):([^\s:]+)[ \t]*", re.ASCII)
_QUERY = ("AWSAccessKeyId", "Expires", "Signature")


class Authorization(NamedTuple):
    """What a request says about its signature. `expires`: the text of a presigned URL's Expires, None in a header."""

    access_key_id: str
    signature: str
    expires: str | None = None


def canonical_amz_headers(headers: Mapping[str, str]) -> str:
    """One "name:value" line per x-amz-… header, sorted; names are lower-case, a repeated header is one value."""
    return "".join([f"{name}:{_trimmed(headers[name])}\n" for name in sorted(headers) if name.startswith("x-amz-")])


def canonical_resource(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The path and the signed parameters, sorted by name; one without a value is its name alone."""
    signed = sorted([pair for pair in parameters if pair[0] in SUB_RESOURCES], key=lambda pair: pair[0])
    query = "&".join([f"{name}={value}" if value else name for name, value in signed])
    return f"{path}?{query}" if query else path


def string_to_sign(
    method: str,
    path: str,
    parameters: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    expires: str | None = None,
) -> str:
    """What is signed.

    path: "/bucket/key" as on the wire, the bucket before it also where it is part of the host.
    expires: for a presigned URL the text of its Expires, which stands in the place of the date. What the signer put
    into the query of such a URL in the place of headers (x-amz-acl, content-type) counts as headers.
    """
    if expires is not None:
        in_query = {name.lower(): value for name, value in parameters}
        moved = ("content-md5", "content-type")
        given = {name: value for name, value in in_query.items() if name.startswith("x-amz-") or name in moved}
        headers = {**given, **headers}
        date = expires
    else:
        # x-amz-date is signed as a header; the other date then counts for nothing.
        date = "" if "x-amz-date" in headers else headers.get("date", "").strip()
    return (
        f"{method}\n"
        f"{headers.get('content-md5', '').strip()}\n"
        f"{headers.get('content-type', '').strip()}\n"
        f"{date}\n"
        f"{canonical_amz_headers(headers)}{canonical_resource(path, parameters)}"
    )


def signature(secret_access_key: str, text: str) -> str:
    """The signature: base64 of an HMAC-SHA1, 28 characters."""
    return b64encode(hmac.digest(secret_access_key.encode(), text.encode(), "sha1")).decode("ascii")


def authorization_header(access_key_id: str, signed: str) -> str:
    """The value of the Authorization header."""
    return f"AWS {access_key_id}:{signed}"


def parse_authorization(header: str) -> Authorization:
    """Take an Authorization header apart; a malformed one is a ValueError. A key id may contain ":"."""
    match = _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise ValueError("malformed Authorization header")
    return Authorization(match[1], match[2])


def parse_query(parameters: Iterable[tuple[str, str]]) -> Authorization | None:
    """What a presigned URL of this version says about its signature, None where it is no such URL.

    Raises ValueError where one of its three parameters is missing or given twice, or Expires is no whole number.
    """
    found = [(name, value) for name, value in parameters if name in _QUERY]
    given = dict(found)
    if "AWSAccessKeyId" not in given and "Signature" not in given:
        return None
    if len(found) != len(_QUERY) or len(given) != len(_QUERY):
        raise ValueError(f"a presigned URL has {', '.join(_QUERY)}, each exactly once")
    if re.fullmatch("[0-9]{1,12}", given["Expires"]) is None:
        raise ValueError("Expires is not a whole number of seconds since the epoch")
    return Authorization(given["AWSAccessKeyId"], given["Signature"], given["Expires"])


def presigned_parameters(access_key_id: str, expires: str, signed: str) -> list[tuple[str, str]]:
    """What a presigned URL has in its query beside the request's own parameters."""
    return [("AWSAccessKeyId", access_key_id), ("Expires", expires), ("Signature", signed)]


def _trimmed(value: str) -> str:
    # A value that was folded over several lines is one line again.
    return re.sub(r"\r?\n[ \t]+", " ", value).strip()
