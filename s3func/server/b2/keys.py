"""b2_authorize_account and application keys.

https://www.backblaze.com/docs/cloud-storage-application-keys
"""

from __future__ import annotations

import re
import secrets

from s3func.message import Response
from s3func.server.b2.call import B2Call, answer
from s3func.server.b2.keyring import CAPABILITIES, Key, digest_of
from s3func.server.b2.large import PART_BYTES_MIN, PART_BYTES_RECOMMENDED
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backends.identity import bucket_identity
from s3func.wire.b2json_account import (
    AllowedBucket,
    ApplicationKey,
    Authorization,
    KeysPage,
    key_fields,
    render_authorization,
)

_NAME = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_KEY_SECONDS_MAX = 1000 * 24 * 60 * 60 - 1
_MULTIPLE = 4
"""The first version of the API whose keys may be for several buckets."""


def authorize_account(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-authorize-account."""
    key, token = call.accounts.authorize(call.token or "")
    call.act_for(key)
    buckets = None
    if key.bucket_ids is not None:
        if len(key.bucket_ids) > 1 and call.version < _MULTIPLE:
            raise refuse("unsupported", "A key of several buckets needs version 4 of the API")
        names = {bucket_identity(info.name, info.created): info.name for info in call.backend.list_buckets()}
        buckets = tuple(AllowedBucket(each, names.get(each)) for each in key.bucket_ids)
    authorization = Authorization(
        key.account_id,
        token,
        call.base,
        call.base,
        call.base,
        PART_BYTES_RECOMMENDED,
        PART_BYTES_MIN,
        key.capabilities,
        buckets,
        key.prefix,
        key.expires,
    )
    return answer(render_authorization(authorization, version=call.version))


def create_key(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-create-key."""
    call.demand("writeKeys")
    name = call.text("keyName")
    if _NAME.fullmatch(name) is None:
        raise bad_request("keyName must have 1 to 100 letters, digits and -")
    capabilities = call.fields.get("capabilities")
    if (
        not isinstance(capabilities, list)
        or not capabilities
        or not all(isinstance(each, str) for each in capabilities)
    ):
        raise bad_request("capabilities must be a list of names")
    unknown = set(capabilities) - set(CAPABILITIES)
    if unknown:
        raise bad_request(f"unknown capability: {min(unknown)[:100]}")
    if call.key.bucket_ids is not None or not set(capabilities) <= set(call.key.capabilities):
        raise refuse("unauthorized", "A key cannot make one that may do more than itself")
    bucket_ids = call.fields.get("bucketIds")
    if bucket_ids is None and call.fields.get("bucketId") is not None:
        bucket_ids = [call.fields["bucketId"]]
    if bucket_ids is not None:
        if not isinstance(bucket_ids, list) or not all(isinstance(each, str) for each in bucket_ids):
            raise bad_request("bucketIds must be a list of ids")
        for each in bucket_ids:
            call.bucket(each)
    prefix = call.optional_text("namePrefix")
    if prefix is not None and bucket_ids is None:
        raise bad_request("namePrefix needs a bucket")
    expires = None
    if "validDurationInSeconds" in call.fields:
        seconds = call.number("validDurationInSeconds", None, 1, _KEY_SECONDS_MAX)
        expires = round((call.clock.now() + seconds) * 1000)
    secret = f"K005{secrets.token_urlsafe(20)}"
    key = Key(
        f"005{secrets.token_hex(11)}",
        digest_of(secret),
        call.key.user,
        name,
        tuple(capabilities),
        None if bucket_ids is None else tuple(bucket_ids),
        prefix,
        expires,
    )
    call.accounts.add_key(key)
    return _answer(call, key, secret)


def delete_key(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-delete-key."""
    call.demand("deleteKeys")
    return _answer(call, call.accounts.remove_key(call.key.user, call.text("applicationKeyId")))


def list_keys(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-keys."""
    call.demand("listKeys")
    limit = call.number("maxKeyCount", 100, 0, 10_000) or 100
    start = call.text("startApplicationKeyId", "")
    found = [key for key in call.accounts.keys_of(call.key.user) if key.id >= start]
    page = KeysPage([_described(key) for key in found[:limit]], found[limit].id if len(found) > limit else None)
    rows = [_fields(call, each) for each in page.keys]
    return answer({"keys": rows, "nextApplicationKeyId": page.next_application_key_id})


def _described(key: Key, secret: str | None = None) -> ApplicationKey:
    return ApplicationKey(
        key.id,
        key.name,
        key.capabilities,
        key.bucket_ids,
        key.prefix,
        key.expires,
        secret,
        key.account_id,
    )


def _answer(call: B2Call, key: Key, secret: str | None = None) -> Response:
    return answer(_fields(call, _described(key, secret)))


def _fields(call: B2Call, key: ApplicationKey) -> dict[str, object]:
    fields = key_fields(key)
    if call.version < _MULTIPLE:
        bucket_ids = fields.pop("bucketIds")
        fields["bucketId"] = bucket_ids[0] if bucket_ids else None
    return fields
