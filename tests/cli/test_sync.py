"""`s3func sync`, `cp`, `check`, `plan` and `apply` as a shell runs them, on the embedded server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from s3func import B2Session, S3Session, testing
from s3func.cli.sync import prepare
from s3func.errors import ProtocolError
from s3func.message import Request, Response
from s3func.models import ListPage, ObjectEntry
from s3func.sync import RemotePrefix, plan
from s3func.wire.s3xml import render_list_objects_v2

Run = Callable[..., subprocess.CompletedProcess[str]]
PREFIX = "s3://bucket/p"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[testing.Server]:
    """A server that the environment points every command to."""
    with testing.server() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_access_key)
        monkeypatch.setenv("AWS_REGION", running.region)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield running


@pytest.fixture
def session(server: testing.Server) -> S3Session:
    """The bucket that the commands are given."""
    return server.session("bucket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder `src`, seen from where the commands run, with two files."""
    fill(tmp_path / "src", "a", "d/b")
    return tmp_path / "src"


def fill(root: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def keys(session: S3Session, prefix: str = "p/") -> list[str]:
    return [entry.key.removeprefix(prefix) for entry in session.list_objects(prefix)]


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_there_and_back(run: Run, session: S3Session, server: testing.Server, folder: Path, tmp_path: Path) -> None:
    """A folder goes up and comes down into another; repeated in either direction, nothing is asked but one listing."""
    up = run("sync", "src", PREFIX)
    assert (0, "") == (up.returncode, up.stdout)
    assert "2 uploaded" in up.stderr
    assert ["a", "d/b"] == keys(session)
    assert 0 == run("sync", PREFIX, "out/").returncode
    assert ["a", "d/b"] == files(tmp_path / "out")
    assert "d/b" == (tmp_path / "out/d/b").read_text()
    server.journal.clear()
    again = [run("sync", "src", PREFIX), run("sync", PREFIX, "out")]
    assert [0, 0] == [done.returncode for done in again]
    assert all("nothing to do" in done.stderr for done in again)
    assert ["ListObjectsV2"] * 2 == server.journal.operations()


def test_delete_takes_what_was_synced_before(run: Run, session: S3Session, folder: Path) -> None:
    """--delete, wherever it stands, deletes what this pair has synced; what came from elsewhere stays, until --delete=all."""
    run("sync", "src", PREFIX)
    session.put_object("p/foreign", b"")
    (folder / "a").unlink()
    assert 0 == run("sync", "--delete", "src", PREFIX).returncode
    assert ["d/b", "foreign"] == keys(session)
    assert 0 == run("sync", "src", PREFIX, "--delete=all", "--max-delete", "none").returncode
    assert ["d/b"] == keys(session)


def test_nothing_is_deleted_unless_asked(run: Run, session: S3Session, folder: Path) -> None:
    """Without --delete the target keeps what the source has no more."""
    run("sync", "src", PREFIX)
    (folder / "a").unlink()
    assert 0 == run("sync", "src", PREFIX).returncode
    assert ["a", "d/b"] == keys(session)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("s3://bucket/typo", "src", "--delete=all"), "EmptySourceError"),
        (("missing", PREFIX, "--delete=all"), "EmptySourceError"),
        (("other", PREFIX, "--delete=all", "--max-delete", "1"), "TooManyDeletes"),
        (("other", PREFIX, "--delete=all", "--max-delete", "10%"), "TooManyDeletes"),
    ],
)
def test_what_looks_like_an_accident_ends_with_3(
    run: Run, session: S3Session, folder: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """An empty or missing source and too many deletes are safety stops: exit code 3, and everything is still there."""
    fill(tmp_path / "other", "x")
    run("sync", "src", PREFIX)
    done = run("sync", *arguments)
    assert 3 == done.returncode
    assert words in done.stderr
    assert {"a", "d/b"} <= set(keys(session))
    assert ["a", "d/b"] == files(folder)


def test_a_guard_stands_aside_when_it_is_told_to(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """What the message names is what has to be said for the deletes to happen."""
    (tmp_path / "empty").mkdir()
    run("sync", "src", PREFIX)
    done = run("sync", "empty", PREFIX, "--delete=all", "--max-delete=none")
    assert 3 == done.returncode
    assert "--allow-empty-source" in done.stderr
    assert 0 == run("sync", "empty", PREFIX, "--delete=all", "--max-delete=none", "--allow-empty-source").returncode
    assert [] == keys(session)


@pytest.mark.parametrize("fault", [{"answer": "html"}, {"status": 500}, {"answer": "cut_list"}, {"reset": "before"}])
def test_t01_t03_a_listing_that_cannot_be_believed_ends_with_2(
    run: Run, session: S3Session, server: testing.Server, folder: Path, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """T01, T03: whatever is wrong with a listing, nothing is deleted on either side, and the exit code is 2."""
    run("sync", "src", PREFIX)
    fill(tmp_path / "out", "a", "mine")
    with server.faults.add("ListObjectsV2", **fault):
        down = run("sync", PREFIX, "out", "--delete=all", "--max-delete=none", "--allow-empty-source")
        up = run("sync", "out", PREFIX, "--delete=all", "--max-delete=none", "--allow-empty-source")
        seen = run("check", "src", PREFIX)
        shown = run("plan", "src", PREFIX)
    assert [2, 2] == [down.returncode, up.returncode]
    assert 0 not in {seen.returncode, shown.returncode}
    assert {"a", "mine"} == set(files(tmp_path / "out"))
    assert {"a", "d/b"} <= set(keys(session))


def test_failed_steps_end_with_1(run: Run, session: S3Session, server: testing.Server, folder: Path) -> None:
    """A step that fails is told on stderr; the others are done, nothing is deleted, and the exit code is 1."""
    session.put_object("p/old", b"")
    with server.faults.add("PutObject", key="p/a", status=403, code="AccessDenied"):
        done = run("sync", "src", PREFIX, "--delete=all", "--max-delete=none")
    assert 1 == done.returncode
    assert "failed: upload a: 403 AccessDenied" in done.stderr
    assert ["d/b", "old"] == keys(session)


def test_fail_fast_ends_at_the_first_failure(
    run: Run, session: S3Session, server: testing.Server, folder: Path
) -> None:
    """With --fail-fast a run ends at once; later names have not been tried."""
    fill(folder, *(f"n{number:04}" for number in range(1500)))
    with server.faults.add("PutObject", key="p/a", status=403, code="AccessDenied"):
        done = run("sync", "src", PREFIX, "--fail-fast", "--workers", "1")
    assert 1 == done.returncode
    assert len(keys(session)) < 1500


def test_a_dry_run_changes_nothing(run: Run, session: S3Session, server: testing.Server, folder: Path) -> None:
    """--dry-run shows each step on stdout and sends nothing but listings."""
    session.put_object("p/old", b"1")
    server.journal.clear()
    done = run("sync", "src", PREFIX, "--dry-run", "--delete=all", "--max-delete=none")
    assert 0 == done.returncode
    steps = [line.split("\t")[:2] for line in done.stdout.splitlines()]
    assert [["upload", "a"], ["upload", "d/b"], ["delete", "old"]] == steps
    assert "would be 2 uploaded, 1 deleted" in done.stderr
    assert {"ListObjectsV2"} == set(server.journal.operations())
    assert ["old"] == keys(session)


def test_json_is_a_line_per_event(run: Run, session: S3Session, folder: Path) -> None:
    """With --json stdout has one JSON value per step and a summary with the exit code."""
    found = rows(run("sync", "src", PREFIX, "--json").stdout)
    done = {row["name"] for row in found if row["event"] == "operation_done"}
    assert {"a", "d/b"} == done
    assert ("summary", 2, 0) == (found[-1]["event"], found[-1]["uploaded"], found[-1]["exit_code"])
    (folder / "a").write_text("changed")
    planned = rows(run("sync", "src", PREFIX, "--json", "--dry-run").stdout)
    steps = [(row["name"], row["kind"]) for row in planned if row["event"] == "operation_planned"]
    assert [("a", "upload")] == [step for step in steps if step[1] != "record"]
    session.put_object("p/../evil", b"")
    (problem,) = [row for row in rows(run("sync", PREFIX, "out", "--json").stdout) if row.get("kind") == "problem"]
    assert ("operation_planned", "../evil", "unsafe") == (problem["event"], problem["name"], problem["reason"])
    told = run("sync", "src", PREFIX, "--progress", "json")
    assert "" == told.stdout
    assert "operation_done" in {row["event"] for row in rows("".join(told.stderr.splitlines(True)[:-1]))}


def test_a_bar_is_shown_where_it_is_asked_for(run: Run, session: S3Session, folder: Path) -> None:
    """A bar on stderr counts the files; without a terminal there is none unless it was asked for."""
    done = run("sync", "src", PREFIX, "--progress", "bar", "--verbose")
    assert (0, "") == (done.returncode, done.stdout)
    assert "B/s" in done.stderr
    assert "upload: a\n" in done.stderr
    (folder / "a").write_text("changed")
    assert "B/s" not in run("sync", "src", PREFIX).stderr


def test_names_are_shown_on_one_line(run: Run, session: S3Session, folder: Path) -> None:
    """A name with control characters cannot write to the terminal."""
    fill(folder, "new\nline\x1b[31m")
    done = run("sync", "src", PREFIX, "--verbose")
    assert 0 == done.returncode
    assert "upload: new\\nline\\x1b[31m" in done.stderr
    assert "new\nline\x1b[31m" in keys(session)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--exclude", "*.tmp"), ["a", "d/b", "d/c.txt"]),
        (("--include", "*.txt"), ["d/c.txt"]),
        (("--exclude", "*", "--include", "*.txt", "--include", "/a"), ["a", "d/c.txt"]),
        (("--filter", "+ /d/b", "--filter", "- /d/**"), ["a", "d/b", "x.tmp"]),
        (("--filter-from", "rules"), ["a", "x.tmp"]),
        (("--gitignore", "ignore"), ["a", "x.tmp"]),
        (("--files-from", "list"), ["d/b"]),
        (("--files-from", "list0"), ["a", "d/b"]),
        # `a` is small here and too large there: it is left alone.
        (("--max-size", "3"), ["d/b"]),
        (("--min-size", "7", "--ignore-case", "--exclude", "*.TXT"), []),
    ],
)
def test_filters(run: Run, session: S3Session, folder: Path, tmp_path: Path, options: Any, expected: list[str]) -> None:
    """Each option says what takes part; what does not is not deleted either (T12)."""
    fill(folder, "d/c.txt", "x.tmp")
    (tmp_path / "rules").write_text("# a comment\n\n- d/**\n")
    (tmp_path / "ignore").write_text("d/\n")
    (tmp_path / "list").write_text("d/b\nmissing\n")
    (tmp_path / "list0").write_bytes(b"./a\0./d/b\0no text: \xff\0")
    for name in ("a", "x.tmp", "d/c.txt"):
        session.put_object(f"p/{name}", b"here before")
    before = set(keys(session))
    assert 0 == run("sync", "src", PREFIX, *options, "--delete=all", "--max-delete=none").returncode
    assert before <= set(keys(session))
    changed = [entry.key[2:] for entry in session.list_objects("p/") if entry.size != len("here before")]
    assert expected == changed


def test_backups_are_kept(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """What is replaced or deleted is found again: beside it with `trash`, below a URL, or in a folder."""
    run("sync", "src", PREFIX)
    (folder / "a").write_text("changed")
    (folder / "d/b").unlink()
    done = run("sync", "src", PREFIX, "--delete", "--max-delete=none", "--backup-dir", "s3://bucket/kept")
    assert 0 == done.returncode
    kept = sorted(session.get_object(entry.key).data.decode() for entry in session.list_objects("kept/"))
    assert ["a", "d/b"] == kept
    run("sync", PREFIX, "out")
    fill(tmp_path / "out", "extra")
    down = ("sync", PREFIX, "out", "--delete=all", "--max-delete=none", "--backup-dir", "trash")
    assert 0 == run(*down).returncode
    assert ["a"] == [name for name in files(tmp_path / "out") if not name.startswith(".")]
    assert 1 == len([name for name in files(tmp_path / "out") if name.endswith("/extra")])


def test_a_plan_is_written_looked_at_and_carried_out(
    run: Run, session: S3Session, folder: Path, tmp_path: Path
) -> None:
    """`plan` changes nothing and says what `sync` would do; `apply` does it, from a file or from stdin."""
    seen = run("plan", "src", PREFIX)
    assert [["upload", "a"], ["upload", "d/b"]] == [line.split("\t")[:2] for line in seen.stdout.splitlines()]
    assert 0 == run("plan", "src", PREFIX, "--output", "plan.jsonl").returncode
    assert [] == keys(session)
    lines = rows((tmp_path / "plan.jsonl").read_text())
    assert ("plan", True) == (lines[0]["s3func"], lines[-1]["end"])
    assert 0 == run("apply", "plan.jsonl", "--dry-run").returncode
    assert [] == keys(session)
    assert 0 == run("apply", "plan.jsonl").returncode
    assert ["a", "d/b"] == keys(session)
    (folder / "a").write_text("changed")
    text = run("plan", "src", PREFIX, "--json").stdout
    command = [sys.executable, "-W", "error", "-m", "s3func", "apply", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert 0 == done.returncode
    assert b"changed" == session.get_object("p/a").data


def test_a_plan_that_is_not_whole_is_none(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """A truncated plan is refused, and nothing of it is done."""
    run("plan", "src", PREFIX, "--output", "plan.jsonl")
    path = tmp_path / "plan.jsonl"
    path.write_text("".join(path.read_text().splitlines(True)[:-1]))
    done = run("apply", "plan.jsonl")
    assert 1 == done.returncode
    assert "truncated" in done.stderr
    assert [] == keys(session)


def test_what_changed_since_the_plan_stays(run: Run, session: S3Session, folder: Path) -> None:
    """A target that changed behind the plan is a conflict: exit code 1, and the newer content stays."""
    run("plan", "src", PREFIX, "--output", "plan.jsonl")
    session.put_object("p/a", b"somebody else's")
    done = run("apply", "plan.jsonl")
    assert 1 == done.returncode
    assert b"somebody else's" == session.get_object("p/a").data
    assert b"d/b" == session.get_object("p/d/b").data


def test_check_tells_by_its_exit_code(run: Run, session: S3Session, folder: Path) -> None:
    """0 for the same, 1 for a difference, which stdout has; nothing is changed."""
    run("sync", "src", PREFIX)
    same = run("check", "src", PREFIX)
    assert (0, "") == (same.returncode, same.stdout)
    (folder / "a").write_text("A")
    fill(folder, "new")
    session.put_object("p/old", b"")
    done = run("check", "src", PREFIX)
    assert 1 == done.returncode
    found = {tuple(line.split("\t")[:2]) for line in done.stdout.splitlines()}
    assert {("different", "a"), ("only-source", "new"), ("only-target", "old")} == found
    again = run("check", "src", PREFIX, "--hash", "--json")
    assert 1 == again.returncode
    assert found == {(row["kind"], row["name"]) for row in rows(again.stdout)}
    assert b"a" == session.get_object("p/a").data


def test_from_store_to_store(run: Run, session: S3Session, server: testing.Server) -> None:
    """Two URLs are synced as a folder and a URL are."""
    server.session("other")
    for name in ("a", "d/b", "../x"):
        session.put_object(f"p/{name}", name.encode())
    assert 0 == run("sync", PREFIX, "s3://other/q").returncode
    assert ["../x", "a", "d/b"] == [entry.key[2:] for entry in server.session("other").list_objects("q/")]


def test_b2_is_a_store_like_any_other(
    run: Run, server: testing.Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A b2:// URL goes through B2's own calls: up, nothing to do, the same, down, and deleted (which hides)."""
    monkeypatch.setenv("B2_APPLICATION_KEY_ID", server.access_key_id)
    monkeypatch.setenv("B2_APPLICATION_KEY", server.secret_access_key)
    with B2Session(bucket="bucket-of-b2", realm=server.endpoint_url) as made:
        made.create_bucket()
    session = server.session("bucket-of-b2")
    url = f"b2://{server.endpoint_url}@bucket-of-b2/p"
    for arguments in (
        ("sync", "src", url),
        ("check", "src", url),
        ("sync", url, "out"),
        ("check", "out", url, "--hash"),
    ):
        done = run(*arguments)
        assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert "nothing to do" in run("sync", "src", url).stderr
    assert files(folder) == files(tmp_path / "out") == keys(session)
    (folder / "a").unlink()
    assert 0 == run("sync", "src", url, "--delete").returncode
    assert ["d/b"] == keys(session)


def test_t06_a_store_that_lists_out_of_order_is_read_again(tmp_path: Path) -> None:
    """T06: a plan whose listing turns out to be unsorted is made a second time, sorted; a listing that fails is not."""
    entries = [ObjectEntry(key, 1, "0" * 32, datetime(2026, 11, 21, tzinfo=UTC)) for key in ("p/b", "p/a")]
    body = render_list_objects_v2(ListPage(entries, []), bucket="bucket", prefix="p/", encoding_type="url")
    answers = [Response(200, {}, body), Response(200, {}, body)]

    class Canned:
        def __call__(self, request: Request) -> Response:
            return answers.pop()

        def close(self) -> None:
            """Nothing to let go of."""

    fill(tmp_path, "a", "c")
    with S3Session("id", "secret", "bucket", transport=Canned(), retries=1) as session:
        with plan(tmp_path, RemotePrefix(session, prefix="p"), state=None, compare="missing") as steps:
            prepare(steps)
            assert ["c"] == [operation.name for operation in steps]
        answers[:] = [Response(200, {}, b"")]
        with (
            plan(tmp_path, RemotePrefix(session, prefix="p"), state=None) as steps,
            pytest.raises(ProtocolError),
        ):
            prepare(steps)


def test_t46_a_key_that_leads_out_is_left_and_told(run: Run, session: S3Session, tmp_path: Path) -> None:
    """T46: a key with dots is a problem with exit code 1 or 2, the others come down, and nothing appears outside."""
    for name in ("../evil", "a", "d/../../evil", "/evil"):
        session.put_object(f"p/{name}", b"x")
    done = run("sync", PREFIX, "out")
    assert done.returncode in {1, 2}
    assert "../evil" in done.stderr
    assert ["out/a"] == [name for name in files(tmp_path) if "state" not in name]


def test_names_that_a_disk_cannot_have(run: Run, session: S3Session, tmp_path: Path) -> None:
    """T53: with conflict=suffix the object `a` beside `a/b` comes down, and goes up as itself."""
    for name in ("a", "a/b"):
        session.put_object(f"p/{name}", name.encode())
    options = ("--names", "conflict=suffix", "--delete=all", "--max-delete=none")
    assert 0 == run("sync", PREFIX, "out", *options).returncode
    assert ["a.__file__", "a/b"] == files(tmp_path / "out")
    assert 0 == run("sync", "out", PREFIX, *options).returncode
    assert ["a", "a/b"] == keys(session)


def test_links(run: Run, session: S3Session, folder: Path) -> None:
    """Links are left alone unless they are to be followed."""
    (folder / "link").symlink_to("a")
    assert 0 == run("sync", "src", PREFIX).returncode
    assert ["a", "d/b"] == keys(session)
    assert 0 == run("sync", "src", PREFIX, "--symlinks", "follow").returncode
    assert b"a" == session.get_object("p/link").data


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_only_whole_files(
    start: Callable[..., subprocess.Popen[str]],
    run: Run,
    session: S3Session,
    server: testing.Server,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """Ctrl-C ends a run with 130 and a report; no half file and no leftover has a name, and the next run does the rest."""
    for name in range(40):
        session.put_object(f"p/{name:02}", b"x" * 5000)
    with server.faults.add("GetObject", delay=0.3):
        process = start("sync", PREFIX, "out", "--workers", "2", "--verbose")
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(number)
        rest = process.communicate(timeout=60)[1]
    assert "download:" in first
    assert code == process.returncode
    assert "interrupted" in rest
    there = files(tmp_path / "out")
    assert 0 < len(there) < 40
    assert {5000} == {(tmp_path / "out" / name).stat().st_size for name in there}
    assert 0 == run("sync", PREFIX, "out").returncode
    assert [f"{name:02}" for name in range(40)] == files(tmp_path / "out")


def test_cp_copies_one(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """One object or file, under the name that is given, or its own where the target is a folder."""
    assert 0 == run("cp", "src/d/b", "s3://bucket/x/").returncode
    assert 0 == run("cp", "src/d/b", "s3://bucket/exact//key").returncode
    assert 0 == run("cp", "s3://bucket/x/b", "s3://bucket/y").returncode
    assert ["exact//key", "x/b", "y"] == keys(session, "")
    assert 0 == run("cp", "s3://bucket/y", "down").returncode
    assert "d/b" == (tmp_path / "down").read_text()
    assert 0 == run("cp", "s3://bucket/x/b", "into/").returncode
    assert 0 == run("cp", "s3://bucket/x/b", "src").returncode
    assert "d/b" == (tmp_path / "into/b").read_text() == (tmp_path / "src/b").read_text()


def test_cp_reads_and_writes_pipes(run: Run, session: S3Session, tmp_path: Path) -> None:
    """`-` is stdin and stdout, byte by byte."""
    content = os.urandom(300_000)
    command = [sys.executable, "-W", "error", "-m", "s3func", "cp"]
    into = [*command, "-", "s3://bucket/piped"]
    subprocess.run(into, input=content, check=True, timeout=60, cwd=tmp_path, capture_output=True)
    assert content == session.get_object("piped").data
    out = subprocess.run(
        [*command, "s3://bucket/piped", "-"], check=True, timeout=60, cwd=tmp_path, capture_output=True
    )
    assert content == out.stdout


def test_cp_between_stores_keeps_what_was_said_of_the_object(run: Run, session: S3Session) -> None:
    """From one store to another an object comes with its metadata and type."""
    session.put_object("a", b"content", metadata={"who": "me"}, content_type="text/x-odd")
    with testing.server() as other:
        twin = other.session("there")
        host = other.endpoint_url.removeprefix("http://")
        pair = f"{other.access_key_id}:{other.secret_access_key}"
        assert 0 == run("cp", "s3://bucket/a", f"s3://{pair}@{host}/there/b").returncode
        with twin.get_object("b") as found:
            assert (b"content", {"who": "me"}, "text/x-odd") == (found.data, found.user_metadata, found.content_type)


def test_cp_goes_on_where_it_ended(run: Run, session: S3Session, server: testing.Server, tmp_path: Path) -> None:
    """With --resume an interrupted copy keeps the parts that are there, up and down, and the result is whole."""
    content = os.urandom(40 << 20)
    (tmp_path / "big").write_bytes(content)
    with server.faults.add("UploadPart", after=2, status=403, code="AccessDenied"):
        assert 1 == run("cp", "--resume", "big", "s3://bucket/big").returncode
    parts = len(server.journal.operations("UploadPart"))
    server.journal.clear()
    assert 0 == run("cp", "--resume", "big", "s3://bucket/big").returncode
    assert 0 < len(server.journal.operations("UploadPart")) < parts + 2
    with server.faults.add("GetObject", after=2, status=403, code="AccessDenied"):
        assert 1 == run("cp", "--resume", "s3://bucket/big", "down").returncode
    assert not (tmp_path / "down").exists()
    assert 0 == run("cp", "--resume", "s3://bucket/big", "down").returncode
    assert content == (tmp_path / "down").read_bytes()
    assert ["big", "down"] == files(tmp_path)


def test_cp_leaves_what_is_there(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """With --no-clobber neither a file nor an object is replaced."""
    session.put_object("x", b"old")
    session.put_object("y", b"new")
    (tmp_path / "mine").write_text("mine")
    for arguments in (("src/a", "s3://bucket/x"), ("s3://bucket/y", "s3://bucket/x"), ("s3://bucket/x", "mine")):
        assert 0 == run("cp", "--no-clobber", *arguments).returncode
    assert b"old" == session.get_object("x").data
    assert "mine" == (tmp_path / "mine").read_text()
    assert 0 == run("cp", "--dry-run", "src/a", "s3://bucket/x").returncode
    assert b"old" == session.get_object("x").data


def test_cp_recursive_takes_everything(run: Run, session: S3Session, folder: Path, tmp_path: Path) -> None:
    """With --recursive all that is below is copied again, whatever is there, and nothing is deleted."""
    assert 0 == run("cp", "-r", "src", PREFIX, "--exclude", "a").returncode
    assert ["d/b"] == keys(session)
    session.put_object("p/d/b", b"d/B")
    session.put_object("p/more", b"")
    assert 0 == run("cp", "-r", "src", PREFIX, "--state", "none").returncode
    assert ["a", "d/b", "more"] == keys(session)
    assert b"d/b" == session.get_object("p/d/b").data


@pytest.mark.parametrize("key", ["up/..", "c/.", "nul/\x7f/.."])
def test_cp_never_leaves_the_folder(run: Run, session: S3Session, tmp_path: Path, key: str) -> None:
    """The last part of a key that is no name of a file is refused."""
    session.put_object(key, b"x")
    done = run("cp", f"s3://bucket/{key}", "into/")
    assert 1 == done.returncode
    assert "UnsafeKey" in done.stderr
    assert [] == files(tmp_path / "into")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sync", "src", "out"), "store"),
        (("sync", "src", "s3://"), "bucket"),
        (("sync", "src", PREFIX, "--delete=everything"), "delete"),
        (("sync", "src", PREFIX, "--max-delete", "most"), "max_delete"),
        (("sync", "src", PREFIX, "--workers", "0"), "workers"),
        (("sync", "src", PREFIX, "--bwlimit", "fast"), "bwlimit"),
        (("sync", "src", PREFIX, "--names", "colour=red"), "colour"),
        (("sync", "src", PREFIX, "--names", "case=upper"), "case"),
        (("sync", "src", PREFIX, "--filter", "*.tmp"), "rules"),
        (("sync", "src", PREFIX, "--exclude", "[a"), "bracket"),
        (("cp", "src", "out"), "URL"),
        (("cp", "s3://bucket", "out"), "recursive"),
        (("cp", "-r", "missing", PREFIX), "folder"),
        (("check", "src"), "TARGET"),
        (("apply", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_sent(
    run: Run, server: testing.Server, folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    """A command line that means nothing ends with 2 and names what is wrong with it."""
    done = run(*arguments)
    assert 2 == done.returncode
    assert words in done.stderr
    assert [] == server.journal.operations()


def test_a_limit_of_the_line_is_kept_to(run: Run, session: S3Session, folder: Path) -> None:
    """With --bwlimit a sync takes as long as its bytes need at that rate."""
    (folder / "big").write_bytes(b"x" * 300_000)
    began = time.monotonic()
    assert 0 == run("sync", "src", PREFIX, "--bwlimit", "200k").returncode
    assert time.monotonic() - began > 1
    assert 300_000 == session.head_object("p/big").size
