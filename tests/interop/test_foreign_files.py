"""Objects as open files on other people's servers: parts of one version, and objects that appear whole or never."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any

import pytest

from s3func import S3Session
from s3func.errors import ObjectChanged

BODY = os.urandom(3_000_000)


def test_places_of_an_object(session: S3Session) -> None:
    """What is read here and there is what stands there, from an open file and from the body of get_object."""
    session.put_object("key", BODY)
    for opened in (session.open, session.get_object):
        with opened("key") as file:
            for place in (2_900_000, 10, 1_500_000, 2_999_999, 0):
                file.seek(place)
                assert BODY[place : place + 1000] == file.read(1000)
            file.seek(1_000_000)
            assert BODY[1_000_000:] == file.read()
            assert b"" == file.read(1)


def test_a_body_goes_on(session: S3Session) -> None:
    """A body whose stream is lost is continued by the server with the rest of the same object."""
    session.put_object("key", BODY)
    result = session.get_object("key")
    assert BODY[:1000] == result.read(1000)
    raw: Any = result.raw
    raw._stream.close()
    assert BODY[1000:] == result.read()


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_an_object_that_changes(session: S3Session, change: str) -> None:
    """An object that is replaced or deleted while it is open is ObjectChanged, and nothing of another one is read."""
    session.put_object("key", BODY)
    with session.open("key") as file:
        assert BODY[:10] == file.read(10)
        if change == "replaced":
            session.put_object("key", BODY[::-1])
        else:
            session.delete_object("key")
        file.seek(2_500_000)
        with pytest.raises(ObjectChanged):
            file.read(10)


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_an_object_is_written(session: S3Session, size: int) -> None:
    """What is written to an open file is the object when it is closed, and an exception leaves the old one."""
    with session.open("key", "wb", content_type="text/x") as file:
        file.write(BODY[:size])
    result = session.get_object("key")
    assert (BODY[:size], "text/x") == (result.data, result.content_type)
    with pytest.raises(LookupError), io.TextIOWrapper(session.open("key", "wb")) as text:
        text.write("half")
        raise LookupError
    assert BODY[:size] == session.get_object("key").data


def test_an_archive(session: S3Session) -> None:
    """An archive is written to and read from the store as if it were a file."""
    with session.open("key.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("member", BODY)
    with session.open("key.zip") as packed, zipfile.ZipFile(packed) as archive:
        assert BODY == archive.read("member")
