"""Lists of files: the newest of each name, and all versions together with hide markers and unfinished large files.

Rule: B2 begins a page with the place that it is told, S3 behind it; `before` turns one into the other.
https://www.backblaze.com/apidocs/b2-list-file-versions
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby, islice

from s3func.message import Response
from s3func.server.b2.call import NAME_BYTES_MAX, B2Call, answer
from s3func.server.b2.files import described, described_upload
from s3func.server.backend import BucketInfo
from s3func.wire import b2json
from s3func.wire.b2json import FilesPage, StoredFile

PAGE, PAGE_MAX = 100, 10_000
_LAST_LETTER = "\U0010ffff"
_STEP = 1000


def list_file_names(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-file-names."""
    bucket, prefix, delimiter, limit = _asked(call)
    start = call.text("startFileName", "")
    rows = _unique(_current(call, bucket, prefix, delimiter, start, limit + 1))
    files = list(islice(rows, limit))
    following = next(rows, None)
    return _page(call, files, None if following is None else following.file_name, None)


def list_file_versions(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-file-versions."""
    bucket, prefix, delimiter, limit = _asked(call)
    start = call.text("startFileName", "")
    identity = call.optional_text("startFileId")
    merged = heapq.merge(
        _versions(call, bucket, prefix, delimiter, start, limit + 1),
        _unfinished(call, bucket, prefix, delimiter, start),
        key=lambda file: (file.file_name.encode(), -file.upload_timestamp),
    )
    rows = _unique(merged)
    if identity is not None:
        rows = _from(rows, start, identity)
    files = list(islice(rows, limit))
    following = next(rows, None)
    if following is None:
        return _page(call, files, None, None)
    return _page(call, files, following.file_name, following.file_id)


def before(name: str) -> str:
    """A text that is less than a name and not less than any legal name before it."""
    if not name or name[-1] == "\0":
        return name[:-1]
    last = ord(name[-1]) - 1
    # Nothing of UTF-8 is between the surrogates.
    lower = chr(0xD7FF if 0xD800 <= last <= 0xDFFF else last)
    return f"{name[:-1]}{lower}{_LAST_LETTER * (NAME_BYTES_MAX // 4)}"


def _asked(call: B2Call) -> tuple[BucketInfo, str, str, int]:
    bucket = call.bucket()
    prefix = call.text("prefix", "")
    call.demand("listFiles", bucket, prefix)
    return bucket, prefix, call.text("delimiter", ""), call.number("maxFileCount", PAGE, 0, PAGE_MAX) or PAGE


def _page(call: B2Call, files: list[StoredFile], name: str | None, identity: str | None) -> Response:
    return answer(b2json.render_files(FilesPage(files, name, identity), v1=call.version == 1))


def _folder(name: str) -> StoredFile:
    return StoredFile(name, "folder")


def _current(
    call: B2Call, bucket: BucketInfo, prefix: str, delimiter: str, start: str, step: int
) -> Iterator[StoredFile]:
    """The newest version of each name, and folders, from a place on."""
    store = call.backend
    marker = before(start)
    folder = _folder_of(start, prefix, delimiter)
    if folder is not None:
        if store.list_objects(bucket.name, prefix=folder, start_after=marker, limit=1).rows:
            yield _folder(folder)
        marker = folder + _LAST_LETTER * (NAME_BYTES_MAX // 4)
    while True:
        page = store.list_objects(
            bucket.name, prefix=prefix, delimiter=delimiter, start_after=marker, limit=min(step, _STEP)
        )
        files = [described(bucket, stored, call.key) for stored in page.rows]
        yield from _with_folders(files, page.common_prefixes)
        if page.next_start_after is None:
            return
        marker = page.next_start_after


def _versions(
    call: B2Call, bucket: BucketInfo, prefix: str, delimiter: str, start: str, step: int
) -> Iterator[StoredFile]:
    store = call.backend
    marker, version = before(start), ""
    folder = _folder_of(start, prefix, delimiter)
    if folder is not None:
        if store.list_object_versions(bucket.name, prefix=folder, key_marker=marker, limit=1).rows:
            yield _folder(folder)
        marker = folder + _LAST_LETTER * (NAME_BYTES_MAX // 4)
    while True:
        page = store.list_object_versions(
            bucket.name,
            prefix=prefix,
            delimiter=delimiter,
            key_marker=marker,
            version_id_marker=version,
            limit=min(step, _STEP),
        )
        files = [described(bucket, row.stored, call.key) for row in page.rows]
        yield from _with_folders(files, page.common_prefixes)
        if page.next_key_marker is None:
            return
        marker, version = page.next_key_marker, page.next_version_id_marker or ""


def _unfinished(call: B2Call, bucket: BucketInfo, prefix: str, delimiter: str, start: str) -> Iterator[StoredFile]:
    """Large files that are not finished, newest first within a name."""
    for _, uploads in groupby(_uploads(call, bucket, prefix, delimiter, start), key=lambda file: file.file_name):
        yield from reversed(list(uploads))


def _uploads(call: B2Call, bucket: BucketInfo, prefix: str, delimiter: str, start: str) -> Iterator[StoredFile]:
    store = call.backend
    marker, upload = before(start), ""
    folder = _folder_of(start, prefix, delimiter)
    if folder is not None:
        if store.list_uploads(bucket.name, prefix=folder, key_marker=marker, limit=1).rows:
            yield _folder(folder)
        marker = folder + _LAST_LETTER * (NAME_BYTES_MAX // 4)
    while True:
        page = store.list_uploads(
            bucket.name, prefix=prefix, delimiter=delimiter, key_marker=marker, upload_id_marker=upload, limit=_STEP
        )
        files = [described_upload(bucket, row, call.key) for row in page.rows]
        yield from _with_folders(files, page.common_prefixes)
        if page.next_key_marker is None:
            return
        marker, upload = page.next_key_marker, page.next_upload_id_marker or ""


def _folder_of(start: str, prefix: str, delimiter: str) -> str | None:
    """The folder that a place is inside of."""
    if not delimiter or not start.startswith(prefix):
        return None
    cut = start.find(delimiter, len(prefix))
    return None if cut < 0 else start[: cut + len(delimiter)]


def _with_folders(files: list[StoredFile], folders: list[str]) -> Iterator[StoredFile]:
    return heapq.merge(files, map(_folder, folders), key=lambda file: file.file_name.encode())


def _unique(rows: Iterator[StoredFile]) -> Iterator[StoredFile]:
    """Each folder once, though versions and unfinished files are in it."""
    last = ""
    for row in rows:
        if row.action == "folder":
            if row.file_name == last:
                continue
            last = row.file_name
        yield row


def _from(rows: Iterator[StoredFile], name: str, identity: str) -> Iterator[StoredFile]:
    """The rows from this version on; where it is gone, all of its name."""
    skipped: list[StoredFile] = []
    for row in rows:
        if row.file_name != name or row.file_id == identity:
            if row.file_id != identity:
                yield from skipped
            yield row
            yield from rows
            return
        skipped.append(row)
    yield from skipped
