"""The verbs about buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import ProtocolError
from s3func.s3 import operations
from s3func.s3.base import S3Base

if TYPE_CHECKING:
    from s3func.models import BucketEntry
    from s3func.results import HeadResult


class BucketVerbs(S3Base):
    """Buckets of an account."""

    def create_bucket(
        self,
        bucket: str | None = None,
        *,
        acl: str | None = None,
        object_lock: bool = False,
        object_ownership: str | None = None,
    ) -> None:
        """Make a bucket in the session's region. BucketAlreadyExists when the name is taken, also by ourselves.

        object_lock: keep versions, and let them be locked. object_ownership: "BucketOwnerEnforced" (AWS's default, where
        access lists have no effect), "BucketOwnerPreferred" or "ObjectWriter".
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        """
        authorizer = self._at_control(bucket)
        request = operations.create_bucket(
            authorizer.place,
            acl=acl,
            object_lock=object_lock,
            object_ownership=object_ownership,
            is_aws=self._endpoint.names_location,
        )
        if authorizer.place.service == "s3express":
            from s3func.s3.express import directory_bucket_document

            request = operations.with_document(request, directory_bucket_document(authorizer.bucket or ""))
        self._client.send(request, authorizer, operations.no_content)

    def delete_bucket(self, bucket: str | None = None) -> None:
        """Delete an empty bucket. BucketNotEmpty, NoSuchBucket."""
        authorizer = self._at_control(bucket)
        request = operations.on_bucket("DELETE", authorizer.place)
        self._client.send(request, authorizer, operations.no_content)

    def head_bucket(self, bucket: str | None = None) -> HeadResult:
        """Whether the bucket is there and may be used: NotFound, AccessDenied. `.headers` may hold its region."""
        authorizer = self._at(bucket)
        request = operations.on_bucket("HEAD", authorizer.place)
        return self._client.send(request, authorizer, operations.parse_head_object)

    def bucket_region(self, bucket: str | None = None) -> str:
        """The region that the bucket is in, asked for with one request; presigned URLs made afterwards are for it.

        At AWS that needs no permission for the bucket. NotFound, or AccessDenied where only its owner may ask.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
        """
        authorizer = self._at(bucket)
        region = self._ask_for_region(authorizer) if self._endpoint.tells_region else ""
        if region:
            authorizer.move(region)
        else:
            self.head_bucket(bucket)
        return authorizer.place.region

    def list_buckets(self) -> list[BucketEntry]:
        """All buckets of the account.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
        """
        authorizer = self._at_service()
        buckets: list[BucketEntry] = []
        tokens: set[str] = set()
        token: str | None = None
        while True:
            request = operations.list_buckets(authorizer.place, token)
            page = self._client.send(request, authorizer, operations.parse_list_buckets)
            buckets += page.buckets
            token = page.continuation_token
            if token is None:
                return buckets
            if token in tokens:
                raise ProtocolError("the list of buckets goes in a circle: the store repeats a token")
            tokens.add(token)
