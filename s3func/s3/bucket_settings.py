"""The verbs about a bucket's settings. What is not set raises NotFound where S3 answers so.

Values are AWS's own names in plain dicts, as boto3 has them: {"Rules": [{"ID": "a", "Status": "Enabled", …}]}; where a
document says one thing it is that thing: tags are a dict of str, a policy is its JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from s3func.errors import ProtocolError
from s3func.retention import ObjectLockVerbs
from s3func.s3 import operations, settings_operations
from s3func.s3.base import S3Base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3func.retention import ObjectLockConfiguration
    from s3func.wire.s3xml_acl import AccessControlPolicy, Grant
    from s3func.wire.s3xml_config import CORSRule, Versioning

_T = TypeVar("_T")


class BucketSettingVerbs(ObjectLockVerbs, S3Base):
    """get, put and delete of what a bucket can be told."""

    def get_bucket_location(self, *, bucket: str | None = None) -> str:
        """The region of the bucket, "us-east-1" where S3 says nothing.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        """
        from s3func.wire.s3xml import parse_location

        return self._bucket_setting("location", parse_location, bucket) or "us-east-1"

    def get_bucket_versioning(self, *, bucket: str | None = None) -> Versioning:
        """`.status`: "Enabled", "Suspended", or None where versions never were on.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html
        """
        from s3func.wire.s3xml_config import parse_versioning

        return self._bucket_setting("versioning", parse_versioning, bucket)

    def put_bucket_versioning(self, status: str, *, bucket: str | None = None) -> None:
        """Keep all versions from now on ("Enabled"), or no new ones ("Suspended"): those that are there stay.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
        """
        from s3func.wire.s3xml_config import Versioning, render_versioning

        if status not in {"Enabled", "Suspended"}:
            raise ValueError(f"status must be 'Enabled' or 'Suspended', not {status!r}")
        self._put_bucket_setting("versioning", render_versioning(Versioning(status)), bucket)

    def get_bucket_tagging(self, *, bucket: str | None = None) -> dict[str, str]:
        """The bucket's tags. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html."""
        from s3func.wire.s3xml_config import parse_tagging

        return self._bucket_setting("tagging", parse_tagging, bucket)

    def put_bucket_tagging(self, tags: Mapping[str, str], *, bucket: str | None = None) -> None:
        """Set all tags of the bucket, at most 50; others are gone.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
        """
        self._put_bucket_setting("tagging", settings_operations.tags_document(tags), bucket)

    def delete_bucket_tagging(self, *, bucket: str | None = None) -> None:
        """Remove all tags. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html."""
        self._delete_bucket_setting("tagging", bucket)

    def get_bucket_acl(self, *, bucket: str | None = None) -> AccessControlPolicy:
        """Owner and grants. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html."""
        from s3func.wire.s3xml_acl import parse_access_control_policy

        return self._bucket_setting("acl", parse_access_control_policy, bucket)

    def put_bucket_acl(
        self, acl: str | AccessControlPolicy | None = None, *, grants: Iterable[Grant] = (), bucket: str | None = None
    ) -> None:
        """Set the list: the name of a canned one ("private", "public-read" …), a whole list, or grants.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
        """
        headers, body = settings_operations.access_headers(acl, grants)
        authorizer = self._at_control(bucket)
        request = settings_operations.about_bucket("PUT", authorizer.place, "acl", body=body)
        request.headers.update(headers)
        self._client.send(request, authorizer, operations.no_content)

    def get_bucket_cors(self, *, bucket: str | None = None) -> list[CORSRule]:
        """What pages of other origins may do. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketCors.html."""
        from s3func.wire.s3xml_config import parse_cors

        return self._bucket_setting("cors", parse_cors, bucket)

    def put_bucket_cors(self, rules: Iterable[CORSRule | Mapping[str, Any]], *, bucket: str | None = None) -> None:
        """Set all rules: `[{"allowed_origins": ["*"], "allowed_methods": ["GET"]}]`, other fields as CORSRule has them.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
        """
        self._put_bucket_setting("cors", settings_operations.cors_document(rules), bucket)

    def delete_bucket_cors(self, *, bucket: str | None = None) -> None:
        """Remove all rules. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketCors.html."""
        self._delete_bucket_setting("cors", bucket)

    def get_bucket_policy(self, *, bucket: str | None = None) -> dict[str, Any]:
        """The policy as plain values. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html."""
        return self._bucket_setting("policy", settings_operations.parse_policy, bucket)

    def put_bucket_policy(self, policy: Mapping[str, Any] | str, *, bucket: str | None = None) -> None:
        """Set the policy: plain values or JSON. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html."""
        self._put_bucket_setting("policy", settings_operations.policy_document(policy), bucket)

    def delete_bucket_policy(self, *, bucket: str | None = None) -> None:
        """Remove it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html."""
        self._delete_bucket_setting("policy", bucket)

    def get_bucket_policy_status(self, *, bucket: str | None = None) -> bool:
        """Whether the policy makes the bucket public.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
        """
        from s3func.wire.s3xml_config import parse_policy_status

        return self._bucket_setting("policyStatus", parse_policy_status, bucket)

    def get_object_lock_configuration(self, *, bucket: str | None = None) -> ObjectLockConfiguration:
        """Whether the bucket has Object Lock, and how long new objects are kept.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
        """
        from s3func.wire.s3xml_config import parse_object_lock

        return self._bucket_setting("object-lock", parse_object_lock, bucket)

    def put_object_lock_configuration(
        self,
        mode: str | None = None,
        *,
        days: int | None = None,
        years: int | None = None,
        bucket: str | None = None,
    ) -> None:
        """Have Object Lock, and keep new objects for `days` or `years` in `mode` "GOVERNANCE" or "COMPLIANCE".

        Without a mode new objects are kept only if they ask for it. It cannot be switched off again.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html
        """
        from s3func.retention import checked_default
        from s3func.wire.s3xml_config import render_object_lock

        body = render_object_lock(checked_default(mode, days, years))
        self._put_bucket_setting("object-lock", body, bucket)

    def get_bucket_lifecycle_configuration(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Rules": […]}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html."""
        return self._bucket_document("lifecycle", "LifecycleConfiguration", bucket)

    def put_bucket_lifecycle_configuration(
        self, configuration: Mapping[str, Any], *, bucket: str | None = None
    ) -> None:
        """Set all rules. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html."""
        self._put_bucket_document("lifecycle", "LifecycleConfiguration", configuration, bucket)

    def delete_bucket_lifecycle(self, *, bucket: str | None = None) -> None:
        """Remove all rules. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketLifecycle.html."""
        self._delete_bucket_setting("lifecycle", bucket)

    def get_bucket_encryption(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Rules": […]}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html."""
        return self._bucket_document("encryption", "ServerSideEncryptionConfiguration", bucket)

    def put_bucket_encryption(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set the default of new objects. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html."""
        self._put_bucket_document("encryption", "ServerSideEncryptionConfiguration", configuration, bucket)

    def delete_bucket_encryption(self, *, bucket: str | None = None) -> None:
        """Back to SSE-S3. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html."""
        self._delete_bucket_setting("encryption", bucket)

    def get_public_access_block(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"BlockPublicAcls": True, …}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html."""
        return self._bucket_document("publicAccessBlock", "PublicAccessBlockConfiguration", bucket)

    def put_public_access_block(self, configuration: Mapping[str, bool], *, bucket: str | None = None) -> None:
        """Set all four switches. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html."""
        self._put_bucket_document("publicAccessBlock", "PublicAccessBlockConfiguration", configuration, bucket)

    def delete_public_access_block(self, *, bucket: str | None = None) -> None:
        """Remove it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html."""
        self._delete_bucket_setting("publicAccessBlock", bucket)

    def get_bucket_ownership_controls(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Rules": […]}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html."""
        return self._bucket_document("ownershipControls", "OwnershipControls", bucket)

    def put_bucket_ownership_controls(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set them. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html."""
        self._put_bucket_document("ownershipControls", "OwnershipControls", configuration, bucket)

    def delete_bucket_ownership_controls(self, *, bucket: str | None = None) -> None:
        """Remove them. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketOwnershipControls.html."""
        self._delete_bucket_setting("ownershipControls", bucket)

    def get_bucket_notification_configuration(self, *, bucket: str | None = None) -> dict[str, Any]:
        """Who is told of what; {} for nobody.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketNotificationConfiguration.html
        """
        return self._bucket_document("notification", "NotificationConfiguration", bucket)

    def put_bucket_notification_configuration(
        self, configuration: Mapping[str, Any], *, bucket: str | None = None
    ) -> None:
        """Set all of it; {} tells nobody any more.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
        """
        self._put_bucket_document("notification", "NotificationConfiguration", configuration, bucket)

    def get_bucket_replication(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Role": …, "Rules": […]}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketReplication.html."""
        return self._bucket_document("replication", "ReplicationConfiguration", bucket)

    def put_bucket_replication(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html."""
        self._put_bucket_document("replication", "ReplicationConfiguration", configuration, bucket)

    def delete_bucket_replication(self, *, bucket: str | None = None) -> None:
        """Remove it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketReplication.html."""
        self._delete_bucket_setting("replication", bucket)

    def get_bucket_website(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"IndexDocument": …}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketWebsite.html."""
        return self._bucket_document("website", "WebsiteConfiguration", bucket)

    def put_bucket_website(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html."""
        self._put_bucket_document("website", "WebsiteConfiguration", configuration, bucket)

    def delete_bucket_website(self, *, bucket: str | None = None) -> None:
        """Remove it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketWebsite.html."""
        self._delete_bucket_setting("website", bucket)

    def get_bucket_logging(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"LoggingEnabled": …}, {} for none. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLogging.html."""
        return self._bucket_document("logging", "BucketLoggingStatus", bucket)

    def put_bucket_logging(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set it; {} ends it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html."""
        self._put_bucket_document("logging", "BucketLoggingStatus", configuration, bucket)

    def get_bucket_request_payment(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Payer": …}. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketRequestPayment.html."""
        return self._bucket_document("requestPayment", "RequestPaymentConfiguration", bucket)

    def put_bucket_request_payment(self, configuration: Mapping[str, Any], *, bucket: str | None = None) -> None:
        """Set who pays. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html."""
        self._put_bucket_document("requestPayment", "RequestPaymentConfiguration", configuration, bucket)

    def get_bucket_accelerate_configuration(self, *, bucket: str | None = None) -> dict[str, Any]:
        """{"Status": …}, {} where it never was on.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAccelerateConfiguration.html
        """
        return self._bucket_document("accelerate", "AccelerateConfiguration", bucket)

    def put_bucket_accelerate_configuration(
        self, configuration: Mapping[str, Any], *, bucket: str | None = None
    ) -> None:
        """Set it. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html."""
        self._put_bucket_document("accelerate", "AccelerateConfiguration", configuration, bucket)

    def get_bucket_inventory_configuration(self, identifier: str, *, bucket: str | None = None) -> dict[str, Any]:
        """One inventory. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketInventoryConfiguration.html."""
        return self._bucket_document(
            "inventory", "InventoryConfiguration", bucket, settings_operations.check_identifier(identifier)
        )

    def put_bucket_inventory_configuration(
        self, identifier: str, configuration: Mapping[str, Any], *, bucket: str | None = None
    ) -> None:
        """Set one inventory; the configuration's own "Id" must be the identifier.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html
        """
        self._put_bucket_document(
            "inventory",
            "InventoryConfiguration",
            configuration,
            bucket,
            settings_operations.check_identifier(identifier),
        )

    def delete_bucket_inventory_configuration(self, identifier: str, *, bucket: str | None = None) -> None:
        """Remove one. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketInventoryConfiguration.html."""
        self._delete_bucket_setting("inventory", bucket, settings_operations.check_identifier(identifier))

    def list_bucket_inventory_configurations(self, *, bucket: str | None = None) -> list[dict[str, Any]]:
        """All inventories, complete or an error.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBucketInventoryConfigurations.html
        """
        authorizer = self._at_control(bucket)
        found: list[dict[str, Any]] = []
        tokens: set[str] = set()
        token: str | None = None
        while True:
            request = settings_operations.about_bucket("GET", authorizer.place, "inventory", token=token)
            rows, token = self._client.send(
                request,
                authorizer,
                lambda _request, response: settings_operations.parse_inventories(operations.document(response)),
            )
            found += rows
            if token is None:
                return found
            if token in tokens:
                raise ProtocolError("the list of inventories goes in a circle: the store repeats a token")
            tokens.add(token)

    def _bucket_setting(
        self, setting: str, parse: Callable[[bytes], _T], bucket: str | None, identifier: str | None = None
    ) -> _T:
        authorizer = self._at_control(bucket)
        request = settings_operations.about_bucket("GET", authorizer.place, setting, identifier=identifier)
        return self._client.send(request, authorizer, lambda _request, response: parse(operations.document(response)))

    def _put_bucket_setting(self, setting: str, body: bytes, bucket: str | None, identifier: str | None = None) -> None:
        authorizer = self._at_control(bucket)
        request = settings_operations.about_bucket("PUT", authorizer.place, setting, identifier=identifier, body=body)
        self._client.send(request, authorizer, operations.no_content)

    def _delete_bucket_setting(self, setting: str, bucket: str | None, identifier: str | None = None) -> None:
        authorizer = self._at_control(bucket)
        request = settings_operations.about_bucket("DELETE", authorizer.place, setting, identifier=identifier)
        self._client.send(request, authorizer, operations.no_content)

    def _bucket_document(
        self, setting: str, root: str, bucket: str | None, identifier: str | None = None
    ) -> dict[str, Any]:
        from s3func.wire.s3xml_stored import parse_configuration

        return self._bucket_setting(setting, lambda body: parse_configuration(root, body), bucket, identifier)

    def _put_bucket_document(
        self, setting: str, root: str, value: Mapping[str, Any], bucket: str | None, identifier: str | None = None
    ) -> None:
        from s3func.wire.s3xml_stored import render_configuration

        if not isinstance(value, Mapping):
            raise TypeError(f"configuration must be a mapping, not {type(value).__name__}")
        self._put_bucket_setting(setting, render_configuration(root, value), bucket, identifier)
