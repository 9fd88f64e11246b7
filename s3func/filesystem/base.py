"""The ground of the filesystem: its options and sessions, what a path means, what is remembered, and what a pickle holds."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec.spec import AbstractFileSystem

from s3func.connect import Location, connect

if TYPE_CHECKING:
    from s3func.filesystem.ranged import RangedFile

_SECRETS = ("key", "secret", "token", "session")
_SECRET_ARGUMENTS = {"access_key_id", "access_key", "secret_access_key", "session_token", "credentials"}
MAX_GAP = 1024 * 1024
"""What a store sends while another request would wait for its first byte; object_store (Rust) fetches such gaps, too."""


class StoreFileSystem(AbstractFileSystem):
    """What the parts of the filesystem stand on: listings.py, reading.py, writing.py."""

    protocol: ClassVar[Any] = ("s3func", "s3", "s3a")
    root_marker = ""
    sep = "/"
    async_impl = False
    blocksize = 8 * 1024 * 1024
    _scheme = "s3"

    def __init__(
        self,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        anon: bool = False,
        session: Any = None,
        share_secrets: bool = False,
        use_listings_cache: bool = False,
        max_gap: int = MAX_GAP,
        **options: Any,
    ) -> None:
        """s3fs's names, or a session that there is already; without any, the credentials of the environment.

        share_secrets: let key and secret be pickled with the filesystem; without it that is a TypeError.
        use_listings_cache: answer from listings that were made before, for listings_expiry_time seconds or until this
        filesystem writes there. max_gap: bytes between close reads of an open Parquet file or archive that are fetched along
        with them, to save requests; 0 for none, where traffic costs more than time. options: `session_options`, a dict of
        further arguments of the session; others are fsspec's own.
        """
        more = options.pop("session_options", None) or {}
        if options.pop("client_kwargs", None) not in (None, {}):
            raise ValueError("client_kwargs are boto's: give endpoint_url, region and profile themselves")
        if not isinstance(max_gap, int) or isinstance(max_gap, bool) or max_gap < 0:
            raise ValueError(f"max_gap must be a number of bytes, not {max_gap!r}")
        super().__init__(use_listings_cache=use_listings_cache, **options)
        self.max_gap = max_gap
        self._share_secrets = share_secrets
        self._secrets = {"access_key_id": key, "access_key": secret, "session_token": token}
        settings = {
            "endpoint_url": endpoint_url,
            "region": region,
            "profile": profile,
            "anonymous": anon or None,
            **self._secrets,
            **more,
        }
        self._settings = {name: value for name, value in settings.items() if value is not None}
        # Names that were folders, and that mkdir() was asked for: what is asked first, and what DuckDB is told.
        self._folders: dict[str, None] = {}
        self._made: dict[str, None] = {}
        self._listed: dict[str, tuple[dict[str, Any], float]] = {}
        self._listed_for_dask: dict[str, tuple[str, float]] = {}
        self._inspected: dict[str, tuple[list[RangedFile], float]] = {}
        self._session = session
        self._session_lock = threading.Lock()

    @property
    def fsid(self) -> str:
        """Which store this is, without its secrets."""
        return f"{self.protocol[0]}_{self._settings.get('endpoint_url', '')}"

    @property
    def session(self) -> Any:
        """The session behind the filesystem, made when it is needed; bound to no bucket unless it was given."""
        if self._session is None:
            with self._session_lock:
                if self._session is None:
                    self._session = connect(Location(self._scheme, ""), **self._settings)
        return self._session

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list | tuple):
            return [cls._strip_protocol(entry) for entry in path]
        text = os.fspath(path)
        names = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
        for name in names:
            if text.startswith(f"{name}://"):
                text = text[len(name) + 3 :]
                break
        return text.rstrip("/")

    def unstrip_protocol(self, name: str) -> str:
        """The path with the protocol in front."""
        names = (self.protocol,) if isinstance(self.protocol, str) else self.protocol
        return name if any(name.startswith(f"{word}://") for word in names) else f"{names[0]}://{name}"

    def _split(self, path: str) -> tuple[str, str]:
        bucket, _, key = self._strip_protocol(path).partition("/")
        if not bucket:
            raise ValueError("path has no bucket")
        return bucket, key

    def _object(self, path: str) -> tuple[Any, str, str]:
        """Session, bucket and key; IsADirectoryError for a bucket."""
        bucket, key = self._split(path)
        if not key:
            raise IsADirectoryError(f"{path} is a bucket, and no object")
        return self.session, bucket, key

    @property
    def use_listings_cache(self) -> bool:
        """Whether listings are kept, as fsspec's own option says."""
        return bool(getattr(self.dircache, "use_listings_cache", False))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listings of a path and of what is above it, or all."""
        if path is None:
            self.dircache.clear()
            self._folders.clear()
            self._made.clear()
            self._listed.clear()
            self._listed_for_dask.clear()
            self._inspected.clear()
            return
        place = self._strip_protocol(path)
        self._listed.pop(place, None)
        self._listed_for_dask.pop(place, None)
        self._inspected.pop(place, None)
        while place:
            self.dircache.pop(place, None)
            place = place.rpartition("/")[0]

    def __reduce__(self) -> Any:
        given = [name for name in _SECRETS if self.storage_options.get(name) is not None]
        given += sorted(_SECRET_ARGUMENTS & (self.storage_options.get("session_options") or {}).keys())
        if given and not (self._share_secrets and "session" not in given):
            raise TypeError(
                f"a filesystem with {given[0]}= is not pickled: leave the credentials to the environment or a profile, "
                "or allow it with share_secrets=True"
            )
        return super().__reduce__()

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """As fsspec writes it, never with a secret."""
        found: dict[str, Any] = super().to_dict(include_password=False)
        if more := found.get("session_options"):
            found["session_options"] = {name: value for name, value in more.items() if name not in _SECRET_ARGUMENTS}
        return {name: value for name, value in found.items() if name not in _SECRETS}

    def to_json(self, *, include_password: bool = True) -> str:
        """As fsspec writes it, never with a secret."""
        import json

        return json.dumps(self.to_dict())
