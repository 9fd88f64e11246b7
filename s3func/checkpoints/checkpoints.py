"""Checkpoints: what a training run saves and finds again, whole or not at all.

Rule 1: a step exists when its manifest does, and that is written last; a crash before leaves the step before.
Rule 2: nothing that was published is written to again. A step is deleted manifest first.
Rule 3: what is loaded is compared, file by file, with what was saved, and appears under its name whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from s3func.checkpoints.folder import files_below, fsync_tree, has_content
from s3func.checkpoints.manifest import Checkpoint, check_attempt, folder_of
from s3func.checkpoints.store import StepStore
from s3func.errors import DeadlineExceeded, NoSuchKey, ObjectExists, ProtocolError

if TYPE_CHECKING:
    from s3func.session import Session

_ATTEMPT_VARIABLES = (("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"), ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"))


class Checkpoints:
    """The checkpoints below a URL: `with checkpoints.save(step) as folder: …`, `checkpoints.load(to="model")`.

    Safe for threads. With several ranks every rank has one of these with its own `rank`, saves its own files under
    names of its own, and the last one that is done publishes the step.
    """

    def __init__(
        self,
        url: str,
        *,
        keep: int | None = None,
        rank: int = 0,
        world: int = 1,
        attempt: str | None = None,
        timeout: float | None = None,
        session: Session | None = None,
        **options: Any,
    ) -> None:
        """Nothing is sent yet.

        url: `s3://bucket/prefix` or `b2://…`. keep: after a step is published only so many complete ones stay; None: all.
        rank, world: which one of how many processes this is. attempt: what all ranks of one start of the job have in
        common and another start has not, so that ranks of different starts are never mixed; by default it is read from
        torchrun's or Slurm's variables, else "0". timeout: seconds that a save may take before DeadlineExceeded; None:
        as long as it takes. session: to use in place of a new one; options: for the new one, see connect().
        """
        from s3func.connect import connect, parse

        for name, value, least in (("rank", rank, 0), ("world", world, 1), ("keep", keep, 1)):
            if name == "keep" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if rank >= world:
            raise ValueError(f"rank must be below world, {world}, not {rank}")
        if session is not None and options:
            raise TypeError(f"{next(iter(options))} does not go with session")
        location = parse(url)
        if not location.bucket:
            raise ValueError(f"url has no bucket: {url!r}")
        self.keep, self.rank, self.world, self.timeout = keep, rank, world, _checked_seconds(timeout)
        self.attempt = check_attempt(_attempt_of_job() if attempt is None else attempt)
        self._is_owner = session is None
        self._session = connect(url, **options) if session is None else session
        prefix = location.key if not location.key or location.key.endswith("/") else location.key + "/"
        self._store = StepStore(self._session, location.bucket, prefix)
        self._background: ThreadPoolExecutor | None = None
        self._lock = Lock()

    @contextmanager
    def save(self, step: int, *, metadata: Mapping[str, Any] | None = None) -> Iterator[Path]:
        """A new folder to write the checkpoint into; when the block ends cleanly its files become the step.

        An exception out of the block, Ctrl-C as well, publishes nothing. The folder is deleted in any case. Raises like
        save_folder().
        """
        self._check_new(step)
        with tempfile.TemporaryDirectory(prefix="s3func-checkpoint-") as folder:
            yield Path(folder)
            self.save_folder(step, folder, metadata=metadata)

    def save_folder(
        self,
        step: int,
        folder: str | os.PathLike[str],
        *,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Checkpoint:
        """Make the files of a folder the checkpoint of this step; returns what this rank saved.

        Files whose content the newest older step has already are copied inside the store. metadata: anything that JSON
        can hold. With several ranks the step exists when the last one has returned, see wait(). ObjectExists when the
        step exists, SourceChanged when a file is written to meanwhile, DeadlineExceeded after `timeout` seconds
        (None: the object's own); the checkpoints before stay as they are.
        """
        _check_step(step)
        seconds = self.timeout if timeout is None else _checked_seconds(timeout)
        store = self._store if seconds is None else self._store.limited(seconds)
        check = _deadline_check(seconds)
        part = Checkpoint(step, (), dict(metadata or {}), self.world)
        files = files_below(Path(folder))
        if store.is_complete(step):
            raise _exists(step)
        if self.world > 1:
            store.withdraw_rank(step, self.attempt, self.rank, self.world)
        known = self._newest(store, below=step)
        part = part._replace(files=store.upload(step, files, self.rank, known, check))
        check()
        if self.world == 1:
            store.publish(part)
        elif not store.publish_rank(self.attempt, self.rank, self.world, part):
            return part
        if self.keep is not None:
            self.prune()
        return part

    def save_async(
        self,
        step: int,
        folder: str | os.PathLike[str],
        *,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Future[Checkpoint]:
        """save_folder() in the background, one after the other in the order of the calls; errors come by the Future.

        The folder has to stay as it is until the Future is done: a change is a SourceChanged. The interpreter waits for
        saves under way at its end; give a timeout where that must not take long.
        """
        self._check_new(step, ask=False)
        with self._lock:
            if self._background is None:
                self._background = ThreadPoolExecutor(1, thread_name_prefix="s3func-checkpoints")
            return self._background.submit(self.save_folder, step, folder, metadata=metadata, timeout=timeout)

    def steps(self) -> list[int]:
        """The complete steps, oldest first: one request for each."""
        return [step for step in self._store.steps() if self._store.is_complete(step)]

    def latest(self) -> Checkpoint | None:
        """The newest complete checkpoint, None when there is none; two requests where nothing is unfinished.

        A step whose manifest cannot be read is passed over: the one before it is better than nothing.
        """
        return self._newest(self._store)

    def load(
        self,
        step: int | None = None,
        *,
        to: str | os.PathLike[str],
        replace: bool = False,
        fsync: bool = False,
    ) -> Checkpoint:
        """Bring a checkpoint, the newest for None, into the folder `to`; returns what it holds.

        The folder appears whole and compared, or not at all. If it is there with all the files already, nothing is
        fetched. FileExistsError if it is there with anything else, unless replace: then the old folder is moved aside
        and deleted once the new one is in its place. fsync: outlast a power failure. NoSuchKey when there is no such
        step, HashMismatchError for a file that is not what was saved.
        """
        target = Path(to).absolute()
        checkpoint = self._find(step)
        if _holds(target, checkpoint):
            return checkpoint
        if target.exists() and not replace and (not target.is_dir() or any(target.iterdir())):
            raise FileExistsError(f"{target} exists and is not this checkpoint; replace=True replaces it")
        target.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{target.name[:60]}.", suffix=".s3func-part", dir=target.parent))
        try:
            made = place / "new"
            made.mkdir()
            self._store.download(checkpoint, made, fsync=fsync)
            if fsync:
                fsync_tree(made)
            if os.path.lexists(target):
                target.rename(place / "old")
            made.rename(target)
        finally:
            if not os.path.lexists(target) and (place / "old").exists():
                (place / "old").rename(target)
            shutil.rmtree(place, ignore_errors=True)
        return checkpoint

    def wait(self, step: int, *, timeout: float | None = None, poll: float = 1.0) -> Checkpoint:
        """Wait until all ranks have saved the step; DeadlineExceeded after `timeout` seconds."""
        _check_step(step)
        check = _deadline_check(_checked_seconds(timeout))
        while (found := self._store.manifest(step)) is None:
            check()
            time.sleep(poll)
        return found

    def prune(self, keep: int | None = None) -> list[int]:
        """Delete all complete steps but the newest `keep` (None: the object's own), and the unfinished ones before those.

        Returns the steps that are gone. What is newer than the newest complete step is left alone: somebody may be
        writing it.
        """
        count = self.keep if keep is None else keep
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"keep must be an int of at least 1, not {count!r}")
        steps = self._store.steps()
        kept: list[int] = []
        for step in reversed(steps):
            if len(kept) == count:
                break
            try:
                if self._store.manifest(step) is not None:
                    kept.append(step)
            except ProtocolError:
                # What nobody can load here is no reason to delete what can be loaded.
                continue
        gone = [step for step in steps if len(kept) == count and step < kept[-1]]
        for step in gone:
            self._store.delete(step)
        return gone

    def close(self) -> None:
        """Wait for the saves in the background, and let go of the session if it is the object's own."""
        if self._background is not None:
            self._background.shutdown(wait=True)
        if self._is_owner:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Checkpoints {self._store.bucket}/{self._store.prefix} rank {self.rank} of {self.world}>"

    def _check_new(self, step: int, *, ask: bool = True) -> None:
        _check_step(step)
        if ask and self._store.is_complete(step):
            raise _exists(step)

    def _find(self, step: int | None) -> Checkpoint:
        if step is None:
            found = self._newest(self._store)
        else:
            _check_step(step)
            found = self._store.manifest(step)
        if found is None:
            what = "no checkpoint" if step is None else f"no complete checkpoint of step {step}"
            raise NoSuchKey(f"there is {what} here", bucket=self._store.bucket, key=self._store.prefix)
        return found

    def _newest(self, store: StepStore, below: int | None = None) -> Checkpoint | None:
        for step in reversed(store.steps()):
            if below is not None and step >= below:
                continue
            try:
                found = store.manifest(step)
            except ProtocolError:
                continue
            if found is not None:
                return found
        return None


def _holds(folder: Path, checkpoint: Checkpoint) -> bool:
    """Whether a folder has exactly the files of a checkpoint."""
    if not folder.is_dir():
        return False
    try:
        there = {name for name, _ in files_below(folder)}
    except (ValueError, OSError):
        return False
    files = checkpoint.files
    return there == {file.name for file in files} and all(
        has_content(folder.joinpath(*file.name.split("/")), file.size, file.sha256) for file in files
    )


def _attempt_of_job() -> str:
    for run, count in _ATTEMPT_VARIABLES:
        if value := os.environ.get(run):
            text = f"{value}-{os.environ.get(count, '0')}"
            return "".join(
                letter if letter.isascii() and (letter.isalnum() or letter in "_.-") else "-" for letter in text
            )[:128]
    return "0"


def _check_step(step: int) -> None:
    if isinstance(step, bool) or not isinstance(step, int):
        raise TypeError(f"step must be an int, not {type(step).__name__}")
    if step < 0:
        raise ValueError(f"step must not be negative, but is {step}")


def _checked_seconds(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {type(seconds).__name__}")
    if seconds <= 0:
        raise ValueError(f"timeout must be positive, not {seconds}")
    return seconds


def _deadline_check(seconds: float | None) -> Callable[[], None]:
    """A function that raises DeadlineExceeded once the time is over."""
    end = None if seconds is None else time.monotonic() + seconds

    def check() -> None:
        if end is not None and time.monotonic() > end:
            raise DeadlineExceeded(f"the checkpoint took longer than {seconds} seconds")

    return check


def _exists(step: int) -> ObjectExists:
    return ObjectExists(f"step {step} exists already; a checkpoint is never written to again", key=folder_of(step))
