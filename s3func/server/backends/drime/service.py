"""Drime's API as far as it is needed, through the client of the package `pydrime`, in words of our own.

Rule 1: requests are pydrime's: which path, which fields, its token, its connections and its retries. What it makes of
        the answers is not relied on where it hides a failure: pages of a folder are counted here, because its own loop
        returns what it has when a page fails; bodies are streamed with its HTTP client, because it has no ranges.
Rule 2: what pydrime or its HTTP client raises becomes an error of s3func here. Their texts are dropped: they quote URLs
        that are signed, and whoever has such a URL needs no key.
Rule 3: importing pydrime reads `.env` of the working directory into the environment. That is undone: a server's
        environment is no business of a file that happens to lie where it was started.
https://docs.drime.cloud
"""

from __future__ import annotations

import gc
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from s3func.clock import Clock
from s3func.errors import Conflict, ServerError, ServiceError, service_error

if TYPE_CHECKING:
    from pydrime import DrimeClient

DEFAULT_API_URL = "https://app.drime.cloud/api/v1"
PAGE = 1000
"""Entries of a folder that are asked for at once."""

ATTEMPTS = 4
"""How often an upload, a listing or the opening of a body is tried."""

# Up to this size a body is sent by one request, larger ones in chunks, of which S3 takes so many.
_AT_ONCE = 30 * 1024 * 1024
_CHUNK = 16 * 1024 * 1024
_CHUNKS_MAX = 10_000

_log = logging.getLogger("s3func.server.drime")
_STATUS = re.compile(r"status (\d{3})")
T = TypeVar("T")


class DrimeRefused(ServerError):
    """Drime answered that it will not do that."""


class DrimeMissing(DrimeRefused):
    """What was asked for does not exist at Drime, or no longer."""


class Changed(Conflict):
    """A body is not the one that was opened, or that its entry was listed with."""

    default_code = "OperationAborted"

    def __init__(self, message: str = "", **about: Any) -> None:
        super().__init__(message or "The object was replaced while it was read. Please try again.", **about)


class Entry(NamedTuple):
    """A file or folder. hash: what its body is asked for with. updated: as Drime writes it."""

    id: int
    name: str
    is_folder: bool
    size: int
    hash: str
    file_name: str
    mime: str
    created: str
    updated: str
    parent_id: int | None

    @property
    def fingerprint(self) -> str:
        """Another one, whenever the body may be another one."""
        return f"{self.file_name}/{self.size}/{seconds_of(self.updated):.3f}"


def entry_of(data: Any) -> Entry:
    """The entry of an answer; ServerError where it is none."""
    try:
        size, parent = data.get("file_size"), data.get("parent_id")
        return Entry(
            int(data["id"]),
            str(data["name"]),
            data.get("type") == "folder",
            int(size or 0),
            str(data.get("hash") or ""),
            str(data.get("file_name") or ""),
            str(data.get("mime") or ""),
            str(data.get("created_at") or ""),
            str(data.get("updated_at") or data.get("created_at") or ""),
            int(parent) if parent else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unusable() from None


def seconds_of(text: str) -> float:
    """Seconds since the epoch of a time as Drime writes it; 0 for none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), 3)


def make_client(api_key: str, api_url: str, *, retry_delay: float = 1.0) -> DrimeClient:
    """pydrime's client, which is told everything and looks nothing up. ImportError without the package."""
    before = dict(os.environ)
    from pydrime import DrimeClient

    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    return DrimeClient(api_key=api_key, api_url=api_url, retry_delay=retry_delay, s3_retry_delay=retry_delay)


class Drime:
    """One workspace of one account."""

    def __init__(self, client: DrimeClient, workspace_id: int, clock: Clock, *, retry_delay: float = 1.0) -> None:
        self.workspace_id = workspace_id
        self.api_url = client.api_url.rstrip("/")
        self._client = client
        self._clock = clock
        self._retry_delay = retry_delay
        # Made by the first request, it might be made by two threads at once.
        client._get_client()  # noqa: SLF001 -- pydrime's own pool of connections, which it has no other name for

    def list_folder(self, folder_id: int | None) -> list[Entry]:
        """All entries of a folder, None for that of the workspace. Complete, or an error."""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(attempt)
            found = self._pages(folder_id)
            if found is not None:
                return found
        raise service_error("ServiceUnavailable", "A folder of Drime changed all the time while it was listed.")

    def entry(self, entry_id: int) -> Entry | None:
        """An entry by its id; None where there is none."""
        try:
            answer = self._ask("look at an entry", lambda: self._client.get_file_entry(entry_id, self.workspace_id))
        except DrimeMissing:
            return None
        return entry_of(answer.get("fileEntry", answer) if isinstance(answer, Mapping) else None)

    def create_folder(self, name: str, parent_id: int | None) -> Entry:
        """Make a folder; DrimeRefused where Drime says that there is one of that name."""
        return self._ask(
            "make a folder",
            lambda: entry_of(self._client.create_folder(name, parent_id, self.workspace_id)["folder"]),
        )

    def upload(self, path: Path, parent_id: int) -> Entry:
        """Upload a file under its own name, which is a new entry whatever is there already."""
        size = path.stat().st_size
        options: dict[str, Any] = {"parent_id": parent_id, "workspace_id": self.workspace_id}
        if size > _AT_ONCE:
            chunk = max(_CHUNK, -(-size // _CHUNKS_MAX))
            options |= {"chunk_size": chunk, "progress_callback": _let_go}

        def send() -> Entry:
            answer = self._client.upload_file(path, use_multipart_threshold=_AT_ONCE, **options)
            return entry_of(answer.get("fileEntry", answer))

        for attempt in range(1, ATTEMPTS + 1):
            try:
                entry = self._ask("upload", send)
            except ServiceError as error:
                # pydrime does not say why an upload failed, and sends it once only.
                if attempt == ATTEMPTS or error.code == "InternalError":
                    raise
                self._wait(attempt)
                continue
            if entry.size != size:
                self.delete([entry.id], forever=True)
                raise _unusable()
            return entry
        raise _unusable()

    def rename(self, entry_id: int, name: str) -> Entry:
        """Give an entry another name, and return it; DrimeRefused where it has another one then."""

        def send() -> Entry:
            answer = self._client.update_file_entry(entry_id, name=name, workspace_id=self.workspace_id)
            return entry_of(answer["fileEntry"])

        entry = self._ask("rename", send)
        if entry.name != name:
            raise DrimeRefused("Drime does not keep a name of this object.")
        return entry

    def move(self, entry_ids: Sequence[int], folder_id: int) -> list[Entry]:
        """Move entries into a folder, and return them as they are then."""

        def send() -> list[Entry]:
            answer = self._client.move_file_entries(list(entry_ids), folder_id, self.workspace_id)
            return [entry_of(data) for data in answer.get("entries") or ()]

        moved = {entry.id: entry for entry in self._ask("move", send)}
        result = []
        for entry_id in entry_ids:
            entry = moved.get(entry_id) or self.entry(entry_id)
            if entry is None:
                raise DrimeMissing("What was moved at Drime is gone.")
            result.append(entry._replace(parent_id=folder_id))
        return result

    def duplicate(self, entry_id: int, folder_id: int) -> Entry:
        """Copy a file into a folder, inside of Drime."""

        def send() -> Entry:
            answer = self._client.duplicate_file_entries([entry_id], folder_id, self.workspace_id)
            return entry_of(answer["entries"][0])

        return self._ask("copy", send)

    def delete(self, entry_ids: Sequence[int], *, forever: bool) -> None:
        """Delete entries, or move them to the trash."""

        def send() -> None:
            answer = self._client.delete_file_entries(list(entry_ids), forever, self.workspace_id)
            if isinstance(answer, Mapping) and answer.get("errors"):
                raise DrimeRefused("Drime did not delete everything that it was told to.")

        self._ask("delete", send)

    def open(self, entry: Entry, start: int, end: int) -> Download:
        """The body from one offset up to another one, as a stream."""
        from pydrime import calculate_drime_hash

        file_hash = entry.hash or calculate_drime_hash(entry.id)
        url = f"{self.api_url}/file-entries/download/{file_hash}"
        headers = {"range": f"bytes={start}-{end - 1}", "accept-encoding": "identity"}

        def send() -> Download:
            client = self._client._get_client()  # noqa: SLF001 -- it has no way to ask for a range
            response = client.send(client.build_request("GET", url, headers=headers), stream=True)
            try:
                response.raise_for_status()
                return Download(response, start, end, entry.size)
            except BaseException:
                response.close()
                raise

        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask("read", send)
            except ServiceError as error:
                if attempt == ATTEMPTS or error.code == "InternalError":
                    raise
                self._wait(attempt)
        raise _unusable()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _pages(self, folder_id: int | None) -> list[Entry] | None:
        """All pages of a folder; None where they do not fit together, because it changed in the meantime."""
        found: dict[int, Entry] = {}
        seen: set[int] = set()
        totals: set[int] = set()
        page = 1
        while True:
            answer = self._ask(
                "list a folder",
                lambda page=page: self._client.get_file_entries(  # type: ignore[misc]
                    per_page=PAGE,
                    page=page,
                    parent_ids=[folder_id or 0],
                    workspace_id=self.workspace_id,
                    order_by="name",
                    order_dir="asc",
                ),
            )
            rows = answer.get("data") if isinstance(answer, Mapping) else None
            if not isinstance(rows, list):
                raise _unusable()
            for row in rows:
                entry = entry_of(row)
                seen.add(entry.id)
                if entry.parent_id == folder_id and not row.get("deleted_at"):
                    found[entry.id] = entry
            if isinstance(total := answer.get("total"), int):
                totals.add(total)
            following = _next_page(answer, page, len(rows))
            if following is None:
                # What left a page that was read pulls a row of the next page over to it, unseen.
                return list(found.values()) if totals <= {len(seen)} else None
            page = following

    def _ask(self, what: str, send: Callable[[], T]) -> T:
        with refusals(what):
            return send()

    def _wait(self, attempt: int) -> None:
        self._clock.sleep(self._retry_delay * 2 ** (attempt - 1))


class Download:
    """A part of a body on its way."""

    def __init__(self, response: Any, start: int, end: int, size: int) -> None:
        """response: of httpx, answered with 2xx. start, end: what was asked for. size: of the whole body."""
        self._response = response
        self._blocks: Iterator[bytes] = response.iter_raw()
        self._rest = b""
        self._skip = 0
        self._left = end - start
        if response.status_code == 206:
            expected = f"bytes {start}-{end - 1}/{size}"
            is_right = response.headers.get("content-range", "") == expected
        else:
            self._skip = start
            is_right = response.headers.get("content-length", str(size)) == str(size)
        if not is_right:
            raise Changed

    def read(self, size: int) -> bytes:
        """Some bytes, at most `size` of them; b"" where the connection ended too early."""
        while not self._rest:
            with refusals("read"):
                block = next(self._blocks, b"")
            if not block:
                return b""
            skipped = min(self._skip, len(block))
            self._skip -= skipped
            self._rest = block[skipped:][: self._left]
        block, self._rest = self._rest[:size], self._rest[size:]
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Give the connection back, or up."""
        with refusals("read"):
            self._response.close()


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """What pydrime and httpx raise becomes an error of s3func, without their words."""
    import httpx
    import pydrime

    try:
        yield
    except ServiceError:
        raise
    except (pydrime.DrimeAuthenticationError, pydrime.DrimePermissionError):
        _log.info("Drime: cannot %s: the API key is not accepted", what)
        raise DrimeRefused("Drime does not accept the API key of this server, or not in this workspace.") from None
    except pydrime.DrimeNotFoundError:
        raise DrimeMissing("Drime has no such file or folder.") from None
    except pydrime.DrimeRateLimitError:
        _log.info("Drime: cannot %s: too many requests", what)
        raise service_error("SlowDown", "Drime asks for fewer requests. Please try again.") from None
    except httpx.HTTPStatusError as error:
        raise _status_error(what, error.response.status_code) from None
    except (pydrime.DrimeUploadError, pydrime.DrimeNetworkError, httpx.HTTPError) as error:
        _log.info("Drime: cannot %s: %s", what, type(error).__name__)
        raise service_error("ServiceUnavailable", "Drime does not answer as it should. Please try again.") from None
    except pydrime.DrimeAPIError as error:
        found = _STATUS.search(str(error))
        raise _status_error(what, int(found[1]) if found else 0) from None
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        _log.info("Drime: cannot %s: the answer cannot be used", what)
        raise _unusable() from None


def _status_error(what: str, status: int) -> ServiceError:
    if status == 404:
        return DrimeMissing("Drime has no such file or folder.")
    _log.info("Drime: cannot %s: status %d", what, status)
    if status == 429:
        return service_error("SlowDown", "Drime asks for fewer requests. Please try again.")
    if status >= 500:
        return service_error("ServiceUnavailable", "Drime does not answer as it should. Please try again.")
    return DrimeRefused("Drime refused to do that.")


def _let_go(sent: int, size: int) -> None:
    """A chunk was sent: what httpx made for it refers to itself, and would stay in memory with the chunk."""
    gc.collect()


def _unusable() -> ServerError:
    return ServerError("Drime gave an answer that cannot be used.")


def _next_page(answer: Mapping[str, Any], page: int, rows: int) -> int | None:
    """The page after this one. Drime names it, tells the last one, or says nothing: then a short page is the last."""
    following, last = answer.get("next_page"), answer.get("last_page")
    if isinstance(following, int) and following > page:
        return following
    if isinstance(last, int):
        return page + 1 if page < last else None
    if "next_page" in answer or not rows:
        return None
    per_page = answer.get("per_page")
    return page + 1 if rows >= (per_page if isinstance(per_page, int) and per_page > 0 else PAGE) else None
