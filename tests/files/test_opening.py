"""open(): what was written appears when the block ends well, in the file and in the store, and never otherwise."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import S3ObjectError, ServerError, SyncConflict, TransportError
from s3func.files import S3Object
from s3func.s3 import S3Session
from s3func.testing import Server

Made = Callable[..., S3Object]


def beside(obj: S3Object) -> list[str]:
    """The names in the folder of the copy."""
    return sorted(os.listdir(os.path.dirname(obj.local_path)))


def test_writing_and_reading(made: Made, s3_session: S3Session) -> None:
    """Text and bytes go to the store and come back; encodings and line ends are the caller's."""
    obj = made("a/k")
    with obj.open("w") as file:
        file.write("höher\n")
    assert "höher\n".encode() == s3_session.get_object("a/k").data
    with obj.open() as file:
        assert "höher\n" == file.read()
    with obj.open("wb") as file:
        file.write(b"\xff\0")
    with obj.open("rb") as file:
        assert b"\xff\0" == file.read()
    with obj.open("w", encoding="latin-1", newline="\r\n") as file:
        file.write("ö\n")
    assert b"\xf6\r\n" == s3_session.get_object("a/k").data
    assert ["k"] == beside(obj)


def test_reading_is_of_the_newest(made: Made, s3_session: S3Session) -> None:
    """open("r") sees what somebody else has stored meanwhile."""
    obj = made("k")
    for content in ("one", "two", "three"):
        s3_session.put_object("k", content.encode())
        with obj.open("r") as file:
            assert content == file.read()


@pytest.mark.parametrize("mode", ["w", "wb", "x", "a", "r+", "w+", "a+b"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_publishes_nothing(
    mode: str, error: type[BaseException], made: Made, s3_session: S3Session
) -> None:
    """T37: whatever leaves the block, the store and the local file are what they were."""
    content: Any = b"half" if "b" in mode else "half"
    if mode != "x":
        s3_session.put_object("k", b"whole")
        made("k").download()
    obj = made("k")
    with pytest.raises(error), obj.open(mode) as file:
        file.write(content)
        raise error
    if mode == "x":
        assert not obj.exists()
        assert [] == beside(obj)
        return
    assert b"whole" == s3_session.get_object("k").data
    assert b"whole" == Path(obj.local_path).read_bytes()
    assert ["k"] == beside(obj)


def test_wrappers_publish_nothing_either(made: Made, s3_session: S3Session) -> None:
    """T37: gzip, csv and text wrappers that close the file on their way out do not publish it."""
    obj = made("k")
    with pytest.raises(ZeroDivisionError), obj.open("wb") as raw, gzip.open(raw, "wt") as text:
        csv.writer(text).writerow(["a"])
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), obj.open("wb") as raw, io.TextIOWrapper(raw) as wrapped:
        wrapped.write("a")
        raise ZeroDivisionError
    assert not s3_session.exists("k")
    with obj.open("wb") as raw, gzip.open(raw, "wt") as text:
        text.write("all of it")
    with obj.open("rb") as raw, gzip.open(raw, "rt") as text:
        assert "all of it" == text.read()


def test_appending_begins_with_what_is_there(made: Made, s3_session: S3Session) -> None:
    """open("a") with a cold cache keeps what the store has; without an object it begins one."""
    obj = made("log")
    s3_session.put_object("log", b"line1\n")
    with obj.open("a") as file:
        file.write("line2\n")
    assert b"line1\nline2\n" == s3_session.get_object("log").data
    with obj.open("r+") as file:
        file.write("LINE")
    assert b"LINE1\nline2\n" == s3_session.get_object("log").data
    new = made("new")
    with new.open("a") as file:
        file.write("first")
    assert b"first" == s3_session.get_object("new").data


@pytest.mark.parametrize("mode", ["a", "r+"])
def test_a_change_meanwhile_is_a_conflict(mode: str, made: Made, s3_session: S3Session) -> None:
    """What others stored while the block ran is not overwritten; what was written is kept here and not forgotten."""
    s3_session.put_object("k", b"base")
    obj = made("k")
    with pytest.raises(SyncConflict), obj.open(mode) as file:
        file.write("ours")
        s3_session.put_object("k", b"theirs")
    assert b"theirs" == s3_session.get_object("k").data
    assert "ours" in Path(obj.local_path).read_text()
    with pytest.raises(SyncConflict, match="never reached"):
        obj.download()
    obj.download(mirror=True)
    assert b"theirs" == Path(obj.local_path).read_bytes()


def test_what_could_not_be_sent_is_kept(made: Made, s3_session: S3Session, s3_server: Server) -> None:
    """A store that fails raises, the content stays in the local file, and reading does not throw it away."""
    s3_session.put_object("k", b"old")
    obj = made("k", session=s3_server.session(s3_session.bucket, create=False, retries=1))
    s3_server.faults.add("PutObject", status=500)
    with pytest.raises(ServerError), obj.open("w") as file:
        file.write("new")
    s3_server.faults.clear()
    assert b"old" == s3_session.get_object("k").data
    assert "new" == Path(obj.local_path).read_text()
    with pytest.raises(SyncConflict, match="never reached"), obj.open("r"):
        pass
    obj.upload()
    assert b"new" == s3_session.get_object("k").data
    with obj.open() as file:
        assert "new" == file.read()


def test_a_write_that_arrived_unseen_is_recognised(made: Made, s3_session: S3Session, s3_server: Server) -> None:
    """When the answer was lost but the store has the content, the next look finds both the same."""
    obj = made("k", session=s3_server.session(s3_session.bucket, create=False, retries=1))
    s3_server.faults.add("PutObject", reset="after", times=1)
    with pytest.raises(TransportError), obj.open("w") as file:
        file.write("new")
    s3_server.faults.clear()
    obj.download()
    assert "new" == Path(obj.local_path).read_text()
    assert not obj.is_changed()


@pytest.mark.parametrize("mode", ["r", "rb", "r+"])
def test_reading_what_is_not_there(mode: str, made: Made) -> None:
    """A missing object is an S3ObjectError, and leaves nothing behind."""
    obj = made("none/k")
    with pytest.raises(S3ObjectError, match="none/k"), obj.open(mode):
        pass
    assert [] == beside(obj)


def test_a_deleted_object_is_not_read_from_the_cache(made: Made, s3_session: S3Session) -> None:
    """What the store does not have any more is not there, whatever the cache has; appending begins anew."""
    s3_session.put_object("k", b"old")
    obj = made("k")
    obj.download()
    s3_session.delete_object("k")
    with pytest.raises(S3ObjectError), obj.open("r"):
        pass
    with obj.open("a") as file:
        file.write("new")
    assert b"new" == s3_session.get_object("k").data


def test_a_file_that_never_was_in_the_store_is_not_overwritten(made: Made) -> None:
    """open("a") of a missing object with a local file of unknown origin is a conflict, which upload() resolves."""
    obj = made("k")
    Path(obj.local_path).write_text("mine")
    with pytest.raises(SyncConflict), obj.open("a"):
        pass
    assert "mine" == Path(obj.local_path).read_text()
    obj.upload()
    with obj.open("a") as file:
        file.write("!")
    assert "mine!" == Path(obj.local_path).read_text()


@pytest.mark.parametrize("mode", ["", "rw", "q", "rbt", "r++", "U", "wx", "bw+t"])
def test_a_bad_mode_is_refused(mode: str, made: Made) -> None:
    """What the builtin function would not take is a ValueError, before anything is sent."""
    with pytest.raises(ValueError, match="mode"):
        made("k").open(mode)


def test_a_bad_mode_of_another_type(made: Made) -> None:
    """A mode that is no text is a TypeError."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="mode"):
        made("k").open(wrong)


def test_a_folder_cannot_be_opened(made: Made, s3_session: S3Session) -> None:
    """A key that ends with a slash, and a local folder, are an S3ObjectError."""
    s3_session.put_object("d/a", b"x")
    with pytest.raises(S3ObjectError):
        made("d/").open("r")
    obj = made("e")
    os.makedirs(obj.local_path)
    with pytest.raises(S3ObjectError), obj.open("w"):
        pass
