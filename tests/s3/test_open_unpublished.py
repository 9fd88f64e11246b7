"""What must not be published: files that an exception, a fork, the collector or the end of the process has met."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any, NoReturn

import pytest

from s3func import S3Session
from s3func.testing import server
from tests.faults.children import in_child, needs_fork
from tests.faults.scripted import eventually
from tests.s3.open_files import (
    LARGE,
    SMALL_PARTS,
    WRITERS,
    Oops,
    has_uploads,
    opened_anew,
    plain,
    wrapped,
    write_some,
)
from tests.s3.rigs import embedded


@pytest.fixture
def session() -> Iterator[S3Session]:
    with embedded(transfer=SMALL_PARTS) as (session, _):
        yield session


def assert_unpublished(session: S3Session) -> None:
    """The object is the one that was there before, and nothing is left of the other."""
    assert b"before" == session.get_object("key").data
    assert eventually(lambda: not has_uploads(session))


@pytest.fixture(params=[b"small", LARGE], ids=["small", "parts"])
def content(request: pytest.FixtureRequest, session: S3Session) -> bytes:
    """What is written in vain, over an object that is there."""
    session.put_object("key", b"before")
    data: bytes = request.param
    return data


@pytest.mark.parametrize("opened", WRITERS)
def test_an_exception_in_the_block(
    session: S3Session, content: bytes, opened: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving the block by an exception publishes nothing, whatever is wrapped around the file, and raises that one.

    A file whose own block it is has been told, so there is nothing to be said about it in the log.
    """
    with pytest.raises(Oops), WRITERS[opened](session) as file:
        write_some(file, content)
        raise Oops
    assert_unpublished(session)
    assert (opened not in {"plain", "text"}) == ("'key' was not published" in caplog.text)


@pytest.mark.parametrize("opened", WRITERS.values(), ids=WRITERS)
def test_a_clean_block(
    session: S3Session, content: bytes, opened: Callable[[S3Session], contextlib.AbstractContextManager[Any]]
) -> None:
    """Leaving it at its end publishes all of it."""
    with opened(session) as file:
        write_some(file, content)
    assert content == session.get_object("key").data


@pytest.mark.parametrize("opened", WRITERS.values(), ids=WRITERS)
def test_inside_an_except_block(
    session: S3Session, content: bytes, opened: Callable[[S3Session], contextlib.AbstractContextManager[Any]]
) -> None:
    """A report of an error is written while that is being handled, and published; unless another one comes up."""
    try:
        raise LookupError
    except LookupError:
        with opened(session) as file:
            write_some(file, content)
        assert content == session.get_object("key").data
        session.put_object("key", b"before")
        with pytest.raises(Oops), opened(session) as file:
            write_some(file, content)
            raise Oops from None
    assert_unpublished(session)


def raise_again(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("opened", WRITERS)
def test_the_same_exception_once_more(session: S3Session, content: bytes, opened: str) -> None:
    """A block inside `except` that is left by the very exception that is being handled publishes nothing either."""
    for bare in (True, False):
        with pytest.raises(Oops):
            try:
                raise Oops
            except Oops as error:
                with WRITERS[opened](session) as file:
                    write_some(file, content)
                    if bare:
                        raise
                    raise_again(error)
        assert_unpublished(session)


def test_the_same_exception_once_more_without_a_block(session: S3Session, content: bytes) -> None:
    """Nor does a `finally` that it leads to, as its longer traceback tells."""
    with pytest.raises(Oops):
        try:
            raise Oops
        except Oops as error:
            file = session.open("key", "wb")
            try:
                file.write(content)
                raise_again(error)
            finally:
                file.close()
    assert_unpublished(session)


def test_nested_handlers(session: S3Session, content: bytes) -> None:
    """What counts is what has come up since the file was opened, at whatever depth of handlers."""
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
        file.write(content)
        try:
            raise Oops
        except Oops:
            pass
        file.close()
    assert content == session.get_object("key").data
    session.put_object("key", b"before")
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
        file.write(content)
        try:
            raise Oops
        except Oops:
            file.close()
    assert_unpublished(session)


def test_opened_in_a_handler_and_closed_behind_it(session: S3Session, content: bytes) -> None:
    """A file that is closed when nothing is being handled any more is published."""
    try:
        raise LookupError
    except LookupError:
        file = session.open("key", "wb")
    file.write(content)
    file.close()
    assert content == session.get_object("key").data


def test_closed_in_finally(session: S3Session, content: bytes) -> None:
    """close() in a `finally` publishes after a clean end, and not when an exception has led there."""
    file = session.open("key", "wb")
    with pytest.raises(Oops):
        try:
            file.write(content)
            raise Oops
        finally:
            file.close()
    assert_unpublished(session)
    file = session.open("key", "wb")
    try:
        file.write(content)
    finally:
        file.close()
    assert content == session.get_object("key").data


def test_closed_in_a_handler(session: S3Session, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """close() in an `except` that came up later does not publish, says so in the log, and publish() does."""
    for method in ("close", "publish"):
        for mode in ("wb", "w"):
            session.put_object("key", b"before")
            caplog.clear()
            file = opened_anew(session, mode)
            try:
                write_some(file, content)
                raise Oops
            except Oops:
                getattr(file, method)()
            assert file.closed
            if method == "close":
                assert_unpublished(session)
                assert ["'key' was not published: its file was closed while an exception was being handled"] == [
                    record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
                ]
            else:
                assert content == session.get_object("key").data
                assert [] == caplog.records


def test_an_exit_stack(session: S3Session, content: bytes) -> None:
    """A stack of contexts is as good as a block, for the file and for a wrapper."""
    for opened in (plain, wrapped):
        with pytest.raises(Oops), contextlib.ExitStack() as stack:
            write_some(stack.enter_context(opened(session)), content)
            raise Oops
        assert_unpublished(session)


def test_generators(session: S3Session, content: bytes) -> None:
    """A generator that is driven from inside somebody's `except` publishes with the file's own block, not by close()."""

    def own_block() -> Generator[None, None, None]:
        with session.open("key", "wb") as file:
            yield
            file.write(content)

    def bare_close() -> Generator[None, None, None]:
        file = session.open("key", "wb")
        yield
        file.write(content)
        file.close()

    for generator, published in ((bare_close, False), (own_block, True)):
        running = generator()
        next(running)
        try:
            raise Oops
        except Oops:
            assert [] == list(running)
        if published:
            assert content == session.get_object("key").data
        else:
            assert_unpublished(session)
    session.put_object("key", b"before")
    running = own_block()
    next(running)
    running.close()
    assert_unpublished(session)


def test_gzip_around_it(session: S3Session, content: bytes) -> None:
    """What does not close its file cannot publish it: the file's own block decides."""
    with pytest.raises(Oops), session.open("key", "wb") as file, gzip.open(file, "wb") as packed:
        packed.write(content)
        raise Oops
    assert_unpublished(session)


def test_an_interrupt(session: S3Session, content: bytes) -> None:
    """Ctrl-C is an exception like any other."""
    with pytest.raises(KeyboardInterrupt), io.TextIOWrapper(session.open("key", "wb"), encoding="latin-1") as file:
        file.write(content.decode("latin-1"))
        raise KeyboardInterrupt
    assert_unpublished(session)


def test_abort(session: S3Session, content: bytes) -> None:
    """abort() closes a file and publishes nothing; afterwards, or after close(), it does nothing."""
    for mode in ("wb", "w"):
        file = opened_anew(session, mode)
        write_some(file, content)
        file.abort()
        file.abort()
        assert file.closed
        file.close()
        assert file.result is None
        with pytest.raises(ValueError, match="closed"):
            file.publish()
        assert_unpublished(session)
    with session.open("key", "wb") as writer:
        writer.write(content)
    writer.abort()
    assert content == session.get_object("key").data


FORGOTTEN: dict[str, Callable[[Any], Any]] = {
    "plain": lambda file: file,
    "TextIOWrapper": lambda file: io.TextIOWrapper(file, encoding="latin-1"),
    "BufferedWriter": io.BufferedWriter,
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="wb"),
    "circle": lambda file: [file],
}


@pytest.mark.parametrize("kept", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_forgotten_file(
    session: S3Session, content: bytes, kept: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A file that becomes garbage unclosed, itself or in its wrapper, publishes nothing, warns, and leaves nothing."""
    file = kept(session.open("key", "wb"))
    if isinstance(file, list):
        file.append(file)
        file[0].write(content)
    else:
        write_some(file, content)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        del file
        gc.collect()
    warned = "unclosed file <ObjectWriter name='key' mode='wb'>: nothing was published"
    assert [warned] == [str(warning.message) for warning in seen]
    assert_unpublished(session)
    assert "'key' was not published: its file was forgotten, not closed" in caplog.text


def test_a_forgotten_text_file(session: S3Session, content: bytes) -> None:
    """The same for a file of text."""
    file = session.open("key", "w", encoding="latin-1")
    file.write(content.decode("latin-1"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        del file
        gc.collect()
    assert [ResourceWarning] == [warning.category for warning in seen]
    assert_unpublished(session)


FORGETFUL = """
import io, sys
from s3func import S3Session
from s3func.transport.transfer import TransferConfig
transfer = TransferConfig(multipart_threshold=5 << 20, part_size=5 << 20)
session = S3Session({key_id!r}, {secret!r}, "bucket", {url!r}, "us-east-1", transfer=transfer)
file = session.open("key", "wb")
file.write(bytes(11 << 20))
assert list(session.list_multipart_uploads())
text = io.TextIOWrapper(session.open("text", "wb"))
text.write("half")
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "del file, text"])
def test_a_process_that_ends(end: str) -> None:
    """A file that is open when the process ends is not published, its upload is aborted, and nothing hangs."""
    with server() as store:
        session = store.session("bucket")
        program = FORGETFUL.format(key_id=store.access_key_id, secret=store.secret_access_key, url=store.endpoint_url)
        done = subprocess.run(
            [sys.executable, "-c", program + end], capture_output=True, text=True, timeout=60, check=False
        )
        assert 0 == done.returncode, done.stderr
        assert ["'key' was not published", "'text' was not published"] == sorted(
            line.partition(":")[0] for line in done.stderr.splitlines()
        )
        assert not session.exists("key")
        assert not session.exists("text")
        assert not has_uploads(session)


@needs_fork
def test_a_child_leaves_the_files_of_its_parent_alone() -> None:
    """What a forked child does with a copy of an open file does nothing to the object that its parent is writing."""
    with server() as store:
        session = store.session("bucket", transfer=SMALL_PARTS)
        file = session.open("key", "wb")
        file.write(LARGE)
        assert has_uploads(session)

        def meddle() -> None:
            for refused in (lambda: file.write(b"x"), file.publish, file.close):
                with pytest.raises(ValueError, match="another process"):
                    refused()
            with pytest.raises(Oops), file:
                raise Oops
            file.abort()

        def drop() -> None:
            # The child's only reference, as far as the collector knows.
            file.__del__()

        assert in_child(meddle)
        assert in_child(drop)
        file.close()
        assert LARGE == session.get_object("key").data


def test_an_open_file_keeps_no_exception(session: S3Session) -> None:
    """The exception that a file was opened under, and all that hangs on it, is let go with the file."""
    import weakref

    class Heavy(Exception):
        pass

    try:
        raise Heavy
    except Heavy as error:
        file = session.open("key", "wb")
        seen = weakref.ref(error)
        file.close()
    gc.collect()
    assert seen() is None
