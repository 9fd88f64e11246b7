"""Uploads: URLs for them, files in one piece, and parts.

Rule: what is sent is compared with its length and its SHA-1 before it counts, and a URL that has refused is over.
https://www.backblaze.com/docs/cloud-storage-upload-files-with-the-native-api
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote_plus

from s3func.message import Response
from s3func.server.b2.call import B2Call, answer, file_name
from s3func.server.b2.files import (
    ABOUT,
    attributes,
    described,
    described_part,
    documents,
    encryption_headers,
    sha1_checksum,
    with_key_md5,
)
from s3func.server.b2.keyring import Key
from s3func.server.b2.refusals import bad_request
from s3func.server.backends.identity import bucket_identity
from s3func.server.encryption import check_part
from s3func.server.payload import blocks_of, declared_length
from s3func.server.powers import PART_NUMBER_MAX
from s3func.wire import b2json

FILE_BYTES_MAX = 5 * 10**9
_SHA1_DIGITS = 40
_SHA1 = re.compile(r"(?:unverified:)?([0-9a-f]{40})", re.ASCII | re.IGNORECASE)
_INFO = "x-bz-info-"
_FORBIDDEN = (
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "expires",
)


class Received(NamedTuple):
    """A body that has arrived: its SHA-1, and whether the sender has confirmed it."""

    sha1: bytes
    is_verified: bool


def get_upload_url(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-get-upload-url."""
    bucket = call.bucket()
    call.demand("writeFiles", bucket)
    bucket_id = bucket_identity(bucket.name, bucket.created)
    return answer(b2json.render_upload_url(_url(call, "b2_upload_file", bucket_id)))


def get_upload_part_url(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-get-upload-part-url."""
    identity = call.text("fileId")
    place, _ = call.upload(identity)
    call.demand("writeFiles", place.bucket, place.key)
    return answer(b2json.render_upload_url(_url(call, "b2_upload_part", identity), part=True))


def upload_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-upload-file."""
    bucket_id = call.rest.partition("/")[0]
    with call.accounts.uploading(call.token, bucket_id) as key:
        call.act_for(key)
        return _upload_file(call, key, bucket_id)


def _upload_file(call: B2Call, key: Key, bucket_id: str) -> Response:
    headers = call.request.headers
    bucket = call.bucket(bucket_id)
    name = file_name(_decoded(_header(call, "x-bz-file-name")))
    key.demand("writeFiles", bucket_id, name)
    for forbidden in _FORBIDDEN:
        if forbidden in headers:
            raise bad_request(f"Unsupported header: {forbidden}")
    if "x-bz-custom-upload-timestamp" in headers:
        raise bad_request("Custom upload timestamps are not enabled for this account")
    info = {each.removeprefix(_INFO): _decoded(value) for each, value in headers.items() if each.startswith(_INFO)}
    retention = None
    if "x-bz-file-retention-mode" in headers:
        until = headers.get("x-bz-file-retention-retain-until-timestamp", "")
        retention = {
            "mode": headers["x-bz-file-retention-mode"],
            "retainUntilTimestamp": int(until) if until.isdecimal() else None,
        }
    hold = headers.get("x-bz-file-legal-hold")
    encryption = encryption_headers(headers)
    made = documents(bucket, key, call.clock.now(), encryption, retention, hold)
    about = attributes(bucket, key, _header(call, "content-type"), info, name, made)
    with call.backend.begin_put(bucket.name, name) as writer:
        received = _pour(call, writer.write)
        if not received.is_verified:
            about = replace(about, documents={**about.documents, ABOUT: json.dumps({"unverified": True})})
        stored = writer.commit(replace(about, checksums=sha1_checksum(received.sha1)))
    file = with_key_md5(described(bucket, stored, key), encryption)
    return answer(b2json.render_file(file, v1=call.version == 1))


def upload_part(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-upload-part."""
    identity = call.rest.partition("/")[0]
    with call.accounts.uploading(call.token, identity) as key:
        call.act_for(key)
        text = _header(call, "x-bz-part-number")
        if not text.isdecimal() or not 1 <= int(text) <= PART_NUMBER_MAX:
            raise bad_request(f"Part number must be between 1 and {PART_NUMBER_MAX}")
        place, upload = call.upload(identity)
        check_part(encryption_headers(call.request.headers), upload.attributes.documents)
        with call.backend.begin_part(place.bucket.name, place.key, identity, int(text)) as writer:
            received = _pour(call, writer.write)
            part = writer.commit(sha1_checksum(received.sha1), {})
        return answer(b2json.render_part(described_part(identity, part)))


def _url(call: B2Call, operation: str, target: str) -> b2json.UploadUrl:
    number, token = call.accounts.new_upload_url(call.key, target)
    return b2json.UploadUrl(f"{call.base}/b2api/v{call.version}/{operation}/{target}/{number}", token, target)


def _pour(call: B2Call, write: Callable[[bytes | memoryview], object]) -> Received:
    """Hand the body to `write`, and compare it with what is said about it."""
    headers = call.request.headers
    declared = _header(call, "x-bz-content-sha1")
    length = declared_length(call.request.body, headers, required=True)
    if length is None:
        raise bad_request("Missing header: Content-Length")
    at_end = declared == "hex_digits_at_end"
    left = length - (_SHA1_DIGITS if at_end else 0)
    if left < 0:
        raise bad_request("The body is shorter than a SHA-1")
    if left > FILE_BYTES_MAX:
        raise bad_request(f"A file or part in one piece is at most {FILE_BYTES_MAX} bytes")
    known = None if at_end or declared == "do_not_verify" else _SHA1.fullmatch(declared)
    if not at_end and declared != "do_not_verify" and known is None:
        raise bad_request("Invalid X-Bz-Content-Sha1")
    sha1 = hashlib.sha1(usedforsecurity=False)
    tail = bytearray()
    for block in blocks_of(call.request.body):
        head = memoryview(block)[:left]
        if head:
            sha1.update(head)
            write(head)
            left -= len(head)
        tail += memoryview(block)[len(head) :]
    if left or len(tail) != (_SHA1_DIGITS if at_end else 0):
        raise bad_request("The body has another length than Content-Length says")
    expected = bytes(tail).decode("latin-1") if at_end else known[1] if known is not None else sha1.hexdigest()
    if expected.lower() != sha1.hexdigest():
        raise bad_request("Sha1 did not match data received")
    return Received(sha1.digest(), (known is None and at_end) or (known is not None and ":" not in declared))


def _header(call: B2Call, name: str) -> str:
    value = call.request.headers.get(name)
    if not value:
        raise bad_request(f"Missing header: {name}")
    return value


def _decoded(text: str) -> str:
    """A percent-encoded header; "+" is a space."""
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("A header is not percent-encoded UTF-8") from None
