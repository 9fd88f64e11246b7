"""A real S3 server on loopback for tests: `with s3func.testing.server() as s: s.session("bucket").put_object(…)`.

`s.faults.add("PutObject", key="logs/*", times=2, status=503)` lets requests go wrong, see `Faults.add`;
`s.journal.operations()` says what was asked.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from s3func.server import Faults, Journal, Listener, LocalBackend, S3App

if TYPE_CHECKING:
    from s3func.b2 import B2Session
    from s3func.s3 import S3Session
    from s3func.server import Backend
    from s3func.session import Session

__all__ = ["Server", "server"]


class Server:
    """A server that listens on a free port of 127.0.0.1; a context manager that stops it."""

    def __init__(self, app: S3App, access_key_id: str, secret_access_key: str, journal: Journal) -> None:
        """Start at once. `journal`: the app's."""
        self.app = app
        self.journal = journal
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.region = app.region
        self._sessions: list[Session] = []
        self._listener = Listener(app).start()
        self.endpoint_url = self._listener.endpoint_url

    @property
    def faults(self) -> Faults:
        """What is to go wrong: nothing, until something is added."""
        return self.app.faults

    @property
    def settings(self) -> dict[str, Any]:
        """What an S3Session needs to reach it: `S3Session(bucket="b", **server.settings)`."""
        return {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "endpoint_url": self.endpoint_url,
            "region": self.region,
        }

    def session(self, bucket: str | None = None, *, create: bool = True, **options: Any) -> S3Session:
        """An S3Session on this server, closed when the server stops.

        create: make the bucket unless it is there. options: further arguments of S3Session.
        """
        from s3func.s3 import S3Session

        session = S3Session(bucket=bucket, **(self.settings | options))
        self._keep(session, create=create)
        return session

    def b2_session(self, bucket: str | None = None, *, create: bool = True, **options: Any) -> B2Session:
        """A B2Session on this server, closed when the server stops; the objects are those of S3 as well.

        create: make the bucket, by B2's rules for names (6 to 63 letters, digits and "-"), unless it is there; what B2
        makes keeps versions. options: further arguments of B2Session.
        """
        from s3func.b2 import B2Session

        keys = {"access_key_id": self.access_key_id, "access_key": self.secret_access_key}
        if "secret_access_key" in options:
            del keys["access_key"]
        session = B2Session(bucket=bucket, **({"realm": self.endpoint_url} | keys | options))
        self._keep(session, create=create)
        return session

    def _keep(self, session: S3Session | B2Session, *, create: bool) -> None:
        """Close a session when the server stops; make its bucket unless it is there."""
        from s3func.errors import BucketAlreadyExists

        self._sessions.append(session)
        if session.bucket is not None and create:
            try:
                session.create_bucket()
            except BucketAlreadyExists:
                pass

    def remove_bucket(self, bucket: str) -> None:
        """Remove a bucket with all that is in it, whatever its policy and its locks say. NoSuchBucket."""
        from s3func.server.backend import Deletion
        from s3func.server.powers import Multipart, Versioned

        backend = self.app.backend
        if isinstance(backend, Multipart):
            while uploads := backend.list_uploads(bucket).rows:
                for upload in uploads:
                    backend.abort_upload(bucket, upload.key, upload.upload_id)
        if isinstance(backend, Versioned):
            while versions := backend.list_object_versions(bucket).rows:
                for row in versions:
                    backend.delete_object(bucket, row.key, row.stored.version_id)
        while rows := backend.list_objects(bucket).rows:
            for refused in backend.delete_objects(bucket, [Deletion(row.key) for row in rows]):
                if isinstance(refused, Exception):
                    raise refused
        backend.delete_bucket(bucket)

    def stop(self) -> None:
        """Close the sessions, the port and the store. Stopping twice is allowed."""
        while self._sessions:
            self._sessions.pop().close()
        self._listener.stop()

    def __repr__(self) -> str:
        return f"<Server {self.endpoint_url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def server(
    backend: Backend | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    access_key_id: str = "test-access-key-id",
    secret_access_key: str = "test-secret-access-key",  # noqa: S107 -- for tests on loopback
    region: str = "us-east-1",
    journal: Journal | None = None,
    **options: Any,
) -> Server:
    """Start an S3 server for tests.

    backend: the store; without one, memory, or with `path` a LocalBackend in that directory.
    options: further arguments of S3App (users, no_auth, domain, clock, journal, control). Without a journal of its own
    it gets one.
    """
    if path is not None:
        if backend is not None:
            raise ValueError("backend and path are two stores; give one of them")
        backend = LocalBackend(path)
    journal = Journal() if journal is None else journal
    app = S3App(
        backend,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        region=region,
        journal=journal,
        **options,
    )
    return Server(app, access_key_id, secret_access_key, journal)
