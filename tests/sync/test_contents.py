"""Whether a file and an object have the same content: by MD5, SHA-1, the ETag of any parts, or what the head says."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import SourceChanged
from s3func.results import HeadResult
from s3func.sync.compare import MULTIPART
from s3func.sync.contents import PART_SIZE_KEY, ContentTest, digests, part_sizes_of, same_heads
from s3func.sync.entry import LocalEntry, RemoteEntry
from s3func.sync.local import LocalTree
from s3func.transport.transfer import TransferConfig
from s3func.wire.checksum import hasher
from tests.sync.sides import OLD, Sides

MIB = 1024 * 1024


def entry_of(tree: LocalTree, name: str) -> LocalEntry:
    return next(entry for entry in tree.scan() if entry.name == name)


def remote_of(sides: Sides, name: str) -> RemoteEntry:
    return next(entry for entry in sides.remote.scan() if entry.name == name)


def etag_of(content: bytes, each: int) -> str:
    """The ETag of parts, in two lines."""
    parts = [hashlib.md5(content[at : at + each]).digest() for at in range(0, len(content), each)] or [
        hashlib.md5(b"").digest()
    ]
    return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
def test_one_reading_gives_every_hash(tmp_path: Path, size: int) -> None:
    """MD5, SHA-1, CRC and the ETags of parts of several sizes are those of the content, around every boundary."""
    content = os.urandom(size)
    sides = Sides(tmp_path)
    sides.write("f", content)
    sizes = (8, 1000, MIB) if size < 100_000 else (1000 * 1000, MIB)
    found = digests(
        sides.tree, entry_of(sides.tree, "f"), sha1=True, part_sizes=sizes, checksums=("crc32", "crc64nvme")
    )
    assert hashlib.md5(content).hexdigest() == found.md5
    assert hashlib.sha1(content).hexdigest() == found.sha1
    assert {each: etag_of(content, each) for each in sizes} == found.etags
    for name in ("crc32", "crc64nvme"):
        computed = hasher(name)
        computed.update(content)
        assert computed.base64() == found.checksums[name]


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize("change", ["grown", "shrunk", "touched", "replaced"])
def test_a_file_that_is_another_one_has_no_hash(tmp_path: Path, change: str, size: int) -> None:
    """Whatever happened to the file since the scan, no hash of it is given."""
    sides = Sides(tmp_path)
    path = sides.write("f", bytes(size))
    entry = entry_of(sides.tree, "f")
    if change == "grown":
        sides.write("f", bytes(size + 1))
    elif change == "shrunk":
        sides.write("f", bytes(size - 1))
    elif change == "touched":
        os.utime(path, ns=(OLD, OLD + 1))
    else:
        kept = path.rename(path.with_name("kept"))
        sides.write("f", bytes(size))
        assert kept.exists()
    with pytest.raises(SourceChanged):
        digests(sides.tree, entry)


def test_a_file_that_grows_while_it_is_read_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A growing file is not read for ever, and what was read is not believed, though its time says nothing."""
    sides = Sides(tmp_path)
    path = sides.write("f", bytes(100))
    entry = entry_of(sides.tree, "f")
    read = os.read

    def growing(descriptor: int, count: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"more")
        os.utime(path, ns=(OLD, OLD))
        return read(descriptor, count)

    monkeypatch.setattr(os, "read", growing)
    with pytest.raises(SourceChanged):
        digests(sides.tree, entry)


def test_a_file_is_left_when_nobody_waits_for_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is given up reads no more than a block of what it was reading."""
    sides = Sides(tmp_path)
    sides.write("f", bytes(5 * MIB))
    entry = entry_of(sides.tree, "f")
    assert hashlib.md5(bytes(5 * MIB)).hexdigest() == digests(sides.tree, entry, stopped=Event()).md5
    stopped = Event()
    stopped.set()
    opened = LocalTree.open_source
    places = []

    def open_source(tree: LocalTree, path: str) -> int:
        descriptor = opened(tree, path)
        places.append(os.dup(descriptor))
        return descriptor

    monkeypatch.setattr(LocalTree, "open_source", open_source)
    with pytest.raises(SourceChanged, match="nobody waits"):
        digests(sides.tree, entry, stopped=stopped)
    assert [MIB] == [os.lseek(place, 0, os.SEEK_CUR) for place in places]
    os.close(places[0])


def test_the_content_of_a_preserved_link_is_where_it_leads(tmp_path: Path) -> None:
    """A link that is itself an object is hashed as its text, and never followed."""
    sides = Sides(tmp_path)
    (sides.root / "l").symlink_to("nowhere/é")
    tree = LocalTree(sides.root, symlinks="preserve")
    entry = entry_of(tree, "l")
    assert hashlib.md5("nowhere/é".encode()).hexdigest() == digests(tree, entry).md5


@pytest.mark.parametrize(
    ("size", "each"),
    [
        (11 * MIB, 5 * MIB),  # the least that S3 takes
        (11 * MIB, 8 * MIB),  # awscli, boto3
        (100 * MIB, 15 * MIB),  # s3cmd
        (100 * MIB, 50 * MIB),  # s5cmd
        (333 * MIB + 7, 32 * MIB),  # ours, at most
        (20 * MIB, -(-20 * MIB // 10 // 4096) * 4096),
        (17 * MIB + 3, 17 * MIB + 3),
        (90_000 * MIB, 16 * MIB),
        (60_000 * MIB, 7 * MIB),
    ],
)
def test_t28_the_usual_sizes_of_parts_are_among_the_candidates(size: int, each: int) -> None:
    """T28: what the tools of the field cut objects into is tried, and only what gives the right number of parts."""
    count = -(-size // each)
    tried = part_sizes_of(f"{'a' * 32}-{count}", size)
    assert each in tried
    assert len(tried) <= 8
    assert {count} == {-(-size // one) for one in tried}


def test_a_known_size_of_parts_is_tried_alone() -> None:
    """Known parts that give another number are not believed; what is no ETag of parts has no candidates."""
    assert (7,) == part_sizes_of(f"{'a' * 32}-2", 14, 7)
    assert 7 not in part_sizes_of(f"{'a' * 32}-3", 14, 7)
    assert () == part_sizes_of("a" * 32, 14)
    assert () == part_sizes_of("4_z27c88f1d182b150646ff0b16_f200_d2015", 14)


@given(st.integers(0, 6 * 1024**4), st.integers(1, 99_999), st.one_of(st.none(), st.integers(1, 10**13)))
def test_candidates_always_give_the_number_of_parts(size: int, count: int, known: int | None) -> None:
    """For every size and number there are few candidates, each a possible one."""
    tried = part_sizes_of(f"{'0' * 32}-{count}", size, known)
    assert len(tried) <= 8
    for each in tried:
        assert count == (-(-size // each) or 1)


def compared(sides: Sides, name: str = "f", **known: Any) -> tuple[bool | None, list[str]]:
    """The finding about a name, and the requests that it took."""
    local, remote = entry_of(sides.tree, name), remote_of(sides, name)
    sides.requests()
    finding = ContentTest(sides.tree, sides.remote).compare(local, remote, **known)
    return finding.is_same, sides.requests()


def test_t22_the_same_content_needs_no_request(tmp_path: Path) -> None:
    """T22, T24: an MD5 that is equal says so at once."""
    sides = Sides(tmp_path)
    sides.write("f", "content")
    sides.put("f", "content")
    assert (True, []) == compared(sides)


def test_t29_another_md5_is_believed_once_the_store_has_shown_that_it_is_one(tmp_path: Path) -> None:
    """T29: the first ETag that differs is asked about, because it may be no MD5; the following ones are not."""
    sides = Sides(tmp_path)
    for name in "abcd":
        sides.write(name, f"old-{name}")
        sides.put(name, f"new-{name}")
    test = ContentTest(sides.tree, sides.remote)
    remotes = {entry.name: entry for entry in sides.remote.scan()}
    sides.requests()
    found = [test.compare(entry, remotes[entry.name]).is_same for entry in sides.tree.scan()]
    assert [False] * 4 == found
    assert ["HeadObject"] == sides.requests()


def test_t29_an_encrypted_objects_etag_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T29: with KMS the ETag looks like an MD5 and is none: other digits are no other content, only unknown."""
    sides = Sides(tmp_path)
    sides.write("f", "content")
    sides.put("f", "CONTENT")
    answer = {"etag": f'"{remote_of(sides, "f").etag}"', "x-amz-server-side-encryption": "aws:kms"}
    monkeypatch.setattr(sides.session, "head_object", lambda *_, **__: HeadResult(200, answer))
    assert (None, []) == compared(sides)
    crc = hasher("crc32")
    crc.update(b"content")
    answer |= {"x-amz-checksum-crc32": crc.base64(), "x-amz-checksum-type": "FULL_OBJECT"}
    assert (True, []) == compared(sides)
    answer["x-amz-checksum-crc32"] = "AAAAAA=="
    assert (False, []) == compared(sides)
    answer["x-amz-checksum-type"] = "COMPOSITE"
    assert (None, []) == compared(sides)


def test_an_object_that_is_replaced_meanwhile_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of another object than the one that was listed says nothing."""
    sides = Sides(tmp_path)
    sides.write("f", "content")
    sides.put("f", "CONTENT")
    monkeypatch.setattr(sides.session, "head_object", lambda *_, **__: HeadResult(200, {"etag": '"other"'}))
    assert (None, []) == compared(sides)


@pytest.mark.parametrize("part_size", [5 * MIB, 6 * MIB, 5 * MIB + 4096])
@pytest.mark.parametrize("is_edited", [False, True])
def test_t28_an_object_in_parts_is_compared_by_its_parts(tmp_path: Path, part_size: int, is_edited: bool) -> None:
    """T28: usual, unusual and unaligned parts are recognised; an edit of the same size never passes for the same."""
    sides = Sides(tmp_path)
    content = os.urandom(11 * MIB)
    transfer = TransferConfig(multipart_threshold=5 * MIB, part_size=part_size)
    sides.put("f", content, transfer=transfer, metadata={PART_SIZE_KEY: str(part_size)})
    assert MULTIPART.match(remote_of(sides, "f").etag)
    sides.write("f", b"#" + content[1:] if is_edited else content)
    is_same, requests = compared(sides)
    assert (not is_edited) == bool(is_same)
    assert requests.count("HeadObject") <= 1
    if not is_edited:
        assert (True, []) == compared(sides, known_part=part_size)


def test_rclones_md5_of_an_object_in_parts_is_read(tmp_path: Path) -> None:
    """What rclone writes beside an ETag of parts is compared, whatever the parts were."""
    sides = Sides(tmp_path)
    content = os.urandom(11 * MIB)
    md5 = b64encode(hashlib.md5(content).digest()).decode()
    transfer = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB + 1)
    sides.put("f", content, transfer=transfer, metadata={"md5chksum": md5}, checksum="off")
    sides.write("f", content)
    assert (True, ["HeadObject"]) == compared(sides)
    sides.write("f", content[:-1] + b"#")
    assert (False, ["HeadObject"]) == compared(sides)


@pytest.mark.parametrize("is_edited", [False, True])
def test_b2_is_compared_by_sha1(tmp_path: Path, is_edited: bool) -> None:
    """B2 keeps the SHA-1 of a file, which the listing has."""
    sides = Sides(tmp_path, store="b2")
    sides.put("f", "content")
    sides.write("f", "CONTENT" if is_edited else "content")
    assert (not is_edited, []) == compared(sides)


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_large_file_of_b2_is_compared_by_what_its_uploader_said(tmp_path: Path, is_edited: bool) -> None:
    """The id of a large file is no hash; its head has the SHA-1 that was said when it was begun."""
    sides = Sides(tmp_path, store="b2")
    content = os.urandom(11 * MIB)
    sides.put("f", content, transfer=TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB))
    sides.write("f", content[:-1] + b"#" if is_edited else content)
    is_same, requests = compared(sides)
    assert ["b2_download_file_by_name"] == requests or len(requests) <= 1
    assert bool(is_same) == (not is_edited and is_same is not None)
    if is_edited:
        assert is_same is not True


def test_heads_of_two_objects_are_compared_by_what_both_name() -> None:
    """An equal hash of the same kind decides; without a common one nothing is known."""
    one = HeadResult(200, {"etag": '"x"', "x-amz-checksum-crc32": "AAAAAA=="})
    other = HeadResult(200, {"etag": '"y"', "x-amz-checksum-crc32": "AAAAAQ=="})
    none = HeadResult(200, {"etag": '"y"', "x-amz-meta-md5chksum": "no base64", "x-amz-checksum-sha1": "abc-2"})
    assert [True, False, None] == [same_heads(one, each) for each in (one, other, none)]
