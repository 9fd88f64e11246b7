"""The console script, and `python -m s3func`: says what to install where the command line's extra is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDS = ("click", "tqdm")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"s3func: the command line needs {' and '.join(missing)}: pip install 's3func[cli,server]'\n")
        sys.exit(2)
    from s3func.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
