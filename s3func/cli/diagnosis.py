"""What `s3func doctor` looks at: where each setting came from, and whether the store agrees with it.

A look is a function that gives findings; none of them raises for what it finds, so that one report tells everything.
No finding holds a secret: of a key pair the id is shown in part, of a proxy its address.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.cli.report import counted
from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import (
    AccessDenied,
    ConnectError,
    CredentialsError,
    InvalidCredentials,
    NotFound,
    S3FuncError,
    ServiceError,
    Throttled,
    TimedOut,
)
from s3func.message import Request
from s3func.s3 import S3Session
from s3func.s3.config import VARIABLES, configured_endpoint, look_up
from s3func.s3.credentials.chain import choose, told
from s3func.s3.credentials.files import profile_name
from s3func.s3.options import DEFAULT_REGION, Options
from s3func.transport.network import network_of
from s3func.transport.pool import Pool
from s3func.transport.timeouts import Timeouts
from s3func.wire.encoding import parse_http_date

if TYPE_CHECKING:
    from s3func.s3.credentials import Credentials
    from s3func.s3.endpoints import Endpoint
    from s3func.transport.network import Network

OK, NOTE, PROBLEM = "ok", "note", "problem"
TIMEOUTS = Timeouts(connect=5.0, read=10.0, total=30.0)
# S3 refuses what was signed 15 minutes off; a third of that is a clock that nobody sets.
_SKEW_SECONDS = 300.0
_PROBE = b"s3func doctor"


class Finding(NamedTuple):
    """One line of the report. source: where a setting came from. fix: what to do about a problem."""

    subject: str
    status: str
    text: str
    source: str = ""
    fix: str = ""


class Question(NamedTuple):
    """What the command line asks about."""

    bucket: str | None = None
    prefix: str = ""
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    write: bool = False
    environment: Mapping[str, str] = os.environ
    clock: Clock = SYSTEM_CLOCK


def examine(question: Question) -> Iterator[Finding]:
    """Everything, in order; what cannot be looked at because of a problem is left out."""
    try:
        options = Options(
            question.environment,
            access_key_id=None,
            secret_access_key=None,
            session_token=None,
            profile=question.profile,
            credentials=None,
            anonymous=False,
            endpoint_url=question.endpoint_url,
            region=question.region,
        )
        endpoint = options.endpoint("auto", {})
        network = network_of(question.environment, options.settings.ca_bundle)
    except (CredentialsError, ValueError) as error:
        yield Finding("settings", PROBLEM, str(error), "", "correct or unset what is named here")
        return
    yield from _settings(question, options, endpoint, network)
    credentials = yield from _credentials(question, options)
    answers = yield from _reach(question, endpoint.place(None).origin, network)
    if credentials is None or not answers:
        return
    with S3Session(
        bucket=question.bucket,
        profile=question.profile,
        region=question.region,
        endpoint_url=question.endpoint_url,
        credentials=None,
        timeouts=TIMEOUTS,
        retries=2,
    ) as session:
        if question.bucket is None:
            yield from _buckets(session)
        elif (yield from _bucket(session, question.bucket, endpoint.region)):
            yield from _permissions(session, question)


def masked(key_id: str) -> str:
    """Enough of a key id to recognize it."""
    return f"{key_id[:4]}…{key_id[-4:]}" if len(key_id) > 11 else f"{key_id[:2]}…"


def _settings(question: Question, options: Options, endpoint: Endpoint, network: Network) -> Iterator[Finding]:
    environment = question.environment
    profile, files = options.files()
    named = profile_name(environment)
    source = (
        "--profile" if question.profile else f"AWS_PROFILE or AWS_DEFAULT_PROFILE ({named})" if named else "default"
    )
    where = [path for path in (files.credentials_path, files.config_path) if os.path.isfile(files.expanded(path))]
    text = "none" if profile is None else profile.name
    yield Finding("profile", OK, f"{text}; files: {', '.join(where) or 'none'}", source)
    given = {"region": (question.region, "--region")}
    for variable in VARIABLES:
        value, source = given.get(variable.name, (None, ""))
        if value is None:
            found = look_up(variable, environment, profile)
            value, source = found.value, found.source or ""
        if variable.name == "region" and value != endpoint.region:
            source = "default" if endpoint.region == DEFAULT_REGION else "the host of the endpoint"
            value = endpoint.region
        if value not in {None, False}:
            yield Finding(variable.name, OK, str(value).lower() if value is True else str(value), source)
    configured = configured_endpoint("s3", environment, profile, files)
    source = "--endpoint-url" if question.endpoint_url else configured.source or "the region"
    yield Finding("endpoint", OK, endpoint.url, source)
    if endpoint.store is not None:
        notes = f"; {endpoint.store.notes}" if endpoint.store.notes else ""
        yield Finding("store", OK, f"{endpoint.store.title}{notes}", "the host of the endpoint; docs/providers.md")
    if network.ca_bundle is not None and not options.settings.ca_bundle:
        yield Finding("ca_bundle", OK, network.ca_bundle, "REQUESTS_CA_BUNDLE")
    for scheme, proxy in (("http", network.http_proxy), ("https", network.https_proxy)):
        if proxy is not None:
            password = ", with a password" if proxy.authorization else ""
            yield Finding(f"{scheme} proxy", OK, f"{proxy}{password}", f"{scheme.upper()}_PROXY")
    if network.no_proxy:
        yield Finding("no proxy", OK, ", ".join(network.no_proxy), "NO_PROXY")


def _credentials(question: Question, options: Options) -> Any:
    """Who signs; returns the credentials, None where there are none."""
    surroundings = options.surroundings(question.clock)
    try:
        provider, unasked = choose(surroundings)
        if provider is None:
            text = f"nobody gives credentials: {told(unasked)}"
            fix = (
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or put keys, a role or a login into a profile of "
                "~/.aws and name it with AWS_PROFILE or --profile"
            )
            yield Finding("credentials", PROBLEM, text, "", fix)
            return None
        found = options.credentials_source(question.clock)()
    except CredentialsError as error:
        yield Finding("credentials", PROBLEM, str(error), "", "do what the message says, then look again")
        return None
    assert found is not None
    yield Finding("credentials", OK, _described(found, question.clock), f"{provider.name}: {provider.where}")
    return found


def _described(found: Credentials, clock: Clock) -> str:
    parts = [masked(found.access_key_id), f"secret of {counted(len(found.secret_access_key), 'character')}"]
    if found.session_token is not None:
        parts.append("with a session token")
    if found.expires_at is not None:
        parts.append(f"good for {(found.expires_at - clock.now()) / 60:.0f} minutes")
    return ", ".join(parts)


def _reach(question: Question, origin: str, network: Network) -> Any:
    """What time it is at the store; returns whether it answers at all. The request has no signature and no bucket."""
    pool = Pool(TIMEOUTS, network=network)
    try:
        response = pool(Request("GET", origin, "/", "", {"host": origin.partition("://")[2]}))
        response.close()
    except S3FuncError as error:
        yield Finding("connection", PROBLEM, str(error), "", _advice_on_connections(error, network))
        return False
    finally:
        pool.close()
    yield Finding("connection", OK, f"{origin} answers")
    try:
        theirs = parse_http_date(response.headers.get("date", "")).timestamp()
    except ValueError:
        yield Finding("clock", NOTE, "the store does not say what time it is there")
        return True
    skew = question.clock.now() - theirs
    if abs(skew) < _SKEW_SECONDS:
        yield Finding("clock", OK, f"within {abs(skew) + 1:.0f} s of the store's")
        return True
    text = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the store's"
    fix = "set the clock (timedatectl set-ntp true); sessions mend it after a refusal, presigned URLs and others do not"
    yield Finding("clock", PROBLEM, text, "", fix)
    return True


def _advice_on_connections(error: S3FuncError, network: Network) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return "if the store or a proxy has a certificate of its own authority, name its file in AWS_CA_BUNDLE"
    # A port may have these figures as well.
    if re.search(r"(?<![\d:.])407\b", text):
        return "the proxy wants a password: HTTPS_PROXY=http://user:password@host:port"
    if network.http_proxy or network.https_proxy:
        return "is the proxy right, and should this host be in NO_PROXY?"
    if isinstance(error, TimedOut):
        return "nothing answers: a firewall, a security group, or a network without a way out"
    if isinstance(error, ConnectError):
        return "check the endpoint's host, port and scheme, and that the name can be looked up"
    return "is this an S3 endpoint?"


def _buckets(session: S3Session) -> Iterator[Finding]:
    try:
        names = [bucket.name for bucket in session.list_buckets()]
    except AccessDenied as error:
        if isinstance(error, InvalidCredentials):
            yield _refusal("credentials at the store", error, None)
        else:
            yield Finding("buckets", NOTE, "these keys may not list the buckets; name one: s3func doctor s3://BUCKET")
        return
    except S3FuncError as error:
        yield _refusal("buckets", error, None)
        return
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    yield Finding("buckets", OK, f"{len(names)}: {shown}" if names else "none; s3func doctor s3://BUCKET looks at one")


def _bucket(session: S3Session, bucket: str, region: str) -> Any:
    """Whether the bucket is there, and in which region; returns whether to go on."""
    listed = None
    try:
        # A listing rather than a HEAD, because its refusal has a body that says why.
        next(iter(session.list_objects(max_keys=1).iter_objects()), None)
    except AccessDenied as error:
        listed = error
    except S3FuncError as error:
        yield _refusal("bucket", error, bucket)
        return False
    if isinstance(listed, InvalidCredentials):
        yield _refusal("credentials at the store", listed, bucket)
        return False
    yield Finding("bucket", OK, f"{bucket} is there" if listed is None else f"{bucket} answers")
    # What the session has learned shows in what it signs with.
    scope = session.presigned_url("GET", "key").partition("X-Amz-Credential=")[2].split("%2F")
    actual = scope[2] if len(scope) > 2 else region
    if actual == region:
        yield Finding("region of the bucket", OK, region)
    else:
        text = f"{bucket} is in {actual}, and the session is told {region}"
        fix = f"set AWS_REGION={actual}; sessions find out after a refusal, presigned URLs of a new session are refused"
        yield Finding("region of the bucket", PROBLEM, text, "", fix)
    return True


def _permissions(session: S3Session, question: Question) -> Iterator[Finding]:
    bucket = question.bucket
    assert bucket is not None
    first: list[str] = []

    def look() -> str:
        listing = session.list_objects(prefix=question.prefix or None, max_keys=1)
        first.extend(entry.key for entry in listing.iter_objects())
        return f"{counted(len(first), 'object')} seen"

    yield _tried("list", "s3:ListBucket", f"arn:aws:s3:::{bucket}", look, bucket)
    if not question.write:
        if first:
            yield _tried(
                "read",
                "s3:GetObject",
                f"arn:aws:s3:::{bucket}/*",
                lambda: f"{counted(session.head_object(first[0]).size or 0, 'byte')} in the first object",
                bucket,
            )
        yield Finding("write", NOTE, "not tried: --write puts a small object, reads and deletes it")
        return
    key = f"{question.prefix}.s3func-doctor-{secrets.token_hex(8)}"
    versions: list[str | None] = []

    def put() -> str:
        versions.append(session.put_object(key, _PROBE).version_id)
        return f"{len(_PROBE)} bytes as {key}"

    def get() -> str:
        data = session.get_object(key).data
        if data != _PROBE:
            raise ServiceError(f"{key} came back as {len(data)} other bytes")
        return "the same bytes came back"

    def delete() -> str:
        session.delete_object(key, version_id=versions[0])
        return "the probe is gone"

    objects = f"arn:aws:s3:::{bucket}/{question.prefix}*"
    written = _tried("write", "s3:PutObject", objects, put, bucket)
    yield written
    if written.status == OK:
        yield _tried("read", "s3:GetObject", objects, get, bucket)
        action = "s3:DeleteObject" if versions[0] is None else "s3:DeleteObjectVersion"
        deleted = _tried("delete", action, objects, delete, bucket)
        yield deleted if deleted.status == OK else deleted._replace(text=f"{deleted.text}; {key} was left behind")


def _tried(subject: str, action: str, resource: str, call: Callable[[], str], bucket: str) -> Finding:
    try:
        return Finding(subject, OK, call())
    except AccessDenied as error:
        if isinstance(error, InvalidCredentials):
            return _refusal(subject, error, bucket)
        return Finding(subject, PROBLEM, _said(error), "", f"allow {action} on {resource}, if this is needed")
    except S3FuncError as error:
        return _refusal(subject, error, bucket)


def _refusal(subject: str, error: S3FuncError, bucket: str | None) -> Finding:
    return Finding(subject, PROBLEM, _said(error), "", _advice(error, bucket))


def _said(error: S3FuncError) -> str:
    """The error without its advice, which is shown as the fix."""
    return f"{type(error).__name__}: {str(error).removesuffix(f'; {error.advice}')}"


def _advice(error: S3FuncError, bucket: str | None) -> str:
    if error.advice:
        return error.advice
    if isinstance(error, NotFound) and bucket is not None:
        return f"is {bucket!r} written right, and is it at this store?"
    if isinstance(error, Throttled):
        return "the store is busy: look again later"
    return "is this an S3 endpoint, and the one that was meant?"
