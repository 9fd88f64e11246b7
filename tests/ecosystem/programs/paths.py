"""universal_pathlib: objects as paths, by entry point and without a warning."""

from __future__ import annotations

import warnings

from tests.ecosystem.programs.stores import Store, main, module

UPath = module("upath").UPath


def paths(store: Store) -> None:
    """Written, read, listed, renamed, deleted; parents end at the bucket."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = UPath(f"{store.url}/a/b.txt", **store.options)
        path.write_text("é")
        assert ("é", "b.txt", ".txt", f"{store.url}/a/b.txt") == (path.read_text(), path.name, path.suffix, str(path))
        assert 2 == path.stat().st_size
        assert ["b.txt"] == [each.name for each in path.parent.iterdir()]
        bucket = store.path.partition("/")[0]
        assert bucket == path.parents[-1].path.strip("/")
        (path.parent / "c" / "d.txt").write_bytes(b"d")
        assert ["b.txt", "d.txt"] == sorted(each.name for each in path.parent.rglob("*.txt"))
        path.rename(path.with_name("e.txt"))
        assert (False, True) == (path.exists(), path.with_name("e.txt").exists())
        with path.with_name("e.txt").open("rb") as file:
            assert "é".encode() == file.read()
        path.with_name("e.txt").unlink()
        assert not path.with_name("e.txt").exists()
        assert path.parent.is_dir()
        assert "s3func.filesystem.upath" == type(path).__module__


if __name__ == "__main__":
    main(paths)
