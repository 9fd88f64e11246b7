from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3func.cli import material
from s3func.cli.material import from_directory, from_python


def names(files: list[material.File]) -> list[str]:
    return [file.key for file in files]


def test_keys_are_paths_below_the_directory_in_byte_order(tmp_path: Path) -> None:
    """A file's key is the directory's name and the path below it, and keys come in the order of a listing."""
    root = tmp_path / "data"
    for name in ("b.txt", "a/x.txt", "a-z.txt", "a.txt", "é.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())

    chosen = from_directory(root, 1000)

    assert ["data/a-z.txt", "data/a.txt", "data/a/x.txt", "data/b.txt", "data/é.txt"] == names(chosen.files)
    assert [7, 5, 7, 5, 6] == [file.size for file in chosen.files]


def test_links_and_unreadable_files_are_left_alone(tmp_path: Path) -> None:
    """Symbolic links are not followed, and what this user may not read is not among the material."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "file").write_bytes(b"1")
    (root / "locked").write_bytes(b"2")
    (root / "locked").chmod(0)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"3")
    (root / "link").symlink_to(tmp_path / "outside" / "secret")
    (root / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe")

    expected = ["data/file", "data/locked"] if os.access(root / "locked", os.R_OK) else ["data/file"]
    assert expected == names(from_directory(root, 1000).files)


def test_size_limit_holds_for_the_total(tmp_path: Path) -> None:
    """The chosen files are never more bytes than the limit, and the rest is counted."""
    for number in range(10):
        (tmp_path / str(number)).write_bytes(b"x" * 100)

    chosen = from_directory(tmp_path, 450)

    assert 4 == len(chosen.files)
    assert 6 == chosen.left_out


def test_large_files_get_their_half_of_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small files do not crowd out the large ones, and a large one beyond the limit is left out."""
    monkeypatch.setattr(material, "LARGE", 1000)
    for number in range(20):
        (tmp_path / f"small{number:02}").write_bytes(b"x" * 100)
    (tmp_path / "large").write_bytes(b"x" * 1000)
    (tmp_path / "too large").write_bytes(b"x" * 1001)

    chosen = from_directory(tmp_path, 2000)

    assert 10 == len(chosen.small)
    assert ["large"] == [file.path.name for file in chosen.large]
    assert 11 == chosen.left_out


def test_number_of_small_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files a directory holds, no more than FILES_MAX small ones are taken."""
    monkeypatch.setattr(material, "FILES_MAX", 3)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"")

    assert 3 == len(from_directory(tmp_path, 10).files)


def test_python_brings_material_of_its_own() -> None:
    """On any machine the standard library's sources are there, each key is there once, and the limit holds."""
    limit = 30 * 1024 * 1024
    chosen = from_python(limit)

    assert len(chosen.small) > 100
    assert len(set(names(chosen.files))) == len(chosen.files)
    assert sum(file.size for file in chosen.files) <= limit
    assert all(file.path.is_file() for file in chosen.files)
