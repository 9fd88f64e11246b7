"""The parts of the transfer benchmark that compute, and its store, which must not be kinder than it says."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import pytest

from benchmarks import transfer
from benchmarks.paced_sink import PacedSink
from benchmarks.paced_store import object_crc32
from benchmarks.sink import bulk_block
from s3func import S3Session
from s3func.errors import ServiceError
from s3func.transport.transfer import TransferConfig

MIB = 1 << 20


def sample(client: str, number: int, *, wall: float = 1.0) -> transfer.Sample:
    return transfer.Sample(
        client, transfer.PACED, "upload", number, 90_000_000, wall, 0.25, 0.5, 0.125, 3 * MIB, requests=5, at_once=2
    )


def test_quantities_are_what_their_columns_say() -> None:
    """The share is of what the connections can carry, CPU of both kinds by the GiB, memory in MiB."""
    one = sample("s3func", 0, wall=2.0)
    assert 0.25 == transfer.share(one, 2)
    assert 45.0 == transfer.speed(one)
    assert 0.75 / (90_000_000 / (1 << 30)) == transfer.cpu_per_gib(one)
    assert 3.0 == transfer.peak_mib(one)
    assert 6.25 == transfer.sink_busy(one)


def test_a_ratio_is_taken_within_a_round() -> None:
    """Half our time is 0.50, also where a round was slow for both, and a round that we are not in is not used."""
    samples = [sample("s3func", 0, wall=2), sample("peer", 0), sample("s3func", 1, wall=8), sample("peer", 1, wall=4)]
    found = transfer.ratio([*samples, sample("peer", 2)], transfer.PACED, "upload", "peer", transfer.wall)
    assert found is not None
    assert (0.5, 0.5, 0.5) == (found.median, found.low, found.high)


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 64 * MIB + 1])
def test_the_store_knows_the_checksum_of_what_it_sends(size: int) -> None:
    """The CRC32 that is put together from pieces is that of the bytes."""
    block = bulk_block()
    content = (block * (size // len(block) + 1))[:size]
    assert zlib.crc32(content) == object_crc32(size)


def test_the_store_is_as_slow_as_it_says(tmp_path: Path) -> None:
    """An answer comes after its latency at the earliest, and a connection carries no more than its rate."""
    path = tmp_path / "file"
    path.write_bytes(bytes(8 * MIB))
    with PacedSink(0.05, 40e6) as sink, S3Session("k", "s", "bench", sink.endpoint, "us-east-1") as session:
        begun = time.monotonic()
        session.head_object(f"x/{MIB}")
        assert 0.05 <= time.monotonic() - begun
        begun = time.monotonic()
        session.put_object("up", path, multipart=False)
        # A burst of 10 ms may come at once, and the socket's buffers take some.
        assert 4 * MIB / 40e6 <= time.monotonic() - begun
        begun = time.monotonic()
        assert 8 * MIB == len(session.get_object(f"x/{8 * MIB}").data)
        assert 4 * MIB / 40e6 <= time.monotonic() - begun


def test_the_store_is_a_store(tmp_path: Path) -> None:
    """Parts whose checksum is another are refused, what comes down in ranges is compared, and requests are counted."""
    in_parts = TransferConfig(multipart_threshold=MIB, part_size=5 * MIB, concurrency=3)
    with PacedSink(0, 0) as sink, S3Session("k", "s", "bench", sink.endpoint, "us-east-1") as session:
        result = session.download_file(f"x/{11 * MIB}", tmp_path / "down", transfer=in_parts)
        assert result.verified
        session.upload_file(tmp_path / "down", "up", transfer=in_parts)
        assert 3 <= sink.stats().requests
        with pytest.raises(ServiceError):
            session.put_object("wrong", b"a", headers={"x-amz-checksum-crc32": "AAAAAA=="})


def test_the_program_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks transfer` moves a file both ways, prints its tables and keeps its samples."""
    kept = tmp_path / "samples.json"
    chosen = ["--clients", "s3func;raw sockets", "--settings", "unpaced", "--size-mib", "8", "--rounds", "1"]
    assert 0 == transfer.main([*chosen, "--folder", str(tmp_path), "--json", str(kept)])
    printed = capsys.readouterr().out
    assert "| download, unpaced |" in printed
    samples = json.loads(kept.read_text())["samples"]
    assert {("s3func", "upload"), ("s3func", "download"), ("raw sockets", "upload"), ("raw sockets", "download")} == {
        (one["client"], one["direction"]) for one in samples
    }
    assert all(one["size"] == 8 * MIB for one in samples)
