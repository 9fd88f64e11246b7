"""Ray Data reads and writes through the filesystem, in the workers of a local cluster of its own."""

from __future__ import annotations

import tempfile

from tests.ecosystem.programs.stores import Store, main, module

ray, data = module("ray"), module("ray.data")


def sets(store: Store) -> None:
    """Parquet, written by a worker and read by a worker."""
    folder, filesystem = f"{store.path}/ray", store.filesystem
    data.range(100, override_num_blocks=1).write_parquet(folder, filesystem=filesystem)
    rows = data.read_parquet(folder, filesystem=filesystem, override_num_blocks=1).take_all()
    assert list(range(100)) == sorted(row["id"] for row in rows)


def tasks(store: Store) -> None:
    """The filesystem travels to a worker, which has its credentials from where it runs."""

    def total(filesystem: object, path: str) -> int:
        sizes: int = filesystem.du(path)  # type: ignore[attr-defined]  # no types here
        return sizes

    assert ray.get(ray.remote(total).remote(store.filesystem, f"{store.path}/ray")) > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            object_store_memory=100 * 1024 * 1024,
            _temp_dir=folder,
            logging_level="ERROR",
            log_to_driver=False,
        )
        try:
            data.DataContext.get_current().enable_progress_bars = False
            main(sets, tasks)
        finally:
            ray.shutdown()
