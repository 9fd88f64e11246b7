"""Mirror: paths that stand for places in stores while a block of code runs, for code that understands only files.

1. A download is done when it returns; an upload happens at intervals and when the block is left.
2. A block that is left by an exception, Ctrl-C and sys.exit() included, uploads nothing, but for what says sync_on_error.
3. While the block runs nothing is deleted in a store. At its end only what was asked for, and only what both sides knew.
4. Two registrations that would work against each other are refused when the second one is made.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from s3func.connect import connect
from s3func.errors import DeadlineExceeded, S3FuncError, SyncError
from s3func.mirrors.background import Background
from s3func.mirrors.moving import (
    Delete,
    Settings,
    bring_down,
    download_plan,
    send_settled,
    send_up,
    upload_plan,
)
from s3func.mirrors.places import Place, overlap, place_of

if TYPE_CHECKING:
    from s3func.profiles import Profile
    from s3func.session import Session
    from s3func.sync.events import Event
    from s3func.sync.guards import MaxDelete
    from s3func.sync.plans import Plan
    from s3func.transport.transfer import BandwidthLimit

log = logging.getLogger("s3func.mirrors")

CACHE = "~/.cache/s3func/mirrors"
_DELETES = ("none", "tracked", "all")


class Download:
    """A place that was brought down. options: what has to be the same when it is asked for again."""

    def __init__(self, place: Place, path: Path, options: dict[str, Any]) -> None:
        self.place, self.path, self.options = place, path, options


class Upload:
    """A path whose content goes up: every `interval` seconds, and at the end. See background.Turn."""

    def __init__(self, place: Place, path: Path, options: dict[str, Any]) -> None:
        self.place, self.path, self.options = place, path, options
        self.interval: float | None = options["interval"]
        self.due = time.monotonic() + (self.interval or 0)
        self.failures = 0
        self.last_error: BaseException | None = None
        self.uploaded = 0
        self.last_success: float | None = None


class Mirror:
    """The paths of one block; a context manager. Safe for threads. See mirror() for the arguments."""

    def __init__(
        self,
        cache_root: str | os.PathLike[str] = CACHE,
        *,
        workers: int | Literal["auto"] = "auto",
        default_profile: str | Profile | None = None,
        bandwidth: BandwidthLimit | None = None,
        max_delete: int | str | MaxDelete | None = None,
        on_event: Callable[[Event], object] | None = None,
        deadline: float | None = None,
        session: Session | None = None,
        **options: Any,
    ) -> None:
        """Nothing is sent and nothing is written yet."""
        self.cache_root = Path(cache_root).expanduser().absolute()
        self.default_profile = default_profile
        self._settings = Settings(workers=workers, bandwidth=bandwidth, max_delete=max_delete, on_event=on_event)
        self._deadline = _checked_seconds("deadline", deadline)
        # When the end of the block has to be over, on the monotonic clock.
        self._end: float | None = None
        self._given_session = session
        self._session_options = options
        self._sessions: dict[tuple[Any, ...], Session] = {}
        self._downloads: list[Download] = []
        self._uploads: list[Upload] = []
        self._lock = threading.RLock()
        # One upload of a registration at a time, whoever asks for it.
        self._moving = threading.Lock()
        self._background = Background(self._registered, self._tick)
        self._process = os.getpid()
        self._is_open = False

    def __enter__(self) -> Self:
        from s3func.mirrors.active import enter

        self._end = None
        if self._is_open:
            raise RuntimeError("this mirror is active already; nested blocks take a mirror each")
        enter(self)
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from s3func.mirrors.active import leave

        leave(self)
        self._is_open = False
        if os.getpid() != self._process:
            # A fork inside of the block: the parent's block is the one that uploads.
            return
        if self._deadline is not None:
            self._end = time.monotonic() + self._deadline
        self._background.stop(self._left())
        try:
            if error is None:
                self._send_all(self._uploads)
            else:
                self._send_in_spite_of(error)
        finally:
            for session in self._sessions.values():
                session.close()

    def download(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None = None,
        *,
        delete: Delete | bool = "tracked",
        exclude: str | Iterable[str] = (),
        profile: str | Profile | None = None,
    ) -> Path:
        """Bring a prefix or an object down, and return the path that stands for it.

        remote: `s3://[profile@]bucket/key`, `b2://…`, or a path, which is returned as it is (FileNotFoundError when it
        is not there). local: where to; None: below the cache. delete: what is done with files that the store does not
        have: "tracked" deletes those that came from there, "all" (True) every one, within the usual limits of plan(),
        "none" (False) nothing. exclude: patterns of Filters, on both sides. Files that were changed on both sides are a
        SyncConflict. S3ObjectError when there is nothing at all. ValueError when the path is another download's, or the
        place a registered upload's.
        """
        return self._download(remote, local, delete, exclude, profile, may_be_missing=False)

    def upload(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None = None,
        *,
        interval: float | None = 300,
        delete: Delete | bool = "none",
        sync_on_error: bool = False,
        exclude: str | Iterable[str] = (),
        profile: str | Profile | None = None,
        settle: float = 2.0,
    ) -> Path:
        """Upload a path at the end of the block, and every `interval` seconds (None: at the end only); returns the path.

        The folder is made if nothing is there; if the last part of the key has a dot in it, the folder around it, since
        that looks like the name of a file. sync_on_error: also at the end of a block that is left by an exception. settle:
        while the block runs, only files that were not written to for so many seconds are uploaded. delete: as for
        download(), the other way round, and only at the end. ValueError when the place is that of another registration.
        """
        return self._upload(remote, local, interval, delete, sync_on_error, exclude, profile, settle)

    def sync(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None = None,
        *,
        interval: float | None = 300,
        delete_local: Delete | bool = "tracked",
        delete_remote: Delete | bool = "none",
        sync_on_error: bool = False,
        exclude: str | Iterable[str] = (),
        profile: str | Profile | None = None,
        settle: float = 2.0,
    ) -> Path:
        """download(), of nothing as well, and then upload(): for a job that goes on where the one before it stopped."""
        self._check_open()
        place = place_of(remote, profile, self.default_profile)
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
            return place
        with self._lock:
            known = self._known_upload(place)
            if known is None:
                self._download(remote, local, delete_local, exclude, profile, may_be_missing=True)
                self._downloads = [entry for entry in self._downloads if entry.place.parts != place.parts]
            return self._upload(remote, local, interval, delete_remote, sync_on_error, exclude, profile, settle)

    def ls(
        self, prefix: str | os.PathLike[str], *, recursive: bool = False, profile: str | Profile | None = None
    ) -> list[str]:
        """What is in a prefix or a folder, sorted: URLs or paths; of folders the name without a slash at its end."""
        self._check_open()
        place = place_of(prefix, profile, self.default_profile)
        if isinstance(place, Path):
            return _entries_of(place, recursive=recursive)
        location = place.location
        below = location.key if not location.key or location.key.endswith("/") else f"{location.key}/"
        base = location._replace(key="").url
        listing: Any = self._session_of(place).list_objects
        if recursive:
            keys = [entry.key for entry in listing(below, bucket=location.bucket)]
            folders = {key[:place_] for key in keys for place_ in _slashes(key, len(below))}
            names = {key for key in keys if not key.endswith("/")} | folders
        else:
            found = listing(below, delimiter="/", bucket=location.bucket)
            names = {entry.key for entry in found if entry.key != below}
            names |= {name.rstrip("/") for name in found.common_prefixes}
        return sorted(f"{base}/{name}" for name in names)

    def plan_download(
        self,
        remote: str,
        local: str | os.PathLike[str] | None = None,
        *,
        delete: Delete | bool = "tracked",
        exclude: str | Iterable[str] = (),
        profile: str | Profile | None = None,
    ) -> Plan:
        """What download() of a prefix would do, as a plan that nobody carries out."""
        place, path = self._place_and_path(remote, local, profile)
        chosen = _checked_delete("delete", delete)
        return download_plan(self._session_of(place), place, path, chosen, _patterns(exclude), self._settings)

    def plan_upload(
        self,
        remote: str,
        local: str | os.PathLike[str] | None = None,
        *,
        delete: Delete | bool = "none",
        exclude: str | Iterable[str] = (),
        profile: str | Profile | None = None,
    ) -> Plan:
        """What upload() of a folder would do now, as a plan that nobody carries out."""
        place, path = self._place_and_path(remote, local, profile)
        chosen = _checked_delete("delete", delete)
        return upload_plan(self._session_of(place), place, path, chosen, _patterns(exclude), self._settings)

    def path_of(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None = None,
        *,
        profile: str | Profile | None = None,
    ) -> Path:
        """The path that stands for a place, whether it was brought down or not; a path stands for itself."""
        place = place_of(remote, profile, self.default_profile)
        return place if isinstance(place, Path) else _path(local) or place.below(self.cache_root)

    def flush(self) -> None:
        """Upload everything that is registered, now; raises as the end of the block does. Nothing is deleted."""
        self._check_open()
        self._send_all(self._registered(), delete="none")

    def status(self) -> list[dict[str, Any]]:
        """Of every registered upload: url, path, uploaded (files), last_success (seconds since 1970), failures, last_error."""
        names = ("uploaded", "last_success", "failures", "last_error")
        return [
            {"url": entry.place.url, "path": entry.path, **{name: getattr(entry, name) for name in names}}
            for entry in self._registered()
        ]

    def _download(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None,
        delete: Delete | bool,
        exclude: str | Iterable[str],
        profile: str | Profile | None,
        *,
        may_be_missing: bool,
    ) -> Path:
        self._check_open()
        options: dict[str, Any] = {"delete": _checked_delete("delete", delete), "exclude": _patterns(exclude)}
        place = place_of(remote, profile, self.default_profile)
        if isinstance(place, Path):
            if not place.exists():
                raise FileNotFoundError(f"{place} is not there")
            return place
        path = _path(local) or place.below(self.cache_root)
        with self._lock:
            for known in self._downloads:
                if known.place.parts == place.parts and known.path == path:
                    if known.options != options:
                        raise ValueError(f"{place.url} was downloaded with other options: {known.options}")
                    break
                if overlap(known.path.parts, path.parts) and not _is_same_way_down(known, place, path):
                    raise ValueError(f"{path} is, or lies in, or holds {known.path}, which is {known.place.url}")
            for other in self._uploads:
                if overlap(other.place.parts, place.parts):
                    raise ValueError(f"{place.url} overlaps {other.place.url}, which is uploaded to: use sync()")
            bring_down(
                self._session_at(place, local),
                place,
                path,
                options["delete"],
                options["exclude"],
                self._settings,
                may_be_missing=may_be_missing,
            )
            self._downloads.append(Download(place, path, options))
        return path

    def _upload(
        self,
        remote: str | os.PathLike[str],
        local: str | os.PathLike[str] | None,
        interval: float | None,
        delete: Delete | bool,
        sync_on_error: bool,
        exclude: str | Iterable[str],
        profile: str | Profile | None,
        settle: float,
    ) -> Path:
        self._check_open()
        options = {
            "interval": _checked_seconds("interval", interval),
            "delete": _checked_delete("delete", delete),
            "sync_on_error": bool(sync_on_error),
            "exclude": _patterns(exclude),
            "settle": _checked_seconds("settle", settle, least=0),
        }
        place = place_of(remote, profile, self.default_profile)
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
            return place
        path = _path(local) or place.below(self.cache_root)
        with self._lock:
            known = self._known_upload(place)
            if known is not None:
                if (known.options, known.path) != (options, path):
                    raise ValueError(f"{place.url} is registered with other options: {known.options}, {known.path}")
                return path
            others: list[Upload | Download] = [*self._uploads, *self._downloads]
            for other in others:
                if overlap(other.place.parts, place.parts):
                    raise ValueError(f"{place.url} overlaps {other.place.url}, which is registered")
            session = self._session_at(place, local)
            if not path.exists():
                looks_like_file = "." in place.parts[-1] and not place.location.key.endswith("/")
                (path.parent if looks_like_file else path).mkdir(parents=True, exist_ok=True)
            self._uploads.append(Upload(place, path, options))
        del session
        if interval is not None:
            self._background.wake()
        return path

    def _check_open(self) -> None:
        """Outside of its block a mirror would take what nobody ever uploads."""
        if not self._is_open:
            raise RuntimeError("this mirror is not active: use it inside of its `with` block")

    def _known_upload(self, place: Place) -> Upload | None:
        return next((entry for entry in self._uploads if entry.place.parts == place.parts), None)

    def _registered(self) -> list[Upload]:
        with self._lock:
            return list(self._uploads)

    def _session_at(self, place: Place, local: object) -> Session:
        """The session of a place whose path, unless it is a given one, belongs to the store that the session leads to."""
        session = self._session_of(place)
        if local is None:
            place.claim(self.cache_root, str(getattr(session, "endpoint_url", "") or place.location.scheme))
        return session

    def _session_of(self, place: Place) -> Session:
        if self._given_session is not None:
            return self._given_session
        location = place.location
        # A profile that was given as such may have the name of another one.
        chosen = place.profile if isinstance(place.profile, str) else id(place.profile)
        key = (location.scheme, location.bucket, location.endpoint_url, chosen, location.credentials)
        with self._lock:
            found = self._sessions.get(key)
            if found is None:
                made = connect(location._replace(profile=None), profile=place.profile, **self._session_options)
                found = self._sessions[key] = made
        return found

    def _place_and_path(
        self, remote: str, local: str | os.PathLike[str] | None, profile: str | Profile | None
    ) -> tuple[Place, Path]:
        self._check_open()
        place = place_of(remote, profile, self.default_profile)
        if isinstance(place, Path):
            raise ValueError(f"remote must be a URL, not {place}")  # noqa: TRY004 -- a path is what it may be elsewhere
        return place, _path(local) or place.below(self.cache_root)

    def _tick(self, turn: Any) -> None:
        with self._moving:
            options = turn.options
            session = self._session_of(turn.place)
            turn.uploaded += send_settled(
                session, turn.place, turn.path, options["exclude"], options["settle"], self._settings
            )
            turn.last_success = time.time()

    def _send(self, entry: Upload, delete: Delete | None = None) -> None:
        options = entry.options
        if not entry.path.exists():
            log.warning("%s is not there, so nothing is uploaded to %s", entry.path, entry.place.url)
            return
        left = self._left()
        if not self._moving.acquire(timeout=-1 if left is None else left):
            raise DeadlineExceeded(f"an upload in the background did not end within {self._deadline} seconds")
        try:
            session = self._session_of(entry.place)
            left = self._left()
            if left is not None:
                if not left:
                    raise DeadlineExceeded(f"the end of the block may take {self._deadline} seconds")
                session = session.limited(left)
            chosen = options["delete"] if delete is None else delete
            entry.uploaded += send_up(
                session, entry.place, entry.path, chosen, options["exclude"], self._settings, deadline=left
            )
        except SyncError as error:
            if self._left() == 0:
                raise DeadlineExceeded(f"the end of the block may take {self._deadline} seconds: {error}") from error
            raise
        finally:
            self._moving.release()
        entry.last_success, entry.last_error, entry.failures = time.time(), None, 0

    def _left(self) -> float | None:
        """Seconds until the end of the block has to be over; None for as long as it takes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _send_all(self, entries: Iterable[Upload], delete: Delete | None = None) -> None:
        """Every one is tried; the first error is raised, with the others as its notes."""
        first: BaseException | None = None
        for entry in list(entries):
            try:
                self._send(entry, delete)
            except (S3FuncError, OSError) as error:
                entry.last_error = error
                entry.failures += 1
                error.add_note(f"while {entry.path} was uploaded to {entry.place.url}")
                if first is None:
                    first = error
                else:
                    first.add_note(f"and {entry.place.url}: {error}")
        if first is not None:
            raise first

    def _send_in_spite_of(self, error: BaseException) -> None:
        """Upload what was to be uploaded even so; what goes wrong is a note of the error, and never in its place."""
        try:
            self._send_all(entry for entry in self._uploads if entry.options["sync_on_error"])
        except (S3FuncError, OSError) as failure:
            log.warning("an upload at the end failed: %s", failure)
            error.add_note(f"and an upload at the end failed: {failure}")


def _checked_delete(name: str, delete: Delete | bool) -> Delete:
    if isinstance(delete, bool):
        return "all" if delete else "none"
    if delete not in _DELETES:
        raise ValueError(f"{name} must be one of {', '.join(_DELETES)}, not {delete!r}")
    return delete


def _checked_seconds(name: str, seconds: float | None, least: float = 0.01) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if seconds < least:
        raise ValueError(f"{name} must be at least {least}, not {seconds}")
    return seconds


def _patterns(exclude: str | Iterable[str]) -> tuple[str, ...]:
    return (exclude,) if isinstance(exclude, str) else tuple(exclude or ())


def _path(local: str | os.PathLike[str] | None) -> Path | None:
    return None if local is None else Path(local).expanduser().absolute()


def _is_same_way_down(known: Download, place: Place, path: Path) -> bool:
    """Whether one path lies in the other exactly where its place lies in the other's place, so that both agree."""
    outer, inner = sorted(
        [(known.place.parts, known.path.parts), (place.parts, path.parts)], key=lambda pair: len(pair[1])
    )
    below = inner[1][len(outer[1]) :]
    return bool(below) and inner[0] == (*outer[0], *below)


def _slashes(key: str, start: int) -> list[int]:
    return [place for place in range(start, len(key)) if key[place] == "/"]


def _entries_of(folder: Path, *, recursive: bool) -> list[str]:
    if folder.is_file():
        return [str(folder)]
    return sorted(str(path) for path in (folder.rglob("*") if recursive else folder.iterdir()))
