"""Where a request points: its query, its bucket and its key, decoded once and checked.

Rule 1: a key is percent-decoded exactly once and never normalised: `a//b`, `.`, `..` and `+` stay what they are.
Rule 2: what leaves this file is a legal bucket name and a legal key, so no handler and no store sees anything else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from s3func.errors import ServiceError, service_error
from s3func.server.backend import check_bucket_name, check_key
from s3func.wire.encoding import decode_component

_ADDRESS = re.compile(r"[0-9.]+|\[.*\]|.*:.*:.*")


class Target(NamedTuple):
    """What a request is about: scope is "service", "bucket" or "object".

    tenant: whose bucket it has to be, where the request says so ("tenant:bucket" in the path, as Ceph has it); "" is
    that of users without a tenant, None is anybody's.
    """

    scope: str
    bucket: str = ""
    key: str = ""
    tenant: str | None = None


def parse_query(query: str) -> list[tuple[str, str]]:
    """Decode a query string; as everywhere in S3's field, "+" in a query is a space."""
    try:
        pairs = [pair.partition("=") for pair in query.replace("+", " ").split("&") if pair]
        return [(decode_component(name), decode_component(value)) for name, _, value in pairs]
    except ValueError:
        raise service_error("InvalidURI", "Couldn't parse the query of the specified URI.") from None


def parse_target(path: str, host: str, domains: tuple[str, ...]) -> Target:
    """Take bucket and key from path and Host; both are checked, so that no name leaves the rules of S3 from here on.

    `domains` are those whose sub-domains are buckets; every other host, and every address, is addressed by path.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    if not path.startswith("/") or not path.isascii():
        raise _invalid_uri()
    bucket = _bucket_of_host(host, domains)
    key = path[1:]
    if not bucket:
        bucket, _, key = key.partition("/")
        if not bucket and not key and len(path) == 1:
            return Target("service")
    try:
        bucket, key = decode_component(bucket), decode_component(key)
    except ValueError:
        raise _invalid_uri() from None
    tenant, colon, name = bucket.rpartition(":")
    _check_bucket_name(name)
    if not key:
        return Target("bucket", name, tenant=tenant if colon else None)
    check_key_text(key)
    return Target("object", name, key, tenant if colon else None)


def bucket_of_host(host: str, domains: tuple[str, ...]) -> str:
    """The bucket that a Host names, "" where the bucket is part of the path."""
    name = host.lower()
    head, _, port = name.rpartition(":")
    if head and port.isdecimal():
        name = head
    if _ADDRESS.fullmatch(name) is not None:
        return ""
    for domain in domains:
        if name.endswith(domain) and name[: -len(domain)].endswith("."):
            return name[: -len(domain) - 1]
    return ""


# The same few hosts and buckets are asked for again and again: 1.5 µs less of each request.
_bucket_of_host = lru_cache(maxsize=1024)(bucket_of_host)
_check_bucket_name = lru_cache(maxsize=1024)(check_bucket_name)


def check_key_text(key: str) -> None:
    """Refuse what cannot be a key: NUL in it, or more than 1,024 bytes."""
    if "\0" in key:
        raise service_error("InvalidArgument", "An object key cannot contain a NUL character.")
    check_key(key)


def _invalid_uri() -> ServiceError:
    return service_error("InvalidURI", "Couldn't parse the specified URI.")
