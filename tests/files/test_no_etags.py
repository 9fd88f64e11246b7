"""S3Objects of a store that tells no ETags: nothing is believed that cannot be known, and everything else works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3func.files import Cache, S3Object
from s3func.message import Request, Response
from s3func.s3 import S3Session
from s3func.server import MemoryBackend, S3App


class WithoutETags:
    """A transport to a store that names none in its answers."""

    def __init__(self, app: S3App) -> None:
        self._app = app
        self.close = app.close

    def __call__(self, request: Request) -> Response:
        response = self._app(request)
        for name in [name for name in response.headers if name.lower() == "etag"]:
            del response.headers[name]
        return response


@pytest.fixture
def session() -> Iterator[S3Session]:
    app = S3App(MemoryBackend(), access_key_id="k", secret_access_key="s")
    with S3Session("k", "s", "bucket", transport=WithoutETags(app)) as made:
        made.create_bucket()
        yield made


@pytest.fixture
def made(session: S3Session, cache: Cache) -> Callable[[str], S3Object]:
    return lambda key: S3Object(f"s3://bucket/{key}", session=session, cache=cache)


def read(obj: S3Object) -> str:
    return Path(obj.local_path).read_text()


def test_downloads_are_of_the_newest(made: Callable[[str], S3Object], session: S3Session) -> None:
    """Whatever the size, a download brings what the store has, again and again."""
    obj = made("k")
    for content in ("v1", "v2", "longer", "v3", "v3"):
        session.put_object("k", content.encode())
        obj.download()
        assert content == read(obj)
        assert not obj.is_changed()
    session.put_object("k", b"v4")
    assert obj.is_changed()
    with obj.open("r") as file:
        assert file.read() == "v4"


def test_uploads_are_of_the_newest(made: Callable[[str], S3Object], session: S3Session) -> None:
    """An upload makes the object what the file is, also where the object alone has changed."""
    obj = made("k")
    Path(obj.local_path).write_text("mine")
    obj.upload()
    session.put_object("k", b"them")
    obj.upload()
    assert b"mine" == session.get_object("k").data
    with obj.open("a") as file:
        file.write(" too")
    assert b"mine too" == session.get_object("k").data
    obj.verify()


def test_shrinking_takes_nothing_that_nobody_can_know(
    made: Callable[[str], S3Object], session: S3Session, cache: Cache
) -> None:
    """A file whose object may be another one by now is not deleted to make room."""
    session.put_object("k", b"v1")
    obj = made("k")
    obj.download()
    session.put_object("k", b"v2")
    assert [] == cache.shrink(0, session)
    assert "v1" == read(obj)
