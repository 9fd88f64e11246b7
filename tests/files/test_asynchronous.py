"""AsyncS3Object: the same answers as S3Object, without blocking the loop, and the same rules where a block fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s3func.errors import S3ObjectError
from s3func.files import AsyncS3Object, Cache
from s3func.s3 import S3Session
from s3func.testing import Server

Make = Callable[[str], AsyncS3Object]


@pytest.fixture
def make(s3_session: S3Session, s3_bucket: str, cache: Cache) -> Make:
    """Make an AsyncS3Object of a key."""
    return lambda key: AsyncS3Object(f"s3://{s3_bucket}/{key}", session=s3_session, cache=cache)


def test_all_calls(make: Make, s3_session: S3Session) -> None:
    """Each call does what it does on an S3Object."""

    async def use() -> None:
        async with make("a/k") as obj:
            assert not await obj.exists()
            async with obj.open("w") as file:
                file.write("one")
            async with obj.open("a") as file:
                file.write(" two")
            assert b"one two" == s3_session.get_object("a/k").data
            async with obj.open() as file:
                assert "one two" == file.read()
            assert os.fspath(obj) == obj.local_path == await obj.download()
            Path(obj.local_path).write_text("three")  # noqa: ASYNC240 -- the loop has nothing else to do
            assert await obj.is_changed()
            assert obj.s3_uri == str(obj) == await obj.upload()
            await obj.verify()
            assert ["x"] == obj.clear_excludes().add_exclude("x").add_excludes(["y"]).remove_exclude("y").get_excludes()
            assert await obj.delete()
            with pytest.raises(S3ObjectError):
                await obj.download()
            assert obj.key in repr(obj)
            assert obj.bucket in repr(obj)

    asyncio.run(use())


def test_a_block_that_fails_publishes_nothing(make: Make, s3_session: S3Session) -> None:
    """An exception in the block, also that of a cancelled task, leaves store and file as they were."""

    async def fail() -> None:
        async with make("k").open("w") as file:
            file.write("half")
            raise ZeroDivisionError

    async def hang(begun: asyncio.Event) -> None:
        async with make("k").open("w") as file:
            file.write("half")
            begun.set()
            await asyncio.sleep(60)

    async def use() -> None:
        with pytest.raises(ZeroDivisionError):
            await fail()
        begun = asyncio.Event()
        task = asyncio.create_task(hang(begun))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    s3_session.put_object("k", b"whole")
    asyncio.run(use())
    assert b"whole" == s3_session.get_object("k").data
    assert [] == os.listdir(os.path.dirname(make("k").local_path))


def test_the_loop_goes_on(make: Make, s3_session: S3Session, s3_server: Server) -> None:
    """While one download waits for the store others are done."""
    s3_session.put_object("slow", b"x")
    s3_session.put_object("fast", b"x")
    s3_server.faults.add("GetObject", key="slow", delay=0.5)
    done: list[str] = []

    async def load(key: str) -> None:
        await make(key).download()
        done.append(key)

    async def both() -> None:
        await asyncio.gather(load("slow"), load("fast"))

    asyncio.run(both())
    assert ["fast", "slow"] == done
