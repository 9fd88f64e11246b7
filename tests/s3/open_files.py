"""What the tests of open files share: contents, files of every kind to write to, and looks at what became of them."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable
from typing import Any

from s3func import S3Session
from s3func.transport.transfer import TransferConfig
from tests.s3.rigs import Recorder

NOISE = random.Random(8).randbytes(3_000_000)
MIB = 1024 * 1024
SMALL_PARTS = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=2)
LARGE = random.Random(9).randbytes(11 * MIB)


def gets(recorder: Recorder) -> list[str | None]:
    """The range that each GET asked for."""
    return [sent.headers.get("range") for sent in recorder.sent if sent.method == "GET"]


def opened_anew(session: S3Session, mode: str) -> Any:
    """A file to write to in either mode."""
    options: dict[str, Any] = {} if mode.endswith("b") else {"encoding": "latin-1"}
    return session.open("key", mode, **options)


def has_uploads(session: S3Session) -> bool:
    """Whether there is an upload that is neither complete nor aborted."""
    return bool(list(session.list_multipart_uploads()))


class Oops(Exception):
    """What goes wrong in these tests."""


def plain(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return session.open("key", "wb")


def wrapped(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return io.TextIOWrapper(session.open("key", "wb"), encoding="latin-1")


def wrapped_twice(session: S3Session) -> contextlib.AbstractContextManager[Any]:
    return io.TextIOWrapper(io.BufferedWriter(session.open("key", "wb")), encoding="latin-1")


WRITERS: dict[str, Callable[[S3Session], contextlib.AbstractContextManager[Any]]] = {
    "plain": plain,
    "text": lambda session: session.open("key", "w", encoding="latin-1"),
    "TextIOWrapper": wrapped,
    "BufferedWriter": lambda session: io.BufferedWriter(session.open("key", "wb")),
    "TextIOWrapper of BufferedWriter": wrapped_twice,
    "closing": lambda session: contextlib.closing(session.open("key", "wb")),
}


def write_some(file: Any, content: bytes) -> None:
    """Write to a file of either kind."""
    if isinstance(file, io.TextIOBase):
        file.write(content.decode("latin-1"))
    else:
        file.write(content)
