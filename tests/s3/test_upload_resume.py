from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import AccessDenied, NotSupported, SourceChanged
from s3func.message import Request, Response
from s3func.session import Session
from tests.s3.parts import SMALL, Watch, kind_of, parts_of_any_size, watched

PART = 100
TRANSFER = SMALL._replace(concurrency=1)
"""One part after the other, so that a test knows which ones were sent."""
DATA = random.Random(1).randbytes(15 * PART + 1)


class Crash(Exception):
    """The end of a process, as far as a test can have it inside of its own."""


@pytest.fixture
def store() -> Iterator[tuple[S3Session, Watch]]:
    """A session with tiny parts, one at a time, and what stands between it and its server."""
    with watched(transfer=TRANSFER) as both:
        yield both


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of sixteen parts, the last one of a single byte."""
    made = tmp_path / "file"
    made.write_bytes(DATA)
    return made


def at_part(number: int) -> Any:
    """A fault: the crash comes with this part."""

    def fault(request: Request, count: int) -> BaseException | None:
        return Crash() if f"partNumber={number}&" in request.query else None

    return fault


def interrupt(session: S3Session, watch: Watch, path: Path, number: int, **options: Any) -> None:
    """Upload until a part, and leave the rest undone as a process does that is killed."""
    watch.before = at_part(number)
    with pytest.raises(Crash):
        session.upload_file(path, "key", resume=True, **options)
    watch.clear()


def uploads(session: S3Session) -> list[str]:
    """The unfinished ones."""
    return [entry.upload_id for entry in session.list_multipart_uploads()]


@pytest.mark.parametrize("number", [1, 2, 8, 16])
def test_only_what_is_missing_is_sent(store: tuple[S3Session, Watch], path: Path, number: int) -> None:
    """The parts that the store has are not sent again; the object is whole, and no upload is left."""
    session, watch = store
    interrupt(session, watch, path, number, metadata={"a": "1"})
    assert 1 == len(uploads(session))
    watch.clear()
    calls: list[int] = []
    result = session.upload_file(
        path, "key", resume=True, metadata={"a": "1"}, progress=lambda done, _total: calls.append(done)
    )
    assert list(range(number, 17)) == watch.numbers()
    assert 0 == watch.kinds.count("create") == watch.kinds.count("abort")
    assert (sorted(calls), len(DATA)) == (calls, calls[-1])
    assert result.etag == session.head_object("key").etag
    assert DATA == session.get_object("key").data
    assert {"a": "1"} == session.head_object("key").user_metadata
    assert [] == uploads(session)


def test_without_an_earlier_upload_it_is_a_usual_one(store: tuple[S3Session, Watch], path: Path) -> None:
    """There is nothing to go on with: all parts are sent, and nothing is left."""
    session, watch = store
    session.upload_file(str(path), "key", resume=True)
    assert ["list uploads", "create"] == watch.kinds[:2]
    assert list(range(1, 17)) == watch.numbers()
    assert DATA == session.get_object("key").data
    assert [] == uploads(session)


def test_a_small_file_is_one_request(store: tuple[S3Session, Watch], path: Path) -> None:
    """What would not go in parts is not looked for."""
    session, watch = store
    path.write_bytes(b"small")
    session.upload_file(path, "key", resume=True)
    assert ["put"] == watch.kinds


def test_all_parts_are_there(store: tuple[S3Session, Watch], path: Path) -> None:
    """When only the completion was missing, only the completion is sent."""
    session, watch = store
    watch.before = lambda request, count: (
        Crash() if request.method == "POST" and "uploads" not in request.query else None
    )
    with pytest.raises(Crash):
        session.upload_file(path, "key", resume=True)
    watch.clear()
    session.upload_file(path, "key", resume=True)
    assert [] == watch.numbers()
    assert DATA == session.get_object("key").data


def test_without_resume_nothing_is_left(store: tuple[S3Session, Watch], path: Path) -> None:
    """A failure of a usual upload takes its parts away."""
    session, watch = store
    watch.before = at_part(5)
    with pytest.raises(Crash):
        session.upload_file(path, "key")
    assert [] == uploads(session)


def test_a_changed_part_is_sent_again(store: tuple[S3Session, Watch], path: Path) -> None:
    """Parts count by their checksum: where the file has other bytes by now, they are sent."""
    session, watch = store
    interrupt(session, watch, path, 10)
    changed = bytearray(DATA)
    changed[250] ^= 1
    path.write_bytes(changed)
    session.upload_file(path, "key", resume=True)
    assert [3, *range(10, 17)] == watch.numbers()
    assert bytes(changed) == session.get_object("key").data


@pytest.mark.parametrize("other", ["content", "size", "part size", "key"])
def test_a_foreign_upload_is_left_alone(store: tuple[S3Session, Watch], path: Path, other: str) -> None:
    """An upload whose parts are not those of the file is neither used nor touched."""
    session, watch = store
    if other == "content":
        path.write_bytes(DATA[::-1])
        interrupt(session, watch, path, 5)
    elif other == "size":
        path.write_bytes(DATA[: 3 * PART] + b"x" * 70 + DATA)
        foreign = session.create_multipart_upload("key")
        foreign.upload_part(2, DATA[:70])
        foreign.upload_part(3, DATA[:90])
    elif other == "part size":
        foreign = session.create_multipart_upload("key")
        foreign.upload_part(1, DATA[:60])
        foreign.upload_part(2, DATA[60:200])
    else:
        foreign = session.create_multipart_upload("key2")
        foreign.upload_part(1, DATA[:PART])
    path.write_bytes(DATA)
    before = uploads(session)
    assert 1 == len(before)
    watch.clear()
    session.upload_file(path, "key", resume=True)
    assert list(range(1, 17)) == watch.numbers()
    assert DATA == session.get_object("key").data
    assert before == uploads(session)


def test_the_part_size_of_the_upload_is_kept(store: tuple[S3Session, Watch], path: Path) -> None:
    """Another size of parts in this call does not matter: the earlier one's is gone on with."""
    session, watch = store
    interrupt(session, watch, path, 10)
    session.upload_file(path, "key", resume=True, transfer=TRANSFER._replace(part_size=170))
    assert list(range(10, 17)) == watch.numbers()
    assert DATA == session.get_object("key").data


@pytest.mark.parametrize("algorithm", ["crc32c", "crc64nvme", "sha256", "off"])
def test_every_checksum_is_gone_on_with(store: tuple[S3Session, Watch], path: Path, algorithm: str) -> None:
    """Parts are compared with the checksum that the upload was begun with, without one by their MD5."""
    session, watch = store
    interrupt(session, watch, path, 10, checksum=algorithm)
    session.upload_file(path, "key", resume=True)
    assert list(range(10, 17)) == watch.numbers()
    head = session.head_object("key")
    kept = [name for name in head.headers if name.startswith("x-amz-checksum-") and not name.endswith("-type")]
    assert ([] if algorithm == "off" else [f"x-amz-checksum-{algorithm}"]) == kept
    assert DATA == session.get_object("key").data


def test_another_checksum_is_another_upload(store: tuple[S3Session, Watch], path: Path) -> None:
    """An object with SHA-256 does not become of an upload that was begun with CRC32."""
    session, watch = store
    interrupt(session, watch, path, 10)
    session.upload_file(path, "key", resume=True, checksum="sha256")
    assert list(range(1, 17)) == watch.numbers()
    assert "x-amz-checksum-sha256" in session.head_object("key").headers
    assert 1 == len(uploads(session))


def test_the_newest_upload_is_gone_on_with(store: tuple[S3Session, Watch], path: Path) -> None:
    """Of several interrupted uploads that fit it is the newest one; the others stay for abort_multipart_uploads."""
    session, watch = store
    for number in (3, 7):
        foreign = session.create_multipart_upload("key")
        for part in range(1, number):
            foreign.upload_part(part, DATA[(part - 1) * PART : part * PART])
        session._clock.sleep(10)
    watch.clear()
    session.upload_file(path, "key", resume=True)
    assert list(range(7, 17)) == watch.numbers()
    assert 1 == len(uploads(session))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metadata": {"a": "2"}},
        {"content_type": "text/plain", "metadata": {"a": "1"}},
        {"cache_control": "no-store", "metadata": {"a": "1"}, "tagging": {"t": "2"}},
        {"tagging": {"t": "2"}},
    ],
)
def test_the_object_is_described_as_this_call_says(
    store: tuple[S3Session, Watch], path: Path, options: dict[str, Any]
) -> None:
    """What an upload was begun with cannot be seen before it is an object; what differs is then put right."""
    session, watch = store
    begun_with = {"tagging": {"t": "1"}} if "tagging" in options else {}
    interrupt(session, watch, path, 10, metadata={"a": "1"}, **begun_with)
    result = session.upload_file(path, "key", resume=True, **options)
    assert list(range(10, 17)) == watch.numbers()
    head = session.head_object("key")
    assert result.etag == head.etag
    assert options.get("metadata", {}) == head.user_metadata
    assert options.get("content_type", "binary/octet-stream") == (head.content_type or "binary/octet-stream")
    assert options.get("cache_control") == head.headers.get("cache-control")
    assert len(options.get("tagging", {})) == int(head.headers.get("x-amz-tagging-count", "0"))
    assert DATA == session.get_object("key").data


def test_when_the_description_cannot_be_put_right_that_is_an_error(store: tuple[S3Session, Watch], path: Path) -> None:
    """The error says that the object is there and that its headers may be others."""
    session, watch = store
    interrupt(session, watch, path, 10, metadata={"a": "1"})
    watch.before = lambda request, count: Response(403, {}) if "x-amz-copy-source" in request.headers else None
    with pytest.raises(AccessDenied) as caught:
        session.upload_file(path, "key", resume=True, metadata={"a": "2"})
    assert any("resumed and completed" in note for note in caught.value.__notes__)
    assert DATA == session.get_object("key").data


def test_conditions_hold_for_resumed_uploads(store: tuple[S3Session, Watch], path: Path) -> None:
    """if_none_match goes with the completion, and a refused one leaves the upload."""
    session, watch = store
    interrupt(session, watch, path, 10)
    session.put_object("key", b"there")
    watch.clear()
    with pytest.raises(Exception, match="412"):
        session.upload_file(path, "key", resume=True, if_none_match="*")
    assert b"there" == session.get_object("key").data
    assert 1 == len(uploads(session))


def test_a_file_that_changes_while_it_is_resumed(store: tuple[S3Session, Watch], path: Path) -> None:
    """It is tried three times, each time from what is right by then, and nothing is published."""
    session, watch = store
    interrupt(session, watch, path, 10)

    def change(request: Request, count: int) -> None:
        if "partNumber" in request.query:
            with path.open("r+b") as file:
                file.seek(0)
                file.write(os.urandom(8))

    watch.before = change
    with pytest.raises(SourceChanged) as caught:
        session.upload_file(path, "key", resume=True)
    assert (3, "key") == (caught.value.attempts, caught.value.key)
    assert not session.exists("key")


def test_a_store_that_lists_no_uploads(store: tuple[S3Session, Watch], path: Path) -> None:
    """Where uploads cannot be listed, there is nothing to go on with."""
    session, watch = store
    watch.before = lambda request, count: Response(501, {}) if "encoding-type" in request.query else None
    session.upload_file(path, "key", resume=True)
    assert list(range(1, 17)) == watch.numbers()


def test_an_upload_that_is_gone_before_it_is_looked_at(store: tuple[S3Session, Watch], path: Path) -> None:
    """An upload that was listed and is completed or aborted by then is no candidate."""
    session, watch = store
    interrupt(session, watch, path, 10)
    [found] = uploads(session)
    watch.clear()

    def abort(request: Request, count: int) -> None:
        if kind_of(request) == "list parts":
            watch.before = None
            session.abort_multipart_upload("key", found)

    watch.before = abort
    session.upload_file(path, "key", resume=True)
    assert list(range(1, 17)) == watch.numbers()
    assert DATA == session.get_object("key").data


def test_parts_that_cannot_be_compared_are_sent_again(store: tuple[S3Session, Watch], path: Path) -> None:
    """Without a checksum, and with ETags that are no MD5s, nothing says that a part is ours: it stays where it is."""
    session, watch = store
    interrupt(session, watch, path, 10, checksum="off")
    [found] = uploads(session)
    watch.clear()

    def opaque(request: Request, count: int) -> Response | None:
        if kind_of(request) != "list parts":
            return None
        rows = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>x{n}</ETag><Size>100</Size></Part>" for n in range(1, 10)
        )
        body = f"<ListPartsResult><IsTruncated>false</IsTruncated>{rows}</ListPartsResult>"
        return Response(200, {}, body.encode())

    watch.before = opaque
    session.upload_file(path, "key", resume=True)
    assert list(range(1, 17)) == watch.numbers()
    assert [found] == uploads(session)


def test_an_upload_that_is_gone_meanwhile(store: tuple[S3Session, Watch], path: Path) -> None:
    """When somebody aborts what was just found, a new upload is begun."""
    session, watch = store
    interrupt(session, watch, path, 10)
    [found] = uploads(session)
    watch.clear()

    def abort(request: Request, count: int) -> None:
        if "partNumber=12&" in request.query and found in request.query:
            watch.before = None
            session.abort_multipart_upload("key", found)

    watch.before = abort
    session.upload_file(path, "key", resume=True)
    assert DATA == session.get_object("key").data
    assert [] == uploads(session)


def test_a_session_that_cannot_resume_says_so() -> None:
    """A kind of store without resumable uploads refuses before anything is sent."""
    with pytest.raises(NotSupported, match="resume"):
        Session._resume_upload(object.__new__(S3Session), Path("x"), "key", {})


_CHILD = """
import json, os, signal, sys
import s3func
from s3func.transport.pool import Pool
from s3func.transport.transfer import TransferConfig

class Deadly:
    def __init__(self):
        self.pool, self.seen = Pool(), 0
    def __call__(self, request):
        self.seen += "partNumber" in request.query
        if self.seen == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.pool(request)
    def close(self):
        self.pool.close()

order = json.loads(sys.argv[1])
with s3func.S3Session(**order["session"], transport=Deadly(), transfer=TransferConfig(1000, 4096, 2)) as session:
    session.upload_file(order["path"], "key", resume=True)
"""


def test_killed_and_resumed(tmp_path: Path) -> None:
    """A process that is killed in the middle costs nothing that it had sent: the next one sends what is missing."""
    path = tmp_path / "file"
    data = random.Random(2).randbytes(40 * 4096 - 5)
    path.write_bytes(data)
    with parts_of_any_size(), s3func.testing.server() as server:
        session = server.session("bucket", transfer=SMALL._replace(part_size=4096))
        order = {
            "session": {
                "access_key_id": server.access_key_id,
                "access_key": server.secret_access_key,
                "bucket": "bucket",
                "endpoint_url": server.endpoint_url,
                "region": server.region,
            },
            "path": str(path),
        }
        with subprocess.Popen([sys.executable, "-c", _CHILD, json.dumps(order)]) as child:
            assert -signal.SIGKILL == child.wait(30)
        [upload] = list(session.list_multipart_uploads())
        there = {part.part_number for part in session.list_parts("key", upload.upload_id)}
        assert 9 <= len(there) <= 12
        watch = Watch(session._client.transport)
        session._client.transport = watch
        session.upload_file(path, "key", resume=True)
        assert sorted(set(range(1, 41)) - there) == watch.numbers()
        assert data == session.get_object("key").data
        assert [] == uploads(session)
