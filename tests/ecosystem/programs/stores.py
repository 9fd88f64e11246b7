"""The stores that a program is given: `PROGRAM s3func://BUCKET b2://BUCKET REALM`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Store(NamedTuple):
    """A bucket by one of its two APIs: the URL of a folder in it, and the options that its filesystem needs."""

    url: str
    options: dict[str, Any]

    @property
    def protocol(self) -> str:
        """s3func or b2."""
        return self.url.partition("://")[0]

    @property
    def path(self) -> str:
        """The URL without its protocol."""
        return self.url.partition("://")[2]

    @property
    def filesystem(self) -> Any:
        """As fsspec finds it."""
        return importlib.import_module("fsspec").filesystem(self.protocol, **self.options)


def stores() -> Iterator[Store]:
    """Both, each with a folder of its own."""
    s3, b2, realm = sys.argv[1:4]
    yield Store(f"{s3}/by-s3", {})
    yield Store(f"{b2}/by-b2", {"endpoint_url": realm})


def module(name: str) -> Any:
    """A library of the consumers' environment, which has no types here."""
    return importlib.import_module(name)


def say(store: Store, what: str) -> None:
    """A line for whoever reads what the program did."""
    sys.stdout.write(f"{store.protocol}: {what}\n")
    sys.stdout.flush()


def main(*steps: Callable[[Store], None]) -> None:
    """Every step on every store."""
    for store in stores():
        for step in steps:
            step(store)
            say(store, step.__name__)
