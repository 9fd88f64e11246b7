"""Fixtures of the fault suite: scripted servers and sessions that talk to them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from s3func import S3Session
from tests.faults.clock import FakeClock
from tests.faults.scripted import Scripted, Step

KEY_ID = "AKIDFAULTS"
SECRET = "a-secret-that-nobody-may-see"


class Serve(Protocol):
    def __call__(self, *steps: Step, always: Step | None = None, context: ssl.SSLContext | None = None) -> Scripted: ...


class Connect(Protocol):
    def __call__(self, server: Scripted | str, **options: Any) -> S3Session: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start scripted servers; each must have followed its script when the test is over."""
    with ExitStack() as stack:

        def start(*steps: Step, always: Step | None = None, context: ssl.SSLContext | None = None) -> Scripted:
            return stack.enter_context(Scripted(*steps, always=always, context=context))

        yield start


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the test's sessions."""
    return FakeClock()


@pytest.fixture
def connect(serve: Serve, clock: FakeClock) -> Iterator[Connect]:
    """Open sessions on servers; they are closed before the servers are."""
    with ExitStack() as stack:

        def open_session(server: Scripted | str, **options: Any) -> S3Session:
            settings: dict[str, Any] = {
                "access_key_id": KEY_ID,
                "secret_access_key": SECRET,
                "bucket": "bucket",
                "endpoint_url": server if isinstance(server, str) else server.url,
                "region": "us-east-1",
                "clock": clock,
                **options,
            }
            if {"credentials", "anonymous"} & options.keys():
                settings["access_key_id"] = settings["secret_access_key"] = None
            return stack.enter_context(S3Session(**settings))

        yield open_session
