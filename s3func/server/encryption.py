"""Server-side encryption as clients see it: which was asked for, what an answer says of it, and who has the right key.

Rule 1: nothing is encrypted. What an object was asked to be encrypted with is kept as its document, and answered; whoever
        can read the disk can read the object. docs/server.md says so.
Rule 2: of a customer's key (SSE-C) only a salted hash is kept. Without the same key there is no answer about the object.
Rule 3: only keys that the server was told of are keys of KMS; there is no key of its own (aws/s3) to fall back on.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Collection, Mapping
from typing import Any

from s3func.errors import ServiceError, service_error
from s3func.wire.s3xml_stored import parse_configuration

ENCRYPTION = "encryption"
"""The name of the document: of a bucket its configuration, of an object what it was stored with (JSON)."""

HEADER = "x-amz-server-side-encryption"
CUSTOMER = f"{HEADER}-customer-"
SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"
_KEY_ID = f"{HEADER}-aws-kms-key-id"
_CONTEXT = f"{HEADER}-context"
_BUCKET_KEY = f"{HEADER}-bucket-key-enabled"
_OF_THE_STORE = (HEADER, _KEY_ID, _CONTEXT, _BUCKET_KEY)
_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
_KEY_BYTES = 32


def object_encryption(
    headers: Mapping[str, str], bucket: Mapping[str, str], key_ids: Collection[str] | None
) -> dict[str, str]:
    """The document that a new object is to have, {} for none: from the headers, else from its bucket's default.

    bucket: the documents of the bucket. key_ids: the keys of KMS, None where every name is one.
    Raises InvalidRequest (InvalidArgument, InvalidEncryptionAlgorithmError, KMS.NotFoundException), AccessDenied.
    """
    default, blocked = _bucket_default(bucket)
    key = customer_key(headers)
    algorithm = headers.get(HEADER)
    if key is not None:
        if algorithm is not None or _KEY_ID in headers:
            raise _invalid(
                HEADER,
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            )
        if "SSE-C" in blocked:
            raise service_error("AccessDenied", "Uploads with SSE-C are blocked for this bucket.")
        salt = secrets.token_bytes(16)
        return {ENCRYPTION: json.dumps({"salt": salt.hex(), "customer": _digest(key, salt)})}
    if algorithm is None:
        for name in (_KEY_ID, _CONTEXT):
            if name in headers:
                raise _invalid(name, f"{name} needs {HEADER}: aws:kms")
        if not default:
            return {}
        algorithm = default["SSEAlgorithm"]
    if algorithm not in _ALGORITHMS:
        raise _invalid(HEADER, "The encryption method specified is not supported")
    if algorithm == "AES256":
        if _KEY_ID in headers or _CONTEXT in headers:
            raise _invalid(HEADER, f"A key id and a context are for {HEADER}: aws:kms")
        return {ENCRYPTION: json.dumps({"algorithm": algorithm})}
    return {ENCRYPTION: json.dumps(_with_kms(algorithm, headers, default, key_ids))}


def check_key_id(key_id: str | None, key_ids: Collection[str] | None) -> str:
    """The id of a key of KMS; InvalidRequest (InvalidArgument, KMS.NotFoundException) where there is no such key."""
    if not key_id:
        raise _invalid(_KEY_ID, "This server has no KMS key of its own (aws/s3); name one.")
    if key_ids is not None and key_id not in key_ids and key_id.rpartition("/")[2] not in key_ids:
        raise service_error("KMS.NotFoundException", f"Key '{key_id[:300]}' does not exist", status=400)
    return key_id


def check_readable(headers: Mapping[str, str], documents: Mapping[str, str], prefix: str = CUSTOMER) -> None:
    """Raise unless the request has the key that the object needs: before anything is said of the object.

    prefix: SOURCE_CUSTOMER for the source of a copy. Raises InvalidRequest (InvalidRequest, InvalidArgument).
    """
    if prefix == CUSTOMER:
        for name in _OF_THE_STORE:
            if name in headers:
                raise _invalid(name, f"{name} header is not supported for this operation.")
    _check_customer_key(headers, documents, prefix)


def check_part(headers: Mapping[str, str], documents: Mapping[str, str]) -> None:
    """Raise unless a part, or the completion, comes with the key that the upload was begun with."""
    _check_customer_key(headers, documents, CUSTOMER)


def encryption_headers(
    headers: Mapping[str, str], documents: Mapping[str, str], *, written: bool = False
) -> dict[str, str]:
    """What an answer says of an object's encryption. headers: of the request, whose key was checked. written: of a PUT."""
    document = documents.get(ENCRYPTION)
    if document is None:
        return {}
    kept = json.loads(document)
    if "customer" in kept:
        # Who asks has sent the key, so its MD5 need not be kept.
        return {f"{CUSTOMER}algorithm": "AES256", f"{CUSTOMER}key-md5": headers.get(f"{CUSTOMER}key-md5", "")}
    answer = {HEADER: kept["algorithm"]}
    if "key_id" in kept:
        answer[_KEY_ID] = kept["key_id"]
    if kept.get("bucket_key"):
        answer[_BUCKET_KEY] = "true"
    if written and "context" in kept:
        answer[_CONTEXT] = kept["context"]
    return answer


def customer_key(headers: Mapping[str, str], prefix: str = CUSTOMER) -> bytes | None:
    """The customer's key in the headers, None without any; InvalidRequest where its three headers do not fit together."""
    algorithm, text, md5 = (
        headers.get(f"{prefix}algorithm"),
        headers.get(f"{prefix}key"),
        headers.get(f"{prefix}key-md5"),
    )
    if algorithm is None and text is None and md5 is None:
        return None
    if algorithm is None:
        raise _invalid(
            f"{prefix}algorithm",
            "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
            "algorithm.",
        )
    if algorithm != "AES256":
        raise service_error(
            "InvalidEncryptionAlgorithmError",
            "The encryption request you specified is not valid. The valid value is AES256.",
            details={"ArgumentName": f"{prefix}algorithm", "ArgumentValue": algorithm[:100]},
        )
    if not text:
        raise _invalid(
            f"{prefix}key",
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret "
            "key.",
        )
    if not md5:
        raise _invalid(
            f"{prefix}key-md5",
            "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated "
            "MD5 of the secret key.",
        )
    try:
        key = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise _invalid(f"{prefix}key", "The secret key was invalid for the specified algorithm.")
    if not hmac.compare_digest(b64encode(hashlib.md5(key, usedforsecurity=False).digest()), md5.encode()):
        raise _invalid(
            f"{prefix}key-md5", "The calculated MD5 hash of the key did not match the hash that was provided."
        )
    return key


def _check_customer_key(headers: Mapping[str, str], documents: Mapping[str, str], prefix: str) -> None:
    key = customer_key(headers, prefix)
    document = documents.get(ENCRYPTION)
    kept = {} if document is None else json.loads(document)
    if "customer" not in kept:
        if key is not None:
            raise _refused("The encryption parameters are not applicable to this object.")
        return
    if key is None:
        raise _refused(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    if not hmac.compare_digest(_digest(key, bytes.fromhex(kept["salt"])), kept["customer"]):
        raise _refused("The provided encryption parameters did not match the ones used originally.")


def _with_kms(
    algorithm: str, headers: Mapping[str, str], default: Mapping[str, Any], key_ids: Collection[str] | None
) -> dict[str, Any]:
    key_id = headers.get(_KEY_ID)
    bucket_key = headers.get(_BUCKET_KEY, "").lower() == "true"
    if default.get("SSEAlgorithm") == algorithm:
        key_id = key_id or default.get("KMSMasterKeyID")
        bucket_key = bucket_key or (_BUCKET_KEY not in headers and bool(default.get("BucketKeyEnabled")))
    kept: dict[str, Any] = {"algorithm": algorithm, "key_id": check_key_id(key_id, key_ids)}
    if bucket_key:
        kept["bucket_key"] = True
    if _CONTEXT in headers:
        _check_context(headers[_CONTEXT])
        kept["context"] = headers[_CONTEXT]
    return kept


def _bucket_default(bucket: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The encryption of objects that ask for none ({} for none), and the kinds that the bucket refuses."""
    document = bucket.get(ENCRYPTION)
    if document is None:
        return {}, []
    (rule,) = parse_configuration("ServerSideEncryptionConfiguration", document.encode())["Rules"]
    default = dict(rule.get("ApplyServerSideEncryptionByDefault", {}))
    if default:
        default["BucketKeyEnabled"] = rule.get("BucketKeyEnabled", False)
    return default, rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", [])


def _check_context(text: str) -> None:
    try:
        context = json.loads(b64decode(text, validate=True))
    except (Base64Error, ValueError, RecursionError):
        context = None
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise _invalid(
            _CONTEXT,
            f"The header '{_CONTEXT}' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string "
            "map",
        )


def _digest(key: bytes, salt: bytes) -> str:
    return hmac.digest(salt, key, "sha256").hex()


def _invalid(name: str, message: str) -> ServiceError:
    return service_error("InvalidArgument", message, details={"ArgumentName": name})


def _refused(message: str) -> ServiceError:
    return service_error("InvalidRequest", message)
