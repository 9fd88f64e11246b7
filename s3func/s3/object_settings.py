"""The verbs about what an object is told beside its content: tags, access, locks, attributes, restore, forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from s3func.errors import CredentialsError, NotFound, NotSupported, ProtocolError
from s3func.s3 import operations, settings_operations
from s3func.s3.base import S3Base
from s3func.s3.headers import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3func.message import Request, Response
    from s3func.retention import Retention
    from s3func.wire.s3xml_acl import AccessControlPolicy, Grant
    from s3func.wire.s3xml_multipart import ObjectAttributes

_T = TypeVar("_T")
ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
# What S3, and Ceph, answer about an object of a bucket with Object Lock that was never told anything.
_NEVER_SET = frozenset({"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"})
_BYPASS = {"x-amz-bypass-governance-retention": "true"}


class ObjectSettingVerbs(S3Base):
    """get, put and delete of what belongs to an object or to one version of it (`version_id=`)."""

    def get_object_tagging(
        self, key: str, *, version_id: str | None = None, bucket: str | None = None
    ) -> dict[str, str]:
        """The object's tags, {} for none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html."""
        from s3func.wire.s3xml_config import parse_tagging

        return self._object_setting("tagging", parse_tagging, key, version_id, bucket)

    def put_object_tagging(
        self, key: str, tags: Mapping[str, str], *, version_id: str | None = None, bucket: str | None = None
    ) -> None:
        """Set all tags of the object, at most 10; others are gone.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
        """
        self._change_object("tagging", key, version_id, bucket, settings_operations.tags_document(tags))

    def delete_object_tagging(self, key: str, *, version_id: str | None = None, bucket: str | None = None) -> None:
        """Remove all tags. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html."""
        self._change_object("tagging", key, version_id, bucket, None, method="DELETE")

    def get_object_acl(
        self, key: str, *, version_id: str | None = None, bucket: str | None = None
    ) -> AccessControlPolicy:
        """Owner and grants. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html."""
        from s3func.wire.s3xml_acl import parse_access_control_policy

        return self._object_setting("acl", parse_access_control_policy, key, version_id, bucket)

    def put_object_acl(
        self,
        key: str,
        acl: str | AccessControlPolicy | None = None,
        *,
        grants: Iterable[Grant] = (),
        version_id: str | None = None,
        bucket: str | None = None,
    ) -> None:
        """Set the list: the name of a canned one ("private", "public-read" …), a whole list, or grants.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html
        """
        headers, body = settings_operations.access_headers(acl, grants)
        self._change_object("acl", key, version_id, bucket, body, headers=headers)

    def get_object_legal_hold(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> bool:
        """Whether the version (the newest one without version_id) must not be deleted until the hold is lifted.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html
        """
        from s3func.wire.s3xml_config import parse_legal_hold

        try:
            return self._object_setting("legal-hold", parse_legal_hold, key, version_id, bucket)
        except NotFound as error:
            if error.code in _NEVER_SET:
                return False
            raise

    def put_object_legal_hold(
        self, key: str, hold: bool, version_id: str | None = None, *, bucket: str | None = None
    ) -> None:
        """Forbid to delete the version, or allow it again.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html
        """
        from s3func.wire.s3xml_config import render_legal_hold

        if not isinstance(hold, bool):
            raise TypeError(f"hold must be a bool, not {type(hold).__name__}")
        self._change_object("legal-hold", key, version_id, bucket, render_legal_hold(hold))

    def get_object_retention(
        self, key: str, version_id: str | None = None, *, bucket: str | None = None
    ) -> Retention | None:
        """Until when the version is kept: `.mode` and `.retain_until`; None when it is not.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
        """
        from s3func.wire.s3xml_config import parse_retention

        try:
            return self._object_setting("retention", parse_retention, key, version_id, bucket)
        except NotFound as error:
            if error.code in _NEVER_SET:
                return None
            raise

    def put_object_retention(
        self,
        key: str,
        retention: Retention | None,
        version_id: str | None = None,
        *,
        bypass_governance: bool = False,
        bucket: str | None = None,
    ) -> None:
        """Keep a version until a moment: `Retention("GOVERNANCE", datetime(…, tzinfo=UTC))`.

        "COMPLIANCE" can be made longer, and shorter by nobody. To lift or shorten a governance takes bypass_governance;
        None lifts it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
        """
        body = settings_operations.retention_document(retention)
        self._change_object("retention", key, version_id, bucket, body, headers=_BYPASS if bypass_governance else None)

    def get_object_attributes(
        self,
        key: str,
        attributes: Sequence[str] = ATTRIBUTES,
        *,
        version_id: str | None = None,
        bucket: str | None = None,
    ) -> ObjectAttributes:
        """What S3 knows of an object without reading it: checksums, size, class, and all parts of an upload in parts.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
        """
        from s3func.wire.s3xml_multipart import parse_object_attributes

        if not isinstance(attributes, Sequence):
            raise TypeError(f"attributes must be a sequence of str, not {type(attributes).__name__}")
        wanted = [attributes] if isinstance(attributes, str) else list(attributes)
        for name in wanted:
            if name not in ATTRIBUTES:
                raise ValueError(f"attributes must be some of {', '.join(ATTRIBUTES)}, not {name!r}")
        if not wanted:
            raise ValueError("attributes is empty")
        headers = {"x-amz-object-attributes": ",".join(wanted)}
        found = self._object_setting("attributes", parse_object_attributes, key, version_id, bucket, headers)
        pages = [found.parts] if found.parts is not None else []
        while pages and pages[-1].is_truncated:
            headers["x-amz-part-number-marker"] = str(pages[-1].next_part_number_marker)
            more = self._object_setting("attributes", parse_object_attributes, key, version_id, bucket, headers).parts
            if more is None or not more.parts or more.parts[0].part_number <= pages[-1].parts[-1].part_number:
                raise ProtocolError(f"the pages of the parts of {key!r} go in a circle")
            pages.append(more)
        if len(pages) > 1:
            parts = [part for page in pages for part in page.parts]
            whole = pages[0]._replace(parts=parts, is_truncated=False, next_part_number_marker=None)
            found = found._replace(parts=whole)
        return found

    def restore_object(
        self,
        key: str,
        days: int | None = None,
        *,
        tier: str = "Standard",
        version_id: str | None = None,
        bucket: str | None = None,
    ) -> bool:
        """Have an archived object fetched for so many days: True when that has begun, False when it is there already.

        tier: "Standard", "Bulk" or "Expedited". days: None where objects come back for good (Intelligent-Tiering).
        Conflict while a restore is under way. https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
        """
        body = settings_operations.restore_document(days, tier)

        def has_begun(_request: Request, response: Response) -> bool:
            operations.no_content(_request, response)
            return response.status == 202

        authorizer = self._at(bucket)
        request = settings_operations.about_object(
            "POST", authorizer.place, key, "restore", version_id=version_id, body=body
        )
        return self._client.send(request, authorizer, has_begun)

    def presigned_post(
        self,
        key: str,
        *,
        expires: int = 3600,
        fields: Mapping[str, str] | None = None,
        conditions: Sequence[Mapping[str, str] | Sequence[Any]] = (),
        bucket: str | None = None,
    ) -> tuple[str, dict[str, str]]:
        """Where a browser's form goes, and its hidden fields; the file's own field, "file", has to come last.

        key: with "${filename}" at its end, whatever name the file has behind that prefix. expires: seconds, 1 to
        604,800. fields: what else the form sends, each exactly as it stands here unless a condition says otherwise.
        conditions: ["starts-with", "$Content-Type", "image/"], ["content-length-range", 1, 1048576], {"acl": "private"}.
        Nothing is sent. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
        """
        from s3func.wire.post_policy import presigned_form

        check_key(key)
        if isinstance(expires, bool) or not isinstance(expires, int):
            raise TypeError(f"expires must be an int of seconds, not {type(expires).__name__}")
        settings_operations.check_form(fields, conditions)
        authorizer = self._at(bucket)
        credentials, now = authorizer.credentials_now()
        if credentials is None:
            raise CredentialsError("a form is signed, and this session is anonymous")
        if self._name_of(bucket).startswith("arn:"):
            raise NotSupported("a form's policy names a bucket, and an ARN is none")
        form = presigned_form(
            bucket=self._name_of(bucket),
            key=key,
            access_key_id=credentials.access_key_id,
            secret_access_key=credentials.secret_access_key,
            region=authorizer.place.region,
            now=now,
            expires_seconds=expires,
            session_token=credentials.session_token,
            fields=fields,
            conditions=conditions,
        )
        request = operations.on_bucket("POST", authorizer.place)
        return f"{request.origin}{request.path}", form

    def _name_of(self, bucket: str | None) -> str:
        return bucket if bucket is not None else self.bucket or ""

    def _object_setting(
        self,
        setting: str,
        parse: Callable[[bytes], _T],
        key: str,
        version_id: str | None,
        bucket: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        authorizer = self._at(bucket)
        request = settings_operations.about_object(
            "GET", authorizer.place, key, setting, version_id=version_id, headers=headers
        )
        return self._client.send(request, authorizer, lambda _request, response: parse(operations.document(response)))

    def _change_object(
        self,
        setting: str,
        key: str,
        version_id: str | None,
        bucket: str | None,
        body: bytes | None,
        *,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        authorizer = self._at(bucket)
        request = settings_operations.about_object(
            method, authorizer.place, key, setting, version_id=version_id, body=body, headers=headers
        )
        self._client.send(request, authorizer, operations.no_content)
