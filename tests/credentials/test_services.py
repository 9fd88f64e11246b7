"""Each provider against the fake services, over real connections: what it asks, what it gives, and how it fails."""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import stat
import sys
import threading
import traceback
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import CredentialsError, DeadlineExceeded, TimedOut
from s3func.message import Request, Response
from s3func.s3.credentials import container, http, imds
from s3func.s3.credentials.chain import CHAIN, Surroundings, choose, source
from s3func.s3.credentials.imds import instance_region
from tests.credentials.conftest import Surround
from tests.credentials.fake import SECRETS, Answer, Fake, refused
from tests.s3.rigs import FrozenClock

BASE = "aws_access_key_id = BASE\naws_secret_access_key = base/S3KRIT\n"
ROLE = "[profile r]\nrole_arn = arn:aws:iam::1:role/R\nsource_profile = b\n"
SOURCE = f"[b]\n{BASE}"


def ids(surroundings: Surroundings) -> tuple[str, str | None]:
    """Key id and token that a chain of these surroundings gives."""
    found = source(surroundings)()
    return found.access_key_id, found.session_token


def test_an_instance(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """IMDSv2: a token, the name of the role, its credentials; three requests, and their end is kept."""
    found = source(surround(**fake.environment("imds")))()
    assert ("IMDS1", "IMDS1/S3KRIT", "IMDS1/T0KEN") == (
        found.access_key_id,
        found.secret_access_key,
        found.session_token,
    )
    assert clock.now() + 3600 == found.expires_at
    assert {"imds token": 1, "imds role v2": 1, "imds v2": 1} == fake.counts


@pytest.mark.parametrize("status", [403, 404, 405])
def test_an_instance_without_version_2(fake: Fake, surround: Surround, status: int) -> None:
    """Where there is no token, version 1 is asked, unless that is forbidden."""
    fake.faults["imds token"] = Answer(status)
    assert "IMDS1" == ids(surround(**fake.environment("imds")))[0]
    assert {"imds token": 1, "imds role v1": 1, "imds v1": 1} == fake.counts
    with pytest.raises(CredentialsError, match=f"no token .status {status}., and version 1 is switched off; .*hop"):
        ids(surround(**fake.environment("imds"), AWS_EC2_METADATA_V1_DISABLED="true"))
    with pytest.raises(CredentialsError, match="version 1 is switched off"):
        ids(surround("[default]\nec2_metadata_v1_disabled = true\n", **fake.environment("imds")))


def test_a_container_whose_token_never_arrives(fake: Fake, surround: Surround) -> None:
    """An answer that may travel one hop only is waited for a second; then version 1 serves."""
    release = threading.Event()

    def silence() -> Answer:
        release.wait(30)
        return Answer(200)

    fake.faults["imds token"] = silence
    assert "IMDS1" == ids(surround(**fake.environment("imds")))[0]
    release.set()
    assert 1 == fake.counts["imds v1"]


def test_a_metadata_address_that_swallows_everything(surround: Surround) -> None:
    """Where not even a connection is made, there is no version 1 either: it is asked once, and no second is lost."""
    asked: list[str] = []

    class Hole:
        def __call__(self, request: Request) -> Response:
            asked.append(request.path)
            raise TimedOut("no connection within 1 seconds")

        def close(self) -> None:
            """Nothing is open."""

    with pytest.raises(CredentialsError, match=r"instance metadata at http://169.254.169.254: no connection within"):
        source(surround()._replace(transport=lambda *_: Hole()))()
    assert ["/latest/api/token"] == asked


def test_an_instance_has_a_bad_moment(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """An answer of status 503 is asked for again, each step by itself."""
    for name in ("imds token", "imds role v2", "imds v2"):
        answers = iter([Answer(503), None])
        fake.faults[name] = lambda answers=answers: next(answers)  # type: ignore[misc]  # a default binds the loop's value
    assert "IMDS2" == ids(surround(**fake.environment("imds")))[0]
    assert {"imds token": 2, "imds role v2": 2, "imds v2": 2} == fake.counts
    assert [0.25, 0.25, 0.25] == clock.waits


def test_an_instance_gives_what_has_ended(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """Credentials that the service cannot renew are used on, and asked for again after some minutes, not at once."""
    fake.life = -3600
    refreshing = source(surround(**fake.environment("imds")))
    first = refreshing()
    assert first.expires_at is not None
    assert clock.now() + 720 <= first.expires_at <= clock.now() + 1200
    assert [first] * 10 == [refreshing() for _ in range(10)]
    assert 1 == fake.counts["imds v2"]
    clock.time += 1300
    fake.life = 3600
    assert "IMDS2" == refreshing().access_key_id


def test_an_instance_that_falls_silent(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """When the service fails later, the old credentials are used beyond their end."""
    refreshing = source(surround(**fake.environment("imds")))
    first = refreshing()
    fake.faults["imds token"] = Answer(500)
    clock.time += 5000
    assert first is refreshing()
    fake.faults.clear()
    clock.time += 5000
    assert "IMDS2" == refreshing().access_key_id


def test_a_machine_that_is_no_instance(surround: Surround, clock: FrozenClock) -> None:
    """Nobody listens: one attempt, and the error says all that was looked at and what to do."""
    with pytest.raises(CredentialsError) as caught:
        ids(surround(AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:1"))
    text = str(caught.value)
    for row in CHAIN:
        assert row.name in text
    assert "AWS_ACCESS_KEY_ID" in text
    assert "anonymous=True" in text
    assert "instance metadata at http://127.0.0.1:1: no connection" in text
    assert [] == clock.waits


def test_an_answer_that_never_ends(surround: Surround) -> None:
    """A service that says a byte at a time is given up after three times the limit of a step."""
    with Dripping() as port, pytest.raises(DeadlineExceeded):
        url = http.split_url(f"http://127.0.0.1:{port}/", "the service")
        http.Client(surround(), 0.2, direct=True).send(http.get(url, {}), attempts=1)


class Dripping:
    """Sends one byte of an endless head every half second."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                try:
                    while not self._stop.wait(0.1):
                        client.sendall(b"H")
                except OSError:
                    continue


def test_the_region_of_an_instance(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for by a function, never by a session."""
    for name, value in fake.environment("imds").items():
        monkeypatch.setenv(name, value)
    assert "eu-central-1" == instance_region()
    fake.faults["region"] = Answer(200, b"<html>")
    with pytest.raises(CredentialsError, match="does not say the region"):
        instance_region()


def test_a_container(fake: Fake, surround: Surround, tmp_path: Path, clock: FrozenClock) -> None:
    """Its token is read for each request, from its file first; the credentials are renewed."""
    (tmp_path / "token").write_text("first\n")
    refreshing = source(
        surround(
            **fake.environment("container"),
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token"),
            AWS_CONTAINER_AUTHORIZATION_TOKEN="variable",
        )
    )
    assert "CONTAINER1" == refreshing().access_key_id
    (tmp_path / "token").write_text("second")
    clock.time += 3000
    assert "CONTAINER2" == refreshing().access_key_id
    assert [{"authorization": "first"}, {"authorization": "second"}] == fake.calls
    assert ("CONTAINER3", "CONTAINER3/T0KEN") == ids(
        surround(**fake.environment("container"), AWS_CONTAINER_AUTHORIZATION_TOKEN="variable")
    )
    assert {"authorization": "variable"} == fake.calls[-1]


@given(
    st.sampled_from(["http://", "HTTP://"]),
    st.one_of(
        st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True),
        st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
        st.sampled_from(
            ["localhost.evil.com", "127.0.0.1.evil.com", "169.254.170.2@evil.com", "169.254.170.3", "[::2]"]
        ),
    ),
)
def test_a_container_asks_no_stranger_without_tls(scheme: str, host: str) -> None:
    """Over http only the machine itself and AWS's own link-local addresses are asked, however they are written."""
    from ipaddress import ip_address

    name = host.strip("[]")
    try:
        local = ip_address(name).is_loopback
    except ValueError:
        local = name == "localhost"
    allowed = local or name in {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
    try:
        url = container.address({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{scheme}{host}/path"})
    except CredentialsError:
        assert not allowed
    else:
        assert allowed
        assert name == url.host


@pytest.mark.parametrize("token", ["a\r\nx: y", "a\nb", "é"])
def test_a_token_that_is_two_headers(fake: Fake, surround: Surround, token: str) -> None:
    """A container's token that cannot stand in a header is refused and not repeated."""
    with pytest.raises(CredentialsError, match="AWS_CONTAINER_AUTHORIZATION_TOKEN cannot stand in a header") as caught:
        ids(surround(**fake.environment("container"), AWS_CONTAINER_AUTHORIZATION_TOKEN=token))
    assert token not in str(caught.value)
    assert {} == fake.counts


def test_a_role(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """All that the profile says about the role reaches STS, signed by the source profile."""
    config = ROLE + "external_id = e/1\nduration_seconds = 900\nrole_session_name = nightly\n"
    found = source(surround(config, SOURCE, AWS_PROFILE="r", AWS_REGION="eu-west-1", **fake.environment("sts")))()
    assert ("ROLE1", "ROLE1/S3KRIT", "ROLE1/T0KEN", clock.now() + 3600) == (
        found.access_key_id,
        found.secret_access_key,
        found.session_token,
        found.expires_at,
    )
    expected = {"RoleArn": "arn:aws:iam::1:role/R", "ExternalId": "e/1", "DurationSeconds": "900"}
    expected |= {"Action": "AssumeRole", "Version": "2011-06-15", "RoleSessionName": "nightly", "signer": "BASE"}
    assert [expected] == fake.calls


def test_a_chain_of_roles(fake: Fake, surround: Surround, clock: FrozenClock) -> None:
    """Each role is assumed with the one before it, and each is renewed by itself when its time has come."""
    config = ROLE.replace("source_profile = b", "source_profile = m") + (
        "[profile m]\nrole_arn = arn:aws:iam::1:role/M\nsource_profile = b\n"
    )
    refreshing = source(surround(config, SOURCE, AWS_PROFILE="r", **fake.environment("sts")))
    assert "ROLE2" == refreshing().access_key_id
    assert [("arn:aws:iam::1:role/M", "BASE"), ("arn:aws:iam::1:role/R", "ROLE1")] == [
        (call["RoleArn"], call["signer"]) for call in fake.calls
    ]
    clock.time += 3000
    assert "ROLE4" == refreshing().access_key_id
    assert [("arn:aws:iam::1:role/M", "BASE"), ("arn:aws:iam::1:role/R", "ROLE3")] == [
        (call["RoleArn"], call["signer"]) for call in fake.calls[2:]
    ]


@pytest.mark.parametrize(
    ("credential_source", "signer", "services"),
    [("Ec2InstanceMetadata", "IMDS1", ["imds"]), ("EcsContainer", "CONTAINER1", ["container"])],
)
def test_a_role_of_the_machine(
    fake: Fake, surround: Surround, credential_source: str, signer: str, services: list[str]
) -> None:
    """A credential_source is where the profile's role gets its own credentials from."""
    config = ROLE.replace("source_profile = b", f"credential_source = {credential_source}")
    assert "ROLE1" == ids(surround(config, AWS_PROFILE="r", **fake.environment("sts", *services)))[0]
    assert signer == fake.calls[-1]["signer"]


def test_a_role_of_the_environment(fake: Fake, surround: Surround) -> None:
    """With a profile named in code, the keys of the environment may still be the source of its role."""
    config = ROLE.replace("source_profile = b", "credential_source = Environment")
    keys = {"AWS_ACCESS_KEY_ID": "BASE2", "AWS_SECRET_ACCESS_KEY": "base/S3KRIT"}
    assert "ROLE1" == ids(surround(config, profile="r", **keys, **fake.environment("sts")))[0]
    assert "BASE2" == fake.calls[-1]["signer"]


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong(clock: FrozenClock, surround: Surround, skew: float) -> None:
    """An hour off: STS's refusal is mended by its own clock, and the credentials last as long as they should."""
    with Fake(lambda: clock.now() + skew) as fake:
        refreshing = source(surround(ROLE, SOURCE, AWS_PROFILE="r", **fake.environment("sts")))
        first = refreshing()
        assert "ROLE1" == first.access_key_id
        assert {"too late": 1, "AssumeRole": 1} == fake.counts
        assert first.expires_at == pytest.approx(clock.now() + 3600, abs=2)
        clock.time += 2600
        assert first is refreshing()
        clock.time += 200
        assert "ROLE2" == refreshing().access_key_id


def test_sts_has_a_bad_moment(fake: Fake, surround: Surround) -> None:
    """500 is asked again, and a web identity whose issuer did not answer as well."""
    answers = iter([Answer(500), Answer(503), None])
    fake.faults["AssumeRole"] = lambda: next(answers)
    assert "ROLE3" == ids(surround(ROLE, SOURCE, AWS_PROFILE="r", **fake.environment("sts")))[0]


def test_a_web_identity(fake: Fake, surround: Surround, tmp_path: Path, clock: FrozenClock) -> None:
    """The token is read again for each exchange, which nobody signs."""
    (tmp_path / "token").write_text("eyJfirst\n")
    answers = iter([refused("IDPCommunicationError", "later", 400), None, None])
    fake.faults["AssumeRoleWithWebIdentity"] = lambda: next(answers)
    variables = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/W"}
    refreshing = source(surround(**variables, **fake.environment("sts")))
    assert "WEB2" == refreshing().access_key_id
    (tmp_path / "token").write_text("eyJsecond")
    clock.time += 3000
    assert "WEB3" == refreshing().access_key_id
    assert ["eyJfirst", "eyJfirst", "eyJsecond"] == [call["WebIdentityToken"] for call in fake.calls]
    assert {""} == {call["signer"] for call in fake.calls}


SSO = "sso_account_id = 42\nsso_role_name = Reader\n"
LOGIN = "sso_start_url = https://corp.example/start\nsso_region = eu-west-1\n"
LEGACY = f"[profile s]\n{SSO}{LOGIN}"
MODERN = f"[profile s]\n{SSO}sso_session = corp\n[sso-session corp]\n{LOGIN}"


def put_token(home: Path, name: str, end: str, **more: str) -> Path:
    """Put a token where `aws sso login` would."""
    path = home / ".aws/sso/cache" / f"{sha1(name.encode()).hexdigest()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"accessToken": "OLD-T0KEN", "expiresAt": end, **more}))
    return path


@pytest.mark.parametrize(("config", "name"), [(LEGACY, "https://corp.example/start"), (MODERN, "corp")])
def test_a_login(fake: Fake, surround: Surround, tmp_path: Path, clock: FrozenClock, config: str, name: str) -> None:
    """Both formats of the token cache give the credentials of the role, renewed while the login lasts."""
    put_token(tmp_path, name, "2026-11-22T10:00:00UTC")
    refreshing = source(surround(config, AWS_PROFILE="s", **fake.environment("sso")))
    first = refreshing()
    assert ("SSO1", "SSO1/T0KEN", clock.now() + 3600) == (first.access_key_id, first.session_token, first.expires_at)
    assert [{"account_id": "42", "role_name": "Reader", "token": "OLD-T0KEN"}] == fake.calls
    clock.time += 3000
    assert "SSO2" == refreshing().access_key_id


def test_a_login_is_renewed(fake: Fake, surround: Surround, tmp_path: Path) -> None:
    """A session's token that is near its end is replaced, in the cache as well, which stays its owner's."""
    more = {"clientId": "C", "clientSecret": "CS3KRIT", "refreshToken": "R1", "startUrl": "u"}
    more["registrationExpiresAt"] = "2027-01-01T00:00:00Z"
    path = put_token(tmp_path, "corp", "2026-11-21T10:10:00Z", **more)
    assert "SSO1" == ids(surround(MODERN, AWS_PROFILE="s", **fake.environment("sso")))[0]
    asked = {"grantType": "refresh_token", "clientId": "C", "clientSecret": "CS3KRIT", "refreshToken": "R1"}
    assert [asked, {"account_id": "42", "role_name": "Reader", "token": "NEW-T0KEN"}] == fake.calls
    kept = json.loads(path.read_text())
    assert {**more, "accessToken": "NEW-T0KEN", "expiresAt": "2026-11-21T18:00:00Z", "refreshToken": "R2"} == kept
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_a_login_that_cannot_be_renewed_is_used_to_its_end(fake: Fake, surround: Surround, tmp_path: Path) -> None:
    """When OIDC refuses, the old token serves as long as it is good."""
    more = {"clientId": "C", "clientSecret": "S", "refreshToken": "R1", "registrationExpiresAt": "2027-01-01T00:00:00Z"}
    put_token(tmp_path, "corp", "2026-11-21T10:10:00Z", **more)
    fake.faults["oidc"] = Answer(400, b'{"error": "invalid_grant"}')
    assert "SSO1" == ids(surround(MODERN, AWS_PROFILE="s", **fake.environment("sso")))[0]
    assert "OLD-T0KEN" == fake.calls[-1]["token"]


@pytest.mark.parametrize("missing", ["clientId", "registrationExpiresAt", "ended", "silent", "nonsense", "read-only"])
def test_a_login_whose_renewal_is_not_to_be_had(fake: Fake, surround: Surround, tmp_path: Path, missing: str) -> None:
    """Whatever is missing for it, the token that is there serves as long as it is good."""
    more = {"clientId": "C", "clientSecret": "S", "refreshToken": "R1", "registrationExpiresAt": "2027-01-01T00:00:00Z"}
    if missing == "ended":
        more["registrationExpiresAt"] = "2026-01-01T00:00:00Z"
    more.pop(missing, None)
    path = put_token(tmp_path, "corp", "2026-11-21T10:10:00Z", **more)
    variables = fake.environment("sso")
    if missing == "silent":
        variables["AWS_ENDPOINT_URL_SSO_OIDC"] = "http://127.0.0.1:1"
    if missing == "nonsense":
        fake.faults["oidc"] = Answer(200, b'{"accessToken": "X"}')
    if missing == "read-only":
        # Nobody, not even root, makes a file where a folder of that name is.
        (path.parent / f"{path.name}.{os.getpid()}.part").mkdir()
    before = path.read_text()
    assert "SSO1" == ids(surround(MODERN, AWS_PROFILE="s", **variables))[0]
    assert ("NEW-T0KEN" if missing == "read-only" else "OLD-T0KEN") == fake.calls[-1]["token"]
    assert before == path.read_text()


def test_a_token_that_sts_repeats_is_not_shown(fake: Fake, surround: Surround) -> None:
    """STS may quote the session token that it refuses; the error does not."""
    shared = f"[b]\n{BASE}aws_session_token = T0KENTOKEN\n"
    fake.faults["AssumeRole"] = refused("InvalidClientTokenId", "the token T0KENTOKEN\n is of nobody")
    with pytest.raises(CredentialsError, match=r"InvalidClientTokenId: the token \*\*\*  is of nobody"):
        ids(surround(ROLE, shared, AWS_PROFILE="r", **fake.environment("sts")))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"AWS_IMDS_USE_IPV6": "true"}, "http://[fd00:ec2::254]"), ({}, "http://169.254.169.254")],
)
def test_the_old_switch_of_ipv6(environment: dict[str, str], expected: str) -> None:
    """botocore's first name for it is still read."""
    assert expected == imds.endpoint(environment, None).origin


def process(tmp_path: Path, program: str) -> str:
    """A profile whose process is this Python program."""
    (tmp_path / "program.py").write_text(program)
    return f'[profile p]\ncredential_process = "{sys.executable}" "{tmp_path}/program.py" --secret S3KRIT\n'


def printing(**said: Any) -> str:
    return f"print({json.dumps(json.dumps(said))})"


GIVEN = {"Version": 1, "AccessKeyId": "PID", "SecretAccessKey": "p/S3KRIT"}


def test_a_process(surround: Surround, tmp_path: Path, clock: FrozenClock) -> None:
    """What the program prints is taken, and it is run again when that comes to its end."""
    config = process(tmp_path, printing(**GIVEN, SessionToken="p/T0KEN", Expiration="2026-11-21T11:00:00Z"))
    refreshing = source(surround(config, AWS_PROFILE="p"))
    first = refreshing()
    assert ("PID", "p/S3KRIT", "p/T0KEN", clock.now() + 3600) == (
        first.access_key_id,
        first.secret_access_key,
        first.session_token,
        first.expires_at,
    )
    process(tmp_path, printing(**{**GIVEN, "AccessKeyId": "PID2"}))
    clock.time += 3000
    assert ("PID2", None) == (refreshing().access_key_id, refreshing().session_token)


def failing(fake: Fake, surround: Surround, tmp_path: Path, name: str) -> Surroundings:
    """Surroundings in which the named thing is wrong."""
    web = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/W"}
    sts, sso = fake.environment("sts"), fake.environment("sso")
    if name.startswith("sso"):
        end = "2026-11-21T09:00:00Z" if name == "sso ended" else "2026-11-22T10:00:00Z"
        if name != "sso without login":
            put_token(tmp_path, "https://corp.example/start", end)
        nothing = Answer(200, b'{"roleCredentials": {}}')
        fake.faults["sso"] = {"sso 401": Answer(401), "sso 403": Answer(403), "sso empty": nothing}.get(
            name, Answer(200, b"[]")
        )
        if name == "sso damaged":
            put_token(tmp_path, "https://corp.example/start", "S3KRIT")
        if name == "sso without a service":
            sso = {"AWS_ENDPOINT_URL_SSO": "http://127.0.0.1:1"}
        if name == "sso in no region":
            return surround(LEGACY.replace("eu-west-1", "eu/west"), AWS_PROFILE="s", **sso)
        if name == "sso twice":
            config = MODERN.replace("sso_session = corp", "sso_session = corp\nsso_region = us-east-1")
            return surround(config, AWS_PROFILE="s", **sso)
        return surround(LEGACY, AWS_PROFILE="s", **sso)
    programs = {
        "process fails": "import sys; print('S3KRIT'); sys.exit(3)",
        "process says nonsense": "print('S3KRIT')",
        "process of version 2": printing(**{**GIVEN, "Version": 2}),
        "process without a key": printing(Version=1, SecretAccessKey="S3KRIT"),
        "process with a bad secret": printing(**{**GIVEN, "SecretAccessKey": "S3KRIT\n"}),
        "process with a bad end": printing(**GIVEN, Expiration="S3KRIT"),
    }
    if name in programs:
        return surround(process(tmp_path, programs[name]), AWS_PROFILE="p")
    if name == "process missing":
        return surround("[profile p]\ncredential_process = /no/such/program S3KRIT\n", AWS_PROFILE="p")
    if name == "process unbalanced":
        return surround("[profile p]\ncredential_process = 'S3KRIT\n", AWS_PROFILE="p")
    if name == "login session":
        return surround("[profile p]\nlogin_session = arn:aws:iam::1:user/me\n", AWS_PROFILE="p")
    if name.startswith("web"):
        if name == "web token empty":
            (tmp_path / "token").write_text("\n")
        return surround(**web, **sts)
    if name.startswith("container"):
        if name == "container away":
            return surround(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:1/")
        fake.faults["container"] = Answer(404) if name == "container 404" else Answer(200, b'{"AccessKeyId": "S3KRIT"}')
        return surround(**fake.environment("container"))
    if name.startswith("imds"):
        roles = {"without role": Answer(404), "empty": Answer(200, b" "), "forbidden": Answer(401), "busy": Answer(500)}
        fake.faults["imds role v2"] = roles.get(name.removeprefix("imds "), Answer(200, b"the-role"))
        if name == "imds token refused":
            fake.faults["imds token"] = Answer(400)
        if name == "imds in a hurry":
            return surround(**fake.environment("imds"), AWS_METADATA_SERVICE_TIMEOUT="S3KRIT"[:2])
        fake.faults["imds v2"] = Answer(200, b'{"Code": "AssumeRoleUnauthorizedAccess", "Message": "S3KRIT"}')
        return surround(**fake.environment("imds"))
    fake.faults["AssumeRole"] = {
        "role refused": refused("AccessDenied", "User: u is not authorized to perform: sts:AssumeRole"),
        "role answered with html": Answer(200, b"<html><p>S3KRIT</html>"),
        "role without credentials": Answer(200, b"<R><AssumeRoleResult/></R>"),
        "role with a bad secret": Answer(
            200,
            b"<R><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey> S3KRIT</SecretAccessKey>"
            b"</Credentials></AssumeRoleResult></R>",
        ),
        "role refused by html": Answer(403, b"<html>S3KRIT"),
    }.get(name, Answer(200))
    config = {"role with mfa": "mfa_serial = m\n", "role for too long": "duration_seconds = for ever\n"}.get(name, "")
    if name == "role of a stranger":
        config = config + "[x]\n"
        return surround(ROLE.replace("source_profile = b", "credential_source = Elsewhere"), AWS_PROFILE="r")
    where = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"} if name == "role without sts" else sts
    return surround(ROLE + config, SOURCE, AWS_PROFILE="r", **where)


# What is wrong, what the error says, and the fix that is in it.
FAILURES = {
    "sso without login": "nobody has logged in: run `aws sso login --profile s`",
    "sso ended": "the login has ended: run `aws sso login --profile s`",
    "sso 401": "the login has ended: run `aws sso login --profile s`",
    "sso 403": "refuses with status 403; does this login have that role in that account",
    "sso nonsense": "no JSON object",
    "sso empty": "credentials that are none: access_key_id is empty",
    "sso damaged": "json is damaged: run `aws sso login --profile s`",
    "sso without a service": "no answer from http://127.0.0.1:1: no connection",
    "sso in no region": "sso_region of profile 's' is no region: 'eu/west'",
    "sso twice": "profile 's' and sso-session 'corp' differ in sso_region",
    "process fails": "credential_process of profile 'p': .* ended with status 3; run it to see why",
    "process says nonsense": "credential_process of profile 'p': .* no JSON object",
    "process of version 2": "format other than Version 1",
    "process without a key": "credentials that are none: access_key_id is empty",
    "process with a bad secret": "credentials that are none: secret_access_key has white space",
    "process with a bad end": "expiration that is no time",
    "process missing": "/no/such/program cannot be started: No such file",
    "process unbalanced": "credential_process of profile 'p' is no command line",
    "login session": "uses `aws login`.*`credential_process = aws configure export-credentials",
    "web token missing": "AWS_WEB_IDENTITY_TOKEN_FILE: .*token cannot be read: No such file",
    "web token empty": "token is empty",
    "container 404": "container credentials at .*: refused with status 404; is the role of the task or pod set up",
    "container nonsense": "credentials that are none: secret_access_key is empty",
    "imds without role": "no role is attached to this instance",
    "imds empty": "no role is attached to this instance",
    "imds forbidden": "access to it is forbidden .status 401.",
    "imds busy": "refused with status 500",
    "imds token refused": "no token: status 400",
    "imds in a hurry": "AWS_METADATA_SERVICE_TIMEOUT must be a number from 1 to 3600, not 'S3'",
    "container away": "container credentials at http://127.0.0.1:1: no connection",
    "role with a bad secret": "credentials that are none: secret_access_key has white space",
    "imds unauthorized": "role 'the-role': AssumeRoleUnauthorizedAccess",
    "role refused": "role arn:aws:iam::1:role/R of profile 'r': STS at .* refuses: AccessDenied: User: u is not authorized.*trust policy",
    "role refused by html": "refuses: status 403",
    "role answered with html": "no XML document",
    "role without credentials": "answered without credentials",
    "role with mfa": "needs the code of an MFA device .*credential_process",
    "role for too long": "duration_seconds of profile 'r' must be 900 to 43200",
    "role of a stranger": "credential_source of profile 'r' must be one of Environment, EcsContainer, Ec2InstanceMetadata",
    "role without sts": "no answer from STS at http://127.0.0.1:1: no connection.*AWS_ENDPOINT_URL_STS",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_one_clear_error(
    fake: Fake, surround: Surround, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A CredentialsError that names what was tried and what to do; nothing secret in it, its traceback, pickle or the log."""
    caplog.set_level(0)
    with pytest.raises(CredentialsError, match=FAILURES[name]) as caught:
        source(failing(fake, surround, tmp_path, name))()
    error = caught.value
    told = [str(error), repr(error), pickle.dumps(error).decode("latin-1"), caplog.text]
    told += traceback.format_exception(error)
    for secret in SECRETS:
        assert not [text for text in told if secret in text]


def test_the_chain_in_order(fake: Fake, surround: Surround, tmp_path: Path) -> None:
    """With everything set at once the first provider signs; without it the second, and so on to the last."""
    put_token(tmp_path, "https://corp.example/start", "2026-11-22T10:00:00Z")
    (tmp_path / "token").write_text("eyJ0")
    variables = fake.environment("imds", "container", "sts", "sso") | {
        "AWS_ACCESS_KEY_ID": "ENV",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/W",
    }
    process(tmp_path, printing(**GIVEN))
    profile = {
        "role": "role_arn = arn:aws:iam::1:role/R\nsource_profile = b\n",
        "sso": SSO + LOGIN,
        "process": f'credential_process = "{sys.executable}" "{tmp_path}/program.py"\n',
        "keys": "aws_access_key_id = CONFIG\naws_secret_access_key = s\n",
    }
    shared = f"{SOURCE}[default]\naws_access_key_id = SHARED\naws_secret_access_key = s\n"
    seen = []

    def look() -> None:
        surroundings = surround("[default]\n" + "".join(profile.values()), shared, **variables)
        provider, unasked = choose(surroundings)
        assert provider is not None
        assert [row.name for row in CHAIN][: len(unasked)] == [name for name, _ in unasked]
        seen.append((provider.name, ids(surroundings)[0]))

    look()
    del variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    look()
    del profile["role"]
    look()
    del variables["AWS_WEB_IDENTITY_TOKEN_FILE"]
    look()
    del profile["sso"]
    look()
    shared = SOURCE
    look()
    del profile["process"]
    look()
    del profile["keys"]
    look()
    del variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    look()
    assert [
        ("environment", "ENV"),
        ("assumed role", "ROLE1"),
        ("web identity", "WEB1"),
        ("SSO", "SSO1"),
        ("credentials file", "SHARED"),
        ("process", "PID"),
        ("config file", "CONFIG"),
        ("container", "CONTAINER1"),
        ("instance metadata", "IMDS1"),
    ] == seen


def test_keys_that_were_replaced_in_their_file(surround: Surround, tmp_path: Path, clock: FrozenClock) -> None:
    """When a store refuses the keys of a file, the file is read again: whoever rotates keys need not restart anything."""
    refreshing = source(surround("", "[default]\naws_access_key_id = A1\naws_secret_access_key = s\n"))
    assert "A1" == refreshing().access_key_id
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = A2\naws_secret_access_key = t\n")
    clock.time += 60
    assert "A1" == refreshing().access_key_id
    assert "A2" == refreshing.renewed("A1", None).access_key_id
    assert "A2" == refreshing().access_key_id


def test_the_environment_s_own_expiration(surround: Surround, clock: FrozenClock) -> None:
    """With AWS_CREDENTIAL_EXPIRATION the variables are read again near that time."""
    variables = {"AWS_ACCESS_KEY_ID": "E1", "AWS_SECRET_ACCESS_KEY": "s"}
    surroundings = surround(**variables, AWS_CREDENTIAL_EXPIRATION="2026-11-21T11:00:00Z")
    refreshing = source(surroundings)
    assert "E1" == refreshing().access_key_id
    live = surroundings.environment
    assert isinstance(live, dict)
    live |= {"AWS_ACCESS_KEY_ID": "E2", "AWS_CREDENTIAL_EXPIRATION": "2026-11-21T12:00:00Z"}
    clock.time += 3000
    assert "E2" == refreshing().access_key_id


def test_no_secret_is_shown(fake: Fake, surround: Surround, caplog: pytest.LogCaptureFixture) -> None:
    """The repr of everything on the way, and the log at its loudest, show no secret."""
    caplog.set_level(logging.NOTSET)
    surroundings = surround(ROLE, SOURCE, AWS_PROFILE="r", **fake.environment("sts"))
    refreshing = source(surroundings)
    found = refreshing()
    provider, unasked = choose(surroundings)
    things = [surroundings, refreshing, found, provider, unasked, surroundings.profile, surroundings.files]
    for text in (*map(repr, things), *map(str, things), caplog.text):
        for secret in SECRETS:
            assert secret not in text
