"""The same environment, resolved by botocore and by us: who signs, with which key, in which region and where.

Where we differ on purpose, the case says so; nothing differs by accident.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest

from s3func import S3Session
from s3func.errors import S3FuncError
from tests.credentials.fake import Fake
from tests.credentials.test_services import LEGACY, MODERN, put_token
from tests.s3.rigs import FrozenClock

KEYS = "aws_access_key_id = {0}\naws_secret_access_key = {0}/S3KRIT\n"
ENV = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "ENV/S3KRIT", "AWS_SESSION_TOKEN": "ENV/T0KEN"}
PROFILES = {
    "role": "role_arn = arn:aws:iam::1:role/R\nsource_profile = base\n",
    "self": "role_arn = arn:aws:iam::1:role/R\nsource_profile = self\n" + KEYS.format("BASE"),
    "chain": "role_arn = arn:aws:iam::1:role/C\nsource_profile = role\n",
    "circle": "role_arn = arn:aws:iam::1:role/C\nsource_profile = circle2\n",
    "circle2": "role_arn = arn:aws:iam::1:role/C\nsource_profile = circle\n",
    "lonely": "role_arn = arn:aws:iam::1:role/R\n",
    "both": "role_arn = a\nsource_profile = base\ncredential_source = Environment\n",
    "nowhere": "role_arn = a\nsource_profile = nobody\n",
    "strange": "role_arn = a\ncredential_source = Elsewhere\n",
    "environment": "role_arn = arn:aws:iam::1:role/R\ncredential_source = Environment\n",
    "machine": "role_arn = arn:aws:iam::1:role/R\ncredential_source = Ec2InstanceMetadata\n",
    "box": "role_arn = arn:aws:iam::1:role/R\ncredential_source = EcsContainer\n",
    "web": "role_arn = arn:aws:iam::1:role/W\nweb_identity_token_file = {home}/token\n",
    "webless": "web_identity_token_file = {home}/token\n",
    "of web": "role_arn = arn:aws:iam::1:role/R\nsource_profile = web\n",
    "process": "credential_process = {python} {home}/program.py\n",
    "process and keys": "credential_process = {python} {home}/program.py\n" + KEYS.format("CONFIG"),
    "config": KEYS.format("CONFIG") + "region = eu-north-1\n",
    "half": "aws_access_key_id = HALF\n",
    "sso half": "sso_account_id = 42\n",
    "sso lost": "sso_account_id = 42\nsso_role_name = R\nsso_session = nobody\n",
    "empty": "region = ap-south-1\n",
    "role and keys": "role_arn = arn:aws:iam::1:role/R\nsource_profile = base\n" + KEYS.format("CONFIG"),
    "endpoints": "endpoint_url = https://all.example\nservices = own\n" + KEYS.format("CONFIG"),
    "endpoint": "endpoint_url = https://all.example\n" + KEYS.format("CONFIG"),
    "ignoring": "region = eu-north-1\nignore_configured_endpoint_urls = true\nendpoint_url = https://all.example\n"
    + KEYS.format("CONFIG"),
    "path": "region = eu-north-1\ns3 =\n  addressing_style = path\n" + KEYS.format("CONFIG"),
    "dual": "region = eu-north-1\nuse_dualstack_endpoint = true\n" + KEYS.format("CONFIG"),
    "old dual": "region = eu-north-1\ns3 =\n  use_dualstack_endpoint = true\n" + KEYS.format("CONFIG"),
    "fips": "region = us-east-2\nuse_fips_endpoint = true\n" + KEYS.format("CONFIG"),
    "fast": "region = eu-north-1\ns3 =\n  use_accelerate_endpoint = true\n" + KEYS.format("CONFIG"),
}
SERVICES = "[services own]\ns3 =\n  endpoint_url = https://own.example\nsts =\n  endpoint_url = https://sts.example\n"
SHARED = f"[base]\n{KEYS.format('BASE')}[default]\n{KEYS.format('SHARED')}[shared]\n{KEYS.format('SHARED')}aws_session_token = SHARED/T0KEN\n"


class Case(NamedTuple):
    """An environment, and the profile that is named in code if there is one. services: which parts of the fake are there."""

    name: str
    environment: Mapping[str, str] = MappingProxyType({})
    profile: str | None = None
    services: tuple[str, ...] = ()


WHO = [
    Case("environment", ENV),
    Case("environment without token", {name: value for name, value in ENV.items() if "TOKEN" not in name}),
    Case("old token", {**ENV, "AWS_SESSION_TOKEN": "", "AWS_SECURITY_TOKEN": "ENV/T0KEN"}),
    Case("environment before AWS_PROFILE", {**ENV, "AWS_PROFILE": "config"}),
    Case("code before environment", ENV, "config"),
    Case("environment before role", {**ENV, "AWS_PROFILE": "role"}),
    Case("role in code before environment", ENV, "role"),
    Case("default of the credentials file"),
    Case("AWS_PROFILE", {"AWS_PROFILE": "shared"}),
    Case("AWS_DEFAULT_PROFILE", {"AWS_DEFAULT_PROFILE": "shared"}),
    *(Case(name, {"AWS_PROFILE": name}) for name in PROFILES if name not in {"environment", "machine", "box"}),
    *(Case(f"{name} in code", {}, name) for name in ("role", "web", "process and keys", "config", "half", "empty")),
    Case("role of the environment", ENV, "environment"),
    Case("role of an empty environment", {}, "environment"),
    Case("role of the machine", {}, "machine", ("imds",)),
    Case("role of the box", {}, "box", ("container",)),
    Case("role of no machine", {"AWS_EC2_METADATA_DISABLED": "true"}, "machine"),
    Case("SSO", {"AWS_PROFILE": "s"}, None, ("sso",)),
    Case("SSO of a session", {"AWS_PROFILE": "t"}, None, ("sso",)),
    Case("nobody", {"AWS_PROFILE": "nobody"}),
    Case("web identity of the environment", {"AWS_ROLE_ARN": "arn:aws:iam::1:role/W", "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"}),
    Case("web identity without a role", {"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"}),
    Case(
        "web identity of the environment, profile in code",
        {"AWS_ROLE_ARN": "arn:aws:iam::1:role/W", "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"},
        "config",
    ),
    Case("container", {"AWS_PROFILE": "empty"}, None, ("container",)),
    Case("container before machine", {"AWS_PROFILE": "empty"}, None, ("container", "imds")),
    Case("machine", {"AWS_PROFILE": "empty"}, None, ("imds",)),
    Case("credentials before container", {}, None, ("container", "imds")),
]  # fmt: skip

WHERE = [
    Case("nothing", {**ENV, "AWS_DEFAULT_REGION": "eu-west-3"}),
    Case("AWS_ENDPOINT_URL", {**ENV, "AWS_ENDPOINT_URL": "https://env.example", "AWS_DEFAULT_REGION": "eu-west-3"}),
    Case("AWS_ENDPOINT_URL_S3", {**ENV, "AWS_ENDPOINT_URL_S3": "https://s3.example", "AWS_ENDPOINT_URL": "https://e.example"}),
    Case("ignored", {**ENV, "AWS_ENDPOINT_URL": "https://e.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True", "AWS_DEFAULT_REGION": "eu-west-3"}),
    Case("AWS_USE_DUALSTACK_ENDPOINT", {**ENV, "AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_DEFAULT_REGION": "eu-west-3"}),
    Case("AWS_USE_FIPS_ENDPOINT", {**ENV, "AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-east-2"}),
    *(
        Case(name, {"AWS_PROFILE": name})
        for name in ("endpoints", "endpoint", "ignoring", "path", "dual", "old dual", "fips", "fast", "config")
    ),
    Case("region of the environment", {"AWS_PROFILE": "config", "AWS_DEFAULT_REGION": "eu-west-3"}),
    Case("endpoint of the environment", {"AWS_PROFILE": "endpoints", "AWS_ENDPOINT_URL": "https://e.example"}),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with all the profiles, and in it what they name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    # botocore has worked out its folder of tokens when it was imported.
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))
    folder = tmp_path / ".aws"
    folder.mkdir()
    config = "".join(f'[profile "{name}"]\n{text}' for name, text in PROFILES.items()).format(
        home=tmp_path, python=sys.executable
    )
    config += SERVICES + LEGACY + MODERN.replace("[profile s]", "[profile t]")
    (folder / "config").write_text(config)
    (folder / "credentials").write_text(SHARED)
    (tmp_path / "token").write_text("eyJ0")
    said = {"Version": 1, "AccessKeyId": "PID", "SecretAccessKey": "PID/S3KRIT", "SessionToken": "PID/T0KEN"}
    (tmp_path / "program.py").write_text(f"print({json.dumps(json.dumps(said))})")
    for name in ("https://corp.example/start", "corp"):
        put_token(tmp_path, name, "2099-01-01T00:00:00Z")
    return tmp_path


@pytest.fixture
def live(home: Path) -> Iterator[Fake]:
    """The fake services, by the machine's own clock: botocore knows no other."""
    import time

    with Fake(time.time) as fake:
        yield fake


def set_up(case: Case, home: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    variables = fake.environment("sts", *case.services)
    if "imds" not in case.services:
        variables["AWS_EC2_METADATA_DISABLED"] = "true"
    for name, value in {"AWS_DEFAULT_REGION": "eu-west-3", **variables, **case.environment}.items():
        monkeypatch.setenv(name, value.format(home=home))


def theirs(case: Case) -> tuple[str, str, str | None] | None:
    """Who signs, by botocore; None for nobody or an error."""
    session = botocore.session.Session(profile=case.profile)
    try:
        found = session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except Exception:
        return None
    return None if frozen is None else (frozen.access_key, frozen.secret_key, frozen.token)


def ours(case: Case) -> tuple[str, str, str | None] | None:
    """The same by us."""
    try:
        with S3Session(bucket="bucket", profile=case.profile) as session:
            found = session._credentials()
    except S3FuncError:
        return None
    assert found is not None
    return found.access_key_id, found.secret_access_key, found.session_token


@pytest.mark.parametrize("case", WHO, ids=[case.name for case in WHO])
def test_who_signs(case: Case, home: Path, live: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore and we find the same keys in the same environment, or both find none."""
    set_up(case, home, live, monkeypatch)
    expected = theirs(case)
    live.counts.clear()
    assert expected == ours(case)


def test_the_cases_find_something() -> None:
    """The table is about keys, not about errors: most of its cases find some."""
    assert 55 < len(WHO)
    assert len({case.name for case in WHO}) == len(WHO)


@pytest.mark.parametrize("case", WHERE, ids=[case.name for case in WHERE])
def test_where_requests_go(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, endpoint, addressing and the kind of endpoint are botocore's, from the environment and from the profile."""
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", **case.environment}.items():
        monkeypatch.setenv(name, value)
    foreign = botocore.session.Session()
    region = foreign.get_config_variable("region") or "us-east-1"
    client = foreign.create_client("s3", region_name=region, config=botocore.config.Config(signature_version="s3v4"))
    sent: list[str] = []

    def keep(request: Any, **_: Any) -> None:
        sent.append(request.url)
        raise ConnectionAbortedError

    client.meta.events.register("before-send.s3", keep)
    with pytest.raises(ConnectionAbortedError):
        client.get_object(Bucket="bucket", Key="key")
    client.close()
    with S3Session(bucket="bucket", clock=FrozenClock()) as session:
        mine = session.presigned_url("GET", "key")
        assert region == session.region
    assert sent == [mine.partition("?")[0]]


def settings_of(foreign: Any) -> dict[str, Any]:
    """What botocore reads of the variables that are not about keys and endpoints."""
    names = ("ca_bundle", "max_attempts", "request_checksum_calculation", "response_checksum_validation")
    return {name: foreign.get_config_variable(name) for name in names}


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_CA_BUNDLE": "/certificates"},
        {"AWS_MAX_ATTEMPTS": "7"},
        {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"},
        {"AWS_PROFILE": "tuned"},
        {"AWS_PROFILE": "tuned", "AWS_MAX_ATTEMPTS": "7", "AWS_CA_BUNDLE": "/certificates"},
    ],
    ids=str,
)
def test_the_other_variables(environment: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates, attempts and checksums are read from where botocore reads them."""
    from s3func.s3.config import read_settings
    from s3func.s3.credentials.files import load_profile

    with (home / ".aws/config").open("a") as file:
        file.write(
            "[profile tuned]\nca_bundle = /profile\nmax_attempts = 4\nrequest_checksum_calculation = when_required\n"
            "response_checksum_validation = when_required\n"
        )
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = settings_of(botocore.session.Session())
    found = read_settings(environment, *load_profile(None, {"HOME": str(home), **environment}))._asdict()
    assert {
        name: found[name] or {"ca_bundle": None, "max_attempts": None}.get(name, "when_supported") for name in expected
    } == expected
