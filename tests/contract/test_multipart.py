"""What s3func.server.powers promises about multipart uploads, checked on every store that takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3func.errors import (
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    ServiceError,
)
from s3func.server.backend import ObjectAttributes, Part, Precondition, StoredObject
from s3func.server.powers import COMPLETED_SECONDS, Multipart, Upload, Versioned
from tests.contract.objects import (
    FULL,
    PLAIN,
    MultipartBackend,
    StoppedClock,
    body_of,
    get,
    keys_of,
    new_bucket,
    put,
    run_threads,
    shared_store,
    stores_with,
)

pytestmark = pytest.mark.parametrize("make_backend", stores_with(Multipart), indirect=True)


def put_part(
    backend: MultipartBackend, upload: Upload, number: int, body: bytes, bucket: str = "bucket", **about: Any
) -> Part:
    with backend.begin_part(bucket, upload.key, upload.upload_id, number) as writer:
        for start in range(0, len(body), 50_000):
            writer.write(body[start : start + 50_000])
        return writer.commit(**about)


def complete(
    backend: MultipartBackend,
    upload: Upload,
    parts: Sequence[Part],
    attributes: ObjectAttributes = PLAIN,
    guard: Any = None,
    bucket: str = "bucket",
) -> StoredObject:
    named = [(part.number, f'"{part.etag}"') for part in parts]
    with backend.begin_complete(bucket, upload.key, upload.upload_id, named) as completion:
        return completion.commit(attributes, guard)


def upload_all(backend: MultipartBackend, key: str, bodies: Sequence[bytes], bucket: str = "bucket") -> StoredObject:
    upload = backend.create_upload(bucket, key, PLAIN)
    parts = [put_part(backend, upload, number, body, bucket) for number, body in enumerate(bodies, 1)]
    return complete(backend, upload, parts, bucket=bucket)


def etag_of(bodies: Sequence[bytes]) -> str:
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    return f"{hashlib.md5(digests).hexdigest()}-{len(bodies)}"


# Inside an index and in a file, next to each other in any order, and nothing at all.
SIZES = [100, 40_000, 0, 16_384, 16_385, 120_000, 1]


class TestUploads:
    def test_life_of_an_upload(self, make_backend: Callable[..., MultipartBackend]) -> None:
        """An upload is described until it is completed; the object has the body of the parts and what was given."""
        clock = StoppedClock(1_000.25)
        backend = make_backend(clock)
        backend.create_bucket("bucket")
        upload = backend.create_upload("bucket", "key", FULL)
        assert Upload(key="key", upload_id=upload.upload_id, initiated=1_000.25, attributes=FULL) == upload
        assert upload == backend.get_upload("bucket", "key", upload.upload_id)
        assert [upload] == backend.list_uploads("bucket").rows
        bodies = [body_of(size, size) for size in SIZES]
        parts = []
        for number, body in enumerate(bodies, 1):
            clock.time += 1
            part = put_part(
                backend, upload, number, body, checksums={"crc32": "AAAAAA=="}, documents={"a": str(number)}
            )
            expected = Part(
                number=number,
                size=len(body),
                etag=hashlib.md5(body).hexdigest(),
                last_modified=clock.time,
                checksums={"crc32": "AAAAAA=="},
                documents={"a": str(number)},
            )
            assert expected == part
            parts.append(part)
        assert parts == backend.list_parts("bucket", "key", upload.upload_id).rows
        assert upload == backend.list_parts("bucket", "key", upload.upload_id).upload
        assert [] == keys_of(backend)
        with pytest.raises(NoSuchKey):
            backend.head_object("bucket", "key")
        clock.time = 2_000.5
        named = [(part.number, part.etag) for part in parts]
        with backend.begin_complete("bucket", "key", upload.upload_id, named) as completion:
            assert (upload, parts, None) == (completion.upload, list(completion.parts), completion.completed)
            stored = completion.commit(completion.upload.attributes)
        expected_object = StoredObject(
            key="key",
            size=sum(SIZES),
            etag=etag_of(bodies),
            last_modified=2_000.5,
            headers=FULL.headers,
            metadata=FULL.metadata,
            checksums=FULL.checksums,
            documents=FULL.documents,
            owner=FULL.owner,
        )
        assert expected_object == stored
        assert expected_object == backend.head_object("bucket", "key")
        assert [expected_object] == backend.list_objects("bucket").rows
        with backend.open_object("bucket", "key") as reader:
            assert parts == list(reader.parts)
            assert b"".join(bodies) == reader.read_at(0, sum(SIZES) + 1)
        assert [] == backend.list_uploads("bucket").rows
        for call in (backend.get_upload, backend.list_parts, backend.abort_upload):
            with pytest.raises(NoSuchUpload):
                call("bucket", "key", upload.upload_id)

    def test_objects_of_one_put_have_no_parts(self, backend: MultipartBackend) -> None:
        """Only an upload in parts, even of one part, leaves parts."""
        put(backend, "key", b"body")
        with backend.open_object("bucket", "key") as reader:
            assert () == tuple(reader.parts)
        stored = upload_all(backend, "key", [b"body"])
        assert etag_of([b"body"]) == stored.etag
        with backend.open_object("bucket", "key") as reader:
            assert [1] == [part.number for part in reader.parts]
            assert b"body" == reader.read_at(0, 5)

    def test_unknown_uploads(self, backend: MultipartBackend) -> None:
        """An id that never was, was aborted, or is of another key or bucket is NoSuchUpload everywhere."""
        backend.create_bucket("other")
        upload = backend.create_upload("bucket", "key", PLAIN)
        part = put_part(backend, upload, 1, b"part")
        gone = backend.create_upload("bucket", "key", PLAIN)
        backend.abort_upload("bucket", "key", gone.upload_id)
        places = [
            ("bucket", "key", "unknown"),
            ("bucket", "key", ""),
            ("bucket", "key", gone.upload_id),
            ("bucket", "key2", upload.upload_id),
            ("other", "key", upload.upload_id),
        ]
        for bucket, key, upload_id in places:
            calls: list[Callable[[], object]] = [
                partial(backend.get_upload, bucket, key, upload_id),
                partial(backend.begin_part, bucket, key, upload_id, 1),
                partial(backend.list_parts, bucket, key, upload_id),
                partial(backend.abort_upload, bucket, key, upload_id),
                partial(backend.begin_complete, bucket, key, upload_id, [(1, part.etag)]),
            ]
            for call in calls:
                with pytest.raises(NoSuchUpload) as caught:
                    call()
                assert (bucket, key) == (caught.value.bucket, caught.value.key)
        assert [upload] == backend.list_uploads("bucket").rows

    def test_missing_buckets_and_bad_keys(self, backend: MultipartBackend) -> None:
        """A bucket that does not exist is said to be missing before an upload is; a key is checked at the beginning."""
        calls: list[Callable[[], object]] = [
            lambda: backend.create_upload("missing", "key", PLAIN),
            lambda: backend.get_upload("missing", "key", "id"),
            lambda: backend.begin_part("missing", "key", "id", 1),
            lambda: backend.list_parts("missing", "key", "id"),
            lambda: backend.list_uploads("missing"),
            lambda: backend.list_uploads("missing", limit=0),
            lambda: backend.abort_upload("missing", "key", "id"),
            lambda: backend.begin_complete("missing", "key", "id", [(1, "etag")]),
        ]
        for call in calls:
            with pytest.raises(NoSuchBucket):
                call()
        for key in ("", "x" * 1025):
            with pytest.raises(InvalidRequest):
                backend.create_upload("bucket", key, PLAIN)
        upload = backend.create_upload("bucket", "key", PLAIN)
        with pytest.raises(ValueError, match="part_number"):
            backend.begin_part("bucket", "key", upload.upload_id, 0)

    def test_the_bucket_goes_away(self, backend: MultipartBackend) -> None:
        """Uploads do not make a bucket full; they end with it, and do not come back with its name."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        part = put_part(backend, upload, 1, body_of(40_000))
        with backend.begin_part("bucket", "key", upload.upload_id, 2) as writer:
            writer.write(body_of(40_000))
            backend.delete_bucket("bucket")
            with pytest.raises(NoSuchBucket):
                writer.commit()
        backend.create_bucket("bucket")
        assert [] == backend.list_uploads("bucket").rows
        with pytest.raises(NoSuchUpload):
            complete(backend, upload, [part])


class TestParts:
    @pytest.mark.parametrize("size", [10, 40_000])
    def test_a_part_is_replaced(self, backend: MultipartBackend, size: int) -> None:
        """The last part of a number counts; the former one can no longer be named."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        former = put_part(backend, upload, 7, body_of(size))
        latter = put_part(backend, upload, 7, body_of(size, 1))
        assert [latter] == backend.list_parts("bucket", "key", upload.upload_id).rows
        with pytest.raises(InvalidRequest) as caught:
            complete(backend, upload, [former])
        assert "InvalidPart" == caught.value.code
        complete(backend, upload, [latter])
        assert body_of(size, 1) == get(backend, "key")

    @pytest.mark.parametrize("size", [10, 40_000])
    def test_the_last_to_finish_wins(self, backend: MultipartBackend, size: int) -> None:
        """Of two writers of a part the one that commits last is the part; an aborted one leaves nothing."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        with (
            backend.begin_part("bucket", "key", upload.upload_id, 1) as first,
            backend.begin_part("bucket", "key", upload.upload_id, 1) as second,
            backend.begin_part("bucket", "key", upload.upload_id, 1) as third,
        ):
            first.write(body_of(size, 1))
            second.write(body_of(size, 2))
            third.write(body_of(size, 3))
            assert hashlib.md5(body_of(size, 2)).digest() == second.md5
            assert size == second.size
            second.commit()
            part = first.commit()
            with pytest.raises(ValueError, match="committed or aborted"):
                first.commit()
            third.abort()
            with pytest.raises(ValueError, match="committed or aborted"):
                third.commit()
        assert [part] == backend.list_parts("bucket", "key", upload.upload_id).rows
        complete(backend, upload, [part])
        assert body_of(size, 1) == get(backend, "key")

    def test_parts_of_an_ended_upload(self, backend: MultipartBackend) -> None:
        """A part that comes after the end of its upload is refused, and does not change the object."""
        for how in ("abort", "complete"):
            upload = backend.create_upload("bucket", how, PLAIN)
            part = put_part(backend, upload, 1, body_of(30_000))
            with backend.begin_part("bucket", how, upload.upload_id, 1) as writer:
                writer.write(body_of(30_000, 1))
                if how == "abort":
                    backend.abort_upload("bucket", how, upload.upload_id)
                else:
                    complete(backend, upload, [part])
                with pytest.raises(NoSuchUpload):
                    writer.commit()
        assert ["complete"] == keys_of(backend)
        assert body_of(30_000) == get(backend, "complete")

    def test_pages_of_parts(self, backend: MultipartBackend) -> None:
        """Parts are listed by number, in pages of the wanted length."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        numbers = [10_000, 3, 1, 200, 30]
        for number in numbers:
            put_part(backend, upload, number, b"part")
        for limit in (1, 2, 5, 100):
            found: list[int] = []
            marker: int | None = 0
            while marker is not None:
                page = backend.list_parts("bucket", "key", upload.upload_id, part_number_marker=marker, limit=limit)
                assert len(page.rows) <= limit
                found += [part.number for part in page.rows]
                marker = page.next_part_number_marker
                assert page.is_truncated is (marker is not None)
            assert sorted(numbers) == found
        page = backend.list_parts("bucket", "key", upload.upload_id, limit=0)
        assert ([], False) == (page.rows, page.is_truncated)


class TestCompleting:
    def test_only_the_named_parts(self, backend: MultipartBackend) -> None:
        """Parts that are not named do not become part of the object; numbers may have gaps, and are kept."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        parts = {number: put_part(backend, upload, number, body_of(20_000, number)) for number in (2, 5, 9, 10)}
        stored = complete(backend, upload, [parts[2], parts[9]])
        bodies = [body_of(20_000, 2), body_of(20_000, 9)]
        assert etag_of(bodies) == stored.etag
        assert b"".join(bodies) == get(backend, "key")
        with backend.open_object("bucket", "key") as reader:
            assert [2, 9] == [part.number for part in reader.parts]

    @pytest.mark.parametrize(
        ("named", "code"),
        [
            ([], "InvalidRequest"),
            ([(3, "good")], "InvalidPart"),
            ([(1, "ffffffffffffffffffffffffffffffff")], "InvalidPart"),
            ([(1, "")], "InvalidPart"),
            ([(2, "good"), (1, "good")], "InvalidPartOrder"),
            ([(1, "good"), (1, "good")], "InvalidPartOrder"),
        ],
    )
    def test_refused(self, backend: MultipartBackend, named: list[tuple[int, str]], code: str) -> None:
        """What cannot be completed is refused and stays as it was, so that it can be completed rightly."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        parts = [put_part(backend, upload, number, b"body") for number in (1, 2)]
        wanted = [(number, parts[0].etag if etag == "good" else etag) for number, etag in named]
        with pytest.raises(InvalidRequest) as caught:
            backend.begin_complete("bucket", "key", upload.upload_id, wanted)
        assert (code, "bucket", "key") == (caught.value.code, caught.value.bucket, caught.value.key)
        assert parts == backend.list_parts("bucket", "key", upload.upload_id).rows
        complete(backend, upload, parts)
        assert b"bodybody" == get(backend, "key")

    def test_guards(self, backend: MultipartBackend) -> None:
        """A refused completion changes nothing: neither the object that is there, nor the upload."""
        old = put(backend, "key", b"old")
        upload = backend.create_upload("bucket", "key", PLAIN)
        part = put_part(backend, upload, 1, body_of(40_000))
        with pytest.raises(PreconditionFailed) as caught:
            complete(backend, upload, [part], guard=Precondition(if_none_match="*"))
        assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
        with backend.begin_complete("bucket", "key", upload.upload_id, [(1, part.etag)]) as completion:
            pass
        with pytest.raises(ValueError, match="committed or aborted"):
            completion.commit(PLAIN)
        assert b"old" == get(backend, "key")
        seen: list[StoredObject | None] = []
        complete(backend, upload, [part], guard=seen.append)
        assert [old] == seen
        assert body_of(40_000) == get(backend, "key")

    def test_a_part_is_replaced_meanwhile(self, backend: MultipartBackend) -> None:
        """What was checked is what is committed: a part that was replaced in between makes the commit fail."""
        upload = backend.create_upload("bucket", "key", PLAIN)
        part = put_part(backend, upload, 1, b"one")
        with backend.begin_complete("bucket", "key", upload.upload_id, [(1, part.etag)]) as completion:
            again = put_part(backend, upload, 1, b"two")
            with pytest.raises(ServiceError) as caught:
                completion.commit(PLAIN)
        assert "InvalidPart" == caught.value.code
        with backend.begin_complete("bucket", "key", upload.upload_id, [(1, again.etag)]) as completion:
            backend.abort_upload("bucket", "key", upload.upload_id)
            with pytest.raises(NoSuchUpload):
                completion.commit(PLAIN)
        assert [] == keys_of(backend)

    def test_completing_again(self, make_backend: Callable[..., MultipartBackend]) -> None:
        """A completion that is asked for again answers the same, whatever happened to the object, for a day."""
        clock = StoppedClock(10_000.0)
        backend = make_backend(clock)
        backend.create_bucket("bucket")
        upload = backend.create_upload("bucket", "key", FULL)
        parts = [put_part(backend, upload, number, body_of(20_000, number)) for number in (1, 2, 3)]
        stored = complete(backend, upload, parts[:2], FULL)
        put(backend, "key", b"newer")
        clock.time += COMPLETED_SECONDS - 1
        named = [(part.number, part.etag) for part in parts[:2]]
        with backend.begin_complete("bucket", "key", upload.upload_id, named) as completion:
            assert (stored, ()) == (completion.completed, tuple(completion.parts))
            assert upload.upload_id == completion.upload.upload_id
            assert stored == completion.commit(PLAIN, Precondition(if_none_match="*"))
        assert b"newer" == get(backend, "key")
        for other in (parts, parts[:1], parts[1:2]):
            with pytest.raises(NoSuchUpload):
                complete(backend, upload, other)
        with pytest.raises(NoSuchUpload):
            backend.begin_complete("bucket", "other", upload.upload_id, named)
        with pytest.raises(NoSuchUpload):
            backend.abort_upload("bucket", "key", upload.upload_id)
        clock.time += 2
        with pytest.raises(NoSuchUpload):
            complete(backend, upload, parts[:2])

    def test_racing_completions(self, backend: MultipartBackend) -> None:
        """Many that complete one upload with the same parts all succeed, with one object; others are told it is gone."""
        for round_number in range(5):
            upload = backend.create_upload("bucket", f"key-{round_number}", PLAIN)
            parts = [put_part(backend, upload, number, body_of(20_000, number)) for number in (1, 2)]
            works = [partial(complete, backend, upload, parts)] * 4 + [
                partial(complete, backend, upload, parts[:1])
            ] * 4
            results = run_threads(works)
            winners = {result.etag for result in results if isinstance(result, StoredObject)}
            assert 1 == len(winners)
            assert 4 == sum(isinstance(result, NoSuchUpload) for result in results), results
            assert winners == {backend.head_object("bucket", upload.key).etag}

    def test_racing_conditions(self, backend: MultipartBackend) -> None:
        """Of many uploads that demand that there is nothing yet, exactly one becomes the object."""

        def write(number: int) -> StoredObject:
            upload = backend.create_upload("bucket", "key", PLAIN)
            part = put_part(backend, upload, 1, body_of(20_000, number))
            return complete(backend, upload, [part], guard=Precondition(if_none_match="*"))

        results = run_threads([partial(write, number) for number in range(6)])
        [winner] = [result for result in results if isinstance(result, StoredObject)]
        assert 5 == sum(isinstance(result, PreconditionFailed) for result in results)
        assert winner == backend.head_object("bucket", "key")
        assert 5 == len(backend.list_uploads("bucket").rows)


class TestObjectsOfParts:
    @given(offset=st.integers(0, 250_000), length=st.integers(0, 250_000))
    @example(offset=0, length=1 << 62)
    @example(offset=100, length=40_000)
    @shared_store
    def test_reading_at_an_offset(self, backend: MultipartBackend, offset: int, length: int) -> None:
        """Any part of the body is what the same slice of the bytes is, across the borders of parts."""
        bodies = [body_of(size, size) for size in SIZES]
        try:
            backend.head_object("bucket", "key")
        except NoSuchKey:
            upload_all(backend, "key", bodies)
        with backend.open_object("bucket", "key") as reader:
            assert b"".join(bodies)[offset : offset + length] == reader.read_at(offset, length)

    def test_many_parts(self, backend: MultipartBackend) -> None:
        """An object of more parts than a process may open files is read, also by many threads at once."""
        bodies = [body_of(17_000, number) for number in range(1_500)]
        stored = upload_all(backend, "key", bodies)
        assert etag_of(bodies) == stored.etag
        whole = b"".join(bodies)
        with backend.open_object("bucket", "key") as reader:
            assert whole == reader.read_at(0, len(whole))

            def read(thread: int) -> bool:
                return all(
                    whole[offset : offset + 40_000] == reader.read_at(offset, 40_000)
                    for offset in range(thread * 1_000, len(whole), 1_000_003)
                )

            assert [True] * 4 == run_threads([partial(read, thread) for thread in range(4)])

    @pytest.mark.parametrize("change", ["replace", "delete", "copy over", "upload over"])
    def test_open_readers_go_on(self, backend: MultipartBackend, change: str) -> None:
        """Readers read the object that they opened to its end, though they had read nothing when it went away."""
        bodies = [body_of(40_000, number) for number in range(5)]
        upload_all(backend, "key", bodies)
        put(backend, "other", b"other")
        with backend.open_object("bucket", "key") as first, backend.open_object("bucket", "key") as second:
            if change == "replace":
                put(backend, "key", b"new")
            elif change == "delete":
                backend.delete_object("bucket", "key")
            elif change == "copy over":
                with backend.begin_copy("bucket", "other", "bucket", "key") as copy:
                    copy.commit(copy.source)
            else:
                upload_all(backend, "key", [b"new"])
            assert b"".join(bodies) == first.read_at(0, 200_000)
            first.close()
            assert [1, 2, 3, 4, 5] == [part.number for part in second.parts]
            assert b"".join(bodies)[100_000:] == second.read_at(100_000, 200_000)

    def test_copies(self, backend: MultipartBackend) -> None:
        """A copy has the parts and the ETag of its source, and outlives it, also one that was begun before."""
        bodies = [body_of(40_000, number) for number in range(3)]
        stored = upload_all(backend, "key", bodies)
        with backend.begin_copy("bucket", "key", "bucket", "copy") as copy:
            copied = copy.commit(copy.source)
        assert stored.etag == copied.etag
        with backend.begin_copy("bucket", "key", "bucket", "late") as copy:
            backend.delete_object("bucket", "key")
            backend.delete_object("bucket", "copy")
            late = copy.commit(copy.source)
        assert stored.etag == late.etag
        assert b"".join(bodies) == get(backend, "late")
        with backend.begin_copy("bucket", "late", "bucket", "late") as copy:
            copy.commit(PLAIN)
        with backend.open_object("bucket", "late") as reader:
            assert [40_000] * 3 == [part.size for part in reader.parts]
            assert stored.etag == reader.stored.etag
            assert b"".join(bodies) == reader.read_at(0, 200_000)


letters = st.text(alphabet="ab/\U0010ffff", min_size=1, max_size=4)


class TestListing:
    @given(
        keys=st.lists(letters, max_size=12),
        prefix=st.sampled_from(["", "a", "a/", "b"]),
        delimiter=st.sampled_from(["", "/", "a"]),
        limit=st.integers(1, 5),
        aborts=st.booleans(),
    )
    @shared_store
    def test_pages_are_the_whole_in_pieces(
        self, backend: MultipartBackend, keys: list[str], prefix: str, delimiter: str, limit: int, aborts: bool
    ) -> None:
        """Page after page gives every upload once, oldest first within its key, also when some end meanwhile."""
        bucket = new_bucket(backend)
        uploads: dict[str, list[str]] = {}
        for key in keys:
            uploads.setdefault(key, []).append(backend.create_upload(bucket, key, PLAIN).upload_id)
        expected: list[tuple[str, str]] = []
        for key in sorted(uploads, key=str.encode):
            if key.startswith(prefix):
                cut = key.find(delimiter, len(prefix)) if delimiter else -1
                if cut < 0:
                    expected += [(key, upload_id) for upload_id in uploads[key]]
                elif (folded := (key[: cut + len(delimiter)], "")) not in expected:
                    expected.append(folded)
        found: list[tuple[str, str]] = []
        key_marker = upload_id_marker = ""
        while True:
            page = backend.list_uploads(
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                key_marker=key_marker,
                upload_id_marker=upload_id_marker,
                limit=limit,
            )
            items = [(row.key, row.upload_id) for row in page.rows] + [(each, "") for each in page.common_prefixes]
            found += sorted(items, key=lambda item: item[0].encode())
            if not page.is_truncated:
                break
            assert limit == len(items)
            key_marker, upload_id_marker = page.next_key_marker or "", page.next_upload_id_marker or ""
            if aborts and upload_id_marker:
                backend.abort_upload(bucket, key_marker, upload_id_marker)
        assert expected == found

    def test_markers(self, backend: MultipartBackend) -> None:
        """A key marker alone skips the key; an upload id without a key does nothing; what is no id is refused."""
        ids = [backend.create_upload("bucket", "key", PLAIN).upload_id for _ in range(3)]
        other = backend.create_upload("bucket", "other", PLAIN).upload_id

        def listed(key_marker: str, upload_id_marker: str = "") -> list[str]:
            page = backend.list_uploads("bucket", key_marker=key_marker, upload_id_marker=upload_id_marker)
            return [row.upload_id for row in page.rows]

        assert [other] == listed("key")
        assert [ids[2], other] == listed("key", ids[1])
        assert [*ids, other] == listed("", ids[1])
        assert [] == backend.list_uploads("bucket", limit=0).rows
        with pytest.raises(InvalidRequest) as caught:
            listed("key", "no id")
        assert "InvalidArgument" == caught.value.code


def known(stored: StoredObject) -> StoredObject:
    """All of an object but the millisecond of it: the answer to a write through a gateway has the gateway's own."""
    return replace(stored, last_modified=0.0)


def test_versions_of_uploads(backend: MultipartBackend) -> None:
    """Completing makes a version like any other write, and the same one when it is asked for again."""
    if not isinstance(backend, Versioned):
        pytest.skip("a store without versions")
    backend.set_versioning("bucket", "Enabled")
    old = put(backend, "key", b"old")
    upload = backend.create_upload("bucket", "key", PLAIN)
    part = put_part(backend, upload, 1, body_of(40_000))
    stored = complete(backend, upload, [part])
    assert known(stored) == known(complete(backend, upload, [part]))
    assert stored.version_id not in (None, "null", old.version_id)
    rows = backend.list_object_versions("bucket").rows
    assert [known(stored), known(old)] == [known(row.stored) for row in rows]
    backend.delete_object("bucket", "key", stored.version_id)
    assert known(stored) == known(complete(backend, upload, [part]))
    assert b"old" == get(backend, "key")
