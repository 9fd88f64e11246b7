"""ObjectWriter and TextWriter: a new object as an open file, what `Session.open(key, "wb")` and `"w"` give.

Rule 1: the object appears when the file is closed cleanly, or never: nobody ever sees half of it.
Rule 2: leaving a `with` block through an exception publishes nothing. Where the block is that of a wrapper
        (io.TextIOWrapper, io.BufferedWriter), whose end is a close() that says nothing of exceptions, close() looks for
        itself: it publishes nothing while an exception is being handled that was not when the file was opened.
Rule 3: a file that is only forgotten, itself or inside its wrapper, publishes nothing and warns; nor does one that is
        still open when the process ends. A forked child leaves its parent's files alone.
Rule 4: after a failure nothing is written any more, and close() raises it again.

What rule 2 means for a bare close():
- opened, written and closed inside one `except` block: published, because that exception was there before;
- opened before, closed inside an `except` or `finally` that an exception has led to: not published, and a line in the
  log says so; `publish()` does it all the same;
- in a generator that somebody drives from inside an `except` block of his own: not published, for Python shows his
  exception there as well. Use the file's own `with` block, which is told and need not look, or `publish()`;
- opened inside an `except` block, closed by a bare close() in a `finally` to which a bare `raise` of the same exception
  has led: published, for nothing tells it from a clean end. A `with` block does, its own or that of a wrapper.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import warnings
from copy import copy
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from s3func.errors import NotSupported, ObjectExists, PreconditionFailed, S3FuncError, ServiceError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from s3func.results import PutResult
    from s3func.session import PutOptions, Session, UploadStream


_open_writers: WeakSet[ObjectWriter] = WeakSet()


@atexit.register
def _abort_open_writers() -> None:
    # The collector comes too late for those: it finds them when nothing can be sent any more.
    for writer in list(_open_writers):
        if writer.give_up():
            _log(f"{writer.name!r} was not published: its file was open when the process ended")


class ObjectWriter(io.BufferedIOBase):
    """A binary file to write to. `.name` is the key; `.result` is the PutResult once the object is published."""

    def __init__(self, upload: UploadStream, key: str, mode: str) -> None:
        """mode: "wb", or "xb" where the upload creates the object only if there is none."""
        super().__init__()
        self._upload: UploadStream | None = upload
        self._failure: S3FuncError | None = None
        self._position = 0
        self._process = os.getpid()
        _open_writers.add(self)
        # The exception of an `except` block that the file is opened in; another one than that is ours to fear.
        error = sys.exception()
        self._opened_under = None if error is None else (error, error.__traceback__)
        self.name = key
        self.mode = mode
        self.result: PutResult | None = None

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        self._check_open()
        return self._position

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # io's Buffer has a name since 3.12
        """Take all of the bytes and return their number. What went wrong with those before raises here or later."""
        self._check_open()
        if self._failure is not None:
            raise copy(self._failure)
        self._check_process()
        if not isinstance(data, bytes):
            view = memoryview(data)
            data = view.cast("B") if view.c_contiguous else bytes(view)
        if self._upload is None:
            # Forgotten, see _dealloc_warn: the wrapper empties its buffer into a file that is none any more.
            return len(data)
        try:
            self._upload.write(data)
        except BaseException as error:
            self._fail(error)
            raise
        self._position += len(data)
        return len(data)

    def publish(self) -> PutResult:
        """Close the file and publish the object, whatever exception may be in flight.

        PreconditionFailed where a condition does not hold, ObjectExists in mode "x"; then nothing was published.
        """
        if self.result is not None:
            return self.result
        self._check_open()
        self._check_process()
        upload = self._upload
        failure = self._failure
        try:
            if failure is not None:
                raise copy(failure)
            if upload is None:
                raise ValueError("the file was forgotten")
            self.result = upload.finish()
        except PreconditionFailed as error:
            self.give_up()
            if self.mode == "xb":
                raise _exists(error) from error
            raise
        except BaseException:
            self.give_up()
            raise
        finally:
            self._close()
        return self.result

    def abort(self) -> None:
        """Close the file and publish nothing. It may be called at any time; after close() it does nothing."""
        if not self.closed:
            upload, self._upload = self._upload, None
            self._close()
            if upload is not None and self._process == os.getpid():
                upload.abort()

    def close(self) -> None:
        """Publish the object, unless an exception is in flight: the rules stand at the top of this file."""
        if self.closed:
            return
        if self._upload is None and self._failure is None:
            self._close()
            return
        try:
            caller: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- see _is_unwinding
        except ValueError:
            # A thread of C++, such as those of pyarrow's datasets, has no frame of Python above this one.
            caller = None
        if self._is_unwinding(caller):
            if self._failure is None:
                _log(f"{self.name!r} was not published: its file was closed while an exception was being handled")
            self.give_up()
            self._close()
            return
        self.publish()

    def _is_unwinding(self, caller: FrameType | None) -> bool:
        """Whether close() is called because of an exception, as far as one can see from here."""
        error = sys.exception()
        if error is None:
            return False
        if self._opened_under is None:
            return True
        opened_under, trace = self._opened_under
        # An exception that is raised once more has a longer traceback.
        if error is not opened_under or error.__traceback__ is not trace:
            return True
        # Except by a bare `raise` in the block itself. Then the frame that called close(), or the __exit__ of a wrapper
        # that is written in Python, is just leaving a `with` block by an exception.
        from opcode import opmap

        frame = caller
        while frame is not None:
            if frame.f_code.co_code[frame.f_lasti] == opmap.get("WITH_EXCEPT_START"):
                return True
            frame = frame.f_back if frame.f_code.co_name in {"__exit__", "close"} else None
        return False

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.give_up()
            self._close()
        elif not self.closed:
            self.publish()

    def __del__(self) -> None:
        if not self.closed:
            try:
                self._forget()
            finally:
                self._close()

    def _dealloc_warn(self, source: object) -> None:
        """What a wrapper of the io module calls when it is garbage, before it calls close()."""
        if not self.closed:
            self._forget()

    def _forget(self) -> None:
        upload, self._upload = self._upload, None
        if upload is None or self._process != os.getpid() or sys.is_finalizing():
            return
        # The collector may run inside any lock of any thread, so what talks to the store runs in one of its own.
        from threading import Thread

        try:
            Thread(target=_abort, args=(upload,), name="s3func-abort").start()
        except RuntimeError:
            # The system allows no more of them.
            _abort(upload)
        _log(f"{self.name!r} was not published: its file was forgotten, not closed")
        warnings.warn(f"unclosed file {self!r}: nothing was published", ResourceWarning, stacklevel=3, source=self)

    def _fail(self, error: BaseException) -> None:
        """Remember the failure, without its traceback, which would keep half the program alive."""
        failure = copy(error) if isinstance(error, S3FuncError) else S3FuncError(f"writing was interrupted: {error!r}")
        self.give_up()
        self._failure = failure

    def give_up(self) -> bool:
        """Abort the upload, whatever comes of that, and let what is still written vanish; False when there is none."""
        upload, self._upload = self._upload, None
        if upload is None or self._process != os.getpid():
            return False
        _abort(upload)
        return True

    def _close(self) -> None:
        self._upload = self._opened_under = None
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise ValueError("the file was opened in another process, which is the one to write and to close it")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r} mode={self.mode!r}>"


class TextWriter(io.TextIOWrapper):
    """A text file to write to. Its `with` block tells it of exceptions, so that it need not look for them."""

    def __init__(self, writer: ObjectWriter, mode: str, **text: Any) -> None:
        """text: the arguments of io.TextIOWrapper."""
        super().__init__(writer, **text)
        self.mode = mode  # type: ignore[misc]  # the builtin open() sets it in the same way
        self._writer = writer

    @property
    def result(self) -> PutResult | None:
        """The PutResult once the object is published."""
        return self._writer.result

    def publish(self) -> PutResult:
        """Close the file and publish the object, whatever exception may be in flight; see ObjectWriter.publish."""
        if self._writer.result is None:
            try:
                self.flush()
            except BaseException:
                self._writer.abort()
                raise
        return self._writer.publish()

    def abort(self) -> None:
        """Close the file and publish nothing."""
        self._writer.abort()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._writer.__exit__(kind, error, trace)
        elif not self.closed:
            self.publish()


def open_writer(
    session: Session, key: str, mode: str, *, text: dict[str, Any] | None, options: PutOptions
) -> ObjectWriter | TextWriter:
    """Open a new object for writing. mode: of open(). text: the arguments of io.TextIOWrapper, or None."""
    if mode[0] == "x":
        if options.get("if_none_match") not in (None, "*"):
            raise ValueError(f"if_none_match does not go with mode {mode!r}, which means '*'")
        options["if_none_match"] = "*"
        if not session.capabilities.conditional_writes:
            raise NotSupported(f"{type(session).__name__} cannot create an object only if there is none: mode {mode!r}")
        _check_absent(session, key, options.get("bucket"))
    writer = ObjectWriter(session._upload_stream(key, **options), key, mode[0] + "b")  # noqa: SLF001 -- the contract
    return writer if text is None else TextWriter(writer, mode, **text)


def _check_absent(session: Session, key: str, bucket: str | None) -> None:
    """Say now what the store would say at the end, after all the work."""
    try:
        there = session.exists(key, bucket=bucket)
    except ServiceError:
        # Who may write need not be allowed to look.
        return
    if there:
        raise ObjectExists("there is such an object already", bucket=bucket or session.bucket, key=key)


def _exists(refusal: ServiceError) -> ObjectExists:
    error = ObjectExists(refusal.message)
    error.__dict__.update(refusal.__dict__)
    return error


def _abort(upload: UploadStream) -> None:
    """Abort where nobody could be told of another error than the one that is on its way."""
    try:
        upload.abort()
    except S3FuncError:
        pass


def _log(line: str) -> None:
    """For what can be neither returned nor raised."""
    import logging

    logging.getLogger("s3func").warning(line)
