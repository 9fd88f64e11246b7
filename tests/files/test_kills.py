"""A process that is killed at any moment: the file and the object hold the old content or the new one, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from s3func.files import Cache, S3Object
from s3func.s3 import S3Session
from s3func.testing import Server

Made = Callable[..., S3Object]
SIZE = 3 * 1024 * 1024

PROGRAM = """
import sys
from s3func.files import S3Object, Cache
from s3func.s3 import S3Session
endpoint, bucket, cache, what = sys.argv[1:]
with S3Session("test-access-key-id", "test-secret-access-key", bucket, endpoint, "us-east-1") as session:
    obj = S3Object(f"s3://{bucket}/k", session=session, cache=Cache(cache))
    print("begin", flush=True)
    if what == "look":
        session.put_object("other", b"x")
        S3Object(f"s3://{bucket}/other", session=session, cache=Cache(cache)).download()
        sys.exit()
    for number in range(1000):
        if what == "download":
            session.put_object("k", bytes([number % 250]) * 3145728)
            obj.download(mirror=True)
        else:
            with obj.open("wb") as file:
                file.write(bytes([number % 250]) * 3145728)
"""


@pytest.mark.parametrize("what", ["download", "write"])
def test_a_kill_publishes_nothing_half(
    what: str, s3_server: Server, s3_session: S3Session, s3_bucket: str, tmp_path: Path, made: Made
) -> None:
    """After kill -9 both sides are whole, the next call agrees them, and what was left behind is swept away."""
    cache = Cache(tmp_path / "killed")
    chance = random.Random(what)
    for _ in range(8):
        arguments = [s3_server.endpoint_url, s3_bucket, cache.root, what]
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdout is not None
            assert b"begin\n" == process.stdout.readline()
            time.sleep(chance.random() * 0.3)
            process.send_signal(signal.SIGKILL)
        obj = made("k", cache=cache)
        path = Path(obj.local_path)
        contents = [path.read_bytes()] if path.exists() else []
        if s3_session.exists("k"):
            contents.append(s3_session.get_object("k").data)
        for content in contents:
            assert SIZE == len(content)
            assert {content[0]} == set(content)
    if s3_session.exists("k"):
        obj.download(mirror=True)
        assert path.read_bytes() == s3_session.get_object("k").data
    # A new process, and so one that has not looked here yet.
    arguments = [s3_server.endpoint_url, s3_bucket, cache.root, "look"]
    subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
    assert [] == [name for name in os.listdir(path.parent) if name.endswith("s3func-part")]
