"""pyarrow reads and writes datasets through an fsspec filesystem, and by a URL that says so."""

from __future__ import annotations

from tests.ecosystem.programs.stores import Store, main, module

pyarrow, dataset, parquet, fs = (
    module(name) for name in ("pyarrow", "pyarrow.dataset", "pyarrow.parquet", "pyarrow.fs")
)
TABLE = pyarrow.table(
    {"n": list(range(10_000)), "x": [n / 7 for n in range(10_000)], "part": [n % 3 for n in range(10_000)]}
)


def through_the_filesystem(store: Store) -> None:
    """A dataset in parts: written by several threads of pyarrow, filtered, and counted."""
    folder, filesystem = f"{store.path}/set", store.filesystem
    dataset.write_dataset(
        TABLE, folder, filesystem=filesystem, format="parquet", partitioning=["part"], partitioning_flavor="hive",
        max_rows_per_group=500, max_rows_per_file=1000, min_rows_per_group=500,
    )  # fmt: skip
    whole = dataset.dataset(folder, filesystem=filesystem, partitioning="hive")
    back = whole.to_table(columns=["n", "x", "part"]).sort_by("n")
    assert TABLE.column("n").equals(back.column("n"))
    assert TABLE.column("x").equals(back.column("x"))
    assert 3333 == whole.count_rows(filter=dataset.field("part") == 1)
    assert 10 == whole.to_table(filter=dataset.field("n") < 10).num_rows
    files = store.filesystem.find(folder)
    assert len(files) >= 12, files
    assert all(name.endswith(".parquet") for name in files), files


def through_the_handler(store: Store) -> None:
    """What pyarrow itself does with a filesystem: look, read, write, copy, move, delete."""
    arrow = fs.PyFileSystem(fs.FSSpecHandler(store.filesystem))
    path = f"{store.path}/handled"
    with arrow.open_output_stream(f"{path}/a") as stream:
        stream.write(b"0123456789" * 100_000)
    with arrow.open_input_file(f"{path}/a") as file:
        assert 1_000_000 == file.size()
        file.seek(999_995)
        assert b"56789" == file.read()
        assert b"345" == file.read_at(3, 500_003)
    arrow.copy_file(f"{path}/a", f"{path}/b")
    arrow.move(f"{path}/b", f"{path}/c")
    found = {info.base_name: info.size for info in arrow.get_file_info(fs.FileSelector(path))}
    assert {"a": 1_000_000, "c": 1_000_000} == found
    assert fs.FileType.NotFound == arrow.get_file_info(f"{path}/b").type
    arrow.delete_dir(path)
    assert fs.FileType.NotFound == arrow.get_file_info(path).type


def through_a_url(store: Store) -> None:
    """fsspec+s3func:// is how pyarrow is told that fsspec knows the protocol; it passes no options on."""
    if store.options:
        return
    found, path = fs.FileSystem.from_uri(f"fsspec+{store.url}/set")
    assert f"{store.path}/set" == path
    assert 10_000 == dataset.dataset(path, filesystem=found, partitioning="hive").count_rows()
    assert 10_000 == parquet.read_table(path, filesystem=found).num_rows


def what_is_replaced(store: Store) -> None:
    """A file that is replaced while it is open is an error, and never a mix of two."""
    small, large = f"{store.path}/r.parquet", TABLE.slice(0, 5000)
    big = pyarrow.table({f"c{n}": pyarrow.array(range(60_000)) for n in range(8)})
    parquet.write_table(big, small, filesystem=store.filesystem, compression="none", use_dictionary=False)
    file = parquet.ParquetFile(store.filesystem.open(small))
    parquet.write_table(large, small, filesystem=store.filesystem)
    try:
        rows = file.read(columns=["c0"]).num_rows
    except Exception as error:
        assert "replaced" in str(error), error
    else:
        # B2 reads the version that was opened.
        assert (60_000, "b2") == (rows, store.protocol)


if __name__ == "__main__":
    main(through_the_filesystem, through_the_handler, through_a_url, what_is_replaced)
