"""Where a download comes from: one object of a session, asked for as the caller asked."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.results import GetResult
    from s3func.transport.parallel import Crew


# Every answer has to be about the bytes that were asked for.
_OURS = frozenset({"range", "if-range", "if-match"})


class Store(Protocol):
    """What a download needs of a session."""

    bucket: str | None

    @property
    def get_object(self) -> Callable[..., GetResult]:
        """The verb, with the keywords of S3Session."""


class ObjectSource:
    """One object, or one version of it; every request of a download is made here."""

    def __init__(
        self,
        store: Store,
        key: str,
        version_id: str | None,
        bucket: str | None,
        conditions: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> None:
        """conditions: the caller's, for the first answer. headers: for every one."""
        self.key = key
        self.version_id = version_id
        self.bucket = store.bucket if bucket is None else bucket
        self.store = store
        self._at = bucket
        self._conditions = {name: value for name, value in conditions.items() if value is not None}
        if not isinstance(headers, Mapping):
            raise TypeError(f"headers must be a mapping of names to values, not {type(headers).__name__}")
        self._headers = dict(headers)
        for header in self._headers:
            if isinstance(header, str) and header.lower() in _OURS:
                raise ValueError(f"headers must not set {header.lower()}: the download does")
        endpoint = getattr(store, "endpoint_url", "")
        self.name = f"{endpoint} {self.bucket} {key}"
        """Where the object is, for a journal."""

    def for_crew(self, crew: Crew) -> ObjectSource:
        """The same for the tasks of one crew: their waits end with it, and it learns when the store is busy."""
        from s3func.download.pacing import paced

        twin = copy(self)
        twin.store = paced(self.store, crew)
        return twin

    def get(self) -> GetResult:
        """All of it."""
        return self._ask(None, None, self._conditions)

    def get_from(self, start: int, etag: str) -> GetResult:
        """From this byte on, if it still has this ETag and fulfils the conditions of the call."""
        return self._ask(start, None, {"if_match": etag, **self._conditions})

    def get_range(self, start: int, end: int, etag: str | None, version_id: str | None) -> GetResult:
        """The bytes from start up to, but not including, end."""
        conditions = {} if etag is None else {"if_match": etag}
        return self._ask(start, end - 1, conditions, version_id)

    def _ask(
        self,
        first: int | None,
        last: int | None,
        conditions: Mapping[str, Any],
        version_id: str | None = None,
    ) -> GetResult:
        options: dict[str, Any] = {**conditions, "stream": True, "bucket": self._at}
        if self._headers:
            options["headers"] = self._headers
        return self.store.get_object(self.key, version_id or self.version_id, first, last, **options)
