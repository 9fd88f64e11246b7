"""AsyncS3Object: S3Object for programs with an event loop, which its calls do not block: they run in threads.

A call that is cancelled goes on in its thread and is finished, or has no effect; its result is nobody's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import IO, Any, Self

from s3func.files.s3object import S3Object

__all__ = ["AsyncS3Object"]


class AsyncS3Object:
    """The same object as `.sync`, an S3Object; the arguments are those of S3Object, and of its methods."""

    def __init__(self, s3_uri: str, *arguments: Any, **options: Any) -> None:
        """Nothing is sent or read."""
        self.sync = S3Object(s3_uri, *arguments, **options)

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.sync.bucket

    @property
    def key(self) -> str:
        """The key, exact."""
        return self.sync.key

    @property
    def s3_uri(self) -> str:
        """The URI, without secrets."""
        return self.sync.s3_uri

    @property
    def local_path(self) -> str:
        """Where the copy is."""
        return self.sync.local_path

    async def download(self, *arguments: Any, **options: Any) -> str:
        """See S3Object.download."""
        return await asyncio.to_thread(self.sync.download, *arguments, **options)

    async def upload(self, *arguments: Any, **options: Any) -> str:
        """See S3Object.upload."""
        return await asyncio.to_thread(self.sync.upload, *arguments, **options)

    @asynccontextmanager
    async def open(self, mode: str = "r", *arguments: Any, **options: Any) -> AsyncIterator[IO[Any]]:
        """See S3Object.open; the file in the block is an ordinary one, on the local disk."""
        manager = self.sync.open(mode, *arguments, **options)
        file = await asyncio.to_thread(manager.__enter__)
        try:
            yield file
        except BaseException as error:
            # Nothing is published, so there is little to wait for, and the error goes on.
            manager.__exit__(type(error), error, error.__traceback__)
            raise
        await asyncio.to_thread(manager.__exit__, None, None, None)

    async def exists(self) -> bool:
        """See S3Object.exists."""
        return await asyncio.to_thread(self.sync.exists)

    async def delete(self) -> bool:
        """See S3Object.delete."""
        return await asyncio.to_thread(self.sync.delete)

    async def is_changed(self) -> bool:
        """See S3Object.is_changed."""
        return await asyncio.to_thread(self.sync.is_changed)

    async def verify(self) -> None:
        """See S3Object.verify."""
        await asyncio.to_thread(self.sync.verify)

    def add_exclude(self, pattern: str) -> Self:
        """See S3Object.add_exclude."""
        self.sync.add_exclude(pattern)
        return self

    def add_excludes(self, patterns: Iterable[str]) -> Self:
        """See S3Object.add_excludes."""
        self.sync.add_excludes(patterns)
        return self

    def remove_exclude(self, pattern: str) -> Self:
        """See S3Object.remove_exclude."""
        self.sync.remove_exclude(pattern)
        return self

    def clear_excludes(self) -> Self:
        """See S3Object.clear_excludes."""
        self.sync.clear_excludes()
        return self

    def get_excludes(self) -> list[str]:
        """See S3Object.get_excludes."""
        return self.sync.get_excludes()

    async def close(self) -> None:
        """See S3Object.close."""
        await asyncio.to_thread(self.sync.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __fspath__(self) -> str:
        return os.fspath(self.sync)

    def __str__(self) -> str:
        return str(self.sync)

    def __repr__(self) -> str:
        return f"AsyncS3Object({self.s3_uri!r})"
