"""Run the Python blocks of a document in order, in one namespace: `document.py docs/filesystem.md`."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tests.documents import PYTHON, blocks, run

# Of Zarr, about what xarray writes by default.
warnings.filterwarnings("ignore", message="Consolidated metadata")

if __name__ == "__main__":
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(sys.argv[1], PYTHON):
        if not block.excuse:
            run(block, namespace)
            sys.stdout.write(f"{block.place}\n")
