"""The programs of examples/ do what they say, each as a process of its own against the embedded server."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3func import S3Session
from s3func.testing import Server
from tests.documents import ROOT, read

EXAMPLES = ROOT / "examples"
SECONDS = 60


def command(program: str, *arguments: str) -> list[str]:
    """How a program is started: with every warning an error."""
    return [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments]


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program that runs beside the test, and is over behind it."""
    with subprocess.Popen(
        command(program, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def said(program: str, *arguments: str) -> str:
    """What a program prints; AssertionError with its own words if it fails."""
    done = subprocess.run(command(program, *arguments), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def asked(method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
    """Status, body and ETag of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named, method=method)) as answer:
            return answer.status, answer.read(), answer.headers.get("ETag", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), ""


def test_notes(s3_environment: Server, s3_session: S3Session) -> None:
    """Notes are kept and found; an edit of what somebody else has changed is refused; a store that is down is 502."""
    bucket = s3_session.bucket or ""
    with started("notes.py", bucket) as process:
        assert process.stdout is not None
        url = f"{process.stdout.readline().strip()}/shopping%20list"
        assert 404 == asked("GET", url)[0]
        status, _, first = asked("PUT", url, b"milk")
        assert 201 == status
        assert 412 == asked("PUT", url, b"beer")[0]
        assert 201 == asked("PUT", url, b"milk, eggs", If_Match=first)[0]
        assert 412 == asked("PUT", url, b"milk, beer", If_Match=first)[0]
        assert (200, b"milk, eggs") == asked("GET", url)[:2]
        assert ["notes/shopping list"] == [entry.key for entry in s3_session.list_objects()]
        with s3_environment.faults.add(code="AccessDenied"):
            assert 502 == asked("GET", url)[0]
        assert 204 == asked("DELETE", url)[0]
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(SECONDS)
    assert [] == list(s3_session.list_objects())


@pytest.mark.usefixtures("s3_environment")
def test_workers(s3_session: S3Session) -> None:
    """Two workers at once do every job exactly once, and leave an empty inbox and no lock."""
    jobs = {f"{number:02}" for number in range(12)}
    for job in jobs:
        s3_session.put_object(f"inbox/{job}", f"text {job}")
    with started("worker.py", s3_session.bucket or "") as one, started("worker.py", s3_session.bucket or "") as two:
        counts = [int(process.communicate(timeout=SECONDS)[0]) for process in (one, two)]
    assert [0, 0] == [one.returncode, two.returncode]
    if sum(counts) < len(jobs):
        # A job that one of them held when both came by is left to the next run.
        counts.append(int(said("worker.py", s3_session.bucket or "")))
    assert len(jobs) == sum(counts)
    assert {f"done/{job}" for job in jobs} == {entry.key for entry in s3_session.list_objects()}
    assert b"TEXT 03" == s3_session.get_object("done/03").data


@pytest.mark.usefixtures("s3_environment")
def test_etl(s3_session: S3Session) -> None:
    """Files are summed up into one table; a file that is broken leaves the table as it was."""
    for day, rows in (("1", "a,1\nb,2\n"), ("2", "b,3\nc,1\n")):
        s3_session.put_object(f"visits/{day}.csv.gz", gzip.compress(f"page,visits\n{rows}".encode()))
    s3_session.put_object("visits/readme.txt", b"not one of them")
    assert "2 files, 3 pages\n" == said("etl.py", s3_session.bucket or "", "visits/", "totals.csv.gz")
    head = s3_session.get_object("totals.csv.gz")
    table = gzip.decompress(head.data)
    assert b"page,visits\r\nb,5\r\na,1\r\nc,1\r\n" == table
    assert ("text/csv", "gzip") == (head.content_type, head.headers["content-encoding"])
    s3_session.put_object("visits/3.csv.gz", gzip.compress(b"page,visits\na,1\n")[:-4])
    with pytest.raises(AssertionError, match="EOFError"):
        said("etl.py", s3_session.bucket or "", "visits/", "totals.csv.gz")
    assert table == gzip.decompress(s3_session.get_object("totals.csv.gz").data)


@pytest.mark.usefixtures("s3_environment")
def test_training(s3_session: S3Session) -> None:
    """A run that was killed goes on with its last whole step, and ends where one ends that was not."""
    bucket = s3_session.bucket or ""
    whole = said("training.py", bucket, "whole", "6").splitlines()
    with started("training.py", bucket, "killed", "1000000") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 3:"):
                break
        process.kill()
    found = said("training.py", bucket, "killed", "6").splitlines()
    begin = re.fullmatch(r"from step (\d+)", found[0])
    assert begin is not None
    assert 3 <= int(begin[1])
    if int(begin[1]) < 6:
        assert whole[-1] == found[-1]


@pytest.mark.usefixtures("s3_environment")
def test_training_begins_at_its_last_step(s3_session: S3Session) -> None:
    """A run in two halves prints what a run in one piece prints."""
    bucket = s3_session.bucket or ""
    whole = said("training.py", bucket, "whole", "6").splitlines()
    halves = (
        said("training.py", bucket, "halves", "3").splitlines()
        + said("training.py", bucket, "halves", "6").splitlines()
    )
    assert "from step 3" == halves.pop(4)
    assert whole == halves


def test_report(tmp_path: Path) -> None:
    """The tests of the tested program pass, with the fixtures that pytest finds by itself."""
    folder = EXAMPLES / "report"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=SECONDS,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    assert "5 passed" in done.stdout


def test_every_example_is_named() -> None:
    """examples/README.md names every program of the folder, and no other."""
    named = set(re.findall(r"\]\(([a-z_]+\.py|[a-z]+/)\)", read("examples/README.md")))
    there = {path.name for path in EXAMPLES.glob("*.py")}
    there |= {f"{path.name}/" for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert there == named
