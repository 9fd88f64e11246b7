"""Every example of both of s3lync's manuals runs, with nothing but its import changed."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func.compat import s3lync
from s3func.errors import AccessDenied, S3FuncError
from s3func.s3 import S3Session
from s3func.testing import server
from tests.shared_data import SHARED_VECTORS

# The blocks of the English manual, then those of the Korean one; what is printed there is printed here.
BASIC = """
from s3lync import S3Object
obj = S3Object("s3://my-bucket/path/to/file.txt")
obj.download()
obj.upload()
"""
CONTEXT_MANAGER = """
with obj.open("r") as f:
    data = f.read()
with obj.open("w") as f:
    f.write("new content")
"""
URIS = """
S3Object("s3://my-bucket/data.json")
S3Object("s3://minio.example.com@my-bucket/data.json")
S3Object("s3://key:secret@https://minio.example.com/my-bucket/data.json")
"""
COMMON = """
obj.download()
obj.upload(mirror=True)
obj.upload(excludes=[r".*\\.tmp$", r"node_modules"])
obj.add_exclude(r".*\\.log$")
"""
CONFIG = """
from s3lync import Config
Config.set_debug_enabled(True)           # Enable debug mode
Config.set_log_level("WARNING")          # Set log level
Config.set_progress_mode("compact")      # Change progress display mode
Config.set_exclude_hidden(False)          # Include hidden files
Config.set_region("ap-northeast-2")      # Set AWS region
region = Config.get_region()
debug = Config.is_debug_enabled()
mode = Config.get_progress_mode()
exclude_hidden = Config.should_exclude_hidden()
"""
ERRORS = """
from s3lync import S3Object, HashMismatchError, SyncError
try:
    S3Object("s3://bucket/file.txt").download()
except HashMismatchError:
    said = "Integrity check failed"
except SyncError:
    said = "Sync error"
"""
KOREAN_BASIC = """
from s3lync import S3Object
obj = S3Object('s3://my-bucket/path/to/file.txt')
obj.download(check_hash=True)
obj.upload()
local_file = obj.local_path
"""
KOREAN_OPEN = """
with obj.open(mode='w') as f:
    f.write('Hello, S3!')
with obj.open(mode='r') as f:
    content = f.read()
"""
KOREAN_FILES = """
obj = S3Object('s3://my-bucket/folder')
obj.download()
import glob
seen = []
for file in glob.glob(obj.local_path + '/*.json'):
    seen.append(file)
obj = S3Object('s3://my-bucket/path/to/file.txt')
obj.download()
with open(obj.local_path, 'w') as f:
    f.write('new content')
obj.upload()
"""
KOREAN_FORCE = """
obj.download(force_sync=True)
obj.upload(force_sync=True)
obj.upload(exclude_pattern=r'.*\\.tmp$')
obj.upload(exclude_pattern=r'(.*\\.tmp$|.*\\.bak$)')
obj.download(check_hash=True)
obj.download(check_hash=False)
"""
KOREAN_CONFIG = """
from s3lync import Config
region = Config.get_aws_region()
is_debug = Config.is_debug_enabled()
log_level = Config.get_log_level()
"""
KOREAN_ERRORS = """
from s3lync import S3Object, S3lyncError, HashMismatchError, SyncError
obj = S3Object('s3://bucket/file.txt')
try:
    obj.download()
except HashMismatchError:
    said = "hash"
except SyncError:
    said = "sync"
except S3lyncError:
    said = "other"
"""
KOREAN_JSON = """
from s3lync import S3Object
import json
obj = S3Object('s3://my-bucket/data/config.json')
obj.download()
with open(obj.local_path) as f:
    config = json.load(f)
"""
KOREAN_REPORT = """
from s3lync import S3Object
obj = S3Object(
    's3://my-bucket/reports/report.txt',
    local_path='./reports/report.txt'
)
with open(obj.local_path, 'w') as f:
    f.write('report\\n')
    f.write('...')
obj.upload()
"""
KOREAN_LOG = """
from s3lync import S3Object
obj = S3Object('s3://my-bucket/logs/app.log')
lines = []
with obj.open('r') as f:
    for line in f:
        lines.append(line)
with obj.open('a') as f:
    f.write('\\n[NEW] added')
"""


@pytest.fixture
def store(own_folders: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Session]:
    """The bucket of the manuals, which the environment leads to; the current folder is one of this test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with server() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_access_key)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        session = running.session("my-bucket")
        session.put_object("path/to/file.txt", b"content")
        yield session


def run(code: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run an example; the one thing that is changed is where it imports from."""
    names = {"S3Object": s3lync.S3Object, **(names or {})}
    exec(compile(re.sub(r"from s3lync import", "from s3func.compat.s3lync import", code), "example", "exec"), names)
    return names


MANUALS = ("s3lync", "s3lync-ko")
SIGNATURE = "s3_uri: str,"


@pytest.mark.parametrize("manual", MANUALS)
def test_the_manuals_as_they_stand(store: S3Session, manual: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block of Python of the manual runs, one after the other and letter by letter, but for where it imports from."""
    path = SHARED_VECTORS.parent / "seeds" / f"{manual}.md"
    if not path.exists():
        pytest.skip("the manual is not here; the examples above are those of it")
    store.put_object("data/config.json", b'{"a": 1}')
    store.put_object("logs/app.log", b"one\ntwo")
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(errors="replace"), re.DOTALL)
    assert len(blocks) == {"s3lync": 7, "s3lync-ko": 13}[manual]
    names: dict[str, Any] = {}
    for block in blocks:
        if SIGNATURE not in block:
            names = run(block, names)
    s3lync.Config.reset_runtime_overrides()
    printed = capsys.readouterr().out
    assert names["obj"].get_excludes()
    assert b"new content" == store.get_object("path/to/file.txt").data
    if manual == "s3lync":
        assert "Sync error" in printed
    else:
        assert store.get_object("reports/report.txt").data.endswith(b"...")
        assert store.get_object("logs/app.log").data.startswith(b"one\ntwo\n[NEW]")
        assert "{'a': 1}" in printed


def test_the_english_manual(store: S3Session) -> None:
    """Basic use, the context manager and the common operations do what they say."""
    names = run(BASIC)
    names = run(CONTEXT_MANAGER, names)
    assert "content" == names["data"]
    assert b"new content" == store.get_object("path/to/file.txt").data
    run(COMMON, names)
    assert r".*\.log$" in names["obj"].get_excludes()
    assert b"new content" == store.get_object("path/to/file.txt").data


def test_the_uris_of_the_manual(store: S3Session) -> None:
    """All of them are understood; `key:secret` and `secret:access` have the secret first, and none shows it."""
    run(URIS)
    for form in ("secret:access@endpoint.example/bucket/key", "secret:access@https://endpoint.example/bucket/key"):
        with s3lync.S3Object(f"s3://{form}") as obj:
            credentials = getattr(obj._reached(), "_credentials")()  # noqa: B009 -- what would sign
            assert ("access", "secret") == (credentials.access_key_id, credentials.secret_access_key)
            assert ("bucket", "key") == (obj.bucket, obj.key)
            assert "secret" not in f"{obj!r} {obj} {obj.s3_uri} {obj.local_path}"


def test_the_configuration_of_the_manuals(store: S3Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set at run time is what is read, until it is reset."""
    monkeypatch.delenv("S3FUNC_PROGRESS_MODE")
    names = run(CONFIG)
    assert ("ap-northeast-2", True, "compact", False) == tuple(
        names[name] for name in ("region", "debug", "mode", "exclude_hidden")
    )
    names = run(KOREAN_CONFIG)
    assert ("ap-northeast-2", True, "WARNING") == (names["region"], names["is_debug"], names["log_level"])
    run("from s3lync import Config\nConfig.reset_runtime_overrides()")
    assert run(KOREAN_CONFIG)["region"] is None


def test_the_errors_of_the_manuals(store: S3Session) -> None:
    """A bucket that is not there is a SyncError, as both manuals say, and everything is an S3lyncError."""
    assert "Sync error" == run(ERRORS)["said"]
    assert "sync" == run(KOREAN_ERRORS)["said"]
    assert S3FuncError is s3lync.S3lyncError
    assert issubclass(s3lync.HashMismatchError, s3lync.SyncError)
    with pytest.raises(s3lync.SyncError):
        s3lync.S3Object("s3://no-such-bucket/k").upload()
    with pytest.raises(s3lync.SyncError):
        run("with S3Object('s3://no-such-bucket/k').open('w') as file: file.write('x')")


def test_the_korean_manual(store: S3Session) -> None:
    """check_hash, open(mode=), files by their local path, force_sync and exclude_pattern."""
    store.put_object("folder/a.json", b"{}")
    store.put_object("folder/b.txt", b"x")
    names = run(KOREAN_BASIC)
    assert os.path.isfile(names["local_file"])
    assert names["local_file"].startswith(os.path.join(os.environ["XDG_CACHE_HOME"], "s3lync"))
    assert "Hello, S3!" == run(KOREAN_OPEN, names)["content"]
    names = run(KOREAN_FILES, names)
    assert ["a.json"] == [os.path.basename(name) for name in names["seen"]]
    assert b"new content" == store.get_object("path/to/file.txt").data
    run(KOREAN_FORCE, names)
    names = run("obj = S3Object('s3://my-bucket/folder')" + KOREAN_FORCE)
    assert ["folder/a.json", "folder/b.txt"] == [entry.key for entry in store.list_objects("folder/")]


def test_the_three_examples_of_the_korean_manual(store: S3Session) -> None:
    """A JSON file is read, a report is written and sent, a log gets a line more."""
    store.put_object("data/config.json", b'{"a": 1}')
    store.put_object("logs/app.log", b"one\ntwo")
    assert {"a": 1} == run(KOREAN_JSON)["config"]
    run(KOREAN_REPORT)
    assert b"report\n..." == store.get_object("reports/report.txt").data
    assert ["one\n", "two"] == run(KOREAN_LOG)["lines"]
    assert b"one\ntwo\n[NEW] added" == store.get_object("logs/app.log").data


def test_the_sandbox_reaches_the_import(store: S3Session) -> None:
    """The examples do run: one that is wrong fails."""
    with pytest.raises(AttributeError):
        run(textwrap.dedent(BASIC) + "obj.no_such_method()")


def test_an_exception_in_a_block_stays_what_it_is(store: S3Session) -> None:
    """Only the store's errors become a SyncError, with what they were as their cause; others pass."""
    obj = s3lync.S3Object("s3://my-bucket/k")
    with pytest.raises(ZeroDivisionError), obj.open("w"):
        raise ZeroDivisionError
    with pytest.raises(s3lync.SyncError) as caught:
        s3lync.S3Object("s3://access-0:secret-0@my-bucket/k", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).download()
    assert isinstance(caught.value.__cause__, AccessDenied)
