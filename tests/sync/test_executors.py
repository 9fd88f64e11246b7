"""Clusters as executors: futures that end once, chunks that are lost or taken back, sessions of workers. See tests/distributed."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import DeadlineExceeded, SyncError
from s3func.server import MemoryBackend, S3App
from s3func.sync import DaskExecutor, RayExecutor, chunks, dispatching
from s3func.sync.applying import apply
from s3func.sync.chunks import ChunkResult, PlanChunk, SessionSpec, Uncollected, WorkerSessions, run_chunk, spec_of
from s3func.sync.dispatching import WIDTH_UNKNOWN, ChunkMovers
from s3func.sync.executors import ClusterFuture, as_executor
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation
from s3func.sync.remote import RemotePrefix
from s3func.sync.transfers import Outcome, Settings
from s3func.testing import Server
from tests.sync.hand_made import HandMade, side_of_object, upload


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_sessions() -> Iterator[None]:
    """What chunks have opened in this process is closed behind a test."""
    yield
    chunks.SESSIONS.close()


class Task:
    """What a fake client of Dask hands out."""

    def __init__(self, call: Callable[[], Any], *, is_late: bool) -> None:
        self.status = "pending"
        self.is_withdrawn = False
        self._call = call
        self._told: list[Callable[[Task], object]] = []
        self._is_late = is_late

    def add_done_callback(self, told: Callable[[Task], object]) -> None:
        self._told.append(told)
        if not self._is_late:
            self.finish("finished")

    def finish(self, status: str) -> None:
        self.status = status
        for told in self._told:
            told(self)

    def result(self) -> Any:
        return self._call()

    def cancel(self) -> None:
        self.is_withdrawn = True


class Client:
    """As much of dask.distributed.Client as there is to know."""

    asynchronous = False

    def __init__(self, *, is_late: bool = False) -> None:
        self.submitted: list[tuple[Task, dict[str, Any]]] = []
        self._is_late = is_late

    def nthreads(self) -> dict[str, int]:
        return {"tcp://one": 2, "tcp://two": 3}

    def submit(self, call: Any, *arguments: Any, **options: Any) -> Task:
        task = Task(lambda: call(*arguments), is_late=self._is_late)
        self.submitted.append((task, options))
        return task


# So is the real one called.
Client.__module__ = "distributed.client"


class Ray(ModuleType):
    """As much of ray as there is to know; each task is one of a pool's."""

    def __init__(self, *, is_initialized: bool = True) -> None:
        super().__init__("ray")
        self.options: dict[str, Any] = {}
        self.cancelled: list[Any] = []
        self.futures: list[Future[Any]] = []
        self._is_initialized = is_initialized

    def is_initialized(self) -> bool:
        return self._is_initialized

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 6.0}

    def remote(self, **options: Any) -> Any:
        self.options = options

        class Remote:
            def remote(_, call: Any, arguments: Any, named: Any) -> Any:  # noqa: N805 -- self is the module here
                future: Future[Any] = Future()
                self.futures.append(future)

                class Reference:
                    def future(self) -> Future[Any]:
                        return future

                with suppress(ZeroDivisionError):
                    future.set_result(options["_run"](lambda: call(call, arguments, named)))
                return Reference()

        return lambda call: Remote()

    def cancel(self, reference: Any) -> None:
        self.cancelled.append(reference)


def test_what_is_taken_for_an_executor() -> None:
    """An executor is itself, a Dask client and the ray module are recognized by their names, anything else is a TypeError."""
    with ThreadPoolExecutor(1) as pool:
        assert pool is as_executor(pool)
    assert isinstance(as_executor(Client()), DaskExecutor)
    assert isinstance(as_executor(Ray()), RayExecutor)
    for wrong in ("dask", 4, os, ThreadPoolExecutor):
        with pytest.raises(TypeError, match="executor must be"):
            as_executor(wrong)


def test_dask_tasks() -> None:
    """Each task has a key of its own and is no value; its options travel along; what it returns or raises comes back."""
    client = Client()
    with DaskExecutor(client, workers=["one"], resources={"disk": 1}) as executor:
        assert [6, 6] == [executor.submit(pow, 6, exp=1).result(1) for _ in range(2)]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result(1)
        assert 5 == executor.width
    keys = [options.pop("key") for _, options in client.submitted]
    assert 3 == len(set(keys))
    assert [{"pure": False, "workers": ["one"], "resources": {"disk": 1}}] * 3 == [each for _, each in client.submitted]
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(abs, 1)


@pytest.mark.parametrize("name", ["pure", "key", "actor", "actors"])
def test_dask_options_that_are_none(name: str) -> None:
    """What would make one task of two is refused, and so is a client that cannot be asked from here."""
    with pytest.raises(TypeError, match=name):
        DaskExecutor(Client(), **{name: True})
    client = Client()
    client.asynchronous = True
    with pytest.raises(ValueError, match="asynchronous"):
        DaskExecutor(client)


@pytest.mark.parametrize("status", ["cancelled", "lost"])
def test_dask_gives_a_task_up(status: str) -> None:
    """A task that the cluster does not carry out is an error of its future, not a wait without end."""
    client = Client(is_late=True)
    future = DaskExecutor(client).submit(abs, 1)
    client.submitted[0][0].finish(status)
    with pytest.raises(SyncError, match=status):
        future.result(1)


def test_a_future_that_is_cancelled() -> None:
    """Its task is taken back, whoever waits learns of it, and what the task says later is not heard."""
    client = Client(is_late=True)
    executor = DaskExecutor(client)
    future = executor.submit(abs, 1)
    told: list[Any] = []
    future.add_done_callback(told.append)
    assert future.cancel()
    assert future.cancel()
    assert {future} == wait([future], 1).done
    task, _ = client.submitted[0]
    assert (True, [future]) == (task.is_withdrawn, told)
    task.finish("finished")
    assert future.cancelled()
    finished: ClusterFuture[int] = ClusterFuture()
    finished.settle(lambda: 1)
    assert (False, 1) == (finished.cancel(), finished.result())
    executor.shutdown()


def test_shutdown() -> None:
    """It waits for what is under way, or takes it back."""
    client = Client(is_late=True)
    executor = DaskExecutor(client)
    future = executor.submit(abs, 1)
    executor.shutdown(cancel_futures=True)
    assert future.cancelled()
    executor = DaskExecutor(client)
    future = executor.submit(abs, -1)
    ending = threading.Timer(0.05, lambda: client.submitted[1][0].finish("finished"))
    ending.start()
    executor.shutdown()
    ending.join()
    assert 1 == future.result()


def test_ray_tasks() -> None:
    """Ray's own futures become ours, its options are those of ray.remote, and a cancelled one is cancelled there."""
    ray = Ray()

    def at_once(call: Any) -> Any:
        del call
        return "done"

    executor = RayExecutor(ray, num_cpus=2, max_retries=7, _run=at_once)
    assert "done" == executor.submit(abs, 1).result(1)
    assert (2, 7, 3) == (ray.options["num_cpus"], ray.options["max_retries"], executor.width)
    assert RayExecutor(Ray(is_initialized=False)).width is None

    def never(call: Any) -> Any:
        raise ZeroDivisionError

    late = RayExecutor(ray, _run=never).submit(abs, 1)
    assert late.cancel()
    assert 1 == len(ray.cancelled)
    ray.futures[-1].set_result(1)
    assert late.cancelled()
    failing = RayExecutor(ray, _run=never).submit(abs, 1)
    ray.futures[-1].set_exception(MemoryError("the worker died"))
    with pytest.raises(MemoryError):
        failing.result(1)


def test_ray_is_imported_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs it for what stands here; without an argument it is imported."""
    assert "ray" not in sys.modules
    ray = Ray()
    monkeypatch.setitem(sys.modules, "ray", ray)
    RayExecutor()
    assert {"num_cpus": 1} == ray.options


# --- chunks that are not answered


class Answering(Executor):
    """Says of each chunk what a test wants."""

    def __init__(self, answer: Callable[[PlanChunk], Any], width: int | None = None) -> None:
        self.chunks: list[PlanChunk] = []
        self._answer = answer
        if width is not None:
            self.width = width

    def submit(self, _call: Any, /, *arguments: Any, **_options: Any) -> Future[Any]:
        self.chunks.append(arguments[0])
        future: Future[Any] = Future()
        answer = self._answer(arguments[0])
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        return future


def steps_of(tree: LocalTree, count: int) -> list[Operation]:
    """Uploads of files that are there."""
    for number in range(count):
        Path(tree.root, f"{number:04}").write_bytes(b"1")
    return [upload(tree, f"{number:04}") for number in range(count)]


def test_missing_outcome(server: Server, tmp_path: Path) -> None:
    """A step that a worker says nothing about has failed, and keeps deletes from happening."""
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    steps = steps_of(tree, 3)
    session.put_object("old", b"1")
    steps.append(Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old")))
    executor = Answering(lambda chunk: ChunkResult(chunk.number, tuple(Outcome(step) for step in chunk.operations[:2])))
    report = apply(HandMade(tree, remote, steps), executor=executor)
    assert (2, 1, 1) == (report.uploaded, report.failed, report.not_deleted)
    assert "0002" == report.failures[0].operation.name


def test_an_executor_that_takes_no_more(server: Server, tmp_path: Path) -> None:
    """A pool that is broken ends the run with a SyncError of the package; what was done until then is in the report."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))

    class Breaking(Answering):
        def submit(self, _call: Any, /, *arguments: Any, **_options: Any) -> Future[Any]:
            if self.chunks:
                raise BrokenProcessPool("a child process terminated abruptly")
            return super().submit(_call, *arguments)

    executor = Breaking(lambda chunk: ChunkResult(chunk.number, tuple(Outcome(step) for step in chunk.operations)))
    plan = HandMade(tree, remote, steps_of(tree, 40))
    with pytest.raises(SyncError, match="takes no more chunks: BrokenProcessPool") as caught:
        apply(plan, executor=executor)
    assert 16 == caught.value.report.uploaded  # type: ignore[attr-defined]  # see apply()


@pytest.mark.parametrize("is_gathering", [True, False])
def test_deadline(server: Server, tmp_path: Path, is_gathering: bool) -> None:
    """An executor that never answers, a cluster without workers say, does not outlast the deadline."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    executor = Answering(lambda chunk: None, width=1)
    steps = steps_of(tree, 100 if is_gathering else 3)
    with pytest.raises(DeadlineExceeded):
        apply(HandMade(tree, remote, steps), executor=executor, deadline=0.2)
    assert len(executor.chunks) == (2 if is_gathering else 1)


def test_interrupt_keeps_what_is_done(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a chunk has done that cannot be taken back any more is remembered, although the run is over; none begins."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    begun, go_on = threading.Event(), threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, call: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
            def slowly(chunk: PlanChunk) -> ChunkResult:
                begun.set()
                assert go_on.wait(10)
                return run_chunk(chunk)

            return super().submit(slowly, *arguments)

    plan = HandMade(tree, remote, [])
    steps = steps_of(tree, 20)
    with (
        Slow(1) as executor,
        pytest.raises(KeyboardInterrupt),
        ChunkMovers(executor, tree, remote, Settings()) as movers,
    ):
        for step in steps:
            movers.put(step)
        assert begun.wait(10)
        threading.Timer(0.05, go_on.set).start()
        monkeypatch.setattr(dispatching, "_GATHERING_SECONDS", -1.0)
        raise KeyboardInterrupt
    assert [step.name for step in steps[:16]] == sorted(outcome.operation.name for outcome in movers.outcomes())
    assert plan.state.rows == {}


def test_store_of_this_process(tmp_path: Path) -> None:
    """A store that lives in the driver's process is refused before anything travels; threads may use it."""
    with S3Session(
        "k", "s", "bucket", transport=S3App(MemoryBackend(), access_key_id="k", secret_access_key="s")
    ) as own:
        own.create_bucket()
        tree, remote = LocalTree(tmp_path), RemotePrefix(own)
        steps = steps_of(tree, 3)
        with pytest.raises(ValueError, match="in this process"):
            apply(HandMade(tree, remote, steps), executor=Answering(lambda chunk: None))
        with ThreadPoolExecutor(2) as pool:
            assert 3 == apply(HandMade(tree, remote, steps), executor=pool).uploaded


def test_a_folder_may_have_another_path_there(server: Server, tmp_path: Path) -> None:
    """Of a folder workers may be told another path, and read it as the driver does; a store stays a store."""
    tree, remote = LocalTree(tmp_path, symlinks="follow"), RemotePrefix(server.session("bucket"))
    plan = HandMade(tree, remote, steps_of(tree, 1))
    executor = Answering(lambda chunk: ChunkResult(chunk.number, tuple(Outcome(step) for step in chunk.operations)))
    apply(plan, executor=executor, specs=(SessionSpec("/mnt/tree"), None))
    there = executor.chunks[0].source
    assert isinstance(there, LocalTree)
    assert ("/mnt/tree", "follow") == (there.root, there.symlinks)
    with pytest.raises(ValueError, match="not two ways"):
        apply(plan, executor=executor, specs=(SessionSpec("s3://bucket"), None))
    for wrong in (None, (None,), ("s3://bucket", None), [None, None]):
        with pytest.raises(TypeError, match="specs"):
            apply(plan, executor=executor, specs=wrong)  # type: ignore[arg-type]  # what must be refused


def test_bandwidth_is_shared(server: Server, tmp_path: Path) -> None:
    """Each chunk has its share of the limit, so that all together keep to it."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    executor = Answering(lambda chunk: ChunkResult(chunk.number, tuple(Outcome(step) for step in chunk.operations)), 4)
    apply(HandMade(tree, remote, steps_of(tree, 1)), executor=executor, bwlimit=1000)
    limit = executor.chunks[0].settings.bandwidth
    assert limit is not None
    assert 250 == limit.bytes_per_second


@pytest.mark.parametrize("width", [None, 3])
def test_few_chunks_are_under_way(server: Server, tmp_path: Path, width: int | None) -> None:
    """Two for each place of the executor; of one that does not say how many it has, for a number that suits most."""
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    executor = Answering(lambda chunk: None, width)
    steps = [Operation("upload", f"{number:05}") for number in range(1000)]
    with pytest.raises(DeadlineExceeded):
        apply(HandMade(tree, remote, steps), executor=executor, deadline=0.1)
    assert 2 * (width or WIDTH_UNKNOWN) == len(executor.chunks)


# --- in the worker


def test_one_session_for_all_chunks(server: Server, tmp_path: Path) -> None:
    """Chunks of a run share a session and its connections, also at the same time; another run has another one."""
    tree = LocalTree(tmp_path)
    steps = steps_of(tree, 40)
    keys = (("access_key_id", server.access_key_id), ("access_key", server.secret_access_key))
    server.session("bucket")
    spec = SessionSpec(f"s3://{server.endpoint_url}@bucket/p", keys)

    def chunk(run: str, some: list[Operation]) -> PlanChunk:
        return PlanChunk(run, tree, spec, Settings(), tuple(some), run)

    with ThreadPoolExecutor(4) as pool:
        given = [chunk("a", steps[at : at + 10]) for at in range(0, 40, 10)]
        results = list(pool.map(run_chunk, given))
    assert [("done", 10)] * 4 == [(result.outcomes[0].state, len(result.outcomes)) for result in results]
    assert 1 == len(chunks.SESSIONS)
    run_chunk(chunk("b", steps[:1]))
    assert 2 == len(chunks.SESSIONS)
    chunks.SESSIONS.close()
    assert 0 == len(chunks.SESSIONS)


def test_idle_sessions_are_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no run has used for a while goes when another run comes; what is in use stays."""
    monkeypatch.setattr(chunks, "_IDLE_SECONDS", -1.0)
    held = WorkerSessions()
    spec = SessionSpec(f"s3://{server.endpoint_url}@bucket/p", (("anonymous", True),))
    with held.borrowed("a", "target", spec, "auto") as first:
        with held.borrowed("b", "target", spec, 3):
            pass
        with held.borrowed("c", "target", spec, "auto"), held.borrowed("a", "target", spec, "auto") as again:
            assert first is again
            assert 2 == len(held)
    held.close()
    assert 0 == len(held)


def test_a_fork_has_sessions_of_its_own() -> None:
    """A child that was forked forgets what its parent has open, and leaves it open."""
    held = WorkerSessions()
    spec = SessionSpec("s3://http://127.0.0.1:9@bucket/p", (("anonymous", True),))
    with held.borrowed("a", "target", spec, "auto") as first:
        held.forget()
        assert 0 == len(held)
        with held.borrowed("a", "target", spec, "auto") as second:
            assert first is not second
    held.close()


def test_spec_tells_the_way_and_no_secret(server: Server) -> None:
    """What a worker is told of a session: where and how, and that nobody signs; never who."""
    session = S3Session(
        "an-id",
        "a-secret",
        "bucket",
        "http://127.0.0.1:9",
        "eu-west-3",
        addressing_style="path",
        retries=2,
        checksum="off",
    )
    with session:
        spec: Any = spec_of(RemotePrefix(session, prefix="p"))
        options = dict(spec.options)
        assert ("eu-west-3", "path", "off", 2) == (
            options["region"],
            options["addressing_style"],
            options["checksum"],
            options["retries"].attempts,
        )
        assert not {"an-id", "a-secret"} & {str(value) for value in options.values()}
    with S3Session(bucket="bucket", endpoint_url="http://127.0.0.1:9", region="x", anonymous=True) as session:
        spec = spec_of(RemotePrefix(session))
        side = spec.endpoint()
        with side.session as again:
            assert (True, session.endpoint_url) == (dict(spec.options)["anonymous"], again.endpoint_url)
    b2 = server.b2_session("our-bucket", download_url="http://127.0.0.1:9/cdn")
    spec = spec_of(RemotePrefix(b2))
    assert "http://127.0.0.1:9/cdn" == dict(spec.options)["download_url"]
    assert server.secret_access_key not in repr(tuple(spec))


def test_log_shows_no_steps() -> None:
    """Schedulers write arguments to their logs: a chunk shows how many steps it has and no keys of its spec."""
    spec = SessionSpec("s3://bucket", (("access_key", "very-secret"),))
    chunk = PlanChunk("1", LocalTree("/tree"), spec, Settings(), tuple(Operation("upload", str(n)) for n in range(9)))
    assert "very-secret" not in repr(chunk)
    assert "9 steps" in repr(chunk)


class Worker:
    """As much of a worker of Dask as a task asks for."""

    def __init__(self, state: str) -> None:
        self.state = type("State", (), {"tasks": {"key": type("TaskState", (), {"state": state})()}})()

    def get_current_task(self) -> str:
        return "key"


def dask_worker(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """Pretend that this thread carries out a task."""
    module = ModuleType("distributed")
    module.get_worker = lambda: Worker(state)  # type: ignore[attr-defined]  # a module of this test
    monkeypatch.setitem(sys.modules, "distributed", module)


def test_withdrawn_chunk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that Dask has given up ends its chunk, with what is done until then."""
    assert not chunks.is_withdrawn()
    monkeypatch.setattr(chunks, "_LOOK_SECONDS", -1.0)
    tree, remote = LocalTree(tmp_path), RemotePrefix(server.session("bucket"))
    chunk = PlanChunk("1", tree, remote, Settings(), tuple(steps_of(tree, 200)), workers=1)
    dask_worker(monkeypatch, "cancelled")
    result = run_chunk(chunk)
    assert isinstance(result.end, SyncError)
    assert len(result.outcomes) < 200
    dask_worker(monkeypatch, "executing")
    assert 200 == len(run_chunk(chunk).outcomes)


def test_no_collection_where_it_could_stop_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """In tasks of Dask on an old Python the collector is off, until the last one ends; elsewhere it is not touched."""
    off, old = Uncollected(is_needed=False), Uncollected(is_needed=True)
    with old.here():
        assert gc.isenabled()
    dask_worker(monkeypatch, "executing")
    with off.here():
        assert gc.isenabled()
    first = old.here()
    first.__enter__()
    with old.here():
        assert not gc.isenabled()
    assert not gc.isenabled()
    first.__exit__(None, None, None)
    assert gc.isenabled()


def test_killed_process(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pool that loses a process all chunks are lost: failed steps, nothing deleted, and the next run does them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    session = server.session("bucket")
    tree, remote = LocalTree(tmp_path), RemotePrefix(session)
    steps = steps_of(tree, 10)
    session.put_object("old", b"1")
    steps.append(Operation("delete", "old", 0, "extraneous", None, side_of_object(remote, "old")))

    class Killing(ProcessPoolExecutor):
        def submit(self, call: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
            return super().submit(os._exit, 1)

    with Killing(1, mp_context=get_context("fork")) as executor:
        report = apply(HandMade(tree, remote, steps), executor=executor)
    assert (10, 1, 1) == (report.failed, report.not_deleted, report.exit_code)
    assert "BrokenProcessPool" in report.failures[0].error
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as whole:
        report = apply(HandMade(tree, remote, steps), executor=whole)
    assert (10, 1) == (report.uploaded, report.deleted)
