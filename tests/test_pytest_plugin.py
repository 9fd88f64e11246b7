"""The pytest plugin, in runs of tests of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import s3func.testing
from s3func import S3Session
from s3func.errors import NoSuchBucket
from s3func.server import SessionBackend

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent
HEAD = """
import threading
import pytest
from s3func.errors import Throttled

"""


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder for a run of tests in which every warning is an error."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider")
    return pytester


def test_every_test_has_a_bucket_of_its_own(tests: pytest.Pytester) -> None:
    """One server for all tests; in each of them an empty bucket, a session on it, no faults and an empty journal."""
    tests.makepyfile(
        HEAD
        + """
seen = set()

@pytest.mark.parametrize("name", ["a", "B/ü", "x" * 200])
def test_session(s3_session, s3_server, s3_bucket, name):
    assert s3_session.bucket == s3_bucket
    assert s3_bucket not in seen
    seen.add(s3_bucket)
    assert [] == list(s3_session.list_objects())
    s3_session.put_object("key", b"x")
    assert b"x" == s3_session.get_object("key").data
    assert ["ListObjectsV2", "PutObject", "GetObject"] == s3_server.journal.operations()
    assert [s3_bucket] == [bucket.name for bucket in s3_session.list_buckets()]
    assert 0 == len(s3_server.faults)
    s3_server.faults.add(status=503)

def test_same_server(s3_server):
    assert 0 == len(s3_server.faults)
    assert [] == s3_server.journal.operations()
    assert 1 == len([thread for thread in threading.enumerate() if thread.name == "s3func-listener"])

def test_two_sessions(s3_server, s3_session, s3_bucket):
    s3_session.put_object("key", b"x")
    assert b"x" == s3_server.session(s3_bucket).get_object("key").data
"""
    )
    tests.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=5)


def test_what_a_test_leaves_in_its_bucket_is_removed(tests: pytest.Pytester) -> None:
    """Versions, markers, locked objects and uploads that were not completed keep no bucket alive."""
    tests.makepyfile(
        HEAD
        + """
@pytest.fixture(autouse=True, scope="module")
def nothing_left(s3_server):
    yield
    assert [] == s3_server.app.backend.list_buckets()

def test_versions(s3_session):
    enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert 200 == s3_session.request("PUT", query={"versioning": ""}, body=enabled).status
    for number in range(3):
        s3_session.put_object("key", b"x")
    s3_session.delete_object("key")
    assert 200 == s3_session.request("POST", "large", query={"uploads": ""}).status

def test_plain(s3_session):
    for number in range(3):
        s3_session.put_object(str(number), b"x")

def test_gone(s3_session):
    s3_session.delete_bucket()

def test_fault_at_the_end(s3_session, s3_server):
    s3_session.put_object("key", b"x")
    s3_server.faults.add(reset="before")
"""
    )
    tests.runpytest_subprocess().assert_outcomes(passed=4)


def test_a_test_that_fails_takes_nothing_with_it(tests: pytest.Pytester) -> None:
    """A failure under faults is reported as itself, and the next test finds everything in order."""
    tests.makepyfile(
        HEAD
        + """
def test_1_fails(s3_session, s3_server):
    s3_server.faults.add(reset="before")
    s3_server.session(s3_session.bucket, create=False, retries=1).put_object("key", b"x")

def test_2_works(s3_session):
    s3_session.put_object("key", b"x")
"""
    )
    result = tests.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ConnectionLost*"])


def test_b2_has_a_bucket_of_its_own(tests: pytest.Pytester) -> None:
    """`b2_session` has an empty bucket that keeps versions, over the same server, and leaves nothing behind."""
    tests.makepyfile(
        HEAD
        + """
@pytest.fixture(autouse=True, scope="module")
def nothing_left(s3_server):
    yield
    assert [] == s3_server.app.backend.list_buckets()

@pytest.mark.parametrize("name", ["a", "B/ü", "x" * 200])
def test_b2(b2_session, s3_server, name):
    assert [] == s3_server.journal.operations()
    b2_session.put_object("key", b"x")
    b2_session.delete_object("key")
    assert [True, False] == [row.delete_marker for row in b2_session.list_object_versions()]
    assert s3_server.journal.operations("b2_hide_file")

def test_both(b2_session, s3_session, s3_server):
    assert b2_session.bucket != s3_session.bucket
    b2_session.put_object("key", b"x")
    assert b"x" == s3_server.session(b2_session.bucket, create=False).get_object("key").data
    assert b"x" == s3_server.b2_session(b2_session.bucket).get_object("key").data

def test_gone(b2_session):
    b2_session.delete_bucket()
"""
    )
    tests.runpytest_subprocess().assert_outcomes(passed=5)


def test_foreign_clients_find_the_server_in_the_environment(tests: pytest.Pytester) -> None:
    """With `s3_environment` a client that is given nothing reaches the server; behind the test all is as before."""
    tests.makepyfile(
        HEAD
        + """
import os
import boto3
from s3func import S3Session

def test_clients(s3_environment, s3_bucket, monkeypatch):
    with S3Session(bucket=s3_bucket) as session:
        session.put_object("key", b"x")
    client = boto3.client("s3")
    assert b"x" == client.get_object(Bucket=s3_bucket, Key="key")["Body"].read()
    client.close()
    assert "AWS_PROFILE" not in os.environ

def test_nothing_left():
    assert "somebody" == os.environ["AWS_PROFILE"]
    assert "AWS_ENDPOINT_URL_S3" not in os.environ
"""
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_PROFILE", "somebody")
        patch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        tests.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2)


def test_another_server_can_be_asked_for(tests: pytest.Pytester) -> None:
    """`s3_server_options` are the arguments of the server."""
    tests.makeconftest(
        """
import pytest

@pytest.fixture(scope="session")
def s3_server_options(tmp_path_factory):
    return {"path": tmp_path_factory.mktemp("store"), "region": "eu-west-1"}
"""
    )
    tests.makepyfile(
        HEAD
        + """
def test_options(s3_server, s3_session):
    assert "eu-west-1" == s3_server.region == s3_session.region
    assert "LocalBackend" == type(s3_server.app.backend).__name__
"""
    )
    tests.runpytest_subprocess().assert_outcomes(passed=1)


def test_workers_have_a_server_each(tests: pytest.Pytester) -> None:
    """With pytest-xdist every worker has its own server, and no test sees another one's objects."""
    tests.makepyfile(
        HEAD
        + """
@pytest.mark.parametrize("number", range(8))
def test_worker(s3_session, s3_server, number):
    s3_session.put_object("key", str(number))
    assert str(number).encode() == s3_session.get_object("key").data
    assert 1 == len(s3_session.list_buckets())
"""
    )
    tests.runpytest_subprocess("-n", "2").assert_outcomes(passed=8)


def test_it_costs_nothing_to_have_it() -> None:
    """Loading the plugin loads no part of the client or the server."""
    program = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport s3func.pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if name not in ('s3func', 's3func.pytest_plugin')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_pytest_finds_it() -> None:
    """The entry point that the project declares, and that is installed, is this plugin."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    assert {"s3func": "s3func.pytest_plugin"} == declared
    installed = importlib.metadata.entry_points(group="pytest11", name="s3func")
    assert {"s3func.pytest_plugin"} == {point.value for point in installed}


def test_remove_bucket_of_a_store_without_powers() -> None:
    """A gateway's bucket is removed with the objects that the gateway can see."""
    with s3func.testing.server() as behind:
        gateway = SessionBackend(S3Session(**behind.settings))
        with s3func.testing.server(gateway) as server:
            session = server.session("bkt")
            for number in range(3):
                session.put_object(str(number), b"")
            server.remove_bucket("bkt")
        assert [] == behind.app.backend.list_buckets()


def test_remove_bucket() -> None:
    """A bucket goes with its versions, uploads and locked objects; one that is not there is an error."""
    with s3func.testing.server() as server:
        session = server.session("bkt")
        enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        session.request("PUT", query={"versioning": ""}, body=enabled)
        for number in range(1100):
            session.put_object(str(number), b"")
        session.delete_object("1")
        session.request("POST", "large", query={"uploads": ""})
        server.remove_bucket("bkt")
        assert [] == session.list_buckets()
        with pytest.raises(NoSuchBucket):
            server.remove_bucket("bkt")
