"""`s3func obscure`: a secret made unreadable at a glance, and readable again for whoever wants to. It is no encryption.

What it is for: that a secret in a file is not read over a shoulder, or found by a search for what it looks like. There is
nothing that an owner of the text does not have, so no cipher would make it safer, and none is used: the text is the
secret, combined with the output of a hash over a constant and a salt. A digest in it tells a text that was damaged.

The text begins with "obscured:", so that a file says by itself which of its values have to be revealed; rclone's form
has no such mark, nor a digest, and wants AES. Here nothing needs a package.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode

import click

from s3func.cli.teaching import TeachingCommand

MARK = "obscured:"
SECRET_MAX = 64 * 1024
"""Bytes of a secret; more is a file that was piped in by mistake."""

_KEY = b"s3func obscure 1"
_SALT = 8
_DIGEST = 6


def obscure_text(secret: str, salt: bytes | None = None) -> str:
    """A text that `reveal` makes the secret of; another one each time, unless a salt of 8 bytes is given. ValueError."""
    if not secret:
        raise ValueError("the secret is empty")
    salt = os.urandom(_SALT) if salt is None else salt
    plain = secret.encode()
    return MARK + urlsafe_b64encode(salt + _digest(salt, plain) + _combined(salt, plain)).decode().rstrip("=")


def reveal(text: str) -> str:
    """The secret; a text without the mark is one already. ValueError, which does not repeat the text: it is damaged."""
    if not text.startswith(MARK):
        return text
    body = text.removeprefix(MARK)
    try:
        raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        salt, digest, plain = raw[:_SALT], raw[_SALT : _SALT + _DIGEST], raw[_SALT + _DIGEST :]
        plain = _combined(salt, plain)
        if not plain or digest != _digest(salt, plain):
            raise ValueError("another digest")
        return plain.decode()
    except (binascii.Error, ValueError):
        raise ValueError("an obscured text is damaged; make a new one with s3func obscure") from None


def is_obscured(text: object) -> bool:
    """Whether it has to be revealed."""
    return isinstance(text, str) and text.startswith(MARK)


def read_secret(prompt: str, *, is_needed: bool = True) -> str:
    """A secret from a terminal, unseen, or from the next line of stdin. UsageError where there is none but has to be."""
    if sys.stdin.isatty():
        default = None if is_needed else ""
        return str(click.prompt(prompt, hide_input=True, default=default, show_default=False, err=True))
    line = sys.stdin.readline(SECRET_MAX + 1)
    if len(line) > SECRET_MAX:
        raise click.UsageError(f"{prompt}: more than {SECRET_MAX} characters are no secret")
    secret = line.rstrip("\r\n")
    if not secret and (is_needed or not line):
        raise click.UsageError(f"{prompt}: nothing came from stdin")
    return secret


def _combined(salt: bytes, text: bytes) -> bytes:
    stream = hashlib.shake_256(_KEY + salt).digest(len(text))
    return bytes(one ^ other for one, other in zip(text, stream, strict=True))


def _digest(salt: bytes, plain: bytes) -> bytes:
    return hashlib.blake2b(plain, digest_size=_DIGEST, key=_KEY, salt=salt).digest()


@click.command(
    cls=TeachingCommand,
    examples="""
    s3func obscure
    pass show backblaze | s3func obscure
    """,
)
@click.argument("secret", required=False)
@click.option(
    "--reveal", "is_reversed", is_flag=True, help="The other way round: print the secret of an obscured text."
)
def obscure(secret: str | None, is_reversed: bool) -> None:
    """Make a secret unreadable at a glance, for a configuration file. This is NOT encryption.

    Whoever has the text has the secret: s3func obscure --reveal. It asks on a terminal and reads one line from a pipe,
    for what is typed as SECRET can be seen in the list of processes and stays in the shell's history.
    """
    if secret is not None and not is_reversed:
        click.echo("s3func: a secret on a command line can be seen by others; leave it out to be asked", err=True)
    text = secret if secret not in (None, "-") else read_secret("Obscured text" if is_reversed else "Secret")
    assert text is not None
    try:
        if is_reversed:
            if not is_obscured(text.strip()):
                raise ValueError(f"an obscured text begins with {MARK}")
            click.echo(reveal(text.strip()))
        else:
            click.echo(obscure_text(text))
            click.echo("s3func: obscured, not encrypted: whoever has this text has the secret", err=True)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
