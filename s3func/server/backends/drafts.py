"""What every draft of every store has in common: it is open until it is committed, aborted or left."""

from __future__ import annotations

from types import TracebackType
from typing import Self


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
