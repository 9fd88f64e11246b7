from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.cli.obscure import MARK, SECRET_MAX, is_obscured, obscure_text, reveal
from tests.cli.shell import COMMAND

Obscured = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Obscured:
    """Run a command line with this on stdin."""

    def call(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
        )

    return call


@given(secret=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_what_was_obscured_is_revealed(secret: str) -> None:
    """Any secret comes back; the text says what it is and never holds the secret, and it is another one each time."""
    text = obscure_text(secret)
    assert is_obscured(text)
    assert secret == reveal(text)
    assert re.fullmatch(rf"{MARK}[A-Za-z0-9_-]+", text)
    assert text != obscure_text(secret)
    if len(secret) > 8:
        assert secret not in text


def test_the_form_stays() -> None:
    """A text that was written once can be read for ever."""
    assert "hünter2" == reveal("obscured:8aUMLlFevVsnllSRvUB9b_DjcTO77A")
    assert "a-plain-secret" == reveal("a-plain-secret")
    assert obscure_text("x", b"12345678") == obscure_text("x", b"12345678")


@pytest.mark.parametrize(
    "damage", ["", "x", "AAAA", "8aUMLlFevVsnllSRvUB9b_DjcTP77A", "8aUMLlFevVsnllSRvUB9b_DjcTO7", "é"]
)
def test_a_damaged_text_is_an_error(damage: str) -> None:
    """What was cut or changed is not revealed as another secret, and the error does not repeat it."""
    with pytest.raises(ValueError, match="damaged") as caught:
        reveal(MARK + damage)
    assert damage == "" or damage not in str(caught.value).split()


def test_nothing_is_no_secret() -> None:
    """An empty secret is a mistake, and not obscured."""
    with pytest.raises(ValueError, match="empty"):
        obscure_text("")


def test_through_a_pipe_and_back(shell: Obscured) -> None:
    """The secret comes from stdin, and only the text goes to stdout; stderr says that this is no encryption."""
    done = shell("obscure", stdin="the secret \n")
    assert 0 == done.returncode
    assert done.stdout.startswith(MARK)
    assert 1 == done.stdout.count("\n")
    assert "not encrypted" in done.stderr
    back = shell("obscure", "--reveal", stdin=done.stdout)
    assert (0, "the secret \n", "") == (back.returncode, back.stdout, back.stderr)


def test_a_secret_on_the_command_line_is_warned_about(shell: Obscured) -> None:
    """As the seed had it, a secret may be an argument; what is wrong with that is said."""
    done = shell("obscure", "mypassword")
    assert (0, "mypassword") == (done.returncode, reveal(done.stdout.strip()))
    assert "can be seen by others" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        ((), "", "nothing came from stdin"),
        ((), "\n", "nothing came from stdin"),
        ((), "x" * (SECRET_MAX + 1), "are no secret"),
        (("--reveal",), "plain\n", "begins with obscured:"),
        (("--reveal",), f"{MARK}AAAA\n", "damaged"),
    ],
)
def test_wrong_usage(shell: Obscured, arguments: tuple[str, ...], stdin: str, said: str) -> None:
    """One line on stderr, nothing on stdout, and 2."""
    done = shell("obscure", *arguments, stdin=stdin)
    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done
    assert said in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX")
def test_a_terminal_does_not_show_the_secret(tmp_path: Path) -> None:
    """What is typed at the question is not seen, neither on the terminal nor in the command's own words."""
    import os
    import pty

    parent, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "obscure"], stdin=child, stdout=subprocess.PIPE, stderr=child, cwd=tmp_path, start_new_session=True
    ) as process:
        os.close(child)
        shown = b""
        while b"Secret" not in shown:
            shown += os.read(parent, 1000)
        os.write(parent, b"typed-secret\n")
        assert process.stdout is not None
        text = process.stdout.read().decode().strip()
        while True:
            try:
                block = os.read(parent, 1000)
            except OSError:
                break
            if not block:
                break
            shown += block
        os.close(parent)
        assert 0 == process.wait(60)
    assert "typed-secret" == reveal(text)
    assert b"typed-secret" not in shown
