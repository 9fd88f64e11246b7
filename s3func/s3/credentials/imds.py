"""The role of an EC2 instance, from its metadata service: IMDSv2, and v1 where a container cannot reach v2.

The service is at a link-local address that nothing answers at elsewhere, so silence is believed soon. When it fails
later on, the old credentials are used beyond their end, which S3 accepts as long as AWS has a failure of its own.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
"""

from __future__ import annotations

from random import uniform
from typing import TYPE_CHECKING

from s3func.errors import CredentialsError, TimedOut, TransportError
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.chain import INSTANCE, Provider
from s3func.s3.credentials.container import credentials_of
from s3func.s3.credentials.http import Answer, Client, Url, get, split_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

_ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_TOKEN_SECONDS = "21600"  # noqa: S105 -- a duration
_ROLES = "/latest/meta-data/iam/security-credentials/"
_REGION = "/latest/meta-data/placement/region"
_TOKEN_PATH = "/latest/api/token"  # noqa: S105 -- a path
# The service is there and has a bad moment.
_ATTEMPTS = 3
_EXTEND_SECONDS = 10 * 60.0


def find(surroundings: Surroundings, profile: Profile | None) -> Provider:
    """The provider; CredentialsError when it is switched off or its address is none."""
    if surroundings.environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise CredentialsError("instance metadata is switched off by AWS_EC2_METADATA_DISABLED")
    service = _Service(surroundings, profile)
    return Provider(INSTANCE, service.who, service.credentials, extend_seconds=_EXTEND_SECONDS)


def instance_region() -> str:
    """The region of this EC2 instance, asked of its metadata service: `S3Session(region=instance_region())`.

    CredentialsError where there is no such service. A session never asks by itself: elsewhere it would cost a second.
    """
    import os

    from s3func.clock import SYSTEM_CLOCK
    from s3func.s3.config import read_settings
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import load_profile

    profile, files = load_profile(None, os.environ)
    settings = read_settings(os.environ, profile, files)
    return _Service(Surroundings(os.environ, profile, files, False, settings, None, SYSTEM_CLOCK), profile).region()


def endpoint(environment: Mapping[str, str], profile: Profile | None) -> Url:
    """The address of the service, without a path; CredentialsError for one that is none."""
    url, source = _said(environment, profile, "ec2_metadata_service_endpoint")
    if url is None:
        mode, source = _said(environment, profile, "ec2_metadata_service_endpoint_mode")
        if mode is None and environment.get("AWS_IMDS_USE_IPV6", "").lower() == "true":
            mode = "ipv6"
        url = _ENDPOINTS.get((mode or "ipv4").lower())
        if url is None:
            raise CredentialsError(f"{source} must be IPv4 or IPv6, not {str(mode)[:40]!r}")
    return split_url(url, source)


def _said(environment: Mapping[str, str], profile: Profile | None, name: str) -> tuple[str | None, str]:
    variable = f"AWS_{name.upper()}"
    if value := environment.get(variable):
        return value, variable
    if profile is not None and (value := profile.settings.get(name)):
        return value, f"{name} of profile {profile.name!r}"
    return None, variable


class _Service:
    """The metadata service, as environment and profile describe it."""

    def __init__(self, surroundings: Surroundings, profile: Profile | None) -> None:
        environment = surroundings.environment
        self._surroundings = surroundings
        self._base = endpoint(environment, profile)
        self.who = f"instance metadata at {self._base.origin}"
        self._v1 = (_said(environment, profile, "ec2_metadata_v1_disabled")[0] or "").lower() != "true"
        self._seconds = _number(*_said(environment, profile, "metadata_service_timeout"))
        self._silent = int(_number(*_said(environment, profile, "metadata_service_num_attempts")))

    def credentials(self) -> Credentials:
        """Ask for a token, the name of the role, and its credentials."""
        token = self._token()
        name = self._get(_ROLES, token, "no role is attached to this instance").body.decode("ascii", "replace").split()
        if not name:
            raise CredentialsError(f"{self.who}: no role is attached to this instance")
        answer = self._get(_ROLES + name[0], token, "the role has gone")
        said = answer.json(self.who)
        if said.get("Code", "Success") != "Success" or "AccessKeyId" not in said:
            raise CredentialsError(f"{self.who}: role {name[0]!r}: {str(said.get('Code', 'no credentials'))[:80]}")
        found = credentials_of(said, answer, self.who)
        now = self._surroundings.clock.now()
        if found.expires_at is None or found.expires_at - now >= _EXTEND_SECONDS:
            return found
        # The service gives what it has: AWS lets it be used until the service is well again, so ask after some minutes.
        # Not all at once: every instance of a fleet is in the same situation.
        end = now + _EXTEND_SECONDS + uniform(120.0, 600.0)
        return Credentials(found.access_key_id, found.secret_access_key, found.session_token, end)

    def region(self) -> str:
        """The region that the instance is in."""
        from s3func.s3.endpoints import is_region

        region = self._get(_REGION, self._token(), "it does not say the region").body.decode("ascii", "replace").strip()
        if not is_region(region):
            raise CredentialsError(f"{self.who} does not say the region of this instance")
        return region

    def _token(self) -> str | None:
        """A token of IMDSv2; None where version 1 has to do."""
        url = self._base._replace(path=self._base.path.rstrip("/") + _TOKEN_PATH)
        headers = {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
        client = Client(self._surroundings, self._seconds, direct=True)
        reason = ""
        try:
            answer = client.send(get(url, headers, "PUT"), attempts=_ATTEMPTS, silent_attempts=self._silent)
        except TimedOut as error:
            # The answer to a PUT may only travel one hop, so a container behind a bridge waits for it in vain.
            if not error.maybe_applied:
                # It was not the answer that did not come: there was no connection.
                raise CredentialsError(f"{self.who}: {error}") from error
            reason = str(error)
        except TransportError as error:
            raise CredentialsError(f"{self.who}: {error}") from error
        else:
            if answer.status == 200:
                token = answer.body.decode("ascii", "replace").strip()
                if token and token.isascii() and token.isprintable():
                    return token
            reason = f"status {answer.status}"
            if answer.status not in {403, 404, 405}:
                raise CredentialsError(f"{self.who}: no token: {reason}")
        if not self._v1:
            raise CredentialsError(
                f"{self.who}: no token ({reason}), and version 1 is switched off; in a container, the hop "
                "limit of the instance's metadata options must be 2"
            )
        return None

    def _get(self, path: str, token: str | None, absent: str) -> Answer:
        headers = {} if token is None else {"x-aws-ec2-metadata-token": token}
        url = self._base._replace(path=self._base.path.rstrip("/") + path)
        client = Client(self._surroundings, self._seconds, direct=True)
        try:
            answer = client.send(get(url, headers), attempts=_ATTEMPTS, silent_attempts=self._silent)
        except TransportError as error:
            raise CredentialsError(f"{self.who}: {error}") from error
        if answer.status == 404:
            raise CredentialsError(f"{self.who}: {absent}")
        if answer.status in {401, 403}:
            raise CredentialsError(f"{self.who}: access to it is forbidden (status {answer.status})")
        if answer.status != 200:
            raise CredentialsError(f"{self.who}: refused with status {answer.status}")
        return answer


def _number(text: str | None, source: str) -> float:
    if text is None:
        return 1.0
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1 <= number <= 3600:
        raise CredentialsError(f"{source} must be a number from 1 to 3600, not {text[:40]!r}")
    return number
