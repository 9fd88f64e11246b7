"""How a pool gets out of the house: through which proxy, and by whose certificates a store is known.

The variables are those that every HTTP client obeys: HTTPS_PROXY, HTTP_PROXY, NO_PROXY (lower-case ones go first) and
REQUESTS_CA_BUNDLE. The user and password of a proxy are in its header only, never in a repr or an error.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXY = (
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?:(?P<user>[^/?#@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)(?::(?P<port>[0-9]{1,5}))?/?"
)


class Proxy(NamedTuple):
    """One proxy. `authorization` is the value of its Proxy-Authorization header, or empty."""

    scheme: str
    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.host}:{self.port})"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class Network(NamedTuple):
    """A certificate file or folder in place of the machine's own, the proxies by scheme, and the hosts without one."""

    ca_bundle: str | None = None
    http_proxy: Proxy | None = None
    https_proxy: Proxy | None = None
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy on the way to a host, None for the direct way; `host` without the brackets of IPv6."""
        proxy = self.https_proxy if scheme == "https" else self.http_proxy
        if proxy is None or any(_covers(pattern, host.lower(), port) for pattern in self.no_proxy):
            return None
        return proxy


DIRECT = Network()


def network_of(environment: Mapping[str, str], ca_bundle: str | None = None) -> Network:
    """What the environment says; `ca_bundle` goes before REQUESTS_CA_BUNDLE. ValueError names a proxy that is none."""
    bundle = ca_bundle or environment.get("REQUESTS_CA_BUNDLE") or None
    if bundle is not None and not os.path.exists(bundle):
        raise ValueError(f"the certificates {bundle!r} (AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE) are not there")
    https = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
    http = environment.get("http_proxy")
    if not http and "REQUEST_METHOD" not in environment:
        # In a CGI program HTTP_PROXY is a header that anybody may send. https://httpoxy.org
        http = environment.get("HTTP_PROXY")
    if not https and not http:
        return DIRECT if bundle is None else Network(bundle)
    names = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    patterns = tuple(name.lower() for name in names.replace(",", " ").split())
    return Network(bundle, _proxy("HTTP_PROXY", http), _proxy("HTTPS_PROXY", https), patterns)


def _proxy(name: str, url: str | None) -> Proxy | None:
    if not url:
        return None
    match = re.fullmatch(_PROXY, url.strip())
    # Not quoted: it may hold a password.
    if match is None:
        raise ValueError(f"{name} must be http://[user:password@]host[:port]")
    scheme = (match["scheme"] or "http").lower()
    if scheme not in {"http", "https"}:
        raise ValueError(f"{name} is a {scheme} proxy; http and https proxies are supported")
    port = int(match["port"] or (443 if scheme == "https" else 80))
    if not 1 <= port <= 65535:
        raise ValueError(f"{name} has a port that does not exist")
    authorization = ""
    if match["user"] is not None:
        from binascii import b2a_base64
        from urllib.parse import unquote

        user, _, password = match["user"].partition(":")
        plain = f"{unquote(user)}:{unquote(password)}".encode()
        authorization = f"Basic {b2a_base64(plain, newline=False).decode()}"
    return Proxy(scheme, match["host"].strip("[]").lower(), port, authorization)


def _covers(pattern: str, host: str, port: int) -> bool:
    """Whether a part of NO_PROXY is about a host: `*`, a name, a domain, an address, a network, each maybe with a port."""
    if pattern == "*":
        return True
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdecimal() and "]" not in number and (name.count(":") == 0 or name.endswith("]")):
        if int(number) != port:
            return False
        pattern = name
    pattern = pattern.strip("[]")
    if "/" in pattern:
        from ipaddress import ip_address, ip_network

        try:
            return ip_address(host) in ip_network(pattern, strict=False)
        except ValueError:
            return False
    pattern = pattern.removeprefix("*").lstrip(".")
    return pattern != "" and (host == pattern or host.endswith(f".{pattern}"))
