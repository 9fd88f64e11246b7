"""Our own B2Session on our own server: the last of its clients, for it could share the server's mistakes."""

from __future__ import annotations

import os

import pytest

from s3func import B2Session
from s3func.errors import NotFound
from s3func.server import S3App
from s3func.transport.transfer import TransferConfig
from tests.server.b2.callers import B2Caller
from tests.server.forge import KEY_ID, SECRET

NAMES = ("a", "a//b", "../a", "/lead", "a?b#c", "100%20", "é 🚀")
MB = 1_000_000


@pytest.fixture
def session(app: S3App, b2: B2Caller) -> B2Session:
    """A session on a bucket, with no socket between."""
    b2.bucket()
    transfer = TransferConfig(multipart_threshold=6 * MB, part_size=5 * MB)
    return B2Session(KEY_ID, SECRET, "test-bucket", transport=app, transfer=transfer)


def test_objects_come_back(session: B2Session) -> None:
    """Names, metadata and bytes are what they were; versions are listed, read and deleted one by one."""
    with session:
        for name in NAMES:
            put = session.put_object(name, name.encode(), metadata={"who": "mé +"})
            assert name.encode() == session.get_object(name).data
            assert name.encode() == session.get_object(name, version_id=put.version_id).data
            assert "mé +" == session.head_object(name).metadata["who"]
        assert sorted(NAMES) == [entry.key for entry in session.list_objects()]
        session.put_object("a", b"new")
        session.delete_object("a")
        with pytest.raises(NotFound):
            session.get_object("a")
        rows = [entry for entry in session.list_object_versions(prefix="a") if entry.key == "a"]
        assert 3 == len(rows)
        session.delete_object("a", version_id=rows[0].version_id)
        assert b"new" == session.get_object("a").data
        session.copy_object("a", "copy")
        assert b"new" == session.get_object("copy").data


def test_a_large_object(session: B2Session) -> None:
    """It goes up in parts and comes back whole, and by ranges."""
    body = os.urandom(11 * MB)
    with session:
        session.put_object("large", body)
        assert body == session.get_object("large").data
        assert body[7 * MB : 7 * MB + 10] == session.get_object("large", range_start=7 * MB, range_end=7 * MB + 9).data


def test_an_expired_token_is_renewed(app: S3App, session: B2Session) -> None:
    """When the server forgets its tokens, the session authorizes again, and nobody notices."""
    with session:
        session.put_object("a", b"1")
        assert app.b2 is not None
        app.b2.accounts.expire_tokens()
        session.put_object("a", b"2")
        app.b2.accounts.expire_tokens()
        assert session.exists("a")
        assert b"2" == session.get_object("a").data
