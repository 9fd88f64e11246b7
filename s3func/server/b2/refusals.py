"""How B2 says no: its own codes, and what the errors of a store are called in it."""

from __future__ import annotations

from collections.abc import Mapping

from s3func.errors import ServiceError
from s3func.server.refusal import Refusal
from s3func.wire.b2json import CODES, render_error, typed_error

# The codes of the store's errors, and B2's for the same.
_OF_THE_STORE: Mapping[str, str] = {
    "BucketAlreadyExists": "duplicate_bucket_name",
    "BucketAlreadyOwnedByYou": "duplicate_bucket_name",
    "BucketNotEmpty": "cannot_delete_non_empty_bucket",
    "AccessDenied": "access_denied",
    "InvalidRange": "range_not_satisfiable",
    "MethodNotAllowed": "not_found",
    "NoSuchBucket": "bad_bucket_id",
    "NoSuchKey": "not_found",
    "NoSuchVersion": "not_found",
    "RequestTimeout": "request_timeout",
}


def refuse(code: str, message: str) -> ServiceError:
    """The error of a code of B2's, with its status."""
    return typed_error(CODES[code][1], code, message)


def bad_request(message: str) -> ServiceError:
    """The usual error: something in the request makes no sense."""
    return refuse("bad_request", message)


def refusal_of(error: ServiceError) -> Refusal:
    """The answer that an error is, in B2's words also where the store raised it."""
    code, status = error.code, error.status
    if code in _OF_THE_STORE:
        code = _OF_THE_STORE[code]
        status = CODES[code][1]
    elif code[:1].isupper():
        code, status = ("internal_error", 500) if status >= 500 else ("bad_request", 400)
    headers = {**error.headers, "content-type": "application/json"}
    return Refusal(status, headers, render_error(status, code, error.message or ""), code)
