"""What is made of the verbs: parts, local files, open files, locks, limits, URLs."""

from __future__ import annotations

import gzip
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from s3func.errors import (
    DeadlineExceeded,
    LockLost,
    NoSuchKey,
    NotFound,
    NotSupported,
    ObjectChanged,
    ObjectExists,
    S3FuncError,
)
from s3func.message import Request, Response, Transport
from tests.contract.session.services import LIVE, SERVICES, Service

MIB = 1024 * 1024
LARGE = hashlib.shake_128(b"large").digest(11 * MIB)
WITH_PARTS = [name for name in SERVICES if name != "s3-gateway"]
of_parts = pytest.mark.parametrize("service", WITH_PARTS, indirect=True)


def test_small_files_go_up_and_come_down(session: Any, tmp_path: Path) -> None:
    """A file is an object with the file's bytes, and the object is a file again."""
    source, target = tmp_path / "source", tmp_path / "target"
    for content in (b"", b"content"):
        source.write_bytes(content)
        put = session.upload_file(source, "key", metadata={"a": "b"})
        assert put.etag == session.head_object("key").etag
        session.download_file("key", target)
        assert content == target.read_bytes()
    assert {"a": "b"} == session.head_object("key").user_metadata
    with pytest.raises(FileNotFoundError):
        session.upload_file(tmp_path / "missing", "key")


def test_a_failed_download_leaves_the_file_alone(session: Any, tmp_path: Path) -> None:
    """What was there is there, and nothing beside it."""
    target = tmp_path / "files" / "target"
    target.parent.mkdir()
    target.write_bytes(b"before")
    with pytest.raises(NoSuchKey):
        session.download_file("missing", target)
    assert (b"before", ["target"]) == (target.read_bytes(), os.listdir(target.parent))


@of_parts
def test_large_files(service: Service, tmp_path: Path) -> None:
    """Parts in parallel, up and down: the same bytes, progress to the end, and no upload is left."""
    session = service.session
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    seen: list[tuple[int, int | None]] = []
    session.upload_file(source, "large", metadata={"a": "b"}, progress=lambda done, of: seen.append((done, of)))
    assert (len(LARGE), len(LARGE)) == seen[-1]
    session.download_file("large", target)
    assert target.read_bytes() == LARGE
    got = session.get_object("large", range_start=6 * MIB, range_end=6 * MIB + 9)
    assert LARGE[6 * MIB :][:10] == got.data
    assert (len(LARGE), {"a": "b"}) == ((head := session.head_object("large")).size, head.user_metadata)
    assert [] == list(session.list_multipart_uploads())
    assert ["large"] == [entry.key for entry in session.list_objects()]


@of_parts
@pytest.mark.parametrize("kind", ["bytes", "stream", "open"])
def test_large_bodies(service: Service, kind: str) -> None:
    """Bytes, a stream of unknown length, and a file that is written piece by piece."""
    session = service.session
    pieces = [LARGE[start : start + MIB] for start in range(0, len(LARGE), MIB)]
    if kind == "bytes":
        session.put_object("large", LARGE)
    elif kind == "stream":
        session.put_object("large", iter(pieces))
    else:
        with session.open("large", "wb") as file:
            for piece in pieces:
                file.write(piece)
    assert hashlib.sha1(LARGE).digest() == hashlib.sha1(session.get_object("large").data).digest()


@of_parts
def test_an_upload_is_resumed(service: Service, tmp_path: Path) -> None:
    """What was sent before the break is not sent again."""
    session, app = service.session, service.app
    assert app is not None
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    part, finish = (
        ("b2_upload_part", "b2_finish_large_file") if service.is_b2 else ("UploadPart", "CompleteMultipartUpload")
    )
    with app.faults.add(finish, status=403), pytest.raises(S3FuncError):
        session.upload_file(source, "large", resume=True)
    assert not session.exists("large")
    assert app.journal is not None
    app.journal.clear()
    session.upload_file(source, "large", resume=True)
    assert [] == app.journal.operations(part)
    assert hashlib.sha1(LARGE).digest() == hashlib.sha1(session.get_object("large").data).digest()


@of_parts
def test_parts_by_hand(service: Service) -> None:
    """An upload has no object until it is completed; its parts are listed; aborted it is gone."""
    session = service.session
    with session.create_multipart_upload("large", metadata={"a": "\u00e9"}) as upload:
        first = upload.upload_part(1, LARGE[: 5 * MIB])
        upload.upload_part(2, b"the wrong end")
        upload.upload_part(2, b"end")
        assert [(1, 5 * MIB), (2, 3)] == [(part.part_number, part.size) for part in upload.list_parts()]
        assert first.etag == next(iter(upload.list_parts())).etag
        assert [("large", upload.upload_id)] == [(row.key, row.upload_id) for row in session.list_multipart_uploads()]
        assert not session.exists("large")
    got = session.get_object("large")
    assert (LARGE[: 5 * MIB] + b"end", {"a": "\u00e9"}) == (got.data, got.user_metadata)
    with pytest.raises(ValueError, match="completed"):
        upload.upload_part(3, b"")
    with pytest.raises(ZeroDivisionError), session.create_multipart_upload("other") as broken:
        broken.upload_part(1, b"x")
        raise ZeroDivisionError
    assert not session.exists("other")
    assert [] == list(session.list_multipart_uploads())
    session.create_multipart_upload("old")
    assert [] == session.abort_multipart_uploads(timedelta(days=1))
    assert ["old"] == [row.key for row in session.abort_multipart_uploads(0)]
    assert [] == list(session.list_multipart_uploads())


@of_parts
def test_an_upload_whose_completion_is_refused(service: Service) -> None:
    """What the caller's own complete() was refused is not tried again at the end of the block: the upload is gone."""
    session, app = service.session, service.app
    assert app is not None
    finish = "b2_finish_large_file" if service.is_b2 else "CompleteMultipartUpload"
    with app.faults.add(finish, status=403, times=1) as fault:
        with session.create_multipart_upload("large") as upload:
            upload.upload_part(1, LARGE[: 5 * MIB])
            upload.upload_part(2, b"end")
            with pytest.raises(S3FuncError):
                upload.complete()
        assert 1 == fault.matched
    assert not session.exists("large")
    assert [] == list(session.list_multipart_uploads())
    with pytest.raises(ValueError, match="aborted"):
        upload.complete()


@of_parts
def test_a_part_that_fails_forbids_the_completion(service: Service) -> None:
    """Until it was sent again; then the object is whole."""
    session, app = service.session, service.app
    assert app is not None
    with session.create_multipart_upload("large") as upload:
        upload.upload_part(1, LARGE[: 5 * MIB])
        with (
            app.faults.add("b2_upload_part" if service.is_b2 else "UploadPart", status=403),
            pytest.raises(S3FuncError),
        ):
            upload.upload_part(2, b"end")
        sent = len(service.wire.sent)
        with pytest.raises(ValueError, match="part 2 failed"):
            upload.complete()
        assert sent == len(service.wire.sent)
        upload.upload_part(2, b"end")
    assert LARGE[: 5 * MIB] + b"end" == session.get_object("large").data


@of_parts
def test_parts_that_are_copied(service: Service) -> None:
    """Parts of other objects, whole or a range, without their bytes passing here."""
    session = service.session
    session.put_object("source", LARGE, multipart=False)
    with session.create_multipart_upload("large") as upload:
        upload.upload_part_copy(1, "source", range_start=0, range_end=5 * MIB - 1)
        upload.upload_part_copy(2, "source", range_start=5 * MIB, range_end=len(LARGE) - 1)
    assert session.get_object("large").data == LARGE


@of_parts
def test_an_empty_upload_is_refused(service: Service) -> None:
    """No object of nothing: ValueError, and nothing is left."""
    session = service.session
    upload = session.create_multipart_upload("large")
    sent = len(service.wire.sent)
    with pytest.raises(ValueError, match="no part"):
        upload.complete()
    assert sent == len(service.wire.sent)
    upload.abort()
    with pytest.raises(ValueError, match="aborted"):
        upload.complete()


def test_open_for_reading(session: Any) -> None:
    """Bytes or text, seekable, of one version."""
    content = "one\ntw\u00f6\n" * 1000
    session.put_object("key", content)
    with session.open("key", "r") as text:
        assert ["one\n", "tw\u00f6\n"] == [text.readline(), text.readline()]
    with session.open("key") as file:
        assert content.encode() == file.read()
        file.seek(-4, os.SEEK_END)
        assert b"\xc3\xb6\n" == file.read()[-3:]
    with pytest.raises(NoSuchKey):
        session.open("missing")


def test_an_open_file_is_of_one_version(service: Service) -> None:
    """An object that is replaced meanwhile is never mixed with the new one."""
    session = service.session
    session.put_object("key", bytes(600_000))
    with session.open("key", buffering=1000) as file:
        assert bytes(10) == file.read(10)
        session.put_object("key", b"\x01" * 600_000)
        file.seek(500_000)
        try:
            # Where versions are kept, or the answer was under way already, it can still be had.
            assert bytes(10) == file.read(10)
        except ObjectChanged:
            assert not service.versions


def test_open_for_writing(session: Any) -> None:
    """The object appears when the file is closed, and never when its block is left by an exception."""
    with session.open("key", "wb", metadata={"a": "b"}) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not session.exists("key")
    assert (b"one two", {"a": "b"}) == ((got := session.get_object("key")).data, got.user_metadata)
    with pytest.raises(ZeroDivisionError), session.open("other", "w") as text:
        text.write("never")
        raise ZeroDivisionError
    assert not session.exists("other")
    with session.open("packed", "wb") as file, gzip.open(file, "wt", encoding="utf-8") as packed:
        packed.write("text")
    assert b"text" == gzip.decompress(session.get_object("packed").data)


def test_open_for_creating(service: Service) -> None:
    """Mode x creates and never overwrites; where the store cannot promise that, it is refused before anything is sent."""
    session = service.session
    if session.capabilities.conditional_writes:
        with session.open("key", "xb") as file:
            file.write(b"first")
        with pytest.raises(ObjectExists), session.open("key", "xb") as file:
            file.write(b"second")
        assert b"first" == session.get_object("key").data
        return
    sent = len(service.wire.sent)
    with pytest.raises(NotSupported):
        session.open("key", "xb")
    assert sent == len(service.wire.sent)


@pytest.mark.parametrize("settings", [{}, {"fencing": True}, {"shared": True}], ids=str)
def test_a_lock(service: Service, settings: dict[str, Any]) -> None:
    """One holds, another one does not, and the bucket is as clean as was promised."""
    session = service.session
    with session.lock("jobs/nightly", **settings) as lock:
        assert lock.verify()
        assert not session.lock("jobs/nightly").acquire(blocking=False)
        assert 1 == len(session.lock("jobs/nightly").owners())
    other = session.lock("jobs/nightly")
    assert other.acquire(timeout=30)
    other.release()
    rows = list(session.list_object_versions())
    assert bool(settings.get("fencing")) == bool(rows)
    assert not any(row.delete_marker for row in rows)


def test_a_lock_that_is_broken(session: Any) -> None:
    """Its holder learns it from the store."""
    with pytest.raises(LockLost), session.lock("job") as lock:
        assert 1 == len(session.lock("job").break_lock())
        assert not lock.verify()
        kept = lock._held[0]
        kept.due = 0.0
        assert not kept.beat()


def test_tokens_grow(session: Any) -> None:
    """Each holder's token is larger than those before."""
    tokens = []
    for _ in range(4):
        with session.lock("job", fencing=True) as lock:
            tokens.append(lock.fencing_token)
    assert sorted(set(tokens)) == tokens


class Watched:
    """A transport that notes until when each request may take."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.deadlines: list[float | None] = []

    def __call__(self, request: Request) -> Response:
        self.deadlines.append(request.deadline)
        return self.inner(request)

    def close(self) -> None:
        """Nothing of its own."""


def test_a_limited_session(service: Service) -> None:
    """Its calls have a deadline, the session's own have none, and what takes too long is DeadlineExceeded."""
    session, wire = service.session, service.wire
    session.put_object("key", b"content")
    watched = Watched(wire.transport)
    wire.transport = watched
    try:
        limited = session.limited(60)
        assert b"content" == limited.get_object("key").data
        assert all(deadline is not None for deadline in watched.deadlines)
        watched.deadlines.clear()
        assert b"content" == session.get_object("key").data
        assert [None] == watched.deadlines
    finally:
        wire.transport = watched.inner
    if service.app is not None:
        operation = "b2_download_file_by_name" if service.is_b2 else "GetObject"
        with service.app.faults.add(operation, status=503, headers={"retry-after": "100"}):
            with pytest.raises(S3FuncError) as caught:
                session.limited(0.5).get_object("key")
            assert isinstance(caught.value, DeadlineExceeded) or caught.value.attempts == 1
    for wrong in (0, -1, float("nan"), 1e10):
        with pytest.raises(ValueError, match="seconds"):
            session.limited(wrong)


def test_presigned_urls(service: Service) -> None:
    """Each method of the capabilities gives a URL that works without any header; another one is refused at once."""
    session = service.session
    session.put_object("a?b/\u00e9", b"content", content_type="text/plain")
    methods = session.capabilities.presigned_methods
    assert {"GET", "HEAD"} <= methods
    for method in ("GET", "HEAD"):
        url = session.presigned_url(method, "a?b/\u00e9", expires=60, query={"response-content-type": "text/css"})
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        request = Request(method, origin, parts.path, parts.query, {"host": parts.netloc})
        response = service.wire.transport(request)
        assert (200, b"content" if method == "GET" else b"") == (response.status, response.read())
        assert "text/css" == response.headers["content-type"]
    for method in {"PUT", "DELETE", "POST"} - methods:
        sent = len(service.wire.sent)
        with pytest.raises(NotSupported):
            session.presigned_url(method, "key")
        assert sent == len(service.wire.sent)
    for method in {"PUT"} & methods:
        url = urlsplit(session.presigned_url(method, "put"))
        request = Request(method, f"{url.scheme}://{url.netloc}", url.path, url.query, {"host": url.netloc}, b"body")
        assert 200 == service.wire.transport(request).status
        assert b"body" == session.get_object("put").data


def test_a_session_shows_and_pickles_no_secret(service: Service) -> None:
    """Neither its repr nor its errors have the secret, and it is not pickled."""
    import pickle

    session = service.session
    assert "contract-secret" not in repr(session)
    with pytest.raises(NotFound) as caught:
        session.get_object("missing")
    assert "contract-secret" not in repr(caught.value) + str(vars(caught.value))
    with pytest.raises(TypeError):
        pickle.dumps(session)


def test_a_session_may_be_closed_and_used_again(service: Service) -> None:
    """close() lets go of connections, not of the session."""
    with service.session as session:
        session.put_object("key", b"content")
    session.close()
    assert b"content" == session.get_object("key").data


def test_every_service_is_known() -> None:
    """The suite runs over these, and over real ones where the environment has their keys."""
    assert {"s3", "s3-socket", "s3-gateway", "b2", "b2-disk"} <= SERVICES.keys()
    assert {"live-s3", "live-b2"} == LIVE.keys()
