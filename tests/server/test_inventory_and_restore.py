"""Inventories by their ids, and objects that come back from the archive, through our own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import AccessDenied, InvalidRequest, NotFound
from s3func.server import MemoryBackend, S3App
from tests.s3.rigs import FrozenClock
from tests.s3.test_same_as_botocore import INVENTORY


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that goes when it is told to."""
    return FrozenClock()


@pytest.fixture
def session(clock: FrozenClock) -> Iterator[S3Session]:
    """A session on a new bucket."""
    app = S3App(MemoryBackend(clock=clock), access_key_id="id", secret_access_key="secret", clock=clock)
    with S3Session("id", "secret", "bucket-one", transport=app, clock=clock) as made:
        made.create_bucket()
        yield made


def inventory(identifier: str) -> dict[str, Any]:
    """A configuration of this id."""
    return {**INVENTORY, "Id": identifier}


def test_inventories_are_kept_by_their_ids(session: S3Session) -> None:
    """What is put comes back under its id, is listed with the others over several pages, and goes alone."""
    names = [f"inventory {number:03d} ü" for number in range(205)]
    for name in names:
        session.put_bucket_inventory_configuration(name, inventory(name))
    assert inventory(names[7]) == session.get_bucket_inventory_configuration(names[7])
    session.delete_bucket_inventory_configuration(names[7])
    session.delete_bucket_inventory_configuration(names[7])
    assert [name for name in names if name != names[7]] == [
        row["Id"] for row in session.list_bucket_inventory_configurations()
    ]
    with pytest.raises(NotFound):
        session.get_bucket_inventory_configuration(names[7])


def test_an_inventory_of_another_id_is_refused(session: S3Session) -> None:
    """The id of the request and that of the document are one."""
    with pytest.raises(InvalidRequest, match="Id"):
        session.put_bucket_inventory_configuration("a", inventory("b"))
    assert [] == session.list_bucket_inventory_configurations()


def test_an_archived_object_is_restored_for_a_while(session: S3Session, clock: FrozenClock) -> None:
    """The first request begins it, one while the copy is there prolongs it, and HEAD says until when."""
    session.put_object("cold", b"x", storage_class="GLACIER")
    assert "x-amz-restore" not in session.head_object("cold").headers
    assert session.restore_object("cold", 2)
    assert 'ongoing-request="false"' in session.head_object("cold").headers["x-amz-restore"]
    assert not session.restore_object("cold", 5)
    clock.sleep(7 * 86_400)
    assert session.restore_object("cold", 1, tier="Bulk")
    assert b"x" == session.get_object("cold").data


def test_what_is_not_archived_is_not_restored(session: S3Session) -> None:
    """An object of the standard class, and one that is not there."""
    session.put_object("warm", b"x")
    with pytest.raises(AccessDenied, match="storage class"):
        session.restore_object("warm", 1)
    with pytest.raises(NotFound):
        session.restore_object("missing", 1)
