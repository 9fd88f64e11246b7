"""IAM Identity Center (SSO): the token that `aws sso login` has put away, exchanged for the credentials of a role.

Two formats: `sso_session`, whose token can be renewed here, and the older one with sso_start_url in the profile, whose
token cannot. Neither opens a browser: who has no token is told the command that gets one.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
"""

from __future__ import annotations

import json
import os
from hashlib import sha1
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.errors import CredentialsError, TransportError
from s3func.message import Request
from s3func.s3.config import configured_endpoint
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.chain import Provider
from s3func.s3.credentials.http import SERVICE_SECONDS, Client, Url, end_of, get, split_url
from s3func.s3.credentials.sts import service_host
from s3func.s3.endpoints import is_region
from s3func.wire.encoding import encode_query, iso8601, parse_iso8601

if TYPE_CHECKING:
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

_REQUIRED = ("sso_account_id", "sso_role_name", "sso_start_url", "sso_region")
_RENEW_SECONDS = 15 * 60.0


class _Login(NamedTuple):
    """What a profile says about its login. `session` is empty in the older format; it or the URL names the token."""

    profile: str
    session: str
    account_id: str
    role_name: str
    start_url: str
    region: str

    @property
    def command(self) -> str:
        """What gets a token."""
        return f"aws sso login --profile {self.profile}"


def find(surroundings: Surroundings, profile: Profile | None) -> Provider:
    """The provider; a profile that says only a part of it is a CredentialsError."""
    assert profile is not None
    login = _login(surroundings, profile)
    who = f"SSO role {login.role_name} in account {login.account_id} of profile {profile.name!r}"
    return Provider("SSO", who, lambda: _load(surroundings, login, who))


def _login(surroundings: Surroundings, profile: Profile) -> _Login:
    settings = dict(profile.settings)
    session = settings.get("sso_session", "")
    if session:
        said = surroundings.files.sso_sessions.get(session)
        if said is None:
            raise CredentialsError(f"sso_session {session!r} of profile {profile.name!r} does not exist")
        for name in ("sso_start_url", "sso_region"):
            if settings.get(name, said.get(name)) != said.get(name):
                raise CredentialsError(f"profile {profile.name!r} and sso-session {session!r} differ in {name}")
        settings |= said
    missing = [name for name in _REQUIRED if not settings.get(name)]
    if missing:
        raise CredentialsError(f"profile {profile.name!r} uses SSO but does not say {', '.join(missing)}")
    account_id, role_name, start_url, region = (settings[name] for name in _REQUIRED)
    if not is_region(region):
        raise CredentialsError(f"sso_region of profile {profile.name!r} is no region: {region[:60]!r}")
    return _Login(profile.name, session, account_id, role_name, start_url, region)


def _load(surroundings: Surroundings, login: _Login, who: str) -> Credentials:
    token = _token(surroundings, login, who)
    query = encode_query([("account_id", login.account_id), ("role_name", login.role_name)])
    url = _url(surroundings, "sso", "portal.sso", login)._replace(query=query)
    url = url._replace(path=url.path.rstrip("/") + "/federation/credentials")
    client = Client(surroundings, SERVICE_SECONDS)
    try:
        answer = client.send(get(url, {"x-amz-sso_bearer_token": token}))
    except TransportError as error:
        raise CredentialsError(
            f"{who}: no answer from {url.origin}: {error}; check the network, HTTPS_PROXY and sso_region"
        ) from error
    if answer.status == 401:
        raise CredentialsError(f"{who}: the login has ended: run `{login.command}`")
    if answer.status != 200:
        hint = "; does this login have that role in that account?" if answer.status in {403, 404} else ""
        raise CredentialsError(f"{who}: {url.origin} refuses with status {answer.status}{hint}")
    said = answer.json(f"{who}: {url.origin}").get("roleCredentials")
    found = said if isinstance(said, dict) else {}
    try:
        return Credentials(
            found.get("accessKeyId") or "",
            found.get("secretAccessKey") or "",
            found.get("sessionToken") or None,
            end_of(found.get("expiration"), answer.skew, who),
        )
    except (TypeError, ValueError) as error:
        raise CredentialsError(f"{who}: {url.origin} answered with credentials that are none: {error}") from None


def _url(surroundings: Surroundings, service: str, host: str, login: _Login) -> Url:
    configured = configured_endpoint(service, surroundings.environment, surroundings.profile, surroundings.files)
    if configured.value is not None:
        return split_url(configured.value, f"{configured.source}, the endpoint of SSO,")
    return split_url(f"https://{service_host(host, login.region, surroundings.settings)}/", "the region of SSO")


def _token(surroundings: Surroundings, login: _Login, who: str) -> str:
    """The access token of the login, renewed where that is near its end and can be."""
    name = sha1((login.session or login.start_url).encode(), usedforsecurity=False).hexdigest()
    path = f"{surroundings.files.home}/.aws/sso/cache/{name}.json"
    try:
        with open(path, encoding="utf-8") as file:
            cached = json.load(file)
        token, end = cached["accessToken"], parse_iso8601(cached["expiresAt"].replace("UTC", "Z")).timestamp()
    except OSError:
        raise CredentialsError(f"{who}: nobody has logged in: run `{login.command}`") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CredentialsError(f"{who}: {path} is damaged: run `{login.command}`") from None
    left = end - surroundings.clock.now()
    if login.session and left < _RENEW_SECONDS:
        renewed = _renewed(surroundings, login, cached)
        if renewed is not None:
            _keep(path, renewed)
            token, left = renewed["accessToken"], _RENEW_SECONDS
    if left <= 0:
        raise CredentialsError(f"{who}: the login has ended: run `{login.command}`")
    if not isinstance(token, str) or not (token and token.isascii() and token.isprintable()):
        raise CredentialsError(f"{who}: {path} is damaged: run `{login.command}`")
    return token


def _renewed(surroundings: Surroundings, login: _Login, cached: dict[str, Any]) -> dict[str, Any] | None:
    """What the cache holds from now on; None where the token cannot be renewed, and the old one has to do.

    https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
    """
    now = surroundings.clock.now()
    try:
        if parse_iso8601(cached["registrationExpiresAt"].replace("UTC", "Z")).timestamp() <= now:
            return None
        asked = {
            "grantType": "refresh_token",
            **{name: cached[name] for name in ("clientId", "clientSecret", "refreshToken")},
        }
    except (KeyError, ValueError, AttributeError):
        return None
    url = _url(surroundings, "sso_oidc", "oidc", login)
    path = url.path.rstrip("/") + "/token"
    body = json.dumps(asked).encode()
    headers = {"host": url.authority, "content-type": "application/json"}
    client = Client(surroundings, SERVICE_SECONDS)
    try:
        answer = client.send(lambda _now: Request("POST", url.origin, path, url.query, headers, body))
        if answer.status != 200:
            return None
        said = answer.json(url.origin)
        end = now + float(said["expiresIn"])
        renewed = {**cached, "accessToken": said["accessToken"], "expiresAt": iso8601(end)[:19] + "Z"}
    except (TransportError, CredentialsError, KeyError, TypeError, ValueError):
        return None
    if "refreshToken" in said:
        renewed["refreshToken"] = said["refreshToken"]
    return renewed


def _keep(path: str, cached: dict[str, Any]) -> None:
    """Replace the file as a whole, readable by its owner only: the other tools of AWS use it, too."""
    part = f"{path}.{os.getpid()}.part"
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(cached, file)
        os.replace(part, path)
    except OSError:
        # A home that cannot be written to: the token is good for this process.
        return
