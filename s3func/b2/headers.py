"""What is stored with a file: arguments into headers (a small file) or into JSON (a large file, a copy), checked here.

B2 percent-encodes what stands in headers, so names and values may be any text; in JSON they stand as they are.
https://www.backblaze.com/docs/cloud-storage-files (File information)
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import md5
from typing import Any, NamedTuple

from s3func.b2.config import check_text
from s3func.errors import NotSupported
from s3func.retention import Retention, checked_retention
from s3func.wire.encoding import decode_component, encode_path, header_value, http_date

INFO = "x-bz-info-"
SHA1 = "x-bz-content-sha1"
LARGE_FILE_SHA1 = "large_file_sha1"
"""The entry of the file info that holds the SHA-1 of a large file, which B2 itself does not compute."""
LAST_MODIFIED = "src_last_modified_millis"
INFO_MAX_BYTES = 7000
PROTECTED_INFO_MAX_BYTES = 2048
ANY_TYPE = "b2/x-auto"
"""The content type by which B2 chooses one for the key's extension."""
DESCRIBED = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
"""What B2 sends as a header of its own when the file is downloaded, and keeps as b2-… in the file's info."""
# The re module compiles and keeps these when they are first used.
_INFO_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_CUSTOMER = "x-bz-server-side-encryption-customer-"


class CustomerKey:
    """A key of the caller's own that B2 encrypts with and forgets (SSE-C): 32 bytes, never shown."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """TypeError or ValueError unless it is 32 bytes."""
        if not isinstance(secret, bytes):
            raise TypeError(f"a CustomerKey is made of bytes, not {type(secret).__name__}")
        if len(secret) != 32:
            raise ValueError(f"a CustomerKey has 32 bytes, not {len(secret)}")
        self._secret = secret

    def headers(self) -> dict[str, str]:
        """For uploads, parts and downloads."""
        return {
            f"{_CUSTOMER}algorithm": "AES256",
            f"{_CUSTOMER}key": b64encode(self._secret).decode(),
            f"{_CUSTOMER}key-md5": b64encode(self._digest()).decode(),
        }

    def document(self) -> dict[str, str]:
        """For starting a large file and for copies."""
        return {
            "mode": "SSE-C",
            "algorithm": "AES256",
            "customerKey": b64encode(self._secret).decode(),
            "customerKeyMd5": b64encode(self._digest()).decode(),
        }

    def _digest(self) -> bytes:
        return md5(self._secret, usedforsecurity=False).digest()

    def __repr__(self) -> str:
        return "CustomerKey('***')"

    def __reduce__(self) -> str:
        raise TypeError("a CustomerKey is not pickled: a secret must not end up in a file or a queue")


def retention_document(retention: Retention | None) -> dict[str, Any]:
    """The JSON of a retention, as B2 writes mode and end; TypeError or ValueError names the argument."""
    if retention is None:
        return {"mode": None, "retainUntilTimestamp": None}
    mode, until = checked_retention(retention)
    return {"mode": mode.lower(), "retainUntilTimestamp": round(until.timestamp() * 1000)}


class Stored(NamedTuple):
    """All that is stored with a file beside its bytes."""

    content_type: str
    info: dict[str, str]
    encryption: str | CustomerKey | None = None
    retention: Retention | None = None
    legal_hold: bool | None = None

    def headers(self) -> dict[str, str]:
        """Of the upload of a small file."""
        fields = {"content-type": self.content_type}
        for name, value in self.info.items():
            fields[INFO + name] = encode_path(value)
        fields.update(encryption_headers(self.encryption))
        if self.retention is not None:
            document = retention_document(self.retention)
            fields["x-bz-file-retention-mode"] = document["mode"]
            fields["x-bz-file-retention-retain-until-timestamp"] = str(document["retainUntilTimestamp"])
        if self.legal_hold is not None:
            fields["x-bz-file-legal-hold"] = "on" if self.legal_hold else "off"
        return fields

    def document(self) -> dict[str, Any]:
        """For b2_start_large_file."""
        return {
            "contentType": self.content_type,
            "fileInfo": self.info,
            "serverSideEncryption": encryption_document(self.encryption),
            **self.protection(),
        }

    def protection(self) -> dict[str, Any]:
        """Retention and legal hold, for JSON."""
        return {
            "fileRetention": None if self.retention is None else retention_document(self.retention),
            "legalHold": None if self.legal_hold is None else ("on" if self.legal_hold else "off"),
        }


def stored(
    key: str,
    *,
    metadata: Mapping[str, str] | None = None,
    content_type: str | None = None,
    cache_control: str | None = None,
    content_disposition: str | None = None,
    content_encoding: str | None = None,
    content_language: str | None = None,
    expires: Any = None,
    last_modified: Any = None,
    encryption: str | CustomerKey | None = None,
    retention: Retention | None = None,
    legal_hold: bool | None = None,
    storage_class: str | None = None,
    acl: str | None = None,
    tagging: object = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    checksum: str | None = None,
) -> Stored:
    """Every argument checked; TypeError or ValueError names the wrong one, NotSupported what B2 does not have.

    Those of the last two rows exist so that they are refused: to leave out a condition would be to overwrite.
    """
    refuse(if_match=if_match, if_none_match=if_none_match, acl=acl, tagging=tagging)
    if storage_class not in (None, "STANDARD"):
        raise NotSupported(f"B2 has no storage class {storage_class!r}")
    if checksum not in (None, "auto", "sha1"):
        raise NotSupported(f"B2 keeps the SHA-1 of a file, not {checksum!r}")
    described = (cache_control, content_disposition, content_encoding, content_language)
    info = _info(metadata)
    for name, value in zip(DESCRIBED, described, strict=False):
        if value is not None:
            info[f"b2-{name}"] = header_value(name.replace("-", "_"), value)
    if expires is not None:
        info["b2-expires"] = header_value("expires", expires) if isinstance(expires, str) else _date("expires", expires)
    if last_modified is not None:
        info[LAST_MODIFIED] = str(round(moment("last_modified", last_modified) * 1000))
    kind = ANY_TYPE if content_type is None else header_value("content_type", content_type)
    if retention is not None:
        checked_retention(retention)
    if legal_hold is not None and not isinstance(legal_hold, bool):
        raise TypeError(f"legal_hold must be a bool, not {type(legal_hold).__name__}")
    check_encryption(encryption)
    _check_size(key, info, PROTECTED_INFO_MAX_BYTES if encryption is not None else INFO_MAX_BYTES)
    return Stored(kind, info, encryption, retention, legal_hold)


def refuse(**given: object) -> None:
    """NotSupported for each argument that has a value: B2 could only ignore it."""
    for name, value in given.items():
        if value is not None:
            raise NotSupported(f"B2 does not know {name}: nothing was sent")


def _info(metadata: Mapping[str, str] | None) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping, not {type(metadata).__name__}")
    info: dict[str, str] = {}
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("metadata must map str to str")
        if re.fullmatch(_INFO_NAME, name) is None:
            raise ValueError(f"metadata has a name that is no header name: {name!r}")
        lower = name.lower()
        if lower.startswith("b2-"):
            raise ValueError(f"metadata has {name!r}: names that begin with b2- are B2's own, and have keywords here")
        if lower == LARGE_FILE_SHA1 and re.fullmatch("[0-9a-f]{40}", value) is None:
            raise ValueError(f"metadata has {name!r} without a SHA-1: 40 hexadecimal digits")
        if lower in info:
            raise ValueError(f"metadata has {lower!r} twice: B2 keeps names in lower case")
        info[lower] = check_text("metadata", value)
    return info


def _check_size(key: str, info: Mapping[str, str], limit: int) -> None:
    size = len(key.encode()) + sum(len(name) + len(value.encode()) for name, value in info.items())
    if info and size > limit:
        raise ValueError(f"metadata takes {size} bytes together with the key; B2 keeps at most {limit}")


def check_encryption(encryption: object, name: str = "encryption") -> None:
    """TypeError or ValueError unless it is "AES256", a CustomerKey or None."""
    if encryption is None or isinstance(encryption, CustomerKey):
        return
    if not isinstance(encryption, str):
        raise TypeError(f'{name} must be "AES256" or a CustomerKey, not {type(encryption).__name__}')
    if encryption != "AES256":
        raise ValueError(f'{name} must be "AES256" or a CustomerKey, not {encryption!r}')


def encryption_headers(encryption: str | CustomerKey | None) -> dict[str, str]:
    """The headers of an upload."""
    if encryption is None:
        return {}
    if isinstance(encryption, CustomerKey):
        return encryption.headers()
    return {"x-bz-server-side-encryption": encryption}


def encryption_document(encryption: str | CustomerKey | None) -> dict[str, str] | None:
    """The JSON of a copy or of the start of a large file."""
    if encryption is None:
        return None
    if isinstance(encryption, CustomerKey):
        return encryption.document()
    return {"mode": "SSE-B2", "algorithm": encryption}


def customer_headers(customer_key: CustomerKey | None) -> dict[str, str]:
    """The headers of a download of what is encrypted with a key of the caller's own."""
    if customer_key is None:
        return {}
    if not isinstance(customer_key, CustomerKey):
        raise TypeError(f"customer_key must be a CustomerKey, not {type(customer_key).__name__}")
    return customer_key.headers()


def moment(name: str, value: object) -> float:
    """Seconds since the epoch of an aware datetime or of a number; TypeError or ValueError names the argument."""
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"{name} is a datetime without a time zone")
        return value.timestamp()
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be an aware datetime or seconds since the epoch, not {type(value).__name__}")
    if not abs(value) < 1e11:
        raise ValueError(f"{name} is no time in seconds: {value}")
    return value


def _date(name: str, value: object) -> str:
    return http_date(moment(name, value))


def decode_info(value: str) -> str:
    """A value of an x-bz-info header; "+" is a space, as B2 itself reads it. What is no encoding stays as it is."""
    try:
        return decode_component(value.replace("+", " "))
    except ValueError:
        return value
