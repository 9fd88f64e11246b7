"""The Python that each contender runs in: this one, or, for the seed's release, an environment of its own.

The seed has our name, so the two cannot share an environment. Its own is made once, in the user's cache folder, with
the same Python and the same urllib3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.contenders import Entry

SEED_REQUIREMENT = "s3func==0.9.6"
ROOT = Path(__file__).resolve().parent.parent

# The repository comes last on the path, so that an installed s3func (the seed's, in its environment) wins over it.
BOOTSTRAP = f"import sys; sys.path.append({str(ROOT)!r})\n"


class NoEnvironment(Exception):
    """An environment could not be made."""


def python_of(entry: Entry) -> str:
    """The interpreter to run the contender with."""
    return _seed_python() if entry.own_environment else sys.executable


def child_environment(home: str) -> dict[str, str]:
    """Variables for a measured process: nobody's profile, proxy or settings, and a home that is empty."""
    return {
        "HOME": home,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def versions() -> dict[str, str]:
    """The peers as installed here."""
    return {name: version(name) for name in ("urllib3", "obstore", "minio", "boto3", "botocore")} | {
        "seed": SEED_REQUIREMENT.partition("==")[2]
    }


def _seed_python() -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{SEED_REQUIREMENT.replace('==', '-')}-urllib3-{version('urllib3')}-py{sys.version_info[0]}{sys.version_info[1]}"
    folder = cache / "s3func-benchmarks" / name
    python = folder / "bin" / "python"
    if python.exists():
        return str(python)
    uv = shutil.which("uv")
    if uv is None:
        raise NoEnvironment("uv is not on the path")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its final name: half an environment must not be taken for a whole one the next time.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "environment"
        _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(made)])
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(made / "bin" / "python")]
        _run([*install, SEED_REQUIREMENT, f"urllib3=={version('urllib3')}"])
        made.rename(folder)
    return str(python)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise NoEnvironment(f"{' '.join(command[:3])}: {done.stderr.strip()[-400:]}")
