"""One process of the filesystem benchmark: one client does things several times; a line of JSON says what that cost.

    python filesystem_worker.py CLIENT ACTION,ACTION… BUCKET REPEATS [KEYS]

It is run by an interpreter that has pandas, pyarrow, Dask and DuckDB, for both clients the same. Between two repeats the
client forgets its listings, so that each is what a program meets that has just started.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PROTOCOLS = {"s3func": "s3func", "s3func, listings kept": "s3func", "s3fs": "s3", "s3fs, listings not kept": "s3"}
# Ours keeps no listings unless it is told to, s3fs does unless it is told not to.
_OPTIONS = {
    "s3func, listings kept": {"use_listings_cache": True},
    "s3fs, listings not kept": {"use_listings_cache": False},
}
MARKS = "marks"
"""No bucket: requests for it tell the server's journal what is being done."""
ROWS, GROUP_ROWS, COLUMNS, PARTS = 200_000, 10_000, 12, 8
SMALL_FILES, KEYS, RANGES = 200, 10_000, 200


class Job:
    """A client, a bucket, and the things that it does."""

    def __init__(self, client: str, bucket: str, keys: int = KEYS) -> None:
        self._keys = keys
        self.protocol, self.bucket = PROTOCOLS[client], bucket
        self.options = dict(_OPTIONS.get(client, {}))
        self.fs = import_module("fsspec").filesystem(self.protocol, **self.options)

    def url(self, name: str) -> str:
        return f"{self.protocol}://{self.bucket}/{name}"

    def read_columns(self) -> None:
        """Two of twelve columns of a file with twenty row groups."""
        assert len(self._pandas("one.parquet", columns=["c1", "c7"])) == ROWS

    def read_file(self) -> None:
        """The same file, whole."""
        assert len(self._pandas("one.parquet")) == ROWS

    def read_parts(self) -> None:
        """A folder of eight files, whole."""
        assert len(self._pandas("parts")) == ROWS

    def read_columns_of_parts(self) -> None:
        """Two columns of it."""
        assert len(self._pandas("parts", columns=["c1", "c7"])) == ROWS

    def read_one_part(self) -> None:
        """One part of it, by a filter."""
        assert len(self._pandas("parts", columns=["c1"], filters=[("part", "=", 2)])) == ROWS // PARTS

    def dask(self) -> None:
        """Dask's read_parquet of a column, in the threads of this process."""
        frame = import_module("dask.dataframe").read_parquet(
            self.url("parts"), columns=["c1"], storage_options=self.options
        )
        frame.c1.sum().compute(scheduler="threads")

    def duckdb(self) -> None:
        """DuckDB's sum over a pattern, through the registered filesystem."""
        with import_module("duckdb").connect() as connection:
            connection.register_filesystem(self.fs)
            found = connection.sql(f"select count(*), sum(c1) from '{self.url('parts/*/*.parquet')}'").fetchall()
        assert found[0][0] == ROWS

    def write_parts(self) -> None:
        """to_parquet into eight parts."""
        frame = _frame(ROWS // 10)
        frame.to_parquet(
            self.url(f"written/{time.monotonic_ns()}"), partition_cols=["part"], storage_options=self.options
        )

    def write_file(self) -> None:
        """to_parquet of one file of 2 MB."""
        _frame(ROWS // 10).to_parquet(self.url("written.parquet"), storage_options=self.options)

    def find(self) -> None:
        """The names of 10,000 objects."""
        assert len(self.fs.find(f"{self.bucket}/many")) == self._keys

    def glob(self) -> None:
        """Those of them that fit a pattern."""
        assert len(self.fs.glob(f"{self.bucket}/many/*/*.bin")) == self._keys

    def cat_ranges(self) -> None:
        """200 pieces of one object, a kilobyte each, some of them close to each other."""
        path = f"{self.bucket}/one.parquet"
        starts = [number * 100_000 + shift for number in range(RANGES // 2) for shift in (0, 3000)]
        pieces = self.fs.cat_ranges([path] * RANGES, starts, [start + 1000 for start in starts])
        assert [len(piece) for piece in pieces] == [1000] * RANGES

    def cat(self) -> None:
        """The bytes of 200 small objects."""
        assert len(self.fs.cat([f"{self.bucket}/small/{number}" for number in range(SMALL_FILES)])) == SMALL_FILES

    def get_and_put(self) -> None:
        """200 small files down and up again."""
        folder = Path(tempfile.mkdtemp())
        try:
            self.fs.get(f"{self.bucket}/small", str(folder / "files"), recursive=True)
            assert len(list((folder / "files").iterdir())) == SMALL_FILES
            self.fs.put(f"{folder}/files/", f"{self.bucket}/again/", recursive=True)
        finally:
            shutil.rmtree(folder)

    def make(self) -> None:
        """What the others read."""
        frame = _frame(ROWS)
        frame.to_parquet(self.url("one.parquet"), row_group_size=GROUP_ROWS)
        frame.to_parquet(self.url("parts"), partition_cols=["part"], row_group_size=GROUP_ROWS)
        self.fs.pipe({f"{self.bucket}/small/{number}": b"x" * 1000 for number in range(SMALL_FILES)})

    def _pandas(self, name: str, **more: Any) -> Any:
        return import_module("pandas").read_parquet(self.url(name), storage_options=self.options, **more)


ACTIONS = [name for name in vars(Job) if not name.startswith("_") and name not in {"url", "make"}]


def _frame(rows: int) -> Any:
    numpy = import_module("numpy")
    random = numpy.random.default_rng(1)
    columns = {f"c{number}": random.random(rows) for number in range(COLUMNS)}
    return import_module("pandas").DataFrame(columns | {"part": numpy.arange(rows) % PARTS})


def main() -> int:
    """Exit code 0; anything that goes wrong is a traceback."""
    client, actions, bucket, repeats = sys.argv[1:5]
    job = Job(client, bucket, *map(int, sys.argv[5:6]))
    samples: dict[str, list[tuple[float, float]]] = {}
    for action in actions.split(","):
        call: Callable[[], None] = getattr(job, action)
        if int(repeats) > 1:
            # Imports, connections and the region are there before anything is measured.
            call()
        for _ in range(int(repeats)):
            job.fs.invalidate_cache()
            _mark(action)
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            samples.setdefault(action, []).append((time.perf_counter() - wall, time.process_time() - cpu))
        _mark("")
    sys.stdout.write(json.dumps(samples) + "\n")
    return 0


def _mark(action: str) -> None:
    """A request that the server refuses and writes down: what follows it is of this action."""
    try:
        urllib.request.urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/{MARKS}/{action or 'none'}").close()
    except urllib.error.HTTPError as refusal:
        refusal.close()


if __name__ == "__main__":
    sys.exit(main())
