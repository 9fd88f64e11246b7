"""B2Session against our own server over a socket, which fails as it is told in Backblaze's words; see b2_scenarios.py."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

import s3func.testing
from s3func import B2Session, RetryPolicy
from s3func.errors import AccessDenied
from s3func.message import Request, Response
from s3func.server.b2 import modes
from s3func.transport.pool import Pool
from s3func.transport.transfer import TransferConfig
from tests.faults.b2_scenarios import SCENARIOS, FailingService


class OurServer(FailingService):
    """The server of this package, with its control."""

    part_size = 5_000_000
    control = "/-/b2/"

    def __init__(self, server: s3func.testing.Server) -> None:
        self.server = server
        self.url = server.endpoint_url
        self.key_id, self.key = server.access_key_id, server.secret_access_key

    def expire(self) -> None:
        assert self.server.app.b2 is not None
        self.server.app.b2.accounts.expire_tokens()


@pytest.fixture
def service() -> Iterator[OurServer]:
    """A server with a bucket of B2's, and nothing in its journal."""
    # The key is one that this process has no token for, whatever ports other tests had.
    with s3func.testing.server(access_key_id=secrets.token_hex(8), control=True) as server:
        made = OurServer(server)
        with B2Session(made.key_id, made.key, made.bucket, realm=made.url, transport=Pool()) as session:
            session.create_bucket()
        server.journal.clear()
        yield made
        server.faults.clear()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_session_bears(service: OurServer, scenario: Callable[[FailingService], None]) -> None:
    """Every scenario of b2_scenarios.py."""
    scenario(service)


class Asking:
    """A pool whose every request asks for a mode of failing."""

    def __init__(self, mode: str) -> None:
        self.pool, self.mode = Pool(), mode

    def __call__(self, request: Request) -> Response:
        request.headers[modes.HEADER] = self.mode
        return self.pool(request)

    def close(self) -> None:
        self.pool.close()


@pytest.mark.parametrize("mode", [modes.UPLOADS, modes.TOKENS])
def test_a_session_passes_the_checklist(service: OurServer, mode: str) -> None:
    """With X-Bz-Test-Mode, as Backblaze's integration checklist wants it: everything arrives although a third fails."""
    keys = service.key_id, service.key, service.bucket
    quickly = RetryPolicy(base_seconds=0.001, throttled_base_seconds=0.001)
    # One at a time: with several, one call's wish ends the token that another one has just renewed.
    transfer = TransferConfig(concurrency=1)
    with B2Session(*keys, realm=service.url, transport=Asking(mode), retries=quickly, transfer=transfer) as session:
        for number in range(12):
            session.put_object(f"{number:02}", b"content")
        assert [f"{number:02}" for number in range(12)] == [row.key for row in session.list_objects(max_keys=5)]
        session.delete_objects(prefix="0")
        assert ["10", "11"] == [row.key for row in session.list_objects()]
    assert {503, 401} & {call.status for call in service.calls()}


def test_a_session_stops_at_a_cap_of_the_checklist(service: OurServer) -> None:
    """With force_cap_exceeded an upload is one call."""
    keys = service.key_id, service.key, service.bucket
    with (
        B2Session(*keys, realm=service.url, transport=Asking(modes.CAPS)) as session,
        pytest.raises(AccessDenied, match="caps"),
    ):
        session.put_object("key", b"content")
    assert 1 == len(service.calls("b2_upload_file"))
