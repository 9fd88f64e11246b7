"""The environment that the clusters run in: Dask and Ray are many packages, and none of them is needed for the others' tests.

`python -m tests.distributed.environment` makes it, beside those of the foreign clients. Tests install nothing: where it
is missing they skip, and fail where CI is set.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.interop.servers import ENVIRONMENT, FARM, Unavailable

PINNED = ("dask==2026.8.0", "distributed==2026.8.0", "ray==2.60.0", "urllib3>=2.2", "orjson>=3.9")
FOLDER = FARM / "venv-distributed"


def interpreter() -> Path:
    """Its Python. Unavailable, with the way to get it."""
    if not (FOLDER / ".ok").exists():
        raise Unavailable("Dask and Ray are not installed; `python -m tests.distributed.environment` does it")
    return FOLDER / "bin" / "python"


def main() -> int:
    """Make it, unless it is there."""
    mark, wanted = FOLDER / ".ok", "\n".join(PINNED)
    if mark.exists() and mark.read_text() == wanted:
        return 0
    shutil.rmtree(FOLDER, ignore_errors=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in (
        ["uv", "venv", "--quiet", "--python", python, str(FOLDER)],
        ["uv", "pip", "install", "--quiet", "--python", str(FOLDER / "bin" / "python"), *PINNED],
    ):
        subprocess.run(command, check=True, env=ENVIRONMENT)
    mark.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
