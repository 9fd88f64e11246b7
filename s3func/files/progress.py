"""What a person sees of a transfer, on stderr: a bar that grows, one line at the end, or nothing.

Rule: a bar is for a terminal. Where stderr is none, "progress" shows nothing, so that logs stay readable.
"""

from __future__ import annotations

import sys
import time
from threading import Lock
from typing import TYPE_CHECKING, Self

from s3func.files.config import checked_progress_mode

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

__all__ = ["ProgressBar"]

_WIDTH = 30
_EVERY_SECONDS = 0.1


class ProgressBar:
    """A count of bytes for one transfer: `update(n)` for each n more, or called with (done, total) as `progress=` is.

    Leaving the `with` block, or close(), ends it. Safe for threads.
    """

    def __init__(
        self, total: int | None = None, desc: str = "", mode: str | None = None, file: TextIO | None = None
    ) -> None:
        """total: bytes in all, None while nobody knows. mode: progress, compact, disabled; None as configured."""
        self.total = total
        self.desc = desc
        self.mode = checked_progress_mode(mode)
        self.done = 0
        self._file = file
        self._lock = Lock()
        self._drawn_at = 0.0
        self._is_drawn = False
        self._is_closed = False

    def update(self, count: int) -> None:
        """So many more bytes are done."""
        with self._lock:
            self.done += count
            self._draw()

    def __call__(self, done: int, total: int | None) -> None:
        """So many bytes are done, of so many in all."""
        with self._lock:
            self.done, self.total = done, total
            self._draw()

    def close(self) -> None:
        """Draw it as it stands, and end it. Closing twice is allowed."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self.mode == "compact":
                self._write(f"{self.desc}: {_bytes(self.done)}\n")
            elif self._is_drawn:
                self._write(f"\r{self._line()}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _draw(self) -> None:
        if self.mode != "progress" or self._is_closed or not self._is_terminal():
            return
        now = time.monotonic()
        if now - self._drawn_at >= _EVERY_SECONDS:
            self._drawn_at = now
            self._is_drawn = True
            self._write(f"\r{self._line()}")

    def _line(self) -> str:
        if not self.total:
            return f"{self.desc}: {_bytes(self.done)}"
        share = min(1.0, self.done / self.total)
        bar = "#" * int(share * _WIDTH)
        return f"{self.desc}: [{bar:<{_WIDTH}}] {share:4.0%} of {_bytes(self.total)}"

    def _is_terminal(self) -> bool:
        stream = self._file or sys.stderr
        return stream is not None and stream.isatty()

    def _write(self, text: str) -> None:
        stream = self._file or sys.stderr
        if stream is None:
            return
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            # Nobody looks any more; a transfer does not fail for that.
            self.mode = "disabled"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
