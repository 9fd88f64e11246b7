"""Bodies that break and are asked for again, over real sockets: complete and equal, or an error that says why."""

from __future__ import annotations

import random
import re
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from s3func.errors import (
    ChecksumMismatch,
    ConnectionLost,
    DeadlineExceeded,
    NoSuchKey,
    ObjectChanged,
    PreconditionFailed,
    ProtocolError,
    S3FuncError,
    Throttled,
    TimedOut,
    TransportError,
    TruncatedBody,
)
from s3func.transport.retry import RetryPolicy
from s3func.transport.timeouts import Timeouts
from tests.faults.clock import FakeClock
from tests.faults.conftest import Connect, Serve
from tests.faults.scripted import Exchange, Step, answer, refusal, then_close, then_reset
from tests.faults.test_streams import WAYS, drained

DATA = random.Random(4).randbytes(1_000_003)
ETAG = '"of this very version"'


def crc32(data: bytes) -> str:
    return b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class Store:
    """Steps of a server that holds one object, heeds Range and If-Match, and breaks off where it is told to."""

    def __init__(self, data: bytes = DATA, **headers: str | None) -> None:
        self.data = data
        self.headers: dict[str, str | None] = {"etag": ETAG, "x_amz_checksum_crc32": crc32(data), **headers}

    def __call__(self, exchange: Exchange) -> None:
        """Answer in full."""
        exchange.send(self.answer(exchange))

    def answer(self, exchange: Exchange) -> bytes:
        """The answer that the request asks for."""
        wanted = exchange.headers.get("if-match")
        if wanted is not None and wanted != self.headers["etag"]:
            return refusal(412, "PreconditionFailed")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.headers.get("range", ""))
        if asked is None:
            return answer(200, self.data, **self.headers)
        last = min(int(asked[2] or len(self.data)), len(self.data) - 1)
        part = self.data[int(asked[1]) : last + 1]
        described = f"bytes {asked[1]}-{last}/{len(self.data)}"
        return answer(206, part, content_range=described, etag=self.headers["etag"])

    def cut(self, count: int, *, reset: bool = False) -> Step:
        """The first `count` bytes of the body that was asked for, then nothing more."""

        def step(exchange: Exchange) -> None:
            head, _, body = self.answer(exchange).partition(b"\r\n\r\n")
            exchange.send(head + b"\r\n\r\n" + body[:count])
            if reset:
                exchange.reset()
            else:
                exchange.close()

        return step


def ranges(server: Any) -> list[str | None]:
    """What each request asked for."""
    return [exchange.headers.get("range") for exchange in server.requests]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_body_goes_on(serve: Serve, connect: Connect, clock: FakeClock, way: str, *, reset: bool) -> None:
    """A body that breaks is asked for from where it broke, of the same version, and is whole in every way of reading."""
    store = Store()
    server = serve(store.cut(300_000, reset=reset), store.cut(1, reset=reset), store)
    assert DATA == drained(connect(server).get_object("key"), way)
    first, second, third = server.requests
    assert first.headers["x-amz-checksum-mode"] == "ENABLED"
    for resumed in (second, third):
        assert resumed.headers["if-match"] == ETAG
        assert resumed.headers["range"].startswith("bytes=")
        assert resumed.headers["range"].endswith(f"-{len(DATA) - 1}")
        assert "x-amz-checksum-mode" not in resumed.headers
    if not reset:
        assert [None, f"bytes=300000-{len(DATA) - 1}", f"bytes=300001-{len(DATA) - 1}"] == ranges(server)
    assert 2 == len(clock.slept)


def test_stream_false_goes_on(serve: Serve, connect: Connect) -> None:
    """With stream=False the rest is asked for as well, not all of it again."""
    store = Store()
    server = serve(store.cut(300_000), store)
    assert DATA == connect(server, stream=False).get_object("key").data
    assert [None, f"bytes=300000-{len(DATA) - 1}"] == ranges(server)


@pytest.mark.parametrize(
    ("asked", "expected", "resumed"),
    [
        ({"range_start": 1000}, DATA[1000:], f"bytes=301000-{len(DATA) - 1}"),
        ({"range_start": 1000, "range_end": 700_000}, DATA[1000:700_001], "bytes=301000-700000"),
    ],
)
def test_a_broken_range_goes_on(
    serve: Serve, connect: Connect, asked: dict[str, Any], expected: bytes, resumed: str
) -> None:
    """The rest of a range is a part of that range, counted from the beginning of the object."""
    store = Store()
    server = serve(store.cut(300_000), store)
    assert expected == connect(server).get_object("key", **asked).read()
    assert resumed == ranges(server)[1]


def test_the_last_bytes_go_on(serve: Serve, connect: Connect) -> None:
    """The rest of a suffix range is asked for at the place where the answer said that it was."""
    store = Store()

    def suffix(exchange: Exchange) -> None:
        exchange.headers["range"] = f"bytes={len(DATA) - 500_000}-"
        step = store.cut(200_000)
        assert not isinstance(step, bytes)
        step(exchange)

    server = serve(suffix, store)
    assert DATA[-500_000:] == connect(server).get_object("key", range_end=500_000).read()
    assert f"bytes={len(DATA) - 300_000}-{len(DATA) - 1}" == ranges(server)[1]


def test_what_the_first_answer_settled_is_not_asked_again(serve: Serve, connect: Connect) -> None:
    """Conditions of the call are replaced by the one that counts now; its other headers and its version stay."""
    store = Store()
    server = serve(store.cut(300_000), store)
    result = connect(server).get_object(
        "key",
        "v1",
        if_none_match="other",
        if_modified_since=1_000_000_000,
        headers={"x-amz-request-payer": "requester"},
    )
    assert DATA == result.read()
    resumed = server.requests[1]
    assert ETAG == resumed.headers["if-match"]
    assert "if-none-match" not in resumed.headers
    assert "if-modified-since" not in resumed.headers
    assert "requester" == resumed.headers["x-amz-request-payer"]
    assert "/bucket/key?versionId=v1" == resumed.target


def test_a_body_of_unknown_length_goes_on(serve: Serve, connect: Connect) -> None:
    """A chunked answer that breaks off is continued by whatever there is behind it."""
    store = Store()
    coded = b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in (DATA[:1000], DATA[1000:2000]))
    head = answer(200, content_length=None, transfer_encoding="chunked", etag=ETAG)
    server = serve(then_close(head + coded), store)
    assert DATA == connect(server).get_object("key").read()
    assert [None, "bytes=2000-"] == ranges(server)


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_is_verified(serve: Serve, connect: Connect, way: str) -> None:
    """The checksum goes on over the pieces: a byte that changed in any of them is seen, and no read gives the end."""
    store = Store()
    changed = Store(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(ChecksumMismatch) as caught:
        drained(connect(serve(store.cut(300_000), changed)).get_object("key"), way)
    assert ("bucket", "key") == (caught.value.bucket, caught.value.key)


def test_verification_that_was_declined(serve: Serve, connect: Connect) -> None:
    """With verify_downloads=False neither the whole nor its pieces are compared."""
    store = Store(x_amz_checksum_crc32="AAAAAA==")
    assert DATA == connect(serve(store.cut(300_000), store), verify_downloads=False).get_object("key").read()


# --- what must not be mixed


@pytest.mark.parametrize("way", WAYS)
def test_a_replaced_object(serve: Serve, connect: Connect, way: str) -> None:
    """When the object was replaced meanwhile, reading raises ObjectChanged, now and again, and gives none of the new."""
    store, other = Store(), Store(DATA[::-1], etag='"another"')
    result = connect(serve(store.cut(300_000), other, other)).get_object("key")
    with pytest.raises(ObjectChanged, match="replaced or deleted") as caught:
        drained(result, way)
    assert isinstance(caught.value, PreconditionFailed)
    assert ("bucket", "key", 412) == (caught.value.bucket, caught.value.key, caught.value.status)
    with pytest.raises((ObjectChanged, ValueError)):
        drained(result, way)


@pytest.mark.parametrize("size", [300_001, 500_000, len(DATA), len(DATA) + 1])
def test_a_replaced_object_of_a_store_that_knows_no_conditions(serve: Serve, connect: Connect, size: int) -> None:
    """The ETag of the rest is compared, too, whatever there is of it: not every store heeds If-Match."""
    store, other = Store(), Store((DATA + b"x")[:size], etag='"another"')

    def heedless(exchange: Exchange) -> None:
        del exchange.headers["if-match"]
        other(exchange)

    with pytest.raises(ObjectChanged):
        connect(serve(store.cut(300_000), heedless)).get_object("key").read()


def test_a_store_whose_conditions_never_hold(serve: Serve, connect: Connect) -> None:
    """A store that refuses If-Match with its own ETag is asked without, and its answer believed for its ETag only."""
    store = Store()

    def refuses(exchange: Exchange) -> None:
        if "if-match" in exchange.headers:
            exchange.send(refusal(412, "PreconditionFailed"))
        else:
            store(exchange)

    def says_nothing(exchange: Exchange) -> None:
        store.headers["etag"] = None
        store(exchange)

    assert DATA == connect(serve(store.cut(300_000), refuses, refuses)).get_object("key").read()
    with pytest.raises(ObjectChanged):
        connect(serve(store.cut(300_000), refuses, says_nothing)).get_object("key").read()


@pytest.mark.parametrize("step", [refusal(404, "NoSuchKey"), refusal(416, "InvalidRange")], ids=["deleted", "shorter"])
def test_a_vanished_object(serve: Serve, connect: Connect, step: Step) -> None:
    """An object that was deleted or cut short meanwhile has changed as well."""
    with pytest.raises(ObjectChanged):
        connect(serve(Store().cut(300_000), step)).get_object("key").read()


def test_an_older_version_is_read_on(serve: Serve, connect: Connect) -> None:
    """Where the bucket keeps versions, the one that was begun is read to its end although there is a newer one."""
    store, newer = Store(x_amz_version_id="v/1"), Store(DATA[::-1], etag='"another"')
    server = serve(store.cut(300_000), newer, newer, store)
    assert DATA == connect(server).get_object("key").read()
    assert ["/bucket/key"] * 3 + ["/bucket/key?versionId=v%2F1"] == [each.target for each in server.requests]
    server = serve(store.cut(300_000), refusal(404, "NoSuchKey"), store)
    assert DATA == connect(server).get_object("key").read()
    server = serve(store.cut(300_000), newer, newer, refusal(403, "AccessDenied"))
    with pytest.raises(ObjectChanged):
        connect(server).get_object("key").read()


WRONG_PARTS: dict[str, Callable[[Exchange], bytes]] = {
    "the whole": lambda _: answer(200, DATA, etag=ETAG),
    "another part": lambda _: answer(206, DATA[9:], content_range=f"bytes 9-{len(DATA) - 1}/{len(DATA)}", etag=ETAG),
    "a shorter part": lambda _: answer(
        206, DATA[300_000:-1], content_range=f"bytes 300000-{len(DATA) - 2}/*", etag=ETAG
    ),
    "unnamed": lambda _: answer(206, DATA[300_000:], etag=ETAG),
}


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=WRONG_PARTS)
def test_the_wrong_part(serve: Serve, connect: Connect, wrong: Callable[[Exchange], bytes]) -> None:
    """A store that answers with other bytes than were asked for is a ProtocolError, and they are not used."""
    store = Store()
    session = connect(serve(store.cut(300_000), always=lambda exchange: exchange.send(wrong(exchange))), retries=2)
    result = session.get_object("key")
    assert DATA[:300_000] == result.read(300_000)
    with pytest.raises(ProtocolError, match=r"bytes=300000-1000002, the store|does not say which|ignored the range"):
        result.read()


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_what_cannot_be_told_apart_is_not_resumed(serve: Serve, connect: Connect, etag: str | None) -> None:
    """Without an ETag, or with one that promises no equal bytes, the break is the error."""
    store = Store(etag=etag)
    result = connect(serve(store.cut(300_000))).get_object("key")
    assert not result.seekable()
    with pytest.raises(TruncatedBody):
        result.read()


# --- the retry policy


def test_retries_1_means_no_resuming(serve: Serve, connect: Connect) -> None:
    """One attempt is one attempt: the break is raised, as it is for every other call."""
    with pytest.raises(TruncatedBody) as caught:
        connect(serve(Store().cut(300_000)), retries=1).get_object("key").read()
    assert (1, "bucket", "key") == (caught.value.attempts, caught.value.bucket, caught.value.key)


def test_attempts_that_bring_nothing_are_counted(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """The attempts of the policy are those in a row that bring no byte; the last error is the one of the last."""
    store = Store()
    with pytest.raises(ConnectionLost) as caught:
        connect(serve(store.cut(300_000), store.cut(0), store.cut(0)), retries=3).get_object("key").read()
    assert 3 == caught.value.attempts
    assert 2 == len(clock.slept)


def test_attempts_that_bring_something_are_not_counted(serve: Serve, connect: Connect) -> None:
    """A body that gets on by some bytes each time is read to its end, however often it breaks."""
    store = Store()
    cuts = [store.cut(100_000) for _ in range(9)]
    assert DATA == connect(serve(*cuts, always=store), retries=2).get_object("key").read()


def test_progress_pays_back_what_resuming_costs(serve: Serve, connect: Connect) -> None:
    """A body that breaks more often than the session has retries is read to its end, because each resuming succeeds."""
    store = Store(DATA[:600_000])
    session = connect(serve(always=store.cut(70_000)), retries=RetryPolicy(attempts=2, quota=10))
    assert DATA[:600_000] == session.get_object("key").read()


def test_refusals_while_resuming(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """What a store says while the rest is asked for is judged as for every call: waits are kept, refusals raise."""
    store = Store()
    server = serve(store.cut(300_000), refusal(503, "SlowDown", retry_after="7"), then_reset(), store)
    assert DATA == connect(server).get_object("key").read()
    assert 7.0 in clock.slept
    with pytest.raises(Throttled) as caught:
        connect(serve(store.cut(300_000), always=refusal(503, "SlowDown")), retries=3).get_object("key").read()
    assert 3 == caught.value.attempts


def test_a_stalled_body(serve: Serve, connect: Connect) -> None:
    """A body that stands still for longer than the read limit is asked for again."""
    store = Store()

    def stalls(exchange: Exchange) -> None:
        exchange.send(store.answer(exchange)[:300_000])
        exchange.stall()

    # Long enough for a busy machine to answer what shall be answered.
    session = connect(serve(stalls, store), timeouts=Timeouts(read=1.5))
    assert DATA == session.get_object("key").read()
    with pytest.raises(TimedOut):
        connect(serve(stalls), timeouts=Timeouts(read=0.3), retries=1).get_object("key").read()


def test_the_total_time_holds_for_the_body(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    """No attempt begins when the call's time is over: then it is DeadlineExceeded, chained to what happened."""
    store = Store()
    session = connect(
        serve(store.cut(300_000)),
        timeouts=Timeouts(total=5.0),
        retries=RetryPolicy(base_seconds=1e9, wait_max_seconds=1e9),
    )
    with pytest.raises(DeadlineExceeded) as caught:
        session.get_object("key").read()
    assert isinstance(caught.value.__cause__, TruncatedBody)
    assert [] == clock.slept


# --- after an error


def test_reading_goes_on_after_a_seek(serve: Serve, connect: Connect) -> None:
    """After an error every read raises, and nothing says where the file stands, until somebody seeks; then it reads on."""
    store = Store()
    session = connect(serve(store.cut(300_000), refusal(403, "AccessDenied"), always=store), retries=2)
    result = session.get_object("key")
    assert DATA[:10] == result.read(10)
    reads: list[Callable[[], object]] = [result.read, lambda: result.read(1), result.readline, result.tell]
    with pytest.raises(S3FuncError):
        result.read()
    for read in reads:
        with pytest.raises(S3FuncError):
            read()
    assert 10 == result.seek(10)
    assert DATA[10:] == result.read()


def test_an_interrupt_loses_nothing(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a KeyboardInterrupt in a read the file does not go on behind bytes that nobody got."""
    result = connect(serve(always=Store())).get_object("key")
    assert DATA[:100_000] == result.read(100_000)
    raw = result.raw
    assert raw is not None

    def interrupted(view: memoryview) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(raw, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            result.read(400_000)
    with pytest.raises(ConnectionLost, match="interrupted"):
        result.read(1)
    result.seek(100_000)
    assert DATA[100_000:] == result.read()


def test_the_connection_is_kept(serve: Serve, connect: Connect) -> None:
    """The end of a resumed body gives its connection back, and a new one was opened for the one that broke."""
    store = Store()
    server = serve(store.cut(300_000), store, answer())
    session = connect(server)
    assert DATA == session.get_object("key").read()
    session.head_object("key")
    assert [0, 1, 1] == server.connections


@pytest.mark.parametrize("seed", range(200))
def test_cut_anywhere(serve: Serve, connect: Connect, seed: int) -> None:
    """Connections that are cut at random places, in heads and in bodies: whole and equal, or an error."""
    chance = random.Random(seed)
    size = chance.choice([1, 1000, 65_536, 65_537, 300_000, len(DATA)])
    store = Store(DATA[:size])
    left = chance.randrange(7)

    def now_and_then(exchange: Exchange) -> None:
        nonlocal left
        data = store.answer(exchange)
        if left and chance.random() < 0.9:
            left -= 1
            exchange.send(data[: chance.randrange(len(data))])
            exchange.reset() if chance.random() < 0.5 else exchange.close()
        else:
            exchange.send(data)

    session = connect(serve(always=now_and_then), retries=chance.choice([1, 3, 5]), stream=chance.random() < 0.8)
    try:
        got = drained(session.get_object("key"), chance.choice(WAYS))
    except (TransportError, NoSuchKey):
        assert left < 7
    else:
        assert DATA[:size] == got


@pytest.mark.parametrize("seed", range(60))
def test_cut_anywhere_while_jumping(serve: Serve, connect: Connect, seed: int) -> None:
    """An open file whose connections are cut at random places gives the right bytes at every place, or an error."""
    chance = random.Random(seed)
    store = Store()

    def now_and_then(exchange: Exchange) -> None:
        data = store.answer(exchange)
        if chance.random() < 0.4:
            exchange.send(data[: chance.randrange(len(data))])
            exchange.reset() if chance.random() < 0.5 else exchange.close()
        else:
            exchange.send(data)

    session = connect(serve(always=now_and_then), retries=4)
    try:
        file = session.open("key", buffering=chance.choice([-1, 1000, 50_000]))
    except TransportError:
        return
    with file:
        for _ in range(10):
            place = chance.randrange(len(DATA))
            size = chance.choice([10, 5000, 100_000, 400_000])
            file.seek(place)
            try:
                assert DATA[place : place + size] == file.read(size)
            except TransportError:
                continue
