"""Large files and copies: begin, finish, cancel, list what is not finished, and copy whole files and parts of files.

https://www.backblaze.com/docs/cloud-storage-large-files
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from contextlib import closing
from dataclasses import replace

from s3func.message import BLOCK, Response
from s3func.server.b2.call import B2Call, Place, answer, file_name
from s3func.server.b2.files import (
    attributes,
    described,
    described_part,
    described_upload,
    documents,
    encryption_setting,
    file_info,
    sha1_checksum,
    with_key_md5,
)
from s3func.server.b2.refusals import bad_request, refuse
from s3func.server.backend import ObjectReader, StoredObject
from s3func.server.backends.identity import bucket_identity
from s3func.server.encryption import CUSTOMER, SOURCE_CUSTOMER, check_part, check_readable
from s3func.server.object_lock import default_lock
from s3func.server.powers import PART_NUMBER_MAX
from s3func.wire import b2json

PART_BYTES_MIN, PART_BYTES_RECOMMENDED = 5_000_000, 100_000_000
COPY_BYTES_MAX = 5 * 10**9
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


def start_large_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-start-large-file."""
    bucket = call.bucket()
    name = file_name(call.text("fileName"))
    call.demand("writeFiles", bucket, name)
    encryption = encryption_setting(call.mapping("serverSideEncryption"))
    made = documents(
        bucket,
        call.key,
        call.clock.now(),
        encryption,
        call.mapping("fileRetention"),
        call.optional_text("legalHold"),
        finished=False,
    )
    about = attributes(bucket, call.key, call.text("contentType"), call.mapping("fileInfo") or {}, name, made)
    upload = call.backend.create_upload(bucket.name, name, about)
    file = with_key_md5(described_upload(bucket, upload, call.key), encryption)
    return answer(b2json.render_file(file, v1=call.version == 1))


def finish_large_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-finish-large-file."""
    identity = call.text("fileId")
    digests = call.fields.get("partSha1Array")
    if not isinstance(digests, list) or not all(isinstance(each, str) for each in digests) or not digests:
        raise bad_request("partSha1Array must be a list of SHA-1 values")
    if len(digests) == 1:
        # What one part is enough for is an upload in one piece; the words are Backblaze's.
        raise bad_request("large files must have at least 2 parts")
    place, upload = call.upload(identity)
    bucket, name = place.bucket, place.key
    call.demand("writeFiles", bucket, name)
    parts = call.backend.list_parts(bucket.name, name, identity, limit=PART_NUMBER_MAX).rows
    if [part.number for part in parts] != list(range(1, len(digests) + 1)):
        raise refuse("missing_part", f"The file has {len(parts)} parts, and partSha1Array has {len(digests)}")
    for part, digest in zip(parts, digests, strict=True):
        if b64decode(part.checksums.get("sha1", "")).hex() != digest.lower():
            raise refuse("part_sha1_mismatch", f"Part {part.number} has another SHA-1")
        if part.size < PART_BYTES_MIN and part is not parts[-1]:
            raise bad_request(f"Part number {part.number} is smaller than {PART_BYTES_MIN} bytes")
    wanted = [(part.number, part.etag) for part in parts]
    about = upload.attributes
    lock = default_lock(about.documents, bucket, call.clock.now())
    with call.backend.begin_complete(bucket.name, name, identity, wanted) as completion:
        stored = completion.commit(replace(about, documents={**about.documents, **lock}))
    return answer(b2json.render_file(described(bucket, stored, call.key), v1=call.version == 1))


def cancel_large_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-cancel-large-file."""
    identity = call.text("fileId")
    place, _ = call.upload(identity)
    call.demand("writeFiles", place.bucket, place.key)
    call.backend.abort_upload(place.bucket.name, place.key, identity)
    bucket_id = bucket_identity(place.bucket.name, place.bucket.created)
    return answer({"accountId": call.key.account_id, "bucketId": bucket_id, "fileId": identity, "fileName": place.key})


def list_parts(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-parts."""
    identity = call.text("fileId")
    place, _ = call.upload(identity)
    call.demand("writeFiles", place.bucket, place.key)
    start = call.number("startPartNumber", 1, 1, PART_NUMBER_MAX)
    limit = call.number("maxPartCount", 100, 0, 1000) or 100
    found = call.backend.list_parts(
        place.bucket.name, place.key, identity, part_number_marker=start - 1, limit=limit + 1
    ).rows
    rows = [described_part(identity, part) for part in found]
    following = rows[limit].part_number if len(rows) > limit else None
    return answer(b2json.render_parts(b2json.PartsPage(rows[:limit], following)))


def list_unfinished_large_files(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-list-unfinished-large-files."""
    bucket = call.bucket()
    prefix = call.text("namePrefix", "")
    call.demand("listFiles", bucket, prefix)
    limit = call.number("maxFileCount", 100, 0, 100) or 100
    start = call.optional_text("startFileId")
    name = marker = ""
    rows = []
    if start is not None:
        place, upload = call.upload(start)
        name, marker = place.key, start
        rows = [upload]
    found = call.backend.list_uploads(
        bucket.name, prefix=prefix, key_marker=name, upload_id_marker=marker, limit=limit + 1 - len(rows)
    )
    rows += found.rows
    following = rows[limit].upload_id if len(rows) > limit else None
    files = [described_upload(bucket, upload, call.key) for upload in rows[:limit]]
    return answer(b2json.render_files(b2json.FilesPage(files, None, following), v1=call.version == 1))


def copy_file(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-copy-file."""
    source = _source(call)
    identity = call.optional_text("destinationBucketId")
    bucket = source.bucket if identity is None else call.bucket(identity)
    name = file_name(call.text("fileName"))
    call.demand("writeFiles", bucket, name)
    target = encryption_setting(call.mapping("destinationServerSideEncryption"))
    hold, retention = call.optional_text("legalHold"), call.mapping("fileRetention")
    made = documents(bucket, call.key, call.clock.now(), target, retention, hold)
    store = call.backend
    with closing(store.open_object(source.bucket.name, source.key, source.version_id)) as reader:
        stored = reader.stored
        start, end = _copied(call, stored)
        kept = {name: text for name, text in stored.documents.items() if name == "b2"}
        if call.text("metadataDirective", "COPY") == "REPLACE":
            content_type, info = call.text("contentType"), call.mapping("fileInfo") or {}
        else:
            if "contentType" in call.fields or "fileInfo" in call.fields:
                raise bad_request("contentType and fileInfo are for the metadataDirective REPLACE")
            content_type, info = stored.headers.get("content-type", "application/octet-stream"), file_info(stored)
        about = attributes(bucket, call.key, content_type, info, name, {**kept, **made})
        if (start, end) == (0, stored.size):
            with store.begin_copy(
                source.bucket.name, source.key, bucket.name, name, source_version_id=source.version_id
            ) as copy:
                made_of = copy.commit(replace(about, checksums=copy.source.checksums))
        else:
            with store.begin_put(bucket.name, name) as writer:
                digest = _pour(reader, start, end, writer.write)
                made_of = writer.commit(replace(about, checksums=sha1_checksum(digest)))
    file = with_key_md5(described(bucket, made_of, call.key, "copy"), target)
    return answer(b2json.render_file(file, v1=call.version == 1))


def copy_part(call: B2Call) -> Response:
    """https://www.backblaze.com/apidocs/b2-copy-part."""
    source = _source(call)
    identity = call.text("largeFileId")
    number = call.number("partNumber", None, 1, PART_NUMBER_MAX)
    place, upload = call.upload(identity)
    call.demand("writeFiles", place.bucket, place.key)
    check_part(encryption_setting(call.mapping("destinationServerSideEncryption")), upload.attributes.documents)
    with closing(call.backend.open_object(source.bucket.name, source.key, source.version_id)) as reader:
        start, end = _copied(call, reader.stored)
        with call.backend.begin_part(place.bucket.name, place.key, identity, number) as writer:
            digest = _pour(reader, start, end, writer.write)
            part = writer.commit(sha1_checksum(digest), {})
    return answer(b2json.render_part(described_part(identity, part)))


def _source(call: B2Call) -> Place:
    place = call.place(call.text("sourceFileId"))
    call.demand("readFiles", place.bucket, place.key)
    return place


def _copied(call: B2Call, stored: StoredObject) -> tuple[int, int]:
    """From where to where the source is copied."""
    sent = encryption_setting(call.mapping("sourceServerSideEncryption"))
    headers = {name.replace(CUSTOMER, SOURCE_CUSTOMER, 1): value for name, value in sent.items()}
    check_readable(headers, stored.documents, SOURCE_CUSTOMER)
    text = call.optional_text("range")
    start, end = 0, stored.size
    if text is not None:
        found = _RANGE.fullmatch(text)
        if found is None:
            raise bad_request("range must be bytes=FIRST-LAST")
        start, end = int(found[1]), min(int(found[2]) + 1, stored.size)
        if start >= end:
            raise refuse("range_not_satisfiable", "The range has no byte of the file")
    if end - start > COPY_BYTES_MAX:
        raise refuse("source_too_large", f"At most {COPY_BYTES_MAX} bytes are copied at once")
    return start, end


def _pour(reader: ObjectReader, start: int, end: int, write: object) -> bytes:
    sha1 = hashlib.sha1(usedforsecurity=False)
    assert callable(write)
    while start < end:
        block = reader.read_at(start, min(BLOCK, end - start))
        sha1.update(block)
        write(block)
        start += len(block)
    return sha1.digest()
