"""Folders of files, written from a dict of their contents and read back into one."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Files below a folder that is made."""
    for name, content in files.items():
        path = folder.joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """What is below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
