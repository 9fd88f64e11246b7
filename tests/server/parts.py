"""Multipart uploads made by hand into the bucket `bkt`."""

from __future__ import annotations

from collections.abc import Sequence

from s3func.message import Response
from s3func.wire import s3xml_multipart
from s3func.wire.s3xml_multipart import CompletedPart
from tests.server.forge import Caller, read

PART = 5 * 1024**2
"""The least size of a part that is not the last one."""


def begin(caller: Caller, key: str, **headers: str) -> str:
    """Create an upload; its id. Header names have "_" for "-"."""
    response = caller("POST", f"/bkt/{key}", "uploads=", headers=dashed(headers))
    assert 200 == response.status, read(response)
    return s3xml_multipart.parse_create_multipart_upload(read(response)).upload_id


def send_part(caller: Caller, key: str, upload_id: str, number: int | str, body: bytes, **headers: str) -> Response:
    """UploadPart, whatever the answer."""
    query = f"partNumber={number}&uploadId={upload_id}"
    return caller("PUT", f"/bkt/{key}", query, body, dashed(headers))


def put_part(caller: Caller, key: str, upload_id: str, number: int, body: bytes, **headers: str) -> CompletedPart:
    """UploadPart, and what CompleteMultipartUpload has to say of it."""
    response = send_part(caller, key, upload_id, number, body, **headers)
    assert 200 == response.status, read(response)
    return CompletedPart(number, response.headers["etag"])


def complete(caller: Caller, key: str, upload_id: str, parts: Sequence[CompletedPart], **headers: str) -> Response:
    """CompleteMultipartUpload, whatever the answer."""
    body = s3xml_multipart.render_complete_multipart_upload(parts)
    return caller("POST", f"/bkt/{key}", f"uploadId={upload_id}", body, dashed(headers))


def upload(caller: Caller, key: str, bodies: Sequence[bytes], **headers: str) -> Response:
    """A whole upload, its parts numbered from 1; the answer to its completion, which is a success."""
    upload_id = begin(caller, key, **headers)
    parts = [put_part(caller, key, upload_id, number, body) for number, body in enumerate(bodies, 1)]
    response = complete(caller, key, upload_id, parts)
    assert 200 == response.status, read(response)
    return response


def dashed(headers: dict[str, str]) -> dict[str, str]:
    """Header names as they are on the wire."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
