"""A ready progress bar for transfers: `session.download_file(key, path, progress=tqdm_progress("model.bin"))`.

tqdm comes with `s3func[cli]` and is imported when a bar is made, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["TqdmProgress", "tqdm_progress"]


class TqdmProgress:
    """A tqdm bar as a `progress=` function. One may serve several transfers, one after the other: each has a bar.

    A bar ends with its transfer. Leaving a `with` block, or close(), ends that of one that failed.
    """

    def __init__(self, factory: Any, options: dict[str, Any]) -> None:
        """factory: tqdm itself. options: of each bar."""
        self._factory = factory
        self._options = options
        self._bar: Any = None

    def __call__(self, done: int, total: int | None) -> None:
        """So many bytes are done, of so many in all (None while nobody knows)."""
        bar = self._bar
        if bar is None:
            bar = self._bar = self._factory(total=total, **self._options)
        if bar.total != total:
            bar.total = total
        if done >= bar.n:
            bar.update(done - bar.n)
        else:
            # A transfer that had to be begun again, and whose object is shorter now.
            bar.n = done
        if done == total:
            bar.refresh()
            self.close()

    def close(self) -> None:
        """End the bar as it stands. Closing twice is allowed."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def tqdm_progress(desc: str | None = None, **options: Any) -> TqdmProgress:
    """A progress bar in bytes, shown on a terminal only, to be given to a transfer as `progress=`.

    desc: what stands before the bar. options: further arguments of tqdm (`disable=False` shows it everywhere, `leave`,
    `position`, `file` …). ImportError without tqdm. https://tqdm.github.io/docs/tqdm/
    """
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError("tqdm_progress needs tqdm, which comes with s3func[cli]", name="tqdm") from error
    usual = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "disable": None}
    return TqdmProgress(tqdm, {"desc": desc, **usual, **options})
