"""The page of 1,000 keys that listings are measured with, in the bytes that stores send.

`plain/` is a page as Ceph, MinIO and other stores send it, its keys such that url-encoding changes nothing. `lake/` is
a table on AWS today: each row has the ChecksumAlgorithm and ChecksumType of the default checksum, and the keys have
"=" in them, which arrives as %3D where a client asks for encoding-type=url.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

PLAIN_PREFIX = "plain/"
LAKE_PREFIX = "lake/"
KEYS = 1000


def entry_size(number: int) -> int:
    """Bytes of the object in row `number`."""
    return 1000 + number * 977


TOTAL_SIZE = sum(entry_size(number) for number in range(KEYS))
"""What the sizes of one page add up to: the proof that a client has looked at each row."""


def list_page(bucket: str, prefix: str, *, url_encoded: bool) -> bytes:
    """One complete ListBucketResult."""
    lake = prefix == LAKE_PREFIX
    folder = f"{prefix}year=2026/month=11/" if lake else f"{prefix}2026/11/"
    if url_encoded:
        folder = quote(folder)
    checksums = "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>" if lake else ""
    rows = []
    for number in range(KEYS):
        etag = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
        rows.append(
            f"<Contents><Key>{folder}part-{number:05d}.snappy.parquet</Key>"
            f"<LastModified>2026-11-{number % 28 + 1:02d}T10:{number % 60:02d}:{number % 59:02d}.000Z</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>{checksums}<Size>{entry_size(number)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    encoding = "<EncodingType>url</EncodingType>" if url_encoded else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{prefix}</Prefix><KeyCount>{KEYS}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"{encoding}<IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>"
    ).encode()
