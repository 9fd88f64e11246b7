"""S3Object on Backblaze B2, which has no conditional writes, and whose ETags are SHA-1s or ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3func import B2Session
from s3func.errors import HashMismatchError, ObjectExists, SyncConflict
from s3func.files import S3Object
from s3func.testing import Server
from s3func.transport.transfer import TransferConfig


@pytest.fixture
def b2(s3_server: Server) -> Iterator[B2Session]:
    """A session on a bucket that was made through B2."""
    keys = (s3_server.access_key_id, s3_server.secret_access_key)
    with B2Session(*keys, "my-bucket", realm=s3_server.endpoint_url) as session:
        session.create_bucket("my-bucket")
        yield session


def read(obj: S3Object) -> str:
    return Path(obj.local_path).read_text()


def test_all_of_it_works_on_b2(b2: B2Session) -> None:
    """Reading, writing, appending, finding changes, deleting: as on S3."""
    obj = S3Object("b2://my-bucket/a/k", session=b2)
    with obj.open("w") as file:
        file.write("hello")
    with obj.open("a") as file:
        file.write(" world")
    with obj.open() as file:
        assert "hello world" == file.read()
    assert not obj.is_changed()
    obj.verify()
    b2.put_object("a/k", b"newer")
    assert obj.is_changed()
    obj.download()
    assert "newer" == read(obj)
    folder = S3Object("b2://my-bucket/a", session=b2)
    folder.download()
    assert folder.exists()
    assert obj.delete()
    assert not obj.exists()
    assert not folder.delete()


def test_times_go_to_b2_and_back(b2: B2Session, tmp_path: Path) -> None:
    """The time of a file is kept in B2's own field as well."""
    (tmp_path / "one").write_text("x")
    os.utime(tmp_path / "one", ns=(1, 1_700_000_000_123_456_789))
    S3Object("b2://my-bucket/k", tmp_path / "one", session=b2).upload()
    assert "1700000000123" == b2.head_object("k").user_metadata["src_last_modified_millis"]
    S3Object("b2://my-bucket/k", tmp_path / "two", session=b2).download()
    assert 1_700_000_000_123_456_789 == (tmp_path / "two").stat().st_mtime_ns


def test_others_are_not_overwritten(b2: B2Session) -> None:
    """Without conditional writes the store is looked at right before: "x" and "a" find what somebody else did."""
    obj = S3Object("b2://my-bucket/k", session=b2)
    with pytest.raises(ObjectExists), obj.open("x") as file:
        file.write("ours")
        b2.put_object("k", b"theirs")
    obj.download(mirror=True)
    with pytest.raises(SyncConflict), obj.open("a") as file:
        file.write("ours")
        b2.put_object("k", b"theirs again")
    assert b"theirs again" == b2.get_object("k").data


def test_a_large_file_is_compared(b2: B2Session, tmp_path: Path) -> None:
    """A large file, whose ETag says nothing, is fetched once, and verify() finds a damage in it."""
    content = bytes(range(256)) * (44 * 1024)
    b2.put_object("k", content, transfer=TransferConfig(multipart_threshold=1, part_size=5_000_000))
    obj = S3Object("b2://my-bucket/k", tmp_path / "k", session=b2)
    obj.download()
    assert content == (tmp_path / "k").read_bytes()
    assert not obj.is_changed()
    obj.verify()
    (tmp_path / "k").write_bytes(b"!" + content[1:])
    assert obj.is_changed()
    with pytest.raises(HashMismatchError):
        obj.verify()


def test_a_session_of_its_own(b2: B2Session, s3_server: Server) -> None:
    """The URI names key, secret and realm; none of the secret is shown, and the copy is apart from that of S3."""
    keys = f"{s3_server.access_key_id}:{s3_server.secret_access_key}"
    with S3Object(f"b2://{keys}@{s3_server.endpoint_url}/my-bucket/own") as obj:
        with obj.open("w") as file:
            file.write("1")
        assert s3_server.secret_access_key not in f"{obj} {obj!r} {obj.local_path}"
    assert b"1" == b2.get_object("own").data
