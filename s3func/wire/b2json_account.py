"""The documents of the Backblaze B2 native API about accounts, buckets and application keys, in the manner of b2json.py.

Rule: a token and an application key are never in a repr.
https://www.backblaze.com/docs/cloud-storage-application-keys
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from s3func.errors import ProtocolError
from s3func.wire.b2json import count, mapping, optional_text, parse_object, render_object, text, texts

# --- b2_authorize_account: https://www.backblaze.com/apidocs/b2-authorize-account


class AllowedBucket(NamedTuple):
    """A bucket that a key is restricted to; the name is None when the bucket is gone."""

    id: str
    name: str | None


class Authorization(NamedTuple):
    """What a key may do, for how long, and where. `buckets` is None for all of them."""

    account_id: str
    token: str
    api_url: str
    download_url: str
    s3_api_url: str = ""
    recommended_part_size: int = 100_000_000
    minimum_part_size: int = 5_000_000
    capabilities: tuple[str, ...] = ()
    buckets: tuple[AllowedBucket, ...] | None = None
    name_prefix: str | None = None
    key_expires: int | None = None

    def __repr__(self) -> str:
        return f"Authorization(account_id={self.account_id!r}, token='***', api_url={self.api_url!r})"


def parse_authorization(body: bytes) -> Authorization:
    """The answer of v1 and v2 (flat), v3 (one bucket) or v4 (any number of them)."""
    document = parse_object(body)
    storage = document
    if "apiInfo" in document:
        storage = mapping(mapping(document, "apiInfo"), "storageApi")
    allowed = storage.get("allowed")
    if not isinstance(allowed, dict):
        allowed = storage
    buckets: tuple[AllowedBucket, ...] | None = None
    rows = allowed.get("buckets")
    if isinstance(rows, list):
        buckets = tuple(AllowedBucket(text(row, "id"), optional_text(row, "name")) for row in rows)
    elif allowed.get("bucketId") is not None:
        buckets = (AllowedBucket(text(allowed, "bucketId"), optional_text(allowed, "bucketName")),)
    capabilities = texts(allowed, "capabilities") or texts(storage, "capabilities")
    expires = document.get("applicationKeyExpirationTimestamp")
    return Authorization(
        account_id=text(document, "accountId"),
        token=text(document, "authorizationToken"),
        api_url=text(storage, "apiUrl"),
        download_url=text(storage, "downloadUrl"),
        s3_api_url=optional_text(storage, "s3ApiUrl") or "",
        recommended_part_size=count(storage, "recommendedPartSize", 100_000_000),
        minimum_part_size=count(storage, "absoluteMinimumPartSize", 5_000_000),
        capabilities=capabilities,
        buckets=buckets,
        name_prefix=optional_text(allowed, "namePrefix"),
        key_expires=expires if isinstance(expires, int) else None,
    )


def render_authorization(authorization: Authorization, *, version: int = 4) -> bytes:
    """The document of a version of the API: flat before 3, with one bucket before 4."""
    buckets = authorization.buckets
    first = buckets[0] if buckets else AllowedBucket("", None)
    one: dict[str, Any] = {
        "bucketId": first.id or None,
        "bucketName": first.name,
        "capabilities": list(authorization.capabilities),
        "namePrefix": authorization.name_prefix,
    }
    storage: dict[str, Any] = {
        "absoluteMinimumPartSize": authorization.minimum_part_size,
        "apiUrl": authorization.api_url,
        "downloadUrl": authorization.download_url,
        "recommendedPartSize": authorization.recommended_part_size,
        "s3ApiUrl": authorization.s3_api_url,
    }
    who = {"accountId": authorization.account_id, "authorizationToken": authorization.token}
    if version < 3:
        if version == 1:
            storage["minimumPartSize"] = authorization.recommended_part_size
        return render_object(who | storage | {"allowed": one})
    if version == 3:
        storage |= {"infoType": "storageApi", **one}
    else:
        storage["allowed"] = {
            "buckets": None if buckets is None else [{"id": bucket.id, "name": bucket.name} for bucket in buckets],
            "capabilities": list(authorization.capabilities),
            "namePrefix": authorization.name_prefix,
        }
    expires = authorization.key_expires
    return render_object(who | {"apiInfo": {"storageApi": storage}, "applicationKeyExpirationTimestamp": expires})


# --- Buckets: https://www.backblaze.com/apidocs/b2-list-buckets


class StoredBucket(NamedTuple):
    """A bucket. `settings` is its whole row: what B2 adds to it next year is there as well."""

    id: str
    name: str
    type: str
    revision: int
    settings: Mapping[str, Any]


def parse_bucket(body: bytes) -> StoredBucket:
    """The answer of b2_create_bucket, b2_update_bucket and b2_delete_bucket."""
    return _bucket(parse_object(body))


def parse_buckets(body: bytes) -> list[StoredBucket]:
    """The answer of b2_list_buckets."""
    rows = parse_object(body).get("buckets")
    if not isinstance(rows, list):
        raise ProtocolError("the answer has no list of buckets")
    return [_bucket(row) for row in rows]


def _bucket(row: Any) -> StoredBucket:
    if not isinstance(row, dict):
        raise ProtocolError("a bucket in the answer is no object")
    kind = optional_text(row, "bucketType") or ""
    return StoredBucket(text(row, "bucketId"), text(row, "bucketName"), kind, count(row, "revision", 0), row)


def bucket_fields(bucket: StoredBucket) -> dict[str, Any]:
    """The row of a bucket."""
    named = {
        "bucketId": bucket.id,
        "bucketName": bucket.name,
        "bucketType": bucket.type,
        "revision": bucket.revision,
    }
    return {**bucket.settings, **named}


def render_bucket(bucket: StoredBucket) -> bytes:
    """The document of one bucket."""
    return render_object(bucket_fields(bucket))


def render_buckets(buckets: Iterable[StoredBucket]) -> bytes:
    """The document of b2_list_buckets."""
    return render_object({"buckets": [bucket_fields(bucket) for bucket in buckets]})


# --- Application keys: https://www.backblaze.com/apidocs/b2-create-key


class ApplicationKey(NamedTuple):
    """An application key. `application_key` is the secret, which B2 tells once, when the key is made.

    bucket_ids: None for all buckets. expires: milliseconds since the epoch, None for never.
    """

    application_key_id: str
    key_name: str
    capabilities: tuple[str, ...]
    bucket_ids: tuple[str, ...] | None = None
    name_prefix: str | None = None
    expires: int | None = None
    application_key: str | None = None
    account_id: str | None = None

    def __repr__(self) -> str:
        return f"ApplicationKey(application_key_id={self.application_key_id!r}, key_name={self.key_name!r})"


class KeysPage(NamedTuple):
    """A page of b2_list_keys, and the id that the next one begins with."""

    keys: list[ApplicationKey]
    next_application_key_id: str | None = None


def parse_key(body: bytes) -> ApplicationKey:
    """The answer of b2_create_key and of b2_delete_key."""
    return _key(parse_object(body))


def parse_keys(body: bytes) -> KeysPage:
    """The answer of b2_list_keys."""
    document = parse_object(body)
    rows = document.get("keys")
    if not isinstance(rows, list):
        raise ProtocolError("the answer has no list of keys")
    if "nextApplicationKeyId" not in document:
        raise ProtocolError("the list of keys does not say whether more follow")
    return KeysPage([_key(row) for row in rows], optional_text(document, "nextApplicationKeyId"))


def _key(row: Any) -> ApplicationKey:
    if not isinstance(row, dict):
        raise ProtocolError("a key in the answer is no object")
    buckets = texts(row, "bucketIds") if row.get("bucketIds") is not None else None
    if buckets is None and (bucket := optional_text(row, "bucketId")) is not None:
        buckets = (bucket,)
    expires = row.get("expirationTimestamp")
    return ApplicationKey(
        text(row, "applicationKeyId"),
        text(row, "keyName"),
        texts(row, "capabilities"),
        buckets,
        optional_text(row, "namePrefix"),
        expires if isinstance(expires, int) else None,
        optional_text(row, "applicationKey"),
        optional_text(row, "accountId"),
    )


def key_fields(key: ApplicationKey) -> dict[str, Any]:
    """The row of a key; the secret is in it only where the key has it."""
    fields: dict[str, Any] = {
        "accountId": key.account_id,
        "applicationKeyId": key.application_key_id,
        "bucketIds": None if key.bucket_ids is None else list(key.bucket_ids),
        "capabilities": list(key.capabilities),
        "expirationTimestamp": key.expires,
        "keyName": key.key_name,
        "namePrefix": key.name_prefix,
        "options": ["s3"],
    }
    if key.application_key is not None:
        fields["applicationKey"] = key.application_key
    return fields


def render_key(key: ApplicationKey) -> bytes:
    """The document of one key."""
    return render_object(key_fields(key))


def render_keys(page: KeysPage) -> bytes:
    """The document of a page of keys."""
    keys = [key_fields(key) for key in page.keys]
    return render_object({"keys": keys, "nextApplicationKeyId": page.next_application_key_id})
