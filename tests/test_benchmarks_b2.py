"""The parts of the B2 benchmark that compute, and its stores, which must not be kinder than B2 is."""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as program
from benchmarks import b2, b2_clients, b2_documents, b2_worker, transfer
from benchmarks.b2_clients import APPLICATION_KEY, KEY_ID, Where
from benchmarks.b2_sink import B2Sink
from benchmarks.b2_store import Store, object_sha1
from benchmarks.contenders import WrongAnswer
from benchmarks.paced_sink import PacedSink
from benchmarks.paced_store import Request
from benchmarks.page import KEYS, TOTAL_SIZE
from benchmarks.rounds import Sample
from benchmarks.sink import BUCKET, SinkUnavailable, bulk_block, small_body
from s3func import B2Session
from s3func.errors import InvalidRequest
from s3func.transport.transfer import TransferConfig
from s3func.wire.b2json import parse_files

MIB = 1 << 20
PARTS = TransferConfig(multipart_threshold=MIB, part_size=5 * MIB, concurrency=3)
DIGITS = "0123456789abcdef0123456789abcdef01234567"


def call(store: Store, name: str, **fields: Any) -> dict[str, Any]:
    """The document of one call."""
    body = json.dumps(fields).encode()
    answer = store.answer(Request("POST", f"/b2api/v4/{name}", {}, {"host": "h"}), body)
    document: dict[str, Any] = json.loads(answer.body)
    return {**document, "http": answer.status}


def begun(store: Store) -> tuple[str, str]:
    """The id and the upload path of a large file."""
    started = call(store, "b2_start_large_file", bucketId=b2_documents.BUCKET_ID, fileName="f", fileInfo={"a": "b"})
    url = call(store, "b2_get_upload_part_url", fileId=started["fileId"])
    return started["fileId"], url["uploadUrl"].removeprefix("http://h")


def part(path: str, number: int, length: int, sha1: str, token: str = b2_documents.UPLOAD_TOKEN) -> Request:
    """A part's head."""
    headers = {
        "authorization": token,
        "x-bz-part-number": str(number),
        "x-bz-content-sha1": sha1,
        "content-length": str(length),
    }
    return Request("POST", path, {}, headers)


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 3 * MIB + 5])
def test_the_store_knows_the_sha1_of_what_it_sends(size: int) -> None:
    """The SHA-1 is that of the repeated block, cut to the size."""
    block = bulk_block()
    assert hashlib.sha1((block * (size // len(block) + 1))[:size]).hexdigest() == object_sha1(size)


def test_parts_become_a_file() -> None:
    """A part's SHA-1 is that of its header, or the digits behind its bytes; the file is as large as all of them."""
    store = Store()
    identity, path = begun(store)
    header, tail = part(path, 1, 100, DIGITS), part(path, 2, 50, "hex_digits_at_end")
    assert (0, 40) == (store.kept(header), store.kept(tail))
    assert DIGITS == json.loads(store.answer(header, b"").body)["contentSha1"]
    second = json.loads(store.answer(tail, DIGITS[::-1].encode()).body)
    assert (10, DIGITS[::-1]) == (second["contentLength"], second["contentSha1"])
    finished = call(store, "b2_finish_large_file", fileId=identity, partSha1Array=[DIGITS, DIGITS[::-1]])
    assert (200, 110, {"a": "b"}) == (finished["http"], finished["contentLength"], finished["fileInfo"])
    assert (110, 110) == (store.stats.received, store.stats.stored)


@pytest.mark.parametrize("told", [[DIGITS], [DIGITS, DIGITS], [DIGITS[::-1], DIGITS], []])
def test_a_wrong_list_of_parts_is_refused(told: list[str]) -> None:
    """Only the SHA-1s that the parts came with, all of them and in their order, finish a file."""
    store = Store()
    identity, path = begun(store)
    for number, sha1 in ((1, DIGITS), (2, DIGITS[::-1])):
        assert 200 == store.answer(part(path, number, 5, sha1), b"").status
    assert 400 == call(store, "b2_finish_large_file", fileId=identity, partSha1Array=told)["http"]
    assert 0 == store.stats.stored


def test_nobody_uploads_without_the_token_or_a_sha1() -> None:
    """An upload needs the token of its URL and says its SHA-1; a download needs the account's token."""
    store = Store()
    _, path = begun(store)
    assert 401 == store.answer(part(path, 1, 5, DIGITS, "another"), b"").status
    assert 400 == store.answer(part(path, 1, 5, "do_not_verify"), b"").status
    assert 401 == store.answer(Request("GET", f"/file/{BUCKET}/down/5", {}, {}), b"").status
    assert 404 == call(store, "b2_no_such_call")["http"]


def test_our_session_on_the_store(tmp_path: Path) -> None:
    """A file goes up in parts whose SHA-1s are compared, one comes down in ranges and has the SHA-1 that it should."""
    size = 11 * MIB
    with (
        PacedSink(0, 0, "benchmarks.b2_store") as sink,
        B2Session(KEY_ID, APPLICATION_KEY, BUCKET, realm=sink.endpoint, transfer=PARTS) as session,
    ):
        assert session.download_file(f"down/{size}", tmp_path / "down").verified
        put = session.put_object("up", tmp_path / "down")
        assert object_sha1(size) == put.content_sha1
        stats = sink.stats()
    assert size == stats.stored
    assert 1 <= stats.at_once <= 3


def test_a_tail_is_read_behind_what_is_thrown_away() -> None:
    """Digits at the end of a body reach the store whatever pieces the body arrives in."""
    with PacedSink(0, 0, "benchmarks.b2_store") as sink:
        where = b2_clients.Sockets(Where(sink.port), "")
        identity = where._call(
            "b2_start_large_file", {"bucketId": b2_documents.BUCKET_ID, "fileName": "f", "fileInfo": {}}
        )["fileId"]
        path = where._call("b2_get_upload_part_url", {"fileId": identity})["uploadUrl"].partition(str(sink.port))[2]
        where.close()
        for number, cuts in enumerate([[300_000], [299_990], [7, 8], []], 1):
            body = bytes(300_000) + DIGITS.encode()
            head = (
                f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: {b2_documents.UPLOAD_TOKEN}\r\n"
                f"X-Bz-Part-Number: {number}\r\nX-Bz-Content-Sha1: hex_digits_at_end\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode()
            with socket.create_connection(("127.0.0.1", sink.port)) as sock:
                bounds = [0, *cuts, len(body)]
                sock.sendall(head)
                for start, end in itertools.pairwise(bounds):
                    sock.sendall(body[start:end])
                answer = sock.recv(65536)
            assert DIGITS == json.loads(answer.partition(b"\r\n\r\n")[2])["contentSha1"]


def test_the_page_is_one_of_b2() -> None:
    """The page that everybody reads has all rows, and our own parser finds what it should."""
    page = parse_files(b2_documents.names_page("plain/"))
    assert (KEYS, TOTAL_SIZE) == (len(page.files), sum(file.size for file in page.files))
    assert page.next_file_name is None


class Wrong:
    """A client that comes back with something else."""

    def put(self, key: str, body: bytes) -> str:
        return "0" * 40

    def get(self, key: str) -> int:
        return 1023

    def list_page(self, prefix: str) -> tuple[int, int]:
        return 999, TOTAL_SIZE


@pytest.mark.parametrize("verb", b2.VERBS)
def test_a_wrong_answer_is_not_counted(verb: str) -> None:
    """A call that did not do what was asked ends the measurement."""
    with pytest.raises(WrongAnswer):
        b2_worker.checked_call(Wrong(), verb)("key")  # type: ignore[arg-type]


def calls_sample(name: str, number: int, cpu: float) -> Sample:
    return Sample("put, 1 thread", name, number, 100, cpu, 1.0, 0.0, 0, 0.1, 0)


def transfer_sample(name: str, number: int, wall: float) -> transfer.Sample:
    return transfer.Sample(name, transfer.PACED, "upload", number, 10**9, wall, 1.0, 1.0, 0.1, MIB, 5, 2)


def test_verdicts_are_theirs_by_ours() -> None:
    """Five times our CPU is 5.00, twice our time is 2.00, and what was not measured has no row."""
    calls = [calls_sample("s3func", 0, 1.0), calls_sample("b2sdk", 0, 5.0)]
    moved = [transfer_sample("s3func", 0, 4.0), transfer_sample("b2sdk", 0, 8.0)]
    rows = [verdict.row() for verdict in b2.verdicts(calls, moved)]
    assert [
        ["b2sdk's CPU of a put ÷ ours, 1 thread", "≥ 5", "5.00", "yes"],
        ["b2sdk's time of the upload, paced ÷ ours", "≥ 2", "2.00", "yes"],
    ] == rows
    text = b2.markdown(calls, moved, b2.QUICK, {"peer": "not here"}, "about")
    assert "| b2sdk | 5.00 | – | – | 1.00 | – | – |" in text.splitlines()
    assert "Left out: peer: not here" in text


QUICK = ["--clients", "s3func;raw sockets"]


def test_transfers_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks b2` moves a file both ways, paced and not, prints its tables and keeps its samples."""
    monkeypatch.setattr(b2, "QUICK", b2.Settings(1, 0.05, 0.01, 2, 1, 1, 20, 4, 8))
    kept = tmp_path / "samples.json"
    assert 0 == program.main(["b2", "--quick", *QUICK, "--only", "transfers", "--json", str(kept)])
    printed = capsys.readouterr().out
    assert "| download, unpaced |" in printed
    samples = json.loads(kept.read_text())["transfers"]
    assert 8 == len(samples)
    assert {20 * MIB} == {one["size"] for one in samples}


def test_calls_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Small calls are made and compared, where there is an nginx to answer them."""
    monkeypatch.setattr(b2, "QUICK", b2.Settings(1, 0.05, 0.01, 2, 1, 1, 20, 4, 8))
    code = program.main(["b2", "--quick", *QUICK, "--only", "calls"])
    printed = capsys.readouterr()
    if code == 2 and "nginx" in printed.err:
        pytest.skip("needs nginx with Lua")
    assert 0 == code
    assert "## 1 KiB and pages of 1,000 rows, 2 threads" in printed.out


def test_the_small_sink_compares() -> None:
    """What does not have the SHA-1 that it says, or not the size, is refused; digits at the end count as well as a header."""
    try:
        with B2Sink() as sink, B2Session(KEY_ID, APPLICATION_KEY, BUCKET, realm=sink.endpoint) as session:
            body = small_body()
            put = session.put_object("small/é", body)
            assert (hashlib.sha1(body).hexdigest(), 1024) == (put.content_sha1, put.size)
            assert body == session.get_object("small/é").data
            with pytest.raises(InvalidRequest):
                session.put_object("small/key", body[:-1])
    except SinkUnavailable:
        pytest.skip("needs nginx with Lua")


def test_a_machine_without_b2sdk_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The peer that is missing is named, and nothing is measured without it."""
    monkeypatch.setattr(b2, "find_spec", lambda name: None)
    assert 2 == b2.main(["--quick"])
    assert "not installed: b2sdk" in capsys.readouterr().err


def test_a_selection_that_means_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown client or subject is named."""
    for wrong in (["--clients", "nobody"], ["--only", "lists"]):
        with pytest.raises(SystemExit):
            b2.main(wrong)
    assert "unknown: " in capsys.readouterr().err
