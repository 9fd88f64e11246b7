"""Deleting many files: each has a call of its own, so what ends them all has to be noticed."""

from __future__ import annotations

import pytest

from s3func.errors import DeleteFailed
from s3func.transport.transfer import TransferConfig
from tests.b2.fake import Fault
from tests.b2.rigs import BUCKET, service, session_on


@pytest.mark.parametrize("purge", [False, True])
@pytest.mark.parametrize(
    "fault",
    [Fault(403, "transaction_cap_exceeded"), Fault(429, "too_many_requests"), Fault(lost="before")],
    ids=["cap", "throttled", "lost"],
)
def test_deleting_many_ends_when_nothing_can_succeed(fault: Fault, purge: bool) -> None:
    """What fails as every other call would is not tried a thousand times; each row that is left is told."""
    fake = service()
    for number in range(200):
        fake.add(BUCKET, f"{number:03}", b"")
    session = session_on(fake, retries=1, transfer=TransferConfig(concurrency=2))
    rows = [(row.key, row.version_id if purge else None) for row in session.list_object_versions()]
    call = "b2_delete_file_version" if purge else "b2_hide_file"
    fake.fault(call, *[fault] * 300)
    with pytest.raises(DeleteFailed) as caught:
        session.delete_objects([{"key": key, "version_id": version_id} for key, version_id in rows])
    assert rows == [row[:2] for row in caught.value.failures]
    assert len(fake.calls(call)) <= 4
    assert "NotTried" == caught.value.failures[-1][2]
    with pytest.raises(DeleteFailed):
        session.delete_objects(prefix="1", purge=purge)
    assert len(fake.calls(call)) <= 8
