"""`s3func serve`: the S3 server on a port, until SIGINT or SIGTERM, which end it with exit code 0.

stdout gets one line, the endpoint, once requests are answered; what is for a reader goes to stderr. A secret that was
given is never printed; one that was made up here is printed once, because nobody else knows it. Nothing lets strangers
in by default: the address is loopback, requests must be signed, and `--no-auth` where others can connect needs
`--public` as well.
"""

from __future__ import annotations

import errno
import logging
import secrets
import shlex
import string
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from s3func import __version__
from s3func.cli.stores import StoreChoice, choose, open_store, store_options
from s3func.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from s3func.server import S3App, Users

DEFAULT_LISTEN = "127.0.0.1:10001"


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one. assumed: no host was given."""

    host: str
    port: int
    assumed: bool

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def seen_from_here(self, url: str) -> str:
        """The URL for a client on this machine: "every interface" is no address to connect to."""
        for wildcard, loopback in (("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):  # noqa: S104 -- replaced, not bound
            url = url.replace(f"//{wildcard}:", f"//{loopback}:")
        return url


class KeyPair(NamedTuple):
    """What clients must sign with. made_up: nobody else knows it yet."""

    access_key_id: str
    secret_access_key: str
    made_up: bool

    def __repr__(self) -> str:
        return f"KeyPair({self.access_key_id!r})"


def parse_listen(text: str) -> Address:
    """Read "HOST:PORT", "[IPv6]:PORT", ":PORT" or "PORT"; without a host it is loopback. ValueError otherwise."""
    host, _, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, such as [::1]:10001")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
    return Address(host or "127.0.0.1", int(port), not host)


def _listen(ctx: click.Context, param: click.Parameter, value: str) -> Address:
    try:
        return parse_listen(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    cls=TeachingCommand,
    examples="""
    s3func serve --path /srv/s3
    s3func serve --listen :9000 --no-auth
    s3func serve --backend-config archive --read-only
    """,
)
@store_options
@click.option(
    "--listen",
    "address",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    callback=_listen,
    help="Without HOST it is 127.0.0.1; port 0 takes a free one.",
)
@click.option("--access-key-id", envvar="S3FUNC_ACCESS_KEY_ID", show_envvar=True, metavar="ID", help="Who may sign.")
@click.option(
    "--secret-access-key",
    envvar="S3FUNC_SECRET_ACCESS_KEY",
    show_envvar=True,
    metavar="SECRET",
    help="The secret of that key. Without a pair and without --users, one is made up for this run and shown once.",
)
@click.option(
    "--users",
    "users_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Others who may sign, each a different owner: TOML, a table per user, [ID], with display_name, email, "
    "access_key_id, secret_access_key and tenant.",
)
@click.option("--region", default="us-east-1", show_default=True, help="What clients must sign for.")
@click.option("--no-auth", is_flag=True, help="Let in unsigned requests; on loopback only, but for --public.")
@click.option("--public", is_flag=True, help="With --no-auth: let in everybody who can reach the address.")
@click.option("--read-only", is_flag=True, help="Refuse everything but reading and listing.")
@click.option(
    "--kms-key-id",
    "kms_key_ids",
    multiple=True,
    metavar="ID",
    help="A key that aws:kms may name, once per key. Without any, every name is one.",
)
@click.option(
    "--faults",
    is_flag=True,
    help="For tests: let whoever is on this machine make requests fail and read what was asked, at /-/faults and "
    "/-/journal.",
)
@click.option(
    "--browser/--no-browser",
    default=True,
    help="Show a web browser that opens the endpoint pages, after signing in; on by default.",
)
@click.option("--debug", is_flag=True, help="Log every request: method, path, status, time.")
def serve(
    address: Address,
    access_key_id: str | None,
    secret_access_key: str | None,
    users_file: Path | None,
    region: str,
    no_auth: bool,
    public: bool,
    read_only: bool,
    kms_key_ids: tuple[str, ...],
    faults: bool,
    browser: bool,
    debug: bool,
    **store: Any,
) -> None:
    """Serve S3 on a port, until interrupted.

    Prints the endpoint on stdout when it is ready, and how to connect on stderr.
    """
    if no_auth and not (address.is_loopback or public):
        raise click.UsageError(
            f"--no-auth would let everybody who can reach {address.host} in; use a loopback address, or add --public"
        )
    if public and not no_auth:
        raise click.UsageError("--public goes with --no-auth; with keys, --listen is enough")
    if no_auth and (access_key_id or secret_access_key or users_file is not None):
        raise click.UsageError("--no-auth and keys exclude each other")
    choice = choose(store)
    users = None if users_file is None else _users(users_file)
    keys = _keys(access_key_id, secret_access_key, is_needed=users is None)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    if debug:
        logging.getLogger("s3func").setLevel(logging.DEBUG)

    def ready(url: str) -> None:
        endpoint = address.seen_from_here(url)
        click.echo(endpoint)
        click.echo(_instructions(endpoint, choice.place, address, keys, region, no_auth=no_auth), err=True)
        if faults:
            click.echo(f"Whoever is on this machine may ask for faults: {endpoint}/-/faults, /-/journal", err=True)
        if browser:
            click.echo(f"A web browser at {endpoint}/ shows what is stored.", err=True)

    options: dict[str, Any] = {"region": region, "no_auth": no_auth, "read_only": read_only, "control": faults}
    options["browser"] = browser
    _run(_app(choice, keys, users, kms_key_ids=kms_key_ids or None, **options), address, ready)
    click.echo("s3func: stopped", err=True)


def _users(path: Path) -> Users:
    from s3func.server import load_users

    try:
        return load_users(path)
    except OSError as error:
        raise click.ClickException(f"--users {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise click.ClickException(f"--users {error}") from None


def _keys(access_key_id: str | None, secret_access_key: str | None, *, is_needed: bool) -> KeyPair | None:
    if access_key_id and secret_access_key:
        return KeyPair(access_key_id, secret_access_key, made_up=False)
    if access_key_id or secret_access_key:
        missing = "--secret-access-key" if access_key_id else "--access-key-id"
        raise click.UsageError(f"half a key pair: {missing} is missing")
    if not is_needed:
        return None
    letters = string.ascii_uppercase + string.digits
    return KeyPair(
        "".join(secrets.choice(letters) for _ in range(20)),
        "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40)),
        made_up=True,
    )


def _app(choice: StoreChoice, keys: KeyPair | None, users: Users | None, **options: Any) -> S3App:
    """`options`: further arguments of S3App."""
    from s3func.server import S3App

    backend = open_store(choice)
    try:
        return S3App(
            backend,
            access_key_id=None if keys is None else keys.access_key_id,
            secret_access_key=None if keys is None else keys.secret_access_key,
            users=users or (),
            **options,
        )
    except ValueError as error:
        backend.close()
        raise click.UsageError(str(error)) from None


def _run(app: S3App, address: Address, ready: Callable[[str], None]) -> None:
    from s3func.server import serve as listen

    try:
        listen(app, address.host, address.port, ready=ready)
    except OSError as error:
        reason = error.strerror or str(error)
        # What can be done about a port that somebody has; other reasons have other remedies.
        hint = "; --listen :0 takes a free port" if error.errno == errno.EADDRINUSE else ""
        raise click.ClickException(f"cannot listen on {address.host}:{address.port}: {reason}{hint}") from None


def _instructions(
    endpoint: str, place: str, address: Address, keys: KeyPair | None, region: str, *, no_auth: bool
) -> str:
    lines = [f"s3func {__version__} serves S3; the objects are in {place}"]
    if address.assumed:
        lines.append(
            f"Only this machine can connect; --listen 0.0.0.0:{endpoint.rpartition(':')[2]} opens it to others."
        )
    elif not address.is_loopback:
        whoever = "everybody can read and change everything" if no_auth else "nothing is encrypted"
        lines.append(f"Warning: other machines can connect, and {whoever}: put a TLS proxy in front.")
    lines += [
        "For clients (AWS CLI, boto3, s3func):",
        "",
        f"export AWS_ENDPOINT_URL_S3={endpoint} AWS_REGION={region} AWS_DEFAULT_REGION={region}",
    ]
    if no_auth:
        lines.append("export AWS_ACCESS_KEY_ID=anybody AWS_SECRET_ACCESS_KEY=anything")
    elif keys is None:
        lines.append("# AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are those of one of your users")
    elif keys.made_up:
        secret = f"AWS_SECRET_ACCESS_KEY={keys.secret_access_key}"
        lines.append(f"export AWS_ACCESS_KEY_ID={keys.access_key_id} {secret}  # of this run")
    else:
        lines.append(f"export AWS_ACCESS_KEY_ID={shlex.quote(keys.access_key_id)}  # and the secret that you gave")
    return "\n".join([*lines, ""])
