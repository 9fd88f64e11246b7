"""What the command line prints: sizes, rates, one aligned line per step, and a progress bar on a terminal only.

Colour is used where stdout is a terminal and NO_COLOR is unset or empty (https://no-color.org).
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, NamedTuple, Self

import click

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size_text(count: float) -> str:
    """Bytes for a reader: "512 B", "24.3 MiB"."""
    step = 0
    while count >= 1024 and step < len(_UNITS) - 1:
        count /= 1024
        step += 1
    return f"{count:.1f} {_UNITS[step]}" if step else f"{count:.0f} B"


def shown(text: str) -> str:
    """A name on one line of a terminal, which it cannot command: control characters are escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# What errors call a thing in Python, and what it is called in a shell.
_WORDS = {
    "create_bucket() makes it": "s3func mb makes it",
    "give access_key_id and secret_access_key, ": "",
    "pass anonymous=True": "use --no-sign-request",
    "is endpoint_url ": "is --endpoint-url (AWS_ENDPOINT_URL) ",
}


def told(error: Exception) -> str:
    """An error as one line for whoever sits at a shell."""
    text = f"s3func: {type(error).__name__}: {error}"
    for word, other in _WORDS.items():
        text = text.replace(word, other)
    return shown(text)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 page", "1,790 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def parse_size(text: str) -> int:
    """Bytes from a size as people write it: "1000000", "64M", "1.5GiB" (powers of 1024). ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not (size := int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))):
        raise ValueError(f"{text!r} is not a size such as 1000000, 64M or 1.5GiB")
    return size


class Outcome(NamedTuple):
    """What one step did: a sentence, and for bulk work how many objects and bytes in which time (0: not counted)."""

    text: str
    objects: int = 0
    size: int = 0
    seconds: float = 0.0

    @property
    def rates(self) -> str:
        """The right-hand columns, empty where nothing was measured."""
        if not self.seconds:
            return ""
        pace = f"{self.objects / self.seconds:,.0f}/s" if self.objects else ""
        rate = f"{size_text(self.size / self.seconds)}/s" if self.size else ""
        return f"{self.seconds:6.2f} s {pace:>9} {rate:>13}"


def show(text: str = "") -> None:
    """Print a line on stdout; click drops its colours where stdout is no terminal."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def show_step(verb: str, outcome: Outcome) -> None:
    """Print the line of a step that did what it should."""
    show(f"  {click.style('ok', fg='green')}      {verb:<15} {outcome.text:<50} {outcome.rates}".rstrip())


def show_failure(verb: str, reason: str) -> None:
    """Print the line of a step that did not."""
    show(f"  {click.style('FAILED', fg='red', bold=True)}  {verb:<15} {reason}")


class _NoBar:
    """What is given to those who have no terminal."""

    def update(self, count: float = 1) -> None:
        """So much more is done."""

    def close(self) -> None:
        """It is over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def progress(label: str, total: int, unit: str = "B") -> Any:
    """A bar on stderr that is gone when it is closed; where stderr is no terminal it prints nothing."""
    if not sys.stderr.isatty():
        return _NoBar()
    # It takes as long to import as all of a short command.
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm(
        total=total,
        desc=f"          {label}",
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        leave=False,
        dynamic_ncols=True,
        file=sys.stderr,
    )
