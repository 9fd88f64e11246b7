"""The rigs of these tests: a clock on which waiting takes no time, and a session on the fake service."""

from __future__ import annotations

from typing import Any

from s3func import B2Session
from tests.b2.fake import KEY, KEY_ID, FakeB2, Fault

BUCKET = "bucket-one"


class VirtualClock:
    """A clock that moves when somebody waits, or when a test says so."""

    def __init__(self, now: float = 1_795_255_200.0) -> None:
        self.time = now
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def service(**settings: Any) -> FakeB2:
    """A fake with one bucket."""
    fake = FakeB2()
    fake.bucket(BUCKET, **settings)
    return fake


def session_on(fake: FakeB2, **options: Any) -> B2Session:
    """A session of its own account object, as every session with a transport of its own has."""
    options.setdefault("clock", VirtualClock())
    return B2Session(KEY_ID, KEY, BUCKET, transport=fake, **options)


def refused(status: int, code: str, message: str = "", **headers: str) -> Fault:
    """An answer that is an error document."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status, code, message, named)
