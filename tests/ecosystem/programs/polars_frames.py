"""Polars reads and writes with its own client, told by a session, and through open files."""

from __future__ import annotations

import sys

from tests.ecosystem.programs.stores import Store, main, module

polars = module("polars")
FRAME = polars.DataFrame({"n": range(1000), "text": [f"row {n}" for n in range(1000)]})


def own_client(store: Store) -> None:
    """s3:// with the options of a session, S3's or B2's: what one wrote the other reads."""
    api = module("s3func")
    bucket = store.path.partition("/")[0]
    session = (
        api.S3Session(bucket=bucket) if store.protocol == "s3func" else api.B2Session(bucket=bucket, realm=sys.argv[3])
    )
    with session:
        options = session.polars_storage_options()
    FRAME.write_parquet(f"s3://{store.path}/own.parquet", storage_options=options)
    found = polars.scan_parquet(f"s3://{store.path}/*.parquet", storage_options=options)
    assert 499_500 == found.select(polars.col("n").sum()).collect().item()
    with store.filesystem.open(f"{store.path}/own.parquet") as file:
        assert FRAME.equals(polars.read_parquet(file))


def open_files(store: Store) -> None:
    """Any format that takes a file, and datasets of pyarrow over the filesystem."""
    with store.filesystem.open(f"{store.path}/files/one.parquet", "wb") as file:
        FRAME.write_parquet(file)
    with store.filesystem.open(f"{store.path}/files/one.csv", "wb") as file:
        FRAME.write_csv(file)
    with store.filesystem.open(f"{store.path}/files/one.csv") as file:
        assert FRAME.equals(polars.read_csv(file))
    rows = module("pyarrow.dataset").dataset(f"{store.path}/files/one.parquet", filesystem=store.filesystem)
    assert 10 == polars.scan_pyarrow_dataset(rows).filter(polars.col("n") < 10).collect().height


if __name__ == "__main__":
    main(own_client, open_files)
