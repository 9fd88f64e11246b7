from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from s3func.errors import ChecksumMismatch, NoSuchKey
from s3func.message import Request, Response
from s3func.transport.transfer import TransferConfig
from tests.b2.rigs import BUCKET, service, session_on

DATA = bytes(range(256)) * 800
OTHER = DATA[::-1]
PARTS = TransferConfig(multipart_threshold=1000, part_size=30_000, concurrency=3)


def downloads(calls: list[str]) -> int:
    """How many of the calls were downloads."""
    return sum(call.startswith("GET") for call in calls)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("transfer", [None, PARTS])
def test_a_download(tmp_path: Path, transfer: TransferConfig | None, *, resume: bool) -> None:
    """A file of B2 comes down as an object of S3 does: whole, in ranges where it is large, compared with its SHA-1."""
    fake = service()
    fake.add(BUCKET, "key", DATA)
    with session_on(fake) as session:
        result = session.download_file("key", tmp_path / "file", transfer=transfer, resume=resume)
        assert (len(DATA), "sha1", True) == (result.size, result.checksum, result.verified)
        assert (1 if transfer is None else 7) == downloads(fake.calls())
        by_id = session.download_file("key", tmp_path / "by id", version_id=result.version_id, transfer=transfer)
        assert by_id.version_id == result.version_id
        assert not session.download_file("key", tmp_path / "file", verify=False, transfer=transfer).verified
        with pytest.raises(NoSuchKey):
            session.download_file("none", tmp_path / "none", resume=resume)
    assert DATA == (tmp_path / "file").read_bytes() == (tmp_path / "by id").read_bytes()
    assert ["by id", "file"] == sorted(os.listdir(tmp_path))


class Between:
    """A transport before the fake, for what happens while a download is under way."""

    def __init__(self, fake: object) -> None:
        self.fake = fake
        self.ranges = 0
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        with self.lock:
            self.ranges += "range" in request.headers
            if self.ranges == 3 and request.method == "GET":
                self.ranges += 1
                self.fake.add(BUCKET, "key", OTHER)  # type: ignore[attr-defined]
            response = self.fake(request)  # type: ignore[operator]
            assert isinstance(response, Response)
            return response

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_is_replaced(tmp_path: Path, *, resume: bool) -> None:
    """A new version that appears in the middle is what comes down, and never a mix of the two."""
    fake = service()
    fake.add(BUCKET, "key", DATA)
    with session_on(Between(fake)) as session:  # type: ignore[arg-type]
        result = session.download_file("key", tmp_path / "file", transfer=PARTS, resume=resume)
    assert result.verified
    assert OTHER == (tmp_path / "file").read_bytes()
    assert ["file"] == os.listdir(tmp_path)


def test_going_on(tmp_path: Path) -> None:
    """What an interrupted download has brought is not fetched again."""

    def fail(done: int, total: int | None) -> None:
        if done > 150_000:
            raise LookupError

    fake = service()
    fake.add(BUCKET, "key", DATA)
    with session_on(fake) as session:
        with pytest.raises(LookupError):
            session.download_file("key", tmp_path / "file", transfer=PARTS, resume=True, progress=fail)
        result = session.download_file("key", tmp_path / "file", transfer=PARTS, resume=True)
    assert 60_000 <= result.resumed < len(DATA)
    assert result.verified
    assert DATA == (tmp_path / "file").read_bytes()
    assert ["file"] == os.listdir(tmp_path)


@pytest.mark.parametrize("transfer", [None, PARTS])
def test_a_wrong_checksum(tmp_path: Path, transfer: TransferConfig | None) -> None:
    """Bytes that do not have the SHA-1 of the file are refused, and nothing is left of them."""
    fake = service()
    fake.add(BUCKET, "key", DATA)

    class Spoiling(Between):
        def __call__(self, request: Request) -> Response:
            response = super().__call__(request)
            if "x-bz-content-sha1" in response.headers:
                response.headers["x-bz-content-sha1"] = "0" * 40
            return response

    with session_on(Spoiling(fake)) as session, pytest.raises(ChecksumMismatch):  # type: ignore[arg-type]
        session.download_file("key", tmp_path / "file", transfer=transfer)
    assert [] == os.listdir(tmp_path)
