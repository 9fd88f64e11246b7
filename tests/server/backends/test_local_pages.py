"""What a page of a listing costs a local store, counted in steps of the database's program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from s3func.server.backends.identity import bucket_identity, serial_of
from s3func.server.backends.identity import new_id as mint
from s3func.server.backends.local import LocalBackend

PAGES: list[dict[str, Any]] = [
    {"delimiter": "/"},
    {"delimiter": "/", "start_after": "b/00000005", "limit": 2},
    {"prefix": "c/", "limit": 10},
    {"prefix": "c/", "delimiter": "/", "start_after": "c/00000010", "limit": 5},
    {"start_after": "c/00000010", "limit": 5},
    {"prefix": "x", "delimiter": "/"},
]


def new_id(serial: int) -> str:
    """The id of a version."""
    return mint(serial, bucket_identity("bucket", 0), 0)


def steps_of(store: LocalBackend, listing: Callable[[], object]) -> int:
    """How much work one page costs, in places where the database's program may stop."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store.list_objects("bucket", limit=0)
    [reader] = store._database._readers
    reader.set_progress_handler(count, 1)
    listing()
    reader.set_progress_handler(None, 0)
    return steps


def pages_of(store: LocalBackend) -> list[int]:
    return [steps_of(store, partial(store.list_objects, "bucket", **page)) for page in PAGES]


def version_pages_of(store: LocalBackend) -> list[int]:
    pages = [{"key_marker" if name == "start_after" else name: value for name, value in page.items()} for page in PAGES]
    pages.append({"key_marker": "c/00000010", "version_id_marker": new_id(6), "limit": 5})
    return [steps_of(store, partial(store.list_object_versions, "bucket", **page)) for page in pages]


def fill(store: LocalBackend, table: str, rows: Iterable[tuple[str, int, str | None, int | None]]) -> None:
    """Put rows of key, serial, version and body into a table, without their bodies."""
    store._database.writer.executemany(
        f"INSERT INTO {table} VALUES (1, ?, ?, ?, 1, 'etag', 0.0, '{{}}', ?)",
        [(key.encode(), *rest) for key, *rest in rows],
    )


def test_a_page_costs_its_own_work_only(store: LocalBackend) -> None:
    """What a page costs depends on its items: not on the keys before, behind, or inside its common prefixes."""
    few, many = 20, 20_000
    fill(store, "objects", ((f"{folder}/{n:08}", 1, None, 1) for folder in "abcde" for n in range(many)))
    many_steps = pages_of(store)
    many_versions = version_pages_of(store)
    assert ["a/", "b/", "c/", "d/", "e/"] == store.list_objects("bucket", delimiter="/").common_prefixes
    store._database.writer.execute("DELETE FROM objects WHERE substr(key, 3) >= ?", (f"{few:08}".encode(),))
    assert pages_of(store) == many_steps
    assert version_pages_of(store) == many_versions
    assert 0 < max(many_steps) < 200
    assert 0 < max(many_versions) < 500


def test_the_past_costs_nothing(store: LocalBackend) -> None:
    """Neither old versions nor delete markers make a listing of objects do more, and a page of versions only its own."""
    store.set_versioning("bucket", "Enabled")
    keys = [f"{folder}/{number:08}" for folder in "abcde" for number in range(20)]
    fill(store, "objects", ((key, 99_999, new_id(99_999), 1) for key in keys))
    fill(store, "older", ((key, n, new_id(n), 1 if n % 2 else None) for key in keys for n in range(10)))
    steps, version_steps = pages_of(store), version_pages_of(store)
    fill(store, "older", ((key, n, new_id(n), 1 if n % 2 else None) for key in keys for n in range(10, 300)))
    fill(store, "older", ((f"{key}-gone", 1, new_id(1), None) for key in keys))
    assert pages_of(store) == steps
    assert max(version_pages_of(store)) <= max(version_steps) * 1.1
    page = store.list_object_versions("bucket", key_marker="c/00000010", version_id_marker=new_id(6), limit=5)
    assert [5, 4, 3, 2, 1] == [serial_of(row.stored.version_id or "") for row in page.rows]
