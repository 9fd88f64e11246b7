"""Who signs: a key pair, and the chain that finds one where botocore would find it.

Here is what every session needs: Credentials, and keys from arguments or the environment. The chain and its providers
are imported when these have no answer (chain.py is the order; one file per provider; refresh.py renews ahead of time).
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Credentials:
    """A key pair, with the session token of temporary ones and the time at which these expire.

    Not to be changed once made. Its repr shows the key id only; pickling is refused.
    """

    __slots__ = ("access_key_id", "expires_at", "secret_access_key", "session_token")

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        expires_at: float | datetime | None = None,
    ) -> None:
        """expires_at: seconds since the epoch, or a datetime with a time zone; None for never.

        TypeError or ValueError names the part that cannot be used.
        """
        self.access_key_id = _printable("access_key_id", access_key_id)
        self.secret_access_key = _secret("secret_access_key", secret_access_key)
        self.session_token = None if session_token is None else _printable("session_token", session_token)
        self.expires_at = None if expires_at is None else _moment("expires_at", expires_at)

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, secret_access_key='***')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credentials):
            return NotImplemented
        return (self.access_key_id, self.secret_access_key, self.session_token) == (
            other.access_key_id,
            other.secret_access_key,
            other.session_token,
        )

    def __hash__(self) -> int:
        return hash(self.access_key_id)

    def __reduce__(self) -> str:
        raise TypeError("Credentials are not pickled: a secret must not end up in a file or a queue")


def from_arguments(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> Credentials | None:
    """The caller's own keys, None when none are given; half a pair is a CredentialsError."""
    if access_key_id is None and secret_access_key is None:
        if session_token is not None:
            raise ValueError("session_token is given without access_key_id and secret_access_key")
        return None
    return pair(access_key_id, secret_access_key, session_token, "the arguments")


def from_environment(environment: Mapping[str, str]) -> Credentials | None:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; a blank value counts as unset."""
    access_key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    return pair(
        None if access_key_id is None or access_key_id.isspace() else access_key_id,
        None if secret is None or secret.isspace() else secret,
        environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN"),
        "the environment",
    )


def pair(access_key_id: str | None, secret: str | None, token: str | None, where: str) -> Credentials | None:
    """Key id and secret of one place; None without either, CredentialsError without one of them."""
    if not access_key_id and not secret:
        return None
    if not access_key_id or not secret:
        missing = "secret_access_key" if access_key_id else "access_key_id"
        raise CredentialsError(f"half a key pair in {where}: {missing} is missing")
    return Credentials(access_key_id, secret, token or None)


def _moment(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    seconds = getattr(value, "timestamp", None)
    if seconds is None:
        raise TypeError(f"{name} must be seconds since the epoch or a datetime, not {type(value).__name__}")
    if getattr(value, "tzinfo", None) is None:
        raise ValueError(f"{name} is a datetime without a time zone")
    return float(seconds())


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _secret(name: str, value: object) -> str:
    text = _text(name, value)
    # What a file or a clipboard added would only show as a signature that never fits.
    if text != text.strip() or not text.isprintable():
        raise ValueError(f"{name} has white space around it, or characters that are no text")
    return text


def _printable(name: str, value: object) -> str:
    text = _text(name, value)
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"{name} has characters that cannot stand in a header")
    return text
