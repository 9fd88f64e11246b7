"""What the TAB key shows, asked as bash asks for it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from s3func import S3Session
from tests.cli.shell import Shell, put


def complete(shell: Shell, *words: str) -> list[str]:
    """The completions of the last of these words, as bash cuts a line into words."""
    folder = shell.folder / "bin"
    folder.mkdir(exist_ok=True)
    command = folder / "s3func"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m s3func "$@"\n')
    command.chmod(0o755)
    program = (
        'eval "$(_S3FUNC_COMPLETE=bash_source s3func)"\ncompopt() { :; }\n'
        'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()\n_s3func_completion s3func\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", program, "bash", "s3func", *words],
        env=shell.environment | {"PATH": f"{folder}:/usr/bin:/bin"},
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "" == done.stderr
    return [text for text in done.stdout.splitlines() if text]


def test_commands_and_options_are_completed(shell: Shell) -> None:
    """bash is given the commands that begin so, the subcommands of groups, and options."""
    assert ["mb", "mpu", "mv"] == complete(shell, "m")
    assert {"ls", "cp", "sync", "presign", "ckpt"} <= set(complete(shell, ""))
    assert ["abort", "ls"] == complete(shell, "mpu", "")
    assert ["--long"] == complete(shell, "ls", "--lo")


def test_urls_are_completed(shell: Shell, session: S3Session) -> None:
    """Buckets, folders and objects, whose URLs bash has cut at the colon and of which it is given the rest."""
    put(session, "logs/a", "logs/b/c", "lost", "x")
    assert ["s3://"] == complete(shell, "ls", "s3")
    assert ["//bucket/"] == complete(shell, "ls", "s3", ":", "//bu")
    assert ["//"] == complete(shell, "rm", "s3", ":")
    assert ["//bucket/logs/", "//bucket/lost"] == complete(shell, "cat", "s3", ":", "//bucket/lo")
    assert ["//bucket/logs/a", "//bucket/logs/b/"] == complete(shell, "cp", "x", "s3", ":", "//bucket/logs/")


@pytest.mark.parametrize("words", [("s3", ":", "//none/x"), ("s3", ":", "//-/"), ("x3", ":", "//y")])
def test_completion_never_fails(shell: Shell, words: tuple[str, ...]) -> None:
    """A bucket that is not there, and what is no URL, have no completions, and no error."""
    assert [] == complete(shell, "ls", *words)


def test_completion_without_credentials_is_silent(shell: Shell) -> None:
    """Where nobody knows who asks, nothing is shown."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del shell.environment[name]
    shell.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(shell.folder)}
    assert [] == complete(shell, "ls", "s3", ":", "//bu")
