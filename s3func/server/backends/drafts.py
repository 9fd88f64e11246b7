"""What every draft of every store has in common: it is open until it is committed, aborted or left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from s3func.server.backend import Guard, ObjectAttributes, Part, StoredObject
from s3func.server.powers import Upload

Publish = Callable[[ObjectAttributes, Guard | None], StoredObject]


class Draft:
    """What is not visible yet; leaving the `with` block throws it away."""

    _open = True

    def abort(self) -> None:
        """Throw it away; without effect once it is committed."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError("the draft has been committed or aborted")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class UploadCompletion(Draft):
    """An upload to become an object, or one that has become one."""

    def __init__(self, publish: Publish, upload: Upload, parts: Sequence[Part], completed: StoredObject | None) -> None:
        self.upload = upload
        self.parts = parts
        self.completed = completed
        self._publish = publish

    def commit(self, attributes: ObjectAttributes, guard: Guard | None = None) -> StoredObject:
        """Make the object, once."""
        self._check_open()
        self.abort()
        return self._publish(attributes, guard)


class Reader:
    """What is open until it is closed or left."""

    def close(self) -> None:
        """Let go of what is held; here it is nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
