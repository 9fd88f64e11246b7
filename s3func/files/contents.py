"""Whether a file has the content of an object, found out with what the store tells about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from s3func.errors import SourceChanged
from s3func.sync.contents import ContentTest
from s3func.sync.entry import LocalEntry, RemoteEntry
from s3func.sync.local import LocalTree
from s3func.sync.remote import RemotePrefix

if TYPE_CHECKING:
    from s3func.results import ObjectResult
    from s3func.session import Session

__all__ = ["same_content"]


def same_content(path: str, session: Session, bucket: str, key: str, head: ObjectResult) -> bool | None:
    """True or False where that can be said, None where only the bytes themselves could say it.

    head: what head_object said; it is asked for once more only where an ETag does not tell. A file that is written to
    meanwhile is not the same.
    """
    real = os.path.realpath(path)
    status = os.stat(real)
    if head.size is None:
        return None
    if head.size != status.st_size:
        return False
    folder, name = os.path.split(real)
    local = LocalEntry(
        name,
        name,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
        status.st_mode,
    )
    test = ContentTest(LocalTree(folder), RemotePrefix(session, bucket))
    # Of an object whose head shows no other encryption an ETag of this look is the MD5.
    test.md5_is_proved = (
        head.headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in head.headers
    )
    try:
        return test.compare(local, RemoteEntry(key, key, head.size, head.etag, 0.0, head.version_id)).is_same
    except SourceChanged:
        return False
