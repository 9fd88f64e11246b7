"""The documents that both stores of the B2 benchmark answer with, in the shape of the real ones."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from benchmarks.page import KEYS, entry_size
from benchmarks.sink import BUCKET

ACCOUNT_ID = "4aa9865d6f00"
BUCKET_ID = "547a2a395826655d561f0010"
TOKEN = "4_0014aa9865d6f000000000001_01bfe3a2_1c5c4a_acct_p1WpmGoVKGyXKRnYgXiQyJ3ywGk="
UPLOAD_TOKEN = "4_0014aa9865d6f000000000001_01bfe3a2_9d2b3c_upld_hU5sdWdYEz2JRvUoRqeQGd0Wq3I="
TIMESTAMP = 1_795_219_200_000
_CAPABILITIES = ["listBuckets", "listFiles", "readFiles", "shareFiles", "writeFiles", "deleteFiles", "readBuckets"]


def file_id(number: int, *, large: bool = False) -> str:
    """An id in the shape that B2 gives out today."""
    kind = 2 if large else 1
    return f"4_z{BUCKET_ID}_f{kind}{number:015x}_d20261121_m000000_c001_v0001013_t0005_u01795219200000"


def authorization(endpoint: str) -> dict[str, Any]:
    storage = {
        "absoluteMinimumPartSize": 5_000_000,
        "apiUrl": endpoint,
        "downloadUrl": endpoint,
        "recommendedPartSize": 100_000_000,
        "s3ApiUrl": endpoint,
        "allowed": {
            "buckets": [{"id": BUCKET_ID, "name": BUCKET}],
            "capabilities": _CAPABILITIES,
            "namePrefix": None,
        },
    }
    return {
        "accountId": ACCOUNT_ID,
        "apiInfo": {"storageApi": storage},
        "applicationKeyExpirationTimestamp": None,
        "authorizationToken": TOKEN,
    }


def buckets() -> dict[str, Any]:
    row = {
        "accountId": ACCOUNT_ID,
        "bucketId": BUCKET_ID,
        "bucketInfo": {},
        "bucketName": BUCKET,
        "bucketType": "allPrivate",
        "corsRules": [],
        "defaultServerSideEncryption": {"isClientAuthorizedToRead": True, "value": {"algorithm": None, "mode": None}},
        "fileLockConfiguration": {"isClientAuthorizedToRead": False, "value": None},
        "lifecycleRules": [],
        "options": ["s3"],
        "replicationConfiguration": {"isClientAuthorizedToRead": False, "value": None},
        "revision": 2,
    }
    return {"buckets": [row]}


def file_row(name: str, size: int, sha1: str, identity: str, action: str = "upload") -> dict[str, Any]:
    """What B2 says about a file, with all of its fields."""
    return {
        "accountId": ACCOUNT_ID,
        "action": action,
        "bucketId": BUCKET_ID,
        "contentLength": size,
        "contentMd5": None if sha1 == "none" else hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
        "contentSha1": sha1,
        "contentType": "application/octet-stream",
        "fileId": identity,
        "fileInfo": {"src_last_modified_millis": str(TIMESTAMP)},
        "fileName": name,
        "fileRetention": {"isClientAuthorizedToRead": True, "value": {"mode": None, "retainUntilTimestamp": None}},
        "legalHold": {"isClientAuthorizedToRead": True, "value": None},
        "serverSideEncryption": {"algorithm": None, "mode": None},
        "uploadTimestamp": TIMESTAMP,
    }


def names_page(prefix: str) -> bytes:
    """A page of b2_list_file_names: 1,000 rows, and no more behind it."""
    rows = [
        file_row(
            f"{prefix}2026/11/part-{number:05d}.snappy.parquet",
            entry_size(number),
            hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest(),
            file_id(number),
        )
        for number in range(KEYS)
    ]
    return json.dumps({"files": rows, "nextFileName": None}).encode()
