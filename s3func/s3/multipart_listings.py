"""Listings of multipart uploads and of their parts: lazy pages, complete or an error.

Nothing is asked for before the iteration begins; each iteration asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import ProtocolError
from s3func.s3 import multipart_operations
from s3func.s3.operations import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.message import Request, Response
    from s3func.s3.endpoints import Place
    from s3func.wire.s3xml_multipart import PartEntry, PartsPage, UploadEntry, UploadsPage

    Send = Callable[[Request, Callable[[Request, Response], UploadsPage]], UploadsPage]


class PartListing:
    """The parts of one upload, by number; iterate it for PartEntry rows."""

    __slots__ = ("_fetch",)

    def __init__(self, fetch: Callable[[PartsPage | None], PartsPage]) -> None:
        """`fetch` brings the page behind the given one, the first one for None."""
        self._fetch = fetch

    def pages(self) -> Iterator[PartsPage]:
        """Page after page; ProtocolError when the store claims more and does not get on."""
        page: PartsPage | None = None
        before = -1
        while True:
            page = self._fetch(page)
            marker = page.next_part_number_marker
            if page.is_truncated and (marker is None or marker <= before):
                raise ProtocolError("the list of parts is truncated, and the store gives no new place to go on from")
            yield page
            if not page.is_truncated or marker is None:
                return
            before = marker

    def __iter__(self) -> Iterator[PartEntry]:
        for page in self.pages():
            yield from page.parts

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UploadListing:
    """The uploads of a bucket that are neither completed nor aborted, by key; iterate it for UploadEntry rows.

    With a delimiter, what lies deeper is folded into `common_prefixes`.
    """

    __slots__ = ("_common_prefixes", "_fetch")

    def __init__(self, fetch: Callable[[UploadsPage | None], UploadsPage]) -> None:
        """`fetch` brings the page behind the given one, the first one for None."""
        self._fetch = fetch
        self._common_prefixes: list[str] | None = None

    def pages(self) -> Iterator[UploadsPage]:
        """Page after page; ProtocolError when the store claims more and gives no new place to go on from."""
        page: UploadsPage | None = None
        prefixes: list[str] = []
        # One place per thousand uploads.
        places: set[tuple[str | None, str | None]] = set()
        while True:
            page = self._fetch(page)
            prefixes += page.common_prefixes
            place = (page.next_key_marker, page.next_upload_id_marker)
            if page.is_truncated and (page.next_key_marker is None or place in places):
                raise ProtocolError("the list of uploads is truncated, and the store gives no new place to go on from")
            yield page
            if not page.is_truncated:
                self._common_prefixes = prefixes
                return
            places.add(place)

    def __iter__(self) -> Iterator[UploadEntry]:
        for page in self.pages():
            yield from page.uploads

    @property
    def common_prefixes(self) -> list[str]:
        """What the delimiter folded, of the whole listing; lists it unless an iteration has reached its end."""
        if self._common_prefixes is None:
            for _ in self.pages():
                pass
        return list(self._common_prefixes or ())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def fetch_uploads(
    send: Send,
    place: Place,
    prefix: str | None = None,
    delimiter: str | None = None,
    max_uploads: int | None = None,
    key_marker: str | None = None,
    upload_id_marker: str | None = None,
) -> UploadsPage:
    """One page of uploads, with exact keys; `send` is asked for it, twice if it has to be.

    Ceph encodes the keys of this listing as it is told to, and does not say so; other stores ignore what they are told.
    Where a page does not say it, and it matters, the page is asked for without the encoding.
    """
    is_sure = True

    def parse(request: Request, response: Response) -> UploadsPage:
        nonlocal is_sure
        page = multipart_operations.parse_list_multipart_uploads(request, response)
        names = [*[upload.key for upload in page.uploads], *page.common_prefixes]
        is_sure = b"EncodingType>" in document(response) or not any("%" in name for name in names)
        return page

    def request(*, is_encoded: bool) -> Request:
        return multipart_operations.list_multipart_uploads(
            place, prefix, delimiter, max_uploads, key_marker, upload_id_marker, is_encoded=is_encoded
        )

    page = send(request(is_encoded=True), parse)
    return page if is_sure else send(request(is_encoded=False), parse)
