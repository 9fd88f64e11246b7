"""What a download that was broken off leaves for the next one: the bytes so far, and a journal of what they are.

Beside the target lie `.name.s3func-part` and `.name.s3func-journal`: lines of JSON, each behind its own CRC32, the first
of what is being downloaded, then one per block that was written, with the block's checksum.
Rule 1: nothing is believed. A block counts when the bytes in the file have the checksum in the journal.
Rule 2: a part holds bytes of one version of one object. For another version there is a new part, so that whoever still
        writes to the old one harms nobody. That holds where locks do nothing as well.
Rule 3: who has the lock of the part has its journal, too. Who does not get it works in a file of his own.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import zlib
from typing import TYPE_CHECKING, NamedTuple

from s3func.download.target import PathTarget, PositionedFile, beside, create, open_existing, remove
from s3func.wire.checksum import hasher

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMAT = 1
_READ_BYTES = 1024 * 1024
_OPEN_JOURNAL = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


class Subject(NamedTuple):
    """What is being downloaded: one version of one object, and how its blocks are remembered.

    source: where it is from. etag: as the store wrote it. algorithm: of the blocks. checksum: what the whole object is
    compared with, algorithm and base64.
    """

    source: str
    version_id: str | None
    etag: str
    size: int
    algorithm: str
    checksum: tuple[str, str] | None


class Written(NamedTuple):
    """One block that is in the file."""

    start: int
    length: int
    digest: bytes


class PartTarget(PathTarget):
    """A PathTarget whose hidden file is found again by a later call."""

    def __init__(self, path: str, source: str) -> None:
        """Look for what an earlier call has left, and lock it. source: what the object must have come from."""
        super().__init__(path)
        self._part = beside(path, "s3func-part")
        self._journal_path = beside(path, "s3func-journal")
        self._journal: int | None = None
        self.found: Subject | None = None
        self.written: list[Written] = []
        self._is_useful = False
        self._part_descriptor = self._lock_part()
        if self._part_descriptor is not None:
            self.temporary = self._part
            self._read_journal(source)
            self._is_useful = self.found is not None

    def begin(self, size: int | None) -> None:
        """A new part for another object or version; a file of our own where another process is at work on one."""
        self.discard()
        self.found, self.written, self._is_useful = None, [], False
        descriptor = self._create_part()
        if descriptor is None:
            super().begin(size)
            return
        self.adopt(self._part, descriptor, size)

    def go_on(self) -> None:
        """Write to the part that was found; it is found once."""
        found, self.found = self.found, None
        descriptor, self._part_descriptor = self._part_descriptor, None
        assert found is not None
        assert descriptor is not None
        self.adopt(self._part, descriptor, found.size)
        # Written anew: the old one may end in the middle of a line, and have lines that were refuted.
        self._begin_journal(found)

    def describe(self, subject: Subject) -> None:
        """Begin the journal of a new part."""
        if self.temporary == self._part:
            self._begin_journal(subject)

    def note(self, written: Written) -> None:
        """One more block is in the file; from any thread."""
        if self._journal is not None:
            os.write(self._journal, _line(_row(written)))
            self._is_useful = True

    def publish(self, size: int, *, fsync: bool) -> None:
        """Take the part out of everybody's reach, then give it its name."""
        if self.temporary == self._part:
            self._close_journal()
            remove(self._journal_path)
            private = beside(self.path, "s3func", secrets.token_hex(8))
            self.temporary = ""
            try:
                os.rename(self._part, private)
                if not self._is_ours(private):
                    os.rename(private, self._part)
                    raise FileNotFoundError
            except FileNotFoundError:
                # Only where locks do nothing: another process has finished this part, or begun one of its own.
                raise OSError(errno.EBUSY, "another process is downloading to the same path", self.path) from None
            self.temporary = private
        super().publish(size, fsync=fsync)

    def discard(self, *, keep: bool = False) -> None:
        """Remove part and journal, unless there is something in them that a later call can use."""
        self._close_journal()
        if self.temporary == self._part:
            if keep and self._is_useful:
                self.temporary = ""
            else:
                # The part goes last: as long as it is there, nobody begins a new journal.
                remove(self._journal_path)
        super().discard()
        if self._part_descriptor is not None:
            os.close(self._part_descriptor)
            self._part_descriptor = None

    def _begin_journal(self, subject: Subject) -> None:
        private = beside(self.path, "s3func-journal", secrets.token_hex(8))
        journal = os.open(private, _OPEN_JOURNAL, 0o600)
        try:
            os.write(journal, render_journal(subject, self.written))
            os.replace(private, self._journal_path)
        except BaseException:
            os.close(journal)
            remove(private)
            raise
        self._journal = journal

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            os.close(journal)

    def _lock_part(self) -> int | None:
        """The part that is there, locked; None where there is none or somebody else has it."""
        for _ in range(3):
            try:
                descriptor = open_existing(self._part)
            except OSError:
                return None
            try:
                if not lock(descriptor):
                    os.close(descriptor)
                    return None
                if _same_file(self._part, descriptor):
                    return descriptor
            except OSError:
                pass
            # Between opening and locking it got its final name: there may be a new one.
            os.close(descriptor)
        return None

    def _create_part(self) -> int | None:
        try:
            descriptor = create(self._part, self._mode)
        except FileExistsError:
            return None
        try:
            if lock(descriptor) and _same_file(self._part, descriptor):
                return descriptor
        except OSError:
            # Nobody has a lock on it, and nobody is going to: no later call could use it.
            remove(self._part)
        os.close(descriptor)
        return None

    def _is_ours(self, path: str) -> bool:
        return self._file is not None and _same_file(path, self._file.descriptor)

    def _read_journal(self, source: str) -> None:
        """Believe what can be proved; what is of another object or beyond reading is as good as nothing."""
        assert self._part_descriptor is not None
        try:
            with open(self._journal_path, "rb") as file:
                subject, written = parse_journal(file.read())
            if subject.source == source:
                self.written = [
                    block for block in written if _is_there(self._part_descriptor, block, subject.algorithm)
                ]
                self.found = subject if self.written else None
        except (OSError, ValueError):
            return


def _line(content: object) -> bytes:
    text = json.dumps(content).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _row(written: Written) -> list[object]:
    return [written.start, written.length, written.digest.hex()]


def render_journal(subject: Subject, written: Iterable[Written]) -> bytes:
    """A line of what it is about and one per block, each behind its own CRC32."""
    return b"".join([_line({"s3func": _FORMAT, **subject._asdict()}), *(_line(_row(block)) for block in written)])


def parse_journal(text: bytes) -> tuple[Subject, list[Written]]:
    """The subject and the blocks in order; ValueError for what no download has written.

    A line that is damaged or was not finished is passed over: that block is fetched again.
    """
    lines = []
    for line in text.split(b"\n"):
        check, _, content = line.partition(b" ")
        if check == b"%08x" % zlib.crc32(content):
            lines.append(content)
    try:
        head, *rows = [json.loads(line) for line in lines]
        checksum = head["checksum"]
        subject = Subject(
            head["source"],
            head["version_id"],
            head["etag"],
            head["size"],
            head["algorithm"],
            None if checksum is None else (checksum[0], checksum[1]),
        )
        blocks = sorted({Written(row[0], row[1], bytes.fromhex(row[2])) for row in rows})
        valid = head["s3func"] == _FORMAT and _is_valid(subject)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("not a journal") from error
    position = 0
    for block in blocks:
        numbers = type(block.start) is int and type(block.length) is int
        if not valid or not numbers or block.start < position or block.length < 1:
            raise ValueError("not a journal")
        position = block.start + block.length
    if not valid or position > subject.size:
        raise ValueError("not a journal")
    return subject, blocks


def _is_valid(subject: Subject) -> bool:
    texts = [subject.source, subject.etag, subject.algorithm, *(subject.checksum or ())]
    if subject.version_id is not None:
        texts.append(subject.version_id)
    hasher(subject.algorithm)
    return all(isinstance(text, str) for text in texts) and type(subject.size) is int and subject.size >= 0


def _is_there(descriptor: int, block: Written, algorithm: str) -> bool:
    """Whether the file holds these bytes: after a power failure the journal may know more than the disk."""
    file = PositionedFile(descriptor)
    digest = hasher(algorithm)
    buffer = memoryview(bytearray(min(block.length, _READ_BYTES)))
    position, end = block.start, block.start + block.length
    while position < end:
        count = file.readinto(buffer[: min(len(buffer), end - position)], position)
        if not count:
            return False
        digest.update(buffer[:count])
        position += count
    return digest.digest() == block.digest


def lock(descriptor: int) -> bool:
    """Whether the lock of the file is ours now, rather than somebody else's; OSError where files have no locks.

    It ends with the descriptor, and with the process. Never waits.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOLCK, "this system has no locks of files") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False
