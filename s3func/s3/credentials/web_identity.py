"""Web identity: a token that a platform (EKS, GitHub Actions …) writes into a file, exchanged at STS for a role.

The token is read again for each exchange, because the platform replaces it.
https://docs.aws.amazon.com/sdkref/latest/guide/access-assume-role-web.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import CredentialsError
from s3func.s3.credentials import sts
from s3func.s3.credentials.chain import Provider

if TYPE_CHECKING:
    from s3func.s3.credentials import Credentials
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

# More than this is no token, and STS takes 20,000 characters.
_TOKEN_MAX = 100_000


def find(surroundings: Surroundings, profile: Profile | None) -> Provider:
    """The provider; each setting comes from the environment, else from the profile."""
    settings = {} if profile is None else profile.settings
    environment = {} if surroundings.explicit else surroundings.environment
    in_environment = bool(environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"))
    where = "AWS_WEB_IDENTITY_TOKEN_FILE" if in_environment or profile is None else f"profile {profile.name!r}"
    path = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") or settings["web_identity_token_file"]
    arn = environment.get("AWS_ROLE_ARN") or settings.get("role_arn")
    if not arn:
        raise CredentialsError(f"{where} names a web identity token but no role: set AWS_ROLE_ARN or role_arn")
    session_name = environment.get("AWS_ROLE_SESSION_NAME") or settings.get("role_session_name")
    expanded = surroundings.files.expanded(path)
    what = f"role {arn} by the web identity token of {where}"

    def load() -> Credentials:
        parameters = {
            "Action": "AssumeRoleWithWebIdentity",
            "RoleArn": arn,
            "RoleSessionName": session_name or f"s3func-{surroundings.clock.now():.0f}",
            "WebIdentityToken": _token(expanded, what),
        }
        return sts.call(surroundings, parameters, None, what)

    return Provider("web identity", what, load, roles=(arn,))


def _token(path: str, what: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            token = file.read(_TOKEN_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise CredentialsError(f"{what}: {path} cannot be read: {reason}") from None
    if not token:
        raise CredentialsError(f"{what}: {path} is empty")
    return token
