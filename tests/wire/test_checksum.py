"""Checksums against published values, zlib and each other, with and without the packages that make them fast."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.wire import checksum
from s3func.wire.checksum import ALGORITHMS, crc32_combine, crc32_of, encode, hasher, header_name
from tests.shared_data import load_vectors, shared_vectors

DIGESTS = load_vectors("checksums.json")["digests"]
ACCELERATORS = ("isal", "isal.isal_zlib", "awscrt", "awscrt.checksums", "crc32c", "google_crc32c")
POLYNOMIALS = [(checksum._CRC32C, 32), (checksum._CRC64NVME, 64)]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if no optional package were installed."""
    for name in ACCELERATORS:
        monkeypatch.setitem(sys.modules, name, None)
    yield from fresh_choice()


def fresh_choice() -> Iterator[None]:
    """Let the fastest implementation be chosen anew, now and after the test."""
    choices = (checksum._crc32, checksum._crc32c, checksum._crc64nvme)
    for choice in choices:
        choice.cache_clear()
    yield
    for choice in choices:
        choice.cache_clear()


def digest_of(algorithm: str, data: bytes) -> bytes:
    """The digest in one go."""
    state = hasher(algorithm)
    state.update(data)
    return state.digest()


def bitwise(data: bytes, polynomial: int, width: int) -> int:
    """A reflected CRC straight from its definition."""
    ones = value = (1 << width) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return value ^ ones


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("row", DIGESTS, ids=lambda row: row["name"])
def test_published_values(row: dict[str, Any], algorithm: str) -> None:
    """Each algorithm gives the published digest of each input, with whatever packages are installed."""
    state = hasher(algorithm)
    state.update(bytes.fromhex(row["data"]))
    assert row[algorithm] == state.digest().hex()
    assert row["base64"][algorithm] == state.base64() == encode(state.digest())


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("row", DIGESTS, ids=lambda row: row["name"])
def test_published_values_without_optional_packages(row: dict[str, Any], algorithm: str) -> None:
    """Nothing but the standard library is needed for any of them."""
    assert row[algorithm] == digest_of(algorithm, bytes.fromhex(row["data"])).hex()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_whole_published_table(algorithm: str) -> None:
    """Every input of the big table, and the parts and whole of its multipart object."""
    table = json.loads(shared_vectors("checksums/checksums.json").read_text())
    for row in table["values"]:
        assert row["header_b64"][algorithm] == encode(digest_of(algorithm, bytes.fromhex(row["hex"])))
    parts = [part["byte"].encode() * part["length"] for part in table["multipart"]["parts"]]
    for row in table["multipart"]["algorithms"]:
        if row["algorithm"] == algorithm:
            digests = [digest_of(algorithm, part) for part in parts]
            assert row["part_b64"] == list(map(encode, digests))
            assert row["composite"] == f"{encode(digest_of(algorithm, b''.join(digests)))}-{len(parts)}"
            assert row["full_object_b64"] == encode(digest_of(algorithm, b"".join(parts)))
    if algorithm == "crc32":
        combined = 0
        for part in parts:
            combined = crc32_combine(combined, zlib.crc32(part), len(part))
        assert row_of(table, "crc32")["full_object_b64"] == encode(combined.to_bytes(4, "big"))


def row_of(table: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """The multipart row of an algorithm."""
    return next(row for row in table["multipart"]["algorithms"] if row["algorithm"] == algorithm)


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
@given(first=st.binary(max_size=3000), second=st.binary(max_size=3000), third=st.binary(max_size=3000))
def test_digests_of_pieces_give_the_digest_of_the_whole(
    algorithm: str, first: bytes, second: bytes, third: bytes
) -> None:
    """A CRC's digests of pieces, joined in any grouping, are the digest of all bytes."""
    whole = digest_of(algorithm, first + second + third)
    left, middle, right = (digest_of(algorithm, piece) for piece in (first, second, third))
    joined = checksum.combine(algorithm, left, middle, len(second))
    assert whole == checksum.combine(algorithm, joined, right, len(third))
    joined = checksum.combine(algorithm, middle, right, len(third))
    assert whole == checksum.combine(algorithm, left, joined, len(second) + len(third))


def test_digests_that_say_nothing_about_the_whole() -> None:
    """Only CRCs can be joined; lengths are not negative."""
    for algorithm in ("sha256", "md5", "crc16"):
        with pytest.raises(ValueError, match=algorithm):
            checksum.combine(algorithm, bytes(4), bytes(4), 1)
    with pytest.raises(ValueError, match="second_length"):
        checksum.combine("crc32", bytes(4), bytes(4), -1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(blocks=st.lists(st.binary(max_size=3000), max_size=6))
def test_blocks_give_the_digest_of_the_whole(algorithm: str, blocks: list[bytes]) -> None:
    """However the data is cut, and whatever kind of buffer holds it; asking for the digest changes nothing."""
    state = hasher(algorithm)
    for number, block in enumerate(blocks):
        state.update((block, bytearray(block), memoryview(block))[number % 3])
        state.digest()
    assert digest_of(algorithm, b"".join(blocks)) == state.digest()


def test_the_digests_of_the_standard_library_are_its_own() -> None:
    """SHA-1, SHA-256, MD5 and CRC32 are those of hashlib and zlib, big-endian."""
    data = os.urandom(100_000)
    assert hashlib.sha256(data).digest() == digest_of("sha256", data)
    assert hashlib.sha1(data).digest() == digest_of("sha1", data)
    assert hashlib.md5(data).digest() == digest_of("md5", data)
    assert zlib.crc32(data).to_bytes(4, "big") == digest_of("crc32", data)
    assert base64.b64encode(hashlib.md5(data).digest()).decode() == encode(digest_of("md5", data))


@pytest.mark.parametrize("name", ["", "CRC32", "crc", "sha512", "x-amz-checksum-crc32"])
@pytest.mark.parametrize("function", [hasher, header_name])
def test_unknown_algorithms_are_refused(function: Callable[[str], object], name: str) -> None:
    """A name that is not in the list is a ValueError that shows it."""
    with pytest.raises(ValueError, match="unknown checksum algorithm"):
        function(name)


def test_header_names() -> None:
    """The headers of S3; MD5 has the one that HTTP gave it."""
    assert [
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha1",
        "x-amz-checksum-sha256",
        "content-md5",
    ] == list(map(header_name, ALGORITHMS))


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=50))
def test_combined_crcs_are_the_crc_of_the_whole(first: bytes, second: bytes, third: bytes) -> None:
    """Joining the CRC32s of the pieces gives that of the whole, in any grouping."""
    whole = zlib.crc32(first + second + third)
    left = crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert whole == crc32_combine(left, zlib.crc32(third), len(third))
    right = crc32_combine(zlib.crc32(second), zlib.crc32(third), len(third))
    assert whole == crc32_combine(zlib.crc32(first), right, len(second) + len(third))


@pytest.mark.parametrize("length", [0, 1, 2**20, 5 * 2**30, 2**40 + 7, 50 * 2**40])
def test_lengths_of_the_largest_objects(length: int) -> None:
    """Zeros of any length can be appended: in one step or in two, it is the same, up to 50 TB."""
    start = zlib.crc32(b"start")
    half = length // 2
    zeros = crc32_combine(0, 0, length)
    assert 0 == zeros
    once = crc32_combine(start, 0, length)
    assert once == crc32_combine(crc32_combine(start, 0, half), 0, length - half)
    assert (start == once) == (length == 0)


def test_a_negative_length_is_refused() -> None:
    """There is no piece of negative length: ValueError."""
    with pytest.raises(ValueError, match="len2"):
        crc32_combine(1, 2, -1)


@pytest.mark.parametrize("size", [0, 1, checksum._THREADED - 1, checksum._THREADED, checksum._THREADED * 2 + 3])
@pytest.mark.parametrize("value", [0, 0x12345678])
def test_large_buffers_have_the_crc_of_zlib(size: int, value: int) -> None:
    """Whether one thread or two compute it, and whatever it goes on from."""
    data = os.urandom(size)
    assert zlib.crc32(data, value) == crc32_of(data, value)
    assert zlib.crc32(data, value) == crc32_of(memoryview(bytearray(data)), value)


def test_no_thread_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, the checksum is computed without one."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    data = os.urandom(checksum._THREADED)
    assert zlib.crc32(data) == crc32_of(data)


@pytest.mark.parametrize(("polynomial", "width"), POLYNOMIALS)
def test_the_sparse_multiples_are_multiples(polynomial: checksum._Polynomial, width: int) -> None:
    """x^degree is the sum of the terms modulo the polynomial: what folding rests on, computed step by step."""
    powers = [1 << (width - 1)]
    while len(powers) <= polynomial.degree:
        last = powers[-1]
        powers.append((last >> 1) ^ (polynomial.polynomial if last & 1 else 0))
    total = 0
    for term in polynomial.terms:
        total ^= powers[term]
    assert powers[polynomial.degree] == total
    assert sorted(polynomial.terms, reverse=True) == list(polynomial.terms)


@pytest.mark.parametrize(("polynomial", "width"), POLYNOMIALS)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 595, 596, 710, 711, 712, 1421, 1422, 1423, 5000, 40_000])
def test_folding_is_the_crc_by_its_definition(polynomial: checksum._Polynomial, width: int, size: int) -> None:
    """Around every size at which folding begins or takes another step, the result is that of the plain definition."""
    data = os.urandom(size)
    assert bitwise(data, polynomial.polynomial, width) == checksum._fold_crc(data, 0, polynomial, width)


@pytest.mark.parametrize(("polynomial", "width"), POLYNOMIALS)
def test_folding_goes_on_over_blocks(polynomial: checksum._Polynomial, width: int) -> None:
    """Blocks of the size that is folded at once, and around it, continue each other."""
    data = os.urandom(2 * checksum._FOLDED + 1)
    whole = checksum._fold_crc(data, 0, polynomial, width)
    for cut in (1, 700, checksum._FOLDED - 1, checksum._FOLDED, checksum._FOLDED + 1, len(data)):
        begun = checksum._fold_crc(memoryview(data)[:cut], 0, polynomial, width)
        assert whole == checksum._fold_crc(memoryview(data)[cut:], begun, polynomial, width)


@given(st.binary(max_size=4000), st.sampled_from(POLYNOMIALS))
def test_folding_any_data(data: bytes, polynomial: tuple[checksum._Polynomial, int]) -> None:
    """Also for data that is no noise: runs, zeros, what hypothesis likes."""
    assert bitwise(data, polynomial[0].polynomial, polynomial[1]) == checksum._fold_crc(data, 0, *polynomial)


def accelerator(name: str, **functions: object) -> dict[str, ModuleType]:
    """A stand-in for an optional package, with the signatures of the real one."""
    modules = {}
    for part in (name.partition(".")[0], name):
        modules[part] = ModuleType(part)
    vars(modules[name]).update(functions)
    return modules


@pytest.mark.parametrize("package", ["awscrt.checksums", "crc32c", "google_crc32c"])
@pytest.mark.usefixtures("plain")
def test_an_optional_package_is_used(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Each package is called with what it accepts, and its value is continued from block to block."""
    calls: list[object] = []

    def crc32c(data: bytes, value: int = 0) -> int:
        calls.append(data)
        return checksum._fold_crc(data, value, checksum._CRC32C, 32)

    def extend(value: int, data: bytes) -> int:
        assert type(data) is bytes
        return crc32c(data, value)

    for name, module in accelerator(package, crc32c=crc32c, extend=extend).items():
        monkeypatch.setitem(sys.modules, name, module)
    state = hasher("crc32c")
    state.update(memoryview(b"1234"))
    state.update(bytearray(b"56789"))
    assert "e3069283" == state.digest().hex()
    assert 2 == len(calls)


@pytest.mark.usefixtures("plain")
def test_an_optional_package_is_used_for_crc64nvme(monkeypatch: pytest.MonkeyPatch) -> None:
    """awscrt is the one that has it; an old release without it is no reason to fail."""
    calls: list[object] = []

    def crc64nvme(data: bytes, value: int = 0) -> int:
        calls.append(data)
        return checksum._fold_crc(data, value, checksum._CRC64NVME, 64)

    modules = accelerator("awscrt.checksums")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert "ae8b14860a799888" == digest_of("crc64nvme", b"123456789").hex()
    checksum._crc64nvme.cache_clear()
    vars(modules["awscrt.checksums"])["crc64nvme"] = crc64nvme
    assert "ae8b14860a799888" == digest_of("crc64nvme", b"123456789").hex()
    assert 1 == len(calls)


@pytest.mark.parametrize(
    "length", [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 4 * 1024 * 1024, 5 * 1024 * 1024 + 3]
)
def test_isal_computes_what_zlib_computes(length: int) -> None:
    """On either side of the size from which it is used, in one piece and continued."""
    pytest.importorskip("isal")
    data = os.urandom(length)
    assert zlib.crc32(data) == crc32_of(data)
    assert zlib.crc32(data, 12345) == crc32_of(memoryview(data), 12345)
