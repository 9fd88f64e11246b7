"""`s3func lock` as a shell runs it, on the embedded server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session, testing
from s3func.cli.lock import NAME_VARIABLE, TOKEN_VARIABLE
from tests.cli.shell import Shell

Run = Callable[..., subprocess.CompletedProcess[str]]
PLACE = "s3://bucket/jobs/nightly"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Session]:
    """A bucket, which the environment points every command to."""
    with testing.server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
        monkeypatch.setenv("AWS_REGION", server.region)
        yield server.session("bucket")


def python(program: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", program)


def test_run_ends_as_its_command_does(run: Run, session: S3Session) -> None:
    """Exit code and output are the command's; the lock is held while it runs, and free afterwards."""
    program = f"import os; print(os.environ[{TOKEN_VARIABLE!r}], os.environ[{NAME_VARIABLE!r}]); raise SystemExit(7)"
    first = run("lock", "run", PLACE, *python(program))
    second = run("lock", "run", PLACE, *python(program))
    assert (7, "") == (first.returncode, first.stderr)
    tokens = [int(done.stdout.split()[0]) for done in (first, second)]
    assert tokens[0] < tokens[1]
    assert PLACE == first.stdout.split()[1]
    assert not session.lock("jobs/nightly").locked()


def test_options_of_the_command_are_its_own(run: Run, session: S3Session) -> None:
    """What follows the name is the command, whatever it looks like; without a token the bucket stays clean."""
    done = run(
        "lock", "run", "--no-token", PLACE, "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--ttl", "-h"
    )
    assert (0, "['--ttl', '-h']\n") == (done.returncode, done.stdout)
    assert [] == list(session.list_objects())


def test_run_gives_up_when_the_lock_is_held(run: Run, session: S3Session) -> None:
    """Exit code 1, and the command has not run."""
    with session.lock("jobs/nightly"):
        done = run("lock", "run", "--timeout", "0", PLACE, *python("print('ran')"))
    assert (1, "") == (done.returncode, done.stdout)
    assert "held by somebody else" in done.stderr


def test_a_command_that_a_signal_ends(run: Run, session: S3Session) -> None:
    """128 and the number of the signal, as shells say it."""
    done = run("lock", "run", PLACE, *python("import os; os.kill(os.getpid(), 9)"))
    assert 128 + 9 == done.returncode


def test_a_command_that_is_not_there(run: Run, session: S3Session) -> None:
    """Exit code 1, its name, and a lock that is free."""
    done = run("lock", "run", PLACE, "--", "no-such-command-anywhere")
    assert 1 == done.returncode
    assert "no-such-command-anywhere" in done.stderr
    assert not session.lock("jobs/nightly").locked()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


SLEEPER = "import time; print('begun', flush=True); time.sleep(600)"


def test_sigterm_goes_to_the_command(start: Any, session: S3Session) -> None:
    """The command is asked to end, and the lock is free when it has."""
    process = start("lock", "run", PLACE, *python(SLEEPER))
    assert "begun" == first_line(process)
    process.send_signal(signal.SIGTERM)
    assert 128 + signal.SIGTERM == process.wait(60)
    assert not session.lock("jobs/nightly").locked()


def test_sigterm_while_waiting_leaves_no_ticket(start: Any, session: S3Session) -> None:
    """Who is ended in the queue blocks nobody behind it."""
    with session.lock("jobs/nightly") as holder:
        process = start("lock", "run", PLACE, *python("print('ran')"))
        while len(holder.owners()) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == process.wait(60)
        assert 1 == len(holder.owners())
    assert "" == process.stdout.read()


def test_a_command_whose_lock_is_broken_is_ended(start: Any, session: S3Session) -> None:
    """It does not go on beside the next holder: also when it does not listen to SIGTERM."""
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
    process = start("lock", "run", "--ttl", "3", PLACE, *python(stubborn))
    assert "begun" == first_line(process)
    assert 1 == len(session.lock("jobs/nightly").break_lock())
    assert 1 == process.wait(60)
    assert "was lost" in process.stderr.read()


def test_ls_shows_holders_and_those_who_wait(run: Run, start: Any, session: S3Session) -> None:
    """A line per ticket, or a document; names come from the listing, and objects of others are no locks."""
    session.put_object("jobs/file.lock/readme", b"")
    assert "" == run("lock", "ls", "s3://bucket").stdout
    with session.lock("jobs/nightly", note="by hand"), session.lock("other"):
        waiter = start("lock", "run", PLACE, *python("pass"))
        while len(session.lock("jobs/nightly").owners()) < 2:
            time.sleep(0.01)
        rows = [line.split("\t") for line in run("lock", "ls", "s3://bucket/jobs/").stdout.splitlines()]
        documents = [json.loads(line) for line in run("lock", "ls", "--json", "s3://bucket").stdout.splitlines()]
    assert [("jobs/nightly", "holding", "by hand"), "jobs/nightly"] == [
        (rows[0][0], rows[0][1], rows[0][-1]),
        rows[1][0],
    ]
    assert ["jobs/nightly", "jobs/nightly", "other"] == [document["lock"] for document in documents]
    assert 0 == waiter.wait(60)


def test_break_says_whom(run: Run, session: S3Session) -> None:
    """Nothing is broken that was not asked for; ids are printed."""
    holder = session.lock("jobs/nightly")
    holder.acquire()
    assert 2 == run("lock", "break", PLACE).returncode
    assert (0, "") == (run("lock", "break", "--older-than", "3600", PLACE).returncode, "")
    owner = holder.owners()[0]
    done = run("lock", "break", "--id", owner.id, PLACE)
    assert (0, f"{owner.id}\n") == (done.returncode, done.stdout)
    assert not holder.verify()
    holder.release()


@pytest.mark.parametrize("place", ["bucket/name", "s3://", "s3://bucket", "s3:///name", "https://bucket/name"])
def test_a_place_that_is_none(run: Run, place: str) -> None:
    """Wrong usage, before anything is sent."""
    assert 2 == run("lock", "run", place, "--", "true").returncode


def test_a_lock_at_b2_and_at_another_store(tmp_path: Path, server: testing.Server) -> None:
    """A URL means the same as everywhere: another provider, another store, and what others hold there."""
    session = server.session("bucket")
    shell = Shell(tmp_path, server, session.bucket)
    urls = ("{b2}/jobs/nightly", f"s3://{server.endpoint_url}/{session.bucket}/jobs/nightly")
    for url in urls:
        assert ["ran"] == shell.out("lock", "run", "--ttl", "30", url, "--", "echo", "ran")
    with session.lock("jobs/nightly"):
        for url in urls:
            assert "held by somebody else" in shell.fails(1, "lock", "run", "--timeout", "0", url, "--", "echo", "ran")
            assert 1 == len(shell.out("lock", "ls", url))
