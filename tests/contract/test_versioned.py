"""What s3func.server.powers promises about versions, checked on every store that keeps them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3func.errors import (
    BucketNotEmpty,
    InvalidRequest,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    PreconditionFailed,
    ServiceError,
)
from s3func.server.backend import BucketInfo, Deleted, Deletion, Precondition, StoredObject
from s3func.server.powers import Versioned
from tests.contract.objects import (
    FULL,
    PLAIN,
    StoppedClock,
    VersionedBackend,
    body_of,
    get,
    keys_of,
    new_bucket,
    put,
    run_threads,
    shared_store,
    stores_with,
)

pytestmark = pytest.mark.parametrize("make_backend", stores_with(Versioned), indirect=True)


@pytest.fixture
def versioned(backend: VersionedBackend) -> VersionedBackend:
    """A store whose bucket keeps versions."""
    backend.set_versioning("bucket", "Enabled")
    return backend


def read(backend: VersionedBackend, key: str, version_id: str | None = None, bucket: str = "bucket") -> bytes:
    with backend.open_object(bucket, key, version_id) as reader:
        return reader.read_at(0, reader.stored.size + 1)


def history(backend: VersionedBackend, bucket: str = "bucket") -> list[tuple[str, str, bool, bool]]:
    """Every version: key, id, whether it is the latest, whether it is a marker."""
    rows = backend.list_object_versions(bucket, limit=10_000).rows
    return [(row.key, row.stored.version_id or "", row.is_latest, row.stored.delete_marker) for row in rows]


def ids_of(backend: VersionedBackend, key: str = "key", bucket: str = "bucket") -> list[str]:
    return [version_id for name, version_id, _, _ in history(backend, bucket) if name == key]


class TestStatus:
    def test_life_of_a_status(self, backend: VersionedBackend) -> None:
        """A bucket has no status at first, then the one that was set last, wherever the bucket is described."""
        assert "" == backend.get_bucket("bucket").versioning
        for status in ("Enabled", "Suspended", "Enabled"):
            info = backend.set_versioning("bucket", status)
            assert status == info.versioning
            assert [info] == backend.list_buckets()
            assert info == backend.get_bucket("bucket")

    @pytest.mark.parametrize("status", ["", "enabled", "Disabled"])
    def test_unknown_status(self, backend: VersionedBackend, status: Any) -> None:
        """Any other status is a mistake of the caller."""
        with pytest.raises(ValueError, match="status"):
            backend.set_versioning("bucket", status)
        assert "" == backend.get_bucket("bucket").versioning

    def test_a_guarded_status(self, backend: VersionedBackend) -> None:
        """The guard sees the bucket as it is; what it refuses is not set."""
        seen: list[BucketInfo] = []

        def refuse(info: BucketInfo) -> None:
            seen.append(info)
            raise InvalidRequest("no")

        with pytest.raises(InvalidRequest) as caught:
            backend.set_versioning("bucket", "Enabled", refuse)
        assert "bucket" == caught.value.bucket
        assert [backend.get_bucket("bucket")] == seen
        assert "" == seen[0].versioning

    def test_a_missing_bucket(self, backend: VersionedBackend) -> None:
        """Both calls know that a bucket does not exist."""
        with pytest.raises(NoSuchBucket):
            backend.set_versioning("missing", "Enabled")
        for limit in (0, 1000):
            with pytest.raises(NoSuchBucket):
                backend.list_object_versions("missing", limit=limit)


class TestEnabled:
    @pytest.mark.parametrize("size", [10, 40_000])
    def test_every_version_is_kept(self, versioned: VersionedBackend, size: int) -> None:
        """Each commit has an id of its own under which it is read, with its own body, attributes and time."""
        stored = [put(versioned, "key", body_of(size, number), FULL) for number in range(5)]
        ids = [each.version_id or "" for each in stored]
        assert 5 == len(set(ids))
        assert all(version_id not in ("", "null") for version_id in ids)
        assert ids[::-1] == ids_of(versioned)
        for number, each in enumerate(stored):
            assert each == versioned.head_object("bucket", "key", ids[number])
            assert body_of(size, number) == read(versioned, "key", ids[number])
        assert stored[-1] == versioned.head_object("bucket", "key")
        assert [stored[-1]] == versioned.list_objects("bucket").rows

    def test_ids_are_not_guessable(self, versioned: VersionedBackend) -> None:
        """Of two ids that follow each other a large part differs."""
        one, two = (put(versioned, "key").version_id or "" for _ in range(2))
        assert len(one) == len(two)
        assert sum(left != right for left, right in zip(one, two, strict=True)) >= 8

    def test_a_delete_marker(self, versioned: VersionedBackend) -> None:
        """A deletion hides the object behind a marker; deleting the marker brings it back."""
        stored = put(versioned, "key", b"body")
        deleted = versioned.delete_object("bucket", "key", owner="someone")
        assert ("key", True) == (deleted.key, deleted.delete_marker)
        assert deleted.version_id not in (None, "null", stored.version_id)
        assert [] == keys_of(versioned)
        for call in (versioned.head_object, versioned.open_object):
            with pytest.raises(NoSuchKey) as caught:
                call("bucket", "key")
            expected = {"x-amz-delete-marker": "true", "x-amz-version-id": deleted.version_id}
            assert expected == caught.value.headers
            with pytest.raises(ServiceError) as refused:
                call("bucket", "key", deleted.version_id)
            assert (405, "MethodNotAllowed") == (refused.value.status, refused.value.code)
            assert expected.items() <= refused.value.headers.items()
        with pytest.raises(NoSuchKey):
            versioned.begin_copy("bucket", "key", "bucket", "copy")
        assert b"body" == read(versioned, "key", stored.version_id)
        marker = versioned.list_object_versions("bucket").rows[0]
        assert (True, True, 0, "") == (
            marker.is_latest,
            marker.stored.delete_marker,
            marker.stored.size,
            marker.stored.etag,
        )
        assert ("someone", deleted.version_id) == (marker.stored.owner, marker.stored.version_id)
        assert deleted == versioned.delete_object("bucket", "key", deleted.version_id)
        assert b"body" == get(versioned, "key")
        assert stored == versioned.head_object("bucket", "key")

    def test_markers_pile_up(self, versioned: VersionedBackend) -> None:
        """Deleting what is deleted, or never was, leaves one more marker each time."""
        for _ in range(3):
            versioned.delete_object("bucket", "key")
        results = versioned.delete_objects("bucket", [Deletion("key"), Deletion("other")])
        assert all(isinstance(result, Deleted) and result.delete_marker for result in results)
        assert 4 == len(ids_of(versioned))
        assert [True, False, False, False] == [latest for key, _, latest, _ in history(versioned) if key == "key"]
        assert 1 == len(ids_of(versioned, "other"))

    def test_deleting_versions(self, versioned: VersionedBackend) -> None:
        """Exactly the named version goes; of what is left the newest is current; unknown ids change nothing."""
        ids = [put(versioned, "key", body_of(30_000, number)).version_id or "" for number in range(4)]
        assert Deleted("key", ids[1]) == versioned.delete_object("bucket", "key", ids[1])
        assert Deleted("key", ids[1]) == versioned.delete_object("bucket", "key", ids[1])
        assert Deleted("key", "unknown") == versioned.delete_object("bucket", "key", "unknown")
        assert Deleted("other", ids[0]) == versioned.delete_object("bucket", "other", ids[0])
        assert Deleted("key", "null") == versioned.delete_object("bucket", "key", "null")
        assert [ids[3], ids[2], ids[0]] == ids_of(versioned)
        versioned.delete_object("bucket", "key", ids[3])
        assert body_of(30_000, 2) == get(versioned, "key")
        assert ids[2] == versioned.head_object("bucket", "key").version_id
        assert [ids[2]] == [row.version_id for row in versioned.list_objects("bucket").rows]
        with pytest.raises(NoSuchVersion):
            versioned.head_object("bucket", "key", ids[3])
        versioned.delete_object("bucket", "key", ids[2])
        versioned.delete_object("bucket", "key", ids[0])
        with pytest.raises(NoSuchKey) as caught:
            versioned.head_object("bucket", "key")
        assert {} == caught.value.headers
        assert [] == history(versioned)

    def test_deleting_around_markers(self, versioned: VersionedBackend) -> None:
        """Whatever is deleted below or above a marker, the newest that is left says whether there is an object."""
        first = put(versioned, "key", b"first").version_id
        lower = versioned.delete_object("bucket", "key").version_id
        second = put(versioned, "key", b"second").version_id
        upper = versioned.delete_object("bucket", "key").version_id
        versioned.delete_object("bucket", "key", first)
        assert [] == keys_of(versioned)
        versioned.delete_object("bucket", "key", upper)
        assert b"second" == get(versioned, "key")
        versioned.delete_object("bucket", "key", second)
        assert [] == keys_of(versioned)
        assert [("key", lower, True, True)] == history(versioned)
        versioned.delete_object("bucket", "key", lower)
        assert [] == history(versioned)

    def test_only_the_empty_bucket_is_deleted(self, versioned: VersionedBackend) -> None:
        """Old versions and markers keep a bucket from being deleted."""
        stored = put(versioned, "key")
        marker = versioned.delete_object("bucket", "key")
        for version_id in (stored.version_id, marker.version_id):
            with pytest.raises(BucketNotEmpty):
                versioned.delete_bucket("bucket")
            versioned.delete_object("bucket", "key", version_id)
        versioned.delete_bucket("bucket")
        versioned.create_bucket("bucket")
        assert "" == versioned.get_bucket("bucket").versioning
        assert [] == history(versioned)

    def test_order_is_that_of_the_commits(self, make_backend: Callable[..., VersionedBackend]) -> None:
        """A clock that stands still or goes backwards does not change which version is the newest."""
        clock = StoppedClock(5_000.0)
        backend = make_backend(clock)
        backend.create_bucket("bucket")
        backend.set_versioning("bucket", "Enabled")
        expected = []
        for number in range(6):
            clock.time = 5_000.0 - number // 2
            expected.append(put(backend, "key", body_of(number)).version_id)
        assert expected[::-1] == ids_of(backend)
        assert body_of(5) == get(backend, "key")

    def test_copies_of_versions(self, versioned: VersionedBackend) -> None:
        """Any version can be copied, also over its own key, and outlives its source."""
        old = put(versioned, "key", body_of(30_000), FULL)
        put(versioned, "key", b"new")
        marker = versioned.delete_object("bucket", "key").version_id
        for target in ("key", "copy"):
            with versioned.begin_copy("bucket", "key", "bucket", target, source_version_id=old.version_id) as copy:
                assert old == copy.source
                copied = copy.commit(copy.source)
            assert old.version_id != copied.version_id
            assert (old.etag, old.metadata) == (copied.etag, copied.metadata)
        with pytest.raises(NoSuchVersion):
            versioned.begin_copy("bucket", "key", "bucket", "copy", source_version_id="unknown")
        with pytest.raises(ServiceError) as caught:
            versioned.begin_copy("bucket", "key", "bucket", "copy", source_version_id=marker)
        assert 405 == caught.value.status
        versioned.delete_object("bucket", "key", old.version_id)
        assert body_of(30_000) == get(versioned, "copy")
        assert body_of(30_000) == get(versioned, "key")

    def test_readers_of_versions_go_on(self, versioned: VersionedBackend) -> None:
        """A version that is deleted while it is read is read to its end."""
        old = put(versioned, "key", body_of(100_000))
        put(versioned, "key", b"new")
        with versioned.open_object("bucket", "key", old.version_id) as reader:
            versioned.delete_object("bucket", "key", old.version_id)
            assert body_of(100_000) == reader.read_at(0, 100_000)


class TestNullVersions:
    def test_what_was_there_before(self, backend: VersionedBackend) -> None:
        """What was written without versions is the "null" version afterwards, and is kept like any other."""
        before = put(backend, "key", b"before", FULL)
        assert before.version_id is None
        assert [("key", "null", True, False)] == history(backend)
        backend.set_versioning("bucket", "Enabled")
        assert "null" == backend.head_object("bucket", "key").version_id
        assert "null" == backend.list_objects("bucket").rows[0].version_id
        with backend.open_object("bucket", "key") as reader:
            assert "null" == reader.stored.version_id
        after = put(backend, "key", b"after")
        assert [("key", after.version_id, True, False), ("key", "null", False, False)] == history(backend)
        assert b"before" == read(backend, "key", "null")
        backend.delete_object("bucket", "key", after.version_id)
        assert b"before" == get(backend, "key")
        assert Deleted("key", "null") == backend.delete_object("bucket", "key", "null")
        assert [] == history(backend)

    def test_suspended_writes(self, versioned: VersionedBackend) -> None:
        """While suspended each write replaces the "null" version, wherever it stands, and nothing else."""
        first = put(versioned, "key", b"first").version_id
        versioned.set_versioning("bucket", "Suspended")
        assert "null" == put(versioned, "key", body_of(30_000)).version_id
        assert "null" == put(versioned, "key", b"null 2").version_id
        assert ["null", first] == ids_of(versioned)
        assert b"null 2" == get(versioned, "key")
        versioned.set_versioning("bucket", "Enabled")
        second = put(versioned, "key", b"second").version_id
        assert [second, "null", first] == ids_of(versioned)
        versioned.set_versioning("bucket", "Suspended")
        put(versioned, "key", b"null 3")
        assert ["null", second, first] == ids_of(versioned)
        assert b"null 3" == read(versioned, "key", "null")
        assert b"first" == read(versioned, "key", first)

    def test_suspended_deletions(self, versioned: VersionedBackend) -> None:
        """While suspended a deletion makes a "null" marker, in place of the former "null" version."""
        first = put(versioned, "key", b"first").version_id
        versioned.set_versioning("bucket", "Suspended")
        put(versioned, "key", b"null")
        for _ in range(2):
            assert Deleted("key", "null", delete_marker=True) == versioned.delete_object("bucket", "key")
            assert [("key", "null", True, True), ("key", first, False, False)] == history(versioned)
        with pytest.raises(ServiceError) as caught:
            versioned.head_object("bucket", "key", "null")
        assert 405 == caught.value.status
        put(versioned, "key", b"again")
        assert [("key", "null", True, False), ("key", first, False, False)] == history(versioned)
        versioned.delete_object("bucket", "key")
        assert Deleted("key", "null", delete_marker=True) == versioned.delete_object("bucket", "key", "null")
        assert b"first" == get(versioned, "key")


class TestGuards:
    def test_commits_see_the_current_object(self, versioned: VersionedBackend) -> None:
        """To a commit neither an old version nor a delete marker is an object."""
        seen: list[StoredObject | None] = []
        first = put(versioned, "key", b"one", guard=seen.append)
        second = put(versioned, "key", b"two", guard=seen.append)
        versioned.delete_object("bucket", "key")
        third = put(versioned, "key", b"three", guard=Precondition(if_none_match="*"))
        with versioned.begin_copy("bucket", "key", "bucket", "key", source_version_id=first.version_id) as copy:
            copy.commit(PLAIN, seen.append)
        assert [None, first, third] == seen
        with pytest.raises(PreconditionFailed):
            put(versioned, "key", guard=Precondition(if_match=second.etag))

    def test_deletions_see_what_they_take(self, versioned: VersionedBackend) -> None:
        """The guard of a deletion is shown the version that is named, else the current one, also a marker, or None."""
        seen: list[StoredObject | None] = []
        stored = put(versioned, "key", b"one", FULL)
        put(versioned, "key", b"two")
        versioned.delete_object("bucket", "key", stored.version_id, guard=seen.append)
        versioned.delete_object("bucket", "key", stored.version_id, guard=seen.append)
        assert [stored, None] == seen
        deleted = versioned.delete_object("bucket", "key")
        for version_id in (None, deleted.version_id):
            seen.clear()
            with pytest.raises(PreconditionFailed):
                versioned.delete_object("bucket", "key", version_id, guard=Precondition(if_match="etag"))
            versioned.delete_object("bucket", "key", version_id, guard=seen.append)
            marker = seen[0]
            assert marker is not None
            assert marker.delete_marker
            assert deleted.version_id == marker.version_id
        versioned.delete_object("bucket", "nothing", guard=seen.append)
        assert seen[1] is None

    def test_refused_deletions_change_nothing(self, versioned: VersionedBackend) -> None:
        """Neither the named version nor the current one goes, and no marker appears."""
        stored = put(versioned, "key", b"one")
        before = history(versioned)
        refuse = Precondition(if_match="another")
        for version_id in (None, stored.version_id):
            with pytest.raises(PreconditionFailed) as caught:
                versioned.delete_object("bucket", "key", version_id, guard=refuse)
            assert ("bucket", "key") == (caught.value.bucket, caught.value.key)
        rows = [Deletion("key", guard=refuse), Deletion("other"), Deletion("key", stored.version_id, refuse)]
        results = versioned.delete_objects("bucket", rows)
        assert [True, False, True] == [isinstance(result, PreconditionFailed) for result in results]
        assert before == [row for row in history(versioned) if row[0] == "key"]


letters = st.text(alphabet="ab/\U0010ffff", max_size=4)
changes = st.lists(st.tuples(letters.filter(bool), st.booleans()), max_size=25)


class TestListing:
    @given(
        changes=changes,
        prefix=letters.map(lambda text: text[:2]),
        delimiter=st.sampled_from(["", "/", "a", "b/"]),
        limit=st.integers(1, 6),
        deletes=st.booleans(),
    )
    @example(changes=[("a/x", False), ("a", False), ("a", True)] * 3, prefix="", delimiter="/", limit=1, deletes=True)
    @shared_store
    def test_pages_are_the_whole_in_pieces(
        self,
        backend: VersionedBackend,
        changes: list[tuple[str, bool]],
        prefix: str,
        delimiter: str,
        limit: int,
        deletes: bool,
    ) -> None:
        """Page after page gives every version once, newest first within its key, and every common prefix once.

        Also when what a page ended with is deleted before the next page is asked for.
        """
        bucket = new_bucket(backend)
        backend.set_versioning(bucket, "Enabled")
        versions: dict[str, list[str]] = {}
        for key, is_deletion in changes:
            if is_deletion:
                version_id = backend.delete_object(bucket, key).version_id
            else:
                version_id = put(backend, key, bucket=bucket).version_id
            versions.setdefault(key, []).insert(0, version_id or "")
        expected: list[tuple[str, str]] = []
        for key in sorted(versions, key=str.encode):
            if key.startswith(prefix):
                cut = key.find(delimiter, len(prefix)) if delimiter else -1
                if cut < 0:
                    expected += [(key, version_id) for version_id in versions[key]]
                elif (folded := (key[: cut + len(delimiter)], "")) not in expected:
                    expected.append(folded)
        found: list[tuple[str, str]] = []
        key_marker = version_id_marker = ""
        while True:
            page = backend.list_object_versions(
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                key_marker=key_marker,
                version_id_marker=version_id_marker,
                limit=limit,
            )
            items = [(row.key, row.stored.version_id or "") for row in page.rows]
            for row in page.rows:
                assert row.is_latest is (versions[row.key][0] == row.stored.version_id)
            items += [(each, "") for each in page.common_prefixes]
            found += sorted(items, key=lambda item: item[0].encode())
            if not page.is_truncated:
                break
            assert limit == len(items)
            key_marker, version_id_marker = page.next_key_marker or "", page.next_version_id_marker or ""
            if deletes and version_id_marker and version_id_marker != versions[key_marker][0]:
                backend.delete_object(bucket, key_marker, version_id_marker)
        assert expected == found

    def test_markers_of_a_listing(self, versioned: VersionedBackend) -> None:
        """A key marker alone skips the key; an unknown version goes by its place; what is no id at all is refused."""
        ids = [put(versioned, "key").version_id or "" for _ in range(3)]
        other = put(versioned, "other").version_id

        def listed(key_marker: str, version_id_marker: str = "", prefix: str = "") -> list[str | None]:
            page = versioned.list_object_versions(
                "bucket", key_marker=key_marker, version_id_marker=version_id_marker, prefix=prefix
            )
            return [row.stored.version_id for row in page.rows]

        assert [other] == listed("key")
        assert [ids[1], ids[0], other] == listed("key", ids[2])
        assert [ids[1], ids[0]] == listed("key", ids[2], prefix="ke")
        assert [other] == listed("key", ids[2], prefix="o")
        assert [*ids[::-1], other] == listed("", ids[2])
        versioned.delete_object("bucket", "key", ids[1])
        assert [ids[0], other] == listed("key", ids[1])
        assert [ids[2], ids[0], other] == listed("key", "null")
        versioned.set_versioning("bucket", "Suspended")
        put(versioned, "key")
        assert [ids[2], ids[0], other] == listed("key", "null")
        with pytest.raises(InvalidRequest) as caught:
            listed("key", "no id")
        assert "InvalidArgument" == caught.value.code

    def test_no_versions_at_all(self, backend: VersionedBackend) -> None:
        """A bucket that never kept versions lists its objects as "null" versions, all of them the latest."""
        for key in ("a", "b"):
            put(backend, key, b"one")
            put(backend, key, b"two")
        assert [("a", "null", True, False), ("b", "null", True, False)] == history(backend)
        assert [] == backend.list_object_versions("bucket", limit=0).rows
        assert [None, None] == [row.version_id for row in backend.list_objects("bucket").rows]


def test_many_writers_of_one_key(versioned: VersionedBackend) -> None:
    """Under many writers and deleters every acknowledged version is there, once, and the newest is the current one."""

    def write(seed: int) -> list[str]:
        ids = []
        for number in range(15):
            if number % 4 == 3:
                ids.append(versioned.delete_object("bucket", "key").version_id or "")
            else:
                ids.append(put(versioned, "key", body_of(100 + 20_000 * (number % 2), seed)).version_id or "")
        return ids

    results = run_threads([partial(write, seed) for seed in range(6)])
    expected = sorted(version_id for ids in results for version_id in ids)
    rows = history(versioned)
    assert expected == sorted(version_id for _, version_id, _, _ in rows)
    assert [True] + [False] * (len(rows) - 1) == [latest for _, _, latest, _ in rows]
    assert (["key"] if not rows[0][3] else []) == keys_of(versioned)
    versions = [Deletion("key", version_id) for _, version_id, _, _ in rows]
    pieces = [versions[start::3] for start in range(3)]
    run_threads([partial(versioned.delete_objects, "bucket", piece) for piece in pieces])
    assert [] == history(versioned)
    versioned.delete_bucket("bucket")
