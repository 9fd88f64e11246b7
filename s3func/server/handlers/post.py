"""PostObject: an upload from the form of a web page, allowed by a signed policy or by the bucket's own openness."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from s3func.errors import service_error
from s3func.message import Response
from s3func.server.addressing import check_key_text
from s3func.server.attributes import attributes_of, refuse_unimplemented
from s3func.server.backend import ObjectAttributes, ObjectWriter, StoredObject
from s3func.server.call import Call
from s3func.server.checksums import bad_digest
from s3func.server.creation import object_documents
from s3func.server.encryption import encryption_headers, object_encryption
from s3func.server.forms import FormReader, Writer
from s3func.server.handlers.objects import PUT_BYTES_MAX, written_headers
from s3func.server.payload import Payload, declared_checksum
from s3func.server.policy import Principal
from s3func.server.users import User
from s3func.wire import checksum
from s3func.wire.encoding import encode_path
from s3func.wire.post_policy import (
    FormSignature,
    PostPolicy,
    PostResponse,
    check_content_length,
    check_form,
    form_fields,
    is_signed_with,
    parse_form_signature,
    parse_policy,
    redirect_location,
    render_post_response,
    substitute_filename,
)
from s3func.wire.s3xml_config import parse_tagging_request, tagging_header

FORM_BYTES_MAX = PUT_BYTES_MAX + 1024**2
"""The largest file, and what is around it."""

_HEADERS = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}
)
_OF_THE_SIGNATURE = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"})
_URL = re.compile(r"https?://[!-~]+")


def post_object(call: Call) -> Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html."""
    upload = _Upload(call)
    try:
        form = FormReader(call.headers.get("content-type", ""), upload.begin)
        Payload(call, of_body=False).pour(form.feed, FORM_BYTES_MAX)
        form.finish()
        return upload.commit()
    finally:
        upload.close()


class _Upload:
    """The object that a form makes: allowed and begun when its file begins, visible when all of the form was read."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._fields: dict[str, str] = {}
        self._headers: dict[str, str] = {}
        self._policy: PostPolicy | None = None
        self._attributes = ObjectAttributes()
        self._writer: ObjectWriter | None = None
        self._checksums: dict[str, str] = {}
        self._hashers: dict[str, checksum.Hasher] = {}

    def begin(self, pairs: list[tuple[str, str]], filename: str) -> Writer:
        """Decide about the form, and begin the object."""
        call = self._call
        sent = form_fields(pairs)
        signature = parse_form_signature(sent)
        user = call.grant.user
        if signature is not None and user is None:
            user = _signer(call, signature, sent)
        self._fields = fields = substitute_filename(sent, filename)
        if signature is not None:
            self._policy = parse_policy(sent["policy"])
            sent_or_default = _bucket_default(call, self._policy) | fields
            check_form(self._policy, sent_or_default, bucket=call.bucket, now=call.clock.now())
        check_key_text(fields["key"])
        self._headers = headers = _headers(fields)
        refuse_unimplemented(headers)
        call.key = fields["key"]
        call.grant = replace(call.grant, user=user)
        call.access.who = Principal() if user is None else Principal(user.canonical_id, user.tenant)
        call.access.headers = headers
        call.access.begin_object(call.key)
        self._attributes = attributes_of(headers, call.owner, object_documents(call, headers))
        self._checksums = declared_checksum(fields)
        self._hashers = {algorithm: checksum.hasher(algorithm) for algorithm in self._checksums}
        self._writer = call.backend.begin_put(call.bucket, call.key)
        return self._write

    def commit(self) -> Response:
        """Check what can be checked only now, and publish the object."""
        writer = self._writer
        assert writer is not None
        if self._policy is not None:
            check_content_length(self._policy, writer.size)
        for algorithm, hasher in self._hashers.items():
            if hasher.base64() != self._checksums[algorithm]:
                raise bad_digest(algorithm)
        return self._answer(writer.commit(replace(self._attributes, checksums=self._checksums)))

    def close(self) -> None:
        """Give up what was not committed."""
        if self._writer is not None:
            self._writer.abort()

    def _write(self, block: bytes | memoryview) -> None:
        writer = self._writer
        assert writer is not None
        size = writer.size + len(block)
        if size > PUT_BYTES_MAX:
            raise service_error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        if self._policy is not None and self._policy.length_max is not None and size > self._policy.length_max:
            check_content_length(self._policy, max(size, self._policy.length_min))
        for hasher in self._hashers.values():
            hasher.update(block)
        writer.write(block)

    def _answer(self, stored: StoredObject) -> Response:
        call, fields = self._call, self._fields
        location = f"{call.request.origin}/{call.bucket}/{encode_path(call.key)}"
        headers = {"location": location, **written_headers(stored)}
        headers |= encryption_headers(self._headers, stored.documents, written=True)
        redirect = fields.get("success_action_redirect", fields.get("redirect", ""))
        # A URL that is none is passed over, as is a status that is not one of the three.
        if _URL.fullmatch(redirect) is not None:
            headers["location"] = redirect_location(redirect, bucket=call.bucket, key=call.key, etag=stored.etag)
            return Response(303, headers)
        status = fields.get("success_action_status")
        if status == "201":
            headers["content-type"] = "application/xml"
            document = PostResponse(location, call.bucket, call.key, stored.etag)
            return Response(201, headers, render_post_response(document))
        return Response(200 if status == "200" else 204, headers)


def _signer(call: Call, signature: FormSignature, fields: Mapping[str, str]) -> User:
    """Who signed the form's policy; InvalidCredentials, AccessDenied, InvalidRequest."""
    if signature.version == 4 and (signature.region, signature.service) != (call.region, "s3"):
        raise service_error(
            "InvalidArgument",
            f"The credential is scoped to {signature.region}/{signature.service}; expecting {call.region}/s3",
            details={"ArgumentName": "x-amz-credential", "Region": call.region},
        )
    user = call.users.with_key(signature.access_key_id)
    if user is None:
        raise service_error(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            details={"AWSAccessKeyId": signature.access_key_id},
        )
    if not is_signed_with(signature, fields["policy"], user.secret_access_key):
        raise service_error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            details={"AWSAccessKeyId": user.access_key_id, "StringToSign": fields["policy"]},
        )
    if "x-amz-security-token" in fields:
        raise service_error("InvalidToken", "The keys of this server are used without a session token.")
    return user


def _bucket_default(call: Call, policy: PostPolicy) -> dict[str, str]:
    """The bucket's default encryption as fields, where the policy asks for it: the object will have it."""
    kept = object_encryption({}, call.access.info.documents, call.kms_key_ids)
    named = {condition.field for condition in policy.conditions}
    return {name: value for name, value in encryption_headers({}, kept).items() if name in named}


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields as the headers that a PUT would have sent."""
    headers = {
        name: value
        for name, value in fields.items()
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _OF_THE_SIGNATURE)
    }
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    if "tagging" in fields:
        headers["x-amz-tagging"] = tagging_header(parse_tagging_request(fields["tagging"].encode()))
    return headers
