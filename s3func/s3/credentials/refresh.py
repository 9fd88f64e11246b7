"""Refreshing: credentials that are renewed ahead of their end, by one thread, while the others go on with the old ones.

Rule 1: what is returned is one frozen Credentials; a signature never mixes two.
Rule 2: early in the last quarter of an hour one thread renews and nobody waits; later everybody waits for that one.
Rule 3: a renewal that fails costs nothing as long as the old credentials are good; when they are not, every thread that
        waited gets the one error, and the next to come asks again.
Rule 4: there is one renewal at a time, however many threads ask: 200 threads that start together cause one.
"""

from __future__ import annotations

import os
import sys
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from s3func.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.clock import Clock
    from s3func.s3.credentials import Credentials

ADVISORY_SECONDS = 15 * 60.0
"""So long before the end one thread tries to renew, and the others go on."""
MANDATORY_SECONDS = 10 * 60.0
"""So long before the end everybody waits for the one that renews."""
# Credentials that live for a quarter of an hour would be renewed on every use, so the windows are also parts of a life.
_ADVISORY_PART = 0.25
_MANDATORY_PART = 1 / 6
# After a failure, as long as there are credentials to go on with.
_PAUSE_SECONDS = 30.0
# A store that refuses good credentials must not make us renew on every request. A HEAD that is forbidden says nothing of
# why, and where nobody may list, every object that is missing is one.
_CERTAIN_PAUSE_SECONDS = 5.0
_DOUBTFUL_PAUSE_SECONDS = 300.0

_all: WeakSet[Refreshing] = WeakSet()


def _new_locks() -> None:
    # The thread that held a lock does not exist in a forked child.
    for refreshing in list(_all):
        refreshing.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)


class _State:
    """What is known at one moment, replaced as a whole."""

    __slots__ = ("advisory", "credentials", "end", "mandatory", "since")

    def __init__(self, credentials: Credentials, since: float, end: float | None) -> None:
        self.credentials = credentials
        self.since = since
        self.end = end
        life = 0.0 if end is None else max(end - since, 0.0)
        self.advisory = min(ADVISORY_SECONDS, life * _ADVISORY_PART)
        self.mandatory = min(MANDATORY_SECONDS, life * _MANDATORY_PART)


class Refreshing:
    """A source of credentials: call it for those of this moment. Safe for threads and for fork; never pickled."""

    __slots__ = (
        "__weakref__",
        "_clock",
        "_extend_seconds",
        "_failure",
        "_keeps",
        "_load",
        "_loads",
        "_lock",
        "_quiet_until",
        "_state",
        "name",
    )

    def __init__(
        self,
        load: Callable[[], Credentials],
        clock: Clock,
        name: str,
        *,
        keeps: bool = True,
        extend_seconds: float = 0.0,
    ) -> None:
        """load: asks for new ones; called by one thread at a time. name: the provider, for people.

        keeps: whether credentials without an end are kept for good; False asks for them each time, as one does with a
        caller's own function. extend_seconds: how long credentials are used beyond their end while no new ones can be
        had, which is what the stores that issue them for machines allow (static stability).
        """
        self._load = load
        self._clock = clock
        self.name = name
        self._keeps = keeps
        self._extend_seconds = extend_seconds
        self._state: _State | None = None
        self._lock = Lock()
        self._loads = 0
        self._failure: CredentialsError | None = None
        self._quiet_until = 0.0
        _all.add(self)

    def __call__(self) -> Credentials:
        """The credentials of this moment; CredentialsError when there are none that could be good."""
        state = self._state
        if state is None:
            return self._waited(None)
        end = state.end
        if end is None:
            return state.credentials if self._keeps else self._waited(state)
        left = end - self._clock.now()
        if left >= state.advisory:
            return state.credentials
        if left < state.mandatory:
            return self._waited(state)
        if self._clock.now() >= self._quiet_until and self._lock.acquire(blocking=False):
            try:
                if self._state is state:
                    self._renew(state)
            finally:
                self._lock.release()
        newest = self._state
        return state.credentials if newest is None else newest.credentials

    def renewed(self, refused_key_id: str, refused_token: str | None, *, is_certain: bool = True) -> Credentials:
        """What to sign with after a store refused these: others if there are any, asked for if need be.

        is_certain: the refusal is about the credentials, and not perhaps about something else.
        """
        state = self._state
        if state is None:
            return self._waited(None)
        current = state.credentials
        if (current.access_key_id, current.session_token) != (refused_key_id, refused_token):
            return current
        loads = self._loads
        with self._lock:
            now = self._clock.now()
            pause = _CERTAIN_PAUSE_SECONDS if is_certain else _DOUBTFUL_PAUSE_SECONDS
            young = self._keeps and 0 <= now - state.since < pause
            if self._loads == loads and not young and now >= self._quiet_until:
                self._renew(state)
        newest = self._state
        return state.credentials if newest is None else newest.credentials

    def _waited(self, seen: _State | None) -> Credentials:
        """Renew, or take what the thread that renews finds; `seen` is what was not good enough."""
        loads = self._loads
        with self._lock:
            # Whatever was loaded after we asked is new enough, and its failure is our failure.
            if self._loads == loads:
                self._renew(seen)
            state = self._state
            if state is None or (state.end is None and self._failure is not None):
                raise self._error()
            if state.end is not None and state.end <= self._clock.now():
                raise self._error()
            return state.credentials

    def _error(self) -> CredentialsError:
        # A new one for each thread: an exception that several threads raise collects the tracebacks of all of them.
        failure = self._failure
        error = CredentialsError(str(failure) if failure is not None else f"{self.name} gives no credentials")
        error.__cause__ = None if failure is None else failure.__cause__
        return error

    def _renew(self, old: _State | None) -> None:
        """Ask once, with the lock held. What other than CredentialsError is raised passes, unless the old ones are good."""
        now = self._clock.now()
        if old is not None and old.end is not None and now < min(self._quiet_until, old.end):
            # Good enough for now, and we were told no a moment ago.
            return
        self._failure = None
        try:
            credentials = self._load()
        except CredentialsError as error:
            # Without its traceback, whose frames have seen secrets.
            self._failure = error.with_traceback(None)
        except Exception as error:
            if old is None or old.end is None or old.end <= now:
                raise
            # What a caller's own function says may be secret; its author knows where to look.
            self._failure = CredentialsError(f"it raised {type(error).__name__}")
        self._loads += 1
        if self._failure is None:
            now = self._clock.now()
            end = credentials.expires_at
            if end is None or end > now:
                self._state = _State(credentials, now, end)
                life = "no end" if end is None else f"{end - now:.0f} seconds left"
                _log("debug", "%s gives the key %s, %s", self.name, credentials.access_key_id, life)
                return
            self._failure = CredentialsError(
                f"{self.name} gives credentials that have expired {now - end:.0f} seconds ago by this machine's clock: "
                "set the clock, or have the provider renew them"
            )
        self._quiet_until = now + _PAUSE_SECONDS
        if old is None or old.end is None:
            return
        if self._extend_seconds and old.end - now < self._extend_seconds:
            extended = _State(old.credentials, old.since, now + self._extend_seconds)
            # Asked again at the end of the pause, not at the end of a life that was made up.
            extended.advisory, extended.mandatory = self._extend_seconds, 0.0
            self._state = extended
        _log("warning", "%s cannot renew its credentials, the old ones are used on: %s", self.name, self._failure)

    def unlock(self) -> None:
        """A new lock: the old one may be held by a thread that a fork has left behind."""
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<Refreshing {self.name}>"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not pickled: a secret must not end up in a file or a queue")


def _log(level: str, line: str, *arguments: object) -> None:
    # Importing logging takes 7 ms; while nobody has imported it, nobody can have asked for this line either.
    logging = sys.modules.get("logging")
    if logging is not None:
        getattr(logging.getLogger("s3func"), level)(line, *arguments)
