"""What the commands for single objects have in common: URLs on the command line, globs in keys, rows on stdout.

1. A key without a slash at its end is the object of exactly this key, and for --recursive the folder of this name:
"logs" is all below "logs/", and never "logs2/x", as with sync.
2. In a key `*`, `?` and `[a-z]` stay inside of one part of the name and `**` does not; with --raw they are themselves.
3. A reader of stdout that goes away ends a command quietly, with the exit code that SIGPIPE gives to others.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import click

from s3func.cli.report import shown, told
from s3func.cli.sync_options import ANONYMOUS, STORE, say, usage
from s3func.cli.teaching import TeachingCommand
from s3func.errors import NoSuchKey, NotFound, NotImplementedByStore, ObjectChanged, S3FuncError
from s3func.models import ObjectEntry

if TYPE_CHECKING:
    from types import TracebackType

    from s3func.connect import Location
    from s3func.results import HeadResult
    from s3func.session import Session

PIPE_CLOSED = 141
BLOCK = 1 << 20
_MAGIC = re.compile(r"[*?\[]")

# Who asks, for commands that also read what is public.
ACCESS = (*STORE, *ANONYMOUS)
RAW = (click.option("--raw", is_flag=True, help="The characters * ? [ of a key are themselves, and no pattern."),)
JSON = (click.option("--json", "as_json", is_flag=True, help="A line of JSON per row."),)
DRY_RUN = (click.option("--dry-run", "-n", is_flag=True, help="Change nothing, and show what would be done."),)


class DataCommand(TeachingCommand):
    """A command whose stdout is data for the next one in a pipe."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what the disk says is one line."""
        # SIGTERM ends it as Ctrl-C does: what is under way is taken back.
        before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Nobody reads on, and the interpreter shall not fail at its end with what is still in the buffer.
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, sys.stdout.fileno())
            os.close(silence)
            return PIPE_CLOSED
        except OSError as error:
            if isinstance(error, S3FuncError):
                raise
            raise click.ClickException(f"{error.filename or ctx.info_name}: {error.strerror or error}") from None
        finally:
            signal.signal(signal.SIGTERM, before)
        return status


class Refused(click.ClickException):
    """What was asked for looks like an accident; the message says what to write if it is none."""

    exit_code = 3


class Stores:
    """The sessions of one command line, one for each bucket; a context manager that closes them."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Take the options of ACCESS out of the others."""
        self._where = {name: options.pop(name, None) for name in ("endpoint_url", "profile", "region")}
        if options.pop("anonymous", False):
            self._where["anonymous"] = True
        self._sessions: list[tuple[Location, Session]] = []
        self._stack = ExitStack()
        self._lock = Lock()

    def session(self, place: Location) -> Session:
        """A session that is bound to the bucket of a place. UsageError, CredentialsError."""
        from s3func.connect import connect

        bucket = place._replace(key="")
        # Several threads copy at a time, and one session is enough for all of them.
        with self._lock:
            for known, session in self._sessions:
                if known == bucket:
                    return session
            with usage():
                made = self._stack.enter_context(connect(bucket, **self._where))
            self._sessions.append((bucket, made))
            return made

    def account(self, scheme: str) -> Session:
        """A session that is bound to no bucket. UsageError, CredentialsError."""
        from s3func.connect import Location

        return self.session(Location(scheme, None))  # type: ignore[arg-type]  # sessions may be without one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def located(url: str, *, needs_key: bool = False) -> Location:
    """A URL taken apart; UsageError for what is none."""
    from s3func.connect import is_url, parse

    if not is_url(url):
        rest = url.partition(":")[2] if url.startswith(("s3:", "b2:")) else url
        if "://" in url or "@" in url or not rest.strip("/."):
            # In front of an "@" may be a secret.
            raise click.UsageError("this is not the URL of a store, s3://bucket/key or b2://bucket/key")
        raise click.UsageError(f"{url!r} is not the URL of a store: did you mean s3://{rest.lstrip('/')}?")
    with usage():
        place = parse(url)
    if needs_key and not place.key:
        raise click.UsageError(f"{url!r} is a bucket: name an object, as {place.url}/KEY")
    return place


def object_of(place: Location, name: str) -> Location:
    """The object that a target URL means: behind a slash, and in a bucket, the source's name is added. UsageError."""
    if place.key and not place.key.endswith("/"):
        return place
    if not name:
        raise click.UsageError(f"{place.url} needs a key: the source has no name")
    return place._replace(key=place.key + name)


def is_glob(key: str, *, raw: bool) -> bool:
    """Whether a key is a pattern."""
    return not raw and _MAGIC.search(key) is not None


def literal_of(pattern: str) -> str:
    """What all keys that match begin with."""
    found = _MAGIC.search(pattern)
    return pattern if found is None else pattern[: found.start()]


def glob(pattern: str, *, below: bool = False) -> re.Pattern[str]:
    """A glob for whole keys; below: also for all that lies in a folder that matches. UsageError."""
    out: list[str] = []
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if pattern.startswith("**/", place - 1) and (place == 1 or pattern[place - 2] == "/"):
            # Any number of folders, also none.
            out.append("(?:.*/)?")
            place += 2
        elif pattern.startswith("**", place - 1):
            out.append(".*")
            place += 1
        elif character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            end = pattern.find("]", place + (2 if pattern.startswith(("!", "^"), place) else 1))
            if end < 0:
                raise click.UsageError(f"{pattern!r}: a bracket is not closed; --raw takes it for a part of the key")
            members, place = pattern[place:end], end + 1
            is_not = members.startswith(("!", "^"))
            escaped = re.sub(r"([\\\[\]^&|~])", r"\\\1", members[is_not:])
            out.append(f"(?!/)[{'^' if is_not else ''}{escaped}]")
        else:
            out.append(re.escape(character))
    try:
        return re.compile(f"{''.join(out)}{'(?:/.*)?' if below else ''}", re.DOTALL)
    except re.error as error:
        raise click.UsageError(f"{pattern!r} is no pattern: {error}") from None


def rows_of(
    session: Session, key: str, *, raw: bool = False, recursive: bool = False, versions: bool = False
) -> Iterator[ObjectEntry | str]:
    """What a key means to `ls`, in order: objects (or versions), and folders, as str, where it is not recursive."""
    listing: Callable[..., Any] = session.list_object_versions if versions else session.list_objects
    delimiter = None if recursive else "/"
    if is_glob(key, raw=raw):
        literal = literal_of(key)
        pattern = glob(key, below=recursive)
        is_deep = recursive or "/" in key[len(literal) :] or "**" in key
        for row in _merged(listing(literal, delimiter=None if is_deep else "/")):
            name = row.removesuffix("/") if isinstance(row, str) else row.key
            if pattern.fullmatch(name):
                yield row
        return
    if key and not key.endswith("/"):
        yield from versions_of(session, key) if versions else _object(session, key)
        key += "/"
    yield from _merged(listing(key or None, delimiter=delimiter))


def objects_of(
    session: Session, key: str, *, raw: bool = False, recursive: bool = False, versions: bool = False
) -> Iterator[ObjectEntry]:
    """What a key means to commands for objects: those that match, those below it, else the one of this key (unseen)."""
    if recursive or is_glob(key, raw=raw):
        rows = rows_of(session, key, raw=raw, recursive=recursive, versions=versions)
        yield from (row for row in rows if isinstance(row, ObjectEntry))
    elif versions:
        yield from versions_of(session, key)
    else:
        yield ObjectEntry(key)


def delete_unchanged(session: Session, key: str, before: HeadResult) -> None:
    """Delete an object if it still is what it was; ObjectChanged. One that is gone already is no error."""
    try:
        now = session.head_object(key)
    except NotFound:
        return
    if (now.etag, now.version_id, now.last_modified) != (before.etag, before.version_id, before.last_modified):
        raise ObjectChanged("replaced after it had been copied: it stays", bucket=session.bucket, key=key)
    delete: Any = session.delete_object
    if session.capabilities.conditional_writes and before.etag:
        try:
            delete(key, if_match=before.etag)
        except NoSuchKey:
            return
        except NotImplementedByStore:
            pass
        else:
            return
    delete(key)


def versions_of(session: Session, key: str) -> Iterator[ObjectEntry]:
    """All versions and delete markers of one key."""
    for entry in session.list_object_versions(key):
        if entry.key == key:
            yield entry
        elif entry.key > key:
            return


def _object(session: Session, key: str) -> Iterator[ObjectEntry]:
    """The object of exactly this key, if there is one."""
    try:
        head = session.head_object(key)
    except NotFound:
        return
    yield ObjectEntry(key, head.size or 0, head.etag, head.last_modified, head.storage_class, head.version_id)


def _merged(listing: Any) -> Iterator[ObjectEntry | str]:
    """Objects and folders of a listing, in the order of their names."""
    for page in listing.pages():
        if not page.common_prefixes:
            yield from page.entries
            continue
        # Versions of one key stay in their order: sorting is stable.
        rows: list[ObjectEntry | str] = [*page.entries, *page.common_prefixes]
        yield from sorted(rows, key=lambda row: row if isinstance(row, str) else row.key)


def each(urls: Iterable[str], do: Callable[[str], int | None]) -> int:
    """Do something for every URL; one that fails is told, the others are done. The exit code."""
    code = 0
    for url in urls:
        try:
            with usage():
                code = max(code, do(url) or 0)
        except S3FuncError as error:
            tell(error)
            code = 1
        except click.ClickException as error:
            # Wrong usage ends it; what is wrong with one of them does not.
            if isinstance(error, click.UsageError):
                raise
            say(f"s3func: {error.format_message()}")
            code = max(code, error.exit_code)
    return code


def tell(error: S3FuncError) -> None:
    """An error as a line on stderr."""
    say(told(error))


def missing(session: Session, place: Location) -> click.ClickException:
    """What is wrong with the key of no object. NoSuchBucket."""
    below = place.key if place.key.endswith("/") else place.key + "/"
    listing: Any = session.list_objects
    if next(iter(listing(below, max_keys=1)), None) is not None:
        return click.ClickException(f"{place.url} is a folder: --recursive means what is in it")
    return click.ClickException(f"nothing is there: {place.url}")


def nothing_there(place: Location) -> int:
    """Say that a URL leads to nothing; the exit code."""
    say(f"s3func: nothing is there: {shown(place.url)}")
    return 1


def line(text: str) -> None:
    """A line on stdout, which is written when the buffer is full."""
    sys.stdout.write(f"{text}\n")


def line_of_json(row: dict[str, Any]) -> None:
    """A line of JSON on stdout, without what is not known."""
    line(json.dumps({name: value for name, value in row.items() if value is not None}, default=_plain))


def _plain(value: object) -> str:
    return time_text(value) if isinstance(value, datetime) else str(value)


def time_text(time: datetime | None) -> str:
    """A time for people and for sort: 2026-11-21T08:00:00Z."""
    return "-" if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
