"""A program that prints credentials: `credential_process` of a profile, run without a shell.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from s3func.errors import CredentialsError
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.chain import Provider
from s3func.s3.credentials.http import Answer, end_of

if TYPE_CHECKING:
    from s3func.s3.credentials.chain import Surroundings
    from s3func.s3.credentials.files import Profile

_SECONDS = 120.0
"""Long enough for somebody to answer a question that the program asks, short enough not to hang for ever."""


def find(_surroundings: Surroundings, profile: Profile | None) -> Provider:
    """The provider; a command that cannot be taken apart is a CredentialsError."""
    assert profile is not None
    who = f"credential_process of profile {profile.name!r}"
    try:
        command = shlex.split(profile.settings["credential_process"])
    except ValueError:
        command = []
    if not command:
        raise CredentialsError(f"{who} is no command line")
    return Provider("process", who, lambda: _run(command, who))


def _run(command: list[str], who: str) -> Credentials:
    # What it prints may hold a secret, and its arguments as well, so an error repeats the program's name only. Its
    # stderr is left alone: there its author says what is wrong.
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=_SECONDS, check=False)  # noqa: S603 -- as configured
    except subprocess.TimeoutExpired:
        raise CredentialsError(f"{who}: {command[0]} has not ended within {_SECONDS:.0f} seconds") from None
    except OSError as error:
        raise CredentialsError(f"{who}: {command[0]} cannot be started: {error.strerror or error}") from None
    if done.returncode != 0:
        raise CredentialsError(f"{who}: {command[0]} ended with status {done.returncode}; run it to see why")
    said = Answer(0, done.stdout, {}, 0.0).json(f"{who}: {command[0]}")
    if said.get("Version") != 1:
        raise CredentialsError(f"{who}: {command[0]} answered in a format other than Version 1")
    try:
        return Credentials(
            said.get("AccessKeyId") or "",
            said.get("SecretAccessKey") or "",
            said.get("SessionToken") or None,
            end_of(said.get("Expiration"), 0.0, who),
        )
    except (TypeError, ValueError) as error:
        raise CredentialsError(f"{who}: {command[0]} answered with credentials that are none: {error}") from None
