"""What a terminal is shown, and what it is not: bars, colours, and the control characters of keys."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest

from s3func import S3Session
from tests.cli.shell import COMMAND, Shell, put


def on_terminal(shell: Shell, *arguments: str, **environment: str) -> tuple[int, bytes]:
    """The exit code of a command whose stdout and stderr are a terminal, and what it showed there."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [word.replace("{}", shell.url) for word in arguments]
    with subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        cwd=shell.folder,
        env=shell.environment | {"TERM": "xterm"} | environment,
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while data := os.read(leader, 65536):
                shown += data
        except OSError:
            # How Linux tells that nobody has the other end open any more.
            pass
        os.close(leader)
        return process.wait(60), shown


HOSTILE = ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "\x9b31m", "back\x08", "right\u202eleft", "nul-\x7f"]


@pytest.mark.parametrize("command", ["ls", "stat", "hash", "rm -nr", "du --depth 9", "presign", "mv -nr", "cp -n"])
def test_no_key_commands_a_terminal(shell: Shell, session: S3Session, command: str) -> None:
    """Escape sequences, carriage returns and the like in keys are shown, and never carried out."""
    put(session, *(f"d/{key}/x" for key in HOSTILE))
    words = [*command.split(), "{}/d/**"]
    if command.startswith(("mv", "cp")):
        words.append("{}/e/")
    done = shell(*words)
    assert (0, b"") == (done.returncode, done.stderr)
    assert done.stdout.count(b"\n") >= len(HOSTILE) or command.startswith("du")
    assert [] == [letter for letter in done.stdout.decode() if not letter.isprintable() and letter not in "\n\t"]


def test_no_error_commands_a_terminal(shell: Shell) -> None:
    """The name of what is not there is escaped as well."""
    for arguments in (
        ["cat", "{}/\x1b]2\n"],
        ["ls", "{}/\x1bc"],
        ["mv", "{}/\x1b\r", "x"],
        ["put", "\x1b[2J", "{}/k"],
    ):
        assert "\x1b" not in shell.fails(1, *arguments)


def test_bars_are_for_terminals(shell: Shell, session: S3Session) -> None:
    """A terminal is shown how far a copy is; a pipe, --progress none and --json are not."""
    (shell.folder / "big").write_bytes(os.urandom(1 << 20) * 20)
    code, shown = on_terminal(shell, "cp", "big", "{}/big")
    assert 0 == code
    assert b"%" in shown
    for arguments in (["cp", "--progress", "none", "big", "{}/b2"], ["cp", "--json", "-n", "big", "{}/b3"]):
        code, shown = on_terminal(shell, *arguments)
        assert (0, False) == (code, b"%" in shown)
    assert [] == shell.out("cp", "big", "{}/big")


def test_data_is_the_same_on_a_terminal(shell: Shell, session: S3Session) -> None:
    """ls and stat show a terminal what they write to a pipe, with no colour of their own."""
    put(session, "a", "b/c")
    for arguments in (["ls", "{}"], ["ls", "--json", "{}/a"]):
        code, shown = on_terminal(shell, *arguments)
        assert (0, shell(*arguments).stdout) == (code, shown.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}])
def test_colours_are_for_terminals_without_no_color(shell: Shell, environment: dict[str, str]) -> None:
    """The demonstration is coloured on a terminal unless NO_COLOR is set, and never in a pipe."""
    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "file").write_bytes(b"x" * 100)
    code, shown = on_terminal(shell, "demo", "--path", "data", **environment)
    assert (0, not environment) == (code, b"\x1b[32m" in shown)
    if not environment:
        assert b"\x1b[" not in shell("demo", "--path", "data").stdout


def test_an_encoding_without_the_letters_is_no_failure(shell: Shell, session: S3Session) -> None:
    """Where stdout and stderr are ASCII, names are escaped, and --json is the same as everywhere."""
    put(session, "ü")
    expected = shell("ls", "--json", "{}").stdout
    shell.environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    assert ["{}/\\xfc"] == shell.out("ls", "{}")
    assert expected == shell("ls", "--json", "{}").stdout
    assert "nothing is there: s3://bucket/\\u65e5" in shell.fails(1, "ls", "{}/日")
