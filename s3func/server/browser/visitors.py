"""Who looks at the pages: signed cookies, the tokens of forms, who is signed in, and how often that may be tried.

Rule 1: a cookie holds a random name and its age, signed with a key of this process; who it is stands here only, so no
        secret travels in it, and signing out or a restart ends it.
Rule 2: signing in gives a new name: one that somebody else has put into the browser is worth nothing then.
Rule 3: after some refusals in a row, an address has to wait, also with the right secret.
Rule 4: everything that is compared with a secret is compared in constant time.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from s3func.clock import Clock
    from s3func.server.browser.calls import Account

IDLE_SECONDS = 60 * 60
"""A visitor who asks for nothing for so long is signed out."""
LIFE_SECONDS = 12 * 60 * 60
"""And everybody, after so long."""
SIGNED_IN_MAX = 1000

REFUSALS = 5
"""How many sign-ins in a row an address may get wrong."""
REFUSAL_SECONDS = 12
"""After that it may try one more per so many seconds."""
ADDRESSES_MAX = 4096

_COOKIE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


class Visitor(NamedTuple):
    """A browser. token: what its forms have to carry. cookie: name and value to be set, "" for none. account: None for strangers."""

    name: str
    token: str
    cookie: str = ""
    account: Account | None = None


@dataclass(slots=True)
class _SignedIn:
    account: Account
    begun: float
    used: float


class Visitors:
    """The visitors of one server. Safe from many threads."""

    def __init__(self, clock: Clock) -> None:
        """Strangers all of them, at first."""
        self._clock = clock
        self._start = clock.monotonic()
        self._key = secrets.token_bytes(32)
        # Cookies know no ports: two servers of one machine shall not sign each other's visitors out. And who follows a
        # link of another site comes without the strict one: the cookie that a stranger gets must not replace it.
        self._cookie = f"s3func-{secrets.token_hex(4)}"
        self._strangers_cookie = f"{self._cookie}-form"
        self._lock = threading.Lock()
        self._signed_in: dict[str, _SignedIn] = {}

    def find(self, headers: Mapping[str, str]) -> Visitor:
        """Whose request this is; who has no valid cookie gets one, as a stranger."""
        name = self._name_in(headers, self._cookie)
        if name is not None:
            now = self._clock.monotonic()
            with self._lock:
                known = self._signed_in.get(name)
                if known is not None and not _is_over(known, now):
                    known.used = now
                    return Visitor(name, self._token(name), "", known.account)
                self._signed_in.pop(name, None)
        name = self._name_in(headers, self._strangers_cookie)
        return self._new(self._strangers_cookie) if name is None else Visitor(name, self._token(name))

    def sign_in(self, account: Account) -> Visitor:
        """A visitor who has shown that it is its account."""
        visitor = self._new(self._cookie)
        now = self._clock.monotonic()
        with self._lock:
            for name in [name for name, each in self._signed_in.items() if _is_over(each, now)]:
                del self._signed_in[name]
            while len(self._signed_in) >= SIGNED_IN_MAX:
                del self._signed_in[next(iter(self._signed_in))]
            self._signed_in[visitor.name] = _SignedIn(account, now, now)
        return visitor._replace(account=account)

    def sign_out(self, visitor: Visitor) -> str:
        """Forget who it was; the cookie, which is over."""
        with self._lock:
            self._signed_in.pop(visitor.name, None)
        return f"{self._cookie}=; Max-Age=0"

    def is_genuine(self, visitor: Visitor, token: str) -> bool:
        """Whether a form that carries this token was made for this visitor."""
        return not visitor.cookie and hmac.compare_digest(visitor.token.encode(), token.encode())

    def _new(self, cookie: str) -> Visitor:
        name = secrets.token_urlsafe(16)
        text = f"{name}.{int(self._age())}"
        return Visitor(
            name, self._token(name), f"{cookie}={text}.{self._signature(cookie, text)}; Max-Age={LIFE_SECONDS}"
        )

    def _name_in(self, headers: Mapping[str, str], cookie: str) -> str | None:
        """The name in a cookie that this process has given, and not too long ago."""
        # Of several cookies of one name, which a browser sends with different paths, any may be ours.
        for pair in re.split("[;,]", headers.get("cookie", "")):
            name, _, value = pair.strip().partition("=")
            match = _COOKIE.fullmatch(value) if name == cookie else None
            if match is None:
                continue
            signature = self._signature(cookie, f"{match[1]}.{match[2]}")
            if not hmac.compare_digest(signature.encode(), match[3].encode()):
                continue
            if 0 <= self._age() - int(match[2]) < LIFE_SECONDS:
                return match[1]
        return None

    def _age(self) -> float:
        """Of this server, in seconds: nobody is told how long the machine has been up."""
        return self._clock.monotonic() - self._start

    def _token(self, name: str) -> str:
        return self._signature("form", name)

    def _signature(self, purpose: str, text: str) -> str:
        return hmac.digest(self._key, f"{purpose} {text}".encode(), "sha256").hex()


class Attempts:
    """How often each address got its secret wrong, as a bucket that leaks. Safe from many threads."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has tried yet."""
        self._clock = clock
        self._lock = threading.Lock()
        # Address → when its refusals will all be forgotten.
        self._forgotten: dict[str, float] = {}

    def begin(self, peer: str) -> int:
        """Count an attempt as wrong until it is `accepted`; how many seconds it has to wait instead, 0 for none.

        Counted before it is looked at, so that of many at a time no more get through.
        """
        now = self._clock.monotonic()
        network = _network(peer)
        with self._lock:
            until = max(now, self._forgotten.get(network, now))
            excess = until - now - (REFUSALS - 1) * REFUSAL_SECONDS
            if excess > 0:
                return math.ceil(excess)
            self._forgotten.pop(network, None)
            if len(self._forgotten) >= ADDRESSES_MAX:
                self._forgotten = {each: end for each, end in self._forgotten.items() if end > now}
                while len(self._forgotten) >= ADDRESSES_MAX:
                    del self._forgotten[next(iter(self._forgotten))]
            # The latest stand last.
            self._forgotten[network] = until + REFUSAL_SECONDS
        return 0

    def accepted(self, peer: str) -> None:
        """The attempt was right, and does not count. Those before it do: who has a key of its own may try another's."""
        network = _network(peer)
        with self._lock:
            if network in self._forgotten:
                self._forgotten[network] -= REFUSAL_SECONDS


def _is_over(known: _SignedIn, now: float) -> bool:
    return now - known.used >= IDLE_SECONDS or now - known.begun >= LIFE_SECONDS


def _network(peer: str) -> str:
    """What one attacker has at least: of IPv6, a /64."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{int(address) >> 64:x}"
    return str(address)
