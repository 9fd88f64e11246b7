"""Dask reads and writes frames, in threads and in processes that find their credentials where they run."""

from __future__ import annotations

from tests.ecosystem.programs.stores import Store, main, module

dask, pandas, frames, bags = (module(name) for name in ("dask", "pandas", "dask.dataframe", "dask.bag"))


def parquet(store: Store) -> None:
    """A frame of several parts, whole and by column, in threads and in processes."""
    rows = pandas.DataFrame({"a": range(1000), "b": ["x", "y"] * 500})
    frames.from_pandas(rows, npartitions=4).to_parquet(f"{store.url}/frame", storage_options=store.options)
    found = frames.read_parquet(f"{store.url}/frame", storage_options=store.options)
    assert 4 == found.npartitions
    for scheduler in ("threads", "processes"):
        assert 499_500 == found.a.sum().compute(scheduler=scheduler), scheduler
    assert rows.equals(found.compute(scheduler="sync").sort_values("a").reset_index(drop=True).astype(rows.dtypes))


def what_has_changed(store: Store) -> None:
    """A folder that somebody else has written anew is read anew, by the same process and at once."""
    url = f"{store.url}/again.parquet"
    other = module("s3func.filesystem")
    outside = (other.S3FileSystem if store.protocol == "s3func" else other.B2FileSystem)(
        **store.options, skip_instance_cache=True
    )
    for value in (1, 2):
        with outside.open(f"{store.path}/again.parquet/part.0.parquet", "wb") as file:
            pandas.DataFrame({"a": [value] * 1000}).to_parquet(file)
        found = frames.read_parquet(url, storage_options=store.options)
        assert value * 1000 == found.a.sum().compute(scheduler="threads"), value


def csv(store: Store) -> None:
    """A file per part, found again by a pattern, and cut into blocks."""
    rows = pandas.DataFrame({"a": range(1000)})
    frames.from_pandas(rows, npartitions=3).to_csv(f"{store.url}/csv/*.csv", index=False, storage_options=store.options)
    found = frames.read_csv(f"{store.url}/csv/*.csv", blocksize=600, storage_options=store.options)
    assert found.npartitions > 3
    assert 499_500 == found.a.sum().compute(scheduler="threads")


def lines(store: Store) -> None:
    """Bags of text lines, packed."""
    bags.from_sequence(["one", "two", "three"], npartitions=2).to_textfiles(
        f"{store.url}/bag/*.txt.gz", storage_options=store.options, scheduler="threads"
    )
    found = bags.read_text(f"{store.url}/bag/*.txt.gz", storage_options=store.options)
    assert ["one", "three", "two"] == sorted(line.strip() for line in found.compute(scheduler="threads"))


def on_a_cluster(store: Store) -> None:
    """A real local cluster: frames and the filesystem itself travel to a worker's process."""
    if store.protocol != "s3func":
        return
    distributed = module("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(host="127.0.0.1", **options) as cluster, distributed.Client(cluster) as client:
        found = frames.read_parquet(f"{store.url}/frame", storage_options=store.options)
        assert 499_500 == found.a.sum().compute()
        assert client.submit(store.filesystem.find, f"{store.path}/frame").result()


if __name__ == "__main__":
    main(parquet, what_has_changed, csv, lines, on_a_cluster)
