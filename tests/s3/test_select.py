"""select_object_content: rows as they come, and no rows without their end."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from s3func.errors import InvalidRequest, ProtocolError, ServiceError, TruncatedBody
from s3func.message import Response
from s3func.s3.request_options import Encryption
from tests.s3.rigs import Recorder, recorded
from tests.wire.test_event_stream import message

CSV = {"CSV": {"FileHeaderInfo": "USE"}}
SQL = "SELECT * FROM S3Object"
STATS = (
    b"<Stats><BytesScanned>20</BytesScanned><BytesProcessed>30</BytesProcessed><BytesReturned>8</BytesReturned></Stats>"
)
END = message({":message-type": "event", ":event-type": "End"})


def event(kind: str, payload: bytes = b"") -> bytes:
    """An event."""
    return message({":message-type": "event", ":event-type": kind}, payload)


ROWS = event("Records", b"a,b\n") + event("Cont") + event("Progress", STATS) + event("Records", b"c,d\n")


@pytest.mark.parametrize("is_stream", [False, True])
def test_rows_come_in_order(is_stream: bool) -> None:
    """Blocks of rows, without what stands between them, and the figures at the end; a stream is closed then."""
    body = ROWS + event("Stats", STATS) + END
    stream = BytesIO(body)
    answer = Response(200, {}, stream if is_stream else body)
    with recorded(Recorder(lambda _: answer)) as session:
        result = session.select_object_content("key", SQL, input_serialization=CSV)
        assert [b"a,b\n", b"c,d\n"] == list(result)
        assert b"" == result.read()
    assert (20, 30, 8) == result.stats
    assert is_stream == stream.closed


@pytest.mark.parametrize("body", [b"", ROWS, ROWS + event("Stats", STATS), (ROWS + END)[:-1]])
def test_rows_without_their_end_are_an_error(body: bytes) -> None:
    """An answer that stops early is TruncatedBody, also between messages: half of the rows are never all of them."""
    with recorded(Recorder(lambda _: Response(200, {}, body))) as session:
        result = session.select_object_content("key", SQL, input_serialization=CSV)
        with pytest.raises(TruncatedBody):
            result.read()


def test_an_error_in_the_middle() -> None:
    """What goes wrong after rows have come is the store's error, with its code and the key."""
    told = {":message-type": "error", ":error-code": "InternalError", ":error-message": "lost it"}
    with recorded(Recorder(lambda _: Response(200, {}, ROWS + message(told)))) as session:
        result = session.select_object_content("key", SQL, input_serialization=CSV)
        with pytest.raises(ServiceError, match="lost it") as caught:
            result.read()
    assert ("InternalError", "key") == (caught.value.code, caught.value.key)


def test_a_message_of_an_unknown_type() -> None:
    """Neither rows nor an error: not an event stream of S3's."""
    with recorded(Recorder(lambda _: Response(200, {}, message({":message-type": "what"})))) as session:
        result = session.select_object_content("key", SQL, input_serialization=CSV)
        with pytest.raises(ProtocolError):
            result.read()


def test_a_document_in_place_of_a_stream() -> None:
    """A page of a proxy, or a store that knows no Select and answers otherwise, is an error and no row."""
    with recorded(Recorder(lambda _: Response(200, {}, b"<html><body>password?</body></html>"))) as session:
        result = session.select_object_content("key", SQL, input_serialization=CSV)
        with pytest.raises(ProtocolError, match="<html>"):
            result.read()


def test_a_refusal_is_typed() -> None:
    """A mistake in the expression is the store's refusal."""
    body = b"<Error><Code>ParseUnexpectedToken</Code><Message>at 1</Message></Error>"
    with recorded(Recorder(lambda _: Response(400, {}, body))) as session, pytest.raises(InvalidRequest, match="at 1"):
        session.select_object_content("key", "SELEC", input_serialization=CSV)


def test_left_early_it_is_closed() -> None:
    """A block that ends early gives up what has not come."""
    stream = BytesIO(ROWS + END)
    with recorded(Recorder(lambda _: Response(200, {}, stream))) as session:
        with session.select_object_content("key", SQL, input_serialization=CSV) as result:
            assert b"a,b\n" == next(iter(result))
        assert stream.closed


def test_a_customers_key_goes_with_it() -> None:
    """An object that is encrypted with a customer's key can be selected from."""
    recorder = Recorder(lambda _: Response(200, {}, END))
    with recorded(recorder, endpoint_url="https://s3.test") as session:
        told = session.with_options(encryption=Encryption.customer(b"k" * 32))
        told.select_object_content("key", SQL, input_serialization={"Parquet": {}}).read()
    assert "x-amz-server-side-encryption-customer-key" in recorder.last.headers
    assert b"<OutputSerialization><JSON></JSON></OutputSerialization>" in recorder.last.body


@pytest.mark.parametrize(
    ("named", "arguments"),
    [
        ("expression", {"expression": ""}),
        ("expression", {"expression": 5}),
        ("input_serialization", {"input_serialization": "CSV"}),
        ("input_serialization", {"input_serialization": {}}),
        ("input_serialization", {"input_serialization": {"CSV": {}, "JSON": {}}}),
        ("InputSerialization", {"input_serialization": {"CSV": {"Header": "USE"}}}),
        ("CompressionType", {"input_serialization": {"CSV": {}, "CompressionType": "ZIP"}}),
        ("output_serialization", {"output_serialization": {"Parquet": {}}}),
        ("output_serialization", {"output_serialization": 5}),
        ("scan_range", {"scan_range": 5}),
        ("scan_range", {"scan_range": (None, None)}),
        ("scan_range", {"scan_range": (-1, 5)}),
        ("scan_range", {"scan_range": (True, 5)}),
    ],
)
def test_mistakes_are_named(named: str, arguments: dict[str, Any]) -> None:
    """Nothing is sent."""
    recorder = Recorder()
    good = {"expression": SQL, "input_serialization": CSV}
    with recorded(recorder) as session, pytest.raises((TypeError, ValueError), match=named):
        session.select_object_content("key", **(good | arguments))
    assert [] == recorder.sent
