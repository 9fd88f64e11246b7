"""Who signs, in which region and where: arguments, environment and profile, in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from s3func import Credentials, S3Session
from s3func.errors import CredentialsError
from s3func.s3.credentials.files import load_profile
from tests.s3.rigs import (
    ACCESS_KEY_ID,
    NOW,
    SECRET,
    TOKEN,
    FrozenClock,
    RawRequest,
    Recorder,
    WireServer,
    assert_signed,
)
from tests.shared_data import SHARED_VECTORS, shared_vectors

Profiles = Callable[..., None]
CREDENTIALS = """
[default]
aws_access_key_id = DEFAULTID
aws_secret_access_key = default/secret

[work]
aws_access_key_id = WORKID
aws_secret_access_key = work/secret
aws_session_token = work/token==
"""
CONFIG = """
[default]
region = eu-central-1

[profile work]
region = ap-south-1
endpoint_url = https://work.example/s3

[profile bare]
region = eu-north-1

[profile both]
aws_access_key_id = CONFIGID
aws_secret_access_key = config/secret
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    """Writes ~/.aws of a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".aws"
    folder.mkdir()

    def write(credentials: str | bytes = CREDENTIALS, config: str | bytes = CONFIG) -> None:
        for name, text in (("credentials", credentials), ("config", config)):
            (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    return write


def identity(**options: Any) -> tuple[str, str, str | None]:
    """Key id, secret and token that a session of these options signs with."""
    recorder = Recorder()
    with S3Session(bucket="bucket", transport=recorder, **options) as session:
        session.head_bucket()
        credentials = session._credentials()
    assert credentials is not None
    headers = recorder.last.headers
    assert f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/" in headers["authorization"]
    assert credentials.session_token == headers.get("x-amz-security-token")
    return credentials.access_key_id, credentials.secret_access_key, credentials.session_token


def place(**options: Any) -> tuple[str, str]:
    """Region and endpoint of a session of these options."""
    with S3Session(ACCESS_KEY_ID, SECRET, "bucket", **options) as session:
        return session.region, session.endpoint_url


ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "ENVID", "AWS_SECRET_ACCESS_KEY": "env/secret", "AWS_SESSION_TOKEN": "env/token=="}
FROM_ENVIRONMENT = ("ENVID", "env/secret", "env/token==")
FROM_DEFAULT = ("DEFAULTID", "default/secret", None)
FROM_WORK = ("WORKID", "work/secret", "work/token==")
EXPLICIT = {"access_key_id": "ARGID", "access_key": "arg/secret"}

# Each row: what is set besides the files, what the session is given, who signs.
PRECEDENCE: list[tuple[str, dict[str, str], dict[str, Any], tuple[str, str, str | None]]] = [
    ("files alone", {}, {}, FROM_DEFAULT),
    ("environment before the default profile", ENVIRONMENT, {}, FROM_ENVIRONMENT),
    ("arguments before everything", ENVIRONMENT, EXPLICIT, ("ARGID", "arg/secret", None)),
    ("arguments before a profile", {}, EXPLICIT | {"profile": "work"}, ("ARGID", "arg/secret", None)),
    ("a token with the arguments", {}, EXPLICIT | {"session_token": "t=="}, ("ARGID", "arg/secret", "t==")),
    ("a profile named in code before the environment", ENVIRONMENT, {"profile": "work"}, FROM_WORK),
    ("AWS_PROFILE", {"AWS_PROFILE": "work"}, {}, FROM_WORK),
    ("AWS_DEFAULT_PROFILE", {"AWS_DEFAULT_PROFILE": "work"}, {}, FROM_WORK),
    ("AWS_PROFILE before AWS_DEFAULT_PROFILE", {"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "x"}, {}, FROM_WORK),
    ("keys of the environment before AWS_PROFILE", ENVIRONMENT | {"AWS_PROFILE": "work"}, {}, FROM_ENVIRONMENT),
    ("code before AWS_PROFILE", {"AWS_PROFILE": "nobody"}, {"profile": "work"}, FROM_WORK),
    ("an empty AWS_PROFILE is unset", {"AWS_PROFILE": ""}, {}, FROM_DEFAULT),
    ("empty keys are unset", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, {}, FROM_DEFAULT),
    ("an empty token is none", ENVIRONMENT | {"AWS_SESSION_TOKEN": ""}, {}, ("ENVID", "env/secret", None)),
    (
        "the old name of the token",
        {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SECURITY_TOKEN": "old=="},
        {},
        ("A", "s", "old=="),
    ),
    ("keys in the config file", {}, {"profile": "both"}, ("CONFIGID", "config/secret", None)),
    ("Credentials", ENVIRONMENT, {"credentials": Credentials("CID", "c/secret", "ct==")}, ("CID", "c/secret", "ct==")),
    ("a function", ENVIRONMENT, {"credentials": lambda: Credentials("FID", "f/secret")}, ("FID", "f/secret", None)),
    ("the secret's other name", {}, {"access_key_id": "A", "secret_access_key": "s"}, ("A", "s", None)),
    ("both names of it", {}, {"access_key_id": "A", "access_key": "s", "secret_access_key": "s"}, ("A", "s", None)),
]


@pytest.mark.parametrize(("case", "environment", "options", "expected"), PRECEDENCE, ids=[row[0] for row in PRECEDENCE])
def test_who_signs(
    profiles: Profiles,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    environment: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str, str, str | None],
) -> None:
    """Arguments, then a profile named in code, then the environment, then AWS_PROFILE or the default profile."""
    profiles()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert expected == identity(**options)


# Each row: environment, arguments, and a word of the message that says what is missing where.
REFUSED: list[tuple[dict[str, str], dict[str, Any], type[Exception], str]] = [
    ({}, {"access_key_id": "A"}, CredentialsError, "secret_access_key is missing"),
    ({}, {"access_key": "S3KRIT"}, CredentialsError, "access_key_id is missing"),
    ({}, {"access_key_id": "A", "access_key": ""}, CredentialsError, "secret_access_key is missing"),
    ({}, {"access_key_id": "", "access_key": "S3KRIT"}, CredentialsError, "access_key_id is missing"),
    ({}, {"access_key_id": "", "access_key": ""}, CredentialsError, "no credentials"),
    ({}, {"session_token": "S3KRIT"}, ValueError, "session_token"),
    ({}, {"profile": "nobody"}, CredentialsError, "profile 'nobody'"),
    ({}, {"profile": "bare"}, CredentialsError, "no credentials"),
    ({"AWS_PROFILE": "nobody"}, {}, CredentialsError, "profile 'nobody'"),
    ({"AWS_ACCESS_KEY_ID": "A"}, {}, CredentialsError, "secret_access_key is missing"),
    ({"AWS_SECRET_ACCESS_KEY": "S3KRIT"}, {}, CredentialsError, "access_key_id is missing"),
    ({}, {"access_key_id": "A", "access_key": "S3KRIT", "anonymous": True}, ValueError, "anonymous"),
    ({}, {"access_key_id": "A", "access_key": "s", "credentials": Credentials("B", "s")}, ValueError, "credentials"),
    ({}, {"credentials": Credentials("B", "S3KRIT"), "anonymous": True}, ValueError, "credentials"),
    ({}, {"credentials": Credentials("B", "s"), "session_token": "S3KRIT"}, ValueError, "credentials"),
    ({}, {"anonymous": True, "session_token": "S3KRIT"}, ValueError, "anonymous"),
]


@pytest.mark.parametrize(("environment", "options", "error", "message"), REFUSED)
def test_nobody_signs(
    profiles: Profiles,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    """Half a pair, a profile that is not there and two who could sign are errors that show no secret."""
    profiles()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=message) as caught:
        S3Session(bucket="bucket", **options)
    assert "S3KRIT" not in str(caught.value)


def test_no_credentials_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials the session says what it looked for."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CredentialsError, match=r"AWS_ACCESS_KEY_ID.*~/\.aws/credentials.*anonymous=True"):
        S3Session(bucket="bucket")


def test_half_a_profile_is_not_completed_by_the_environment(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key id and secret come from one place."""
    profiles(credentials="[work]\naws_access_key_id = A\n", config="")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env/secret")
    with pytest.raises(CredentialsError, match="half a key pair in profile 'work'"):
        S3Session(bucket="bucket", profile="work")


def test_the_credentials_file_goes_before_the_config_file(profiles: Profiles) -> None:
    """A setting of both files is the credentials file's."""
    profiles(
        credentials="[p]\naws_access_key_id = A\naws_secret_access_key = s\n",
        config="[profile p]\naws_access_key_id = B\naws_secret_access_key = t\nregion = eu-west-1\n",
    )
    assert ("A", "s", None) == identity(profile="p")


@pytest.mark.parametrize("home", ["~/", "$HOME/", "${HOME}/", ""])
def test_files_can_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name other files; "~" is the home, also without a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\n")
    (tmp_path / "settings").write_text("[default]\nregion = sa-east-1\n")
    folder = home or f"{tmp_path}/"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{folder}keys")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{folder}settings")
    assert ("A", "s", None) == identity()
    assert "sa-east-1" == place()[0]


REGIONS: list[tuple[dict[str, str], dict[str, Any], tuple[str, str]]] = [
    ({}, {}, ("eu-central-1", "https://s3.eu-central-1.amazonaws.com")),
    ({}, {"region": "us-west-2"}, ("us-west-2", "https://s3.us-west-2.amazonaws.com")),
    ({"AWS_REGION": "a-1", "AWS_DEFAULT_REGION": "b-1"}, {}, ("a-1", "https://s3.a-1.amazonaws.com")),
    ({"AWS_DEFAULT_REGION": "b-1"}, {}, ("b-1", "https://s3.b-1.amazonaws.com")),
    ({"AWS_REGION": ""}, {}, ("eu-central-1", "https://s3.eu-central-1.amazonaws.com")),
    ({"AWS_REGION": "a-1"}, {"region": "c-1"}, ("c-1", "https://s3.c-1.amazonaws.com")),
    ({}, {"profile": "work"}, ("ap-south-1", "https://work.example/s3")),
    ({"AWS_PROFILE": "work"}, {}, ("ap-south-1", "https://work.example/s3")),
    ({"AWS_REGION": "a-1"}, {"profile": "work"}, ("a-1", "https://work.example/s3")),
    ({}, {"profile": "work", "endpoint_url": "http://h"}, ("ap-south-1", "http://h")),
    ({"AWS_ENDPOINT_URL": "http://all"}, {}, ("eu-central-1", "http://all")),
    ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://s3"}, {}, ("eu-central-1", "http://s3")),
    ({"AWS_ENDPOINT_URL": "http://all"}, {"endpoint_url": "http://h"}, ("eu-central-1", "http://h")),
    ({"AWS_ENDPOINT_URL": "http://all"}, {"profile": "work"}, ("ap-south-1", "http://all")),
    (
        {"AWS_ENDPOINT_URL": "http://all", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {},
        ("eu-central-1", "https://s3.eu-central-1.amazonaws.com"),
    ),
]


@pytest.mark.parametrize(("environment", "options", "expected"), REGIONS)
def test_region_and_endpoint(
    profiles: Profiles,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    """Region and endpoint_url: argument, environment (the one for S3 first), profile."""
    profiles()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert expected == place(**options)


def test_nothing_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any setting it is AWS in us-east-1."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ("us-east-1", "https://s3.us-east-1.amazonaws.com") == place()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "x/y"),
        ("AWS_REGION", "evil.com#"),
        ("AWS_ENDPOINT_URL", "http://u:S3KRIT@h"),
        ("AWS_ENDPOINT_URL_S3", "h"),
    ],
)
def test_the_environment_is_checked_like_arguments(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What is no region or endpoint is none in the environment either."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"region|endpoint_url") as caught:
        S3Session(ACCESS_KEY_ID, SECRET, "bucket")
    assert "S3KRIT" not in str(caught.value)


def test_files_are_not_read_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is told everything does not care what is in the files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("broken")
    assert ("eu-west-1", "http://h") == place(region="eu-west-1", endpoint_url="http://h")


BROKEN = [
    b"aws_secret_access_key = S3KRIT\n",
    b"[default]\naws_secret_access_key = S3KRIT\nS3KRIT\n",
    b"[default\naws_secret_access_key = S3KRIT\n",
    b"[default]\naws_secret_access_key = S3KRIT\xff\xfe\n",
    b"\xff\xfe[\0d\0e\0f\0",
    b"[default]\n= S3KRIT\n",
]


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize("file", ["credentials", "config"])
def test_a_broken_file_does_not_tell_what_is_in_it(profiles: Profiles, content: bytes, file: str) -> None:
    """A file that cannot be read is named, and nothing of its content is in the error or in what led to it."""
    profiles(**{"credentials": CREDENTIALS, "config": "", file: content})
    with pytest.raises(CredentialsError, match=f"{file} cannot be read") as caught:
        S3Session(bucket="bucket")
    told = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "S3KRIT" not in told


def test_a_file_that_may_not_be_read(profiles: Profiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable file is an error; a folder in its place is as good as no file."""
    profiles()

    def refuse(*_args: object, **_options: object) -> object:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("s3func.s3.credentials.files.open", refuse, raising=False)
        with pytest.raises(CredentialsError, match="cannot be read: PermissionError"):
            S3Session(bucket="bucket")
    (tmp_path / ".aws/credentials").unlink()
    (tmp_path / ".aws/credentials").mkdir()
    with pytest.raises(CredentialsError, match="no credentials"):
        S3Session(bucket="bucket")


def parser_cases() -> list[Any]:
    """The SDKs' common cases of how files are read, but for those that must be errors."""
    path = SHARED_VECTORS / "credentials/smithy-rs-aws-runtime/profile-parser-tests.json"
    # The first two drop names with odd characters, which nobody asks us for; the others are about values of several
    # lines, and no setting that is read here has one.
    left_out = {
        "Profile names support alphanumeric characters and - / . % @ _ : +",
        "Invalid property names are ignored.",
        "Continuation values include pound comments.",
        "Continuation values include semicolon comments.",
        "Sub-properties can have blank lines that are ignored",
    }
    cases = json.loads(path.read_text())["tests"] if path.exists() else []
    return [
        pytest.param(case["input"], name, settings, id=f"{case['name']} {name}"[:80])
        for case in cases
        if "config" in case["output"] and case["name"] not in left_out
        for name, settings in case["output"]["config"]["profiles"].items()
    ] or [pytest.param({}, "", {}, id="no vectors")]


@pytest.mark.parametrize(("files", "name", "settings"), parser_cases())
def test_files_are_read_as_by_other_sdks(
    tmp_path: Path, files: dict[str, str], name: str, settings: dict[str, str]
) -> None:
    """Comments, white space, continued lines, prefixes, merging: as in the SDKs' common test cases."""
    shared_vectors("credentials/smithy-rs-aws-runtime/profile-parser-tests.json")
    for file in ("configFile", "credentialsFile"):
        (tmp_path / file).write_bytes(files.get(file, "").encode())
    environment = {
        "AWS_CONFIG_FILE": f"{tmp_path}/configFile",
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentialsFile",
    }
    profile, _ = load_profile(name, environment)
    assert profile is not None
    assert settings == profile.settings


BOTOCORE_FILES = [
    ("aws_config", "default", ("foo", "bar", None)),
    ("aws_config", "personal", ("fie", "baz", "fiebaz")),
    ("aws_config_nested", "default", ("foo", "bar", None)),
    ("aws_bad_profile", "my profile", ("default", "default", None)),
    ("aws_bad_profile", "personal1", ("access_personal1", "key_personal1", None)),
]


@pytest.mark.parametrize(("file", "profile", "expected"), BOTOCORE_FILES)
def test_files_that_botocore_reads(
    monkeypatch: pytest.MonkeyPatch, file: str, profile: str, expected: tuple[str, str, str | None]
) -> None:
    """Quoted names, nested settings and a broken section beside the right one do not matter."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(shared_vectors(f"credentials/botocore-cfg/{file}")))
    assert expected == identity(profile=profile)


def test_a_file_with_a_byte_order_mark(profiles: Profiles) -> None:
    """A file that an editor began with a byte order mark is read."""
    profiles(credentials=b"\xef\xbb\xbf" + CREDENTIALS.strip().encode(), config="")
    assert FROM_DEFAULT == identity()


def test_a_session_token_is_sent_and_signed() -> None:
    """The token of temporary credentials stands in its header, under the signature, and in presigned URLs."""
    with WireServer() as wire, S3Session(ACCESS_KEY_ID, SECRET, "bucket", wire.url, session_token=TOKEN) as session:
        session.put_object("key", b"body", metadata={"a": "b"})
        assert_signed(wire.last, token=TOKEN)
        url = session.presigned_url("GET", "key")
    assert "X-Amz-Security-Token=" + TOKEN.replace("/", "%2F").replace("=", "%3D").replace("+", "%2B") in url


def test_an_anonymous_session_signs_nothing() -> None:
    """No header of an anonymous request says who sends it, and its URLs are plain."""
    with WireServer() as wire, S3Session(bucket="bucket", endpoint_url=wire.url, anonymous=True) as session:
        session.put_object("a b", b"body")
        session.get_object("a b")
        assert f"{wire.url}/bucket/a%20b" == session.presigned_url("GET", "a b")
    for raw in wire.received:
        names = {name for name, _ in raw.headers}
        assert not names & {"authorization", "x-amz-date", "x-amz-security-token"}


def test_a_function_is_asked_again() -> None:
    """Credentials from a function are renewed: each second of use asks it, and the next request has the new ones."""
    given = [Credentials(f"ID{n}", f"secret{n}", f"token{n}") for n in range(3)]
    clock, recorder = FrozenClock(), Recorder()
    calls = []

    def provide() -> Credentials:
        calls.append(clock.now())
        return given[len(calls) - 1]

    with S3Session(bucket="bucket", credentials=provide, transport=recorder, clock=clock) as session:
        for _ in range(3):
            session.head_bucket()
            session.head_bucket()
            clock.time += 1
    assert [NOW, NOW + 1, NOW + 2] == calls
    assert ["ID0", "ID0", "ID1", "ID1", "ID2", "ID2"] == [
        re.findall("Credential=([^/]+)/", sent.headers["authorization"])[0] for sent in recorder.sent
    ]
    assert "token2" == recorder.last.headers["x-amz-security-token"]


@pytest.mark.parametrize("given", [None, ("AKID", "secret"), "AKID", {"access_key_id": "AKID"}])
def test_a_function_must_give_credentials(given: Any) -> None:
    """What is no Credentials is a TypeError, never an unsigned request."""
    recorder = Recorder()
    with S3Session(bucket="bucket", credentials=lambda: given, transport=recorder) as session:
        with pytest.raises(TypeError, match="credentials must return Credentials"):
            session.put_object("key", b"")
        with pytest.raises(TypeError, match="credentials must return Credentials"):
            session.presigned_url("GET", "key")
    assert [] == recorder.sent


def test_what_a_function_raises_arrives() -> None:
    """An error of the caller's own function is the caller's to see."""

    def fail() -> Credentials:
        raise RuntimeError("the vault is sealed")

    recorder = Recorder()
    session = S3Session(bucket="bucket", credentials=fail, transport=recorder)
    with pytest.raises(RuntimeError, match="the vault is sealed"):
        session.head_bucket()
    assert [] == recorder.sent


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "s"), "access_key_id is empty"),
        (("A", ""), "secret_access_key is empty"),
        (("A", "s", ""), "session_token is empty"),
        (("A b", "s"), "access_key_id"),
        (("A\n", "s"), "access_key_id"),
        (("Ä", "s"), "access_key_id"),
        (("A", "s", "t\r\nx: y"), "session_token"),
        ((None, "s"), "access_key_id"),
        (("A", None), "secret_access_key"),
        (("A", b"s"), "secret_access_key"),
        (("A", "s\n"), "secret_access_key has white space around it"),
        (("A", " s"), "secret_access_key has white space around it"),
        (("A", "\ud800"), "secret_access_key"),
    ],
)
def test_credentials_that_cannot_be_sent(arguments: tuple[Any, ...], message: str) -> None:
    """A part that is empty, of a wrong type or cannot stand in a header is named, and not shown."""
    with pytest.raises((TypeError, ValueError), match=message):
        Credentials(*arguments)


def test_credentials_are_compared_by_value() -> None:
    """Equal parts are equal credentials, which is how a renewal is noticed."""
    assert Credentials("A", "s", "t") == Credentials("A", "s", "t")
    assert hash(Credentials("A", "s", "t")) == hash(Credentials("A", "s", "t"))
    for other in (Credentials("B", "s", "t"), Credentials("A", "x", "t"), Credentials("A", "s"), ("A", "s", "t")):
        assert Credentials("A", "s", "t") != other


def test_a_key_id_with_slashes_is_signed() -> None:
    """Some stores hand out key ids with "/" and ":" in them."""
    with WireServer() as wire, S3Session("tenant:user/key", SECRET, "bucket", wire.url) as session:
        session.head_bucket()
        raw: RawRequest = wire.last
        assert "Credential=tenant:user/key/20" in dict(raw.headers)["authorization"]
        assert "X-Amz-Credential=tenant%3Auser%2Fkey%2F20" in session.presigned_url("GET", "key")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (NOW, NOW),
        (1795255200, NOW),
        (datetime(2026, 11, 21, 10, tzinfo=UTC), NOW),
        (datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=2))), NOW),
    ],
)
def test_when_credentials_end(given: Any, expected: float | None) -> None:
    """The end is a number of seconds or a datetime with a time zone."""
    assert expected == Credentials("A", "s", None, given).expires_at


@pytest.mark.parametrize(
    ("given", "error"),
    [(datetime(2026, 11, 21), ValueError), ("2026-11-21", TypeError), (True, TypeError), ([], TypeError)],
)
def test_an_end_that_is_no_time(given: Any, error: type[Exception]) -> None:
    """A datetime without a time zone would be good for half a day too long somewhere."""
    with pytest.raises(error, match="expires_at"):
        Credentials("A", "s", None, given)
