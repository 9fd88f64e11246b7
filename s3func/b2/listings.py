"""The verbs that list what is in a bucket: lazy, and complete or an error; one call per 1,000 rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.b2 import operations
from s3func.b2.base import B2Base
from s3func.b2.config import PAGE_MAX, check_number, check_text
from s3func.listing import ObjectListing
from s3func.wire.b2json import parse_files

if TYPE_CHECKING:
    from s3func.models import ListPage
    from s3func.wire.b2json import FilesPage


class ListingVerbs(B2Base):
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
        per request (1 to 1,000), not in all. https://www.backblaze.com/apidocs/b2-list-file-names
        """
        name, fields = self._listing(prefix, start_after, delimiter, max_keys, bucket)

        def fetch(last: ListPage | None) -> ListPage:
            place = {} if last is None else {"startFileName": last.next_token}
            page = self._page("b2_list_file_names", name, {**fields, **place})
            return operations.names_page(page)

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
        """All versions and hide markers under a prefix: key order, newest first within a key.

        Hide markers are delete markers here; unfinished large files are in list_multipart_uploads. Otherwise as
        list_objects. https://www.backblaze.com/apidocs/b2-list-file-versions
        """
        name, fields = self._listing(prefix, start_after, delimiter, max_keys, bucket)

        def fetch(last: ListPage | None) -> ListPage:
            previous = last.entries[-1].key if last is not None and last.entries else None
            place: dict[str, Any] = {}
            if last is not None:
                place = {"startFileName": last.next_token, "startFileId": last.next_version_id}
            while True:
                page = self._page("b2_list_file_versions", name, {**fields, **place})
                found = operations.versions_page(page, previous)
                if found.entries or found.common_prefixes or not found.is_truncated:
                    return found
                if place == {"startFileName": page.next_file_name, "startFileId": page.next_file_id}:
                    # ObjectListing sees that this leads nowhere.
                    return found
                # Nothing but unfinished uploads: the next page still has to know which key came before.
                place = {"startFileName": page.next_file_name, "startFileId": page.next_file_id}

        return ObjectListing(fetch)

    def _page(self, call: str, name: str, fields: dict[str, Any]) -> FilesPage:
        fields["bucketId"] = self._bucket_id(name)
        return self._call(call, fields, parse_files, bucket=name, reading=True)

    def _listing(
        self,
        prefix: str | None,
        start_after: str | None,
        delimiter: str | None,
        max_keys: int | None,
        bucket: str | None,
    ) -> tuple[str, dict[str, Any]]:
        """The bucket, and the fields of the first page."""
        for argument, value in (("prefix", prefix), ("start_after", start_after), ("delimiter", delimiter)):
            if value is not None:
                check_text(argument, value)
        if max_keys is not None:
            check_number("max_keys", max_keys, 1, PAGE_MAX)
        self._known_account()
        return self._name(bucket), {
            # An empty prefix or delimiter means none to S3, too.
            "prefix": prefix or None,
            "delimiter": delimiter or None,
            # No key has a character below the space, so this is what comes right behind it.
            "startFileName": f"{start_after} " if start_after else None,
            "maxFileCount": max_keys or PAGE_MAX,
        }
