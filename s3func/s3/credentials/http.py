"""The small requests that credentials are asked for with: instance metadata, containers, STS, SSO.

Each goes over a connection of its own, with short limits, and not through the session: a store's retries, deadlines and
signatures are none of theirs. What is at a link-local address is never asked through a proxy.
The answers say what time it is there, so that credentials of an hour last an hour on a machine whose clock is wrong.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.errors import CredentialsError, TransportError
from s3func.message import Request
from s3func.transport.network import Network, network_of
from s3func.transport.timeouts import Timeouts
from s3func.wire.encoding import parse_http_date, parse_iso8601

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import Transport
    from s3func.s3.credentials.chain import Surroundings

ANSWER_MAX = 1024 * 1024
SERVICE_SECONDS = 10.0
"""How long STS and SSO may take to connect, and then to answer."""
_ATTEMPTS = 3
_BASE_SECONDS = 0.25
# How often the limit of a single step the whole of an attempt may take.
_WHOLE = 3.0
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
# What a clock may be wrong by without a signature being refused, and without an hour being noticeably shorter.
_SKEW_SECONDS = 60.0
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)(?P<port>:[0-9]{1,5})?"
    r"(?P<path>/[!-~]*?)?(?:\?(?P<query>[!-~]*))?",
    re.IGNORECASE,
)


class Url(NamedTuple):
    """An http or https address, taken apart; `host` is without port and brackets."""

    origin: str
    authority: str
    host: str
    path: str
    query: str


class Answer(NamedTuple):
    """A response, read; `skew` is how far the clock there is ahead of ours, 0.0 where they agree."""

    status: int
    body: bytes
    headers: dict[str, str]
    skew: float

    def json(self, who: str) -> dict[str, Any]:
        """The object that the body is; CredentialsError if it is none, without quoting it."""
        import json

        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise CredentialsError(f"{who} answered with {len(self.body)} bytes that are no JSON object")
        return value


class Client:
    """Sends one request and tries again; `network` is with or without proxies."""

    __slots__ = ("_clock", "_seconds", "_skew", "_transport")

    def __init__(self, surroundings: Surroundings, seconds: float, *, direct: bool = False) -> None:
        """direct: never through a proxy."""
        bundle = surroundings.settings.ca_bundle
        network = Network(bundle) if direct else network_of(surroundings.environment, bundle)
        self._transport = surroundings.transport(Timeouts(seconds, seconds, None), network)
        self._clock = surroundings.clock
        self._seconds = seconds
        self._skew = 0.0

    def send(
        self,
        build: Callable[[float], Request],
        *,
        attempts: int = _ATTEMPTS,
        silent_attempts: int | None = None,
        again: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """The answer, whatever its status; TransportError when none came.

        build: makes the request for a time, anew for each attempt. attempts: in all. silent_attempts: of these, how many
        may end without an answer. again: whether an answer of status 4xx may be another one next time.
        """
        silent = 0
        attempt = 1
        mended = False
        try:
            while True:
                try:
                    answer = self._once(build(self._clock.now() + self._skew))
                except TransportError:
                    silent += 1
                    if attempt >= attempts or silent >= (silent_attempts or attempts):
                        raise
                else:
                    if answer.status in {400, 403} and answer.skew != self._skew and not mended:
                        # A signature of the wrong minute is refused; the next one is made by the clock that counts.
                        self._skew, mended = answer.skew, True
                        continue
                    transient = answer.status in _TRANSIENT or (again is not None and again(answer))
                    if not transient or attempt >= attempts:
                        return answer
                self._clock.sleep(_BASE_SECONDS * 2 ** (attempt - 1))
                attempt += 1
        finally:
            self._transport.close()

    def _once(self, request: Request) -> Answer:
        # An answer that comes a byte at a time must not hold everybody who waits for it.
        request.deadline = monotonic() + _WHOLE * self._seconds
        response = self._transport(request)
        body = response.read(ANSWER_MAX)
        skew = 0.0
        try:
            # To the middle of the second that the header names.
            skew = parse_http_date(response.headers.get("date", "")).timestamp() + 0.5 - self._clock.now()
        except ValueError:
            pass
        return Answer(response.status, body, response.headers, skew if abs(skew) > _SKEW_SECONDS else 0.0)


def pool(timeouts: Timeouts, network: Network) -> Transport:
    """A transport that keeps no connection: these requests are an hour apart."""
    from s3func.transport.pool import Pool

    return Pool(timeouts, max_connections=0, network=network)


def split_url(url: str, what: str) -> Url:
    """CredentialsError, in which `what` names where the URL is from, for one that is no http address."""
    match = _URL.fullmatch(url)
    if match is None:
        raise CredentialsError(f"{what} is no http:// or https:// address with a host")
    scheme, port = match["scheme"].lower(), match["port"] or ""
    if port == (":443" if scheme == "https" else ":80"):
        port = ""
    authority = f"{match['host'].lower()}{port}"
    return Url(
        f"{scheme}://{authority}",
        authority,
        match["host"].strip("[]").lower(),
        match["path"] or "/",
        match["query"] or "",
    )


def get(url: Url, headers: dict[str, str], method: str = "GET") -> Callable[[float], Request]:
    """A request without a body, the same at any time."""
    return lambda _now: Request(method, url.origin, url.path, url.query, {"host": url.authority, **headers})


def end_of(text: object, answer_skew: float, who: str) -> float | None:
    """When credentials expire by our own clock: ISO 8601, or milliseconds since the epoch; None where nothing is said."""
    if text is None or text == "":
        return None
    try:
        if isinstance(text, int | float) and not isinstance(text, bool):
            return text / 1000.0 - answer_skew
        return parse_iso8601(str(text)).timestamp() - answer_skew
    except ValueError:
        raise CredentialsError(f"{who} says an expiration that is no time") from None
