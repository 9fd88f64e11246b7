"""pandas reads and writes Parquet, CSV (plain, packed, zipped), Excel's cousins JSON and pickle by URL."""

from __future__ import annotations

from tests.ecosystem.programs.stores import Store, main, module

pandas = module("pandas")
FRAME = pandas.DataFrame(
    {"n": range(1000), "text": [f"row {n} é" for n in range(1000)], "part": [n % 4 for n in range(1000)]}
)


def parquet(store: Store) -> None:
    """One file, some of its columns, and a folder in parts with a filter."""
    FRAME.to_parquet(f"{store.url}/one.parquet", storage_options=store.options, row_group_size=100)
    back = pandas.read_parquet(f"{store.url}/one.parquet", storage_options=store.options)
    assert FRAME.equals(back)
    some = pandas.read_parquet(f"{store.url}/one.parquet", columns=["n"], storage_options=store.options)
    assert FRAME[["n"]].equals(some)
    FRAME.to_parquet(f"{store.url}/parts", partition_cols=["part"], storage_options=store.options)
    two = pandas.read_parquet(f"{store.url}/parts", filters=[("part", "=", 2)], storage_options=store.options)
    assert sorted(FRAME[FRAME.part == 2].n) == sorted(two.n)
    assert 1000 == len(pandas.read_parquet(f"{store.url}/parts", storage_options=store.options))


def texts(store: Store) -> None:
    """CSV as it is, as .gz and .zip, in chunks; JSON lines; pickles."""
    for name in ("t.csv", "t.csv.gz", "t.csv.zip", "t.csv.bz2"):
        FRAME.to_csv(f"{store.url}/{name}", index=False, storage_options=store.options)
        assert FRAME.equals(pandas.read_csv(f"{store.url}/{name}", storage_options=store.options)), name
    with pandas.read_csv(f"{store.url}/t.csv", chunksize=300, storage_options=store.options) as chunks:
        assert [300, 300, 300, 100] == [len(chunk) for chunk in chunks]
    FRAME.to_json(f"{store.url}/t.jsonl", orient="records", lines=True, storage_options=store.options)
    assert FRAME.equals(pandas.read_json(f"{store.url}/t.jsonl", lines=True, storage_options=store.options))
    FRAME.to_pickle(f"{store.url}/t.pkl", storage_options=store.options)
    assert FRAME.equals(pandas.read_pickle(f"{store.url}/t.pkl", storage_options=store.options))


def columns(store: Store) -> None:
    """Feather and the engine's own file objects."""
    FRAME.to_feather(f"{store.url}/t.feather", storage_options=store.options)
    assert FRAME.equals(pandas.read_feather(f"{store.url}/t.feather", storage_options=store.options))
    with store.filesystem.open(f"{store.path}/one.parquet") as file:
        assert FRAME.equals(pandas.read_parquet(file))


def missing(store: Store) -> None:
    """What is not there is FileNotFoundError, as it is with files."""
    for name in ("no.parquet", "no.csv"):
        reader = pandas.read_parquet if name.endswith("parquet") else pandas.read_csv
        try:
            reader(f"{store.url}/{name}", storage_options=store.options)
        except FileNotFoundError:
            continue
        raise AssertionError(name)


def install_for_s3(store: Store) -> None:
    """install() makes s3:// ours, for those who have such URLs everywhere."""
    if store.protocol != "s3func":
        return
    module("s3func.filesystem").install()
    url = store.url.replace("s3func://", "s3://")
    assert FRAME.equals(pandas.read_parquet(f"{url}/one.parquet"))
    assert "s3func.filesystem.filesystem" == type(module("fsspec").filesystem("s3")).__module__


if __name__ == "__main__":
    main(parquet, texts, columns, missing, install_for_s3)
