"""The verbs that list what is in a bucket: lazy, and complete or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.listing import ObjectListing
from s3func.s3 import operations
from s3func.s3.base import S3Base

if TYPE_CHECKING:
    from s3func.models import ListPage

_PAGE_MAX = 1000


class ListingVerbs(S3Base):
    """Listings of a bucket."""

    def list_objects(
        self,
        prefix: str | None = None,
        start_after: str | None = None,
        delimiter: str | None = None,
        max_keys: int | None = None,
        *,
        bucket: str | None = None,
    ) -> ObjectListing:
        """The objects under a prefix, in key order: lazy, and complete or an error.

        start_after: only keys behind this one. delimiter: fold what lies deeper into `.common_prefixes`. max_keys: rows
        per request (1 to 1,000), not in all.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        authorizer = self._at(bucket)
        _check_listing(prefix=prefix, start_after=start_after, delimiter=delimiter, max_keys=max_keys)

        def fetch(last: ListPage | None) -> ListPage:
            request = operations.list_objects(
                authorizer.place,
                prefix,
                delimiter,
                max_keys,
                start_after if last is None else None,
                None if last is None else last.next_token,
            )
            return self._client.send(request, authorizer, operations.parse_list_objects)

        return ObjectListing(fetch)

    def list_object_versions(
        self,
        prefix: str | None = None,
        start_after: str | None = None,
        delimiter: str | None = None,
        max_keys: int | None = None,
        *,
        bucket: str | None = None,
    ) -> ObjectListing:
        """All versions and delete markers under a prefix: key order, newest first within a key.

        start_after: only keys behind this one. Otherwise as list_objects.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        authorizer = self._at(bucket)
        _check_listing(prefix=prefix, start_after=start_after, delimiter=delimiter, max_keys=max_keys)

        def fetch(last: ListPage | None) -> ListPage:
            request = operations.list_object_versions(
                authorizer.place,
                prefix,
                delimiter,
                max_keys,
                start_after if last is None else last.next_token,
                None if last is None else last.next_version_id,
            )
            return self._client.send(request, authorizer, operations.parse_list_object_versions)

        return ObjectListing(fetch)


def _check_listing(*, prefix: str | None, start_after: str | None, delimiter: str | None, max_keys: int | None) -> None:
    for name, value in (("prefix", prefix), ("start_after", start_after), ("delimiter", delimiter)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if max_keys is not None:
        if not isinstance(max_keys, int) or isinstance(max_keys, bool):
            raise TypeError(f"max_keys must be an int, not {type(max_keys).__name__}")
        if not 1 <= max_keys <= _PAGE_MAX:
            raise ValueError(f"max_keys must be 1 to {_PAGE_MAX}, not {max_keys}")
