"""The environment of the consumers: pandas, pyarrow, Dask, DuckDB, Zarr, xarray, Polars, Ray, universal_pathlib, and s3fs.

`python -m tests.ecosystem.environment` makes it, one for all of them, beside those of the foreign clients. Tests install
nothing: where it is missing they skip, and fail where CI is set. s3func is not in it: it is put on the path of a program
together with a folder that tells its entry points, those of pyproject.toml, as an installation would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.interop.servers import ENVIRONMENT, FARM, Unavailable

PINNED = (
    "dask==2026.8.0",
    "distributed==2026.8.0",
    "duckdb==2.0.0",
    "fsspec==2026.9.0",
    "h5netcdf==1.8.2",
    "h5py>=3.10",
    "orjson>=3.9",
    "pandas==3.1.1",
    "polars==2.1.0",
    "pyarrow==26.0.1",
    "ray==2.60.0",
    "s3fs==2026.9.0",
    "universal-pathlib==0.3.10",
    "urllib3>=2.2",
    "xarray==2026.9.0",
    "zarr==3.1.6",
)
FOLDER = FARM / "venv-ecosystem"
ROOT = Path(__file__).resolve().parents[2]


def interpreter() -> Path:
    """Its Python. Unavailable, with the way to get it."""
    mark = FOLDER / ".ok"
    if not mark.exists() or mark.read_text("utf-8") != "\n".join(PINNED):
        raise Unavailable("the consumers are not installed; `python -m tests.ecosystem.environment` does it")
    return FOLDER / "bin" / "python"


def write_entry_points(folder: Path) -> None:
    """What an installation of s3func writes beside it, so that others find its protocols."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = folder / "s3func-0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: s3func\nVersion: 0\n", "utf-8")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())]
    (told / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def main() -> int:
    """Make it, unless it is there."""
    try:
        interpreter()
    except Unavailable:
        shutil.rmtree(FOLDER, ignore_errors=True)
    else:
        return 0
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in (
        ["uv", "venv", "--quiet", "--python", python, str(FOLDER)],
        ["uv", "pip", "install", "--quiet", "--python", str(FOLDER / "bin" / "python"), *PINNED],
    ):
        subprocess.run(command, check=True, env=ENVIRONMENT)
    # Whoever is interrupted leaves none behind, and the next one begins again.
    (FOLDER / ".ok").write_text("\n".join(PINNED), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
