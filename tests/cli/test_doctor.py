"""`s3func doctor` as a shell runs it: what it says about each thing that can be wrong, and that it tells no secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import testing
from s3func.clock import SystemClock
from s3func.server import User, Users
from tests.credentials.fake import Fake
from tests.faults.scripted import Scripted, answer

Run = Callable[..., subprocess.CompletedProcess[str]]
SECRET = "main/S3KRIT/secret"
MAIN = User("key-id-of-main", SECRET, "main", "Main")
GUEST = User("key-id-of-guest", "guest/S3KRIT", "guest", "Guest")


@pytest.fixture
def server() -> Iterator[testing.Server]:
    """A store with one bucket and one object, of one of its two users."""
    with testing.server(users=Users([GUEST]), access_key_id=MAIN.access_key_id, secret_access_key=SECRET) as server:
        server.session("bucket").put_object("logs/1", b"line")
        yield server


@pytest.fixture
def doctor(run: Run, server: testing.Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the command in an environment that leads to the server; gives its exit code and findings by subject."""

    def call(*arguments: str, **environment: str) -> dict[str, Any]:
        for name, value in environment_of(server, **environment).items():
            monkeypatch.setenv(name, value)
        return examined(run, *arguments)

    return call


def environment_of(server: testing.Server, **more: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_REGION": server.region,
        **more,
    }


def examined(run: Run, *arguments: str) -> dict[str, Any]:
    """The report as JSON; the one for people says the same, and neither has a secret."""
    done = run("doctor", "--json", *arguments)
    for_people = run("doctor", *arguments)
    assert "" == done.stderr == for_people.stderr
    assert done.returncode == for_people.returncode
    assert "S3KRIT" not in done.stdout + for_people.stdout
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    found = {finding["subject"]: finding for finding in report["findings"]}
    assert len(found) == len(report["findings"])
    for finding in found.values():
        assert f"{finding['subject']}:" in for_people.stdout
        assert (finding["status"] == "problem") == (finding["fix"] != "")
    return {"code": done.returncode, **found}


def problems(report: dict[str, Any]) -> list[str]:
    return [name for name, finding in report.items() if name != "code" and finding["status"] == "problem"]


def test_nothing_is_wrong(doctor: Callable[..., dict[str, Any]], server: testing.Server) -> None:
    """Each setting with where it came from, the clock, the region, the bucket and the rights; exit code 0."""
    report = doctor("s3://bucket")
    assert (0, []) == (report["code"], problems(report))
    assert ("us-east-1", "AWS_REGION") == (report["region"]["text"], report["region"]["source"])
    assert (server.endpoint_url, "AWS_ENDPOINT_URL") == (report["endpoint"]["text"], report["endpoint"]["source"])
    assert "key-…main, secret of 18 characters" == report["credentials"]["text"]
    assert "environment: AWS_ACCESS_KEY_ID" == report["credentials"]["source"]
    for subject in ("connection", "clock", "bucket", "region of the bucket", "list", "read"):
        assert "ok" == report[subject]["status"], subject
    assert "note" == report["write"]["status"]
    assert {"PutObject", "DeleteObject"}.isdisjoint(server.journal.operations()[2:])


@pytest.mark.parametrize("versioned", [False, True])
def test_write(doctor: Callable[..., dict[str, Any]], server: testing.Server, versioned: bool) -> None:
    """With --write a probe is put, read and deleted, and nothing of it is left, no version and no marker either."""
    session = server.session("bucket")
    if versioned:
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        session.request("PUT", query={"versioning": None}, body=body)
    report = doctor("s3://bucket/logs/", "--write")
    assert (0, []) == (report["code"], problems(report))
    assert ["ok"] * 4 == [report[subject]["status"] for subject in ("list", "write", "read", "delete")]
    assert report["write"]["text"].startswith("13 bytes as logs/.s3func-doctor-")
    assert ["logs/1"] == [entry.key for entry in session.list_object_versions().iter_objects()]


def test_without_a_bucket(doctor: Callable[..., dict[str, Any]]) -> None:
    """Then the buckets are named."""
    report = doctor()
    assert (0, "1: bucket") == (report["code"], report["buckets"]["text"])


# Each row: what is wrong, variables and arguments, and what the problem and its fix say.
WRONG: list[tuple[str, dict[str, str], tuple[str, ...], str, str, str]] = [
    ("key id", {"AWS_ACCESS_KEY_ID": "unknown-key-id"}, ("bucket",), "credentials at the store", "InvalidAccessKeyId", "does not know"),
    ("secret", {"AWS_SECRET_ACCESS_KEY": "no/S3KRIT"}, ("bucket",), "credentials at the store", "SignatureDoesNotMatch", "compare the secret"),
    ("secret, no bucket", {"AWS_SECRET_ACCESS_KEY": "no/S3KRIT"}, (), "credentials at the store", "SignatureDoesN", "compare the secret"),
    ("region", {"AWS_REGION": "eu-west-1"}, ("bucket",), "region of the bucket", "is in us-east-1", "AWS_REGION=us-east-1"),
    ("bucket", {}, ("s3://other",), "bucket", "NoSuchBucket", "is the bucket's name right"),
    ("endpoint", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, ("bucket",), "connection", "no connection", "check the endpoint"),
    ("half a pair", {"AWS_SECRET_ACCESS_KEY": ""}, ("bucket",), "credentials", "secret_access_key is missing", "do what"),
    ("attempts", {"AWS_MAX_ATTEMPTS": "many"}, ("bucket",), "settings", "AWS_MAX_ATTEMPTS must be", "correct or unset"),
    ("profile", {"AWS_PROFILE": "nobody"}, ("bucket",), "settings", "profile 'nobody' is in neither", "correct or unset"),
    ("certificates", {"AWS_CA_BUNDLE": "/no/where"}, ("bucket",), "settings", "AWS_CA_BUNDLE", "correct or unset"),
    ("proxy", {"HTTP_PROXY": "http://me:S3KRIT@127.0.0.1:1"}, ("bucket",), "connection", "proxy http://127.0.0.1:1", "NO_PROXY"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "arguments", "subject", "said", "fix"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_something_is_wrong(
    doctor: Callable[..., dict[str, Any]],
    environment: dict[str, str],
    arguments: tuple[str, ...],
    subject: str,
    said: str,
    fix: str,
) -> None:
    """The problem is named first, with what to do about it; exit code 1."""
    report = doctor(*arguments, **environment)
    assert 1 == report["code"]
    assert [subject] == problems(report)
    assert said in report[subject]["text"]
    assert fix in report[subject]["fix"]


class WrongClock(SystemClock):
    """The machine's clock, an hour off."""

    def __init__(self, skew: float) -> None:
        self.now = lambda: SystemClock.now() + skew


@pytest.mark.parametrize(("skew", "said"), [(3600.0, "behind the store's"), (-3600.0, "ahead of the store's")])
def test_a_clock_that_is_an_hour_off(run: Run, monkeypatch: pytest.MonkeyPatch, skew: float, said: str) -> None:
    """It is the only problem: the session itself goes by the store's clock."""
    with testing.server(clock=WrongClock(skew)) as server:
        server.session("bucket")
        for name, value in environment_of(server).items():
            monkeypatch.setenv(name, value)
        report = examined(run, "bucket", "--write")
    assert (1, ["clock"]) == (report["code"], problems(report))
    assert said in report["clock"]["text"]
    assert "set the clock" in report["clock"]["fix"]


def test_denied(doctor: Callable[..., dict[str, Any]], server: testing.Server) -> None:
    """What a policy forbids is named as the action that would have to be allowed."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": "arn:aws:s3:::bucket/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    server.session("bucket").request("PUT", query={"policy": None}, body=policy)
    report = doctor("bucket", "--write")
    assert (1, ["write"]) == (report["code"], problems(report))
    assert "AccessDenied" in report["write"]["text"]
    assert "allow s3:PutObject on arn:aws:s3:::bucket/*" in report["write"]["fix"]
    report = doctor("bucket")
    assert ["read"] == problems(report)
    assert "allow s3:GetObject on arn:aws:s3:::bucket/*" in report["read"]["fix"]


def test_a_stranger_s_bucket(doctor: Callable[..., dict[str, Any]]) -> None:
    """Who may not even list is told what would have to be allowed."""
    keys = {"AWS_ACCESS_KEY_ID": GUEST.access_key_id, "AWS_SECRET_ACCESS_KEY": GUEST.secret_access_key}
    report = doctor("bucket", "--write", **keys)
    assert 1 == report["code"]
    assert ["list", "write"] == problems(report)
    assert "allow s3:ListBucket on arn:aws:s3:::bucket" in report["list"]["fix"]


def test_a_profile_is_explained(
    doctor: Callable[..., dict[str, Any]], server: testing.Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keys, region and endpoint of a profile are told apart from those of the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[work]\naws_access_key_id = {MAIN.access_key_id}\naws_secret_access_key = {SECRET}\n"
    )
    (folder / "config").write_text(
        f"[profile work]\nregion = us-east-1\nmax_attempts = 4\ns3 =\n  addressing_style = path\nservices = mine\n"
        f"[services mine]\ns3 =\n  endpoint_url = {server.endpoint_url}\n"
    )
    unset = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": "", "AWS_REGION": ""}
    report = doctor("bucket", AWS_PROFILE="work", HTTPS_PROXY="http://me:S3KRIT@proxy:1", NO_PROXY="a,b", **unset)
    assert (0, []) == (report["code"], problems(report))
    expected = {
        "profile": "AWS_PROFILE or AWS_DEFAULT_PROFILE (work)",
        "region": "region of profile 'work'",
        "addressing_style": "s3.addressing_style of profile 'work'",
        "max_attempts": "max_attempts of profile 'work'",
        "endpoint": "services 'mine' of profile 'work'",
        "credentials": "credentials file: profile 'work' of ~/.aws/credentials",
        "https proxy": "HTTPS_PROXY",
        "no proxy": "NO_PROXY",
    }
    assert expected == {subject: report[subject]["source"] for subject in expected}
    assert "http://proxy:1, with a password" == report["https proxy"]["text"]
    report = doctor(
        "bucket", "--profile", "work", "--region", "us-east-1", "--endpoint-url", server.endpoint_url, **unset
    )
    assert ["--profile", "--region", "--endpoint-url"] == [
        report[subject]["source"] for subject in ("profile", "region", "endpoint")
    ]


def test_a_store_is_recognized(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is known names its store and its region; that it cannot be reached from here is a problem of its own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "s",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    report = examined(run, "--endpoint-url", "https://s3.eu-central-003.backblazeb2.com")
    assert report["store"]["text"].startswith("Backblaze B2")
    assert ("eu-central-003", "the host of the endpoint") == (report["region"]["text"], report["region"]["source"])
    assert ["connection"] == problems(report)


def test_a_role_is_explained(doctor: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an instance's role gives keys that this store does not know, both are said."""
    import time

    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with Fake(time.time) as fake:
        report = doctor("bucket", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", **fake.environment("imds"))
    assert f"instance metadata: instance metadata at {fake.url}" == report["credentials"]["source"]
    assert "with a session token, good for " in report["credentials"]["text"]
    assert ["credentials at the store"] == problems(report)


def test_no_credentials(doctor: Callable[..., dict[str, Any]]) -> None:
    """All that was looked at is listed, and the store is looked at as far as that goes without."""
    report = doctor("bucket", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert ["credentials"] == problems(report)
    for part in ("environment (", "assumed role (", "SSO (", "container (", "instance metadata ("):
        assert part in report["credentials"]["text"]
    assert "ok" == report["connection"]["status"]


def test_what_is_no_store(run: Run, doctor: Callable[..., dict[str, Any]]) -> None:
    """A web page in place of a store is a problem, not a traceback."""
    with Scripted(always=answer(200, b"<html>hello</html>")) as web:
        report = doctor("bucket", AWS_ENDPOINT_URL=web.url)
    assert 1 == report["code"]
    assert ["bucket"] == problems(report)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--write",),
        ("https://bucket",),
        ("s3://",),
        ("bucket", "more"),
        ("--verbose",),
        ("b2://bucket",),
        ("s3://id:secret@bucket",),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    """What cannot be asked is exit code 2."""
    done = run("doctor", *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert "see s3func doctor --help" in done.stderr


def test_a_store_in_the_url(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before the bucket says where it is, as with every other command, and counts more than the environment."""
    with testing.server() as server:
        server.session("bucket")
        for name, value in environment_of(server).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        report = examined(run, f"s3://{server.endpoint_url}/bucket")
    assert (0, []) == (report["code"], problems(report))
