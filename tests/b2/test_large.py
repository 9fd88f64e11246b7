"""Large files: whole or not at all, whatever happens to their parts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import B2Session, RetryPolicy
from s3func.b2.large import growing_part_size, part_size
from s3func.errors import (
    AccessDenied,
    ChecksumMismatch,
    NoSuchUpload,
    NotSupported,
    S3FuncError,
    ServerError,
    SourceChanged,
)
from s3func.message import Request, Response
from s3func.transport.transfer import TransferConfig
from tests.b2.fake import FakeB2, Fault
from tests.b2.rigs import BUCKET, refused, service, session_on

PARTS = TransferConfig(multipart_threshold=1000, part_size=500, concurrency=4)
CONTENT = bytes(range(256)) * 16
SHA1 = hashlib.sha1(CONTENT).hexdigest()


def small_parts() -> FakeB2:
    """A service that takes parts of 100 bytes."""
    fake = service()
    fake.minimum = 100
    fake.recommended = 1000
    return fake


def large(fake: FakeB2, **options: Any) -> B2Session:
    """A session that cuts what is larger than 1,000 bytes into parts of 500."""
    return session_on(fake, transfer=PARTS, **options)


class Unseekable(io.RawIOBase):
    """A stream of unknown length."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 333) if size > 0 else 333)


@pytest.mark.parametrize("kind", ["bytes", "memoryview", "path", "file", "BytesIO", "stream", "iterable"])
def test_every_kind_of_body_is_cut_into_parts(kind: str, tmp_path: Path) -> None:
    """Whatever the body is, the file has its bytes, several parts, and (where it could be read twice) its SHA-1."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        bodies: dict[str, Any] = {
            "bytes": CONTENT,
            "memoryview": memoryview(CONTENT),
            "path": path,
            "file": file,
            "BytesIO": io.BytesIO(CONTENT),
            "stream": Unseekable(CONTENT),
            "iterable": (CONTENT[start : start + 77] for start in range(0, len(CONTENT), 77)),
        }
        result = large(fake).put_object("key", bodies[kind], {"a": "b"}, "text/plain")
    got = large(fake).get_object("key")
    assert CONTENT == got.data
    assert result.version_id == got.version_id == result.etag
    assert ({"a": "b"}, "text/plain") == (got.user_metadata, got.content_type)
    assert len(fake.calls("b2_upload_part")) >= 4
    assert (SHA1 if kind not in {"stream", "iterable"} else None) == got.content_sha1
    assert 0 == fake.overlaps


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 1499, 1500, 1501])
def test_sizes_around_the_borders(size: int) -> None:
    """Below the threshold one call, from it on parts, and the content is the same in each case."""
    fake = small_parts()
    session = large(fake)
    body = CONTENT[:size]
    session.put_object("key", body)
    assert body == session.get_object("key").data
    assert (size >= 1000) == bool(fake.calls("b2_finish_large_file"))


def test_nothing_is_sent_in_one_part() -> None:
    """A file that is not larger than the smallest part goes in one call, also where parts are asked for."""
    fake = service()
    session_on(fake).put_object("key", CONTENT, multipart=True)
    assert ["b2_upload_file"] == [call for call in fake.calls() if "upload_file" in call or "large" in call]


def test_two_parts_at_least() -> None:
    """Settings that ask for one part only still make two."""
    fake = small_parts()
    session_on(fake, transfer=TransferConfig(1000, 10_000)).put_object("key", CONTENT)
    assert 2 == len(fake.calls("b2_upload_part"))


TROUBLE = {
    "503": refused(503, "service_unavailable"),
    "500": refused(500, "internal_error"),
    "408": refused(408, "request_timeout"),
    "429": refused(429, "too_many_requests", retry_after="1"),
    "401": refused(401, "expired_auth_token"),
    "busy": refused(400, "auth_token_limit"),
    "reset": Fault(lost="before"),
    "stall": Fault(lost="stall"),
}


@pytest.mark.parametrize("fault", TROUBLE.values(), ids=TROUBLE)
def test_a_part_that_fails_goes_to_another_url(fault: Fault) -> None:
    """Trouble with parts is mended by other URLs, none of which is asked again after its failure."""
    fake = small_parts()
    fake.fault("b2_upload_part", fault, fault)
    session = large(fake)
    session.put_object("key", CONTENT)
    assert CONTENT == session.get_object("key").data
    failed = [entry.where for entry in fake.journal if entry.call == "b2_upload_part" and entry.status != 200]
    assert 2 == len(set(failed))
    assert len(fake.calls("b2_upload_part")) == 2 + -(-len(CONTENT) // 500)


def test_a_cap_in_the_middle_cancels_the_file() -> None:
    """When a part hits a cap, no part is tried again, and the unfinished file is cancelled."""
    fake = small_parts()
    fake.fault("b2_upload_part", Fault(), refused(403, "storage_cap_exceeded"))
    with pytest.raises(AccessDenied):
        large(fake).put_object("key", CONTENT)
    assert [] == fake.files
    assert 1 == len(fake.calls("b2_cancel_large_file"))
    numbers = [entry.headers["x-bz-part-number"] for entry in fake.journal if entry.call == "b2_upload_part"]
    assert len(set(numbers)) == len(numbers)


def test_a_cancellation_that_fails_is_noted() -> None:
    """What failed first is raised; that the unfinished file could not be cancelled stands beside it."""
    fake = small_parts()
    fake.fault("b2_upload_part", refused(403, "storage_cap_exceeded"))
    fake.fault("b2_cancel_large_file", *[refused(403, "access_denied")] * 5)
    with pytest.raises(AccessDenied) as caught:
        large(fake).put_object("key", CONTENT)
    assert "could not be cancelled" in caught.value.__notes__[0]


@pytest.mark.parametrize("lost", ["after", "stall"])
def test_finishing_is_made_idempotent(lost: str) -> None:
    """The answer to the finishing call is lost, the second one is refused, and the result is the file all the same."""
    fake = small_parts()
    fake.fault("b2_finish_large_file", Fault(lost=lost))
    session = large(fake)
    result = session.put_object("key", CONTENT)
    assert ["b2_finish_large_file"] * 2 + ["b2_get_file_info"] == fake.calls()[-3:]
    assert CONTENT == session.get_object("key", result.version_id).data
    assert len(CONTENT) == result.size


def test_a_finish_that_was_not_carried_out_fails() -> None:
    """When the call was lost on its way there and is refused later, the file is not taken for finished."""
    fake = small_parts()
    fake.fault("b2_finish_large_file", Fault(lost="before"), refused(400, "missing_part", "no"))
    with pytest.raises(S3FuncError, match="missing_part"):
        large(fake).put_object("key", CONTENT)
    assert [] == fake.files


def test_an_interrupted_upload_is_resumed(tmp_path: Path) -> None:
    """upload_file(resume=True) sends the parts that are missing, and no other."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    session = large(fake, retries=RetryPolicy(attempts=1))
    fake.fault("b2_upload_part", Fault(), Fault(), Fault(), *[refused(500, "internal_error")] * 20)
    with pytest.raises(ServerError):
        session.upload_file(path, "key", resume=True, metadata={"a": "b"})
    fake.faults.clear()
    there = len(next(row for row in fake.files)["parts"])
    before = len(fake.calls("b2_upload_part"))
    result = session.upload_file(path, "key", resume=True, metadata={"a": "b"})
    assert -(-len(CONTENT) // 500) - there == len(fake.calls("b2_upload_part")) - before
    assert CONTENT == session.get_object("key", result.version_id).data
    assert 1 == len(fake.files)


def test_another_content_is_not_resumed(tmp_path: Path) -> None:
    """An unfinished upload of other bytes, or with other metadata, is left alone."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    session = large(fake)
    fake.fault("b2_upload_part", Fault(), *[refused(403, "cap_exceeded")] * 20)
    with pytest.raises(AccessDenied):
        session.upload_file(path, "key", resume=True)
    fake.faults.clear()
    path.write_bytes(CONTENT[::-1])
    session.upload_file(path, "key", resume=True)
    assert CONTENT[::-1] == session.get_object("key").data
    assert ["start", "upload"] == [row["action"] for row in fake.files]


def test_a_damaged_part_is_sent_again(tmp_path: Path) -> None:
    """A part in the store whose SHA-1 is another one does not count as done."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    session = large(fake)
    fake.fault("b2_upload_part", Fault(), *[refused(403, "cap_exceeded")] * 20)
    with pytest.raises(AccessDenied):
        session.upload_file(path, "key", resume=True)
    fake.faults.clear()
    for part in fake.files[0]["parts"].values():
        part["data"] = bytes(len(part["data"]))
        part["contentSha1"] = hashlib.sha1(part["data"]).hexdigest()
    session.upload_file(path, "key", resume=True)
    assert CONTENT == session.get_object("key").data
    assert ["upload"] == [row["action"] for row in fake.files]


def test_a_file_that_is_written_to_meanwhile_is_not_published(tmp_path: Path) -> None:
    """SourceChanged, and nothing is left in the store."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)

    def write() -> None:
        fake.during_upload = None
        with path.open("ab") as file:
            file.write(b"more")

    fake.during_upload = write
    with pytest.raises(SourceChanged):
        large(fake).put_object("key", path)
    assert [] == fake.files


def test_progress_goes_forward_and_ends_with_all() -> None:
    """Progress is told in growing numbers, also when parts are sent twice, and the last call says it all."""
    fake = small_parts()
    fake.fault("b2_upload_part", refused(503, "service_unavailable"))
    told: list[tuple[int, int | None]] = []
    large(fake).put_object("key", CONTENT, progress=lambda done, total: told.append((done, total)))
    assert sorted(told) == told
    assert (len(CONTENT), len(CONTENT)) == told[-1]


def test_a_stream_that_fails_leaves_nothing() -> None:
    """An exception of the caller's own iterable is his to see, and the unfinished file is cancelled."""
    fake = small_parts()

    def blocks() -> Iterator[bytes]:
        yield CONTENT
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        large(fake).put_object("key", blocks())
    assert [] == fake.files


def test_writing_piece_by_piece() -> None:
    """open(key, "wb") publishes at the end, and nothing when its block ends with an exception."""
    fake = small_parts()
    session = large(fake)
    with session.open("key", "wb") as file:
        for start in range(0, len(CONTENT), 100):
            file.write(CONTENT[start : start + 100])
    assert CONTENT == session.get_object("key").data
    with pytest.raises(RuntimeError), session.open("other", "wb") as file:
        file.write(CONTENT)
        raise RuntimeError
    assert not session.exists("other")
    assert 1 == len(fake.files)


def test_parts_by_hand() -> None:
    """The verbs of multipart uploads work on large files: begun, listed, copied into, completed."""
    fake = small_parts()
    session = large(fake)
    session.put_object("source", CONTENT[:300], multipart=False)
    with session.create_multipart_upload("key", metadata={"a": "b"}) as upload:
        first = upload.upload_part(1, CONTENT[:500])
        upload.upload_part_copy(2, "source", range_start=10, range_end=209)
        upload.upload_part(3, io.BytesIO(b"end"))
        assert [(1, 500), (2, 200), (3, 3)] == [(part.part_number, part.size) for part in upload.list_parts()]
        assert ["key"] == [entry.key for entry in session.list_multipart_uploads()]
    assert hashlib.sha1(CONTENT[:500]).hexdigest() == first.etag
    assert CONTENT[:500] + CONTENT[10:210] + b"end" == session.get_object("key").data
    assert {"a": "b"} == session.get_object("key").user_metadata
    with pytest.raises(ValueError, match="completed"):
        upload.upload_part(4, b"late")


def test_parts_by_hand_that_fail_leave_nothing() -> None:
    """An exception in the block aborts; aborting twice, or what is not there, is NoSuchUpload."""
    fake = small_parts()
    session = large(fake)
    with pytest.raises(RuntimeError), session.create_multipart_upload("key") as upload:
        upload.upload_part(1, CONTENT[:500])
        raise RuntimeError
    assert [] == fake.files
    with pytest.raises(NoSuchUpload):
        session.abort_multipart_upload("key", upload.upload_id)


def test_numbers_without_a_gap() -> None:
    """Parts that do not count from 1 are refused before anything is sent."""
    fake = small_parts()
    session = large(fake)
    calls = len(fake.calls())
    with pytest.raises(ValueError, match="without a gap"):
        session.complete_multipart_upload("key", "an-id", [(1, "0" * 40), (3, "0" * 40)])
    assert calls == len(fake.calls())


def test_old_uploads_are_aborted() -> None:
    """abort_multipart_uploads cancels what is older than it is told, in pages of a hundred."""
    fake = small_parts()
    session = large(fake)
    for number in range(150):
        session.create_multipart_upload(f"key{number}")
    for row in fake.files[:120]:
        row["uploadTimestamp"] = int((session._clock.now() - 7200) * 1000)
    for row in fake.files[120:]:
        row["uploadTimestamp"] = int((session._clock.now() - 60) * 1000)
    assert 120 == len(session.abort_multipart_uploads(3600))
    assert 30 == len(list(session.list_multipart_uploads()))
    assert 3 == len(fake.calls("b2_list_unfinished_large_files"))


def test_conditions_are_refused_on_every_path(tmp_path: Path) -> None:
    """if_none_match is NotSupported for parts, streams and files as well, and nothing is sent."""
    fake = small_parts()
    session = large(fake)
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    for call in (
        lambda: session.put_object("key", CONTENT, if_none_match="*"),
        lambda: session.put_object("key", path, if_match="x"),
        lambda: session.upload_file(path, "key", if_none_match="*"),
        lambda: session.upload_file(path, "key", resume=True, if_none_match="*"),
        lambda: session.create_multipart_upload("key", if_none_match="*"),
    ):
        with pytest.raises(NotSupported):
            call()
    assert [] == fake.journal


def test_how_a_file_is_cut() -> None:
    """Parts are as large as the settings, the smallest part and 10,000 parts demand, whatever the size."""
    config = TransferConfig()
    for size in (20_000_000, 10**9, 10**11, 10**13):
        each = part_size(size, config, 5_000_000)
        assert each >= 5_000_000
        assert -(-size // each) <= 10_000
    assert 5_000_000 == part_size(10**8, TransferConfig(part_size=1), 5_000_000)
    with pytest.raises(ValueError, match="at most 10000 parts"):
        part_size(6 * 10**13, config, 5_000_000)
    sizes = [growing_part_size(number, config, 5_000_000) for number in range(1, 10_001)]
    assert sorted(sizes) == sizes
    assert sum(sizes) > 10**13


def test_the_whole_sha1_can_be_left_out() -> None:
    """large_file_sha1=False reads what is sent once; B2 then keeps no SHA-1 of the whole."""
    fake = small_parts()
    session = large(fake, large_file_sha1=False)
    session.put_object("key", CONTENT)
    got = session.get_object("key")
    assert CONTENT == got.data
    assert (None, None) == (got.content_sha1, got.checksum)


def test_the_bucket_of_a_large_file() -> None:
    """`bucket=` holds for large files, too."""
    fake = small_parts()
    fake.bucket("bucket-two")
    large(fake).put_object("key", CONTENT, bucket="bucket-two")
    assert [] == list(large(fake).list_objects(bucket=BUCKET))
    assert ["key"] == [entry.key for entry in large(fake).list_objects(bucket="bucket-two")]


def test_a_sha1_that_is_known_already() -> None:
    """A caller who knows the SHA-1 of the whole says so in the metadata, and what is sent is read once."""
    fake = small_parts()
    session = large(fake)
    session.put_object("key", CONTENT, {"large_file_sha1": "0" * 40})
    with pytest.raises(ChecksumMismatch):
        _ = session.get_object("key").data
    session.put_object("key", CONTENT, {"large_file_sha1": SHA1, "a": "b"})
    got = session.get_object("key")
    assert (CONTENT, {"a": "b"}, SHA1) == (got.data, got.user_metadata, got.content_sha1)


def test_a_stream_in_one_call() -> None:
    """multipart=False finds out the length of a stream and sends it in one call."""
    fake = small_parts()
    session = large(fake)
    session.put_object("key", Unseekable(CONTENT), multipart=False)
    assert CONTENT == session.get_object("key").data
    assert [] == fake.calls("b2_start_large_file")
    assert SHA1 == session.head_object("key").etag


def test_a_part_that_b2_has_otherwise_is_refused() -> None:
    """ChecksumMismatch when the answer to a part speaks of other bytes, and the file is cancelled."""
    fake = small_parts()
    session = large(fake)

    def lying(request: Request) -> Response:
        response = fake(request)
        if request.headers.get("x-bz-part-number") == "2":
            part = json.loads(response.read())
            response.body = json.dumps({**part, "contentSha1": "0" * 40}).encode()
        return response

    session._client.transport = lying  # type: ignore[assignment]  # a Transport as far as a call goes
    with pytest.raises(ChecksumMismatch):
        session.put_object("key", CONTENT)
    assert [] == fake.files


def test_a_file_that_is_replaced_meanwhile_is_not_published(tmp_path: Path) -> None:
    """A path that leads to another file in the end is SourceChanged: nobody knows which of the two was meant."""
    fake = small_parts()
    path = tmp_path / "content"
    path.write_bytes(CONTENT)

    def replace() -> None:
        fake.during_upload = None
        other = tmp_path / "other"
        other.write_bytes(CONTENT)
        other.replace(path)

    fake.during_upload = replace
    with pytest.raises(SourceChanged):
        large(fake).put_object("key", path)
    assert [] == fake.files
