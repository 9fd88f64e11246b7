"""apply() on real clusters of this machine: what comes of it is what one process makes of it, whatever happens to a worker."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import s3func.testing
from s3func.sync import RemotePrefix, plan, sync
from s3func.testing import Server
from tests.distributed.conftest import FILES, started
from tests.distributed.rig import Driver, Store, files_of

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def by_one_process(server: Server, tree: Path) -> str:
    """The prefix that a sync without a cluster has filled."""
    assert sync(tree, RemotePrefix(server.session("bucket"), prefix="alone"), state=None).ok
    return "alone"


def test_as_one_process(
    driver: Driver, store: Store, tree: Path, prefix: str, by_one_process: str, tmp_path: Path
) -> None:
    """A cluster stores what one process stores, in more than one process; a repeat lists, and does nothing else."""
    call = {"sides": [str(tree), f"at:{prefix}"], "options": {"state": str(tmp_path / "state.db")}}
    first = driver.call(**call)
    assert (FILES, 0) == (first["report"]["uploaded"], first["report"]["exit_code"]), first
    assert FILES == first["done"]
    assert len(first["workers"]) == 2
    assert store.objects(by_one_process) == store.objects(prefix)
    for name in ("d0000/f000001", f"d{(FILES - 1) // 100:04d}/f{FILES - 1:06d}"):
        assert store.time_of(f"{by_one_process}/{name}") == store.time_of(f"{prefix}/{name}") is not None
    store.asked()
    again = driver.call(**call)
    assert ("nothing to do", 0) == (again["said"], again["report"]["exit_code"])
    assert {"ListObjectsV2 200": FILES // 1000} == store.asked()


def test_down_and_deletes(driver: Driver, store: Store, tree: Path, prefix: str, tmp_path: Path) -> None:
    """Files that come down by a cluster are those that went up; what is to be deleted goes last, and once."""
    copy, state, files = tmp_path / "copy", str(tmp_path / "state.db"), FILES // 4
    for number in range(files // 100):
        shutil.copytree(tree / f"d{number:04d}", tmp_path / "some" / f"d{number:04d}")
    driver.call(sides=[str(tmp_path / "some"), f"at:{prefix}"], options={"state": None})
    down = driver.call(sides=[f"at:{prefix}", str(copy)], options={"state": state, "delete": "tracked"})
    assert files == down["report"]["downloaded"], down
    assert files_of(tmp_path / "some") == files_of(copy)
    shutil.rmtree(tmp_path / "some" / "d0001")
    up = driver.call(
        sides=[str(tmp_path / "some"), f"at:{prefix}"], options={"state": None, "delete": "all", "max_delete": None}
    )
    assert (100, 0) == (up["report"]["deleted"], up["report"]["exit_code"]), up
    store.asked()
    again = driver.call(sides=[f"at:{prefix}", str(copy)], options={"state": state, "delete": "tracked"})
    assert (100, 0) == (again["report"]["deleted"], again["report"]["exit_code"]), again
    assert files_of(tmp_path / "some") == files_of(copy)


@pytest.mark.parametrize("driver", ["dask", "ray"], indirect=True)
def test_killed_worker(
    driver: Driver, store: Store, tree: Path, prefix: str, by_one_process: str, tmp_path: Path
) -> None:
    """A worker that is killed in the middle costs a cluster nothing but time, and a repeat has nothing to do."""
    call = {"sides": [str(tree), f"at:{prefix}"], "options": {"state": str(tmp_path / "state.db")}}
    store.asked()
    first = driver.call(**call, kill_after=FILES // 10)
    assert first["killed"] is not None
    assert (FILES, 0) == (first["report"]["uploaded"], first["report"]["exit_code"]), first
    assert store.objects(by_one_process) == store.objects(prefix)
    # What the lost chunk had done is asked for again, and refused, because it is there: nothing is written twice.
    assert store.asked()["PutObject 200"] <= FILES
    again = driver.call(**call)
    assert ("nothing to do", 0) == (again["said"], again["report"]["exit_code"])
    assert {"ListObjectsV2 200": FILES // 1000} == store.asked()


def test_killed_process(
    server: Server, store: Store, tree: Path, prefix: str, by_one_process: str, tmp_path: Path
) -> None:
    """A pool ends with the first of its processes that is killed: that is told, nothing is deleted, and the next run goes on."""
    (tmp_path / "tree").mkdir()
    shutil.copytree(tree, tmp_path / "tree", dirs_exist_ok=True)
    sides = [str(tmp_path / "tree"), f"at:{prefix}"]
    call = {"sides": sides, "options": {"state": str(tmp_path / "state.db"), "delete": "all", "max_delete": None}}
    server.session("bucket").put_object(f"{prefix}/old", b"1")
    with started("processes", server, tmp_path) as driver:
        first = driver.call(**call, kill_after=FILES // 10)
    assert first["killed"] is not None
    assert ("SyncError", 1) == (first["raised"], first["report"]["exit_code"])
    assert "BrokenProcessPool" in first["report"]["ended"]
    assert "old" in store.objects(prefix)
    with started("processes", server, tmp_path) as driver:
        second = driver.call(**call)
    assert (1, 0) == (second["report"]["deleted"], second["report"]["exit_code"]), second
    assert store.objects(by_one_process) == store.objects(prefix)


def test_interrupt(driver: Driver, server: Server, store: Store, tree: Path, prefix: str, tmp_path: Path) -> None:
    """Ctrl-C takes back the chunks that are under way; with a journal the same plan goes on there."""
    written, journal = tmp_path / "plan.jsonl", tmp_path / "journal"
    with plan(tree, RemotePrefix(server.session("bucket"), prefix=prefix), state=None) as steps:
        steps.to_jsonl(written)
    call = {"sides": [], "plan": str(written), "options": {"journal": str(journal)}}
    store.asked()
    first = driver.call(**call, interrupt_after=FILES // 10)
    assert ("KeyboardInterrupt", 130) == (first["raised"], first["report"]["exit_code"])
    # What was at it stops soon, and nothing begins.
    time.sleep(1.0)
    stored = len(store.objects(prefix))
    assert first["done"] <= stored < FILES
    time.sleep(0.5)
    assert stored == len(store.objects(prefix))
    store.asked()
    second = driver.call(**call)
    assert 0 == second["report"]["exit_code"], second
    assert FILES == len(store.objects(prefix))
    asked = store.asked()
    assert FILES - stored == asked["PutObject 200"]
    noted = FILES - second["report"]["uploaded"]
    assert first["done"] <= noted <= stored
    assert not journal.exists()


@pytest.mark.parametrize("driver", ["dask", "ray"], indirect=True)
def test_interrupted_chunks_end(driver: Driver, tree: Path) -> None:
    """A chunk that a worker is in the middle of ends there, when its driver does not want it any more."""
    with s3func.testing.server() as slow:
        session = slow.session("bucket")
        slow.faults.add("PutObject", delay=0.1)
        # Sixteen steps, one after another: more than one second and a half.
        call = {"sides": [str(tree), "at:p"], "options": {"state": None, "workers": 1}, "keys": slow.settings}
        assert "KeyboardInterrupt" == driver.call(**call, interrupt_after=1)["raised"]
        time.sleep(0.6)
        stored = len(list(session.list_objects("p/")))
        time.sleep(1.2)
        assert 16 <= stored == len(list(session.list_objects("p/")))


def test_keys_travel_only_if_asked(driver: Driver, server: Server, store: Store, tmp_path: Path, prefix: str) -> None:
    """With keys in the spec the workers use those: wrong ones end the run, although their environment has right ones."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "f").write_bytes(b"1")
    sides = [str(tmp_path / "tree"), f"at:{prefix}"]
    right = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    answer = driver.call(
        sides=sides, options={"state": None}, keys=right, worker_keys={**right, "secret_access_key": "no"}
    )
    assert "InvalidCredentials" == answer["raised"]
    assert {} == store.objects(prefix)
    assert 1 == driver.call(sides=sides, options={"state": None}, keys=right)["report"]["uploaded"]
