"""Who asks: pyarrow, DuckDB and Dask ask in turns that are known, and then one request may answer two of their questions.

Nothing is kept for anybody else, and no bytes of another object are ever given out: a file is of the object whose bytes
came first, and what pyarrow believes of its size is proved by them.
"""

from __future__ import annotations

import sys
from types import FrameType


def is_pyarrow_opening() -> bool:
    """Whether our caller was called by pyarrow's FSSpecHandler, whose next step is to open the file that it asks about."""
    return _is_pyarrow("open_input_")


def is_pyarrow_inspecting() -> bool:
    """Whether our caller was called by pyarrow to see what a dataset's one path is: if it is a file, it is opened next, twice."""
    frame = _beyond()
    if frame is None or not _is_of_pyarrow(frame, "get_file_info"):
        return False
    above = frame.f_back
    return above is not None and str(above.f_globals.get("__name__")) in {"pyarrow.dataset", "pyarrow.parquet.core"}


def is_pyarrow_listing() -> bool:
    """Whether our caller was called by pyarrow's FSSpecHandler, which is about to open the files that it finds."""
    return _is_pyarrow("get_file_info_selector")


def _is_pyarrow(function: str) -> bool:
    frame = _beyond()
    return frame is not None and _is_of_pyarrow(frame, function)


def _is_of_pyarrow(frame: FrameType, function: str) -> bool:
    return frame.f_globals.get("__name__") == "pyarrow.fs" and frame.f_code.co_name.startswith(function)


def is_duckdb() -> bool:
    """Whether our caller was called by DuckDB: its threads have no frame of Python above ours."""
    frame = _beyond()
    return frame is None or str(frame.f_globals.get("__name__")).partition(".")[0] in {"duckdb", "_duckdb"}


def is_dask() -> bool:
    """Whether our caller was called by Dask, which lists a dataset and then asks for the checksum of each of its files."""
    frame = _beyond()
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "dask"


def _beyond() -> FrameType | None:
    """The first frame outside of this package and of fsspec, which calls us in the name of others."""
    try:
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 -- there is no other way to know
    except ValueError:
        return None
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if not name.startswith(("s3func.filesystem.", "fsspec.")):
            return frame
        frame = frame.f_back
    return None
