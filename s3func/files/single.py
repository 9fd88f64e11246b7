"""One object and the file that stands for it: bring either up to date with the other.

1. The side that is asked for wins over a change of the other side alone; where both changed since they last agreed, or
   the file has content that never reached the store, it is a SyncConflict, unless forced.
2. The file is replaced whole, the object is replaced on the condition that it is still the one that was looked at.
3. What was agreed is written down (cache.py), so that nothing is read to find out that nothing is new.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from s3func.errors import (
    ChecksumMismatch,
    Conflict,
    HashMismatchError,
    NoSuchBucket,
    NotFound,
    NotImplementedByStore,
    NotModified,
    PreconditionFailed,
    S3ObjectError,
    SyncConflict,
)
from s3func.files.cache import RACY_NS, Fingerprint, Record, Records, digest_of, fingerprint, locked
from s3func.sync.contained import reach
from s3func.sync.describing import described, facts_of
from s3func.sync.operation import Side
from s3func.sync.publishing import hidden_name, sweep

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from s3func.results import HeadResult, ObjectResult
    from s3func.session import Session
    from s3func.transport.transfer import Progress

log = logging.getLogger("s3func.files")

# Where this process has looked for what others left behind.
_swept: set[tuple[int, str]] = set()
_ATTEMPTS = 5
_NOTED_MAX = 8 * 1024 * 1024
_BLOCK = 1024 * 1024


class _ChangedMeanwhile(Exception):
    """The file is not the one any more that was to be replaced."""


class ObjectFile:
    """The pair. path: of the file, absolute; url: of the object, without secrets."""

    __slots__ = ("bucket", "key", "path", "records", "session", "url")

    def __init__(self, session: Session, bucket: str, key: str, url: str, path: str, records: Records) -> None:
        self.session = session
        self.bucket = bucket
        self.key = key
        self.url = url
        self.path = path
        self.records = records

    def download(self, *, force: bool = False, verify: bool = True, progress: Progress | None = None) -> None:
        """Make the file what the object is. NotFound when there is no object.

        force: whatever the file holds, and without believing what was written down. verify: compare contents by their
        hashes, and what arrives with the store's checksum.
        """
        with self.locked():
            for left in reversed(range(_ATTEMPTS)):
                try:
                    self._download(force=force, verify=verify, progress=progress)
                    return
                except (PreconditionFailed, _ChangedMeanwhile) as error:
                    # Somebody else was at work, often at the same one: look again.
                    if not left:
                        raise SyncConflict(f"{self.path} or {self.url} changes faster than it is downloaded") from error

    def upload(self, *, force: bool = False, verify: bool = True, progress: Progress | None = None) -> None:
        """Make the object what the file is. S3ObjectError when there is no file."""
        with self.locked():
            record, local = self.record(), self.local()
            if local is None:
                raise S3ObjectError(f"{self.path} is not there, so it cannot be uploaded to {self.url}")
            head = self.head()
            if head is not None:
                is_clean = record is not None and not record.pending and self.records.is_as_it_was(record, local)
                if record is not None and is_clean and head.etag and record.etag == head.etag and not force:
                    return self.records.used(self.path, self.url)
                if verify and self._same(head) is True:
                    return self.agreed(head, local)
                if record is not None and record.etag not in ("", head.etag) and not is_clean and not force:
                    raise self._conflict(record)
            stored = self._send(self.path, local, None if force else _conditions(head), progress)
            if fingerprint(self.path) == local:
                self.agreed(stored, local)
            log.debug("uploaded %s to %s", self.path, self.url)
            return None

    def commit(self, temporary: str, conditions: dict[str, str] | None, progress: Progress | None = None) -> None:
        """Give a file that was written its name, and the object its content; conditions: of the object, None for none.

        The file comes first: what was written is kept even where it cannot be sent, and is then marked as pending.
        """
        with self.locked():
            before = self.record()
            self._keep_permissions(temporary, self.local())
            with open(temporary, "rb") as file:
                os.replace(temporary, os.path.realpath(self.path))
                local = fingerprint(file.fileno())
                if local is None:
                    raise S3ObjectError(f"{self.path} is gone")
                # What it replaces in the store, as far as that matters.
                etag = (conditions or {}).get("if_match", "" if before is None else before.etag)
                self._save(etag, None, local, pending=True)
                stored = self._send(file, local, conditions, progress)
            self.agreed(stored, local)
            log.debug("wrote %s", self.url)

    def is_changed(self) -> bool:
        """Whether file and object differ, or one of them is missing."""
        local, head, record = self.local(), self.head(), self.record()
        if local is None or head is None:
            return local is not None or head is not None
        if record is not None and not record.pending and head.etag and record.etag == head.etag:
            if self.records.is_as_it_was(record, local):
                return False
        return self._same(head) is not True

    def verify(self) -> None:
        """Read the file and compare it with the object, whatever was written down. HashMismatchError."""
        if self.local() is None:
            raise S3ObjectError(f"{self.path} is not there")
        head = self.session.head_object(self.key, bucket=self.bucket)
        same = self._same(head)
        if same is None:
            same = self._same_bytes(head)
        if not same:
            raise HashMismatchError(f"{self.path} does not have the content of {self.url}")

    def head(self) -> HeadResult | None:
        """What the store says of the object, None when there is none."""
        try:
            return self.session.head_object(self.key, bucket=self.bucket)
        except NotFound:
            return None

    def local(self) -> Fingerprint | None:
        """The file as it is now. S3ObjectError when it is something else."""
        try:
            mode = os.stat(self.path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise S3ObjectError(f"{self.path} is {kind}, and {self.url} is one object")
        return fingerprint(self.path)

    def record(self) -> Record | None:
        """What is known of the pair."""
        return self.records.load(self.path, self.url)

    def locked(self) -> AbstractContextManager[bool]:
        """Best effort against doing the same twice."""
        return locked(f"{self.records.place(self.path, self.url)}.lock")

    def agreed(self, result: ObjectResult, local: Fingerprint) -> None:
        """Write down that both are the same now."""
        self._save(result.etag, result.version_id, local, pending=False)

    def temporary(self) -> str:
        """The name of a new hidden file beside the file; the folder is made, and what the dead left in it is removed."""
        folder, name = os.path.split(os.path.realpath(self.path))
        try:
            os.makedirs(folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise S3ObjectError(f"{self.path} needs a folder where there is a file: {error.filename}") from error
        if (os.getpid(), folder) not in _swept:
            _swept.add((os.getpid(), folder))
            with reach(folder, []) as reached:
                sweep(reached)
        return os.path.join(folder, hidden_name(name))

    def _download(self, *, force: bool, verify: bool, progress: Progress | None) -> None:
        record, local = self.record(), self.local()
        is_clean = record is not None and not record.pending and self.records.is_as_it_was(record, local)
        # A store without ETags cannot be asked whether it is another object now.
        if record is not None and local is not None and is_clean and record.etag and not force:
            return self._refresh(record, local, verify=verify, progress=progress)
        if local is None:
            return self._fetch(None, verify=verify, progress=progress)
        head = self.session.head_object(self.key, bucket=self.bucket)
        if verify and self._same(head) is True:
            return self.agreed(head, local)
        if record is not None and not force and (record.pending or head.etag != record.etag):
            raise self._conflict(record)
        return self._fetch(local, verify=verify, progress=progress, **({"if_match": head.etag} if head.etag else {}))

    def _refresh(self, record: Record, local: Fingerprint, *, verify: bool, progress: Progress | None) -> None:
        """The file is as it was written down: ask for the object only if it is another one now."""
        try:
            self._fetch(local, verify=verify, progress=progress, if_none_match=record.etag)
        except NotModified:
            self.records.used(self.path, self.url)

    def _fetch(self, local: Fingerprint | None, *, verify: bool, progress: Progress | None, **conditions: str) -> None:
        temporary = self.temporary()
        try:
            try:
                result = self.session.download_file(
                    self.key,
                    temporary,
                    verify=None if verify else False,
                    progress=progress,
                    bucket=self.bucket,
                    if_match=conditions.get("if_match"),
                    if_none_match=conditions.get("if_none_match"),
                )
            except ChecksumMismatch as error:
                raise HashMismatchError(f"{self.url}: {error}") from error
            with open(temporary, "rb") as file:
                self._keep_permissions(temporary, local)
                if (mtime_ns := facts_of(result, ("mtime",)).mtime_ns) is not None:
                    os.utime(temporary, ns=(time.time_ns(), mtime_ns))
                if self.local() != local:
                    raise _ChangedMeanwhile(self.path)
                os.replace(temporary, os.path.realpath(self.path))
                published = fingerprint(file.fileno())
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        if published is not None:
            self.agreed(result, published)
        log.debug("downloaded %s to %s", self.url, self.path)

    def _send(
        self, body: Any, local: Fingerprint, conditions: dict[str, str] | None, progress: Progress | None
    ) -> ObjectResult:
        """Store the file under the conditions, as far as the store knows any."""
        is_b2 = self.url.startswith("b2:")
        options = described(self.key, Side(local.size, local.mtime_ns), ("mtime",), is_b2=is_b2)
        options["bucket"] = self.bucket
        if progress is not None:
            options["progress"] = progress
        # put_object names its keywords one by one, and each store its own.
        put: Any = self.session.upload_file if isinstance(body, str) else self.session.put_object
        arguments = (body, self.key) if isinstance(body, str) else (self.key, body)
        asked = conditions or {}
        if asked and not self.session.capabilities.conditional_writes:
            self._check(asked)
            asked = {}
        try:
            result: ObjectResult = put(*arguments, **options, **asked)
        except NotImplementedByStore:
            if not asked:
                raise
            if not isinstance(body, str):
                body.seek(0)
            result = put(*arguments, **options)
        except (PreconditionFailed, Conflict, NotFound) as error:
            # Where an object was to be replaced that is gone by now, S3 says that there is none.
            if isinstance(error, NoSuchBucket) or (isinstance(error, NotFound) and "if_match" not in asked):
                raise
            raise SyncConflict(f"{self.url} was changed by somebody else; nothing was overwritten") from error
        return result

    def _check(self, conditions: dict[str, str]) -> None:
        """For stores without conditions: a look just before, which leaves a moment in which another one may write."""
        head = self.head()
        if ("if_none_match" in conditions) is not (head is None) or (
            head is not None and head.etag != conditions.get("if_match", head.etag)
        ):
            raise SyncConflict(f"{self.url} was changed by somebody else; nothing was overwritten")

    def _save(self, etag: str, version_id: str | None, local: Fingerprint, *, pending: bool) -> None:
        md5, newest = None, max(local.mtime_ns, local.ctime_ns)
        if newest >= time.time_ns() - RACY_NS:
            # A change at this very moment would leave no trace in the times, so the content is noted, or they get past.
            if local.size <= _NOTED_MAX:
                md5 = digest_of(self.path)
            else:
                time.sleep(max(0, min(RACY_NS, newest + RACY_NS - time.time_ns())) / 1e9 + 0.001)
            if fingerprint(self.path) != local:
                return
        self.records.save(Record(self.url, self.path, local, etag, version_id, pending, time.time_ns(), md5))

    def _keep_permissions(self, temporary: str, local: Fingerprint | None) -> None:
        if local is not None:
            with suppress(OSError):
                os.chmod(temporary, stat.S_IMODE(os.stat(self.path).st_mode))

    def _conflict(self, record: Record) -> SyncConflict:
        if record.pending:
            return SyncConflict(
                f"{self.path} has content that never reached {self.url}: upload() it, or download(mirror=True) to lose it"
            )
        return SyncConflict(
            f"{self.path} and {self.url} have both changed since they were last the same: mirror=True says which one wins"
        )

    def _same(self, head: HeadResult) -> bool | None:
        from s3func.files.contents import same_content

        return same_content(self.path, self.session, self.bucket, self.key, head)

    def _same_bytes(self, head: HeadResult) -> bool:
        """Read both to the end: for objects of whose content the store tells nothing that can be compared."""
        conditions = {"if_match": head.etag} if head.etag else {}
        get: Any = self.session.get_object
        with get(self.key, bucket=self.bucket, **conditions) as remote, open(self.path, "rb") as file:
            for chunk in remote.iter_chunks(_BLOCK):
                if file.read(len(chunk)) != bytes(chunk):
                    return False
            return not file.read(1)


def _conditions(head: HeadResult | None) -> dict[str, str]:
    if head is None:
        return {"if_none_match": "*"}
    return {"if_match": head.etag} if head.etag else {}
