"""The recipes of docs/distributed.md, each as a program of its own where there is a Dask and a Ray."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from s3func.testing import Server
from tests.distributed import rig
from tests.distributed.conftest import python_of_clusters
from tests.documents import Block, blocks

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]
FILES = 300
RECIPES = [block for block in blocks("docs/distributed.md", "python") if "test_recipes" in block.excuse]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda block: block.place)
def test_recipe(recipe: Block, server: Server, tmp_path: Path) -> None:
    """A recipe stores all files of a folder on an empty store, and says so."""
    python = python_of_clusters()
    session = server.session("my-bucket")
    session.delete_objects(prefix="photos/")
    rig.make_tree(tmp_path / "photos", FILES)
    (tmp_path / "recipe.py").write_text(recipe.text, "utf-8")
    # A short name, because Ray makes sockets below it.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as ray_folder:
        done = subprocess.run(
            [python, "recipe.py"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=rig.variables(tmp_path) | rig.credentials(server) | {"RAY_TMPDIR": ray_folder},
            timeout=100,
            check=False,
        )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{FILES} uploaded" in done.stdout.splitlines()
    assert FILES == len(list(session.list_objects("photos/")))
    if "copy" in recipe.text:
        assert rig.files_of(tmp_path / "photos") == rig.files_of(tmp_path / "copy")


def test_there_are_recipes() -> None:
    """One for each: Dask, Ray, a pool of processes."""
    assert ["dask", "import ray", "ProcessPool"] == [
        word for word, recipe in zip(("dask", "import ray", "ProcessPool"), RECIPES, strict=True) if word in recipe.text
    ]
