"""A session in its surroundings: what it signs with over time, and what the variables change about its requests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3func import B2Session, Credentials, S3Session
from s3func.errors import AccessDenied, ConnectError, CredentialsError, InvalidCredentials, Throttled
from s3func.message import Request, Response
from s3func.s3.credentials.chain import source
from tests.credentials.conftest import Surround
from tests.credentials.fake import Fake
from tests.credentials.test_services import ROLE, SOURCE
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, FrozenClock, Recorder, WireServer, recorded, success
from tests.transport.test_network import ProxyServer


@pytest.fixture
def machine(fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    """An EC2 instance with a role."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    for name, value in fake.environment("imds", "sts").items():
        monkeypatch.setenv(name, value)
    return fake


def signers(recorder: Recorder) -> list[str]:
    """The key ids that the requests were signed with."""
    return [re.findall("Credential=([^/]+)/", sent.headers["authorization"])[0] for sent in recorder.sent]


def test_nothing_is_sent_before_the_first_request(machine: Fake, clock: FrozenClock) -> None:
    """Making a session asks nobody; its first request asks once, and the token goes with it."""
    recorder = Recorder()
    with S3Session(bucket="bucket", transport=recorder, clock=clock) as session:
        assert {} == machine.counts
        session.head_bucket()
        session.put_object("key", b"")
    assert ["IMDS1", "IMDS1"] == signers(recorder)
    assert "IMDS1/T0KEN" == recorder.last.headers["x-amz-security-token"]
    assert {"imds token": 1, "imds role v2": 1, "imds v2": 1} == machine.counts


def test_200_threads_start_together(machine: Fake, clock: FrozenClock) -> None:
    """The first requests of all of them cause one question to the metadata service, and so does the end of its answer."""
    recorder = Recorder()
    with S3Session(bucket="bucket", transport=recorder, clock=clock) as session, ThreadPoolExecutor(200) as threads:
        for expected in (1, 2):
            start = threading.Barrier(200)

            def ask(start: threading.Barrier = start) -> None:
                start.wait(30)
                session.head_bucket()

            for future in [threads.submit(ask) for _ in range(200)]:
                future.result(60)
            assert expected == machine.counts["imds v2"]
            clock.time += 3600
    assert {"IMDS1": 200, "IMDS2": 200} == Counter(signers(recorder))


def test_a_session_outlives_its_credentials(machine: Fake, clock: FrozenClock) -> None:
    """Over three days each request is signed with credentials that are good, and renewed about once an hour."""
    recorder = Recorder()
    with S3Session(bucket="bucket", transport=recorder, clock=clock) as session:
        for _ in range(72 * 6):
            session.head_bucket()
            clock.time += 600
    assert 72 * 6 == len(recorder.sent)
    assert 72 <= machine.counts["imds v2"] <= 110


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_credentials_that_the_store_refuses(machine: Fake, clock: FrozenClock, code: str) -> None:
    """A store that has done with them is believed: new ones are asked for and the request goes again."""
    recorder = Recorder()

    def answer(request: Request) -> Response:
        if "Credential=IMDS1/" in request.headers["authorization"] and clock.time > started:
            return Response(400, {}, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())
        return success(request)

    started = clock.time
    recorder.answer = answer
    with S3Session(bucket="bucket", transport=recorder, clock=clock, retries=1) as session:
        session.head_bucket()
        clock.time += 60
        session.put_object("key", b"")
    assert ["IMDS1", "IMDS1", "IMDS2"] == signers(recorder)


def test_a_store_that_refuses_every_credential(machine: Fake, clock: FrozenClock) -> None:
    """Its refusal is what the caller sees, and the metadata service is not asked on every request."""
    recorder = Recorder(
        lambda _: Response(403, {}, b"<Error><Code>InvalidAccessKeyId</Code><Message>m</Message></Error>")
    )
    with S3Session(bucket="bucket", transport=recorder, clock=clock, retries=1) as session:
        for _ in range(20):
            with pytest.raises(InvalidCredentials):
                session.put_object("key", b"")
    assert machine.counts["imds v2"] <= 2


def test_a_forbidden_head_is_mostly_not_about_credentials(machine: Fake, clock: FrozenClock) -> None:
    """Where nobody may list, each object that is missing is a 403 without a word: that does not renew every time."""
    recorder = Recorder(lambda request: Response(403, {}) if request.method == "HEAD" else success(request))
    with S3Session(bucket="bucket", transport=recorder, clock=clock, retries=1) as session:
        for _ in range(60):
            with pytest.raises(AccessDenied):
                session.head_object("key")
            clock.time += 10
    assert machine.counts["imds v2"] <= 3


def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first request fails with all that was looked at; nothing is sent unsigned."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    recorder = Recorder()
    with (
        S3Session(bucket="bucket", transport=recorder) as session,
        pytest.raises(CredentialsError, match=r"no credentials: give access_key_id .*instance metadata at"),
    ):
        session.head_bucket()
    assert [] == recorder.sent


def test_a_function_whose_credentials_end(clock: FrozenClock) -> None:
    """What a caller's function gives with an end is kept until near it."""
    asked = []

    def provide() -> Credentials:
        asked.append(clock.time)
        return Credentials(f"ID{len(asked)}", "s", None, clock.time + 3600)

    recorder = Recorder()
    with S3Session(bucket="bucket", credentials=provide, transport=recorder, clock=clock) as session:
        for _ in range(5):
            session.head_bucket()
            clock.time += 600
    assert ["ID1"] * 5 == signers(recorder)
    clock.time += 600
    session.head_bucket()
    assert "ID2" == signers(recorder)[-1]


@pytest.mark.parametrize(
    ("credential_source", "service", "count"),
    [("Ec2InstanceMetadata", "imds", "imds v2"), ("EcsContainer", "container", "container")],
)
def test_metadata_is_never_asked_through_a_proxy(
    fake: Fake, surround: Surround, credential_source: str, service: str, count: str
) -> None:
    """The proxy sees STS, and not the metadata service whose credentials STS is asked with."""
    config = ROLE.replace("source_profile = b", f"credential_source = {credential_source}")
    with ProxyServer() as proxy:
        variables = fake.environment("sts", service) | {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}
        assert "ROLE1" == source(surround(config, SOURCE, AWS_PROFILE="r", **variables))().access_key_id
    assert [True] == [head.startswith(f"POST {fake.url}/ ".encode()) for head in proxy.heads]
    assert 1 == fake.counts[count]


BUSY = Response(503, {}, b"<Error><Code>SlowDown</Code><Message>m</Message></Error>")
# Each row: variables, the profile's lines, arguments, and how often a call is tried.
ATTEMPTS = [
    ({}, "", {}, 5),
    ({"AWS_MAX_ATTEMPTS": "2"}, "", {}, 2),
    ({}, "max_attempts = 4", {}, 4),
    ({"AWS_MAX_ATTEMPTS": "2"}, "max_attempts = 4", {}, 2),
    ({"AWS_MAX_ATTEMPTS": "2"}, "", {"max_attempts": 7}, 7),
    ({"AWS_MAX_ATTEMPTS": "2"}, "", {"retries": 6}, 6),
    ({"AWS_RETRY_MODE": "standard"}, "", {}, 3),
    ({"AWS_RETRY_MODE": "adaptive"}, "", {}, 3),
    ({"AWS_RETRY_MODE": "legacy"}, "", {}, 5),
    ({}, "retry_mode = standard", {}, 3),
    ({"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "6"}, "", {}, 6),
    ({"AWS_RETRY_MODE": "standard"}, "", {"retry_mode": "legacy"}, 5),
]


@pytest.mark.parametrize(("environment", "profile", "options", "expected"), ATTEMPTS)
def test_how_often_a_call_is_tried(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
    profile: str,
    options: dict[str, object],
    expected: int,
) -> None:
    """An argument, then AWS_MAX_ATTEMPTS, then the profile, then what the mode means, then five."""
    write_profile(monkeypatch, tmp_path, profile)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    recorder = Recorder(lambda _: Response(BUSY.status, {}, BUSY.body))
    with recorded(recorder, **options) as session, pytest.raises(Throttled):
        session.put_object("key", b"")
    assert expected == len(recorder.sent)


def write_profile(monkeypatch: pytest.MonkeyPatch, home: Path, lines: str) -> None:
    monkeypatch.setenv("HOME", str(home))
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(f"[default]\n{lines}\n")


@pytest.mark.parametrize("where", ["environment", "profile"])
def test_checksums_when_required(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str) -> None:
    """Then uploads carry none that nobody asked for and downloads ask for none; an argument still counts."""
    names = ("request_checksum_calculation", "response_checksum_validation")
    if where == "profile":
        write_profile(monkeypatch, tmp_path, "\n".join(f"{name} = when_required" for name in names))
    else:
        for name in names:
            monkeypatch.setenv(f"AWS_{name.upper()}", "WHEN_REQUIRED")
    recorder = Recorder()
    with recorded(recorder) as session:
        session.put_object("key", b"body")
        assert not [name for name in recorder.last.headers if name.startswith("x-amz-checksum")]
        session.get_object("key")
        assert "x-amz-checksum-mode" not in recorder.last.headers
        session.delete_objects(["a", "b"])
        assert {"content-md5", "x-amz-checksum-crc32"} & set(recorder.last.headers)
    with recorded(recorder, checksum="crc32", verify_downloads=True) as session:
        session.put_object("key", b"body")
        assert "x-amz-checksum-crc32" in recorder.last.headers
        session.get_object("key")
        assert "x-amz-checksum-mode" in recorder.last.headers


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS must be a whole number of at least 1, not '0'"),
        ("AWS_MAX_ATTEMPTS", "many", "AWS_MAX_ATTEMPTS must be"),
        ("AWS_RETRY_MODE", "often", "AWS_RETRY_MODE must be one of legacy, standard, adaptive, not 'often'"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "x", "must be one of when_supported, when_required"),
        ("AWS_CA_BUNDLE", "/no/where", "AWS_CA_BUNDLE"),
        ("HTTPS_PROXY", "socks5://p", "HTTPS_PROXY is a socks5 proxy"),
    ],
)
def test_a_variable_that_cannot_be(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    """It is named when the session is made."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        S3Session(ACCESS_KEY_ID, SECRET, "bucket")


def test_a_session_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says about proxies holds for every session, and its signature survives it."""
    with WireServer() as wire, ProxyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with S3Session(ACCESS_KEY_ID, SECRET, "bucket", wire.url) as session:
            session.put_object("a//b", b"body")
        assert ("PUT", "/bucket/a//b", "HTTP/1.1") == wire.last.line
    assert 1 == len(proxy.heads)


def test_b2_goes_through_the_proxy_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says about the way out is not about one provider."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with (
        B2Session("id", "key", "bucket", realm="http://127.0.0.1:9", retries=1) as session,
        pytest.raises(ConnectError, match=r"http://127.0.0.1:9 through the proxy http://127.0.0.1:1"),
    ):
        session.head_object("key")


@pytest.fixture
def plain_environment() -> dict[str, str]:
    """The environment of a program with keys in it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.mark.parametrize(
    "keys",
    [
        "'A', 's', 'bucket', 'http://127.0.0.1:9', 'us-east-1'",
        "None, None, 'bucket', 'http://127.0.0.1:9', 'us-east-1'",
    ],
)
def test_static_keys_load_no_chain(plain_environment: dict[str, str], keys: str) -> None:
    """Keys from arguments or the environment need none of the providers, and none of what these import."""
    program = (
        f"import sys, s3func\nsession = s3func.S3Session({keys})\nsession._credentials()\n"
        "heavy = ('subprocess', 'configparser', 'urllib.parse', 'urllib3', 's3func.s3.credentials.')\n"
        "print(sorted(name for name in sys.modules if name.startswith(heavy)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=plain_environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert "[]" == done.stdout.strip()
