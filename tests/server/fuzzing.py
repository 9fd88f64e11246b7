"""Requests as nobody would send them: the words of the protocol put together by chance, mostly signed.

A request begins as one that the server has a route for, with the parameters, headers and documents that belong to it,
and then has a few of them changed, dropped or made up; otherwise hardly one in a hundred would get behind the first
check. `{upload}`, `{version}` and `{etag}` stand for what the requests before it were given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import strategies as st

from s3func.server.routing import METHODS, PARAMETERS, ROUTES, SUBRESOURCES
from s3func.wire.encoding import encode_component, encode_path
from tests.interop.keys import HOSTILE_KEYS


class Draft(NamedTuple):
    """A request before it is signed; `signing` is the way in which it will be."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    signing: str

    def filled(self, known: Mapping[str, str]) -> Draft:
        """With what the server has answered so far in the places that are left open for it."""

        def fill(text: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], match[0]), text)

        return self._replace(
            path=fill(self.path),
            query=tuple((name, fill(value)) for name, value in self.query),
            headers={name: fill(value) for name, value in self.headers.items()},
            body=fill(self.body.decode("latin-1")).encode("latin-1"),
        )

    @property
    def raw_query(self) -> str:
        """The query as it stands in the target, every name with its "=" but those that begin with "!"."""
        pairs = []
        for name, value in self.query:
            if name.startswith("!"):
                pairs.append(f"{name[1:]}={value}" if value else name[1:])
            else:
                pairs.append(f"{encode_component(name)}={encode_component(value)}")
        return "&".join(pairs)


BUCKETS = ("bkt", "ver", "lock", "open", "theirs", "none")
KEYS = ("key", "large", "a/b/c", "a//b", "../x", "é +&", "key", "key")

SIGNINGS = (
    *("header",) * 12,
    *("unsigned payload", "presigned", "chunks", "trailer", "other user"),
    *("anonymous", "wrong secret", "old", "swapped body", "broken chunks", "garbage"),
)

NUMBERS = ("", "0", "1", "2", "-1", "1000", "10000", "10001", "2147483648", "99999999999999999999", "1.5", "x", "٣")
WORDS = (
    "null",
    "{version}",
    "{upload}",
    "{etag}",
    "key",
    "a/",
    "/",
    "*",
    "url",
    "true",
    "ENABLED",
    "é",
    "a b",
    "%",
    "\0",
)
DATES = ("Sat, 21 Nov 2026 10:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "2050-01-01T00:00:00Z", "2020-01-01", "soon")
MD5 = "1B2M2Y8AsgTpgAmY7PhCfg=="
SHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
AES_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

HEADERS: dict[str, tuple[str, ...]] = {
    "range": ("bytes=0-0", "bytes=-5", "bytes=2-", "bytes=9-1", "bytes=0-1,3-4", "bytes=", "items=0-1", "bytes=99-"),
    "if-match": ("*", "{etag}", '"x"', 'W/"x"', '"x", {etag}', ""),
    "if-none-match": ("*", "{etag}", '"x"', ""),
    "if-modified-since": DATES,
    "if-unmodified-since": DATES,
    "if-range": ("{etag}", *DATES),
    "content-md5": (MD5, "AAAA", "", "x", "é"),
    "content-type": ("text/plain", "", "multipart/form-data", 'multipart/form-data; boundary="="', "é"),
    "content-length": NUMBERS,
    "content-encoding": ("gzip", "aws-chunked", "aws-chunked,gzip", ""),
    "content-language": ("en", "é"),
    "content-disposition": ('attachment; filename="é"', ""),
    "cache-control": ("no-cache", ""),
    "expires": DATES,
    "expect": ("100-continue", "x"),
    "origin": ("http://a.example", "*", "", "null", "é"),
    "access-control-request-method": ("GET", "PUT", "x", ""),
    "access-control-request-headers": ("x-a, x-b", "", ",,,"),
    "transfer-encoding": ("chunked", "gzip"),
    "host": ("localhost", "bkt.localhost", "a..localhost", "theirs.localhost:80", "", "[::1]:80", ".localhost"),
    "date": DATES,
    "x-amz-date": ("20261121T100000Z", "20150830T123600Z", "x"),
    "x-amz-acl": ("private", "public-read", "public-read-write", "bucket-owner-full-control", "x", ""),
    "x-amz-grant-read": (
        'id="s3func"',
        'emailAddress="x"',
        'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
        "x",
    ),
    "x-amz-grant-full-control": ('id="other"', 'id=s3func, id="other"', "id=", "="),
    "x-amz-copy-source": (
        "/bkt/key",
        "ver/key?versionId={version}",
        "theirs/key",
        "bkt/%zz",
        "bkt",
        "/",
        "bkt/a%2F%2Fb",
    ),
    "x-amz-copy-source-range": ("bytes=0-4", "bytes=5-1", "bytes=0-99999999999", "x"),
    "x-amz-copy-source-if-match": ("*", "{etag}", "x"),
    "x-amz-copy-source-if-modified-since": DATES,
    "x-amz-metadata-directive": ("COPY", "REPLACE", "x"),
    "x-amz-tagging-directive": ("COPY", "REPLACE", "x"),
    "x-amz-tagging": ("a=b&c=d", "a=b&a=c", "=", "a", "%zz=1", "aws:x=1", "&".join(f"{n}=1" for n in range(11))),
    "x-amz-storage-class": ("STANDARD", "GLACIER", "x", ""),
    "x-amz-website-redirect-location": ("/other", "http://a.example", "x", ""),
    "x-amz-meta-a": ("b", "é", "=?UTF-8?B?w6k=?=", "=?UTF-8?Q?=ZZ?=", "x" * 2049),
    "x-amz-meta-": ("b",),
    "x-amz-checksum-crc32": ("AAAAAA==", "x", ""),
    "x-amz-checksum-crc32c": ("AAAAAA==",),
    "x-amz-checksum-crc64nvme": ("AAAAAAAAAAA=",),
    "x-amz-checksum-sha256": (SHA256, "x"),
    "x-amz-checksum-algorithm": ("CRC32", "SHA256", "CRC64NVME", "MD5", ""),
    "x-amz-checksum-type": ("COMPOSITE", "FULL_OBJECT", "x"),
    "x-amz-checksum-mode": ("ENABLED", "x"),
    "x-amz-sdk-checksum-algorithm": ("CRC32", "SHA256", "x"),
    "x-amz-trailer": ("x-amz-checksum-crc32", "x-amz-checksum-x", "content-length", ""),
    "x-amz-decoded-content-length": NUMBERS,
    "x-amz-content-sha256": ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x", "0" * 64),
    "x-amz-mp-object-size": NUMBERS,
    "x-amz-object-attributes": ("ETag,ObjectSize", "Checksum,ObjectParts,StorageClass", "x", ""),
    "x-amz-max-parts": NUMBERS,
    "x-amz-part-number-marker": NUMBERS,
    "x-amz-object-lock-mode": ("GOVERNANCE", "COMPLIANCE", "x"),
    "x-amz-object-lock-retain-until-date": DATES,
    "x-amz-object-lock-legal-hold": ("ON", "OFF", "x"),
    "x-amz-bypass-governance-retention": ("true", "x"),
    "x-amz-bucket-object-lock-enabled": ("true", "false", "x"),
    "x-amz-object-ownership": ("BucketOwnerEnforced", "ObjectWriter", "BucketOwnerPreferred", "x"),
    "x-amz-mfa": ("serial 123456",),
    "x-amz-expected-bucket-owner": ("s3func", "x", ""),
    "x-amz-source-expected-bucket-owner": ("s3func", "x"),
    "x-amz-server-side-encryption": ("AES256", "aws:kms", "aws:kms:dsse", "x"),
    "x-amz-server-side-encryption-aws-kms-key-id": ("some-key", "", "é"),
    "x-amz-server-side-encryption-customer-algorithm": ("AES256", "x"),
    "x-amz-server-side-encryption-customer-key": (AES_KEY, "x", ""),
    "x-amz-server-side-encryption-customer-key-md5": ("hRasmdxgYDKV3nvbahU1MA==", MD5, "x"),
    "x-amz-copy-source-server-side-encryption-customer-key": (AES_KEY, "x"),
    "x-amz-if-match-size": NUMBERS,
    "x-amz-if-match-last-modified-time": DATES,
    "x-amz-write-offset-bytes": NUMBERS,
    "x-amz-security-token": ("token",),
    "x-amz-é": ("x",),
}

RULE = b"<Rule><ID>a</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status>"
POLICY = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
    b'"Resource":"arn:aws:s3:::bkt/*","Condition":{"StringLike":{"aws:Referer":["http://a/*"]}}}]}'
)
GRANT = (
    b'<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>other</ID>'
    b"</Grantee><Permission>READ</Permission></Grant>"
)
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\na/${filename}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="policy"\r\n\r\ne30=\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbody\r\n--b--\r\n'
)
# The document that a sub-resource takes, whatever the method.
DOCUMENTS: dict[str, bytes] = {
    "": b"the body of an object",
    "accelerate": b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
    "acl": b"<AccessControlPolicy><Owner><ID>s3func</ID></Owner><AccessControlList>"
    + GRANT
    + b"</AccessControlList></AccessControlPolicy>",
    "cors": b"<CORSConfiguration><CORSRule><AllowedOrigin>http://*.example</AllowedOrigin><AllowedMethod>GET"
    b"</AllowedMethod><MaxAgeSeconds>9</MaxAgeSeconds></CORSRule></CORSConfiguration>",
    "delete": b"<Delete><Object><Key>key</Key></Object><Object><Key>a//b</Key><VersionId>{version}</VersionId></Object>"
    b"<Quiet>false</Quiet></Delete>",
    "encryption": b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
    b"</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    "legal-hold": b"<LegalHold><Status>OFF</Status></LegalHold>",
    "lifecycle": b"<LifecycleConfiguration>" + RULE + b"<Expiration><Days>1</Days></Expiration></Rule>"
    b"</LifecycleConfiguration>",
    "logging": b"<BucketLoggingStatus><LoggingEnabled><TargetBucket>bkt</TargetBucket><TargetPrefix>a</TargetPrefix>"
    b"</LoggingEnabled></BucketLoggingStatus>",
    "notification": b"<NotificationConfiguration></NotificationConfiguration>",
    "object-lock": b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    b"<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    "ownershipControls": b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    b"</OwnershipControls>",
    "policy": POLICY,
    "publicAccessBlock": b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
    b"</PublicAccessBlockConfiguration>",
    "replication": b"<ReplicationConfiguration><Role>a</Role>"
    + RULE
    + b"<Destination><Bucket>arn:aws:s3:::ver</Bucket>"
    b"</Destination></Rule></ReplicationConfiguration>",
    "requestPayment": b"<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
    "retention": b"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2050-01-01T00:00:00Z</RetainUntilDate></Retention>",
    "tagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "uploadId": b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    b"</CompleteMultipartUpload>",
    "versioning": b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "website": b"<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>",
    "location": b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
}
SPLINTERS = (
    b"<",
    b">",
    b"</",
    b"&",
    b"&#0;",
    b"&#x110000;",
    b"]]>",
    b"\0",
    b"\xff",
    b"-1",
    b"9" * 400,
    b"{",
    b'"',
    b"null",
)

_any_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
_any_value = st.sampled_from((*NUMBERS, *WORDS, *DATES)) | _any_text
_routes = st.sampled_from(
    [*ROUTES, *(("OPTIONS", scope, "") for scope in ("bucket", "object")), *(("PATCH", "object", ""),)]
)
_buckets = st.sampled_from(BUCKETS)
_keys = st.sampled_from((*KEYS * 8, *HOSTILE_KEYS))
_signings = st.sampled_from(SIGNINGS)
_header_names = st.sampled_from(list(HEADERS))
# Of the parameters that make another operation of a request, mostly an unknown one, only a few.
_parameter_names = st.sampled_from([*sorted(PARAMETERS) * 8, *sorted(SUBRESOURCES)])
_counts = st.sampled_from((0, 0, 0, 1, 1, 2, 4))
_other_methods = st.sampled_from((*METHODS, "OPTIONS", "PATCH", "get", "PROPFIND"))
_other_paths = st.sampled_from(
    ("//", "/bkt//", "/..", "/%2e%2e/x", "/bkt/%zz", "/bkt/%00", "/bkt/%ff", "*", "/BKT", "/a")
)
_documents = st.sampled_from(list(DOCUMENTS.values()))
_dice = st.integers(0, 19)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """One request."""
    method, scope, names = draw(_routes)
    subresources = [name for name in names.split("+") if name]
    path = {"service": "/", "bucket": f"/{draw(_buckets)}", "object": ""}[scope]
    if scope == "object":
        path = f"/{draw(_buckets)}/{encode_path(draw(_keys))}"
    query = [(name, _value(draw, name)) for name in subresources if not name.startswith("x-amz-")]
    headers = {name: draw(st.sampled_from(HEADERS[name])) for name in subresources if name.startswith("x-amz-")}
    document = DOCUMENTS.get(subresources[-1] if subresources else "", b"")
    if method in {"GET", "HEAD", "DELETE", "OPTIONS"}:
        document = b""
    elif (method, scope, names) == ("POST", "bucket", ""):
        document, headers["content-type"] = FORM, "multipart/form-data; boundary=b"
    dice = draw(_dice)
    if dice == 0:
        method = draw(_other_methods)
    elif dice == 1:
        path = draw(_other_paths)
    elif dice == 2:
        document = draw(_documents)
    elif dice == 3:
        query.append((f"!{draw(_any_text)}", draw(_any_text)))
    for _ in range(draw(_counts)):
        name = draw(_parameter_names)
        query.append((name, draw(_any_value)))
    for _ in range(draw(_counts)):
        name = draw(_header_names)
        headers[name] = draw(st.sampled_from(HEADERS[name]))
    if dice in {4, 5} and headers:
        headers[draw(st.sampled_from(sorted(headers)))] = draw(_any_text)
    if dice in {6, 7, 8} and document:
        start, length = draw(st.integers(0, len(document))), draw(st.sampled_from((0, 1, 10, 1000)))
        document = document[:start] + draw(st.sampled_from(SPLINTERS)) + document[start + length :]
    return Draft(method, path, tuple(query), headers, document, draw(_signings))


def _value(draw: st.DrawFn, name: str) -> str:
    """The value of a sub-resource: mostly one with which it can be carried out."""
    if name in {"uploadId", "partNumber", "list-type"}:
        right = {"uploadId": "{upload}", "partNumber": "1", "list-type": "2"}[name]
        return right if draw(_dice) else draw(_any_value)
    return ""
