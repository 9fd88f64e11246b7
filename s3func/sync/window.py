"""Results in the order of their questions, while several questions are being worked on: a window over a stream.

Rule: what waits is bounded, so that a million questions need the memory of a few thousand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

_WAITING_MAX = 4096
# Handing a task to a thread costs as much as hashing some kilobytes, so that small ones go together.
_BATCH, _BATCH_BYTES = 32, 4 * 1024 * 1024
_QUESTIONS_MAX = 1024
# So many answers behind a question that waits for its batch to be full are reason to ask it at once.
_PATIENCE = 128


class _Batch(Generic[T]):
    """Questions that one thread works on, one after the other."""

    __slots__ = ("future", "questions", "size")

    def __init__(self) -> None:
        self.questions: list[Callable[[], T | None]] = []
        self.size = 0
        self.future: Future[list[T | None]] | None = None

    def run(self) -> list[T | None]:
        return [question() for question in self.questions]


class _Place(Generic[T]):
    """Where an answer will be."""

    __slots__ = ("batch", "index")

    def __init__(self, batch: _Batch[T], index: int) -> None:
        self.batch = batch
        self.index = index


class Window(Generic[T]):
    """Answers, and questions whose answers will be known; taken in order. One thread puts and takes."""

    def __init__(self, threads: int) -> None:
        """threads: how many questions are worked on at a time; they are started with the first question."""
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[T | _Place[T]] = deque()
        self._open: _Batch[T] = _Batch()
        self._questions = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, answer: T) -> None:
        """An answer that is known."""
        self._waiting.append(answer)

    def ask(self, question: Callable[[], T | None], size: int) -> None:
        """A question; its answer may be that there is nothing. size: bytes that have to be read for it."""
        batch = self._open
        self._waiting.append(_Place(batch, len(batch.questions)))
        self._questions += 1
        batch.questions.append(question)
        batch.size += size
        if len(batch.questions) >= _BATCH or batch.size >= _BATCH_BYTES:
            self._submit()

    def taken(self, *, everything: bool = False) -> Iterator[T]:
        """What is known from the front on; waits for it where too much is waiting, or where everything is wanted."""
        waiting = self._waiting
        while waiting:
            head = waiting[0]
            if not isinstance(head, _Place):
                waiting.popleft()
                yield head
                continue
            batch = head.batch
            is_full = everything or len(waiting) > _WAITING_MAX or self._questions > _QUESTIONS_MAX
            if batch.future is None:
                if not is_full and len(waiting) < _PATIENCE:
                    return
                self._submit()
            assert batch.future is not None
            if not is_full and not batch.future.done():
                return
            answer = batch.future.result()[head.index]
            waiting.popleft()
            self._questions -= 1
            if answer is not None:
                yield answer

    def _submit(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="s3func-plan")
        batch, self._open = self._open, _Batch()
        batch.future = self._pool.submit(batch.run)

    def close(self) -> None:
        """Forget what waits; what is being worked on is waited for."""
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
