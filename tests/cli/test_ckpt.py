"""What `ckpt` saves, another one loads; as a shell runs them."""

from __future__ import annotations

import pytest

from s3func import Checkpoints, S3Session
from tests.cli.shell import Shell


def write(shell: Shell, content: str) -> None:
    folder = shell.folder / "model" / "sub"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(content)
    (folder.parent / "a").write_text("a")


@pytest.mark.parametrize("url", ["{}/run", "{b2}/run"])
def test_what_is_saved_is_loaded(shell: Shell, session: S3Session, url: str) -> None:
    """The newest step comes back whole with what was said of it, an older one by its number."""
    session.put_bucket_versioning("Enabled")
    write(shell, "one")
    assert [] == shell.out("ckpt", "save", url, "10", "model", "--metadata", "loss=0.5", "--metadata", "note=a b")
    write(shell, "two")
    assert [] == shell.out("ckpt", "save", url, "20", "model")
    assert ["10", "20"] == shell.out("ckpt", "ls", url)
    assert ["20"] == shell.out("ckpt", "load", url, "new")
    assert "two" == (shell.folder / "new/sub/weights").read_text()
    [row] = shell.rows("ckpt", "load", "--json", "--step", "10", url, "old")
    assert {"step": 10, "files": 2, "size": 4, "ranks": 1, "metadata": {"loss": 0.5, "note": "a b"}} == row
    assert "one" == (shell.folder / "old/sub/weights").read_text()


def test_what_exists_is_not_replaced(shell: Shell, session: S3Session) -> None:
    """A step is never written again; a folder with something else only with --replace."""
    write(shell, "one")
    assert ["a", "sub/weights"] == shell.out("ckpt", "save", "-n", "{}/run", "1", "model")
    assert [] == list(session.list_objects())
    assert [] == shell.out("ckpt", "save", "{}/run", "1", "model")
    assert "exists already" in shell.fails(1, "ckpt", "save", "{}/run", "1", "model")
    assert "exists already" in shell.fails(1, "ckpt", "save", "-n", "{}/run", "1", "model")
    write(shell, "mine")
    assert "--replace" in shell.fails(1, "ckpt", "load", "{}/run", "model")
    assert "mine" == (shell.folder / "model/sub/weights").read_text()
    assert ["1"] == shell.out("ckpt", "load", "--replace", "{}/run", "model")
    assert "one" == (shell.folder / "model/sub/weights").read_text()


def test_ckpt_ls_of_the_newest(shell: Shell, session: S3Session) -> None:
    """--latest shows what the newest step holds, and is 1 where there is none."""
    assert "no complete checkpoint" in shell.fails(1, "ckpt", "ls", "--latest", "{}/run")
    assert "NoSuchKey" in shell.fails(1, "ckpt", "load", "{}/run", "new")
    assert [] == shell.out("ckpt", "ls", "{}/run")
    write(shell, "one")
    with Checkpoints("s3://bucket/run", session=session) as checkpoints:
        checkpoints.save_folder(3, shell.folder / "model", metadata={"loss": [1, 2], "x\n": None})
    assert ["3\t2 files\t4 B", "metadata.loss: [1, 2]", "metadata.x\\n: null"] == shell.out(
        "ckpt", "ls", "--latest", "{}/run"
    )
    assert [{"step": 3}] == shell.rows("ckpt", "ls", "--json", "{}/run")


def test_ckpt_prune_keeps_the_newest(shell: Shell, session: S3Session) -> None:
    """All complete steps but the newest N go; --dry-run names them; save --keep does the same."""
    write(shell, "one")
    with Checkpoints("s3://bucket/run", session=session) as checkpoints:
        for step in range(4):
            checkpoints.save_folder(step, shell.folder / "model")
    assert ["0", "1"] == shell.out("ckpt", "prune", "-n", "--keep", "2", "{}/run")
    assert ["0", "1"] == shell.out("ckpt", "prune", "--keep", "2", "{}/run")
    assert [] == shell.out("ckpt", "save", "--keep", "1", "{}/run", "9", "model")
    assert ["9"] == shell.out("ckpt", "ls", "{}/run")


@pytest.mark.parametrize(
    "arguments",
    [
        ("save", "{}/run", "x", "."),
        ("save", "{}/run", "-1", "."),
        ("save", "{}/run", "1", "missing"),
        ("save", "run", "1", "."),
        ("prune", "{}/run"),
        ("prune", "--keep", "0", "{}/run"),
    ],
)
def test_ckpt_refuses_what_makes_no_sense(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Wrong usage is 2 and one line."""
    shell.fails(2, "ckpt", *arguments)
