"""A store that fails at any request: what was said to be done is done, and what was written is never lost silently."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import S3FuncError
from s3func.files import Cache, S3Object
from s3func.s3 import S3Session
from s3func.testing import Server

FAULTS: list[dict[str, Any]] = [{"status": 500}, {"status": 503}, {"reset": "before"}, {"reset": "after"}]
OPERATIONS = ["PutObject", "GetObject", "HeadObject", "*"]


class Model:
    """One object, its copy, and what of it was written here and may not be in the store."""

    def __init__(self, server: Server, session: S3Session, cache: Cache, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server, self.session = server, session
        failing = server.session(session.bucket, create=False, retries=1)
        self.obj = S3Object(f"s3://{session.bucket}/k", session=failing, cache=cache)
        self.unsent: str | None = None

    def local(self) -> str | None:
        path = Path(self.obj.local_path)
        return path.read_text() if path.exists() else None

    def stored(self) -> str | None:
        return self.session.get_object("k").data.decode() if self.session.exists("k") else None

    def step(self, text: str) -> None:
        """Do anything, at a store that works or does not, and look at both sides."""
        if self.chance.random() < 0.5:
            how = self.chance.choice(FAULTS)
            where = self.chance.choice(OPERATIONS)
            self.server.faults.add(where, probability=0.6, seed=self.chance.randrange(10**9), **how)
        what = self.chance.choice(["w", "a", "r", "download", "upload", "force down", "force up", "edit", "other"])
        before = self.local()
        try:
            self.do(what, text)
        except S3FuncError:
            if what in {"w", "a"} and self.local() != before:
                self.unsent = self.local()
        else:
            self.server.faults.clear()
            self.check(what, text)
        self.server.faults.clear()
        if self.unsent is not None:
            assert self.unsent == self.local()

    def do(self, what: str, text: str) -> None:
        match what:
            case "w" | "a":
                with self.obj.open(what) as file:
                    file.write(text)
            case "r":
                with self.obj.open() as file:
                    assert file.read() == self.local()
            case "download" | "upload":
                getattr(self.obj, what)()
            case "force down":
                self.obj.download(mirror=True)
            case "force up":
                self.obj.upload(mirror=True)
            case "edit":
                if self.unsent is None:
                    Path(self.obj.local_path).write_text(text)
            case _:
                self.server.faults.clear()
                self.session.put_object("k", text.encode())

    def check(self, what: str, text: str) -> None:
        """What a call promises that did not raise."""
        if what in {"edit", "other"}:
            return
        assert self.local() == self.stored()
        if what in {"r", "download", "upload"} and self.unsent is not None:
            assert self.unsent == self.stored()
        if what in {"w", "a"}:
            assert (self.local() or "").endswith(text)
        self.unsent = None


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_silently(seed: int, s3_server: Server, s3_session: S3Session, cache: Cache) -> None:
    """After every call that succeeds both sides are the same; what could not be sent stays, whatever fails next."""
    model = Model(s3_server, s3_session, cache, seed)
    for number in range(60):
        model.step(f"<{number}>" * model.chance.randint(1, 50))
    assert {"k"} >= set(os.listdir(os.path.dirname(model.obj.local_path)))
