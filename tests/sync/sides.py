"""A folder and a prefix of a store in this process, and a way of carrying out plans that is too simple to be wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from s3func import B2Session, S3Session
from s3func.server import Journal, MemoryBackend, S3App
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side, side_of
from s3func.sync.plans import Plan, plan
from s3func.sync.remote import RemotePrefix

OLD = 1_600_000_000_123_456_789
"""A time that is long ago, so that no file seems to be written to at the moment."""


class Sides:
    """A folder, a prefix, and the memory of both in a file beside the folder."""

    def __init__(self, folder: Path, *, store: str = "s3", bucket: str = "bucket", prefix: str = "p/") -> None:
        self.root = folder / "tree"
        self.root.mkdir(parents=True)
        self.database = folder / "state.db"
        self.journal = Journal()
        app = S3App(MemoryBackend(), access_key_id="test-key", secret_access_key="test-secret", journal=self.journal)
        self.session: Any
        if store == "b2":
            self.session = B2Session("test-key", "test-secret", bucket, transport=app)
        else:
            self.session = S3Session("test-key", "test-secret", bucket, region="us-east-1", transport=app)
        self.session.create_bucket(bucket)
        self.tree = LocalTree(self.root)
        self.remote = RemotePrefix(self.session, bucket, prefix)

    def write(self, name: str, content: bytes | str, *, mtime_ns: int | None = OLD) -> Path:
        """A file; mtime_ns: None leaves the moment. Its ctime is another one than before, however fast tests are."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_ctime_ns if path.exists() else None
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        while True:
            times = None if mtime_ns is None else (mtime_ns, mtime_ns)
            if times is None:
                os.utime(path)
            else:
                os.utime(path, ns=times)
            if path.stat().st_ctime_ns != before:
                return path

    def put(self, name: str, content: bytes | str, **options: Any) -> None:
        """An object."""
        body = content.encode() if isinstance(content, str) else content
        self.session.put_object(self.remote.key(name), body, **options)

    def up(self, **options: Any) -> Plan:
        """A plan from the folder to the prefix."""
        return plan(self.tree, self.remote, **{"state": self.database, **options})

    def down(self, **options: Any) -> Plan:
        """A plan from the prefix to the folder."""
        return plan(self.remote, self.tree, **{"state": self.database, **options})

    def steps(self, made: Plan) -> list[tuple[str, str, str]]:
        """Kind, name and reason of all steps of a plan, which is closed then."""
        with made:
            return [(step.kind, step.name, step.reason) for step in made]

    def carry_out(self, made: Plan) -> list[tuple[str, str, str]]:
        """Do what a plan says, at the end of its iteration, and remember it. What was done."""
        done: list[tuple[str, str, str]] = []
        with made:
            steps = list(made)
            made.guard()
            for step in sorted(steps, key=lambda step: step.kind == "delete"):
                self._step(step, made)
                done.append((step.kind, step.name, step.reason))
        return done

    def _step(self, step: Operation, made: Plan) -> None:
        name, path = step.name, self.root / (step.path or step.name)
        if step.kind in {"upload", "rename"}:
            self.session.put_object(self.remote.key(name), path.read_bytes())
        elif step.kind == "download":
            assert step.source is not None
            self.write(step.path or name, self.session.get_object(self.remote.key(name)).data)
        elif step.kind == "delete" and made.target is self.remote:
            self.session.delete_object(self.remote.key(name))
        elif step.kind == "delete":
            path.unlink()
        if made.state is None or step.kind in {"conflict", "problem"}:
            return
        if step.kind == "delete" or (step.source is None and step.target is None):
            made.state.forget(name)
            return
        local = self.tree.side(step.path or name)
        assert local is not None
        md5 = next((side.md5 for side in (step.source, step.target) if side is not None and side.md5), None)
        made.state.record(name, local._replace(md5=md5), self.side(name))

    def side(self, name: str) -> Side:
        """What a listing says of an object."""
        return next(side_of(entry) for entry in self.remote.scan() if entry.name == name)

    def requests(self) -> list[str]:
        """The operations that were asked of the store since the last call."""
        found = self.journal.operations()
        self.journal.clear()
        return found

    def local(self) -> dict[str, bytes]:
        """The files by name."""
        return {entry.name: (self.root / entry.path).read_bytes() for entry in self.tree.scan()}

    def stored(self) -> dict[str, bytes]:
        """The objects by name."""
        return {entry.name: self.session.get_object(entry.key).data for entry in self.remote.scan()}
