from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import AccessDenied, Conflict
from s3func.message import Request, Response
from tests.faults.scripted import error_document
from tests.s3.parts import SMALL, Bin, Watch, binned, kind_of, watched

THRESHOLD, PART = SMALL.multipart_threshold, 100
DATA = random.Random(5).randbytes(40 * PART + 7)


@pytest.fixture
def store() -> Iterator[tuple[S3Session, Watch]]:
    """A session with tiny parts on an in-process server, and what stands between them."""
    with watched() as both:
        yield both


@pytest.mark.parametrize("size", [0, 1, PART, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, len(DATA)])
@pytest.mark.parametrize("step", [1, 33, PART, 777, 10_000])
def test_what_is_written_is_what_is_stored(store: tuple[S3Session, Watch], size: int, step: int) -> None:
    """However it is cut, it is one object, there only when it is finished; below the threshold one request."""
    session, watch = store
    stream = session._upload_stream("key", metadata={"a": "b"})
    for start in range(0, size, step):
        stream.write(DATA[start : min(size, start + step)])
    assert not session.exists("key")
    watch.clear()
    result = stream.finish()
    assert (size < THRESHOLD) == ("put" in watch.kinds)
    assert result is stream.finish()
    stream.abort()
    assert DATA[:size] == session.get_object("key").data
    assert {"a": "b"} == session.head_object("key").user_metadata
    assert [] == list(session.list_multipart_uploads())


def test_what_was_written_may_be_reused(store: tuple[S3Session, Watch]) -> None:
    """A buffer belongs to the caller again as soon as write() has returned; any contiguous or strided view will do."""
    session, _ = store
    stream = session._upload_stream("key")
    buffer = bytearray(250)
    for start in range(0, len(DATA) - 250, 250):
        buffer[:] = DATA[start : start + 250]
        stream.write(buffer)
    stream.write(memoryview(b"a-b-c-")[::2])
    stream.finish()
    assert DATA[: len(DATA) // 250 * 250] + b"abc" == session.get_object("key").data


@pytest.mark.parametrize("size", [0, 10, THRESHOLD, len(DATA)])
@pytest.mark.parametrize("multipart", [None, True, False])
def test_what_is_aborted_is_not_there(store: tuple[S3Session, Watch], size: int, multipart: bool | None) -> None:
    """abort() leaves neither an object nor parts nor threads, may be called twice, and ends the stream."""
    session, _ = store
    stream = session._upload_stream("key", multipart=multipart)
    stream.write(DATA[:size])
    stream.abort()
    stream.abort()
    assert not session.exists("key")
    assert [] == list(session.list_multipart_uploads())
    assert [] == [thread for thread in threading.enumerate() if thread.name.startswith("s3func-part")]
    with pytest.raises(ValueError, match="aborted"):
        stream.write(b"more")
    with pytest.raises(ValueError, match="aborted"):
        stream.finish()


@pytest.mark.parametrize("size", [0, 10, len(DATA)])
def test_one_request_by_force(store: tuple[S3Session, Watch], size: int) -> None:
    """multipart=False sends all of it at the end."""
    session, watch = store
    stream = session._upload_stream("key", multipart=False)
    stream.write(DATA[:size])
    assert [] == watch.kinds
    assert stream.finish() is stream.finish()
    assert ["put"] == watch.kinds
    assert DATA[:size] == session.get_object("key").data
    with pytest.raises(ValueError, match="finished"):
        stream.write(b"more")


def test_a_failed_part_is_learned_of(store: tuple[S3Session, Watch]) -> None:
    """write() or finish() raises what happened to the parts before, and aborting then leaves nothing."""
    session, watch = store
    watch.before = lambda request, count: Response(403, {}) if kind_of(request) == "part 2" else None
    stream = session._upload_stream("key")

    def write_all() -> None:
        for start in range(0, len(DATA), PART):
            stream.write(DATA[start : start + PART])
        stream.finish()

    with pytest.raises(AccessDenied):
        write_all()
    stream.abort()
    watch.before = None
    assert not session.exists("key")
    assert [] == list(session.list_multipart_uploads())


def test_a_conflict_is_final(store: tuple[S3Session, Watch]) -> None:
    """What was written is gone, so a store that wants it again gets nothing: the conflict is raised."""
    session, watch = store

    def conflict(request: Request, count: int) -> Response | None:
        if kind_of(request) != "complete":
            return None
        return Response(409, {"content-type": "application/xml"}, error_document("ConditionalRequestConflict"))

    watch.before = conflict
    stream = session._upload_stream("key", if_none_match="*")
    stream.write(DATA)
    with pytest.raises(Conflict) as caught:
        stream.finish()
    assert "ConditionalRequestConflict" == caught.value.code
    watch.before = None
    assert [] == list(session.list_multipart_uploads())


def test_an_unknown_keyword_is_refused(store: tuple[S3Session, Watch]) -> None:
    """What put_object does not take, a stream does not take either."""
    session, _ = store
    with pytest.raises(TypeError, match="colour"):
        session._upload_stream("key", colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        session.upload_file(__file__, "key", resume=True, colour="red")  # type: ignore[call-arg]


def test_the_headers_that_every_request_repeats() -> None:
    """A customer's key goes with the beginning, every part and the completion, and with nothing else."""
    key = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": "a2V5",
        "x-amz-server-side-encryption-customer-key-md5": "bWQ1",
    }
    watch = Watch(Bin())
    with binned(watch) as session:
        session.put_object("key", iter([DATA]), headers={**key, "x-amz-server-side-encryption": "AES256"})
    for kind in ("create", "part", "complete"):
        for headers in watch.headers_of(kind):
            assert key.items() <= headers.items()
            assert (kind == "create") == ("x-amz-server-side-encryption" in headers)


def test_the_usual_sizes_over_sockets() -> None:
    """With the settings that nobody changed: 16 MiB are parts of 8 MiB, from whatever they come, and arrive whole."""
    data = random.Random(6).randbytes(20 * 1024 * 1024 + 1)
    with s3func.testing.server() as server:
        session = server.session("bucket")
        for body in (data, iter([data[:1_000_000], data[1_000_000:]]), memoryview(data)):
            assert session.put_object("key", body).etag.endswith("-3")
            assert data == session.get_object("key").data
        assert "-" not in session.put_object("key", data[: 16 * 1024 * 1024 - 1]).etag
        assert [] == list(session.list_multipart_uploads())
