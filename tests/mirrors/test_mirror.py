"""A mirror: what it brings, what it sends and when, and what it refuses."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import s3func
from s3func import S3Session, mirrors, testing
from s3func.errors import EmptySourceError, S3ObjectError, SafetyStop, ServerError, SyncConflict, SyncError, UnsafeKey
from s3func.mirrors import Mirror, Profile, mirror
from tests.mirrors.conftest import BUCKET, keys, put
from tests.trees import read, write

Make = Callable[..., Mirror]
FILES = {"in/a.bin": b"a" * 10, "in/sub/b.bin": b"bb", "in/sub/ü.txt": b""}
BELOW = {name.removeprefix("in/"): content for name, content in FILES.items()}
URL = f"s3://{BUCKET}"


def waited(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_a_prefix_comes_down_into_the_cache(session: S3Session, make: Make, tmp_path: Path) -> None:
    """The path is below the cache, under the store and the bucket; what lies beside the prefix stays where it is."""
    put(session, {**FILES, "in2/x": b"other", "inner": b"other"})
    with make() as m:
        path = m.download(f"{URL}/in")
    assert (tmp_path / "cache root" / "_" / BUCKET / "in", BELOW) == (path, read(path))


def test_one_object_is_a_file(session: S3Session, make: Make) -> None:
    """pos3 0.2 made an empty folder of it; a second download asks whether it has changed and moves nothing."""
    put(session, {"one.json": b"{}"})
    with make() as m:
        path = m.download(f"{URL}/one.json")
        assert b"{}" == path.read_bytes()
        session.put_object("one.json", b"[]")
        assert b"[]" == m.download(f"{URL}/one.json").read_bytes()


def test_the_functions_use_the_mirror_around_them(session: S3Session, make: Make) -> None:
    """Outside of every block they are a RuntimeError; inside they are the innermost one's, in threads as well."""
    put(session, FILES)
    with pytest.raises(RuntimeError, match="no mirror is active"):
        mirrors.download(f"{URL}/in")
    found: list[Any] = []
    with make() as outer:
        assert outer is mirrors.current()
        with make() as inner:
            assert inner is mirrors.current()
        thread = threading.Thread(target=lambda: found.append(mirrors.download(f"{URL}/in")))
        thread.start()
        thread.join()
    assert [BELOW] == [read(path) for path in found]


def test_mirrors_at_the_same_time(session: S3Session, make: Make, tmp_path: Path) -> None:
    """Four threads with a mirror each: every one uploads its own, and none meets another."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with make() as m:
                folder = m.upload(f"{URL}/out-{number}", tmp_path / f"out-{number}", interval=None)
                (folder / "x").write_text(str(number))
                assert m is mirrors.current()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], {f"out-{number}/x": b"%d" % number for number in range(4)}) == (failures, keys(session))


def test_a_decorated_function_is_a_block(session: S3Session, tmp_path: Path) -> None:
    """Each call enters and leaves a mirror of its own."""

    @s3func.with_mirror(tmp_path / "c", session=session)
    def work(name: str) -> Path:
        path = mirrors.upload(f"{URL}/{name}", interval=None)
        (path / "x").write_bytes(b"x")
        return path

    for name in ("one", "two"):
        work(name)
    assert {"one/x", "two/x"} == set(keys(session))


def test_the_end_of_the_block_uploads(session: S3Session, make: Make, tmp_path: Path) -> None:
    """The folder is made at once; its content is in the store when the block is left; what else is there stays."""
    put(session, {"out/old": b"history"})
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=None)
        write(path, {"new/x": b"1"})
    assert {"out/old": b"history", "out/new/x": b"1"} == keys(session)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_uploads_only_what_says_so(
    session: S3Session, make: Make, tmp_path: Path, error: type[BaseException]
) -> None:
    """T63: Ctrl-C and sys.exit() are no success: only what has sync_on_error goes up."""
    with pytest.raises(error), make() as m:
        for name in ("half", "log"):
            path = m.upload(f"{URL}/{name}", tmp_path / name, interval=None, sync_on_error=name == "log")
            write(path, {"x": b"x"})
        raise error
    assert {"log/x"} == set(keys(session))


def test_a_failure_at_the_end_is_raised(session: S3Session, server: testing.Server, make: Make, tmp_path: Path) -> None:
    """The others are uploaded all the same; where the block itself failed, its own error is the one that is raised."""
    server.faults.add("PutObject", key="bad/*", status=403)
    with pytest.raises(SyncError) as caught, make() as m:
        for name in ("bad", "good"):
            write(m.upload(f"{URL}/{name}", tmp_path / name, interval=None, sync_on_error=True), {"x": b"x"})
    assert {"good/x"} == set(keys(session))
    assert any("bad" in note for note in caught.value.__notes__)
    with pytest.raises(ZeroDivisionError) as other, make() as m:
        write(m.upload(f"{URL}/bad", tmp_path / "bad", interval=None, sync_on_error=True), {"x": b"x"})
        raise ZeroDivisionError
    assert any("at the end failed" in note for note in other.value.__notes__)


def test_deletes_are_asked_for(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T16: a fresh folder with one file deletes no history; "tracked" deletes what this pair had, "all" the rest."""
    put(session, {f"out/{number}": b"%d" % number for number in range(5)})
    choices: list[tuple[Any, int]] = [("none", 6), ("tracked", 6)]
    for delete, left in choices:
        with make() as m:
            write(m.upload(f"{URL}/out", tmp_path / "out", interval=None, delete=delete), {"mine": b"m"})
        assert left == len(keys(session))
    (tmp_path / "out" / "mine").unlink()
    write(tmp_path / "out", {"mine2": b"m"})
    with make() as m:
        m.upload(f"{URL}/out", tmp_path / "out", interval=None, delete="tracked")
    assert {*(f"out/{number}" for number in range(5)), "out/mine2"} == set(keys(session))
    with make(max_delete="100%") as m:
        m.upload(f"{URL}/out", tmp_path / "out", interval=None, delete="all")
    assert {"out/mine2"} == set(keys(session))


def test_an_empty_folder_empties_no_bucket(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T07, pos3's third: delete="all" with nothing to upload is an accident."""
    put(session, FILES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptySourceError), make() as m:
        m.upload(f"{URL}/in", tmp_path / "empty", interval=None, delete="all")
    assert FILES == keys(session)


def test_a_mistyped_prefix_deletes_no_folder(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T07, pos3's first: there is nothing at the place, so nothing happens to the path."""
    put(session, FILES)
    mine = write(tmp_path / "proj", {"code.py": b"x"})
    for delete in ("none", "tracked", "all"):
        with pytest.raises(S3ObjectError), make() as m:
            m.download(f"{URL}/typo", mine, delete=delete)
    assert {"code.py": b"x"} == read(mine)


def test_a_download_deletes_what_came_from_there(session: S3Session, make: Make, tmp_path: Path) -> None:
    """Files that were downloaded go when their objects are gone; files of mine stay, unless all is asked for."""
    put(session, FILES)
    target = tmp_path / "target"
    with make() as m:
        m.download(f"{URL}/in", target)
    write(target, {"mine": b"m"})
    session.delete_object("in/a.bin")
    with make() as m:
        m.download(f"{URL}/in", target)
    assert {*BELOW, "mine"} - {"a.bin"} == set(read(target))
    with make(max_delete=1) as m:
        m.download(f"{URL}/in", target, delete=True)
    assert set(BELOW) - {"a.bin"} == set(read(target))


def test_too_many_deletes_are_an_accident(session: S3Session, make: Make, tmp_path: Path) -> None:
    """More than max_delete allows: none of them happens."""
    put(session, {"in/one": b"1"})
    target = write(tmp_path / "t", {f"mine/{number}": b"m" for number in range(20)})
    with pytest.raises(SafetyStop), make(max_delete=5) as m:
        m.download(f"{URL}/in", target, delete="all")
    assert 20 <= len(read(target))


def test_keys_stay_in_their_folder(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T46: a key with .. is an error of its own, and nothing is written outside; as the place itself it needs local=."""
    put(session, {"in/ok": b"x", "in/../../evil.txt": b"x", "up/../in/x": b""})
    with pytest.raises(SyncError), make() as m:
        m.download(f"{URL}/in", tmp_path / "t")
    assert {"ok": b"x"} == read(tmp_path / "t")
    assert not list(tmp_path.rglob("evil.txt"))
    with pytest.raises(UnsafeKey), make() as m:
        m.download(f"{URL}/up/../in/")


def test_excluded_files_are_nobodys_business(session: S3Session, make: Make, tmp_path: Path) -> None:
    """They are not moved, and not deleted on either side, folders with all that is in them."""
    put(session, {"in/a": b"a", "in/secret/a": b"s", "in/secret/sub/c": b"s", "in/x.log": b"l"})
    target = write(tmp_path / "t", {"secret/mine": b"m", "y.log": b"l"})
    with make(max_delete="100%") as m:
        m.download(f"{URL}/in", target, delete="all", exclude=["secret", "*.log"])
    assert {"a": b"a", "secret/mine": b"m", "y.log": b"l"} == read(target)


def test_same_size_edits_go_both_ways(session: S3Session, make: Make, tmp_path: Path) -> None:
    """pos3 compared sizes: AAAA stayed AAAA."""
    put(session, {"in/x": b"AAAA"})
    with make() as m:
        path = m.sync(f"{URL}/in", tmp_path / "t", interval=None)
        (path / "x").write_bytes(b"BBBB")
    assert {"in/x": b"BBBB"} == keys(session)
    session.put_object("in/x", b"CCCC")
    with make() as m:
        assert {"x": b"CCCC"} == read(m.download(f"{URL}/in", tmp_path / "t"))


def test_an_edit_whose_time_was_set_back_goes_up(session: S3Session, make: Make, tmp_path: Path) -> None:
    """What changed here, and looks as if it had not, is uploaded: where the object is as it was, nobody else has done it."""
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=None)
        for content in (b"AAAA", b"BBBB"):
            (path / "x").write_bytes(content)
            os.utime(path / "x", (1e9, 1e9))
            m.flush()
            assert {"out/x": content} == keys(session)
        put(session, {"out/x": b"CCCC"})
        m.flush()
    assert {"out/x": b"CCCC"} == keys(session)


def test_what_others_wrote_meanwhile_stays(session: S3Session, make: Make, tmp_path: Path) -> None:
    """pos3 put its stale copy over it and deleted new keys; a file that both changed is a conflict, and both stay."""
    put(session, {"in/theirs": b"1", "in/mine": b"1", "in/both": b"1"})
    with pytest.raises(SyncConflict), make() as m:
        path = m.sync(f"{URL}/in", tmp_path / "t", interval=None, delete_remote="tracked")
        put(session, {"in/theirs": b"newer", "in/new": b"new", "in/both": b"by them"})
        write(path, {"mine": b"by me", "both": b"by myself"})
    assert {"in/theirs": b"newer", "in/new": b"new", "in/mine": b"by me", "in/both": b"by them"} == keys(session)
    assert b"by myself" == (tmp_path / "t" / "both").read_bytes()


def test_a_first_run_has_nothing_to_go_on_from(session: S3Session, make: Make, tmp_path: Path) -> None:
    """sync() of a place with nothing in it makes the folder, and what the job writes goes up."""
    with make() as m:
        path = m.sync(f"{URL}/ckpt", tmp_path / "ckpt", interval=None)
        assert path.is_dir()
        write(path, {"step": b"1"})
    assert {"ckpt/step": b"1"} == keys(session)


def test_paths_of_this_machine_pass_through(make: Make, tmp_path: Path) -> None:
    """No copy and no upload; a path that is missing is made for output, and an error for input."""
    with make() as m:
        assert tmp_path == m.download(str(tmp_path))
        assert (tmp_path / "new") == m.upload(tmp_path / "new")
        assert (tmp_path / "new").is_dir()
        with pytest.raises(FileNotFoundError):
            m.download(tmp_path / "missing")


def test_an_output_that_is_a_file(session: S3Session, make: Make, tmp_path: Path) -> None:
    """A key that looks like a file's gets the folder around it, and the file goes up as that object."""
    with make() as m:
        path = m.upload(f"{URL}/out/model.pt", tmp_path / "deep" / "model.pt", interval=None)
        path.write_bytes(b"weights")
    assert {"out/model.pt": b"weights"} == keys(session)


def test_registrations_that_work_against_each_other(session: S3Session, make: Make, tmp_path: Path) -> None:
    """The second one is a ValueError; names that only begin alike, and other profiles, are something else."""
    put(session, FILES)
    with make() as m:
        m.upload(f"{URL}/out", tmp_path / "out", interval=None)
        assert (tmp_path / "out") == m.upload(f"{URL}/out/", tmp_path / "out", interval=None)
        calls: list[Callable[[], object]] = [
            lambda: m.upload(f"{URL}/out", tmp_path / "out", interval=5),
            lambda: m.upload(f"{URL}/out", tmp_path / "elsewhere", interval=None),
            lambda: m.upload(f"{URL}/out/sub", tmp_path / "sub", interval=None),
            lambda: m.upload(f"{URL}/", tmp_path / "all", interval=None),
            lambda: m.download(f"{URL}/out"),
            lambda: m.download(f"{URL}/out/sub"),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"s3://"):
                call()
        m.upload(f"{URL}/out2", tmp_path / "out2", interval=None)
        m.download(f"{URL}/in", tmp_path / "in")
        calls = [
            lambda: m.download(f"{URL}/other", tmp_path / "in" / "sub"),
            lambda: m.download(f"{URL}/in/sub", tmp_path / "in"),
            lambda: m.upload(f"{URL}/in", tmp_path / "x"),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"s3://"):
                call()


def test_files_go_up_while_the_job_runs(session: S3Session, make: Make, tmp_path: Path) -> None:
    """T62's sibling: at intervals, settled files only, no deletes, and what looks unfinished only at the end."""
    put(session, {"out/old": b"history"})
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=0.1, settle=0.0, delete="all")
        write(path, {"done": b"1", "half.tmp": b"?"})
        assert waited(lambda: session.exists("out/done"))
        (path / "done").unlink()
        write(path, {"next": b"2"})
        assert waited(lambda: session.exists("out/next"))
        assert {"out/old", "out/done", "out/next"} == set(keys(session))
        assert waited(lambda: m.status()[0]["uploaded"] == 2)
        (path / "half.tmp").rename(path / "whole")
        m._settings.max_delete = "100%"
    assert {"out/next", "out/whole"} == set(keys(session))


def test_files_that_are_written_to_wait(session: S3Session, make: Make, tmp_path: Path) -> None:
    """pos3 uploaded 1,000 of 2,000 bytes: a file that is younger than `settle` is not touched before the end."""
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=0.05, settle=3600)
        write(path, {"growing": b"x" * 1000})
        old = write(path, {"old": b"o"}) / "old"
        os.utime(old, (time.time() - 7200,) * 2)
        assert waited(lambda: session.exists("out/old"))
        assert not session.exists("out/growing")
        (path / "growing").write_bytes(b"x" * 2000)
    assert 2000 == session.head_object("out/growing").size


def test_the_first_turn_comes_after_the_interval(session: S3Session, make: Make, tmp_path: Path) -> None:
    """pos3 uploaded an empty folder within a second, which deleted everything."""
    with make() as m:
        write(m.upload(f"{URL}/out", tmp_path / "out", interval=3600, settle=0), {"x": b"x"})
        time.sleep(0.3)
        assert {} == keys(session)
        m.flush()
        assert {"out/x": b"x"} == keys(session)


def test_a_turn_that_fails_comes_again(session: S3Session, server: testing.Server, make: Make, tmp_path: Path) -> None:
    """The job goes on; the status says what went wrong; later turns make it good."""
    rule = server.faults.add("PutObject", key="out/*", status=403)
    with make() as m:
        write(m.upload(f"{URL}/out", tmp_path / "out", interval=0.05, settle=0), {"x": b"x"})
        assert waited(lambda: m.status()[0]["failures"] > 0)
        assert isinstance(m.status()[0]["last_error"], SyncError)
        rule.remove()
        assert waited(lambda: session.exists("out/x"))


def test_a_turn_that_fails_in_any_way_comes_again(session: S3Session, make: Make, tmp_path: Path) -> None:
    """Also the failure of somebody else's listener ends neither the job nor the turns."""
    failures = [RuntimeError("a display that is gone"), KeyError("a counter")]

    def listen(event: object) -> None:
        if failures:
            raise failures.pop()

    with make(on_event=listen) as m:
        write(m.upload(f"{URL}/out", tmp_path / "out", interval=0.05, settle=0), {"x": b"x"})
        assert waited(lambda: session.exists("out/x"))
        assert not failures


def test_an_unreachable_store_is_told_at_once(
    session: S3Session, server: testing.Server, make: Make, tmp_path: Path
) -> None:
    """A listing that fails is an error of the download, and deletes nothing (T01, T02)."""
    put(session, FILES)
    target = tmp_path / "t"
    with make() as m:
        m.download(f"{URL}/in", target)
    server.faults.add("ListObjectsV2", status=500)
    with pytest.raises((ServerError, SyncError)), make() as m:
        m.download(f"{URL}/in", target, delete="all")
    assert BELOW == read(target)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_fork_uploads_nothing(session: S3Session, make: Make, tmp_path: Path) -> None:
    """A child that leaves the block, which it has from its parent, is not the one who uploads."""
    with make() as m:
        path = m.upload(f"{URL}/out", tmp_path / "out", interval=None)
        write(path, {"x": b"parent"})
        child = os.fork()
        if child == 0:
            code = 1
            try:
                m.__exit__(None, None, None)
                code = 0
            finally:
                os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert {} == keys(session)
    assert {"out/x": b"parent"} == keys(session)


def test_listings(session: S3Session, make: Make, tmp_path: Path) -> None:
    """One level, or all, folders included; keys with ? and # as they are; folders of this machine likewise."""
    put(session, {"in/a": b"", "in/sub/b": b"", "in/odd?#%": b"", "inner": b""})
    with make() as m:
        assert [f"{URL}/in/a", f"{URL}/in/odd?#%", f"{URL}/in/sub"] == m.ls(f"{URL}/in")
        assert [f"{URL}/in/a", f"{URL}/in/odd?#%", f"{URL}/in/sub", f"{URL}/in/sub/b"] == m.ls(
            f"{URL}/in", recursive=True
        )
        write(tmp_path / "l", {"x/y": b""})
        assert [str(tmp_path / "l" / "x")] == m.ls(tmp_path / "l")


def test_plans_change_nothing(session: S3Session, make: Make, tmp_path: Path) -> None:
    """What would happen, as data; neither side is touched."""
    put(session, FILES)
    folder = write(tmp_path / "t", {"mine": b"m"})
    with make() as m:
        with m.plan_download(f"{URL}/in", folder) as down:
            assert {"download": 3} == down.summary().operations
        with m.plan_upload(f"{URL}/in", folder) as up:
            assert {"upload": 1} == up.summary().operations
    assert ({"mine": b"m"}, FILES) == (read(folder), keys(session))


def test_profiles_have_folders_of_their_own(server: testing.Server, session: S3Session, tmp_path: Path) -> None:
    """A profile as such, one in the URL, a default one: the URL's goes first, and none of them shares a cache folder."""
    put(session, {"in/x": b"x"})
    settings = server.settings
    keys_ = {"access_key": settings["access_key_id"], "secret_key": settings["secret_access_key"]}
    inline = Profile("inline", server.endpoint_url, region="us-east-1", **keys_)
    s3func.mirrors.register_profile("named", server.endpoint_url, region="us-east-1", **keys_)
    with mirror(tmp_path / "c", default_profile=inline) as m:
        one = m.download(f"{URL}/in")
        two = m.download(f"s3://named@{BUCKET}/in")
        assert {"x": b"x"} == read(one) == read(two)
    assert {"inline", "named"} == set(os.listdir(tmp_path / "c"))


@pytest.mark.parametrize(
    ("error", "name", "options"),
    [
        (ValueError, "delete", {"delete": "yes"}),
        (ValueError, "interval", {"interval": 0}),
        (TypeError, "interval", {"interval": "5"}),
        (ValueError, "settle", {"settle": -1}),
    ],
)
def test_wrong_arguments(make: Make, error: type[Exception], name: str, options: dict[str, Any]) -> None:
    """They are refused by their names, before anything is registered."""
    with make() as m:
        with pytest.raises(error, match=name):
            m.upload(f"{URL}/out", **options)
        with pytest.raises(ValueError, match="bucket"):
            m.upload("s3://")
        with pytest.raises(TypeError, match="remote"):
            m.upload(5)  # type: ignore[arg-type]
        assert [] == m.status()


def test_sigterm_leaves_the_block_when_it_is_made_an_exception(session: S3Session, make: Make, tmp_path: Path) -> None:
    """A preempted machine: the handler raises, and what has sync_on_error goes up."""

    def handler(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(SystemExit), make() as m:
            write(m.upload(f"{URL}/ckpt", tmp_path / "ckpt", interval=None, sync_on_error=True), {"x": b"1"})
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert {"ckpt/x": b"1"} == keys(session)
