"""One object and one file: what is transferred when, who wins, and that nothing half is ever published."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import (
    HashMismatchError,
    NoSuchBucket,
    ObjectExists,
    S3ObjectError,
    ServerError,
    SyncConflict,
    SyncError,
)
from s3func.files import S3Object
from s3func.message import Request, Response
from s3func.s3 import S3Session
from s3func.testing import Server
from s3func.transport.transfer import TransferConfig

Made = Callable[..., S3Object]
Asked = Callable[[], list[str]]


def write(obj: S3Object, text: str) -> None:
    """Write the local copy as any other program would."""
    Path(obj.local_path).write_text(text)


def read(obj: S3Object) -> str:
    return Path(obj.local_path).read_text()


def stored(session: S3Session, key: str) -> str:
    return session.get_object(key).data.decode()


def hidden(obj: S3Object) -> list[str]:
    """What is left beside the copy."""
    return [name for name in os.listdir(os.path.dirname(obj.local_path)) if name.endswith("s3func-part")]


def test_download_and_upload(made: Made, s3_session: S3Session) -> None:
    """download() gives the path of what the store has, upload() the URI of what the file is."""
    s3_session.put_object("a/b.txt", b"from the store")
    obj = made("a/b.txt")
    assert obj.local_path == obj.download()
    assert "from the store" == read(obj)
    write(obj, "from here")
    assert obj.s3_uri == obj.upload()
    assert "from here" == stored(s3_session, "a/b.txt")
    assert [] == hidden(obj)


def test_the_requests_of_one_file(made: Made, asked: Asked, s3_session: S3Session) -> None:
    """A cold download is one request, one that finds nothing new is one without a body, an upload is a HEAD and a PUT."""
    s3_session.put_object("k", b"1")
    asked()
    obj = made("k")
    obj.download()
    assert ["GetObject"] == asked()
    time.sleep(0.15)
    obj.download()
    asked()
    obj.download()
    assert ["GetObject"] == asked()
    write(obj, "changed")
    obj.upload()
    assert ["HeadObject", "PutObject"] == asked()
    time.sleep(0.15)
    obj.upload()
    asked()
    obj.upload()
    assert ["HeadObject"] == asked()


def test_what_is_the_same_is_not_transferred(made: Made, asked: Asked, s3_session: S3Session) -> None:
    """Without anything written down a file of the same content is recognised by its hash, whatever its times say."""
    s3_session.put_object("k", b"same")
    obj = made("k")
    write(obj, "same")
    os.utime(obj.local_path, (1, 1))
    asked()
    obj.download()
    obj.upload()
    assert {"HeadObject"} == set(asked())
    assert 1 == os.stat(obj.local_path).st_mtime


def test_a_parts_etag_is_no_reason_to_believe(made: Made, s3_session: S3Session) -> None:
    """T28: a large object (its ETag is no MD5) and a file of another content are not taken for the same, either way."""
    transfer = TransferConfig(multipart_threshold=1, part_size=5 * 1024 * 1024)
    large = bytes(range(256)) * (36 * 1024)
    s3_session.put_object("k", large, transfer=transfer)
    assert "-" in s3_session.head_object("k").etag
    obj = made("k")
    write(obj, "seven b")
    obj.download()
    assert large == Path(obj.local_path).read_bytes()
    changed = b"!" + large[1:]
    Path(obj.local_path).write_bytes(changed)
    obj.upload()
    assert changed == s3_session.get_object("k").data


def test_a_large_file_is_not_fetched_twice(made: Made, asked: Asked, s3_session: S3Session) -> None:
    """An object in parts that was downloaded, or that is here already, is not downloaded again."""
    transfer = TransferConfig(multipart_threshold=1, part_size=5 * 1024 * 1024)
    large = bytes(9 * 1024 * 1024)
    s3_session.put_object("k", large, transfer=transfer)
    obj = made("k")
    obj.download()
    asked()
    obj.download()
    assert ["GetObject"] == asked()
    other = made("k", local_path=f"{obj.local_path}-2")
    Path(other.local_path).write_bytes(large)
    other.download()
    assert "GetObject" not in asked()


@pytest.mark.parametrize("checked", [True, False])
def test_the_side_that_is_asked_for_wins(checked: bool, made: Made, s3_session: S3Session) -> None:
    """Where one side changed, even by an edit of the same size with the old time, the call makes both the same."""
    s3_session.put_object("k", b"old")
    obj = made("k")
    obj.download(use_checksum=checked)
    before = os.stat(obj.local_path)
    write(obj, "bad")
    os.utime(obj.local_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    obj.download(use_checksum=checked)
    assert "old" == read(obj)
    s3_session.put_object("k", b"new")
    obj.download(use_checksum=checked)
    assert "new" == read(obj)
    write(obj, "own")
    obj.upload(use_checksum=checked)
    assert "own" == stored(s3_session, "k")


@pytest.mark.parametrize("direction", ["download", "upload"])
def test_two_changes_are_a_conflict(direction: str, made: Made, s3_session: S3Session) -> None:
    """Where both changed nothing is overwritten, and mirror=True says who wins."""
    s3_session.put_object("k", b"base")
    obj = made("k")
    obj.download()
    write(obj, "here")
    s3_session.put_object("k", b"there")
    with pytest.raises(SyncConflict, match="both changed"):
        getattr(obj, direction)()
    assert ("here", "there") == (read(obj), stored(s3_session, "k"))
    getattr(obj, direction)(mirror=True)
    expected = "there" if direction == "download" else "here"
    assert (expected, expected) == (read(obj), stored(s3_session, "k"))


def test_an_upload_never_overwrites_what_it_did_not_see(
    made: Made, s3_session: S3Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When somebody writes between the look and the upload, the upload is refused."""
    s3_session.put_object("k", b"base")
    obj = made("k")
    obj.download()
    write(obj, "here")
    head = s3_session.head_object
    monkeypatch.setattr(
        s3_session, "head_object", lambda *a, **k: (head(*a, **k), s3_session.put_object("k", b"there"))[0]
    )
    with pytest.raises(SyncConflict):
        obj.upload()
    assert "there" == stored(s3_session, "k")


@pytest.mark.parametrize("direction", ["download", "upload"])
def test_what_is_missing_is_said(direction: str, made: Made, s3_session: S3Session, s3_bucket: str) -> None:
    """No object, no file, no bucket: an error, and never an empty folder or object."""
    obj = made("missing/key")
    with pytest.raises(S3ObjectError, match="missing/key"):
        getattr(obj, direction)()
    assert not os.path.exists(obj.local_path)
    elsewhere = S3Object("s3://no-such-bucket/k", session=s3_session, local_path=f"{obj.local_path}-x")
    if direction == "upload":
        write(elsewhere, "x")
    with pytest.raises(NoSuchBucket):
        getattr(elsewhere, direction)()


def test_a_store_that_fails_is_not_a_missing_object(made: Made, s3_server: Server, s3_session: S3Session) -> None:
    """An answer 500 is raised as what it is; exists() does not say False."""
    s3_session.put_object("k", b"x")
    obj = made("k", session=s3_server.session(s3_session.bucket, create=False, retries=1))
    for operation, call in (("HeadObject", obj.exists), ("GetObject", obj.download), ("HeadObject", obj.is_changed)):
        s3_server.faults.add(operation, status=500)
        write(obj, "x") if call == obj.is_changed else None
        with pytest.raises(ServerError):
            call()
        s3_server.faults.clear()


def test_a_damaged_download_leaves_the_file_alone(made: Made, s3_server: Server, s3_session: S3Session) -> None:
    """T39: bytes that are not those of the checksum raise HashMismatchError, as itself, and the file stays what it was."""

    class Damaging:
        def __call__(self, request: Request) -> Response:
            answer = s3_server.app(request)
            if request.method == "GET":
                body = bytearray(answer.read())
                body[0] ^= 1
                answer.body = bytes(body)
            return answer

        def close(self) -> None: ...

    s3_session.put_object("k", b"good")
    obj = made("k")
    obj.download()
    s3_session.put_object("k", b"also good")
    keys = (s3_server.access_key_id, s3_server.secret_access_key)
    damaged = S3Session(*keys, bucket=s3_session.bucket, transport=Damaging(), retries=1)
    with pytest.raises(HashMismatchError) as caught:
        made("k", session=damaged, local_path=obj.local_path).download()
    assert isinstance(caught.value, SyncError)
    assert "good" == read(obj)
    assert [] == hidden(obj)


def test_times_and_permissions_are_kept(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """T44: the time of a file goes with it, to the nanosecond; a new copy has the umask's permissions, an old one its own."""
    obj = made("k")
    write(obj, "x")
    os.utime(obj.local_path, ns=(1, 1_700_000_000_123_456_789))
    obj.upload()
    other = made("k", local_path=tmp_path / "other")
    other.download()
    assert 1_700_000_000_123_456_789 == os.stat(other.local_path).st_mtime_ns
    umask = os.umask(0)
    os.umask(umask)
    assert 0o666 & ~umask == os.stat(other.local_path).st_mode & 0o777
    os.chmod(other.local_path, 0o600)
    s3_session.put_object("k", b"y")
    other.download()
    assert 0o600 == os.stat(other.local_path).st_mode & 0o777


def test_a_link_stays_a_link(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """Where the local path is a symbolic link, what it leads to is replaced."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    s3_session.put_object("k", b"new")
    made("k", local_path=tmp_path / "link").download()
    assert (tmp_path / "link").is_symlink()
    assert "new" == (tmp_path / "real").read_text()


def test_what_is_in_the_way_is_said(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """A file where a folder is needed, and a folder where a file is, are an S3ObjectError and stay."""
    s3_session.put_object("k", b"x")
    (tmp_path / "file").write_text("mine")
    below = made("k", local_path=tmp_path / "file" / "below")
    with pytest.raises((S3ObjectError, OSError)):
        below.download()
    assert "mine" == (tmp_path / "file").read_text()
    (tmp_path / "folder").mkdir()
    with pytest.raises(S3ObjectError):
        made("k", local_path=tmp_path / "folder").download()


def test_exists_and_delete(made: Made, s3_session: S3Session) -> None:
    """An object exists, or what is below it does; delete() says whether there was anything and leaves the copy."""
    obj = made("d/a")
    assert not obj.exists()
    assert not obj.delete()
    for key in ("d/a", "d/b/c", "data"):
        s3_session.put_object(key, b"x")
    obj.download()
    assert obj.exists()
    assert made("d").exists()
    assert made("d/").exists()
    assert obj.delete()
    assert not obj.exists()
    assert os.path.exists(obj.local_path)
    with pytest.raises(S3ObjectError):
        obj.download()
    assert made("d").delete()
    assert ["data"] == [entry.key for entry in s3_session.list_objects()]


def test_is_changed(made: Made, s3_session: S3Session) -> None:
    """Whether both sides differ, whichever of them changed or is missing."""
    obj = made("k")
    assert not obj.is_changed()
    s3_session.put_object("k", b"1")
    assert obj.is_changed()
    obj.download()
    assert not obj.is_changed()
    write(obj, "2")
    assert obj.is_changed()
    obj.upload()
    assert not obj.is_changed()
    s3_session.put_object("k", b"3")
    assert obj.is_changed()
    s3_session.delete_object("k")
    assert obj.is_changed()


def test_verify_reads_the_file(made: Made, s3_session: S3Session, s3_server: Server) -> None:
    """T45: verify() finds a file that was damaged without a trace in its times, of small and of large objects."""
    for transfer in (None, TransferConfig(multipart_threshold=1, part_size=7 * 1024 * 1024 + 4096)):
        content = bytes(8 * 1024 * 1024)
        s3_session.put_object("k", content, transfer=transfer)
        obj = made("k")
        obj.download(mirror=True)
        obj.verify()
        damaged = bytearray(content)
        damaged[5] = 1
        Path(obj.local_path).write_bytes(damaged)
        # As if it were still what was written down.
        file = obj._file()
        record = file.record()
        assert record is not None
        local = file.local()
        assert local is not None
        file.records.save(record._replace(local=local, saved_ns=time.time_ns() + 10**12))
        with pytest.raises(HashMismatchError):
            obj.verify()
    with pytest.raises(S3ObjectError):
        made("none").verify()


def test_without_records_nothing_is_wrong(made: Made, s3_session: S3Session, tmp_path: Path) -> None:
    """Records that cannot be written, are damaged or of another file cost requests and change no result."""
    s3_session.put_object("k", b"1")
    obj = made("k")
    obj.download()
    folder = obj._cache.records.folder
    for name in os.listdir(folder):
        if name.endswith(".json"):
            Path(folder, name).write_text("{broken")
    obj.download()
    write(obj, "2")
    obj.upload()
    assert "2" == stored(s3_session, "k")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)
    Path(folder).write_text("a file where the folder should be")
    s3_session.put_object("k", b"3")
    obj.download()
    assert "3" == read(obj)
    write(obj, "4")
    obj.upload()
    assert "4" == stored(s3_session, "k")


def test_an_s3object_shows_no_secret() -> None:
    """Neither repr nor str nor s3_uri nor an error has the secret of the URI, and it is not pickled."""
    obj = S3Object("s3://the-id:the-secret@http://localhost:9/bucket/key", local_path="/tmp/x")
    for text in (repr(obj), str(obj), obj.s3_uri):
        assert "the-secret" not in text
        assert "the-id" not in text
    with pytest.raises(TypeError):
        pickle.dumps(obj)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "bucket/key", "http://bucket/key", ""])
def test_a_uri_needs_a_key(uri: str) -> None:
    """An S3Object is of a key; a bucket alone is a ValueError."""
    with pytest.raises(ValueError, match=r"uri|url"):
        S3Object(uri)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"check_hash": False, "use_checksum": False}, None),
        ({"mirror": True, "force_sync": False}, ValueError),
        ({"excludes": ["a"], "exclude_pattern": "b"}, ValueError),
        ({"max_deletes": 5}, TypeError),
        ({"progress_mode": "loud"}, ValueError),
    ],
)
def test_both_dialects_are_taken(
    arguments: dict[str, Any], error: type[Exception] | None, made: Made, s3_session: S3Session
) -> None:
    """Each argument has two names; both at once must say the same, and what has no name is a TypeError."""
    s3_session.put_object("k", b"x")
    obj = made("k")
    for call in (obj.download, obj.upload):
        if error is None:
            call(**arguments)
            call(check_hash=False, force_sync=True, exclude_pattern="x")
        else:
            with pytest.raises(error):
                call(**arguments)
    if error is not None:
        assert b"x" == s3_session.get_object("k").data


def test_a_session_of_its_own(s3_environment: Server, s3_session: S3Session, s3_bucket: str) -> None:
    """Without a session the environment says where and who; the object lets its connections go."""
    s3_session.put_object("k", b"x")
    with S3Object(f"s3://{s3_bucket}/k") as obj:
        assert "x" == Path(obj.download()).read_text()
        assert os.fspath(obj) == obj.local_path
    with S3Object(f"s3://{s3_environment.endpoint_url}@{s3_bucket}/k") as same:
        assert obj.local_path == same.local_path


def test_x_mode_needs_no_object(made: Made, s3_session: S3Session) -> None:
    """open("x") creates, and finds an object that is there, however late it came."""
    obj = made("k")
    with obj.open("x") as file:
        file.write("first")
    assert "first" == stored(s3_session, "k")
    with pytest.raises(ObjectExists), obj.open("x") as file:
        file.write("second")
    late = made("late")
    with pytest.raises(FileExistsError), late.open("x") as file:
        file.write("ours")
        s3_session.put_object("late", b"theirs")
    assert "theirs" == stored(s3_session, "late")


def test_nothing_is_remembered_of_a_listing(made: Made, s3_session: S3Session) -> None:
    """T58: what somebody else stores or deletes is seen at once; no listing and no absence is kept."""
    folder, obj = made("d"), made("d/k")
    for _ in range(2):
        assert not folder.exists()
        assert not obj.exists()
        s3_session.put_object("d/k", b"x")
        assert folder.exists()
        assert obj.exists()
        folder.download()
        s3_session.put_object("d/late", b"x")
        folder.download()
        assert ["k", "late"] == sorted(os.listdir(folder.local_path))
        s3_session.delete_objects(["d/k", "d/late"])
