from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import pytest

from s3func.download.engine import gaps
from s3func.download.journal import parse_journal
from s3func.download.target import create_nameless
from s3func.errors import ConnectionLost, S3FuncError, TimedOut
from s3func.testing import server
from s3func.transport.timeouts import Timeouts
from s3func.transport.transfer import TransferConfig
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, answer, eventually, refusal

KIB = 1024
SIZE = 1200 * KIB + 77
DATA = random.Random(4).randbytes(SIZE)
PARTS = TransferConfig(multipart_threshold=100 * KIB, part_size=200 * KIB, concurrency=4)
JOURNAL = ".file.s3func-journal"


class Object:
    """A step that sends the object or a range of it, and may cut the answer off."""

    def __init__(self, data: bytes = DATA, *, seed: int | None = None) -> None:
        """seed: of the answers that are cut, and where; None cuts none."""
        self.data = data
        self.etag = f'"{zlib.adler32(data):08x}"'
        self._random = None if seed is None else random.Random(seed)
        self._lock = Lock()
        self.cuts = 0
        self.sent = 0

    def __call__(self, exchange: Exchange) -> None:
        body, status = self.data, 200
        headers = {
            "etag": self.etag,
            "x_amz_checksum_crc32": b64encode(zlib.crc32(self.data).to_bytes(4, "big")).decode(),
        }
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.headers.get("range", ""))
        if exchange.headers.get("if-match", self.etag) != self.etag:
            exchange.send(answer(412))
            return
        if match is not None:
            first, last = int(match[1]), min(int(match[2] or SIZE), len(body) - 1)
            headers = {"etag": self.etag, "content_range": f"bytes {first}-{last}/{len(body)}"}
            body, status = body[first : last + 1], 206
        whole = answer(status, body, **headers)
        with self._lock:
            self.sent += len(body)
            dice = 1.0 if self._random is None else self._random.random()
            place = 0 if self._random is None else self._random.randrange(len(whole))
            self.cuts += dice < 0.4
        if dice < 0.2:
            exchange.send(whole[:place])
            exchange.close()
        elif dice < 0.4:
            exchange.send(whole[:place])
            exchange.reset()
        else:
            exchange.send(whole)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("resume", [False, True])
def test_connections_that_are_cut_anywhere(
    serve: Serve, connect: Connect, tmp_path: Path, number: int, *, resume: bool
) -> None:
    """With answers cut at random places a download ends right or raises; nothing false appears, and nothing is left."""
    path = tmp_path / "file"
    for run in range(10):
        step = Object(seed=1000 * number + run)
        session = connect(serve(always=step), retries=6)
        path.write_bytes(b"before")
        told: list[int] = []
        for _ in range(20):
            try:
                result = session.download_file(
                    "key",
                    path,
                    transfer=PARTS._replace(concurrency=1 + run % 5),
                    resume=resume,
                    progress=lambda done, _, told=told: told.append(done),  # type: ignore[misc]
                )
            except S3FuncError:
                assert b"before" == path.read_bytes()
                assert resume or ["file"] == names(tmp_path)
                assert sorted(told) == told
                told.clear()
            else:
                assert result.verified
                break
        assert DATA == path.read_bytes()
        assert ["file"] == names(tmp_path)
        assert sorted(told) == told
        assert SIZE == told[-1]


def test_a_cut_is_gone_on_with(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A range that breaks is asked for again from where it broke, not from its beginning, and by nobody else."""

    def cut(exchange: Exchange) -> None:
        exchange.send(answer(200, DATA, etag='"1"')[: -SIZE + 150_000])
        exchange.reset()

    asked: list[str] = []

    def rest(exchange: Exchange) -> None:
        asked.append(exchange.headers["range"])
        first, last = (int(number) for number in exchange.headers["range"][6:].split("-"))
        assert '"1"' == exchange.headers["if-match"]
        described = {"etag": '"1"', "content_range": f"bytes {first}-{last}/{SIZE}"}
        exchange.send(answer(206, DATA[first : last + 1], **described))

    session = connect(serve(cut, always=rest))
    session.download_file("key", tmp_path / "file", transfer=PARTS)
    assert DATA == (tmp_path / "file").read_bytes()
    again = sorted(int(text[6:].split("-")[0]) for text in asked)
    assert [number * 200 * KIB for number in range(1, 7)] == [start for start in again if start % (200 * KIB) == 0]
    assert 7 == len(again)
    assert 0 < again[0] <= 150_000


def test_a_store_that_falls_silent(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """A connection on which nothing comes any more ends with a TimedOut, and nothing is left."""

    def stall(exchange: Exchange) -> None:
        if "range" not in exchange.headers:
            exchange.send(answer(200, DATA, etag='"1"')[:10_000])
        exchange.stall()

    session = connect(serve(always=stall), timeouts=Timeouts(read=0.1), retries=2)
    with pytest.raises(TimedOut):
        session.download_file("key", tmp_path / "file", transfer=PARTS)
    assert [] == names(tmp_path)


def test_a_busy_store(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """SlowDown to two of three requests is waited for, and the download ends right."""
    step = Object()
    turn = 0
    lock = Lock()

    def sometimes(exchange: Exchange) -> None:
        nonlocal turn
        with lock:
            turn += 1
            busy = turn % 3 != 0
        if busy:
            exchange.send(refusal(503, "SlowDown"))
        else:
            step(exchange)

    session = connect(serve(always=sometimes), retries=20)
    session.download_file("key", tmp_path / "file", transfer=PARTS)
    assert DATA == (tmp_path / "file").read_bytes()


def test_connections_are_used_again(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    """All ranges of a download go over as many connections as it was allowed, plus that of the first answer."""
    scripted = serve(always=Object())
    session = connect(scripted)
    session.download_file("key", tmp_path / "file", transfer=PARTS._replace(part_size=60 * KIB))
    assert 5 >= scripted.accepted
    session.close()
    assert eventually(lambda: scripted.open_connections() == 0)


def test_no_store_at_all(connect: Connect, tmp_path: Path) -> None:
    """Without a store there is an error and no file."""
    session = connect("http://127.0.0.1:1", retries=2)
    with pytest.raises((S3FuncError, ConnectionLost)):
        session.download_file("key", tmp_path / "file", resume=True)
    assert [] == names(tmp_path)


def test_sizes_over_a_socket(tmp_path: Path) -> None:
    """Around what comes with the head, around ranges and around the threshold, the file is the object."""
    sizes = {0, 1, *(edge + step for edge in (64 * KIB, 100 * KIB, 200 * KIB, 400 * KIB) for step in (-1, 0, 1)), SIZE}
    with server(path=tmp_path / "store") as s3:
        session = s3.session("bucket")
        (tmp_path / "files").mkdir()
        path = tmp_path / "files" / "file"
        for size in sorted(sizes):
            session.put_object("key", DATA[:size])
            for transfer in (None, PARTS, PARTS._replace(part_size=None)):
                for resume in (False, True):
                    result = session.download_file("key", path, transfer=transfer, resume=resume)
                    assert (size, True) == (result.size, result.verified)
                    assert DATA[:size] == path.read_bytes()
                    assert ["file"] == names(path.parent)


# --- kill -9

CHILD = textwrap.dedent(
    """
    import sys
    from s3func import S3Session
    from s3func.transport.transfer import BandwidthLimit, TransferConfig

    url, path, resume = sys.argv[1:]
    transfer = TransferConfig(100 * 1024, 200 * 1024, 3, BandwidthLimit(2_000_000))
    with S3Session("id", "secret", "bucket", url, "us-east-1") as session:
        session.download_file("key", path, resume=resume == "resume", transfer=transfer)
    """
)


def killed(url: str, path: Path, is_time: Callable[[], bool], *, resume: bool) -> None:
    """Download in another process, and kill it when it is time."""
    command = [sys.executable, "-c", CHILD, url, str(path), "resume" if resume else "plain"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as child:
        try:
            assert eventually(lambda: child.poll() is not None or is_time())
        finally:
            child.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == child.returncode


def noted(path: Path) -> int:
    try:
        return sum(block.length for block in parse_journal((path.parent / JOURNAL).read_bytes())[1])
    except (OSError, ValueError):
        return 0


def test_kill_and_resume(tmp_path: Path) -> None:
    """After any number of kills the old file is there, and each next call moves only what the last one has not noted."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with server(access_key_id="id", secret_access_key="secret") as s3:
        session = s3.session("bucket")
        session.put_object("key", DATA)
        for part in (1, 3, 4):
            killed(s3.endpoint_url, path, lambda part=part: noted(path) >= part * 200 * KIB, resume=True)  # type: ignore[misc]
            assert b"before" == path.read_bytes()
            assert [JOURNAL, ".file.s3func-part", "file"] == names(tmp_path)
        missing = gaps(parse_journal((tmp_path / JOURNAL).read_bytes())[1], SIZE)
        present = SIZE - sum(end - start for start, end in missing)
        s3.journal.clear()
        told: list[int] = []
        result = session.download_file(
            "key", path, resume=True, transfer=PARTS, progress=lambda done, _: told.append(done)
        )
        entries = s3.journal.entries("GetObject")
    assert present >= 800 * KIB
    assert present == result.resumed
    assert result.verified
    assert told[0] >= present
    # The first answer begins with the first byte that is missing, and is closed behind its range.
    lengths = sorted((entry.bytes_out or 0 for entry in entries), reverse=True)
    assert SIZE - missing[0][0] == lengths[0]
    assert SIZE - present - 200 * KIB <= sum(lengths[1:]) < SIZE - present
    assert DATA == path.read_bytes()
    assert ["file"] == names(tmp_path)


def test_kill_without_resume(tmp_path: Path) -> None:
    """A download that is killed leaves the old file and, where files can be without a name, nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with server(access_key_id="id", secret_access_key="secret") as s3:
        session = s3.session("bucket")
        session.put_object("key", DATA)
        killed(s3.endpoint_url, path, lambda: len(s3.journal.entries("GetObject")) >= 3, resume=False)
        assert b"before" == path.read_bytes()
        nameless = create_nameless(str(tmp_path / "try"))
        if nameless is not None:
            os.close(nameless)
            assert ["file"] == names(tmp_path)
        session.download_file("key", path, transfer=PARTS)
    assert DATA == path.read_bytes()
