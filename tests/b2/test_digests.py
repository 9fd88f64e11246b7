from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from s3func import B2Session
from s3func.b2.digests import digests_of, sha1_of
from s3func.errors import InvalidRequest, SourceChanged
from s3func.testing import server
from s3func.transport.sources import BufferSource, FileSource, source_of
from s3func.transport.transfer import TransferConfig
from tests.b2.fake import FakeB2
from tests.b2.rigs import service, session_on

MIB = 1 << 20
CONTENT = os.urandom(5 * MIB + 321)
SHA1 = hashlib.sha1(CONTENT).hexdigest()


def opened(kind: str, tmp_path: Path) -> Any:
    """The content in memory, or as a file."""
    if kind == "memory":
        return source_of(CONTENT)
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return source_of(path)


@pytest.mark.parametrize("kind", ["memory", "file"])
@pytest.mark.parametrize("each", [1000_003, MIB, 2 * MIB, 3 * MIB + 1, len(CONTENT), len(CONTENT) + 1])
def test_digests(tmp_path: Path, kind: str, each: int) -> None:
    """The whole's SHA-1 is right, that of every part that was ready in time, too, and this thread is as urgent as before."""
    source = opened(kind, tmp_path)
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        whole, parts = digests_of(source, len(CONTENT), each)
        assert priority == os.getpriority(os.PRIO_PROCESS, 0)
        assert SHA1 == whole
        for number, digest in parts.items():
            start = (number - 1) * each
            assert hashlib.sha1(CONTENT[start : start + each]).hexdigest() == digest
            assert digest == sha1_of(source, start, min(each, len(CONTENT) - start))
    finally:
        source.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3func-sha1")]


def test_a_file_that_changes_while_it_is_hashed(tmp_path: Path) -> None:
    """What changes before it was read to its end is SourceChanged, and no thread stays behind."""
    source = opened("file", tmp_path)
    os.truncate(tmp_path / "content", 1000)
    try:
        with pytest.raises(SourceChanged):
            digests_of(source, len(CONTENT), MIB)
    finally:
        source.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("s3func-sha1")]


@pytest.mark.parametrize("ready", [0, 2, 99])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_parts_that_were_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ready: int) -> None:
    """However many digests were ready, all parts arrive, and the file has its bytes and its SHA-1."""

    def late(source: BufferSource | FileSource, size: int, each: int) -> tuple[str, dict[int, str]]:
        whole, _ = digests_of(source, size, each)
        numbers = range(1, -(-size // each) + 1)
        return whole, {
            number: sha1_of(source, (number - 1) * each, min(each, size - (number - 1) * each))
            for number in list(numbers)[:ready]
        }

    monkeypatch.setattr("s3func.b2.putting.digests_of", late)
    fake = in_parts()
    source: Any = CONTENT
    if kind == "file":
        source = tmp_path / "content"
        source.write_bytes(CONTENT)
    with session_on(fake, transfer=PARTS) as session:
        result = session.put_object("key", source)
        assert SHA1 == result.content_sha1
        assert CONTENT == session.get_object("key").data


PARTS = TransferConfig(multipart_threshold=1000, part_size=MIB, concurrency=3)


def in_parts() -> FakeB2:
    """A service that takes parts of 100 bytes."""
    fake = service()
    fake.minimum = 100
    return fake


def test_bytes_that_are_not_those_that_were_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed between its hashing and its sending, unseen by its times, is refused by B2, and not published."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)

    def wrong(source: BufferSource | FileSource, size: int, each: int) -> tuple[str, dict[int, str]]:
        whole, parts = digests_of(source, size, each)
        return whole, {**parts, 2: "0" * 40}

    monkeypatch.setattr("s3func.b2.putting.digests_of", wrong)
    fake = in_parts()
    with session_on(fake, transfer=PARTS) as session:
        with pytest.raises(InvalidRequest):
            session.put_object("key", path)
        assert not session.exists("key")
        assert [] == list(session.list_multipart_uploads())


def test_a_changed_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When B2 refuses a part of a file that was written to meanwhile, the error says that it was."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    check = FileSource._check_unwritten

    def wrong(source: BufferSource | FileSource, size: int, each: int) -> tuple[str, dict[int, str]]:
        whole, parts = digests_of(source, size, each)
        os.utime(path, (1, 1))
        # Unseen while it is sent, seen when it is asked for the reason.
        monkeypatch.setattr(FileSource, "_check_unwritten", lambda self: None)
        monkeypatch.setattr(FileSource, "check", check)
        return whole, {**parts, 2: "0" * 40}

    monkeypatch.setattr("s3func.b2.putting.digests_of", wrong)
    with session_on(in_parts(), transfer=PARTS) as session, pytest.raises(SourceChanged):
        session.put_object("key", path)


def test_a_file_over_a_socket(tmp_path: Path) -> None:
    """Over a real connection, where the kernel sends the parts, the file arrives as it is, and comes back so."""
    path = tmp_path / "content"
    content = os.urandom(11 * MIB + 5)
    path.write_bytes(content)
    transfer = TransferConfig(multipart_threshold=MIB, part_size=5 * MIB, concurrency=2)
    with server() as running, running.session("bucket-one") as s3:
        settings = running.settings
        keys = settings["access_key_id"], settings["secret_access_key"]
        with B2Session(*keys, "bucket-one", realm=settings["endpoint_url"], transfer=transfer) as session:
            session.upload_file(path, "key")
            assert hashlib.sha1(content).hexdigest() == session.head_object("key").content_sha1
            assert session.download_file("key", tmp_path / "down").verified
        assert len(content) == s3.head_object("key").size
    assert content == (tmp_path / "down").read_bytes()
