"""What the four conditional headers make of a request, for reads and for the source of a copy."""

from __future__ import annotations

import hashlib

from s3func.wire.encoding import http_date

BODY = bytes(range(256))
ETAG = hashlib.md5(BODY).hexdigest()
OLD, NEW = http_date(0), http_date(4_000_000_000)
CONDITIONS: list[tuple[dict[str, str], int]] = [
    ({"if-match": f'"{ETAG}"'}, 200),
    ({"if-match": ETAG}, 200),
    ({"if-match": f'"other", "{ETAG}"'}, 200),
    ({"if-match": "*"}, 200),
    ({"if-match": '"other"'}, 412),
    ({"if-none-match": '"other"'}, 200),
    ({"if-none-match": f'"{ETAG}"'}, 304),
    ({"if-none-match": f'W/"{ETAG}"'}, 304),
    ({"if-none-match": "*"}, 304),
    ({"if-modified-since": OLD}, 200),
    ({"if-modified-since": NEW}, 304),
    ({"if-modified-since": "nonsense"}, 200),
    ({"if-unmodified-since": OLD}, 412),
    ({"if-unmodified-since": NEW}, 200),
    ({"if-unmodified-since": "nonsense"}, 200),
    # RFC 9110 section 13.2.2: the ETag decides where both are given.
    ({"if-match": f'"{ETAG}"', "if-unmodified-since": OLD}, 200),
    ({"if-match": '"other"', "if-unmodified-since": NEW}, 412),
    ({"if-none-match": '"other"', "if-modified-since": NEW}, 200),
    ({"if-none-match": f'"{ETAG}"', "if-modified-since": OLD}, 304),
    ({"if-match": '"other"', "if-none-match": f'"{ETAG}"'}, 412),
    ({"if-none-match": f'"{ETAG}"', "range": "bytes=999-"}, 304),
    ({"if-match": f'"{ETAG}"', "range": "bytes=0-1"}, 206),
    ({"if-match": '"other"', "range": "bytes=999-"}, 412),
]
