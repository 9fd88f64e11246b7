"""What s3func.server.backend promises about buckets and objects, checked on every store."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3func.errors import (
    BucketAlreadyExists,
    BucketNotEmpty,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NotFound,
    PreconditionFailed,
    ServiceError,
)
from s3func.server.backend import (
    Backend,
    BucketInfo,
    Deleted,
    Deletion,
    ObjectAttributes,
    Precondition,
    StoredObject,
    check_bucket_name,
    etag_matches,
)
from tests.contract.objects import (
    FULL,
    PLAIN,
    StoppedClock,
    body_of,
    get,
    keys_of,
    of_keepers,
    put,
    run_threads,
    shared_store,
)

# Below and above everything that a store may treat in another way: nothing, inside an index, one file, many blocks.
SIZES = [0, 1, 1024, 16 * 1024, 16 * 1024 + 1, 300_000, 5_000_000]

BAD_NAMES = ["", "ab", "a" * 64, "..", "../x", "a..b", "Bucket", "bu_cket", "bu/cket", "-bucket", "bucket-", ".bucket"]
BAD_NAMES += ["bucket.", "192.168.0.1", "büchse", "bucket\n", "bucket\x00", "buc ket"]

GOOD_NAMES = ["abc", "a" * 63, "1a1", "a.b-c.d", "1.2.3", "192.168.0.1a", "a.-b"]


class TestBuckets:
    @of_keepers
    def test_life_of_a_bucket(self, make_backend: Callable[..., Backend]) -> None:
        """A bucket is listed and described from its creation to its deletion, and not afterwards."""
        clock = StoppedClock(1_000.25)
        backend = make_backend(clock)
        assert [] == backend.list_buckets()
        expected = BucketInfo("my.bucket-1", 1_000.25, "me", "eu-west-1")
        assert expected == backend.create_bucket("my.bucket-1", owner="me", region="eu-west-1")
        backend.create_bucket("another")
        clock.time = 2_000.0
        assert expected == backend.get_bucket("my.bucket-1")
        assert ["another", "my.bucket-1"] == [each.name for each in backend.list_buckets()]
        backend.delete_bucket("my.bucket-1")
        assert ["another"] == [each.name for each in backend.list_buckets()]
        with pytest.raises(NoSuchBucket) as caught:
            backend.get_bucket("my.bucket-1")
        assert "my.bucket-1" == caught.value.bucket

    @of_keepers
    @pytest.mark.parametrize(
        ("owner", "code"), [("owner", "BucketAlreadyOwnedByYou"), ("thief", "BucketAlreadyExists")]
    )
    def test_names_are_taken_once(self, backend: Backend, owner: str, code: str) -> None:
        """A taken name is refused, the code says by whom it is taken, and the bucket stays as it was."""
        put(backend, "key", b"body")
        with pytest.raises(BucketAlreadyExists) as caught:
            backend.create_bucket("bucket", owner=owner)
        assert code == caught.value.code
        assert "owner" == backend.get_bucket("bucket").owner
        assert b"body" == get(backend, "key")

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_bad_names(self, backend: Backend, name: str) -> None:
        """A name that S3 does not allow makes no bucket, and asking for it finds none."""
        with pytest.raises(InvalidRequest) as caught:
            backend.create_bucket(name)
        assert "InvalidBucketName" == caught.value.code
        with pytest.raises(NoSuchBucket):
            backend.delete_bucket(name)
        assert ["bucket"] == [each.name for each in backend.list_buckets()]

    @pytest.mark.parametrize("name", GOOD_NAMES)
    def test_good_names(self, name: str) -> None:
        """A name that S3 allows is allowed."""
        check_bucket_name(name)

    def test_only_an_empty_bucket_is_deleted(self, backend: Backend) -> None:
        """Deleting a bucket with an object is refused, and possible once the object is gone."""
        put(backend, "key")
        with pytest.raises(BucketNotEmpty):
            backend.delete_bucket("bucket")
        backend.delete_object("bucket", "key")
        backend.delete_bucket("bucket")
        assert [] == backend.list_buckets()

    def test_every_call_knows_a_missing_bucket(self, backend: Backend) -> None:
        """Whatever is asked of a bucket that does not exist is NoSuchBucket, never NoSuchKey or an empty answer."""
        put(backend, "key")
        calls: list[Callable[[], object]] = [
            lambda: backend.get_bucket("missing"),
            lambda: backend.delete_bucket("missing"),
            lambda: backend.begin_put("missing", "key"),
            lambda: backend.begin_copy("missing", "key", "bucket", "copy"),
            lambda: backend.begin_copy("bucket", "key", "missing", "copy"),
            lambda: backend.open_object("missing", "key"),
            lambda: backend.open_object("missing", "key", "a-version"),
            lambda: backend.head_object("missing", "key"),
            lambda: backend.delete_object("missing", "key"),
            lambda: backend.delete_objects("missing", []),
            lambda: backend.list_objects("missing"),
            lambda: backend.list_objects("missing", limit=0),
        ]
        for call in calls:
            with pytest.raises(NoSuchBucket) as caught:
                call()
            assert "missing" == caught.value.bucket

    def test_racing_creators(self, backend: Backend) -> None:
        """Of many creators of one bucket exactly one succeeds."""
        results = run_threads([lambda: backend.create_bucket("race")] * 8)
        assert 1 == sum(isinstance(result, BucketInfo) for result in results)
        assert 7 == sum(isinstance(result, BucketAlreadyExists) for result in results)

    def test_a_bucket_is_not_deleted_under_a_put(self, backend: Backend) -> None:
        """A put that was begun before the bucket went away fails, also if the bucket came back in the meantime empty."""
        with backend.begin_put("bucket", "key") as writer:
            writer.write(body_of(100_000))
            backend.delete_bucket("bucket")
            with pytest.raises(NoSuchBucket):
                writer.commit(PLAIN)
        backend.create_bucket("bucket")
        assert [] == keys_of(backend)


class TestObjects:
    @of_keepers
    @pytest.mark.parametrize("size", SIZES)
    def test_round_trip(self, make_backend: Callable[..., Backend], size: int) -> None:
        """Body, ETag, size, time and every attribute come back as they were given."""
        backend = make_backend(StoppedClock(1_234_567.891_4))
        backend.create_bucket("bucket")
        body = body_of(size)
        stored = put(backend, "key", body, FULL)
        expected = StoredObject(
            key="key",
            size=size,
            etag=hashlib.md5(body).hexdigest(),
            last_modified=1_234_567.891,
            headers=FULL.headers,
            metadata=FULL.metadata,
            checksums=FULL.checksums,
            documents=FULL.documents,
            owner="someone",
        )
        assert expected == stored
        assert expected == backend.head_object("bucket", "key")
        assert [expected] == backend.list_objects("bucket").rows
        with backend.open_object("bucket", "key") as reader:
            assert expected == reader.stored
            assert body == reader.read_at(0, size)

    def test_what_is_missing(self, backend: Backend) -> None:
        """A key without an object is NoSuchKey, an unknown version is NoSuchVersion, "null" is the only version."""
        put(backend, "key", b"body")
        for call in (backend.head_object, backend.open_object):
            with pytest.raises(NoSuchKey) as caught:
                call("bucket", "other")
            assert ("bucket", "other") == (caught.value.bucket, caught.value.key)
            with pytest.raises(NoSuchVersion):
                call("bucket", "key", "no-such-version")
        assert backend.head_object("bucket", "key") == backend.head_object("bucket", "key", "null")
        with pytest.raises(NoSuchKey):
            backend.begin_copy("bucket", "other", "bucket", "copy")

    def test_blocks_of_any_kind_and_size(self, backend: Backend) -> None:
        """However a body is cut into blocks, and whatever kind of bytes they are, the object is the same."""
        body = body_of(50_000)
        backing = bytearray(body)
        with backend.begin_put("bucket", "key") as writer:
            writer.write(b"")
            writer.write(body[:1])
            writer.write(backing[1:20_000])
            writer.write(memoryview(backing)[20_000:40_000])
            writer.write(memoryview(backing[40_000:]).cast("I"))
            backing[:] = bytes(50_000)
            assert 50_000 == writer.size
            assert hashlib.md5(body).digest() == writer.md5
            writer.commit(PLAIN)
        assert body == get(backend, "key")

    @given(
        size=st.sampled_from([0, 5, 20_000, 70_000]),
        offset=st.integers(0, 80_000),
        length=st.integers(0, 80_000),
    )
    @example(size=70_000, offset=0, length=1 << 62)
    @shared_store
    def test_reading_at_an_offset(self, backend: Backend, size: int, offset: int, length: int) -> None:
        """Any part of a body is what the same slice of the bytes is."""
        body = body_of(size)
        with backend.begin_put("bucket", "key") as writer:
            for start in range(0, size, 7_001):
                writer.write(body[start : start + 7_001])
            writer.commit(PLAIN)
        with backend.open_object("bucket", "key") as reader:
            assert body[offset : offset + length] == reader.read_at(offset, length)

    @of_keepers
    def test_replacing(self, backend: Backend) -> None:
        """A second put replaces the first, attributes and all."""
        put(backend, "key", body_of(100_000), FULL)
        put(backend, "key", b"new", ObjectAttributes(headers={"content-type": "image/png"}))
        stored = backend.head_object("bucket", "key")
        assert (3, {"content-type": "image/png"}, {}) == (stored.size, stored.headers, stored.metadata)
        assert b"new" == get(backend, "key")
        assert ["key"] == keys_of(backend)

    @pytest.mark.parametrize("size", [10, 100_000])
    @pytest.mark.parametrize("change", ["replace", "delete", "delete many", "bucket gone"])
    def test_open_readers_go_on(self, backend: Backend, size: int, change: str) -> None:
        """A reader reads the object that it opened, also after the key was overwritten or deleted."""
        body = body_of(size)
        put(backend, "key", body)
        with backend.open_object("bucket", "key") as reader:
            if change == "replace":
                put(backend, "key", body_of(size, seed=1))
            elif change == "delete many":
                backend.delete_objects("bucket", [Deletion("key")])
            else:
                backend.delete_object("bucket", "key")
            if change == "bucket gone":
                backend.delete_bucket("bucket")
            assert body[:5] == reader.read_at(0, 5)
            assert body[5:] == reader.read_at(5, size)
            assert hashlib.md5(body).hexdigest() == reader.stored.etag

    def test_a_reader_may_be_shared(self, backend: Backend) -> None:
        """Threads that read one open body at different offsets each get their own bytes."""
        body = body_of(1_000_000)
        put(backend, "key", body)
        with backend.open_object("bucket", "key") as reader:

            def read(part: int) -> bool:
                return all(
                    body[offset : offset + 1_000] == reader.read_at(offset, 1_000)
                    for offset in range(part * 1_000, 1_000_000, 8_000)
                )

            assert [True] * 8 == run_threads([partial(read, part) for part in range(8)])
        reader.close()

    @pytest.mark.parametrize("size", [10, 100_000])
    def test_abort_leaves_nothing(self, backend: Backend, size: int) -> None:
        """An aborted, refused or abandoned body is never seen, and the object that was there is still there."""
        put(backend, "old", b"old")
        for key in ("old", "new"):
            with backend.begin_put("bucket", key) as writer:
                writer.write(body_of(size))
                writer.abort()
                writer.abort()
                with pytest.raises(ValueError, match="committed or aborted"):
                    writer.commit(PLAIN)
            with backend.begin_put("bucket", key) as writer:
                writer.write(body_of(size))
                assert (3 if key == "old" else None) == size_or_none(backend, key)
            with pytest.raises(ValueError, match="committed or aborted"):
                writer.write(b"more")
            with pytest.raises(RuntimeError), backend.begin_put("bucket", key) as writer:
                writer.write(body_of(size))
                raise RuntimeError
        assert ["old"] == keys_of(backend)
        assert b"old" == get(backend, "old")

    def test_a_draft_is_committed_once(self, backend: Backend) -> None:
        """A second commit is a mistake of the caller; an abort after the commit has no effect."""
        with backend.begin_put("bucket", "key") as writer:
            writer.write(body_of(30_000))
            writer.commit(PLAIN)
            writer.abort()
            with pytest.raises(ValueError, match="committed or aborted"):
                writer.commit(PLAIN)
        assert body_of(30_000) == get(backend, "key")

    def test_the_caller_may_reuse_its_records(self, backend: Backend) -> None:
        """What a caller does to the dictionaries that it passed or received does not change what is stored."""
        headers = {"content-type": "text/plain"}
        stored = put(backend, "key", b"", ObjectAttributes(headers=headers))
        headers["content-type"] = "text/html"
        assert {"content-type": "text/plain"} == stored.headers
        assert {"content-type": "text/plain"} == backend.head_object("bucket", "key").headers


def size_or_none(backend: Backend, key: str) -> int | None:
    try:
        return backend.head_object("bucket", key).size
    except NotFound:
        return None


class TestPreconditions:
    def test_if_none_match(self, backend: Backend) -> None:
        """`*` refuses any object, an ETag refuses that one only; a refused put changes nothing."""
        created = put(backend, "key", b"one", guard=Precondition(if_none_match="*"))
        for condition in ("*", f'"{created.etag}"', created.etag, f'"x", "{created.etag}"'):
            with pytest.raises(PreconditionFailed) as caught:
                put(backend, "key", body_of(100_000), guard=Precondition(if_none_match=condition))
            assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
        assert b"one" == get(backend, "key")
        put(backend, "key", b"two", guard=Precondition(if_none_match='"another"'))
        assert b"two" == get(backend, "key")

    def test_if_match(self, backend: Backend) -> None:
        """The ETag of the current object is demanded; without an object it is NoSuchKey."""
        with pytest.raises(NoSuchKey):
            put(backend, "key", b"one", guard=Precondition(if_match="*"))
        first = put(backend, "key", b"one")
        second = put(backend, "key", b"two", guard=Precondition(if_match=f'"{first.etag}"'))
        with pytest.raises(PreconditionFailed):
            put(backend, "key", b"three", guard=Precondition(if_match=first.etag))
        put(backend, "key", b"four", guard=Precondition(if_match="*"))
        with pytest.raises(PreconditionFailed):
            backend.delete_object("bucket", "key", guard=Precondition(if_match=second.etag))
        backend.delete_object("bucket", "key", guard=Precondition(if_match="*"))
        with pytest.raises(NoSuchKey):
            backend.delete_object("bucket", "key", guard=Precondition(if_match="*"))

    @of_keepers
    def test_guards_see_the_current_object(self, backend: Backend) -> None:
        """A guard is given what is stored now, None for nothing, and may refuse with any ServiceError."""
        seen: list[StoredObject | None] = []
        first = put(backend, "key", b"one", FULL, guard=seen.append)
        put(backend, "key", b"two", guard=seen.append)
        assert [None, first] == seen

    @pytest.mark.parametrize("size", [10, 30_000])
    def test_one_winner(self, backend: Backend, size: int) -> None:
        """Of many writers that demand that there is nothing yet, exactly one wins, and it is the one that is stored."""
        for round_number in range(10):
            key = f"key-{round_number}"

            def write(number: int, key: str = key) -> StoredObject:
                return put(backend, key, body_of(size, number), guard=Precondition(if_none_match="*"))

            results = run_threads([partial(write, number) for number in range(8)])
            winners = [result for result in results if isinstance(result, StoredObject)]
            assert 1 == len(winners)
            assert 7 == sum(isinstance(result, PreconditionFailed) for result in results)
            assert winners[0].etag == backend.head_object("bucket", key).etag
            assert winners[0].etag == hashlib.md5(get(backend, key)).hexdigest()

    def test_no_lost_update(self, backend: Backend) -> None:
        """Writers that read a number and put it back increased under if_match, until it works, lose no increase."""
        put(backend, "counter", b"0")

        def increase() -> None:
            done = 0
            while done < 10:
                with backend.open_object("bucket", "counter") as reader:
                    number, etag = int(reader.read_at(0, 20)), reader.stored.etag
                try:
                    put(backend, "counter", str(number + 1).encode(), guard=Precondition(if_match=etag))
                    done += 1
                except PreconditionFailed:
                    pass

        assert [None] * 6 == run_threads([increase] * 6)
        assert b"60" == get(backend, "counter")

    def test_etags_in_conditions(self) -> None:
        """Lists, quotes and the weak mark are understood; nothing but the whole ETag matches."""
        for condition in ("*", " * ", "abc", '"abc"', 'W/"abc"', '"x" , "abc"'):
            assert etag_matches(condition, "abc")
        for condition in ("ab", '"abcd"', "", '"*"', "x,y"):
            assert not etag_matches(condition, "abc")


class TestDeleting:
    def test_deleting_twice(self, backend: Backend) -> None:
        """What is gone stays gone, and deleting it again is no error."""
        put(backend, "key", body_of(50_000))
        assert Deleted("key") == backend.delete_object("bucket", "key")
        assert Deleted("key") == backend.delete_object("bucket", "key")
        with pytest.raises(NoSuchKey):
            backend.head_object("bucket", "key")

    def test_versions_that_do_not_exist(self, backend: Backend) -> None:
        """Deleting an unknown version leaves the object alone; "null" names the object itself."""
        put(backend, "key")
        assert Deleted("key", "no-such-version") == backend.delete_object("bucket", "key", "no-such-version")
        assert ["key"] == keys_of(backend)
        backend.delete_object("bucket", "key", "null")
        assert [] == keys_of(backend)

    def test_many_at_once(self, backend: Backend) -> None:
        """Every row has a result, in order; a refused or impossible row does not stop the others."""
        for number in range(50):
            put(backend, f"key-{number:02}", body_of(number * 1_000))
        rows = [Deletion(f"key-{number:02}") for number in range(50)]
        rows[10] = Deletion("key-10", guard=Precondition(if_match="another"))
        rows[20] = Deletion("")
        rows[30] = Deletion("no-such-key")
        rows[40] = Deletion("key-00")
        results = backend.delete_objects("bucket", rows)
        assert 50 == len(results)
        assert isinstance(results[10], PreconditionFailed)
        assert isinstance(results[20], InvalidRequest)
        expected = [Deleted(row.key) for number, row in enumerate(rows) if number not in (10, 20)]
        assert expected == [result for result in results if not isinstance(result, ServiceError)]
        assert ["key-10", "key-20", "key-30", "key-40"] == keys_of(backend)


class TestCopying:
    @of_keepers
    @pytest.mark.parametrize("size", SIZES)
    def test_copy_of_everything(self, make_backend: Callable[..., Backend], size: int) -> None:
        """A copy with the source's attributes is the same object under another key and time."""
        clock = StoppedClock(1.0)
        backend = make_backend(clock)
        backend.create_bucket("source")
        backend.create_bucket("target")
        original = put(backend, "key", body_of(size), FULL, bucket="source")
        clock.time = 2.0
        with backend.begin_copy("source", "key", "target", "copy") as copy:
            assert original == copy.source
            copied = copy.commit(copy.source)
        assert 2.0 == copied.last_modified
        for field in ("size", "etag", "headers", "metadata", "checksums", "documents", "owner"):
            assert getattr(original, field) == getattr(copied, field)
        assert original == backend.head_object("source", "key")
        backend.delete_object("source", "key")
        assert body_of(size) == get(backend, "copy", "target")
        assert copied == backend.head_object("target", "copy")

    @of_keepers
    @pytest.mark.parametrize("size", [10, 30_000])
    def test_copy_onto_itself(self, backend: Backend, size: int) -> None:
        """A copy onto its own key replaces the attributes and keeps the body, however often it is done."""
        put(backend, "key", body_of(size), FULL)
        for number in range(3):
            with backend.begin_copy("bucket", "key", "bucket", "key") as copy:
                copy.commit(ObjectAttributes(metadata={"number": str(number)}))
        assert {"number": "2"} == backend.head_object("bucket", "key").metadata
        assert body_of(size) == get(backend, "key")
        backend.delete_object("bucket", "key")
        assert [] == keys_of(backend)

    @of_keepers
    @pytest.mark.parametrize("size", [10, 30_000, 600_000])
    def test_the_source_goes_away(self, backend: Backend, size: int) -> None:
        """A copy that was begun is finished with the body of its beginning, whatever happened to the source."""
        for change in ("replace", "delete"):
            source = put(backend, "source", body_of(size))
            with backend.begin_copy("bucket", "source", "bucket", f"copy-{change}") as copy:
                if change == "replace":
                    put(backend, "source", body_of(size, seed=1))
                else:
                    backend.delete_object("bucket", "source")
                    put(backend, "something", body_of(size, seed=2))
                copied = copy.commit(PLAIN)
            assert source.etag == copied.etag
            assert body_of(size) == get(backend, f"copy-{change}")

    def test_refused_copies(self, backend: Backend) -> None:
        """A guarded copy obeys the guard; an aborted one leaves nothing; neither hurts the source."""
        put(backend, "source", body_of(30_000))
        put(backend, "target", b"target")
        with backend.begin_copy("bucket", "source", "bucket", "target") as copy, pytest.raises(PreconditionFailed):
            copy.commit(copy.source, Precondition(if_none_match="*"))
        with pytest.raises(ValueError, match="committed or aborted"):
            copy.commit(copy.source)
        with backend.begin_copy("bucket", "source", "bucket", "target") as copy:
            copy.abort()
        assert b"target" == get(backend, "target")
        assert body_of(30_000) == get(backend, "source")

    def test_shared_bodies_outlive_each_other(self, backend: Backend) -> None:
        """Of ten copies any nine can be deleted or replaced, in any order, by many threads at once."""
        put(backend, "key-0", body_of(30_000))
        for number in range(1, 10):
            with backend.begin_copy("bucket", "key-0", "bucket", f"key-{number}") as copy:
                copy.commit(copy.source)

        def lose(number: int) -> None:
            if number % 2:
                backend.delete_object("bucket", f"key-{number}")
            else:
                put(backend, f"key-{number}", b"another")

        assert [None] * 9 == run_threads([partial(lose, number) for number in range(9)])
        assert body_of(30_000) == get(backend, "key-9")
        assert b"another" == get(backend, "key-8")


@of_keepers
def test_everything_at_once(backend: Backend) -> None:
    """Under writers, copiers, deleters, readers and listers every object that is read is whole."""
    keys = [f"key-{number}" for number in range(6)]
    stop = threading.Event()

    def change(seed: int) -> None:
        for number in range(40):
            key = keys[(seed + number) % 6]
            if number % 5 == 4:
                backend.delete_object("bucket", key)
            elif number % 3 == 2:
                try:
                    with backend.begin_copy("bucket", keys[number % 6], "bucket", key) as copy:
                        copy.commit(copy.source)
                except NoSuchKey:
                    pass
            else:
                body = body_of(20_000 * (number % 2) + 100, seed * 100 + number)
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                put(backend, key, body, ObjectAttributes(checksums={"sha256": digest}))

    def read() -> int:
        whole = 0
        while not stop.is_set():
            for row in backend.list_objects("bucket").rows:
                try:
                    with backend.open_object("bucket", row.key) as reader:
                        body = reader.read_at(0, reader.stored.size)
                except NoSuchKey:
                    continue
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                assert {"sha256": digest} == reader.stored.checksums
                assert hashlib.md5(body).hexdigest() == reader.stored.etag
                whole += 1
        return whole

    results: list[Any] = []
    readers = threading.Thread(target=lambda: results.extend(run_threads([read] * 2)))
    readers.start()
    changes = run_threads([partial(change, seed) for seed in range(4)])
    stop.set()
    readers.join()
    assert [None] * 4 == changes
    assert all(isinstance(result, int) for result in results), results
