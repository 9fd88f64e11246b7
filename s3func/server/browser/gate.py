"""What a request says about where it comes from: a client of S3, a browser, another site, another machine."""

from __future__ import annotations

import re

from s3func.message import Request
from s3func.server.control import is_local

_RANGE = re.compile(r"(?:[!#$%&'*+.^_`|~A-Za-z0-9-]+)/(?:[!#$%&'*+.^_`|~A-Za-z0-9-]+)", re.ASCII)
_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)
# What a program that passes requests on adds to them.
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_OF_SIGNED_URLS = frozenset({"AWSAccessKeyId", "Signature"})


def prefers_html(accept: str) -> bool:
    """Whether an Accept names HTML itself, and nothing that an S3 server could send rather.

    Java's own client asks for text/html first, too; it also writes a "*" that is no media range, as no browser does.
    """
    qualities: dict[str, float] = {}
    for each in accept.split(","):
        media, *parameters = [part.strip() for part in each.split(";")]
        if _RANGE.fullmatch(media) is None:
            return False
        quality = 1.0
        for parameter in parameters:
            match = _QUALITY.fullmatch(parameter.lower().replace(" ", ""))
            if match is not None:
                quality = float(match[1])
        qualities[media.lower()] = quality
    html = qualities.get("text/html", 0.0)
    others = ("application/xml", "text/xml", "application/json", "*/*")
    return html > 0 and all(qualities.get(other, 0.0) < html for other in others)


def is_for_s3(request: Request) -> bool:
    """Whether a request is signed, or carries what only clients of S3 and B2 send."""
    # By their names: a key of an object may look like anything.
    names = [pair.partition("=")[0] for pair in request.query.split("&")]
    if any(name in _OF_SIGNED_URLS or name.lower().startswith("x-amz-") for name in names):
        return True
    return any(name == "authorization" or name.startswith(("x-amz-", "amz-sdk-", "x-bz-")) for name in request.headers)


def is_from_this_machine(request: Request) -> bool:
    """Whether it comes from this machine, by a name that only this machine has, and nobody has passed it on."""
    host = host_of(request).lower()
    head, _, port = host.rpartition(":")
    name = head if head and port.isdecimal() else host
    if name != "localhost" and not is_local(name.removeprefix("[").removesuffix("]")):
        return False
    return is_local(request.peer) and not any(name in request.headers for name in _PASSED_ON)


def is_exposed(request: Request) -> bool:
    """Whether it came over a network unencrypted, for all that is known."""
    is_encrypted = request.origin.startswith("https:") or request.headers.get("x-forwarded-proto") == "https"
    return not (is_encrypted or is_from_this_machine(request))


def is_of_another_site(request: Request) -> bool:
    """Whether another site has caused it, otherwise than by a link that somebody has followed.

    Browsers tell this of secure connections and of this machine. https://www.w3.org/TR/fetch-metadata/
    """
    headers = request.headers
    if headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return False
    follows = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return not follows or request.method == "POST"


def host_of(request: Request) -> str:
    """The host, with its port, that the request names."""
    host = request.headers.get("host")
    return request.origin.partition("://")[2] if host is None else host
