"""aws-chunked bodies, against AWS's own examples and against every way a stream can be cut."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import ServiceError
from s3func.wire.aws_chunked import (
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    ChunkSigner,
    Decoder,
    encode_chunk,
    encode_trailers,
    encoded_length,
)
from s3func.wire.sigv4 import credential_scope, signing_key

# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and …/sigv4-streaming-trailers.html
DATE = "20130524T000000Z"
SCOPE = credential_scope("20130524", "us-east-1")
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1")
PAYLOAD = b"a" * 66560
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
WIRE_SHA256 = "86ba876e2a8457dbc4bfe805f155e5d0560d8328ce92b64e0c42d3e973fcfa62"
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
TRAILERS = {"x-amz-checksum-crc32c": "sOO8/Q=="}


def encode(payload: bytes, chunk_size: int, trailers: dict[str, str], seed: str | None) -> bytes:
    """A whole body on the wire."""
    signer = None if seed is None else ChunkSigner(KEY, DATE, SCOPE, seed)
    chunks = [payload[start : start + chunk_size] for start in range(0, len(payload), chunk_size)]
    return b"".join([*(encode_chunk(chunk, signer) for chunk in [*chunks, b""]), encode_trailers(trailers, signer)])


def decode(wire: bytes, form: str, length: int | None, seed: str | None, cut: int = 1 << 20) -> tuple[bytes, object]:
    """The payload and the trailers, fed in pieces of `cut` bytes."""
    signer = None if seed is None else ChunkSigner(KEY, DATE, SCOPE, seed)
    decoder = Decoder(form, decoded_length=length, signer=signer)
    pieces = [piece for start in range(0, len(wire), cut) for piece in decoder.feed(wire[start : start + cut])]
    return b"".join(pieces), decoder.finish()


def test_the_signed_example_of_aws_is_reproduced() -> None:
    """AWS's example body, byte for byte, and its length known in advance."""
    wire = encode(PAYLOAD, 65536, {}, SEED)
    assert WIRE_SHA256 == sha256(wire).hexdigest()
    assert 66824 == len(wire) == encoded_length(66560, 65536, {}, signed=True)
    assert (PAYLOAD, {}) == decode(wire, SIGNED, 66560, SEED)


def test_the_trailer_example_of_aws_is_reproduced() -> None:
    """AWS's trailer signature follows from its chunks."""
    wire = encode(PAYLOAD, 65536, TRAILERS, TRAILER_SEED)
    assert f"x-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n\r\n".encode() == wire[-92:]
    lengths = {name: len(value) for name, value in TRAILERS.items()}
    assert encoded_length(66560, 65536, lengths, signed=True) == len(wire)
    assert (PAYLOAD, TRAILERS) == decode(wire, SIGNED_TRAILER, 66560, TRAILER_SEED)


def test_three_trailers_are_signed_as_aws_c_auth_signs_them() -> None:
    """github.com/awslabs/aws-c-auth, tests/test_chunked_signing.c."""
    signer = ChunkSigner(KEY, DATE, SCOPE, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9")
    signed = signer.trailer([("first", "1st"), ("second", "2nd"), ("third", "3rd")])
    assert "df5735bd9f3295cd9386572292562fefc93ba94e80a0a1ddcbd652c4e0a75e6c" == signed


@given(
    payload=st.binary(max_size=300),
    chunk_size=st.integers(1, 80),
    cut=st.integers(1, 90),
    trailers=st.dictionaries(
        st.from_regex(r"x-[a-z]{1,8}", fullmatch=True), st.from_regex(r"[!-~]{1,9}", fullmatch=True), max_size=3
    ),
    signed=st.booleans(),
)
def test_what_was_encoded_is_decoded(
    payload: bytes, chunk_size: int, cut: int, trailers: dict[str, str], signed: bool
) -> None:
    """Any payload, cut anywhere on its way, comes out whole, and its length on the wire was foreseen."""
    seed = SEED if signed else None
    form = SIGNED_TRAILER if signed and trailers else SIGNED if signed else UNSIGNED_TRAILER
    wire = encode(payload, chunk_size, trailers, seed)
    lengths = {name: len(value) for name, value in trailers.items()}
    assert encoded_length(len(payload), chunk_size, lengths, signed=signed) == len(wire)
    assert (payload, trailers) == decode(wire, form, len(payload), seed, cut)


def test_whoever_trusts_checks_everything_but_signatures() -> None:
    """Without a signer, a signed form is taken apart and counted; signatures have to be there, whatever they are."""
    wire = encode(b"payload" * 30, 100, TRAILERS, SEED)
    other = re.sub(b"signature([=:])[0-9a-f]{64}", rb"signature\g<1>" + b"0" * 64, wire)
    assert other != wire
    for body in (wire, other):
        decoder = Decoder(SIGNED_TRAILER, decoded_length=210, trusting=True)
        assert b"payload" * 30 == b"".join(decoder.feed(body))
        assert TRAILERS == decoder.finish()
    unsigned = encode(b"payload", 100, {}, None)
    with pytest.raises(ServiceError, match="malformed"):
        list(Decoder(SIGNED, decoded_length=7, trusting=True).feed(unsigned))
    for form, trusting in ((SIGNED, False), (SIGNED_TRAILER, False), (UNSIGNED_TRAILER, True)):
        signer = ChunkSigner(KEY, DATE, SCOPE, SEED) if trusting else None
        with pytest.raises(ValueError, match="signer"):
            Decoder(form, decoded_length=7, trusting=trusting, signer=signer)


@given(place=st.integers(0, 400), bit=st.integers(0, 7))
def test_one_flipped_bit_is_refused(place: int, bit: int) -> None:
    """A signed body with any one bit changed is refused, or is the same body written differently."""
    wire = bytearray(encode(b"payload" * 30, 100, TRAILERS, SEED))
    place %= len(wire)
    wire[place] ^= 1 << bit
    try:
        payload, trailers = decode(bytes(wire), SIGNED_TRAILER, 210, SEED)
    except ServiceError:
        return
    # Upper and lower case of a trailer's name mean the same; nothing else may pass.
    assert (b"payload" * 30, TRAILERS) == (payload, trailers)


@pytest.mark.parametrize("length", [0, 1, 5, 50, 91])
def test_a_body_that_ends_early_is_refused(length: int) -> None:
    """Nothing short of the last CRLF is a whole body."""
    wire = encode(b"0123456789", 8, TRAILERS, None)
    with pytest.raises(ServiceError, match="IncompleteBody"):
        decode(wire[: min(length, len(wire) - 1)], UNSIGNED_TRAILER, 10, None)


@pytest.mark.parametrize(
    ("wire", "length", "code"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", 4, "IncompleteBody"),
        (b"3\r\nabc\r\n0\r\n\r\n", 2, "InvalidRequest"),
        (b"3\r\nabcd\r\n0\r\n\r\n", 3, "InvalidRequest"),
        (b"x\r\nabc\r\n0\r\n\r\n", 3, "InvalidRequest"),
        (b"-3\r\nabc\r\n0\r\n\r\n", 3, "InvalidRequest"),
        (b"3;chunk-signature=" + b"0" * 64 + b"\r\nabc\r\n0\r\n\r\n", 3, "InvalidRequest"),
        (b"3\r\nabc\r\n0\r\n\r\nmore", 3, "InvalidRequest"),
        (b"3\r\nabc\r\n0\r\nno colon\r\n\r\n", 3, "MalformedTrailerError"),
        (b"1" * 9000, 3, "InvalidRequest"),
    ],
)
def test_a_malformed_body_is_refused(wire: bytes, length: int, code: str) -> None:
    """Each way of lying about the frame has its error."""
    with pytest.raises(ServiceError) as caught:
        decode(wire, UNSIGNED_TRAILER, length, None)
    assert code == caught.value.code


def test_chunks_cannot_change_places() -> None:
    """Two chunks of one length, exchanged with their signatures, are refused."""
    wire = encode(b"AAAABBBB", 4, {}, SEED)
    size = len(b"4;chunk-signature=") + 64 + 2 + 4 + 2
    swapped = wire[size : 2 * size] + wire[:size] + wire[2 * size :]
    with pytest.raises(ServiceError, match="SignatureDoesNotMatch"):
        decode(swapped, SIGNED, 8, SEED)
