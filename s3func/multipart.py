"""UploadInParts: what the hand-held uploads of every store have in common: who may do what when, and how they end.

Rule 1: it publishes what was sent, all of it, or nothing: a part that failed and was not sent again forbids completion,
        and an exception inside the `with` block aborts.
Rule 2: nothing that is stored is forgotten: a part that arrives after the upload was aborted aborts it again.
Rule 3: what a complete() of the caller's own was refused is not tried again at the end of the block, without its
        conditions: the upload is aborted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from s3func.errors import NoSuchUpload, S3FuncError

if TYPE_CHECKING:
    from types import TracebackType

Part = TypeVar("Part")


class UploadInParts(ABC, Generic[Part]):
    """An upload that was begun; safe for threads, and a context manager.

    Leaving the block cleanly completes the upload with the parts that were sent; an exception aborts it, so that it
    leaves neither an object nor parts, and so does a complete() of the caller's own that failed. Once it is completed
    or aborted, any further use is a ValueError.
    """

    def __init__(self, bucket: str, key: str, upload_id: str) -> None:
        """The upload is known to the store by these."""
        self.bucket = bucket
        self.key = key
        self.upload_id = upload_id
        self._lock = Lock()
        self._parts: dict[int, Part] = {}
        self._failed: set[int] = set()
        self._under_way = 0
        # What has become of it: "" while parts may be sent.
        self._end = ""
        self._was_refused = False

    @abstractmethod
    def complete(self) -> object:
        """Make the object of the parts that were sent, in the order of their numbers."""

    @abstractmethod
    def _give_back(self) -> None:
        """Ask the store to forget the upload; NoSuchUpload when it has."""

    def _leave(self) -> None:
        """There is nothing more to be done."""

    def abort(self) -> None:
        """Give up the upload and what was sent of it. An upload that the store does not know any more is no error.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        with self._lock:
            # An abort that failed may be tried again, but the upload never becomes usable again.
            if self._end != "being aborted":
                self._check_open()
            self._end = "being aborted"
        self._abort()
        self._end = "aborted"
        self._leave()

    def _abort(self) -> None:
        try:
            self._give_back()
        except NoSuchUpload:
            pass

    @contextmanager
    def _sending(self, number: int) -> Iterator[list[Part]]:
        """A part is under way; whoever sends it appends it when the store has it."""
        with self._lock:
            self._check_open()
            self._under_way += 1
            self._failed.add(number)
        sent: list[Part] = []
        try:
            yield sent
        finally:
            with self._lock:
                self._under_way -= 1
                if sent:
                    self._parts[number] = sent[0]
                    self._failed.discard(number)
                is_last = self._end in {"being aborted", "aborted"} and not self._under_way
            if is_last:
                # It may have arrived after the abort, and would be stored, and paid for, for ever.
                try:
                    self._abort()
                except S3FuncError:
                    pass

    @contextmanager
    def _completing(self) -> Iterator[list[Part]]:
        """The parts, in order; ValueError while some are missing. The upload is completed unless the block raises."""
        with self._lock:
            self._check_open()
            if self._under_way:
                raise ValueError(f"{self._under_way} parts are still under way: the upload cannot be completed yet")
            if self._failed:
                raise ValueError(f"part {min(self._failed)} failed and was not sent again: the object would lack it")
            if not self._parts:
                raise ValueError("no part was sent: no object is made of nothing, not even an empty one")
            parts = [self._parts[number] for number in sorted(self._parts)]
            self._end = "being completed"
        completed = False
        try:
            yield parts
            completed = True
        finally:
            self._was_refused = not completed
            self._end = "completed" if completed else ""
        self._leave()

    def __enter__(self) -> Self:
        with self._lock:
            self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._end in {"completed", "aborted"}:
            return
        if error is None and not self._end and not self._was_refused:
            try:
                self.complete()
            except BaseException as failure:
                self._give_up(failure)
                raise
        else:
            self._give_up(error)

    def _give_up(self, error: BaseException | None) -> None:
        """Abort; that this failed is told beside what happened before, not in its place."""
        try:
            self.abort()
        except S3FuncError as failure:
            if error is None:
                raise
            error.add_note(f"The upload {self.upload_id} of {self.key!r} could not be aborted: {failure}")

    def _check_open(self) -> None:
        if self._end:
            is_over = "is" if self._end.startswith("being") else "was"
            raise ValueError(f"the upload {is_over} {self._end}")

    def __repr__(self) -> str:
        state = f" {self._end}" if self._end else ""
        return f"<{type(self).__name__} {self.upload_id} of {self.key!r} in {self.bucket!r}{state}>"
