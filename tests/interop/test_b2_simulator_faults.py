"""Our client against the simulator of the vendor's own SDK while that fails: the scenarios of tests/faults/b2_scenarios.py."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from s3func import B2Session
from s3func.transport.pool import Pool
from tests.faults.b2_scenarios import SCENARIOS, FailingService
from tests.interop.test_b2_simulator import simulator

__all__ = ["simulator"]

pytestmark = pytest.mark.interop


class Simulated(FailingService):
    """The simulator, whose parts may be small."""

    part_size = 2000
    control = "/control/"

    def __init__(self, url: str, key_id: str, key: str, bucket: str) -> None:
        self.url, self.key_id, self.key, self.bucket = url, key_id, key, bucket

    def expire(self) -> None:
        self.ask("POST", "expire", all=True)


@pytest.fixture
def service(simulator: dict[str, str]) -> Iterator[Simulated]:
    """A bucket of its own, a key that this process has no token for, and nothing in the journal."""
    url, bucket = simulator["url"], f"bucket-{secrets.token_hex(6)}"
    with B2Session(simulator["key_id"], simulator["key"], bucket, realm=url, transport=Pool()) as session:
        session.create_bucket()
        made = session.create_app_key(
            ["listBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles", "shareFiles"], "scenario"
        )
        assert made.application_key is not None
        service = Simulated(url, made.application_key_id, made.application_key, bucket)
        service.ask("DELETE", "journal")
        yield service


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_session_bears(service: Simulated, scenario: Callable[[FailingService], None]) -> None:
    """Every scenario of b2_scenarios.py."""
    scenario(service)
