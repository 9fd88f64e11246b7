"""Versions: PutBucketVersioning, GetBucketVersioning, ListObjectVersions."""

from __future__ import annotations

from typing import Literal

from s3func.errors import service_error
from s3func.message import Response
from s3func.models import ListPage, ObjectEntry
from s3func.server.call import Call
from s3func.server.handlers.buckets import CONFIGURATION_BYTES_MAX
from s3func.server.handlers.listing import encoding_type, invalid_argument, object_entry, page_size
from s3func.server.handlers.objects import NULL_VERSION
from s3func.server.object_lock import check_versioning
from s3func.server.payload import Payload
from s3func.server.powers import Versioned, VersionRow, VersionSlice, versioned
from s3func.wire import s3xml, s3xml_config

_XML = {"content-type": "application/xml"}


def put_bucket_versioning(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html."""
    document = s3xml_config.parse_versioning_request(Payload(call).read(CONFIGURATION_BYTES_MAX))
    if document.mfa_delete == "Enabled" or "x-amz-mfa" in call.headers:
        raise service_error("NotImplemented", "MFA delete is not implemented.")
    status: Literal["Enabled", "Suspended"] = "Enabled" if document.status == "Enabled" else "Suspended"
    guard = check_versioning if status == "Suspended" else None
    versioned(call.backend).set_versioning(call.bucket, status, guard)
    return Response(200, {})


def get_bucket_versioning(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html."""
    info = call.backend.get_bucket(call.bucket)
    document = s3xml_config.render_versioning(s3xml_config.Versioning(info.versioning or None))
    return Response(200, dict(_XML), document)


def list_object_versions(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""
    max_keys, encoding = page_size(call), encoding_type(call)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    key_marker, version_id_marker = call.query.get("key-marker", ""), call.query.get("version-id-marker", "")
    if version_id_marker and not key_marker:
        raise invalid_argument(
            "version-id-marker", version_id_marker, "A version-id marker cannot be specified without a key marker."
        )
    if isinstance(call.backend, Versioned):
        found = call.backend.list_object_versions(
            call.bucket,
            prefix=prefix,
            delimiter=delimiter,
            key_marker=key_marker,
            version_id_marker=version_id_marker,
            limit=max_keys,
        )
    else:
        found = _only_versions(call, prefix, delimiter, key_marker, max_keys)
    entries = [_version_entry(call, row) for row in found.rows]
    page = ListPage(
        entries, found.common_prefixes, found.is_truncated, found.next_key_marker, found.next_version_id_marker
    )
    document = s3xml.render_list_object_versions(
        page,
        bucket=call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        max_keys=max_keys,
        encoding_type=encoding,
        key_marker=key_marker,
        version_id_marker=version_id_marker,
        display_name=call.display_name,
    )
    return Response(200, dict(_XML), document)


def _only_versions(call: Call, prefix: str, delimiter: str, key_marker: str, limit: int) -> VersionSlice:
    """In a store that keeps none, every object is its own one version."""
    found = call.backend.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, start_after=key_marker, limit=limit
    )
    rows = [VersionRow(stored, is_latest=True) for stored in found.rows]
    is_prefix = found.next_start_after in found.common_prefixes[-1:]
    marker = NULL_VERSION if found.is_truncated and not is_prefix else None
    return VersionSlice(rows, found.common_prefixes, found.next_start_after, marker)


def _version_entry(call: Call, row: VersionRow) -> ObjectEntry:
    stored = row.stored
    entry = object_entry(call, stored, with_owner=True)
    entry.version_id = stored.version_id or NULL_VERSION
    entry.is_latest = row.is_latest
    entry.delete_marker = stored.delete_marker
    return entry
