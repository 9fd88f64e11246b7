"""S3Object: an object, or all objects below a prefix, as a local file or folder.

    report = S3Object("s3://bucket/reports/today.csv")
    with report.open("w") as file:          # uploaded when the block ends well, and not otherwise
        file.write("a,b")
    pandas.read_csv(report.download())      # a path; fetched only if it is not what the store has

The parameters have the names of both of s3lync's manuals: use_checksum or check_hash, mirror or force_sync, excludes or
exclude_pattern.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Self

from s3func.connect import connect, parse
from s3func.connect import endpoint_of as _place
from s3func.errors import NoSuchBucket, NotFound, S3ObjectError
from s3func.files.cache import Cache, Records, endpoint_of, state_root, usual_root
from s3func.files.config import Config, checked_progress_mode
from s3func.files.excludes import HIDDEN, Excludes
from s3func.files.progress import ProgressBar
from s3func.files.single import ObjectFile

if TYPE_CHECKING:
    from types import TracebackType

    from s3func.profiles import Profile
    from s3func.session import Session

__all__ = ["S3Object"]


class S3Object:
    """One object or folder of a store and its local copy. Safe for threads, and for processes that share a cache.

    `os.fspath(obj)` and `obj.local_path` are where the copy is, or would be. Sessions are made when they are needed and
    let go with the object; close() or a `with` block does it earlier.
    """

    _secret_first = False
    _cache_owner = "s3func"

    def __init__(
        self,
        s3_uri: str,
        local_path: str | os.PathLike[str] | None = None,
        region_name: str | None = None,
        excludes: str | Iterable[str] | None = None,
        *,
        progress_mode: str | None = None,
        session: Session | None = None,
        cache: Cache | None = None,
        endpoint_url: str | None = None,
        profile: str | Profile | None = None,
        **options: Any,
    ) -> None:
        """Nothing is sent or read.

        s3_uri: see connect.py; `s3://bucket/key`, with a profile or an endpoint in front of the bucket, or `b2://…`.
        local_path: where the copy is; in the cache for None. excludes: regular expressions for what of a folder does not
        take part, searched for in the relative path, beside those of hidden files (see Config). progress_mode: progress,
        compact or disabled; as configured for None. session: to use in place of one of its own, whose bucket does not
        matter. options: further arguments of the session. ValueError, TypeError.
        """
        self._location = parse(s3_uri, secret_first=self._secret_first)
        if not self._location.key:
            raise ValueError(f"s3_uri names a bucket and no key: {self._location.url}")
        self._session = session
        self._own: Session | None = None
        self._options = dict(options, endpoint_url=endpoint_url, profile=profile, region=region_name)
        self._cache = Cache(usual_root(self._cache_owner)) if cache is None else cache
        self._given_path = None if local_path is None else os.path.abspath(os.path.expanduser(os.fspath(local_path)))
        self._progress_mode = None if progress_mode is None else checked_progress_mode(progress_mode)
        self._excludes = Excludes(HIDDEN if Config.should_exclude_hidden() else ())
        self._excludes.add(() if excludes is None else excludes)
        if (level := Config.chosen_log_level()) is not None:
            logging.getLogger("s3func.files").setLevel(level)

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self._location.bucket

    @property
    def key(self) -> str:
        """The key, or the prefix of a folder; exact."""
        return self._location.key

    @property
    def s3_uri(self) -> str:
        """The URI, without secrets."""
        return self._location.url

    @property
    def local_path(self) -> str:
        """Where the copy is; the folder that it is in is made if need be."""
        path = self._path()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def download(
        self,
        use_checksum: bool = True,
        excludes: str | Iterable[str] | None = None,
        progress_mode: str | None = None,
        mirror: bool = False,
        *,
        check_hash: bool | None = None,
        exclude_pattern: str | Iterable[str] | None = None,
        force_sync: bool | None = None,
        **safety: Any,
    ) -> str:
        """Make the local copy what the store has; gives its path. What is the same already is not transferred.

        use_checksum: compare contents by hashes, and what arrives with the store's checksum; without, only what was
        written down at the last time counts. mirror: exactly what the store has, whatever is here: of a folder, files
        that the store does not have are deleted, but never on doubt (safety: `max_delete`, `allow_empty_source` of
        sync()), and never those that are excluded. Without mirror a copy that changed, like its object, since they were
        last the same is a SyncConflict. S3ObjectError when there is neither an object nor anything below it,
        HashMismatchError, SyncError, and whatever the session raises.
        """
        checked = _one_of("use_checksum", use_checksum, "check_hash", check_hash, default=True)
        exact = _one_of("mirror", mirror, "force_sync", force_sync, default=False)
        more = _one_of("excludes", excludes, "exclude_pattern", exclude_pattern, default=None)
        file = self._file()
        if self.key.endswith("/") or os.path.isdir(file.path):
            self._check_folder()
            return self._sync(file, more, progress_mode, exact=exact, checked=checked, is_upload=False, safety=safety)
        _no_safety(safety)
        try:
            with self._progress(progress_mode) as progress:
                file.download(force=exact, verify=checked, progress=progress)
        except NoSuchBucket:
            raise
        except NotFound:
            self._check_folder()
            return self._sync(file, more, progress_mode, exact=exact, checked=checked, is_upload=False, safety=safety)
        return file.path

    def upload(
        self,
        use_checksum: bool = True,
        excludes: str | Iterable[str] | None = None,
        progress_mode: str | None = None,
        mirror: bool = False,
        *,
        check_hash: bool | None = None,
        exclude_pattern: str | Iterable[str] | None = None,
        force_sync: bool | None = None,
        **safety: Any,
    ) -> str:
        """Make the store have what the local copy is; gives the URI. The parameters are those of download().

        mirror: of a folder, objects of which there is no file are deleted, under the same guards. S3ObjectError when
        there is no local copy, SourceChanged when it is being written to.
        """
        checked = _one_of("use_checksum", use_checksum, "check_hash", check_hash, default=True)
        exact = _one_of("mirror", mirror, "force_sync", force_sync, default=False)
        more = _one_of("excludes", excludes, "exclude_pattern", exclude_pattern, default=None)
        file = self._file()
        if os.path.isdir(file.path):
            self._sync(file, more, progress_mode, exact=exact, checked=checked, is_upload=True, safety=safety)
            return self.s3_uri
        _no_safety(safety)
        with self._progress(progress_mode) as progress:
            file.upload(force=exact, verify=checked, progress=progress)
        return self.s3_uri

    def open(
        self,
        mode: str = "r",
        encoding: str | None = "utf-8",
        *,
        errors: str | None = None,
        newline: str | None = None,
        use_checksum: bool = True,
        progress_mode: str | None = None,
    ) -> AbstractContextManager[IO[Any]]:
        """The object as an open file, in a `with` block: downloaded for reading, uploaded when it was written.

        mode: as of the builtin function; opening.py has the rules. An exception in the block publishes nothing, here or
        in the store. S3ObjectError when there is nothing to read, SyncConflict when somebody else was faster.
        """
        from s3func.files.opening import check_mode

        check_mode(mode)
        text = {} if "b" in mode else {"encoding": encoding, "errors": errors, "newline": newline}
        if self.key.endswith("/"):
            raise S3ObjectError(f"{self.s3_uri} is a folder, which cannot be opened")
        return self._opened(mode, progress_mode, verify=use_checksum, text=text)

    def exists(self) -> bool:
        """Whether there is such an object, or something below it. False as well when the bucket does not exist."""
        if not self.key.endswith("/") and self._file().head() is not None:
            return True
        try:
            return self._is_folder()
        except NoSuchBucket:
            return False

    def delete(self) -> bool:
        """Delete the object or, where there is none, everything below it. The local copy stays.

        Gives whether there was anything. DeleteFailed says which keys are left.
        """
        file = self._file()
        file.records.forget(file.path, file.url)
        if not self.key.endswith("/") and file.head() is not None:
            file.session.delete_object(self.key, bucket=self.bucket)
            return True
        if not self._is_folder():
            return False
        delete: Any = getattr(file.session, "delete_objects")  # noqa: B009 -- not in the contract, both stores have it
        delete(prefix=self._prefix(), bucket=self.bucket)
        return True

    def is_changed(self) -> bool:
        """Whether the local copy and the store differ; nothing is transferred."""
        file = self._file()
        if os.path.isdir(file.path) or self.key.endswith("/"):
            from s3func.files.folders import differs

            return differs(file.session, self.bucket, self._prefix(), file.path, self._excludes.compiled())
        return file.is_changed() or (not os.path.exists(file.path) and self._is_folder())

    def verify(self) -> None:
        """Read the local copy and compare it with the store, whatever is believed of it. HashMismatchError."""
        file = self._file()
        if os.path.isdir(file.path):
            from s3func.files.folders import verify_folder

            verify_folder(file.session, self.bucket, self._prefix(), file.path, self._excludes.compiled())
        else:
            file.verify()

    def add_exclude(self, pattern: str) -> Self:
        """Leave out what the regular expression is found in."""
        self._excludes.add(pattern)
        return self

    def add_excludes(self, patterns: Iterable[str]) -> Self:
        """Several at once."""
        self._excludes.add(patterns)
        return self

    def remove_exclude(self, pattern: str) -> Self:
        """Take a pattern back."""
        self._excludes.remove(pattern)
        return self

    def clear_excludes(self) -> Self:
        """Take all of them back, those of hidden files as well."""
        self._excludes.clear()
        return self

    def get_excludes(self) -> list[str]:
        """The patterns, as they were given."""
        return self._excludes.patterns()

    def close(self) -> None:
        """Let go of the connections of a session of its own; the object may be used again."""
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __fspath__(self) -> str:
        return self.local_path

    def __str__(self) -> str:
        return self.s3_uri

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.s3_uri!r})"

    def _reached(self) -> Session:
        """The session that was given, or one of its own."""
        if self._session is not None:
            return self._session
        if self._own is None:
            self._own = connect(self._location, **self._settings())
        return self._own

    def _settings(self) -> dict[str, Any]:
        options = dict(self._options)
        if options["region"] is None and not (options["profile"] or self._location.profile):
            options["region"] = Config.get_region()
        return options

    def _path(self) -> str:
        if self._given_path is not None:
            return self._given_path
        session = self._session or self._own
        endpoint = _place(self._location, **self._settings()) if session is None else endpoint_of(session)
        return self._cache.path(endpoint, self.bucket, self.key)

    def _file(self) -> ObjectFile:
        session, path = self._reached(), self._path()
        records = self._cache.records if self._cache.contains(path) else Records(state_root())
        url = f"{self._location.scheme}://{self.bucket}/{self.key}"
        endpoint = endpoint_of(session)
        if not self._cache.is_usual(endpoint):
            url = f"{self._location.scheme}://{endpoint}@{self.bucket}/{self.key}"
        return ObjectFile(session, self.bucket, self.key, url, path, records)

    def _prefix(self) -> str:
        return self.key if self.key.endswith("/") else f"{self.key}/"

    def _is_folder(self) -> bool:
        """Whether there is anything below the key."""
        list_objects: Any = self._reached().list_objects
        return any(True for _ in list_objects(prefix=self._prefix(), max_keys=1, bucket=self.bucket))

    def _check_folder(self) -> None:
        if not self._is_folder():
            raise S3ObjectError(f"{self.s3_uri} does not exist: there is no such object, and nothing below it")

    def _progress(self, mode: str | None) -> ProgressBar:
        return ProgressBar(None, self.key, self._progress_mode if mode is None else mode)

    @contextmanager
    def _opened(self, mode: str, progress_mode: str | None, *, verify: bool, text: dict[str, Any]) -> Iterator[IO[Any]]:
        from s3func.files.opening import opened

        with (
            self._progress(progress_mode) as progress,
            opened(self._file(), mode, verify=verify, progress=progress, **text) as file,
        ):
            yield file

    def _sync(
        self,
        file: ObjectFile,
        more: str | Iterable[str] | None,
        progress_mode: str | None,
        *,
        exact: bool,
        checked: bool,
        is_upload: bool,
        safety: dict[str, Any],
    ) -> str:
        from s3func.files.folders import sync_folder

        with self._progress(progress_mode) as progress:
            sync_folder(
                file.session,
                self.bucket,
                self._prefix(),
                file.path,
                self._excludes.compiled(more or ()),
                is_upload=is_upload,
                exact=exact,
                checked=checked,
                progress=progress,
                **safety,
            )
        return file.path


def _one_of(first: str, value: Any, second: str, other: Any, *, default: Any) -> Any:
    """A parameter that has two names."""
    if other is None:
        return value
    if value not in (default, other):
        raise ValueError(f"{first} and {second} are two names of one argument and differ")
    return other


def _no_safety(safety: dict[str, Any]) -> None:
    """What guards deletes has no meaning for one object, but a name that does not exist is a mistake."""
    if unknown := safety.keys() - {"max_delete", "allow_empty_source"}:
        raise TypeError(f"unexpected argument: {min(unknown)}")
