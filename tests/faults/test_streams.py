from __future__ import annotations

import gc
import gzip
import hashlib
import io
import json
import os
import signal
import tarfile
import threading
import warnings
import zlib
from base64 import b64encode
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest

from s3func.errors import ChecksumMismatch, ConnectionLost, TruncatedBody
from s3func.results import GetResult
from tests.faults.clock import FakeClock
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, Scripted, Step, answer, chunked, eventually, then_close, then_reset

DATA = bytes(range(251)) * 4096
MORE = 64 * 1024 * 1024


def drained(result: GetResult, way: str) -> bytes:
    """All of the body, read in one of the ways."""
    if way == "data":
        return result.data
    if way == "read()":
        return result.read()
    if way == "read(n)":
        return b"".join(iter(lambda: result.read(10_000), b""))
    if way == "readinto":
        data, buffer = b"", bytearray(10_000)
        while count := result.readinto(buffer):
            data += buffer[:count]
        return data
    return b"".join(result.iter_chunks(10_000) if way == "iter_chunks" else result)


WAYS = ("data", "read()", "read(n)", "readinto", "iter_chunks", "for")
SIZED = answer(200, DATA)
CHUNKS = chunked(*[DATA[start : start + 30_000] for start in range(0, len(DATA), 30_000)])
UNTIL_CLOSE = then_close(answer(200, DATA, content_length=None))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [SIZED, CHUNKS, UNTIL_CLOSE], ids=["sized", "chunked", "until close"])
def test_a_whole_body(serve: Serve, connect: Connect, step: Step, way: str) -> None:
    """A body is the same bytes however it was framed and however it is read."""
    result = connect(serve(step)).get_object("key")
    assert DATA == drained(result, way)
    assert b"" == result.read(0) == result.read(1 if way != "data" else 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "data",
    [SIZED[:-1], SIZED[: len(SIZED) // 2], CHUNKS[:-1], CHUNKS[:-5], CHUNKS[: len(CHUNKS) // 2]],
    ids=["sized, last byte", "sized, half", "chunked, last byte", "chunked, last chunk", "chunked, half"],
)
def test_a_cut_body(serve: Serve, connect: Connect, data: bytes, way: str) -> None:
    """A streamed body that ends early is a TruncatedBody in every way of reading it, and is never just shorter."""
    result = connect(serve(then_close(data))).get_object("key")
    with pytest.raises(TruncatedBody):
        drained(result, way)
    with pytest.raises((TruncatedBody, ConnectionLost, ValueError)):
        drained(result, way)


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_in_a_body(serve: Serve, connect: Connect, way: str) -> None:
    """A connection that breaks in a streamed body is a ConnectionLost."""
    result = connect(serve(then_reset(SIZED[:-1]))).get_object("key")
    with pytest.raises(ConnectionLost):
        drained(result, way)


SMALL = DATA[:1000]


@pytest.mark.parametrize("step", [then_close, then_reset], ids=["closed", "reset"])
@pytest.mark.parametrize("cut", [1, 999])
def test_a_cut_small_body(
    serve: Serve, connect: Connect, clock: FakeClock, step: Callable[[bytes], Step], cut: int
) -> None:
    """A small body is read inside the attempt, so that a cut one is simply asked for again."""
    server = serve(step(answer(200, SMALL)[:-cut]), answer(200, SMALL))
    assert SMALL == connect(server).get_object("key").data
    assert 1 == len(clock.slept)


def test_a_small_body_that_is_always_cut(serve: Serve, connect: Connect) -> None:
    """When every attempt ends early, the error is the TruncatedBody of the last one."""
    with pytest.raises(TruncatedBody, match="1 bytes early") as caught:
        connect(serve(always=then_close(answer(200, SMALL)[:-1])), retries=3).get_object("key")
    assert 3 == caught.value.attempts


def test_stream_false_reads_a_large_body_at_once(serve: Serve, connect: Connect) -> None:
    """With stream=False the body is whole before get_object returns: one that breaks is asked for again."""
    session = connect(serve(SIZED, then_close(SIZED[:-1]), SIZED), stream=False)
    assert DATA == session.get_object("key").data
    assert DATA == session.get_object("key").data
    once = connect(serve(then_close(SIZED[:-1])), stream=False, retries=1)
    with pytest.raises(TruncatedBody) as caught:
        once.get_object("key")
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)


@pytest.mark.parametrize("step", [SIZED, CHUNKS, UNTIL_CLOSE], ids=["sized", "chunked", "until close"])
def test_read_gives_as_much_as_was_asked_for(serve: Serve, connect: Connect, step: Step) -> None:
    """read(n) gives n bytes until the body ends, however the network cut it, as parsers of headers rely on."""
    result = connect(serve(step)).get_object("key")
    for size in (1, 7, 100_000, 300_000):
        assert size == len(result.read(size))
    assert DATA[400_008:] == result.read(2 * len(DATA))
    assert b"" == result.read(1)


@pytest.mark.parametrize("size", [0, 1, 1000, 1_000_000])
def test_the_readers_of_the_standard_library(serve: Serve, connect: Connect, size: int) -> None:
    """A result of any size can be given to what reads from a file: archives, decompressors, parsers."""
    text = b"a line of text\n" * (size // 15)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("member")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    documents = gzip.compress(text), archive.getvalue(), json.dumps(text.decode()).encode()
    session = connect(serve(*[answer(200, document) for document in documents]))
    results: list[Any] = [session.get_object("key") for _ in documents]
    with gzip.open(results[0]) as unpacked:
        assert text == unpacked.read()
    with tarfile.open(fileobj=results[1], mode="r|") as tar:
        found = tar.next()
        assert found is not None
        extracted = tar.extractfile(found)
        assert extracted is not None
        assert text == extracted.read()
    assert text.decode() == json.load(results[2])


def crc32(data: bytes) -> str:
    return b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1000, len(DATA)])
def test_a_changed_byte(serve: Serve, connect: Connect, size: int, way: str) -> None:
    """A body that is not what the store has a checksum of is a ChecksumMismatch, and no read gives its end."""
    data = DATA[:size]
    changed = data[:-1] + b"!"
    session = connect(serve(always=answer(200, changed, x_amz_checksum_crc32=crc32(data))))
    with pytest.raises(ChecksumMismatch, match="crc32"):
        drained(session.get_object("key"), way)


def test_a_changed_byte_is_noticed_with_the_last_one(serve: Serve, connect: Connect) -> None:
    """Whoever reads exactly as many bytes as the size says gets the ChecksumMismatch, too, and not the last block."""
    step = answer(200, DATA[:-1] + b"!", x_amz_checksum_crc32=crc32(DATA))
    result = connect(serve(always=step)).get_object("key")
    left = result.size
    assert left == len(DATA)
    with pytest.raises(ChecksumMismatch):
        while left:
            left -= len(result.read(min(left, 100_000)))
    result = connect(serve(always=step)).get_object("key")
    view = memoryview(bytearray(len(DATA)))
    with pytest.raises(ChecksumMismatch):
        while view:
            view = view[result.readinto(view) :]


def test_other_checksums(serve: Serve, connect: Connect) -> None:
    """Whatever checksum the store keeps of the whole object is the one that is compared."""
    sha256 = b64encode(hashlib.sha256(DATA).digest()).decode()
    session = connect(
        serve(answer(200, DATA, x_amz_checksum_sha256=sha256), answer(200, DATA, x_amz_checksum_sha256="x"))
    )
    assert DATA == session.get_object("key").read()
    with pytest.raises(ChecksumMismatch):
        session.get_object("key").read()


# --- what is left of a stream that nobody reads


def endless(exchange: Exchange) -> None:
    """A body of 64 MiB, most of which nobody is going to read."""
    exchange.send(answer(200, content_length=str(MORE)), *[bytes(1024 * 1024)] * 64)


def open_files() -> int:
    """How many descriptors this process has."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return pytest.skip("this system does not list a process's descriptors")


def all_closed(server: Scripted) -> bool:
    return eventually(lambda: server.open_connections() == 0)


@pytest.mark.parametrize("read", [0, 1, 100_000])
def test_the_rest_of_a_stream_is_given_up(serve: Serve, connect: Connect, read: int) -> None:
    """Closing a result closes the connection of a body that was not read; it is not drained, and another one serves."""
    server = serve(endless, answer(200, b"next"))
    session = connect(server)
    with session.get_object("key") as result:
        result.read(read)
    assert eventually(lambda: server.open_connections() == 0)
    assert b"next" == session.get_object("key").data
    assert [0, 1] == server.connections
    result.close()


def test_a_closed_result_has_no_end(serve: Serve, connect: Connect) -> None:
    """Reading a result after it was closed is an error: b"" would look like the end of the body."""
    for step in (endless, answer(200, b"small")):
        with connect(serve(step)).get_object("key") as result:
            pass
        assert result.closed
        reads = (
            result.read,
            lambda: result.read(1),
            lambda: result.readinto(bytearray(1)),
            lambda: list(result),
            lambda: result.data,
        )
        for read in reads:
            with pytest.raises(ValueError, match="closed"):
                read()


def test_a_dropped_stream_frees_its_socket(serve: Serve, connect: Connect) -> None:
    """A result that becomes garbage, read in part, does not keep its connection open."""
    server = serve(endless, endless)
    session = connect(server)
    session.get_object("key").read(1)
    iterator = session.get_object("key").iter_chunks()
    next(iterator)
    del iterator
    gc.collect()
    assert all_closed(server)


def test_a_dropped_stream_in_a_circle(serve: Serve, connect: Connect) -> None:
    """The same where only the garbage collector finds it; Python may warn of the socket that nobody closed."""
    server = serve(endless)
    circle: list[object] = [connect(server).get_object("key")]
    circle.append(circle)
    del circle
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert all_closed(server)


def test_an_error_in_the_loop_of_the_caller(serve: Serve, connect: Connect) -> None:
    """An exception in a loop over the body closes the connection, by the `with` block or when the frame is gone."""
    server = serve(endless, endless)
    session = connect(server)

    def with_block() -> None:
        with session.get_object("key") as result:
            for _ in result:
                raise LookupError

    def without() -> None:
        for _ in session.get_object("key").iter_chunks():
            raise LookupError

    for loop in (with_block, without):
        with pytest.raises(LookupError):
            loop()
    gc.collect()
    assert all_closed(server)


def test_two_hundred_unread_streams(serve: Serve, connect: Connect) -> None:
    """Any number of threads that hold unread streams hang neither each other nor further calls, and leak nothing."""
    count = 200

    def large_or_small(exchange: Exchange) -> None:
        exchange.send(answer(200, DATA) if exchange.target.endswith("large") else answer(200, b"small"))

    server = serve(always=large_or_small)
    session = connect(server)
    session.get_object("small")
    before = open_files()
    opened, ended = Barrier(count, timeout=60), Barrier(count, timeout=60)
    failures: list[BaseException] = []

    def hold_and_go_on() -> None:
        try:
            with session.get_object("large"):
                opened.wait()
                assert b"small" == session.get_object("small").data
                ended.wait()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=hold_and_go_on) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failures
    session.close()
    assert all_closed(server)
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("large", [False, True])
def test_an_interrupt_in_an_exchange(serve: Serve, connect: Connect, *, large: bool) -> None:
    """Ctrl-C while waiting for an answer or a body closes the connection, so that nobody gets the answer of another."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(answer(200, DATA)[:-1] if large else b"")
        signal.pthread_kill(main, signal.SIGINT)
        exchange.stall()

    server = serve(answer(), interrupt, answer(200, b"next"))
    session = connect(server)
    session.put_object("first", b"")
    with pytest.raises(KeyboardInterrupt):
        session.get_object("key").read()
    assert b"next" == session.get_object("key").data
    assert [0, 0, 1] == server.connections
