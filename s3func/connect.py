"""From the URL of an object, a prefix or a bucket to a session that reaches it.

   s3://bucket/key                                  credentials and endpoint as S3Session finds them
   s3://name@bucket/key                             a profile: a registered one, else one of ~/.aws
   s3://host[:port]@bucket/key                      another store; also s3://https://host@bucket/key
   s3://https://host/bucket/key                     the same store
   s3://id:secret@[https://]host/bucket/key         with credentials; id:secret@bucket/key for AWS itself
   b2://…                                           all of these for Backblaze B2; a host is its realm

1. What stands behind the bucket's slash is the key, exactly: nothing is decoded, and "?", "#", "@" and "//" are parts of
   it. Only user names are percent-decoded, which is how a "/", ":" or "@" gets into a secret.
2. In front of an "@" a name with a dot, a port or a scheme, or "localhost", is a host; everything else is a profile.
   A host without a scheme is reached over https, this machine over http.
3. Of id:secret the id comes first, as in every URL; but where just one of the two looks like one of AWS's key ids
   (AKIA…, ASIA…), that one is the id, and its secret of 40 characters may have its slashes as they are.
4. A secret is never printed: not in a repr, not in an error, not in `.url`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.profiles import Profile, find_profile

if TYPE_CHECKING:
    from s3func.s3.credentials import Credentials
    from s3func.session import Session

__all__ = ["SCHEMES", "Location", "connect", "endpoint_of", "is_url", "parse"]

SCHEMES = ("s3", "b2")

_BUCKET = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?"
_HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*"
_ORIGIN = rf"https?://(?:{_HOST})(?::[0-9]{{1,5}})?"
_BARE_HOST = rf"(?:{_HOST}):[0-9]{{1,5}}|\[[0-9A-Fa-f:.]+\]|localhost|[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)+"
_LOOPBACK = r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?"
_KEY_ID = r"A(?:KIA|SIA)[A-Z0-9]{16}"
# Looked for before anything else: a secret that was taken for a bucket and a key would be sent to somebody.
_AWS_PAIR = rf"(?:{_KEY_ID}:[A-Za-z0-9/+=]{{40}}|[A-Za-z0-9/+=]{{40}}:{_KEY_ID})@"
_SIGNING = {"access_key_id", "access_key", "secret_access_key", "session_token", "credentials", "anonymous"}
_SHAPE = "s3://[profile@|host@]bucket[/key] or b2://…"


class Location(NamedTuple):
    """A URL taken apart. key: "" for the bucket itself. endpoint_url: of another store than the usual one.

    bucket: "" for a session that is bound to none, which no URL means.
    """

    scheme: str
    bucket: str
    key: str = ""
    endpoint_url: str | None = None
    profile: str | None = None
    credentials: Credentials | None = None

    @property
    def url(self) -> str:
        """The URL without its secrets; parse() makes the same location of it, but for them."""
        place = self.endpoint_url or self.profile
        return f"{self.scheme}://{f'{place}@' if place else ''}{self.bucket}{f'/{self.key}' if self.key else ''}"

    def __str__(self) -> str:
        return self.url


def is_url(text: object) -> bool:
    """Whether something is written like the URL of a store; whether it is a good one, parse() says."""
    return isinstance(text, str) and text.partition("://")[0].lower() in SCHEMES and "://" in text


def parse(url: str, *, secret_first: bool = False) -> Location:
    """Take a URL apart, after the rules at the top of this file; nothing is looked up.

    secret_first: read secret:id, as s3lync does. TypeError or ValueError, which never shows what may be a secret.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    if not is_url(url):
        scheme = url.partition("://")[0] if "://" in url else ""
        raise ValueError(f"url must be {_SHAPE}, not {scheme[:20] + '://…' if scheme else 'a path'}")
    scheme, _, rest = url.partition("://")
    origin = re.match(rf"({_ORIGIN})[@/]", rest, re.IGNORECASE)
    if origin is not None:
        return _location(scheme, rest[origin.end() :], endpoint_url=origin[1])
    user, at, behind = rest.partition("@")
    if not at or ("/" in user and re.match(_AWS_PAIR, rest) is None):
        return _location(scheme, rest)
    if re.fullmatch(_BARE_HOST, user):
        return _location(scheme, behind, endpoint_url=_with_scheme(user))
    if ":" in user:
        credentials = _credentials(user, secret_first=secret_first)
        host = re.match(rf"({_ORIGIN}|{_BARE_HOST})/", behind, re.IGNORECASE)
        if host is None:
            return _location(scheme, behind, credentials=credentials)
        return _location(scheme, behind[host.end() :], endpoint_url=_with_scheme(host[1]), credentials=credentials)
    if not user or not user.isprintable():
        raise ValueError("url has no name before its '@'")
    return _location(scheme, behind, profile=_decoded(user))


def connect(
    url: str | Location, *, endpoint_url: str | None = None, profile: str | Profile | None = None, **options: Any
) -> Session:
    """A session for the bucket of a URL; its bucket and key are `parse(url).bucket` and `.key`.

    endpoint_url, profile: where the URL names none itself; a profile is one of register_profile() or profiles.toml, else
    one of ~/.aws. options: of S3Session or B2Session. Nothing is sent. ValueError, CredentialsError.
    """
    location = parse(url) if isinstance(url, str) else url
    chosen = profile if location.profile is None else location.profile
    if profile is not None and not isinstance(profile, str | Profile):
        raise TypeError(f"profile must be a str or a Profile, not {type(profile).__name__}")
    known = find_profile(chosen) if isinstance(chosen, str) else chosen
    settings: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if known is not None:
        _apply(known, settings)
    if endpoint := location.endpoint_url or endpoint_url:
        settings["endpoint_url"] = endpoint
    if location.credentials is not None:
        _sign_with(location.credentials, settings)
    if location.scheme == "b2":
        return _connect_b2(location.bucket, settings, chosen if known is None else None)
    from s3func.s3.session import S3Session

    if known is None and chosen is not None:
        settings["profile"] = chosen
    return S3Session(bucket=location.bucket or None, **settings)


def endpoint_of(
    location: Location, *, endpoint_url: str | None = None, profile: str | Profile | None = None, **options: Any
) -> str:
    """Where connect() would lead with the same arguments; known without knowing who signs. ValueError, CredentialsError."""
    if location.endpoint_url is not None:
        return location.endpoint_url
    if location.scheme == "b2":
        from s3func.b2.config import REALM

        chosen = profile if location.profile is None else location.profile
        known = find_profile(chosen) if isinstance(chosen, str) else chosen
        return endpoint_url or (REALM if known is None else known.endpoint)
    unsigned = {name: value for name, value in options.items() if name not in _SIGNING}
    with connect(
        location._replace(credentials=None), endpoint_url=endpoint_url, profile=profile, anonymous=True, **unsigned
    ) as session:
        return str(getattr(session, "endpoint_url", ""))


def _connect_b2(bucket: str, settings: dict[str, Any], unknown: object) -> Session:
    from s3func.b2.session import B2Session

    if unknown is not None:
        raise ValueError(f"profile {unknown!r} is not registered, and those of ~/.aws do not reach Backblaze B2")
    if (realm := settings.pop("endpoint_url", None)) is not None:
        settings["realm"] = realm
    # What S3Session takes and B2 has no use for may stand in a profile that serves both.
    settings.pop("region", None)
    return B2Session(bucket=bucket or None, **settings)


def _apply(profile: Profile, settings: dict[str, Any]) -> None:
    """What a profile says, where nothing else was said."""
    settings.setdefault("endpoint_url", profile.endpoint)
    if profile.region is not None:
        settings.setdefault("region", profile.region)
    if _SIGNING & settings.keys():
        return
    if profile.public:
        settings["anonymous"] = True
    elif (credentials := profile.credentials()) is not None:
        _sign_with(credentials, settings)


def _sign_with(credentials: Credentials, settings: dict[str, Any]) -> None:
    for name in ("access_key", "anonymous", "credentials", "session_token"):
        settings.pop(name, None)
    settings["access_key_id"] = credentials.access_key_id
    settings["secret_access_key"] = credentials.secret_access_key
    if credentials.session_token is not None:
        settings["session_token"] = credentials.session_token


def _location(scheme: str, text: str, **where: Any) -> Location:
    bucket, _, key = text.partition("/")
    if re.fullmatch(_BUCKET, bucket) is None or ".." in bucket:
        # What stands here may be the rest of a secret that was not percent-encoded.
        shown = "" if "@" in text or where.get("credentials") else f": {bucket[:80]!r}"
        raise ValueError(f"url has no name of a bucket where one is expected ({_SHAPE}){shown}")
    return Location(scheme.lower(), bucket, key, **where)


def _with_scheme(host: str) -> str:
    if "://" in host:
        return host
    return f"{'http' if re.fullmatch(_LOOPBACK, host) else 'https'}://{host}"


def _credentials(user: str, *, secret_first: bool) -> Credentials:
    from s3func.s3.credentials import Credentials

    first, _, second = user.partition(":")
    parts = [_decoded(first), _decoded(second)]
    ids = [re.fullmatch(_KEY_ID, part) is not None for part in parts]
    if ids == [False, True] or (secret_first and ids[0] == ids[1]):
        parts.reverse()
    try:
        return Credentials(parts[0], parts[1])
    except ValueError as error:
        raise ValueError(f"the credentials of the url: {error}") from None


def _decoded(text: str) -> str:
    from s3func.wire.encoding import decode_component

    try:
        return decode_component(text)
    except ValueError:
        raise ValueError("url has a '%' before its '@' that is no percent-encoding") from None
