"""What pyarrow's S3FileSystem (the C++ SDK of AWS) is asked to do; an assertion is the exit status of the process.

It sends bodies with Transfer-Encoding: chunked and a checksum behind them (STREAMING-UNSIGNED-PAYLOAD-TRAILER).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from typing import Any

pyarrow: Any = importlib.import_module("pyarrow")
dataset: Any = importlib.import_module("pyarrow.dataset")
fs: Any = importlib.import_module("pyarrow.fs")
parquet: Any = importlib.import_module("pyarrow.parquet")

BUCKET = os.environ["S3_BUCKET"]
s3: Any = fs.S3FileSystem(
    endpoint_override=os.environ["S3_ADDRESS"],
    scheme="http",
    region=os.environ["AWS_REGION"],
    allow_bucket_creation=True,
    allow_bucket_deletion=True,
)


def table_of(rows: int) -> Any:
    """A table with text and numbers."""
    return pyarrow.table({"n": list(range(rows)), "text": [f"row {n} é" for n in range(rows)]})


def tables() -> None:
    """A table that was written as Parquet is read back, whole and one column of it, and as a partitioned dataset."""
    table = table_of(50_000)
    path = f"{BUCKET}/tables/one table.parquet"
    parquet.write_table(table, path, filesystem=s3, row_group_size=10_000)
    assert table.equals(parquet.read_table(path, filesystem=s3))
    assert table.select(["n"]).equals(parquet.read_table(path, filesystem=s3, columns=["n"]))
    parts = table.append_column("part", pyarrow.array([n % 3 for n in range(50_000)]))
    partitioning = dataset.partitioning(pyarrow.schema([("part", pyarrow.int64())]), flavor="hive")
    folder = f"{BUCKET}/dataset"
    dataset.write_dataset(parts, folder, filesystem=s3, format="parquet", partitioning=partitioning)
    back = dataset.dataset(folder, filesystem=s3, partitioning=partitioning).to_table().sort_by("n")
    assert parts.select(["n", "text", "part"]).equals(back.select(["n", "text", "part"]))


def files() -> None:
    """A stream of 20 MiB arrives whole; files are found, read in the middle, copied, moved and deleted."""
    body = hashlib.shake_128(b"stream").digest(20 * 1024 * 1024)
    with s3.open_output_stream(f"{BUCKET}/dir/large", metadata={"Content-Type": "x/y"}) as stream:
        for start in range(0, len(body), 1_000_000):
            stream.write(body[start : start + 1_000_000])
    with s3.open_input_file(f"{BUCKET}/dir/large") as file:
        assert len(body) == file.size()
        file.seek(12_345_678)
        assert body[12_345_678:12_345_778] == file.read(100)
        file.seek(0)
        assert body == file.read()
    with s3.open_output_stream(f"{BUCKET}/dir/empty"):
        pass
    s3.copy_file(f"{BUCKET}/dir/large", f"{BUCKET}/dir/copy é")
    s3.move(f"{BUCKET}/dir/copy é", f"{BUCKET}/dir/moved é")
    found = {info.base_name: info.size for info in s3.get_file_info(fs.FileSelector(f"{BUCKET}/dir"))}
    assert {"empty": 0, "large": len(body), "moved é": len(body)} == found
    s3.delete_dir_contents(f"{BUCKET}/dir")
    assert [] == s3.get_file_info(fs.FileSelector(f"{BUCKET}/dir"))
    s3.create_dir("arrow-made")
    s3.delete_dir("arrow-made")
    assert fs.FileType.NotFound == s3.get_file_info("arrow-made").type


if __name__ == "__main__":
    globals()[sys.argv[1]]()
