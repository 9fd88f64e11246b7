"""Where B2 is, and what a name in it may be: realm, download address, buckets and keys.

https://www.backblaze.com/docs/cloud-storage-native-api-versions
"""

from __future__ import annotations

import re
from typing import NamedTuple

from s3func.errors import ProtocolError
from s3func.models import Capabilities
from s3func.transport.transfer import TransferConfig
from s3func.wire.encoding import encode_path

REALM = "https://api.backblazeb2.com"
# In-process transports have no address; this one says that nothing leaves the machine.
IN_PROCESS_URL = "http://localhost"
API = "/b2api/v4/"
KEY_MAX_BYTES = 1024
PART_NUMBER_MAX = 10_000
SMALL_FILE_MAX = 5_000_000_000
"""Bytes: a file or a part of 5 GB can be sent or copied in one call, a larger one cannot."""
PAGE_MAX = 1000
"""Rows per call of a listing: B2 counts every 1,000 as one billed call."""
PRESIGNED_MAX_SECONDS = 604_800
AUTHORIZED_SECONDS = 23 * 3600.0
"""A token lasts 24 hours at most; it is renewed before anybody has to be refused."""
CONNECTIONS = 16
"""Parts of a large file at a time, and connections kept: B2 limits the speed of each."""
TRANSFER = TransferConfig(concurrency=CONNECTIONS)
UPLOAD_URLS_MAX = 5
"""Different upload URLs that one upload tries before it fails, as B2 recommends."""

CAPABILITIES = Capabilities(
    conditional_writes=False,
    conditional_reads=True,
    presigned_methods=frozenset({"GET", "HEAD"}),
    versions="always",
    bulk_delete=False,
    tags=False,
    acl=False,
    checksums=frozenset({"sha1"}),
    part_size_min=5_000_000,
    object_lock=True,
)

# As on the S3 side, nothing passes that could name another bucket or host; what B2 itself allows is stricter.
_BUCKET = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?"
_URL = (
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*)*)(?:\?(?P<query>[!-~]*))?"
)
_REFUSED_IN_KEYS = r"[\x00-\x1f\x7f]"


class Address(NamedTuple):
    """A URL taken apart: `origin` to connect to, `host` header, `path` without a slash at its end, and query."""

    origin: str
    host: str
    path: str
    query: str = ""

    @property
    def is_secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.origin.startswith("https:")


def address(url: object, name: str) -> Address:
    """The parts of a URL that a caller gave; TypeError or ValueError names the argument."""
    if not isinstance(url, str):
        raise TypeError(f"{name} must be a str, not {type(url).__name__}")
    match = re.fullmatch(_URL, url, re.IGNORECASE | re.ASCII)
    # Shown without what may be a secret in it.
    shown = "" if "@" in url or "?" in url else f": {url[:200]!r}"
    if match is None or match["query"] is not None or "/." in match["path"]:
        raise ValueError(f"{name} must be https://host[:port][/prefix] (or http://){shown}")
    return _taken_apart(match, name)


def told_address(url: str, name: str, *, secure: bool) -> Address:
    """The parts of a URL that the service has told us; ProtocolError when it cannot be one.

    secure: the service was reached over TLS, so that it may not send us to a place without.
    """
    match = re.fullmatch(_URL, url, re.IGNORECASE | re.ASCII)
    if match is None:
        raise ProtocolError(f"the answer has no {name} that is a URL")
    try:
        parts = _taken_apart(match, name)
    except ValueError as error:
        raise ProtocolError(str(error)) from None
    if secure and not parts.is_secure:
        raise ProtocolError(f"the {name} in the answer is not https")
    return parts


def _taken_apart(match: re.Match[str], name: str) -> Address:
    scheme, host = match["scheme"].lower(), match["host"].lower()
    if match["port"] is not None:
        port = int(match["port"])
        if not 1 <= port <= 65535:
            raise ValueError(f"{name} has a port that does not exist")
        if port != (443 if scheme == "https" else 80):
            host = f"{host}:{port}"
    return Address(f"{scheme}://{host}", host, match["path"].rstrip("/"), match["query"] or "")


def check_bucket(bucket: object, name: str = "bucket") -> str:
    """The bucket's name, if it can be one; TypeError or ValueError names the argument."""
    if bucket is None:
        raise ValueError(f"{name} is not set: give it to the session or to the call")
    if not isinstance(bucket, str):
        raise TypeError(f"{name} must be a str, not {type(bucket).__name__}")
    if re.fullmatch(_BUCKET, bucket) is None or ".." in bucket:
        raise ValueError(f"{name} is not a bucket name: {bucket[:80]!r}")
    return bucket


def check_key(key: object, name: str = "key") -> str:
    """The key, if B2 takes it: 1 to 1,024 bytes of UTF-8 without control characters; TypeError or ValueError."""
    if not isinstance(key, str):
        raise TypeError(f"{name} must be a str, not {type(key).__name__}")
    if not key:
        raise ValueError(f"{name} is empty")
    try:
        # Four bytes is the most that one character takes, so short keys need no counting.
        if not key.isascii():
            key.encode()
        if len(key) > KEY_MAX_BYTES // 4 and len(key.encode()) > KEY_MAX_BYTES:
            raise ValueError(f"{name} is longer than {KEY_MAX_BYTES} UTF-8 bytes")
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a lone surrogate, which no UTF-8 can carry") from None
    if not key.isprintable() and re.search(_REFUSED_IN_KEYS, key):
        raise ValueError(f"{name} has a control character, which B2 does not take")
    return key


def key_path(key: str) -> str:
    """A checked key as a part of a URL: encoded once; dots that stand alone are encoded too, so that nobody resolves them.

    What is between us and B2 may remove `.` and `..` from a path, which would then name another file.
    """
    path = encode_path(key)
    if "." not in path:
        return path
    return "/".join(["%2E" * len(part) if part in {".", ".."} else part for part in path.split("/")])


def check_version_id(version_id: object, name: str = "version_id") -> str:
    """A file id; TypeError or ValueError names the argument."""
    if not isinstance(version_id, str):
        raise TypeError(f"{name} must be a str, not {type(version_id).__name__}")
    if not version_id:
        raise ValueError(f"{name} is empty")
    if not version_id.isascii() or not version_id.isprintable():
        raise ValueError(f"{name} is no version id: {version_id[:80]!r}")
    return version_id


def check_text(name: str, value: object) -> str:
    """A text that JSON and UTF-8 can carry; TypeError or ValueError names the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a lone surrogate, which no UTF-8 can carry") from None
    return value


def check_number(name: str, value: object, lowest: int, highest: int) -> int:
    """A whole number between two others; TypeError or ValueError names the argument."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be {lowest} to {highest}, not {value}")
    return value
