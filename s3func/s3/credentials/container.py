"""The credentials of a container: ECS tasks, EKS pod identity, and whoever speaks as they do.

http is only spoken to hosts that cannot be anybody else's: the machine itself and the link-local addresses of AWS.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import CredentialsError, TransportError
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.chain import Provider
from s3func.s3.credentials.http import Answer, Client, Url, end_of, get, split_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

_RELATIVE, _FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN, _TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
_ECS = "http://169.254.170.2"
_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"})
_SECONDS = 2.0
_TOKEN_MAX = 100_000


def find(surroundings: Surroundings, _profile: Profile | None) -> Provider:
    """The provider; an address that must not be asked is a CredentialsError."""
    url = address(surroundings.environment)
    who = f"container credentials at {url.origin}"
    return Provider("container", who, lambda: _load(surroundings, url, who))


def address(environment: Mapping[str, str]) -> Url:
    """Where to ask; the relative address goes before the full one."""
    relative = environment.get(_RELATIVE)
    if relative:
        return split_url(f"{_ECS}{relative}", f"{_ECS} with {_RELATIVE}")
    full = environment.get(_FULL)
    if not full:
        raise CredentialsError(f"neither {_RELATIVE} nor {_FULL} is set: this is no container with a role")
    url = split_url(full, _FULL)
    if not (url.origin.startswith("https:") or url.host in _HOSTS or _is_loopback(url.host)):
        raise CredentialsError(
            f"{_FULL}: {url.host} would be asked for credentials without TLS; over http that is allowed for this machine "
            f"and {', '.join(sorted(_HOSTS))} only"
        )
    return url


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _load(surroundings: Surroundings, url: Url, who: str) -> Credentials:
    headers = {"accept": "application/json"}
    token = _authorization(surroundings.environment, who)
    if token:
        headers["authorization"] = token
    # An https address may be anywhere, and then a proxy may be on the way to it.
    client = Client(surroundings, _SECONDS, direct=url.origin.startswith("http:"))
    try:
        answer = client.send(get(url, headers))
    except TransportError as error:
        raise CredentialsError(f"{who}: {error}; is the agent of the container running?") from error
    if answer.status != 200:
        hint = "; is the role of the task or pod set up?" if answer.status in {400, 403, 404} else ""
        raise CredentialsError(f"{who}: refused with status {answer.status}{hint}")
    return credentials_of(answer.json(who), answer, who)


def credentials_of(said: Mapping[str, Any], answer: Answer, who: str) -> Credentials:
    """The credentials in a document with AccessKeyId, SecretAccessKey, Token and Expiration."""
    try:
        return Credentials(
            said.get("AccessKeyId") or "",
            said.get("SecretAccessKey") or "",
            said.get("Token") or None,
            end_of(said.get("Expiration"), answer.skew, who),
        )
    except (TypeError, ValueError) as error:
        raise CredentialsError(f"{who} answered with credentials that are none: {error}") from None


def _authorization(environment: Mapping[str, str], who: str) -> str:
    """The value of the Authorization header, read from its file each time: the platform replaces it."""
    path = environment.get(_TOKEN_FILE)
    token = environment.get(_TOKEN, "")
    if path:
        try:
            with open(path, encoding="ascii") as file:
                token = file.read(_TOKEN_MAX)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise CredentialsError(f"{who}: {_TOKEN_FILE} {path} cannot be read: {reason}") from None
        # Editors and shells end a file with a line feed; one inside would be a header of its own.
        token = token.rstrip("\r\n")
    if token and not (token.isascii() and token.isprintable()):
        raise CredentialsError(f"{who}: {_TOKEN_FILE if path else _TOKEN} cannot stand in a header")
    return token
