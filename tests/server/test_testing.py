"""s3func.testing: a server for other people's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import s3func.testing
from s3func import S3Session
from s3func.message import BLOCK
from s3func.server import MemoryBackend, S3App
from s3func.wire.encoding import encode_path
from tests.interop.keys import HOSTILE_KEYS


def test_a_server_and_its_sessions() -> None:
    """A session is bound to its bucket, which is made unless it is there, and speaks to the server over a socket."""
    with s3func.testing.server() as server:
        session = server.session("bucket")
        session.put_object("hello.txt", b"Hello", metadata={"source": "sensor-1"})
        again = server.session("bucket")
        assert b"Hello" == again.get_object("hello.txt").data
        assert {"source": "sensor-1"}.items() <= again.head_object("hello.txt").metadata.items()
        assert ["hello.txt"] == [row["key"] for row in again.list_objects().iter_objects()]
        assert (server.endpoint_url, server.region) == (session.endpoint_url, session.region)
        with pytest.raises(s3func.errors.NoSuchBucket):
            server.session("other", create=False).put_object("key", b"")
        assert server.secret_access_key not in repr(server)
    with pytest.raises(s3func.errors.TransportError):
        server.session("bucket", retries=1)
    server.stop()


def test_hostile_keys_through_the_session_and_the_socket() -> None:
    """Every key of the client arrives as itself: what both halves of this project agree on, on the wire."""
    with s3func.testing.server() as server:
        session = server.session("bucket")
        for key in HOSTILE_KEYS:
            session.put_object(key, encode_path(key).encode())
            assert encode_path(key).encode() == session.get_object(key).data
        assert sorted(HOSTILE_KEYS, key=str.encode) == [row.key for row in session.list_objects()]


def test_a_session_without_a_socket() -> None:
    """An app is a transport: the session's signing and XML are real, and no port is opened."""
    app = S3App(access_key_id="ak", secret_access_key="sk")
    with S3Session("ak", "sk", "bucket", transport=app) as session:
        session.create_bucket()
        for key in HOSTILE_KEYS:
            session.put_object(key, key.encode())
            assert key.encode() == session.get_object(key).data
        assert sorted(HOSTILE_KEYS, key=str.encode) == [row.key for row in session.list_objects()]
        assert {"null"} == {row.version_id for row in session.list_object_versions()}
        large = bytes(3 * BLOCK)
        session.put_object("large", large)
        assert large == session.get_object("large").data
        assert large[:7] == session.get_object("large", range_end=7).data
    with S3Session("ak", "wrong", "bucket", transport=app) as session, pytest.raises(s3func.errors.InvalidCredentials):
        session.get_object("large")


def test_a_store_in_a_directory(tmp_path: Path) -> None:
    """With `path`, what one server stored the next one has."""
    for expected in ([], ["key"]):
        with s3func.testing.server(path=tmp_path / "store") as server:
            session = server.session("bucket")
            assert expected == [row.key for row in session.list_objects()]
            session.put_object("key", b"body")
    with pytest.raises(ValueError, match="backend and path"):
        s3func.testing.server(MemoryBackend(), path=tmp_path)


def test_the_server_package_needs_no_network_library() -> None:
    """An app in memory is had without uvicorn, an event loop or SQLite being loaded."""
    program = (
        "import sys, s3func.server; s3func.server.S3App(); print({'uvicorn', 'asyncio', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()
