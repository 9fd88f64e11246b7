"""Cross-origin requests: which rule of a bucket lets the page of another origin in, and the headers that tell a browser.

Rule 1: CORS says what a browser may show a page, never what a request may do: an answer is the same with and without.
Rule 2: a preflight is asked by a browser on its own, so nobody signs it, and it says nothing about objects.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from s3func.errors import ServiceError, service_error
from s3func.message import Request, Response
from s3func.server.backend import Backend
from s3func.wire.s3xml_config import CORSRule, parse_cors

CORS = "cors"
"""The name of the bucket's document."""

_METHOD = "access-control-request-method"
_HEADERS = "access-control-request-headers"
_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


def preflight(request: Request, backend: Backend, bucket: str) -> Response:
    """The answer to OPTIONS. Raises InvalidRequest (BadRequest), AccessDenied (AccessForbidden), NoSuchBucket.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
    """
    origin, method = request.headers.get("origin"), request.headers.get(_METHOD)
    if not origin:
        raise service_error("BadRequest", "Insufficient information. Origin request header needed.", status=400)
    if not method:
        raise service_error("BadRequest", "Invalid Access-Control-Request-Method: null", status=400)
    document = backend.get_bucket(bucket).documents.get(CORS) if bucket else None
    if document is None:
        raise _forbidden("CORSResponse: CORS is not enabled for this bucket.", method)
    asked = [name.strip().lower() for name in request.headers.get(_HEADERS, "").split(",") if name.strip()]
    rule = find_rule(_rules(document), origin, method, asked)
    if rule is None:
        raise _forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "
            "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
            "resource's CORS spec.",
            method,
        )
    headers = rule_headers(rule, origin)
    if asked:
        headers["access-control-allow-headers"] = ", ".join(asked)
    if rule.max_age_seconds is not None:
        headers["access-control-max-age"] = str(rule.max_age_seconds)
    return Response(200, headers)


def actual_headers(request: Request, backend: Backend, bucket: str) -> dict[str, str]:
    """What the answer to a request with an Origin says besides, {} where no rule lets the origin in."""
    try:
        document = backend.get_bucket(bucket).documents.get(CORS)
    except ServiceError:
        # That there is no such bucket is for the answer itself to say.
        return {}
    if document is None:
        return {}
    origin = request.headers["origin"]
    rule = find_rule(_rules(document), origin, request.headers.get(_METHOD) or request.method, ())
    return {} if rule is None else rule_headers(rule, origin)


def find_rule(rules: Sequence[CORSRule], origin: str, method: str, headers: Sequence[str]) -> CORSRule | None:
    """The first rule that allows all of it. headers: lower-case names that the page wants to send."""
    for rule in rules:
        if (
            method in rule.allowed_methods
            and any(_matches(pattern, origin) for pattern in rule.allowed_origins)
            and all(any(_matches(pattern.lower(), name) for pattern in rule.allowed_headers) for name in headers)
        ):
            return rule
    return None


def rule_headers(rule: CORSRule, origin: str) -> dict[str, str]:
    """What a browser is told of a rule that lets the origin in."""
    headers = {
        "access-control-allow-origin": "*" if "*" in rule.allowed_origins else origin,
        "access-control-allow-methods": ", ".join(rule.allowed_methods),
        "vary": _VARY,
    }
    if rule.expose_headers:
        headers["access-control-expose-headers"] = ", ".join(rule.expose_headers)
    if "*" not in rule.allowed_origins:
        headers["access-control-allow-credentials"] = "true"
    return headers


def _matches(pattern: str, text: str) -> bool:
    """Whether the text is the pattern, in which one "*" stands for any characters."""
    head, star, tail = pattern.partition("*")
    if not star:
        return text == pattern
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


@lru_cache(maxsize=64)
def _rules(document: str) -> tuple[CORSRule, ...]:
    return tuple(parse_cors(document.encode()))


def _forbidden(message: str, method: str) -> ServiceError:
    details: Mapping[str, str] = {"Method": method[:40], "ResourceType": "OBJECT"}
    return service_error("AccessForbidden", message, status=403, details=dict(details))
