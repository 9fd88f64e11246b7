"""The credential cases that AWS's SDK for Rust publishes: whole environments with their files and recorded HTTP.

Every case is run or named in EXCLUDED with the reason; test_every_case_is_accounted_for counts both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import CredentialsError
from s3func.s3.config import configured_endpoint, read_settings
from s3func.s3.credentials import container, imds
from s3func.s3.credentials.chain import Surroundings, source
from s3func.s3.credentials.files import Profile, ProfileFiles, load_profile, nested
from s3func.s3.endpoints import Endpoint
from tests.credentials.replay import THEN, Case, Replay
from tests.s3.rigs import FrozenClock
from tests.shared_data import SHARED_VECTORS, shared_vectors, tell

RUST = SHARED_VECTORS / "credentials" / "smithy-rs-aws-config"
PARSER = SHARED_VECTORS / "credentials" / "smithy-rs-aws-runtime"
CONFIGURED = SHARED_VECTORS / "endpoints" / "configured-endpoint-urls-profile-tests.json"

_SHELL = "runs its command through a shell, as botocore and we do not"
_BEARER = "asks for a bearer token, which S3 does not take; the same cache is read in sso_credentials"
_BOTOCORE_NAMES = "botocore takes names with blanks and other characters, and profiles are written with them"
_IN_CODE = "sets in code what a session takes from the environment and the profile"
_OTHER_SYSTEM = "is about paths of Windows"
_LAMBDA = "is about a tracing header of functions that call AWS from Lambda"
_NO_S3 = "is about another service than S3"
# Suite and name of each case that is not run, and why.
EXCLUDED = {
    ("chain", "profile-provider/credential_process"): _SHELL,
    ("chain", "profile-provider/credential_process_account_id_fallback"): _SHELL,
    ("chain", "default-token-provider-chain/profile_keys"): _BEARER,
    ("chain", "default-token-provider-chain/profile_keys_case_insensitive"): _BEARER,
    ("chain", "default-token-provider-chain/profile_name"): _BEARER,
    ("roles", "SSO token profile selected"): "names a login without an account and a role, which gives no credentials",
    ("imds", "explicit endpoint override"): _IN_CODE,
    ("imds", "explicit mode override"): _IN_CODE,
    ("parser", "Profile names support alphanumeric characters and - / . % @ _ : +"): _BOTOCORE_NAMES,
    ("parser", "Invalid profile names are ignored."): _BOTOCORE_NAMES,
    ("parser", "properties from an invalid profile name are ignored"): _BOTOCORE_NAMES,
    ("parser", "Invalid property names are ignored."): _BOTOCORE_NAMES,
    ("parser", "Credentials profiles with prefix are ignored."): _BOTOCORE_NAMES,
    ("parser", "profile name with extra whitespace in credentials"): _BOTOCORE_NAMES,
    ("parser", "Property definitions must contain an equals sign."): "botocore takes a colon as well",
    ("parser", "Continuation values include pound comments."): "a comment is one on every line, as in botocore",
    ("parser", "Continuation values include semicolon comments."): "a comment is one on every line, as in botocore",
    ("parser", "Invalid sub-property definitions cause an error."): "a section that nobody reads may say what it likes",
    (
        "parser",
        "Sub-property definitions cannot have an empty name.",
    ): "a section that nobody reads may say what it likes",
    ("locations", "User home is loaded from $HOME with highest priority on windows platforms."): _OTHER_SYSTEM,
    ("locations", "User home is loaded from $USERPROFILE on windows platforms when $HOME is not set."): _OTHER_SYSTEM,
    (
        "locations",
        "User home is loaded from $HOMEDRIVE$HOMEPATH on windows platforms when $HOME and $USERPROFILE are not set.",
    ): _OTHER_SYSTEM,
    (
        "locations",
        "The default credentials location can be overridden by the user on windows platforms.",
    ): _OTHER_SYSTEM,
    ("recursion", "all 5"): _LAMBDA,
    ("configured", "dynamodb"): _NO_S3,
}

# What we say in the cases that must fail; the recording SDK has words of its own.
OUR_WORDS = {
    "eks_pod_identity_no_token_file": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE .* cannot be read: No such file",
    "imds_default_chain_error": "no credentials: .*no role is attached to this instance",
    "imds_disabled": r"no credentials: .*instance metadata \(AWS_EC2_METADATA_DISABLED is true\)",
    "imds_no_iam_role": "no role is attached to this instance",
    # Version 1 of the service is asked where version 2 says 403.
    "imds_token_fail": "instance metadata at http://169.254.169.254: nothing more was recorded",
    "profile_overrides_web_identity": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
    "sso_no_token_file": "nobody has logged in: run `aws sso login --profile sso-test`",
    # A failure of the service is not believed at once.
    "sso_server_error": "no answer from https://portal.sso.us-east-2.amazonaws.com: nothing more was recorded",
    "web_identity_source_profile_no_env": "profile 'B' names a web identity token but no role",
    "web_identity_token_invalid_jwt": "refuses: InvalidIdentityToken: No OpenIDConnect provider found in your account",
    "credential_process_failure": "exit cannot be started",
    "credential_process_invalid": "no JSON object",
    "empty_config": "no credentials: .*no profile",
    "invalid_config": "cannot be read: ParsingError",
    "invalid_sso_credentials_config": "its sso_session gives an access token and no credentials",
    "sso_token": "its sso_session gives an access token and no credentials",
}


def folders() -> list[Path]:
    """All cases with an environment of their own."""
    return sorted(path.parent for path in RUST.glob("*/*/test-case.json"))


def name_of(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def chosen(suite: str, cases: list[tuple[str, Any]]) -> list[Any]:
    """The cases of a suite that are run; one that says so where the suite is not there."""
    found = [pytest.param(case, id=name[:90]) for name, case in cases if (suite, name) not in EXCLUDED]
    return found or [pytest.param(None, id="no vectors")]


def documented(path: Path, key: str = "tests") -> list[tuple[str, Any]]:
    """The cases of a file with many, by what they say they are about."""
    if not path.exists():
        return []
    content = json.loads(path.read_text())
    cases = content if isinstance(content, list) else content[key]
    return [(case.get("docs") or case["name"], case) for case in cases]


def configured() -> list[tuple[str, Any]]:
    """The cases of configured endpoints, with their suite's profiles and environments."""
    if not CONFIGURED.exists():
        return []
    return [
        (case["name"] if case["service"] == "s3" else case["service"], (suite, case))
        for suite in json.loads(CONFIGURED.read_text())["testSuites"]
        for case in suite["endpointUrlTests"]
    ]


CHAIN = [(name_of(folder), folder) for folder in folders()]
ROLES = documented(RUST / "assume-role-tests.json")
ECS = documented(RUST / "ecs-tests.json")
IMDS = documented(RUST / "imds-config/imds-endpoint-tests.json")
FILES = documented(PARSER / "profile-parser-tests.json")
LOCATIONS = documented(PARSER / "file-location-tests.json")
ENDPOINTS = configured()


@pytest.mark.parametrize("folder", chosen("chain", CHAIN))
def test_an_environment_gives_what_was_recorded(folder: Path | None, tmp_path: Path) -> None:
    """The chain asks what was asked when the case was recorded, and gives those credentials or a clear error."""
    shared_vectors("credentials/smithy-rs-aws-config")
    assert folder is not None
    case = Case(folder)
    replay = Replay(case.traffic())
    profile_only = folder.parent.name == "profile-provider"

    def resolve() -> Any:
        return source(case.surroundings(tmp_path, replay, profile_only=profile_only))()

    expected = case.expected.get("Ok")
    if expected is None or folder.name == "sso_token":
        with pytest.raises(CredentialsError, match=OUR_WORDS[folder.name]):
            resolve()
        assert [] == replay.left or folder.name == "sso_token"
        return
    found = resolve()
    assert (expected["access_key_id"], expected["secret_access_key"], expected.get("session_token")) == (
        found.access_key_id,
        found.secret_access_key,
        found.session_token,
    )
    assert expected.get("expiry") == found.expires_at
    assert [] == replay.left


def role_surroundings(case: dict[str, Any], tmp_path: Path) -> Surroundings:
    """The profiles of a case of roles, in a file."""
    sections = {f"profile {name}": settings for name, settings in case["input"]["profiles"].items()}
    sections |= {f"sso-session {name}": settings for name, settings in case["input"].get("sso_sessions", {}).items()}
    text = "".join(
        f"[{title}]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
        for title, settings in sections.items()
    )
    (tmp_path / "config").write_text(text)
    environment = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": case["input"]["selected_profile"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    profile, files = load_profile(None, environment)
    return Surroundings(
        environment, profile, files, False, read_settings(environment, profile, files), None, FrozenClock(THEN)
    )


ROLE_ERRORS = {
    "profile must contain `source_profile`": "neither source_profile nor credential_source",
    "profile contained both source_profile and credential_source": "both source_profile and credential_source",
    "profile missing aws_secret_access_key": "secret_access_key is missing",
    "profile missing aws_access_key_id": "access_key_id is missing",
    "profile `B` did not contain credential information": "profile 'B' has no credentials",
    "profile `A` did not contain credential information": "no credentials: .*profile 'A' has no aws_access_key_id",
    "could not find source profile B referenced from A": "source_profile 'B' of profile 'A' does not exist",
    "No profiles were defined": "profile 'A' is in neither",
    "profile formed an infinite loop": "lead in a circle: A -> B -> A",
    "`role_arn` was missing": "no role: set AWS_ROLE_ARN or role_arn",
    "if `sso_role_name` is set, then `sso_account_id` must also be set": "does not say sso_account_id",
    "if `sso_account_id` is set, then `sso_role_name` must also be set": "does not say sso_role_name",
    "`sso_region` can only be specified in the [sso-session] config when a session name is given": "no credentials",
    "sso-session named `oops` (referenced by profile `A`) was not found": "no credentials",
}


@pytest.mark.parametrize("case", chosen("roles", ROLES))
def test_a_profile_says_who_assumes_what(case: dict[str, Any] | None, tmp_path: Path) -> None:
    """The base of a chain of roles, and the roles in order, are the recorded ones; a contradiction is named."""
    shared_vectors("credentials/smithy-rs-aws-config/assume-role-tests.json")
    assert case is not None
    if "Error" in case["output"]:
        with pytest.raises(CredentialsError, match=ROLE_ERRORS[case["output"]["Error"]]):
            # Half a pair of a source is noticed when it is asked.
            source(role_surroundings(case, tmp_path))()
        return
    steps = case["output"]["ProfileChain"]
    signed: list[str] = []
    asked: list[dict[str, str]] = []
    surroundings = role_surroundings(case, tmp_path)._replace(transport=Sts(signed, asked).transport)
    kind, base = next(iter(steps[0].items()))
    if kind == "NamedSource":
        surroundings.environment.pop("AWS_EC2_METADATA_DISABLED")  # type: ignore[attr-defined]  # a dict of ours
    elif kind == "WebIdentityToken":
        surroundings = with_token(surroundings, tmp_path)
    elif kind == "Sso":
        from s3func.s3.credentials.chain import choose

        provider, _ = choose(surroundings)
        assert provider is not None
        assert f"SSO role {base['sso_role_name']} in account {base['sso_account_id']} of profile 'A'" == provider.where
        return
    source(surroundings)()
    roles = [
        step.get("AssumeRole") or step["WebIdentityToken"]
        for step in steps
        if "AccessKey" not in step and "NamedSource" not in step
    ]
    assert [role["role_arn"] for role in roles] == [call["RoleArn"] for call in asked]
    for role, call in zip(roles, asked, strict=True):
        assert role.get("external_id") == call.get("ExternalId")
        assert role.get("role_session_name") in {None, call["RoleSessionName"]}
    first = {"AccessKey": base.get("access_key_id") if isinstance(base, dict) else "", "NamedSource": "INSTANCE"}.get(
        kind, ""
    )
    # Each role is assumed with the credentials of the one before it.
    assert [first, *(f"ID{n}" for n in range(1, len(asked)))] == signed


class Sts:
    """An STS and a metadata service that give everybody everything, and keep who asked for what."""

    def __init__(self, signed: list[str], asked: list[dict[str, str]]) -> None:
        self.signed, self.asked = signed, asked

    def transport(self, *_limits: Any) -> Sts:
        return self

    def __call__(self, request: Any) -> Any:
        from urllib.parse import parse_qsl

        from s3func.message import Response

        if request.path.endswith("/token"):
            return Response(200, {}, b"TOKEN")
        if request.path.endswith("/security-credentials/"):
            return Response(200, {}, b"role")
        if "169.254" in request.origin:
            return Response(
                200, {}, b'{"Code": "Success", "AccessKeyId": "INSTANCE", "SecretAccessKey": "s", "Token": "t"}'
            )
        self.asked.append(dict(parse_qsl(request.body.decode())))
        self.signed.append(request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0])
        number = len(self.asked)
        return Response(
            200,
            {},
            f"<R><AResult><Credentials><AccessKeyId>ID{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            f"<SessionToken>t</SessionToken></Credentials></AResult></R>".encode(),
        )

    def close(self) -> None:
        """Nothing is open."""


def with_token(surroundings: Surroundings, tmp_path: Path) -> Surroundings:
    """The same with a token file that is there."""
    (tmp_path / "token").write_text("eyJ0")
    profiles = {
        name: Profile(
            name,
            {
                key: str(tmp_path / "token") if key == "web_identity_token_file" else value
                for key, value in profile.settings.items()
            },
        )
        for name, profile in surroundings.files.profiles.items()
    }
    surroundings.files.profiles = profiles
    assert surroundings.profile is not None
    return surroundings._replace(profile=profiles[surroundings.profile.name])


@pytest.mark.parametrize("case", chosen("ecs", ECS))
def test_where_a_container_asks(case: dict[str, Any] | None) -> None:
    """The address is the recorded one, or refused."""
    shared_vectors("credentials/smithy-rs-aws-config/ecs-tests.json")
    assert case is not None
    if "Ok" in case["result"]:
        url = container.address(case["env"])
        assert case["result"]["Ok"] == f"{url.origin}{url.path}{'?' if url.query else ''}{url.query}"
    else:
        with pytest.raises(CredentialsError, match=r"is no container with a role|is no http:// or https:// address"):
            container.address(case["env"])


@pytest.mark.parametrize("case", chosen("imds", IMDS))
def test_where_an_instance_asks(case: dict[str, Any] | None, tmp_path: Path) -> None:
    """The address of the metadata service is the recorded one, or what is wrong with it is named."""
    shared_vectors("credentials/smithy-rs-aws-config/imds-config/imds-endpoint-tests.json")
    assert case is not None
    for name, text in case["fs"].items():
        (tmp_path / name).write_text(text)
    environment = {"HOME": str(tmp_path), **case["env"]}
    if "AWS_CONFIG_FILE" in environment:
        environment["AWS_CONFIG_FILE"] = str(tmp_path / environment["AWS_CONFIG_FILE"])
    profile, _ = load_profile(None, environment)
    if "Ok" in case["result"]:
        url = imds.endpoint(environment, profile)
        assert case["result"]["Ok"] == f"{url.origin}{url.path}latest/api/token"
    else:
        with pytest.raises(CredentialsError, match=r"must be IPv4 or IPv6|is no http:// or https:// address"):
            imds.endpoint(environment, profile)


@pytest.mark.parametrize("case", chosen("parser", FILES))
def test_how_files_are_read(case: dict[str, Any] | None, tmp_path: Path) -> None:
    """Profiles and sso-sessions are the recorded ones; a file that is damaged is an error."""
    shared_vectors("credentials/smithy-rs-aws-runtime/profile-parser-tests.json")
    assert case is not None
    for file in ("configFile", "credentialsFile"):
        (tmp_path / file).write_bytes(case["input"].get(file, "").encode())
    environment = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": f"{tmp_path}/configFile",
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentialsFile",
    }
    expected = case["output"].get("config")
    if expected is None:
        with pytest.raises(CredentialsError, match="cannot be read"):
            ProfileFiles(environment)
        return
    files = ProfileFiles(environment)
    found = {name: plain(profile.settings) for name, profile in files.profiles.items()}
    assert {name: plain(settings) for name, settings in expected["profiles"].items()} == found
    sessions = {name: plain(settings) for name, settings in expected.get("sso_sessions", {}).items()}
    assert sessions == {name: plain(settings) for name, settings in files.sso_sessions.items()}


def plain(settings: Any) -> dict[str, Any]:
    """Settings with their sections taken apart: how the lines of one are joined is nobody's business."""
    return {name: nested(value) if value.startswith("\n") else value for name, value in settings.items()}


@pytest.mark.parametrize("case", chosen("locations", LOCATIONS))
def test_where_the_files_are(case: dict[str, Any] | None) -> None:
    """The two files are looked for where the other SDKs look."""
    shared_vectors("credentials/smithy-rs-aws-runtime/file-location-tests.json")
    assert case is not None
    files = ProfileFiles(case["environment"])
    assert (case["configLocation"], case["credentialsLocation"]) == (
        files.expanded(files.config_path),
        files.expanded(files.credentials_path),
    )


@pytest.mark.parametrize("case", chosen("configured", ENDPOINTS))
def test_which_endpoint_counts(case: tuple[dict[str, Any], dict[str, Any]] | None) -> None:
    """An endpoint_url of the environment goes before the profile's, S3's own before that of all services."""
    shared_vectors("endpoints/configured-endpoint-urls-profile-tests.json")
    assert case is not None
    suite, test = case
    given = suite["client_configs"][test["client_config"]]
    environment = {"HOME": "/nowhere", **suite["environments"][test["environment"]]}
    if given.get("ignore_configured_endpoint_urls"):
        environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    files = ProfileFiles({"HOME": "/nowhere"})
    files.services = {
        name: {
            service: "".join(f"\n{key} = {value}" for key, value in settings.items())
            for service, settings in services.items()
        }
        for name, services in suite["services"].items()
    }
    profile = Profile(test["profile"], suite["profiles"][test["profile"]])
    url = given.get("endpoint_url") or configured_endpoint("s3", environment, profile, files).value
    assert test["output"]["endpointUrl"] == Endpoint(url, profile.settings["region"]).url


def test_every_case_is_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    """As many cases are run as the suites have, less those that are excluded for a reason; both are printed."""
    shared_vectors("credentials/smithy-rs-aws-config")
    suites = {
        "chain": CHAIN,
        "roles": ROLES,
        "ecs": ECS,
        "imds": IMDS,
        "parser": FILES,
        "locations": LOCATIONS,
        "configured": ENDPOINTS,
    }
    cases = {(suite, name) for suite, rows in suites.items() for name, _ in rows}
    assert {("recursion", "all 5")} == set(EXCLUDED) - cases
    total = {suite: len(rows) for suite, rows in suites.items()}
    run = {suite: sum((suite, name) not in EXCLUDED for name, _ in rows) for suite, rows in suites.items()}
    assert {"chain": 50, "roles": 28, "ecs": 11, "imds": 14, "parser": 65, "locations": 9, "configured": 39} == total
    assert {"chain": 45, "roles": 27, "ecs": 11, "imds": 12, "parser": 54, "locations": 4, "configured": 37} == run
    assert 190 == sum(run.values())
    # Five are of a suite that is not run at all.
    left_out = sum(total.values()) - 190 + 5
    tell(capsys, f"credentials: 190 recorded cases run, {left_out} excluded", sorted(set(EXCLUDED.values())))
