"""Who may do what through B2: application keys, the tokens that they are exchanged for, and upload URLs.

Rule 1: a user's key pair is the master key of an account of its own; keys that are created restrict it.
Rule 2: tokens live as long as the server, keys that were created see keyring.py; a secret or a token is in no repr.
Rule 3: a URL for uploads is good for a day or until it refuses one, and for one upload at a time.
https://www.backblaze.com/docs/cloud-storage-application-keys
"""

from __future__ import annotations

import hmac
import secrets
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from s3func.clock import Clock
from s3func.server.b2.keyring import Key, KeyRing, digest_of
from s3func.server.b2.refusals import refuse
from s3func.server.users import User, Users

DAY_SECONDS = 24 * 60 * 60


@dataclass(slots=True)
class UploadUrl:
    """What a URL for uploads is for: a bucket, or a large file."""

    key: Key
    target: str
    expires: float
    number: int
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class DownloadGrant:
    """What a token of b2_get_download_authorization allows: overrides are what an answer may be told to say."""

    bucket_id: str
    prefix: str
    expires: float
    overrides: Mapping[str, str]


T = TypeVar("T")


class Accounts:
    """Keys and tokens of one server. Safe from many threads."""

    def __init__(self, ring: KeyRing, users: Users, clock: Clock, *, is_open: bool) -> None:
        """ring: the keys besides those of the users. is_open: whoever comes is the first user."""
        self._clock = clock
        self._lock = threading.Lock()
        self._ring = ring
        self._masters = {
            user.access_key_id: Key(user.access_key_id, digest_of(user.secret_access_key), user) for user in users
        }
        self._open_key = next(iter(self._masters.values())) if is_open else None
        self._tokens: dict[str, tuple[Key, float]] = {}
        self._uploads: dict[str, UploadUrl] = {}
        self._downloads: dict[str, DownloadGrant] = {}
        self._numbers = 0

    def authorize(self, header: str) -> tuple[Key, str]:
        """The key of HTTP Basic credentials, and a token for it; `unauthorized` or `bad_auth_token`."""
        key = self._open_key or self._key_of(header)
        token = self._new_token("acct")
        with self._lock:
            _forget_old(self._tokens, {known: until for known, (_, until) in self._tokens.items()}, self._clock.now())
            self._tokens[token] = (key, self._clock.now() + DAY_SECONDS)
        return key, token

    def key_of(self, token: str | None) -> Key:
        """Whose account token this is: `bad_auth_token`, `expired_auth_token`."""
        with self._lock:
            known = self._tokens.get(token or "")
            if known is None:
                if self._open_key is not None:
                    return self._open_key
                raise refuse("bad_auth_token", "Invalid authorization token")
            key, until = known
            if self._find(key.id) is None:
                raise refuse("bad_auth_token", "The key of this token was deleted")
        now = self._clock.now()
        if now >= until or (key.expires is not None and now * 1000 >= key.expires):
            raise refuse("expired_auth_token", "Authorization token has expired")
        return key

    def expire_tokens(self) -> None:
        """Let every account token and every URL for uploads be over: for tests of clients."""
        with self._lock:
            self._tokens = {token: (key, 0.0) for token, (key, _) in self._tokens.items()}
            for url in self._uploads.values():
                url.expires = 0.0

    def expire_token(self, token: str) -> None:
        """Let one account token be over."""
        with self._lock:
            if token in self._tokens:
                self._tokens[token] = (self._tokens[token][0], 0.0)

    def spend(self, token: str) -> None:
        """Let a URL for uploads be over, because an upload to it was refused."""
        with self._lock:
            url = self._uploads.get(token)
            if url is not None:
                url.expires = 0.0

    def add_key(self, key: Key) -> None:
        """Make a key known."""
        with self._lock:
            self._ring.add(key)

    def keys_of(self, user: User) -> list[Key]:
        """The keys that a user created, by their ids."""
        with self._lock:
            found = [key for key in self._ring if key.user is user]
        return sorted(found, key=lambda key: key.id)

    def remove_key(self, user: User, key_id: str) -> Key:
        """Forget a key that was created; its tokens are worth nothing from then on."""
        with self._lock:
            key = self._ring.get(key_id)
            if key is None or key.user is not user:
                raise refuse("bad_request", f"Invalid applicationKeyId: {key_id[:100]}")
            self._ring.remove(key)
        return key

    def new_upload_url(self, key: Key, target: str) -> tuple[int, str]:
        """A number for a URL, and its token."""
        token = self._new_token("upld")
        now = self._clock.now()
        with self._lock:
            _forget_old(self._uploads, {known: url.expires for known, url in self._uploads.items()}, now)
            self._numbers += 1
            self._uploads[token] = UploadUrl(key, target, now + DAY_SECONDS, self._numbers)
            return self._numbers, token

    @contextmanager
    def uploading(self, token: str | None, target: str) -> Iterator[Key]:
        """One upload to a URL, which is over if it fails: `bad_auth_token`, `expired_auth_token`, `auth_token_limit`."""
        with self._lock:
            url = self._uploads.get(token or "")
            if url is None or url.target != target or self._find(url.key.id) is None:
                raise refuse("bad_auth_token", "Invalid authorization token")
            if url.is_busy:
                raise refuse("auth_token_limit", "more than one upload using auth token")
            if self._clock.now() >= url.expires:
                raise refuse("expired_auth_token", "Authorization token has expired")
            url.is_busy = True
        try:
            yield url.key
        except BaseException:
            url.expires = 0.0
            raise
        finally:
            url.is_busy = False

    def new_download_token(self, bucket_id: str, prefix: str, seconds: int, overrides: Mapping[str, str]) -> str:
        """A token for downloads by name."""
        token = self._new_token("dnld")
        now = self._clock.now()
        with self._lock:
            _forget_old(self._downloads, {known: each.expires for known, each in self._downloads.items()}, now)
            self._downloads[token] = DownloadGrant(bucket_id, prefix, now + seconds, overrides)
        return token

    def download_grant(self, token: str) -> DownloadGrant | None:
        """What a token of `new_download_token` allows; None where it is none. `expired_auth_token`."""
        with self._lock:
            found = self._downloads.get(token)
        if found is not None and self._clock.now() >= found.expires:
            raise refuse("expired_auth_token", "Authorization token has expired")
        return found

    def _key_of(self, header: str) -> Key:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "basic":
            raise refuse("unauthorized", "b2_authorize_account takes a key by HTTP Basic")
        try:
            key_id, _, secret = b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            key_id = secret = ""
        with self._lock:
            key = self._find(key_id)
        if key is None or not hmac.compare_digest(key.digest, digest_of(secret)):
            raise refuse("bad_auth_token", "")
        if key.expires is not None and self._clock.now() * 1000 >= key.expires:
            raise refuse("unauthorized", "The application key has expired")
        return key

    def _find(self, key_id: str) -> Key | None:
        return self._masters.get(key_id) or self._ring.get(key_id)

    def _new_token(self, kind: str) -> str:
        return f"4_{secrets.token_urlsafe(36)}_{kind}"


def _forget_old(known: dict[str, T], ends: Mapping[str, float], now: float) -> None:
    """Forget what has been over for a day; until then it is known to have expired."""
    if len(known) >= 1000:
        for token, end in ends.items():
            if end < now - DAY_SECONDS:
                del known[token]
