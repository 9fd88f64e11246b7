"""What `hash` prints of files is what other programs compute, and of objects what the store knows."""

from __future__ import annotations

import hashlib
import os
import zlib

import pytest

from s3func import S3Session
from s3func.cli.hash import Row, compared
from s3func.wire.checksum import ALGORITHMS, hasher
from tests.cli.shell import Shell

DATA = os.urandom(300_000)


def test_hash_of_files_is_what_others_compute(shell: Shell) -> None:
    """MD5, SHA-256, CRC32 and all the others, of a file and of stdin, one read for all of them."""
    (shell.folder / "f").write_bytes(DATA)
    lines = shell.out("hash", "f")
    assert [f"md5\t{hashlib.md5(DATA).hexdigest()}\tf", f"sha256\t{hashlib.sha256(DATA).hexdigest()}\tf"] == lines[:2]
    arguments = [word for name in ALGORITHMS for word in ("-a", name)]
    [row] = shell.rows("hash", "--json", *arguments, "f")
    assert f"{zlib.crc32(DATA):08x}" == row["hashes"]["crc32"]
    for name in ALGORITHMS:
        one = hasher(name)
        one.update(DATA)
        assert one.digest().hex() == row["hashes"][name]
    assert [f"sha1\t{hashlib.sha1(DATA).hexdigest()}\t-"] == shell.out("hash", "-a", "SHA1", "-", data=DATA)


def test_hash_of_objects_is_what_the_store_knows(shell: Shell, session: S3Session) -> None:
    """Without reading: the ETag, and the checksum that was sent; beside a file, the file has the same ones."""
    session.put_object("k", DATA, checksum="sha256")
    (shell.folder / "f").write_bytes(DATA)
    rows = shell.rows("hash", "--json", "f", "{}/k")
    assert [("f", DATA), ("{}/k", DATA)] == [(row["name"], DATA) for row in rows]
    assert rows[0]["hashes"] == rows[1]["hashes"]
    assert {"md5", "sha256", "etag"} == rows[1]["hashes"].keys()
    base64 = session.head_object("k").headers["x-amz-checksum-sha256"]
    assert [f"sha256\t{base64}\t{{}}/k"] == shell.out("hash", "-a", "sha256", "--base64", "{}/k")
    assert "--read" in shell.fails(1, "hash", "-a", "crc32c", "{}/k")
    assert [f"crc32\t{zlib.crc32(DATA):08x}\t{{}}/k"] == shell.out("hash", "--read", "-a", "crc32", "{}/k")


@pytest.mark.parametrize("part_size", [5 << 20, 6 << 20])
def test_hash_computes_the_etag_of_parts(shell: Shell, session: S3Session, part_size: int) -> None:
    """A file's ETag is that of the object that was sent in parts, whose size is found out, or given."""
    data = os.urandom(1 << 20) * 13
    (shell.folder / "big").write_bytes(data)
    upload = session.create_multipart_upload("big")
    with upload:
        for number, start in enumerate(range(0, len(data), part_size), 1):
            upload.upload_part(number, data[start : start + part_size])
    etag = session.head_object("big").etag
    assert etag.endswith("-3")
    assert [] == shell.out("hash", "--compare", "-a", "etag", "big", "{}/big", "--part-size", str(part_size))[2:]
    assert [f"etag\t{etag}\tbig"] == shell.out("hash", "-a", "etag", "--part-size", str(part_size), "big")
    if part_size == 5 << 20:
        assert [etag, etag] == [
            row["hashes"]["etag"] for row in shell.rows("hash", "--json", "-a", "etag", "big", "{}/big")
        ]


def test_hash_computes_the_etag_of_what_was_sent_whole(shell: Shell, session: S3Session) -> None:
    """A large file whose object was sent in one request has its MD5 for an ETag; alone, what this client would make."""
    (shell.folder / "big").write_bytes(os.urandom(1 << 20) * 17)
    for name, is_multipart in (("whole", False), ("parts", True)):
        session.upload_file(shell.folder / "big", name, multipart=is_multipart)
        [own, known] = [row["hashes"]["etag"] for row in shell.rows("hash", "--json", "big", "{}/" + name)]
        assert (known, is_multipart) == (own, "-" in own)
    assert [own] == [row["hashes"]["etag"] for row in shell.rows("hash", "--json", "big")]


def test_hash_compares(shell: Shell, session: S3Session) -> None:
    """--compare is 0 for one content, 1 for two and for what cannot be known, and says which of them."""
    session.put_object("k", DATA)
    session.put_object("other", DATA[::-1])
    (shell.folder / "f").write_bytes(DATA)
    assert 0 == shell("hash", "--compare", "f", "{}/k").returncode
    assert b"differ" in shell("hash", "--compare", "f", "{}/other").stderr
    done = shell("hash", "--compare", "f", "{}/k", "{}/missing")
    assert (1, 1) == (done.returncode, done.stderr.count(b"\n"))
    assert "two" in shell("hash", "--compare", "f").stderr.decode()


def test_hash_at_b2(shell: Shell, session: S3Session) -> None:
    """What B2 knows is the SHA-1, and a file beside it has that as well."""
    session.put_bucket_versioning("Enabled")
    (shell.folder / "f").write_bytes(DATA)
    assert [] == shell.out("put", "f", "{b2}/k")
    rows = shell.rows("hash", "--json", "f", "{b2}/k")
    assert hashlib.sha1(DATA).hexdigest() == rows[0]["hashes"]["sha1"] == rows[1]["hashes"]["sha1"]
    assert 0 == shell("hash", "--compare", "f", "{b2}/k").returncode


def test_hash_refuses_what_has_none(shell: Shell, session: S3Session) -> None:
    """A folder, a bucket, a missing file and an unknown algorithm are one line each."""
    assert "folder" in shell.fails(2, "hash", ".")
    assert "bucket" in shell.fails(2, "hash", "{}")
    assert "No such file" in shell.fails(1, "hash", "missing")
    assert "nothing is there" in shell.fails(1, "hash", "{}/none*")
    assert "crc64nvme" in shell.fails(2, "hash", "-a", "crc16", "f")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ({"md5": "a"}, {"md5": "a"}, 0),
        ({"md5": "a", "etag": "x"}, {"md5": "a", "etag": "y"}, 0),
        ({"md5": "a", "sha256": "s"}, {"md5": "b", "sha256": "s"}, 0),
        ({"md5": "a", "etag": "a"}, {"md5": "b", "etag": "b"}, 1),
        ({"md5": "a", "sha256": "s"}, {"md5": "a", "sha256": "t"}, 1),
        ({"etag": "x"}, {"etag": "y"}, 1),
        ({"md5": "a"}, {"sha256": "s"}, 1),
    ],
)
def test_one_content_is_proved(first: dict[str, str], second: dict[str, str], code: int) -> None:
    """A hash that both have decides, ETags only for sameness, and nothing in common is no proof."""
    assert code == compared([Row("a", 1, first), Row("b", 1, second)])
    assert 1 == compared([Row("a", 1, first), Row("b", 2, second)])
