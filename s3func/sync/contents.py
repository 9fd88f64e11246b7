"""Whether a file and an object have the same content, without reading the object.

Rule 1: "same" is only said where a hash of the content says so. An ETag that is no hash (encryption with KMS or a
        customer's key, some stores) says nothing, and then the object's head is asked for, once.
Rule 2: a file is read once, for all hashes that are needed of it, and not beyond the size that it had.
Rule 3: a file that changed while it was read has no hash.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html says what an ETag is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from base64 import b64decode
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.errors import SourceChanged
from s3func.s3.upload_plan import part_size
from s3func.sync.compare import MULTIPART, is_md5, is_sha1
from s3func.sync.names import printable
from s3func.transport.transfer import DEFAULT_TRANSFER, MIB
from s3func.wire.checksum import hasher

if TYPE_CHECKING:
    from threading import Event

    from s3func.results import HeadResult
    from s3func.sync.entry import LocalEntry, RemoteEntry
    from s3func.sync.local import LocalTree
    from s3func.sync.remote import RemotePrefix

PART_SIZE_KEY = "s3func-part-size"
"""The metadata key under which an upload in parts says how many bytes each part has."""
_RCLONE_MD5 = "md5chksum"  # base64, how rclone keeps what an ETag of parts does not tell
# What the tools of the field cut objects into, in MiB: s3cmd 15, s5cmd 50, rclone 5, aws and boto3 8, and its doublings.
_USUAL_PARTS = (8, 5, 16, 50, 15, 10, 25, 32, 64, 100, 128, 200, 256, 500, 512, 1024, 2048, 4096, 5120)
_CANDIDATES_MAX = 8
_BLOCK = MIB
_CHECKSUMS = ("crc64nvme", "crc32", "crc32c", "sha256", "sha1")
_PART_MAX = 5 * 1024 * MIB


class Digests(NamedTuple):
    """Hashes of a file: md5 and sha1 hexadecimal, the ETag by size of the parts, other checksums in base64 by name."""

    md5: str
    sha1: str | None
    etags: dict[int, str]
    checksums: dict[str, str]


class Finding(NamedTuple):
    """What a look at the contents said. is_same: None where nothing can tell. The rest is what was learned on the way."""

    is_same: bool | None
    md5: str | None = None
    sha1: str | None = None
    part_size: int | None = None


class EtagOfParts:
    """The ETag of an object that was uploaded in parts of one size: the MD5 of their MD5s, and their number."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._left = each
        self._part: Any = hashlib.md5(usedforsecurity=False)
        self._all: Any = hashlib.md5(usedforsecurity=False)
        self._count = 0

    def update(self, data: memoryview) -> None:
        while len(data) > self._left:
            self._part.update(data[: self._left])
            data = data[self._left :]
            self._finish()
        self._part.update(data)
        self._left -= len(data)

    def _finish(self) -> None:
        self._all.update(self._part.digest())
        self._count += 1
        self._part = hashlib.md5(usedforsecurity=False)
        self._left = self._each

    def etag(self) -> str:
        self._finish()
        return f"{self._all.hexdigest()}-{self._count}"


def digests(
    tree: LocalTree,
    entry: LocalEntry,
    *,
    sha1: bool = False,
    part_sizes: tuple[int, ...] = (),
    checksums: tuple[str, ...] = (),
    stopped: Event | None = None,
) -> Digests:
    """Read the file of an entry once; SourceChanged where it is not, or does not stay, what the entry says. OSError.

    stopped: set when nobody wants to know any more; SourceChanged then, too.
    """
    md5 = hashlib.md5(usedforsecurity=False)
    others: list[Any] = [EtagOfParts(each) for each in part_sizes]
    named = {name: hasher(name) for name in checksums}
    others += named.values()
    sha = hashlib.sha1(usedforsecurity=False) if sha1 else None
    if sha is not None:
        others.append(sha)
    if entry.link is not None:
        view = memoryview(os.fsencode(entry.link))
        md5.update(view)
        for each in others:
            each.update(view)
    else:
        descriptor = tree.open_source(entry.path)
        try:
            _check(entry, descriptor)
            _read(descriptor, entry, [md5, *others], stopped)
            _check(entry, descriptor)
        finally:
            os.close(descriptor)
    etags = {each: parts.etag() for each, parts in zip(part_sizes, others, strict=False)}
    found = {name: each.base64() for name, each in named.items()}
    return Digests(md5.hexdigest(), None if sha is None else sha.hexdigest(), etags, found)


def _read(descriptor: int, entry: LocalEntry, hashers: list[Any], stopped: Event | None) -> None:
    left = entry.size
    if left <= _BLOCK:
        # One byte more than there should be, to notice what grew.
        data = memoryview(os.read(descriptor, left + 1))
        for each in hashers:
            each.update(data)
        if len(data) == left:
            return
        left -= len(data)
    view = memoryview(bytearray(_BLOCK))
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        while left > 0 and (got := file.readinto(view[: min(left, _BLOCK)])):
            for each in hashers:
                each.update(view[:got])
            left -= got
            if stopped is not None and stopped.is_set():
                raise SourceChanged("nobody waits for the hash any more")
    if left != 0:
        raise SourceChanged(f"{printable(entry.path)!r} changed its size while it was read")


def _check(entry: LocalEntry, descriptor: int) -> None:
    status = os.fstat(descriptor)
    now = (status.st_size, status.st_mtime_ns, status.st_ino)
    if not stat.S_ISREG(status.st_mode) or now != (entry.size, entry.mtime_ns, entry.inode):
        raise SourceChanged(f"{printable(entry.path)!r} changed since it was scanned")


def part_sizes_of(etag: str, size: int, known: int | None = None) -> tuple[int, ...]:
    """Which sizes of parts an ETag of parts may stem from: the known one, else those that give its number of parts."""
    matched = MULTIPART.match(etag)
    if matched is None:
        return ()
    count = int(matched[1])
    if known is not None and _count(size, known) == count:
        return (known,)
    if count == 1:
        # Any size that holds all of it gives the same ETag.
        return (max(size, 1),)
    candidates = [part_size(size, DEFAULT_TRANSFER)] if size <= 10_000 * _PART_MAX else []
    candidates += [each * MIB for each in _USUAL_PARTS]
    even = -(-size // count)
    # What was rounded up to whole MiB so that the number of parts is not exceeded, and what was not rounded at all.
    candidates += [-(-even // MIB) * MIB, even]
    fitting = dict.fromkeys(each for each in candidates if each > 0 and _count(size, each) == count)
    return tuple(fitting)[:_CANDIDATES_MAX]


def _count(size: int, each: int) -> int:
    return -(-size // each) or 1


class ContentTest:
    """Compares a folder's files with the objects of one prefix; safe for threads.

    It remembers whether the ETags of this store are what they look like, so that the question is asked once.
    """

    def __init__(self, tree: LocalTree, remote: RemotePrefix, stopped: Event | None = None) -> None:
        """stopped: see digests()."""
        self._tree = tree
        self._remote = remote
        self._stopped = stopped
        self.md5_is_proved = False
        """Whether some ETag was the MD5 of a content, so that one that differs means another content."""

    def compare(
        self,
        local: LocalEntry,
        remote: RemoteEntry,
        *,
        known_md5: str | None = None,
        known_part: int | None = None,
        known_etag: str | None = None,
    ) -> Finding:
        """Whether both are the same; sizes are equal. OSError, SourceChanged.

        known_md5: of the file as it is now. known_part: bytes of the parts of this object's ETag, most likely.
        known_etag: of the object when the file had, most likely, this content.
        """
        etag = remote.etag
        if is_md5(etag):
            return self._by_md5(local, remote, known_md5, known_etag)
        if is_sha1(etag):
            found = self._digests(local, sha1=True)
            return Finding(found.sha1 == etag, found.md5, found.sha1)
        tried = part_sizes_of(etag, local.size, known_part)
        if tried:
            found = self._digests(local, part_sizes=tried)
            for each, computed in found.etags.items():
                if computed == etag:
                    return Finding(True, found.md5, None, each)
            # A known size of the parts that does not lead to the ETag proves nothing: it is what metadata say.
            known_md5 = found.md5
        return self._by_head(local, remote, known_md5, set(tried))

    def _digests(self, local: LocalEntry, **wanted: Any) -> Digests:
        return digests(self._tree, local, stopped=self._stopped, **wanted)

    def _by_md5(self, local: LocalEntry, remote: RemoteEntry, known_md5: str | None, known_etag: str | None) -> Finding:
        md5 = self._digests(local).md5 if known_md5 is None else known_md5
        if md5 == known_etag:
            self.md5_is_proved = True
        if md5 == remote.etag:
            self.md5_is_proved = True
            return Finding(True, md5)
        if self.md5_is_proved:
            return Finding(False, md5)
        return self._by_head(local, remote, md5, set())

    def _by_head(self, local: LocalEntry, remote: RemoteEntry, md5: str | None, tried: set[int]) -> Finding:
        """The last resort: what the object's head says of its content."""
        head = self._remote.session.head_object(remote.key, bucket=self._remote.bucket)
        if head.etag != remote.etag:
            return Finding(None, md5)
        if is_md5(remote.etag) and md5 is not None and not is_encrypted(head):
            self.md5_is_proved = True
            return Finding(False, md5)
        said = hashes_of(head)
        if "md5" in said:
            md5 = self._digests(local).md5 if md5 is None else md5
            return Finding(md5 == said["md5"], md5)
        parts = tuple(each for each in part_sizes_of(remote.etag, local.size, _part_size(head)) if each not in tried)
        checksum = next((name for name in _CHECKSUMS if name in said), None)
        if checksum is None and not parts and "content-sha1" not in said:
            return Finding(None, md5)
        found = self._digests(
            local,
            sha1="content-sha1" in said,
            part_sizes=parts,
            checksums=() if checksum is None else (checksum,),
        )
        for each, computed in found.etags.items():
            if computed == remote.etag:
                return Finding(True, found.md5, None, each)
        if "content-sha1" in said:
            return Finding(found.sha1 == said["content-sha1"], found.md5, found.sha1)
        if checksum is not None:
            return Finding(found.checksums[checksum] == said[checksum], found.md5)
        return Finding(None, found.md5)


def hashes_of(head: HeadResult) -> dict[str, str]:
    """The hashes of the whole content that a head names."""
    said = {}
    metadata = head.user_metadata
    try:
        md5 = b64decode(metadata.get(_RCLONE_MD5, ""), validate=True)
        if len(md5) == 16:
            said["md5"] = md5.hex()
    except ValueError:
        pass
    if not said and (sha1 := getattr(head, "content_sha1", None)):
        said["content-sha1"] = sha1
    if head.headers.get("x-amz-checksum-type") != "COMPOSITE":
        for name in _CHECKSUMS:
            value = head.headers.get(f"x-amz-checksum-{name}", "")
            if value and "-" not in value:
                said[name] = value
    return said


def _part_size(head: HeadResult) -> int | None:
    text = head.user_metadata.get(PART_SIZE_KEY, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 14 and int(text) > 0 else None


def is_encrypted(head: HeadResult) -> bool:
    """Whether the ETag is none of the MD5 because of how the object is kept."""
    return (
        head.headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
        or "x-amz-server-side-encryption-customer-algorithm" in head.headers
    )


def same_heads(source: HeadResult, target: HeadResult) -> bool | None:
    """Whether two objects have the same content, by a hash that the heads of both name; None where they name none."""
    said, also = hashes_of(source), hashes_of(target)
    for name in ("md5", "content-sha1", *_CHECKSUMS):
        if name in said and name in also:
            return said[name] == also[name]
    return None
