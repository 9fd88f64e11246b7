"""`cache` about objects in Drime: what is known, forgotten, and read again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from s3func.server.backend import ObjectAttributes
from tests.cli.shell import Shell
from tests.server.drime.fake import API_KEY, FakeDrime, serve
from tests.server.drime.stores import quick_backend


@pytest.fixture
def drime(shell: Shell) -> Iterator[FakeDrime]:
    """An account that the commands are told by the environment, with three objects of this computer in two workspaces."""
    fake = FakeDrime()
    path = shell.folder / ".state/s3func/drime/metadata.db"
    with serve(fake) as url:
        shell.environment |= {"DRIME_API_KEY": API_KEY, "DRIME_API_URL": url, "DRIME_WORKSPACE_ID": "1465"}
        for workspace, bucket, size in ((1465, "photos", 1000), (1465, "texts", 24), (7, "photos", 1)):
            backend = quick_backend(fake, path, workspace_id=workspace)
            backend.create_bucket(bucket)
            with backend.begin_put(bucket, "key") as writer:
                writer.write(bytes(size))
                writer.commit(ObjectAttributes(metadata={"a": "b"}))
            backend.close()
        yield fake


def files(shell: Shell, *arguments: str) -> list[tuple[int, int, int]]:
    rows = [row for row in shell.rows("cache", "stats", "--json", *arguments) if row["cache"] == "drime"]
    return [(row["workspace"], row["files"], row["size"]) for row in rows]


def test_stats_by_workspace(shell: Shell, drime: FakeDrime) -> None:
    """A row per workspace, one of them when it is asked for, and a sum for readers; no line where nothing is kept."""
    assert [(7, 1, 1), (1465, 2, 1024)] == files(shell)
    assert [(1465, 2, 1024)] == files(shell, "--workspace", "1465")
    lines = shell.out("cache", "stats", "--workspace", "1465")
    assert lines[0].startswith("drime: workspace 1465: 2 files, 1.0 KiB, from 20")
    assert lines[1].startswith("drime: 2 files, 1.0 KiB, in ")
    shell.environment["XDG_STATE_HOME"] = str(shell.folder / "nothing")
    assert [] == files(shell)
    assert not (shell.folder / "nothing").exists()


def test_cleanup(shell: Shell, drime: FakeDrime) -> None:
    """Forgets the rows of a workspace, or of a bucket in it, and of nothing else; --dry-run forgets nothing."""
    assert "--all" in shell.fails(2, "cache", "cleanup")
    assert "--all" in shell.fails(2, "cache", "cleanup", "--all", "--bucket", "photos")
    words = ("cache", "cleanup", "--workspace", "1465", "--bucket", "photos")
    assert ["would forget 1 object, 1000 B"] == shell.out(*words, "--dry-run")
    assert [(7, 1, 1), (1465, 2, 1024)] == files(shell)
    assert ["forgot 1 object, 1000 B"] == shell.out(*words)
    assert [(7, 1, 1), (1465, 1, 24)] == files(shell)
    [row] = shell.rows("cache", "cleanup", "--workspace", "1465", "--json")
    assert (1, 24, False) == (row["files"], row["size"], row["dry_run"])
    assert [(7, 1, 1)] == files(shell)
    assert {"photos/key", "texts/key"} <= {path for path, body in drime.tree(1465).items() if body is not None}


def test_cleanup_of_everything_asks(shell: Shell, drime: FakeDrime) -> None:
    """--all needs an answer, which --yes gives; without one, or with another one, everything stays."""
    for answer, code in ((b"", 130), (b"n\n", 1)):
        done = shell("cache", "cleanup", "--all", data=answer)
        assert (code, b"") == (done.returncode, done.stdout)
        assert b"3 objects" in done.stderr
    assert [(7, 1, 1), (1465, 2, 1024)] == files(shell)
    assert ["forgot 3 objects, 1.0 KiB"] == shell.out("cache", "cleanup", "--all", "--yes")
    assert [] == files(shell)


def test_vacuum(shell: Shell, drime: FakeDrime) -> None:
    """What was forgotten is given back, and what is known stays; a file that is no such cache is left alone."""
    [row] = shell.rows("cache", "vacuum", "--json")
    assert row["after"] <= row["before"]
    assert shell.out("cache", "vacuum")[0].startswith(f"{row['after'] / 1024:.1f} KiB before")
    assert [(7, 1, 1), (1465, 2, 1024)] == files(shell)
    other = shell.folder / "other.txt"
    other.write_text("this is a text and not a database, and it is long enough to be one")
    assert "is no cache of this kind" in shell.fails(1, "cache", "vacuum", "--cache-path", str(other))
    assert "this is a text" in other.read_text()


def test_migrate(shell: Shell, drime: FakeDrime) -> None:
    """Objects that others uploaded are read once; --dry-run shows them; bucket and workspace are those that were named."""
    drime.add("photos/web/one.txt", b"one", 1465)
    drime.add("texts/two.txt", b"two!", 1465)
    assert ["3\tphotos/web/one.txt", "4\ttexts/two.txt"] == shell.out("cache", "migrate", "--dry-run")
    assert 0 == drime.count("GET /file-entries/download")
    assert ["4\ttexts/two.txt"] == shell.out("cache", "migrate", "--bucket", "texts")
    assert [{"bucket": "photos", "key": "web/one.txt", "size": 3}] == shell.rows("cache", "migrate", "--json")
    assert 2 == drime.count("GET /file-entries/download")
    assert [] == shell.out("cache", "migrate")
    assert [] == shell.out("cache", "migrate", "--workspace", "7")
    with_key = quick_backend(drime, shell.folder / ".state/s3func/drime/metadata.db", workspace_id=1465)
    rows = with_key.list_objects("photos").rows
    with_key.close()
    assert hashlib.md5(b"one").hexdigest() == rows[1].etag


def test_migrate_without_access(shell: Shell, drime: FakeDrime) -> None:
    """A wrong key, a missing one and an unknown backend are one line each, without the key."""
    assert "NoSuchBucket" in shell.fails(1, "cache", "migrate", "--bucket", "missing")
    shell.environment["DRIME_API_KEY"] = "another-key-0815"
    said = shell.fails(1, "cache", "migrate")
    assert "does not accept the API key" in said
    assert "0815" not in said
    del shell.environment["DRIME_API_KEY"]
    assert "api_key" in shell.fails(2, "cache", "migrate").lower()
