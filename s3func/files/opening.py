"""open() of an S3Object: what is read is the newest, and what is written appears when its block ends well, or never.

    r, r+        the object is downloaded first if the file is not what it is
    w, w+        a new content, whoever wrote the one before
    x, x+        a new object: ObjectExists (also a FileExistsError) where there is one
    a, a+, r+    what is there, changed: SyncConflict when somebody else changes it meanwhile

What is written goes to a hidden file. When the block is left by an exception, any, that file is deleted and nothing
has happened; otherwise it becomes the local file, and then the object.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from s3func.errors import NoSuchBucket, NotFound, ObjectExists, S3ObjectError, SyncConflict

if TYPE_CHECKING:
    from s3func.files.single import ObjectFile
    from s3func.transport.transfer import Progress

__all__ = ["check_mode", "opened"]


def check_mode(mode: object) -> str:
    """The mode, if open() has it."""
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a str, not {type(mode).__name__}")
    letters = sorted(mode)
    kinds = [letter for letter in letters if letter in "rwax"]
    rest = [letter for letter in letters if letter not in "rwax"]
    if len(kinds) != 1 or rest not in ([], ["+"], ["b"], ["t"], ["+", "b"], ["+", "t"]):
        raise ValueError(f"mode must be one of r, w, a, x, with + and b or t, not {mode!r}")
    return mode


@contextmanager
def opened(file: ObjectFile, mode: str, *, verify: bool, progress: Progress | None, **text: Any) -> Iterator[IO[Any]]:
    """The file, open. text: encoding, errors, newline of a text file."""
    if "r" in mode and "+" not in mode:
        _download(file, verify=verify, progress=progress)
        with open(file.path, mode, **text) as reading:
            yield reading
        return
    conditions = _prepared(file, mode, verify=verify, progress=progress)
    temporary = file.temporary()
    try:
        if "r" in mode or ("a" in mode and file.local() is not None and conditions != {"if_none_match": "*"}):
            shutil.copyfile(file.path, temporary)
        # A new file in any case; "x" has been asked of the store.
        with open(temporary, mode.replace("x", "w"), **text) as writing:
            yield writing
        _commit(file, temporary, mode, conditions, progress)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _commit(
    file: ObjectFile, temporary: str, mode: str, conditions: dict[str, str] | None, progress: Progress | None
) -> None:
    try:
        file.commit(temporary, conditions, progress)
    except SyncConflict as error:
        if "x" in mode:
            raise ObjectExists(f"{file.url} exists by now", bucket=file.bucket, key=file.key) from error
        raise


def _prepared(file: ObjectFile, mode: str, *, verify: bool, progress: Progress | None) -> dict[str, str] | None:
    """Bring the file up to date where its content counts. Gives what the object has to be like when it is replaced."""
    if "w" in mode:
        # Raises where a folder is in the way.
        file.local()
        return None
    if "x" in mode:
        if file.head() is not None:
            raise ObjectExists(f"{file.url} exists", bucket=file.bucket, key=file.key)
        return {"if_none_match": "*"}
    try:
        file.download(verify=verify, progress=progress)
    except NoSuchBucket:
        raise
    except NotFound as error:
        if "r" in mode:
            raise S3ObjectError(f"{file.url} does not exist") from error
        record, local = file.record(), file.local()
        if local is not None and (record is None or record.pending or record.local != local):
            raise SyncConflict(f"{file.path} exists and {file.url} does not: upload() it first") from error
        return {"if_none_match": "*"}
    record = file.record()
    # Where nothing can be written down the store is asked once more.
    known = file.head() if record is None else record
    return {"if_match": known.etag} if known is not None and known.etag else {}


def _download(file: ObjectFile, *, verify: bool, progress: Progress | None) -> None:
    try:
        file.download(verify=verify, progress=progress)
    except NoSuchBucket:
        raise
    except NotFound as error:
        raise S3ObjectError(f"{file.url} does not exist") from error
