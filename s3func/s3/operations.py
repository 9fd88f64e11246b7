"""One build and one parse function per S3 operation, pure: arguments to Request, Response to result.

Builders check every argument, so that nothing wrong is ever sent. `place` says where the bucket is; a request is
unsigned until the authorizer has seen it. The API reference:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any
from zlib import crc32

from s3func.errors import ProtocolError
from s3func.message import Request, Response, UploadBody
from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
from s3func.s3.headers import (
    check_key,
    check_text,
    etag_value,
    extra_headers,
    metadata_headers,
    query_pairs,
    tagging_value,
    time_value,
)
from s3func.s3.payload import DefaultChecksum
from s3func.wire.encoding import decode_component, encode_path, encode_query, header_value
from s3func.wire.ranges import answers, parse_content_range, parse_range
from s3func.wire.sigv4 import EMPTY_SHA256

if TYPE_CHECKING:
    from s3func.models import ListPage
    from s3func.s3.endpoints import Place
    from s3func.wire.s3xml import BucketsPage, DeleteObjectsResult

# Documents are read whole; the longest one there is (a page of 1,000 keys of 1,024 escaped bytes) stays below this.
DOCUMENT_MAX = 64 * 1024 * 1024
_METHODS = ("GET", "PUT", "HEAD", "DELETE", "POST", "OPTIONS", "PATCH")
_PRESIGNING = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "security-token", "signature", "signedheaders")
)
# Cheapest first.
_VERIFIED = tuple(f"x-amz-checksum-{name}" for name in ("crc32", "sha1", "sha256", "crc64nvme", "crc32c"))


def bare(method: str, place: Place, path: str = "", query: str = "", headers: dict[str, str] | None = None) -> Request:
    """A request without a body; `path` is an encoded key."""
    fields = {"host": place.host, "x-amz-content-sha256": EMPTY_SHA256}
    if headers:
        fields.update(headers)
    return Request(method, place.origin, place.prefix + path, query, fields)


def on_bucket(method: str, place: Place, query: str = "", headers: dict[str, str] | None = None) -> Request:
    """A request to the bucket itself: its path has no slash behind the bucket's name."""
    request = bare(method, place, "", query, headers)
    request.path = request.path.rstrip("/") or "/"
    return request


def document(response: Response) -> bytes:
    """The body of an answer that is a document."""
    return response.read(DOCUMENT_MAX)


def no_content(_request: Request, response: Response) -> None:
    """For answers whose status says it all."""
    if response.body:
        refuse_disguise(document(response))


# --- PutObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html


def object_headers(
    *,
    metadata: Mapping[str, str] | None,
    content_type: str | None,
    cache_control: str | None,
    content_disposition: str | None,
    content_encoding: str | None,
    content_language: str | None,
    expires: Any,
    storage_class: str | None,
    acl: str | None,
    tagging: Mapping[str, str] | str | None,
    headers: Mapping[str, str] | None,
) -> dict[str, str]:
    """The headers that are stored with an object, checked; put_object and copy_object share them."""
    fields: dict[str, str] = {}
    if content_type is not None:
        fields["content-type"] = header_value("content_type", content_type)
    if cache_control is not None:
        fields["cache-control"] = header_value("cache_control", cache_control)
    if content_disposition is not None:
        fields["content-disposition"] = header_value("content_disposition", content_disposition)
    if content_encoding is not None:
        fields["content-encoding"] = header_value("content_encoding", content_encoding)
    if content_language is not None:
        fields["content-language"] = header_value("content_language", content_language)
    if expires is not None:
        fields["expires"] = (
            header_value("expires", expires) if isinstance(expires, str) else time_value("expires", expires)
        )
    if storage_class is not None:
        fields["x-amz-storage-class"] = header_value("storage_class", storage_class)
    if acl is not None:
        fields["x-amz-acl"] = header_value("acl", acl)
    if tagging is not None:
        fields["x-amz-tagging"] = tagging_value(tagging)
    if metadata is not None:
        fields.update(metadata_headers(metadata))
    if headers is not None:
        fields.update(extra_headers(headers))
    return fields


def put_object(
    place: Place,
    path: str,
    body: bytes | UploadBody,
    payload_hash: str,
    fields: dict[str, str],
    *,
    if_match: str | None,
    if_none_match: str | None,
) -> Request:
    """`path` is encoded. `fields` are the object's and the checksum's headers; payload_hash covers the body."""
    fields["host"] = place.host
    fields["x-amz-content-sha256"] = payload_hash
    add_conditions(fields, if_match, if_none_match)
    return Request("PUT", place.origin, path, "", fields, body)


def add_conditions(fields: dict[str, str], if_match: str | None, if_none_match: str | None) -> None:
    """What must hold of the object that a write would replace."""
    if if_match is not None:
        fields["if-match"] = etag_value("if_match", if_match)
    if if_none_match is not None:
        fields["if-none-match"] = etag_value("if_none_match", if_none_match)


def parse_put_object(_request: Request, response: Response) -> PutResult:
    """The result; an <Error> or a page of HTML that came with status 200 is raised."""
    if response.body:
        refuse_disguise(document(response))
    return PutResult(response.status, response.headers)


# --- GetObject, HeadObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html


def read_object(
    method: str,
    place: Place,
    key: str,
    *,
    version_id: str | None,
    byte_range: str | None,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: Any,
    if_unmodified_since: Any,
    verify: bool,
    headers: Mapping[str, str] | None,
) -> Request:
    """GET or HEAD of an object; `verify` asks the store for the checksum that it keeps."""
    fields = {"host": place.host, "x-amz-content-sha256": EMPTY_SHA256}
    if verify:
        fields["x-amz-checksum-mode"] = "ENABLED"
    if byte_range is not None:
        fields["range"] = byte_range
    add_conditions(fields, if_match, if_none_match)
    if if_modified_since is not None:
        fields["if-modified-since"] = time_value("if_modified_since", if_modified_since)
    if if_unmodified_since is not None:
        fields["if-unmodified-since"] = time_value("if_unmodified_since", if_unmodified_since)
    if headers is not None:
        fields.update(extra_headers(headers))
    return Request(method, place.origin, place.prefix + check_key(key), version_query(version_id), fields)


def version_query(version_id: str | None, name: str = "version_id") -> str:
    """`versionId=…`, or nothing."""
    if version_id is None:
        return ""
    if not check_text(name, version_id):
        raise ValueError(f"{name} is empty")
    return encode_query([("versionId", version_id)])


def parse_get_object(request: Request, response: Response) -> GetResult:
    """The result; its body is still arriving unless it was small."""
    headers = response.headers
    if response.status != 200 or "range" in request.headers:
        try:
            check_part(request.headers.get("range"), response)
        except ProtocolError:
            response.close()
            raise
    elif "etag" not in headers and headers.get("content-type", "").startswith("text/html"):
        # Every object has an ETag, also one that is HTML; the page of a proxy that wants a password has none.
        response.close()
        raise ProtocolError("the answer is an HTML page: something between us and the store has sent it")
    if "x-amz-checksum-mode" in request.headers and "content-range" not in headers:
        for header in _VERIFIED:
            expected = headers.get(header)
            # "-N" marks a checksum of checksums of parts: it says nothing about the bytes as a whole.
            if expected is not None and "-" not in expected and headers.get("x-amz-checksum-type") != "COMPOSITE":
                return GetResult(response, algorithm=header.removeprefix("x-amz-checksum-"), expected=expected)
    return GetResult(response)


def parse_get_whole_object(request: Request, response: Response) -> GetResult:
    """The result, its body read if that can only be asked for again as a whole: then it has to happen in the attempt."""
    result = parse_get_object(request, response)
    if (response.headers.get("etag") or "W/").startswith("W/"):
        _ = result.data
    return result


def check_part(wanted: str | None, response: Response) -> None:
    """ProtocolError unless these are the bytes that were asked for; the wrong ones would go unnoticed."""
    if wanted is None or response.status not in {200, 206}:
        raise ProtocolError(f"a GET of a whole object was answered with status {response.status}")
    described = response.headers.get("content-range", "")
    if not described and response.status == 206:
        return
    # Some stores send the part with status 200; one that ignores the range sends no Content-Range.
    sent = parse_content_range(described)
    if sent is None:
        raise ProtocolError("the store ignored the range and sent the whole object")
    asked = parse_range(wanted)
    # Another form only the caller's own header can have; what it means is his to check.
    if asked is not None and not answers(sent, asked, response.headers.get("content-length")):
        raise ProtocolError(f"asked for {wanted}, the store sent {sent[0]}")


def parse_head_object(_request: Request, response: Response) -> HeadResult:
    """The result."""
    return HeadResult(response.status, response.headers)


# --- CopyObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html


def copy_object(
    place: Place,
    key: str,
    source_bucket: str,
    source_key: str,
    source_version_id: str | None,
    fields: dict[str, str],
    *,
    replace_metadata: bool,
    replace_tagging: bool,
    source_if_match: str | None,
    if_match: str | None,
    if_none_match: str | None,
) -> Request:
    """`fields` are the headers of the new object, which count only where a directive says REPLACE."""
    fields["x-amz-copy-source"] = copy_source(source_bucket, source_key, source_version_id)
    if source_if_match is not None:
        fields["x-amz-copy-source-if-match"] = etag_value("source_if_match", source_if_match)
    if replace_metadata:
        fields["x-amz-metadata-directive"] = "REPLACE"
    if replace_tagging:
        fields["x-amz-tagging-directive"] = "REPLACE"
    add_conditions(fields, if_match, if_none_match)
    return bare("PUT", place, check_key(key, "dest_key"), "", fields)


def copy_source(bucket: str, key: str, version_id: str | None) -> str:
    """The x-amz-copy-source header; the bucket has been checked."""
    path = check_key(key, "source_key")
    source = f"{encode_path(bucket)}/object/{path}" if bucket.startswith("arn:") else f"/{bucket}/{path}"
    query = version_query(version_id, "source_version_id")
    return f"{source}?{query}" if query else source


def parse_copy_object(_request: Request, response: Response) -> CopyResult:
    """The result; CopyObject may say 200 first and fail later, which then raises."""
    from s3func.wire.s3xml import parse_copy_object as parse

    copied = parse(document(response))
    return CopyResult(response.status, response.headers, copied.etag, copied.last_modified)


# --- DeleteObject: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html


def delete_object(place: Place, key: str, *, version_id: str | None, if_match: str | None) -> Request:
    """Delete an object or one version of it."""
    fields = {"if-match": etag_value("if_match", if_match)} if if_match is not None else None
    return bare("DELETE", place, check_key(key), version_query(version_id), fields)


def parse_delete_object(_request: Request, response: Response) -> DeleteResult:
    """The result."""
    if response.body:
        refuse_disguise(document(response))
    return DeleteResult(response.status, response.headers)


# --- DeleteObjects: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


def delete_objects(place: Place, body: bytes) -> Request:
    """`body` is the rendered document. Stores want either Content-MD5 or a checksum, so both are sent."""
    fields = {
        "content-md5": b64encode(md5(body, usedforsecurity=False).digest()).decode(),
        "content-type": "application/xml",
        "x-amz-checksum-crc32": DefaultChecksum(b64encode(crc32(body).to_bytes(4, "big")).decode()),
    }
    return with_document(on_bucket("POST", place, "delete=", fields), body)


def with_document(request: Request, body: bytes) -> Request:
    """The request with an XML document as its body, which the signature covers."""
    request.headers["x-amz-content-sha256"] = sha256(body).hexdigest()
    request.body = body
    return request


def parse_delete_objects(_request: Request, response: Response) -> DeleteObjectsResult:
    """What was deleted and what was not."""
    from s3func.wire.s3xml import parse_delete_result as parse

    return parse(document(response))


# --- ListObjectsV2 and ListObjectVersions: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html


def list_objects(
    place: Place,
    prefix: str | None,
    delimiter: str | None,
    max_keys: int | None,
    start_after: str | None,
    token: str | None,
) -> Request:
    """One page of a listing; `token` is the last page's continuation."""
    pairs = [("list-type", "2"), *_listing_pairs(prefix, delimiter, max_keys)]
    if token is not None:
        pairs.append(("continuation-token", token))
    if start_after is not None:
        pairs.append(("start-after", check_text("start_after", start_after)))
    return on_bucket("GET", place, encode_query(pairs))


def parse_list_objects(request: Request, response: Response) -> ListPage:
    """The page; anything that is not a whole page of what was asked for raises."""
    from s3func.wire.s3xml import parse_list_objects as parse

    return parse(document(response), list_type=2, prefix=prefix_of(request.query))


def prefix_of(query: str) -> str:
    """The prefix that a canonical query asks for."""
    for pair in query.split("&"):
        if pair.startswith("prefix="):
            return decode_component(pair[7:])
    return ""


def list_object_versions(
    place: Place,
    prefix: str | None,
    delimiter: str | None,
    max_keys: int | None,
    key_marker: str | None,
    version_id_marker: str | None,
) -> Request:
    """One page of all versions; https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""
    pairs = [("versions", ""), *_listing_pairs(prefix, delimiter, max_keys)]
    if key_marker is not None:
        pairs.append(("key-marker", check_text("start_after", key_marker)))
    if version_id_marker:
        pairs.append(("version-id-marker", version_id_marker))
    return on_bucket("GET", place, encode_query(pairs))


def parse_list_object_versions(_request: Request, response: Response) -> ListPage:
    """The page; anything that is not a whole page raises."""
    from s3func.wire.s3xml import parse_list_object_versions as parse

    return parse(document(response))


def _listing_pairs(prefix: str | None, delimiter: str | None, max_keys: int | None) -> list[tuple[str, str]]:
    # Without encoding-type=url one key with a control character makes a page that no XML parser can read.
    pairs = [("encoding-type", "url")]
    if prefix is not None:
        pairs.append(("prefix", check_text("prefix", prefix)))
    if delimiter is not None:
        pairs.append(("delimiter", check_text("delimiter", delimiter)))
    if max_keys is not None:
        pairs.append(("max-keys", str(max_keys)))
    return pairs


# --- Buckets: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html


def create_bucket(
    place: Place, *, acl: str | None, object_lock: bool, object_ownership: str | None, is_aws: bool
) -> Request:
    """AWS wants the region said in the document unless it is us-east-1; other stores refuse one they do not know."""
    from s3func.wire.s3xml import render_create_bucket

    headers = {} if acl is None else {"x-amz-acl": header_value("acl", acl)}
    if object_lock:
        headers["x-amz-bucket-object-lock-enabled"] = "true"
    if object_ownership is not None:
        headers["x-amz-object-ownership"] = header_value("object_ownership", object_ownership)
    request = on_bucket("PUT", place, headers=headers)
    if is_aws and place.region != "us-east-1":
        return with_document(request, render_create_bucket(place.region))
    return request


def list_buckets(place: Place, token: str | None) -> Request:
    """One page of the buckets of the account; https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html."""
    return on_bucket("GET", place, encode_query([("continuation-token", token)]) if token else "")


def parse_list_buckets(_request: Request, response: Response) -> BucketsPage:
    """The buckets and the token of the next page."""
    from s3func.wire.s3xml import parse_list_buckets as parse

    return parse(document(response))


# --- Anything else


def free_request(
    method: str,
    place: Place,
    key: str | None,
    query: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    body: bytes | UploadBody,
    payload_hash: str,
) -> Request:
    """A request of the caller's own making: any method, any sub-resource."""
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise ValueError(f"method is no HTTP method: {method!r}")
    encoded_query = encode_query(query_pairs(query))
    fields = {} if headers is None else extra_headers(headers)
    if key is None:
        request = on_bucket(method.upper(), place, encoded_query, fields)
    else:
        request = bare(method.upper(), place, check_key(key), encoded_query, fields)
    request.body = body
    request.headers["x-amz-content-sha256"] = payload_hash
    return request


def presigned(
    method: str,
    place: Place,
    key: str | None,
    version_id: str | None,
    query: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
) -> Request:
    """The request that a presigned URL stands for; a browser sends the host and nothing else that could be foreseen."""
    if not isinstance(method, str) or method.upper() not in _METHODS:
        # Above all a key and a method that have changed places.
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    parameters = dict(query_pairs(query))
    for name in parameters:
        if name.lower() in _PRESIGNING:
            raise ValueError(f"query must not set {name}: it is a part of the signature")
    if version_id is not None:
        version_query(version_id)
        parameters["versionId"] = version_id
    request = free_request(method, place, key, parameters, headers, b"", "")
    del request.headers["x-amz-content-sha256"]
    return request


def refuse_disguise(body: bytes) -> None:
    """Raise what a body with a status of success really is: an error of the store, or a page of somebody else."""
    from s3func.wire.s3xml import error_from_document, is_error_document, parse_error

    if is_error_document(body) and (error := parse_error(body)) is not None:
        raise error_from_document(error)
    if body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise ProtocolError("the answer is an HTML page: something between us and the store has sent it")
