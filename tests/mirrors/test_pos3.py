"""pos3's names: every example of its manual runs, and its dangers are none any more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session, testing
from s3func.compat import pos3
from s3func.mirrors import mirroring
from tests.mirrors.conftest import BUCKET, keys, put
from tests.shared_data import SHARED_VECTORS
from tests.trees import read, write

URL = f"s3://{BUCKET}"
MANUAL = SHARED_VECTORS.parent / "seeds" / "pos3.md"
BLOCKS = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL) if MANUAL.exists() else []
# Its three examples, so that they run where the manual is not.
EXAMPLES = [
    """
import pos3
with pos3.mirror(cache_root='~/.cache/positronic/s3'):
    dataset_path = pos3.download('s3://bucket/data')
    checkpoints_path = pos3.sync('s3://bucket/ckpt', interval=60, delete_remote=False)
    logs_path = pos3.upload('s3://bucket/logs', interval=30)
    train(dataset_path, checkpoints_path, logs_path)
""",
    """
@pos3.with_mirror(cache_root='/tmp/cache')
def main():
    data_path = pos3.download('s3://bucket/data')
    train(data_path)

if __name__ == "__main__":
    main()
""",
    """
import pos3
from pos3 import Profile
pos3.register_profile('nebius-public',
    endpoint='https://storage.eu-north1.nebius.cloud',
    public=True
)
pos3.register_profile('minio-local',
    endpoint='http://localhost:9000',
    region='us-east-1'
)
with pos3.mirror():
    dataset = pos3.download('s3://public-data/dataset/', profile='nebius-public')
    config = pos3.download('s3://private/config/', profile='minio-local')
    results = pos3.upload('s3://my-aws-bucket/results/')
    train(dataset, config, results)
custom = Profile(local_name='custom', endpoint='https://custom.example.com', public=True)
with pos3.mirror():
    data = pos3.download('s3://bucket/path', profile=custom)
with pos3.mirror(default_profile='nebius-public'):
    data = pos3.download('s3://bucket/path')
""",
]
OBJECTS = {
    "bucket": {"data/one": b"1", "ckpt/step": b"1", "path/x": b"p"},
    "public-data": {"dataset/d": b"d"},
    "private": {"config/c": b"c"},
    "my-aws-bucket": {},
}


@pytest.fixture
def active(session: S3Session, tmp_path: Path) -> Iterator[None]:
    """A mirror of pos3's on the test's bucket."""
    with pos3.mirror(tmp_path / "c", show_progress=False, session=session):
        yield


@pytest.mark.parametrize("text", [*EXAMPLES, *BLOCKS])
def test_the_manual(text: str, server: testing.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of the manual, with its import changed, does what it says; every store is our server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for bucket, objects in OBJECTS.items():
        put(server.session(bucket), objects)
    asked: list[Any] = []

    def connect(location: Any, *, profile: Any = None, **_: Any) -> S3Session:
        asked.append(profile)
        return server.session(location.bucket)

    monkeypatch.setattr(mirroring, "connect", connect)
    trained: list[tuple[Path, ...]] = []

    def train(*paths: Path) -> None:
        trained.append(paths)
        assert all(path.is_dir() for path in paths)

    text = text.replace("import pos3\n", "from s3func.compat import pos3\n")
    text = re.sub(r"from pos3 import", "from s3func.compat.pos3 import", text)
    text = text.replace("/tmp/cache", str(tmp_path / "given"))
    names: dict[str, Any] = {"train": train, "__name__": "__main__", "pos3": pos3}
    exec(compile(text, "example", "exec"), names)
    assert trained or asked


def test_every_example_is_there() -> None:
    """The manual is found, with the examples that it is known to have."""
    if not MANUAL.exists():
        pytest.skip("the manual is not here")
    assert 3 == len(BLOCKS)


def test_the_history_of_others_stays(session: S3Session, tmp_path: Path) -> None:
    """T16: pos3's default, delete=True, on a fresh machine that writes one file; exact=True is what pos3 did."""
    put(session, {f"logs/{number}": b"x" for number in range(3)})
    with pos3.mirror(tmp_path / "c", show_progress=False, session=session):
        write(pos3.upload(f"{URL}/logs", tmp_path / "logs"), {"mine": b"m"})
    assert 4 == len(keys(session))
    with pos3.mirror(tmp_path / "c", show_progress=False, session=session, max_delete="100%"):
        pos3.upload(f"{URL}/logs", tmp_path / "logs", exact=True)
    assert {"logs/mine"} == set(keys(session))


@pytest.mark.usefixtures("active")
def test_a_place_with_nothing_in_it(tmp_path: Path) -> None:
    """An empty folder as with pos3, but never one that was emptied for it."""
    assert [] == list(pos3.download(f"{URL}/nothing", tmp_path / "new").iterdir())
    mine = write(tmp_path / "proj", {"code.py": b"x"})
    with pytest.raises(pos3.TransferError):
        pos3.download(f"{URL}/typo", mine)
    assert {"code.py": b"x"} == read(mine)


def test_failures_are_transfer_errors(session: S3Session, server: testing.Server, tmp_path: Path) -> None:
    """What pos3 raises has its name, says which operation it was, and has the typed error as its cause."""
    put(session, {"in/x": b"x"})
    server.faults.add("GetObject", status=403)
    with pytest.raises(pos3.TransferError) as down, pos3.mirror(tmp_path / "c", show_progress=False, session=session):
        pos3.download(f"{URL}/in")
    assert ("download", True) == (down.value.operation, down.value.__cause__ is not None)
    server.faults.add("PutObject", status=403)
    with pytest.raises(pos3.TransferError) as up, pos3.mirror(tmp_path / "c", show_progress=False, session=session):
        write(pos3.upload(f"{URL}/out", tmp_path / "out", interval=None), {"x": b"x"})
    assert "upload" == up.value.operation


def test_errors_of_the_block_are_its_own(session: S3Session, tmp_path: Path) -> None:
    """A typed error that the block raises itself is not taken for a transfer's."""
    from s3func.errors import NoSuchKey

    with pytest.raises(NoSuchKey), pos3.mirror(tmp_path / "c", show_progress=False, session=session):
        session.get_object("missing")


@pytest.mark.usefixtures("active")
def test_plans(session: S3Session, tmp_path: Path) -> None:
    """Pairs of URLs and paths, and what would be deleted; a path is no URL."""
    put(session, {"in/a": b"a", "in/b": b"b"})
    folder = write(tmp_path / "t", {"a": b"a", "mine": b"m"})
    assert ([(f"{URL}/in/b", str(folder / "b"))], [str(folder / "mine")]) == pos3.plan_download(f"{URL}/in", folder)
    assert ([(str(folder / "mine"), f"{URL}/in/mine")], [f"{URL}/in/b"]) == pos3.plan_upload(f"{URL}/in", folder)
    plans: list[Callable[[str], Any]] = [pos3.plan_download, pos3.plan_upload]
    for plan in plans:
        with pytest.raises(ValueError, match="URL"):
            plan(str(folder))


@pytest.mark.usefixtures("active")
def test_listings(session: S3Session) -> None:
    """Sorted URLs."""
    put(session, {"in/a": b"", "in/s/b": b""})
    assert [f"{URL}/in/a", f"{URL}/in/s"] == pos3.ls(f"{URL}/in")


def test_outside_of_every_block() -> None:
    """A RuntimeError, as from pos3."""
    for call in (pos3.download, pos3.upload, pos3.sync, pos3.ls):
        with pytest.raises(RuntimeError):
            call(f"{URL}/x")


def test_the_cache_is_where_pos3_has_it(session: S3Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~/.cache/positronic/s3/_/bucket/key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    put(session, {"in/a": b"a"})
    with pos3.mirror(show_progress=False, session=session):
        path = pos3.download(f"{URL}/in")
    assert tmp_path / ".cache" / "positronic" / "s3" / "_" / BUCKET / "in" == path
