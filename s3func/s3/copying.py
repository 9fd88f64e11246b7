"""copy_object for every size: one CopyObject, or above 5 GiB UploadPartCopy in parallel, with the same result.

Rule 1: CopyObject decides what a copy is: what it takes over (metadata, content headers, tags) and what it does not
        (storage class, ACL, encryption) is the same where parts are copied.
Rule 2: all parts are of one state of the source: its version and its ETag are pinned.
Rule 3: a copy that fails leaves neither an object nor parts.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html
"""

from __future__ import annotations

import re
from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from s3func.errors import (
    ChecksumMismatch,
    InvalidRequest,
    NotFound,
    NotImplementedByStore,
    NotModified,
    NotSupported,
    ObjectChanged,
    PreconditionFailed,
    S3FuncError,
    ServiceError,
)
from s3func.results import CopyResult
from s3func.s3 import operations
from s3func.s3.headers import check_key, metadata_headers, tagging_value
from s3func.s3.payload import CHECKSUMS
from s3func.transport.transfer import MIB, ProgressCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3func.clock import Clock
    from s3func.message import Request, Response
    from s3func.results import HeadResult, PutResult
    from s3func.s3.auth import SigV4Authorizer, Skew
    from s3func.s3.upload_parts import PartsUpload, Put
    from s3func.s3.upload_plan import Part
    from s3func.transport.client import Client
    from s3func.transport.transfer import Progress, TransferConfig

COPY_MAX = 5 * 1024 * MIB
"""The largest source of one CopyObject, and the largest part."""
_PART = 128 * MIB
# What is taken over from the source, besides metadata, when nothing is given in its place.
_DESCRIPTION = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)
_METADATA = "x-amz-meta-"
_DIRECTIVES = ("x-amz-metadata-directive", "x-amz-tagging-directive")
# What makes a copy of an object onto itself a change.
_CHANGES = ("x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption")
# Headers about the source, and what a HEAD of it calls them.
_SOURCE_HEADERS = (
    ("x-amz-copy-source-server-side-encryption-customer-", "x-amz-server-side-encryption-customer-"),
    ("x-amz-copy-source-if-", "if-"),
    ("x-amz-source-expected-bucket-owner", "x-amz-expected-bucket-owner"),
    ("x-amz-request-payer", "x-amz-request-payer"),
)


class Source(NamedTuple):
    """The object that is copied."""

    authorizer: SigV4Authorizer
    bucket: str
    key: str
    version_id: str | None
    if_match: str | None


class Copy(NamedTuple):
    """What one call asks for, checked: `fields` are the headers of the copy and the caller's own."""

    client: Client
    clock: Clock
    skew: Skew
    source: Source
    authorizer: SigV4Authorizer
    key: str
    fields: dict[str, str]
    replace_metadata: bool
    replace_tagging: bool
    if_match: str | None
    if_none_match: str | None
    transfer: TransferConfig | None
    """The call's own, whose threshold counts; above 5 GiB nobody has a choice."""
    settings: TransferConfig
    progress: Progress | None
    store: str
    """The endpoint, for errors."""


def copy(job: Copy) -> CopyResult:
    """Copy the object, in one request if that is possible."""
    count = ProgressCount(job.progress, None)
    head = None
    if job.transfer is not None or job.progress is not None:
        try:
            head = _head(job)
        except PreconditionFailed:
            # Not every store knows the conditions of CopyObject.
            raise
        except ServiceError:
            # CopyObject is refused for the same reason, and unlike a HEAD it says why.
            head = None
    if head is None or not _in_parts(job, head.size):
        try:
            result = _copy_whole(job)
        except InvalidRequest as error:
            # Stores have different words for a source that is too large, so its size is asked for.
            head = _head_of_large(job) if head is None else None
            if head is None:
                raise
            return _copy_parts(job, head, count, error)
        if head is not None and head.size is not None:
            count.finish(head.size)
        return result
    return _copy_parts(job, head, count, None)


def _in_parts(job: Copy, size: int | None) -> bool:
    if not size or _changes_nothing(job):
        # A copy onto itself without a change is for the store to refuse.
        return False
    if not job.authorizer.endpoint.parts.copied:
        # Such a store copies in one request what S3 does not.
        return False
    return size > COPY_MAX or (job.transfer is not None and size >= job.transfer.multipart_threshold)


def _changes_nothing(job: Copy) -> bool:
    source = job.source
    if (source.bucket, source.key) != (job.authorizer.bucket, job.key) or source.version_id is not None:
        return False
    return not job.replace_metadata and not any(name.startswith(_CHANGES) for name in job.fields)


def _copy_whole(job: Copy) -> CopyResult:
    source = job.source
    request = operations.copy_object(
        job.authorizer.plain.place,
        job.key,
        source.bucket,
        source.key,
        source.version_id,
        dict(job.fields),
        replace_metadata=job.replace_metadata,
        replace_tagging=job.replace_tagging,
        source_if_match=source.if_match,
        if_match=job.if_match,
        if_none_match=job.if_none_match,
    )
    return job.client.send(request, job.authorizer.plain, operations.parse_copy_object)


def _head(job: Copy) -> HeadResult:
    """What is known of the source, if it is in the state that the call demands."""
    source = job.source
    request = operations.read_object(
        "HEAD",
        source.authorizer.place,
        source.key,
        version_id=source.version_id,
        byte_range=None,
        if_match=source.if_match,
        if_none_match=None,
        if_modified_since=None,
        if_unmodified_since=None,
        verify=source.authorizer.endpoint.verifies,
        headers=None,
    )
    request.headers.update(headers_for_source(job.fields))
    try:
        return job.client.send(request, source.authorizer, operations.parse_head_object)
    except NotModified as error:
        # Of a copy this is a condition that does not hold.
        raise PreconditionFailed(
            "the source is not as x-amz-copy-source-if-… demands", bucket=source.bucket, key=source.key
        ) from error


def _head_of_large(job: Copy) -> HeadResult | None:
    """The source, if it is one that only parts can copy."""
    try:
        head = _head(job)
    except S3FuncError:
        return None
    return head if (head.size or 0) > COPY_MAX and _in_parts(job, head.size) else None


def headers_for_source(fields: dict[str, str]) -> dict[str, str]:
    """What a request to the source itself has to say, of the headers of a copy."""
    return {
        theirs + name[len(ours) :]: value
        for name, value in fields.items()
        for ours, theirs in _SOURCE_HEADERS
        if name.startswith(ours)
    }


def _copy_parts(job: Copy, head: HeadResult, count: ProgressCount, refusal: InvalidRequest | None) -> CopyResult:
    """Copy a source in parts. refusal: of CopyObject, if it was asked before."""
    from s3func.s3.upload_parts import PartsNeededAgain, PartsUpload
    from s3func.transport.parallel import Crew

    size = head.size or 0
    count.expect(size)
    put = _put(job, head, count)
    crew = Crew(job.settings.concurrency)
    upload = PartsUpload(put, crew)
    try:
        upload.begin()
        with crew:
            digests = _submit(job, head, upload)
        _check_source(job, head)
        _compare(head, upload, digests)
        result = upload.complete()
    except BaseException as error:
        upload.abort(error)
        if isinstance(error, PartsNeededAgain):
            raise error.conflict from None
        if not isinstance(error, NotImplementedByStore | NotSupported):
            raise
        if size > COPY_MAX:
            raise NotSupported(
                f"{job.store} does not copy objects in parts, and of {size} bytes not in one request either; "
                "what remains is to read the object and to put it"
            ) from (refusal or error)
    else:
        count.finish(size)
        return _result(job, head, put, result)
    finally:
        upload.leave()
    # Nobody needs the parts: it was asked for by a lower threshold.
    whole = _copy_whole(job)
    count.finish(size)
    return whole


def _put(job: Copy, head: HeadResult, count: ProgressCount) -> Put:
    """The upload that makes the copy: with the headers that CopyObject would have given it."""
    from s3func.s3.upload_parts import Put

    fields = {name: value for name, value in job.fields.items() if name not in _DIRECTIVES and not _is_of_source(name)}
    if not job.replace_metadata:
        fields = {name: value for name, value in fields.items() if not _describes(name)}
        fields |= {name: _sendable(name, value) for name, value in head.headers.items() if _describes(name)}
    if not job.replace_tagging:
        fields.pop("x-amz-tagging", None)
        if tags := _tags(job, head):
            fields["x-amz-tagging"] = tagging_value(tags)
    checksum = fields.get("x-amz-checksum-algorithm", "").lower()
    if not checksum:
        checksum = _checksum_of(head)[0]
    if checksum in CHECKSUMS:
        fields.pop("x-amz-checksum-algorithm", None)
    total = job.client.total_seconds
    return Put(
        client=job.client,
        clock=job.clock,
        skew=job.skew,
        authorizer=job.authorizer,
        key=job.key,
        path=check_key(job.key, "dest_key"),
        fields=fields,
        checksum=checksum if checksum in CHECKSUMS else "off",
        if_match=job.if_match,
        if_none_match=job.if_none_match,
        transfer=job.settings,
        multipart=True,
        progress=count,
        watched=False,
        deadline=None if total is None else job.clock.monotonic() + total,
    )


def _describes(name: str) -> bool:
    return name in _DESCRIPTION or name.startswith(_METADATA)


def _sendable(name: str, value: str) -> str:
    """A header of the source as a request can carry it: what others have stored there need not be ASCII."""
    if re.fullmatch(r"[\x20-\x7e]*", value):
        return value
    if not name.startswith(_METADATA):
        raise NotSupported(
            f"the source's {name} is not ASCII, which no request can carry: give the copy headers of its own"
        )
    try:
        text = value.encode("latin-1").decode()
    except ValueError:
        text = value
    [encoded] = metadata_headers({name.removeprefix(_METADATA): text}).values()
    return encoded


def _is_of_source(name: str) -> bool:
    return name.startswith(("x-amz-copy-source", "x-amz-source-"))


def _checksum_of(head: HeadResult) -> tuple[str, str]:
    """Algorithm and value of the checksum that the store keeps of the source; empty without one."""
    for algorithm in sorted(CHECKSUMS):
        value = head.headers.get(f"x-amz-checksum-{algorithm}")
        if value is not None:
            return algorithm, value
    return "", ""


def _tags(job: Copy, head: HeadResult) -> dict[str, str]:
    """The tags of the source. A store without tags has none; who may not read them may not copy them either, as in S3.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
    """
    from s3func.wire.encoding import encode_query
    from s3func.wire.s3xml_config import parse_tagging

    source = job.source
    pairs = [("tagging", "")]
    version_id = source.version_id or head.version_id
    if version_id is not None:
        pairs.append(("versionId", version_id))
    fields = {
        name: value
        for name, value in headers_for_source(job.fields).items()
        if name in {"x-amz-expected-bucket-owner", "x-amz-request-payer"}
    }
    place = source.authorizer.place
    request = operations.bare("GET", place, check_key(source.key, "source_key"), encode_query(pairs), fields)

    def parse(_request: Request, response: Response) -> dict[str, str]:
        if head.etag and response.headers.get("etag", "").strip('"') == head.etag:
            # The object itself: rclone, for one, does not know the sub-resource, and ignores it.
            response.close()
            return {}
        body = operations.document(response)
        # Ceph answers with nothing at all for some objects without tags.
        return parse_tagging(body) if body else {}

    try:
        return job.client.send(request, source.authorizer, parse)
    except NotImplementedByStore:
        return {}


def _parts(job: Copy, size: int) -> Iterator[Part]:
    from s3func.s3.upload_plan import parts_of

    least = -(-size // job.authorizer.endpoint.parts.most)
    each = max(job.settings.part_size or _PART, least)
    return parts_of(size, min(COPY_MAX, each if job.settings.part_size else -(-each // MIB) * MIB))


def _submit(job: Copy, head: HeadResult, upload: PartsUpload) -> dict[int, tuple[str, int]]:
    """Have every part copied, as many at a time as the store tolerates; checksum ("" without one) and size of each.

    They are complete when the crew has come to its end.
    """
    from s3func.s3 import multipart_operations
    from s3func.transport.client import Client
    from s3func.transport.parallel import CrewClock, PacedAuthorizer

    source, put, crew = job.source, upload.put, upload.crew
    size = head.size or 0
    version_id = source.version_id or head.version_id
    repeated = put.repeated | {name: value for name, value in job.fields.items() if _is_of_source(name)}
    client = Client(
        put.client.transport,
        put.client.retries,
        total_seconds=put.client.total_seconds,
        clock=CrewClock(put.clock, crew),
    )

    def copy_part(part: Part) -> None:
        whole = part.length == size
        request = multipart_operations.upload_part_copy(
            put.authorizer.plain.place,
            put.key,
            upload.upload_id,
            part.number,
            source.bucket,
            source.key,
            version_id,
            dict(repeated),
            # S3 takes ranges of sources above 5 MB only.
            byte_range=None if whole else f"bytes={part.start}-{part.start + part.length - 1}",
            source_if_match=head.etag or None,
        )
        request.deadline = put.deadline
        authorizer = PacedAuthorizer(put.authorizer.plain, crew)
        try:
            copied = client.send(request, authorizer, multipart_operations.parse_upload_part_copy)
        except PreconditionFailed as error:
            raise _changed(source) from error
        digest = copied.checksums.get(upload.algorithm, "")
        digests[part.number] = (digest, part.length)
        upload.keep(copied, b64decode(digest), part.length)
        put.progress.add(part.length)

    digests: dict[int, tuple[str, int]] = {}
    for part in _parts(job, size):
        crew.submit(partial(copy_part, part))
    return digests


def _check_source(job: Copy, head: HeadResult) -> None:
    """ObjectChanged unless the source is still what it was: Ceph, for one, ignores the condition that each part has."""
    if job.source.version_id is not None or head.version_id is not None:
        return
    try:
        now = _head(job)
    except (NotFound, PreconditionFailed) as error:
        raise _changed(job.source) from error
    if (now.etag, now.size, now.last_modified) != (head.etag, head.size, head.last_modified):
        raise _changed(job.source)


def _changed(source: Source) -> ObjectChanged:
    return ObjectChanged("the source was replaced while it was copied", bucket=source.bucket, key=source.key)


def _compare(head: HeadResult, upload: PartsUpload, digests: dict[int, tuple[str, int]]) -> None:
    """ChecksumMismatch, before anything is published, when the parts together are not what the source is."""
    from s3func.wire.checksum import combine, encode

    if not all(digest for digest, _ in digests.values()):
        # A store that tells no checksums of copied parts has nothing to compare one of the whole with.
        upload.algorithm = ""
        return
    algorithm, expected = _checksum_of(head)
    is_whole = "-" not in expected and head.headers.get("x-amz-checksum-type") != "COMPOSITE"
    if upload.kind != "FULL_OBJECT" or algorithm != upload.algorithm or not is_whole:
        return
    whole = b""
    for number in sorted(digests):
        digest, length = digests[number]
        whole = combine(algorithm, whole, b64decode(digest), length) if whole else b64decode(digest)
    if encode(whole) != expected:
        raise ChecksumMismatch(f"the {algorithm} of the copied parts is {encode(whole)}, that of the source {expected}")


def _result(job: Copy, head: HeadResult, put: Put, result: PutResult) -> CopyResult:
    """The result as CopyObject gives it."""
    headers = dict(result.headers)
    version_id = job.source.version_id or head.version_id
    if version_id is not None:
        headers["x-amz-copy-source-version-id"] = version_id
    fields = {"if-match": f'"{result.etag}"'} if result.etag else {}
    request = operations.bare(
        "HEAD", job.authorizer.place, put.path, operations.version_query(result.version_id), put.repeated | fields
    )
    try:
        # The answer to the completion does not say when the object was made, which is not when it was completed.
        made = job.client.send(request, job.authorizer, operations.parse_head_object)
    except S3FuncError:
        return CopyResult(result.status, headers, result.etag, None)
    tagging = put.fields.get("x-amz-tagging")
    if tagging and made.headers.get("x-amz-tagging-count") == "0":
        _put_tags(job, put, tagging, result.version_id)
    return CopyResult(result.status, headers, result.etag, made.last_modified)


def _put_tags(job: Copy, put: Put, tagging: str, version_id: str | None) -> None:
    """Give the copy its tags, which Ceph 16 forgets when it makes an object of parts.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
    """
    from s3func.wire.checksum import encode, hasher
    from s3func.wire.encoding import encode_query
    from s3func.wire.s3xml_config import parse_tagging_header, render_tagging

    body = render_tagging(parse_tagging_header(tagging))
    digest = hasher("md5")
    digest.update(body)
    pairs = [("tagging", ""), *([("versionId", version_id)] if version_id is not None else [])]
    fields = put.repeated | {"content-md5": encode(digest.digest()), "content-type": "application/xml"}
    request = operations.bare("PUT", job.authorizer.place, put.path, encode_query(pairs), fields)
    job.client.send(operations.with_document(request, body), job.authorizer, operations.no_content)
