"""upload_file(resume=True): goes on with an unfinished upload of the key whose parts are those of the file.

Rule 1: a part counts as sent only when the file's own bytes have its checksum, or its ETag where that is their MD5.
Rule 2: an upload whose parts are not those of the file is somebody else's, and is left alone.
Rule 3: what an unfinished upload was begun with (metadata, content type, tags …) cannot be read. It is compared when
        the object is there; where it is not what this call asks for, the object is copied onto itself with what is.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import NoSuchUpload, NotImplementedByStore, SourceChanged
from s3func.s3.upload import FILE_ATTEMPTS, in_parts, put_parts, store
from s3func.s3.upload_plan import PART_MAX, Buffers, Part, part_size, parts_of
from s3func.transport.parallel import Crew
from s3func.transport.sources import FileSource, source_of
from s3func.wire import checksum
from s3func.wire.s3xml_multipart import CompletedPart, PartEntry

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from s3func.results import HeadResult, PutResult
    from s3func.s3.upload_parts import PartsUpload, Put
    from s3func.wire.s3xml_multipart import UploadEntry

# Headers that can be read back from an object, and what a store makes of their absence.
_READABLE = {
    "cache-control": ("",),
    "content-disposition": ("",),
    "content-encoding": ("", "aws-chunked"),
    "content-language": ("",),
    "content-type": ("", "binary/octet-stream", "application/octet-stream"),
    "expires": ("",),
    "x-amz-website-redirect-location": ("",),
}
# Headers that cannot be read back from an object by HEAD.
_UNREADABLE = ("x-amz-acl", "x-amz-grant-", "x-amz-tagging")


class _Found(NamedTuple):
    """An unfinished upload that fits, as far as its parts' sizes tell."""

    upload_id: str
    algorithm: str
    kind: str
    each: int
    parts: list[PartEntry]


class _Verified(NamedTuple):
    part: PartEntry
    digest: bytes


def resume(put: Put, path: os.PathLike[str]) -> tuple[PutResult, bool]:
    """Store the file, going on with an earlier upload if there is one; True when it did so.

    What fails leaves its parts in the store, also when nothing was resumed.
    """
    for attempt in range(1, FILE_ATTEMPTS + 1):
        source = source_of(path)
        try:
            if not isinstance(source, FileSource) or not in_parts(put, source.size):
                return store(put, path), False
            put.progress.restart(source.size)
            return _resume(put, source)
        except SourceChanged as error:
            if attempt == FILE_ATTEMPTS:
                error.attempts, error.bucket, error.key = attempt, put.authorizer.bucket, put.key
                raise
        finally:
            source.close()
    raise AssertionError("the last attempt returns or raises")


def _resume(put: Put, source: FileSource) -> tuple[PutResult, bool]:
    for found in _candidates(put, source.size):
        verified = _verify(put, source, found)
        if verified is None:
            continue
        try:
            return _go_on(put, source, found, verified), True
        except NoSuchUpload:
            # Somebody has completed or aborted it meanwhile.
            put.progress.restart(source.size)
    each = part_size(source.size, put.transfer, put.part_rules)
    return put_parts(put, source, parts_of(source.size, each), each, keep=True), False


def _candidates(put: Put, size: int) -> list[_Found]:
    """The uploads of this key that could be of this file: those with parts first, the newest first."""
    try:
        entries = [entry for entry in put.uploads() if _is_wanted(put, entry.checksum_algorithm)]
    except (NotImplementedByStore, NoSuchUpload):
        # The second is how rclone says that there are none.
        return []
    entries.sort(key=_age, reverse=True)
    found = []
    for entry in entries:
        try:
            pages = list(put.parts(entry.upload_id))
        except NoSuchUpload:
            continue
        parts = [part for page in pages for part in page.parts]
        algorithm = (pages[0].checksum_algorithm or entry.checksum_algorithm or "").lower()
        kind = (pages[0].checksum_type or entry.checksum_type or "").upper()
        each = _layout(put, parts, size)
        if each and _is_wanted(put, algorithm):
            found.append(_Found(entry.upload_id, algorithm, kind, each, parts))
    found.sort(key=lambda one: not one.parts)
    return found


def _age(entry: UploadEntry) -> float:
    return entry.initiated.timestamp() if entry.initiated is not None else 0.0


def _is_wanted(put: Put, algorithm: str | None) -> bool:
    """Whether an upload with this checksum gives the object that is asked for."""
    asked = {"auto": None, "off": ""}.get(put.checksum, put.checksum)
    return not algorithm or asked is None or algorithm.lower() == asked


def _layout(put: Put, parts: list[PartEntry], size: int) -> int:
    """The size of the parts of an upload if all that are there fit the file, else 0."""
    planned = part_size(size, put.transfer, put.part_rules)
    for each in dict.fromkeys([max((part.size for part in parts), default=planned), planned]):
        if not 0 < each <= PART_MAX or -(-size // each) > put.part_rules.most:
            continue
        lengths = {part.number: part.length for part in parts_of(size, each)}
        if all(lengths.get(part.part_number) == part.size for part in parts):
            return each
    return 0


def _verify(put: Put, source: FileSource, found: _Found) -> dict[int, _Verified] | None:
    """The parts that hold the file's bytes; None when there are parts and not one of them does."""
    verified: dict[int, _Verified] = {}
    buffers = Buffers()

    def verify(part: PartEntry) -> None:
        names = _algorithms(part, found.algorithm)
        if not names:
            return
        hashers = {name: checksum.hasher(name) for name in names}

        def absorb(block: memoryview) -> None:
            crew.check()
            for hasher in hashers.values():
                hasher.update(block)

        buffer = buffers.take(found.each)
        source.part((part.part_number - 1) * found.each, part.size, buffer, absorb)
        buffers.give_back(buffer)
        value = part.checksums.get(found.algorithm)
        if value is not None:
            same = hashers[found.algorithm].base64() == value
        else:
            same = hashers["md5"].digest().hex() == part.etag
        if same:
            digest = hashers[found.algorithm].digest() if found.algorithm else b""
            verified[part.part_number] = _Verified(part, digest)

    with Crew(put.transfer.concurrency) as crew:
        for part in found.parts:
            crew.submit(partial(verify, part))
    return verified if verified or not found.parts else None


def _algorithms(part: PartEntry, algorithm: str) -> list[str]:
    """What to compute of the file's bytes to compare them with a part; nothing where nothing could be compared."""
    if algorithm and algorithm in part.checksums:
        return [algorithm]
    # An ETag that is no MD5 is no MD5 of these bytes either; one that is equal to it, is.
    if re.fullmatch(r"[0-9a-f]{32}", part.etag):
        return ["md5", *([algorithm] if algorithm else [])]
    return []


def _go_on(put: Put, source: FileSource, found: _Found, verified: Mapping[int, _Verified]) -> PutResult:
    def adopt(upload: PartsUpload) -> None:
        upload.resume(found.upload_id, found.algorithm, found.kind)
        for number, (part, digest) in verified.items():
            upload.keep(CompletedPart(number, part.etag, part.checksums), digest, part.size)
            put.progress.add(part.size)

    missing: list[Part] = [part for part in parts_of(source.size, found.each) if part.number not in verified]
    return put_parts(put, source, missing, found.each, adopt, keep=True)


def is_as_asked(put: Put, head: HeadResult) -> bool:
    """Whether a resumed object has what this call asks for, as far as HEAD tells."""
    fields, headers = put.fields, head.headers
    if any(name.startswith(_UNREADABLE) for name in fields) or "x-amz-tagging-count" in headers:
        return False
    for name, absent in _READABLE.items():
        asked, kept = fields.get(name, ""), headers.get(name, "")
        if asked != kept and not (not asked and kept in absent):
            return False
    if fields.get("x-amz-storage-class", "STANDARD") != head.storage_class:
        return False
    prefix = "x-amz-meta-"
    return {name: value for name, value in fields.items() if name.startswith(prefix)} == {
        name: value for name, value in headers.items() if name.startswith(prefix)
    }
