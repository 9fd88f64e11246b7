"""Single objects and files on their way to another place: what `cp` and `mv` have in common.

1. A single copy is exact: the key is the key. Where the target ends with a slash, or is a folder, the source's name is
   added; for a pattern, what stands behind the last slash before its first * ? or [.
2. Two sources never go to one target: all targets are known, and compared, before anything is sent.
3. One that fails is told when it happens; the others are done.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from s3func.cli.report import progress, shown
from s3func.cli.sync_options import say, usage
from s3func.cli.urls import BLOCK, Stores, is_glob, line, line_of_json, literal_of, located, missing, objects_of, tell
from s3func.errors import NotFound, ObjectExists, S3FuncError, UnsafeKey

if TYPE_CHECKING:
    from s3func.connect import Location
    from s3func.session import Session
    from s3func.transport.transfer import TransferConfig

WORKERS = 8
FOLDER = object()
"""The result of a download that made a folder."""
_KEPT_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language")


class Source(NamedTuple):
    """What is to be copied. place: None for a file. name: what it is called below a folder."""

    place: Location | None
    path: str
    name: str

    @property
    def shown(self) -> str:
        """As it is written on a command line."""
        return self.path if self.place is None else self.place.url


class Target(NamedTuple):
    """Where it goes. place: None for a file."""

    place: Location | None
    path: str

    @property
    def shown(self) -> str:
        """As it is written on a command line."""
        return self.path if self.place is None else self.place.url


Pair = tuple[Source, Target]


def pairs(
    stores: Stores, sources: tuple[str, ...], target: str, *, recursive: bool = False, raw: bool = False
) -> list[Pair]:
    """Each source with its target. UsageError for what cannot be meant, UnsafeKey for a key that cannot be a file."""
    from s3func.connect import is_url

    place = located(target) if is_url(target) else None
    if place is None and not all(map(is_url, sources)):
        raise click.UsageError("neither SOURCE nor TARGET is a URL of a store")
    found = [item for text in sources for item in _expanded(stores, text, recursive=recursive, raw=raw)]
    is_folder = (
        recursive or target.endswith(("/", os.sep)) or (os.path.isdir(target) if place is None else not place.key)
    )
    if len(sources) > 1 or any(is_url(text) and is_glob(located(text).key, raw=raw) for text in sources):
        if not is_folder:
            raise click.UsageError(f"several sources go to a folder: {target}/")
        is_folder = True
    made: dict[str, Pair] = {}
    for item in found:
        goal = _target_of(target, place, item.name) if is_folder else Target(place, "" if place else target)
        if goal.shown in made:
            raise click.UsageError(f"both {made[goal.shown][0].shown} and {item.shown} would become {goal.shown}")
        made[goal.shown] = item, goal
    return list(made.values())


def _expanded(stores: Stores, text: str, *, recursive: bool, raw: bool) -> Iterator[Source]:
    from s3func.connect import is_url

    if not is_url(text):
        yield from _files(text, recursive=recursive)
        return
    place = located(text)
    session = stores.session(place)
    if is_glob(place.key, raw=raw):
        base = literal_of(place.key).rpartition("/")
        cut = len(base[0] + base[1])
        count = 0
        for entry in objects_of(session, place.key, raw=raw, recursive=recursive):
            count += 1
            yield Source(place._replace(key=entry.key), "", entry.key[cut:])
        if not count:
            raise click.ClickException(f"nothing is there: {place.url}")
    elif recursive:
        base_key = place.key if place.key.endswith("/") or not place.key else place.key + "/"
        entry = None
        for entry in session.list_objects(base_key or None):
            yield Source(place._replace(key=entry.key), "", entry.key.removeprefix(base_key))
        if entry is None:
            raise click.ClickException(f"nothing is there: {place._replace(key=base_key).url}")
    elif not place.key:
        raise click.UsageError(f"{text!r} is a bucket; all that is in it goes with --recursive")
    else:
        yield Source(place, "", place.key.rpartition("/")[2])


def _files(path: str, *, recursive: bool) -> Iterator[Source]:
    if path == "-":
        yield Source(None, path, "")
        return
    if not os.path.lexists(path):
        raise click.ClickException(f"{path}: No such file or directory")
    if not os.path.isdir(path):
        yield Source(None, path, os.path.basename(path))
        return
    if not recursive:
        raise click.UsageError(f"{path} is a folder: --recursive takes what is in it")

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(path, onerror=fail):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*names, *links]):
            whole = os.path.join(folder, name)
            yield Source(None, whole, os.path.relpath(whole, path).replace(os.sep, "/"))


def _target_of(target: str, place: Location | None, name: str) -> Target:
    """Below a folder. UsageError, UnsafeKey."""
    from s3func.sync.names import NamePolicy

    if place is None and name:
        folder = "/" if name.endswith("/") else ""
        return Target(None, os.path.join(target, NamePolicy().to_path(name.removesuffix("/"))) + folder)
    if place is None or not name:
        raise click.UsageError(f"{target} needs a name for it: the source is a pipe, or a folder for --recursive")
    base = place.key if place.key.endswith("/") or not place.key else place.key + "/"
    return Target(place._replace(key=base + name), "")


class Copier:
    """Copies with the options of one command line."""

    def __init__(self, stores: Stores, options: dict[str, Any], *, no_clobber: bool = False) -> None:
        """options: resume, bwlimit, progress, no_verify, fsync, as far as the command has them."""
        self._stores = stores
        self._options = options
        self._transfer = _transfer_of(options)
        self.no_clobber = no_clobber
        self.has_bar = True
        """Whether a bar is shown for each of them."""

    def session(self, place: Location) -> Session:
        """The session that reaches a place."""
        return self._stores.session(place)

    def copy(self, source: Source, target: Target) -> Any:
        """Copy one; what the store or the download says of it, None where it was left alone. OSError, S3FuncError."""
        if source.place is None:
            return self.upload(source.path, target)
        with self.explained(source.place):
            if target.place is None:
                return self.download(source.place, target.path)
            return self.between(source.place, target.place)

    @contextmanager
    def explained(self, source: Location) -> Iterator[None]:
        """Where the source is not there, what may have been meant. ClickException."""
        try:
            yield
        except NotFound as error:
            if error.key != source.key:
                raise
            raise missing(self.session(source), source) from None

    def upload(self, path: str, target: Target) -> Any:
        """A file, or stdin."""
        place = target.place
        assert place is not None
        session = self.session(place)
        if self.no_clobber and session.exists(place.key):
            return None
        only_new = {"if_none_match": "*"} if self.no_clobber and session.capabilities.conditional_writes else {}
        if path == "-":
            opened: Any = session.open
            with opened(place.key, "wb", transfer=self._transfer, **only_new) as writer:
                shutil.copyfileobj(sys.stdin.buffer, writer, BLOCK)
            return writer.result
        upload: Any = session.upload_file
        resume = bool(self._options.get("resume"))
        try:
            return upload(path, place.key, resume=resume, progress=self._bar(path), transfer=self._transfer, **only_new)
        except ObjectExists:
            # Somebody else was faster, and was not to be overwritten.
            return None

    def download(self, place: Location, path: str, *, if_match: str | None = None) -> Any:
        """An object to a file, or to stdout."""
        is_pipe = path == "-"
        if self.no_clobber and not is_pipe and os.path.lexists(path):
            return None
        if path.endswith("/"):
            return self._make_folder(place, path)
        if not is_pipe and (folder := os.path.dirname(path)):
            os.makedirs(folder, exist_ok=True)
        return self.session(place).download_file(
            place.key,
            sys.stdout.buffer if is_pipe else path,
            resume=bool(self._options.get("resume")) and not is_pipe,
            progress=self._bar(place.key),
            transfer=self._transfer,
            verify=False if self._options.get("no_verify") else None,
            fsync=bool(self._options.get("fsync")),
            if_match=if_match,
        )

    def _make_folder(self, place: Location, path: str) -> Any:
        """What an empty object whose key ends with a slash is on a disk."""
        if self.session(place).head_object(place.key).size:
            raise UnsafeKey(f"{place.key!r} has a content, and the name of a folder")
        os.makedirs(path, exist_ok=True)
        return FOLDER

    def between(self, source: Location, target: Location) -> Any:
        """Inside of one store on its side, else through us."""
        from_, to = self.session(source), self.session(target)
        if self.no_clobber and to.exists(target.key):
            return None
        if is_one_store(source, target):
            return from_.copy_object(source.key, target.key, dest_bucket=target.bucket)
        opened: Any = to.open
        with from_.get_object(source.key) as found:
            about: dict[str, Any] = {
                name.replace("-", "_"): value
                for name in _KEPT_HEADERS
                if (value := found.headers.get(name)) is not None
            }
            about |= {"metadata": found.user_metadata, "content_type": found.content_type}
            show, done = self._bar(source.key), 0
            with opened(target.key, "wb", transfer=self._transfer, **about) as writer:
                while block := found.read(BLOCK):
                    writer.write(block)
                    done += len(block)
                    if show is not None:
                        show(done, found.size)
        return writer.result

    def _bar(self, name: str) -> Any:
        """A bar where one is wanted: on a terminal, or if it was asked for."""
        how = self._options.get("progress", "auto")
        if not self.has_bar or how in {"none", "json"} or (how == "auto" and not sys.stderr.isatty()):
            return None
        from s3func.progress import tqdm_progress

        return tqdm_progress(shown(name), disable=False, leave=False)


def is_one_store(source: Location, target: Location) -> bool:
    """Whether a store can copy from one place to the other by itself."""
    return source._replace(bucket="", key="") == target._replace(bucket="", key="")


def _transfer_of(options: dict[str, Any]) -> TransferConfig | None:
    from s3func.transport.transfer import BandwidthLimit, TransferConfig

    rate = options.get("bwlimit")
    return None if rate is None else TransferConfig(bandwidth=BandwidthLimit(rate))


def carry_out_each(
    found: list[Pair], do: Callable[[Source, Target], bool], options: dict[str, Any], *, verb: str
) -> int:
    """Do something for every pair, several at a time; the exit code. False: it was left alone."""
    from threading import Lock

    from s3func.transport.parallel import Crew

    if options.get("dry_run"):
        for source, target in found:
            _show(source, target, as_json=bool(options.get("as_json")))
        return 0
    lock = Lock()
    codes = {0}
    is_bar = len(found) > 1 and options.get("progress", "auto") not in {"none", "json"}
    bar = progress(verb, len(found), " objects") if is_bar else None

    def one(source: Source, target: Target) -> None:
        error: Exception | None = None
        is_done = False
        try:
            with usage():
                is_done = do(source, target)
        except (S3FuncError, OSError, click.ClickException) as failure:
            error = failure
        with lock:
            if bar is not None:
                bar.update()
            if error is not None:
                codes.add(_told(source, target, error))
            elif is_done and options.get("as_json"):
                _show(source, target, as_json=True)
            elif is_done and options.get("verbose"):
                say(f"{verb}: {shown(source.shown)} -> {shown(target.shown)}")

    try:
        if len(found) == 1:
            one(*found[0])
        else:
            with Crew(WORKERS, name="s3func-copy") as crew:
                for pair in found:
                    crew.submit(lambda pair=pair: one(*pair))  # type: ignore[misc]  # bound now
    finally:
        if bar is not None:
            bar.close()
    return max(codes)


def _show(source: Source, target: Target, *, as_json: bool) -> None:
    if as_json:
        line_of_json({"source": source.shown, "target": target.shown})
    else:
        line(f"{shown(source.shown)} -> {shown(target.shown)}")


def _told(source: Source, target: Target, error: Exception) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(error, BrokenPipeError) and target.path == "-":
        raise error
    if isinstance(error, S3FuncError):
        tell(error)
    elif isinstance(error, click.ClickException):
        say(f"s3func: {error.format_message()}")
        return error.exit_code
    else:
        path = getattr(error, "filename", None) or (source.path if source.place is None else target.path)
        say(f"s3func: {shown(os.fsdecode(path))}: {getattr(error, 'strerror', None) or error}")
    return 1
