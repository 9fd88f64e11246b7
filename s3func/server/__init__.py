"""The embedded S3 server: an S3App over a Backend, for tests in one process or on a port.

    app = S3App(MemoryBackend(), access_key_id="…", secret_access_key="…")
    S3Session("…", "…", "bucket", transport=app)                 # no socket
    with Listener(app) as listener: listener.endpoint_url        # a free port, a thread
    serve(app, "127.0.0.1", 10001)                               # in the foreground
    uvicorn.run(create_s3_app(LocalBackend("/srv/s3")))          # an ASGI application, also to mount in another one

Only the last three need the extra `s3func[server]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.server.app import S3App
from s3func.server.backend import Backend
from s3func.server.backends.memory import MemoryBackend
from s3func.server.users import User, Users, load_users

if TYPE_CHECKING:
    from s3func.server.asgi import ASGIApp
    from s3func.server.backends.drime import DrimeBackend
    from s3func.server.backends.local import LocalBackend
    from s3func.server.backends.session import SessionBackend
    from s3func.server.faults import Fault, Faults
    from s3func.server.journal import Journal, JournalEntry
    from s3func.server.listener import Listener, serve

__all__ = [
    "ASGIApp",
    "Backend",
    "DrimeBackend",
    "Fault",
    "Faults",
    "Journal",
    "JournalEntry",
    "Listener",
    "LocalBackend",
    "MemoryBackend",
    "S3App",
    "SessionBackend",
    "User",
    "Users",
    "create_s3_app",
    "load_users",
    "serve",
]

# Loaded when asked for: an event loop and SQLite are of no use to a session that talks to an S3App in memory.
_LATER = {
    "ASGIApp": "s3func.server.asgi",
    "DrimeBackend": "s3func.server.backends.drime",
    "Fault": "s3func.server.faults",
    "Faults": "s3func.server.faults",
    "Journal": "s3func.server.journal",
    "JournalEntry": "s3func.server.journal",
    "Listener": "s3func.server.listener",
    "LocalBackend": "s3func.server.backends.local",
    "SessionBackend": "s3func.server.backends.session",
    "serve": "s3func.server.listener",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def create_s3_app(
    backend: Backend | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    region: str = "us-east-1",
    no_auth: bool = False,
    *,
    provider: Backend | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    **options: Any,
) -> ASGIApp:
    """An ASGI application that speaks S3, for `uvicorn.run(app)` or to be mounted in Starlette and FastAPI.

    backend: the store, memory without one. options: the other arguments of S3App (users, domain, clock).
    provider, access_key and secret_key are the seed's names of the first three.
    """
    from s3func.server.asgi import ASGIApp

    app = S3App(
        backend if provider is None else provider,
        access_key_id=access_key_id if access_key is None else access_key,
        secret_access_key=secret_access_key if secret_key is None else secret_key,
        region=region,
        no_auth=no_auth,
        **options,
    )
    return ASGIApp(app)
