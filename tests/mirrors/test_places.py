"""Where the paths of a mirror lie, when it may be used, and who signs in a job that runs for days."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3func import Credentials, S3Session, testing
from s3func.compat import pos3
from s3func.errors import DeadlineExceeded, SafetyStop
from s3func.message import Request, Response
from s3func.mirrors import Mirror, mirror
from s3func.server import S3App
from tests.mirrors.conftest import BUCKET, put
from tests.trees import read, write

Make = Callable[..., Mirror]
URL = f"s3://{BUCKET}"


def test_a_part_of_what_is_there_may_be_asked_for(session: S3Session, make: Make) -> None:
    """A place inside of another one, at the path inside of the other's, is no conflict: both say the same."""
    put(session, {"in/a": b"a", "in/sub/b": b"b", "in/sub/c": b"c"})
    with make() as m:
        whole = m.download(f"{URL}/in", delete="all")
        part = m.download(f"{URL}/in/sub", delete="all")
        assert whole / "sub" == part
        assert {"a": b"a", "sub/b": b"b", "sub/c": b"c"} == read(whole)
    with make() as m:
        part = m.download(f"{URL}/in/sub", delete="all")
        whole = m.download(f"{URL}/in", delete="all")
        assert {"a": b"a", "sub/b": b"b", "sub/c": b"c"} == read(whole)


@pytest.mark.parametrize("profile", ["..", "../../x", ".", "a/b", "_", "a" * 300, "tëam"])
def test_no_profile_leads_out_of_the_cache(profile: str, make: Make, session: S3Session, tmp_path: Path) -> None:
    """Whatever a profile of ~/.aws is called, its folder is one below the cache, and is nobody else's."""
    put(session, {"in/a": b"a"})
    with make() as m:
        path = m.download(f"{URL}/in", profile=profile)
        assert path == m.path_of(f"{URL}/in", profile=profile)
        assert tmp_path / "cache root" == path.parent.parent.parent
        assert path != m.path_of(f"{URL}/in")
        assert path.resolve() == path


def test_stores_that_a_url_names_have_folders_of_their_own(make: Make, tmp_path: Path) -> None:
    """Buckets of one name in several stores are several folders, so that no store is sent what is another one's."""
    m = make()
    urls = [
        f"s3://{BUCKET}/in",
        f"b2://{BUCKET}/in",
        f"s3://https://one.example.com@{BUCKET}/in",
        f"s3://https://two.example.com@{BUCKET}/in",
        f"b2://https://one.example.com@{BUCKET}/in",
        f"s3://team@{BUCKET}/in",
        f"b2://team@{BUCKET}/in",
    ]
    paths = {m.path_of(url) for url in urls}
    assert len(urls) == len(paths)
    assert {tmp_path / "cache root"} == {path.parent.parent.parent for path in paths}
    assert m.path_of(f"s3://one.example.com@{BUCKET}/in") == m.path_of(f"s3://https://one.example.com/{BUCKET}/in")


CALLS: list[Callable[[Mirror], Any]] = [
    lambda m: m.download(f"{URL}/in"),
    lambda m: m.upload(f"{URL}/out"),
    lambda m: m.sync(f"{URL}/out"),
    lambda m: m.ls(f"{URL}/in"),
    lambda m: m.plan_download(f"{URL}/in"),
    lambda m: m.plan_upload(f"{URL}/in"),
    lambda m: m.flush(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_mirror_is_for_its_block(call: Callable[[Mirror], Any], make: Make) -> None:
    """Before its block and behind it nothing would ever be uploaded, so everything is a RuntimeError."""
    m = make()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="active"):
            call(m)
        with m:
            pass


class Expiring:
    """A store at which one session token is good at a time."""

    def __init__(self) -> None:
        self.app = S3App(no_auth=True)
        self.token = "first"

    def __call__(self, request: Request) -> Response:
        if request.headers.get("x-amz-security-token") != self.token:
            return Response(400, {}, b"<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>")
        return self.app(request)

    def close(self) -> None:
        self.app.close()


def test_rotating_credentials_are_followed(tmp_path: Path) -> None:
    """T60: credentials that are exchanged while the job runs sign the uploads from then on; no turn keeps the old ones."""
    store = Expiring()

    def credentials() -> Credentials:
        return Credentials("id", "secret", store.token)

    session = S3Session(credentials=credentials, bucket=BUCKET, transport=store)
    session.create_bucket()
    with mirror(tmp_path / "cache", session=session) as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=0.05, settle=0)
        for token in ("second", "third"):
            write(path, {token: b"x"})
            end = time.monotonic() + 20
            while not session.exists(f"out/{token}") and time.monotonic() < end:
                time.sleep(0.02)
            store.token = token
    assert {"second", "third"} == {entry.key.removeprefix("out/") for entry in session.list_objects()}
    session.close()


def test_an_unknown_profile_is_a_value_error(tmp_path: Path, server: testing.Server) -> None:
    """As from pos3: a name that nobody registered, an empty one, in the URL or as an argument."""
    with pos3.mirror(tmp_path / "c", show_progress=False):
        calls: list[Callable[[], object]] = [
            lambda: pos3.download(f"{URL}/x", profile="nobody"),
            lambda: pos3.download(f"s3://nobody@{BUCKET}/x"),
            lambda: pos3.upload(f"{URL}/x", profile="nobody"),
            lambda: pos3.sync(f"{URL}/x", profile="nobody"),
            lambda: pos3.ls(f"{URL}/x", profile="nobody"),
            lambda: pos3.plan_download(f"{URL}/x", profile="nobody"),
            lambda: pos3.plan_upload(f"{URL}/x", profile=""),
            lambda: pos3.download(f"s3://@{BUCKET}/x"),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"profile|url"):
                call()


def test_a_file_that_became_a_folder(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T19, pos3's ninth: where an object gave way to a folder of its name, and back, the path follows."""
    put(session, {"in/a": b"a", "in/x": b"file"})
    with make() as m:
        m.download(f"{URL}/in", tmp_path / "in")
    session.delete_object("in/x")
    put(session, {"in/x/below": b"folder"})
    with make() as m:
        m.download(f"{URL}/in", tmp_path / "in")
    assert {"a": b"a", "x/below": b"folder"} == read(tmp_path / "in")
    session.delete_object("in/x/below")
    put(session, {"in/x": b"file again"})
    with make() as m:
        m.download(f"{URL}/in", tmp_path / "in")
    assert {"a": b"a", "x": b"file again"} == read(tmp_path / "in")


@pytest.mark.parametrize("delete", ["tracked", "all"])
def test_a_link_does_not_delete_its_object(delete: Any, session: S3Session, make: Make, tmp_path: Path) -> None:
    """pos3's tenth: a file that is a symbolic link by now is not uploaded, and its object is not taken for deleted."""
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=None)
        write(path, {"a": b"a", "b": b"b", "c": b"c"})
    (path / "a").unlink()
    (path / "a").symlink_to(tmp_path / "elsewhere")
    (path / "b").unlink()
    with make() as m:
        m.upload(f"{URL}/out", path, interval=None, delete=delete)
    assert ["out/a", "out/c"] == [entry.key for entry in session.list_objects()]


@pytest.mark.parametrize("interval", [None, 0.05])
def test_the_end_of_a_block_is_bounded(interval: float | None, tmp_path: Path) -> None:
    """An upload that hangs, at the end or since the last turn, ends with DeadlineExceeded; the next block makes it good."""
    with testing.server() as own:
        session = own.session(BUCKET)
        own.faults.add("PutObject", key="out/*", delay=2.0)
        m = mirror(tmp_path / "cache", session=session, deadline=0.3)
        with pytest.raises(DeadlineExceeded), m:
            write(m.upload(f"{URL}/out", tmp_path / "out", interval=interval, settle=0), {"x": b"x"})
            end = time.monotonic() + 20
            while interval is not None and not m._moving.locked() and time.monotonic() < end:
                time.sleep(0.01)
        own.faults.clear()
        with mirror(tmp_path / "cache", session=session) as again:
            again.upload(f"{URL}/out", tmp_path / "out", interval=None)
        assert b"x" == session.get_object("out/x").data


def environment(monkeypatch: pytest.MonkeyPatch, server: testing.Server) -> None:
    """Have the environment lead to a server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", server.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)


def test_a_folder_of_one_store_is_not_that_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the environment says which store is meant, a bucket of the same name elsewhere gets none of its files."""
    with testing.server() as one, testing.server() as other:
        session, second = one.session("same"), other.session("same")
        session.put_object("key", b"of the first")
        environment(monkeypatch, one)
        with mirror(tmp_path / "cache") as first:
            path = first.download("s3://same")
        with mirror(tmp_path / "cache") as again:
            assert path == again.sync("s3://same", interval=None)
        environment(monkeypatch, other)
        for do in ("sync", "upload", "download"):
            with mirror(tmp_path / "cache") as elsewhere, pytest.raises(SafetyStop, match="give a profile or local="):
                getattr(elsewhere, do)("s3://same")
        assert [] == list(second.list_objects())
        with mirror(tmp_path / "cache") as elsewhere:
            assert elsewhere.sync("s3://same", tmp_path / "own", interval=None) == tmp_path / "own"
        assert b"of the first" == (path / "key").read_bytes()
