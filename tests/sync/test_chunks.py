"""Steps that are carried out by an executor: threads, other processes; the report is the same, deletes stay here."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.errors import InvalidCredentials
from s3func.sync.applying import apply
from s3func.sync.chunks import ChunkResult, PlanChunk, SessionSpec, run_chunk, spec_of
from s3func.sync.dispatching import ChunkMovers
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.remote import RemotePrefix
from s3func.sync.transfers import Outcome, Settings
from s3func.testing import Server
from tests.sync.hand_made import HandMade, download, side_of_object, upload

NUMBER = 600
MIB = 1024 * 1024


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


@pytest.fixture
def credentials(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker finds in its environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)


def executors() -> Iterator[tuple[str, Any]]:
    yield "threads", lambda: ThreadPoolExecutor(3)
    # Forked, so that no helper of multiprocessing is left behind; the tests' server is in this process, and not in those.
    yield "processes", lambda: ProcessPoolExecutor(2, mp_context=get_context("fork"))


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(("name", "make"), list(executors()))
def test_both_ways(server: Server, tmp_path: Path, name: str, make: Any) -> None:
    """Hundreds of files go up and come down through an executor; what is remembered is what each worker saw."""
    assert name
    session = server.session("bucket")
    one, other, remote = LocalTree(tmp_path / "one"), LocalTree(tmp_path / "other"), RemotePrefix(session, prefix="p")
    (tmp_path / "one/d").mkdir(parents=True)
    names = [f"d/{number:03}" for number in range(NUMBER)]
    for each in names:
        (tmp_path / "one" / each).write_bytes(each.encode())
    session.put_object("p/old", b"1")
    extraneous = Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old"))
    plan = HandMade(one, remote, [*(upload(one, each) for each in names), extraneous])
    with make() as executor:
        report = apply(plan, executor=executor)
        assert report.ok, report
        assert (NUMBER, 1) == (report.uploaded, report.deleted)
        assert set(names) == set(plan.state.rows)
        down = HandMade(remote, other, [download(remote, each) for each in names[:300]])
        assert apply(down, executor=executor).downloaded == 300
    assert {each: (tmp_path / "other" / each).read_bytes() for each in names[:300]} == {
        each: each.encode() for each in names[:300]
    }


def test_chunks_are_bounded(server: Server, tmp_path: Path) -> None:
    """Chunks grow to at most 256 steps or 256 MiB, and each has an identity of its own."""
    chunks: list[PlanChunk] = []

    class Collecting(Executor):
        def submit(self, call: Any, /, chunk: PlanChunk) -> Future[ChunkResult]:  # type: ignore[override]  # one call
            assert call is run_chunk
            chunks.append(chunk)
            done: Future[ChunkResult] = Future()
            done.set_result(ChunkResult(chunk.number, tuple(Outcome(step, "vanished") for step in chunk.operations)))
            return done

    remote = RemotePrefix(server.session("bucket"))
    small = [Operation("upload", f"{number:04}", 1) for number in range(2000)]
    large = [Operation("upload", f"x{number}", 100 * MIB) for number in range(5)]
    report = apply(HandMade(LocalTree(tmp_path), remote, small + large), executor=Collecting())
    assert report.vanished == 2005
    lengths = [len(chunk.operations) for chunk in chunks]
    assert (16, 256, 2005) == (lengths[0], max(lengths), sum(lengths))
    assert max(sum(step.size for step in chunk.operations[:-1]) for chunk in chunks) < 256 * MIB
    assert max(len(chunk.operations) for chunk in chunks if chunk.operations[0].size > 1) == 3
    assert len(chunks) == len({chunk.number for chunk in chunks})
    assert 1 == len({chunk.run for chunk in chunks})
    assert pickle.loads(pickle.dumps(chunks[0])).operations == chunks[0].operations


def test_nothing_secret_travels(server: Server, tmp_path: Path) -> None:
    """What is handed to an executor holds no secret; a spec that was given one does not show it."""
    remote = RemotePrefix(server.session("bucket"), prefix="p")
    chunk = PlanChunk("1", LocalTree(tmp_path), spec_of(remote), Settings(), ())
    assert server.secret_access_key.encode() not in pickle.dumps(chunk)
    spec = SessionSpec("s3://bucket", (("secret_access_key", "very-secret"),))
    assert "very-secret" not in repr(spec)


def test_spec_reaches_the_same_place(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spec of a prefix leads a worker to the same store, bucket and prefix."""
    remote = RemotePrefix(server.session("bucket", region="eu-west-3"), prefix="a?b#/c%20")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = spec_of(remote)
    assert isinstance(found, SessionSpec)
    side: Any = found.endpoint()
    with side.session as session:
        assert (remote.bucket, remote.prefix) == (side.bucket, side.prefix)
        assert (server.endpoint_url.rstrip("/"), "eu-west-3") == (session.endpoint_url.rstrip("/"), session.region)


def test_worker_without_credentials(server: Server, tmp_path: Path) -> None:
    """What ends a run ends it from a worker as well."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    (tmp_path / "f").write_bytes(b"1")
    plan = HandMade(tree, remote, [upload(tree, "f")])
    wrong = SessionSpec(remote.url, (("access_key_id", "x"), ("secret_access_key", "y"), ("region", "us-east-1")))
    with ThreadPoolExecutor(1) as executor, pytest.raises(InvalidCredentials):
        apply(plan, executor=executor, specs=(None, wrong))


def test_lost_chunk(server: Server, tmp_path: Path) -> None:
    """A chunk that the executor loses has failed, each of its steps, and keeps deletes from happening."""

    class Losing(Executor):
        def submit(self, _call: Any, /, *_arguments: Any, **_options: Any) -> Future[Any]:
            lost: Future[Any] = Future()
            lost.set_exception(RuntimeError("the worker is gone"))
            return lost

    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    (tmp_path / "f").write_bytes(b"1")
    session.put_object("old", b"1")
    extraneous = Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old"))
    report = apply(HandMade(tree, remote, [upload(tree, "f"), extraneous]), executor=Losing())
    assert (1, 1, 1) == (report.failed, report.not_deleted, report.exit_code)
    assert "the worker is gone" in report.failures[0].error


def test_backup_needs_this_process(server: Server, tmp_path: Path) -> None:
    """Backups are made here, so an executor is refused with them."""
    plan = HandMade(LocalTree(tmp_path), RemotePrefix(server.session("bucket")), [])
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="backup"):
        apply(plan, executor=executor, backup="trash")


def test_leaving_by_an_exception(server: Server, tmp_path: Path) -> None:
    """A driver that is interrupted waits for what is under way, and hands over nothing more."""
    remote = RemotePrefix(server.session("bucket"))
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(ZeroDivisionError),
        ChunkMovers(executor, LocalTree(tmp_path), remote, Settings()) as movers,
    ):
        movers.put(Operation("upload", "f"))
        raise ZeroDivisionError
