"""Zarr 3 and xarray: arrays in many small objects, and netCDF files that are read where they lie."""

from __future__ import annotations

import warnings

from tests.ecosystem.programs.stores import Store, main, module

numpy, zarr, xarray = (module(name) for name in ("numpy", "zarr", "xarray"))
# Not in the specification, says Zarr of what xarray writes by default.
warnings.filterwarnings("ignore", message="Consolidated metadata")


def arrays(store: Store) -> None:
    """An array by URL: written in chunks and in shards, read in part, extended; a group of them."""
    values = numpy.arange(10_000).reshape(100, 100)
    for name, more in (("plain", {}), ("sharded", {"shards": (50, 50)})):
        url = f"{store.url}/{name}.zarr"
        made = zarr.create_array(
            url, shape=(100, 100), chunks=(10, 10), dtype="i8", storage_options=store.options, **more
        )
        made[:] = values
        back = zarr.open_array(url, mode="r", storage_options=store.options)
        assert (values == back[:]).all()
        assert (values[3:7, 90:] == back[3:7, 90:]).all()
    group = zarr.open_group(f"{store.url}/group.zarr", mode="w", storage_options=store.options)
    group.create_array("x", shape=(5,), dtype="i4")[:] = 7
    group.attrs["unit"] = "K"
    back = zarr.open_group(f"{store.url}/group.zarr", mode="r", storage_options=store.options)
    assert (["x"], "K", 35) == (sorted(back.array_keys()), back.attrs["unit"], int(back["x"][:].sum()))


def filesystem_of_ours(store: Store) -> None:
    """A store over the filesystem itself, which is wrapped: Zarr asks for one that can be awaited."""
    wrapper = module("fsspec.implementations.asyn_wrapper").AsyncFileSystemWrapper
    made = zarr.storage.FsspecStore(wrapper(store.filesystem, asynchronous=True), path=f"{store.path}/plain.zarr")
    assert 49_995_000 == int(zarr.open_array(made, mode="r")[:].sum())


def sets(store: Store) -> None:
    """xarray on Zarr, lazily and with an append; netCDF through an open file."""
    data = xarray.Dataset({"t": (("x", "y"), numpy.random.default_rng(1).random((20, 30)))}, {"x": numpy.arange(20)})
    data.to_zarr(f"{store.url}/set.zarr", storage_options=store.options)
    data.assign_coords(x=data.x + 20).to_zarr(f"{store.url}/set.zarr", append_dim="x", storage_options=store.options)
    back = xarray.open_zarr(f"{store.url}/set.zarr", storage_options=store.options, chunks=None)
    assert 40 == back.sizes["x"]
    assert (data.t.values == back.t.values[:20]).all()
    with store.filesystem.open(f"{store.path}/set.nc", "wb") as file:
        file.write(bytes(data.to_netcdf(engine="h5netcdf")))
    with store.filesystem.open(f"{store.path}/set.nc") as file, xarray.open_dataset(file, engine="h5netcdf") as back:
        assert (data.t.values == back.t.values).all()


if __name__ == "__main__":
    main(arrays, filesystem_of_ours, sets)
