"""A listing: lazy pages from a store, exhaustive or an error, never a part of the truth.

Nothing is asked for before the iteration begins; each iteration asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3func.models import ListPage, ObjectEntry


class ObjectListing:
    """The objects (or versions) under a prefix, in the store's order; iterate it, or call iter_objects().

    With a delimiter, what lies deeper is folded into `common_prefixes`.
    """

    __slots__ = ("_common_prefixes", "_fetch")

    def __init__(self, fetch: Callable[[ListPage | None], ListPage]) -> None:
        """`fetch` brings the page behind the given one, the first one for None."""
        self._fetch = fetch
        self._common_prefixes: list[str] | None = None

    def pages(self) -> Iterator[ListPage]:
        """Page after page; ProtocolError when the store claims more and gives no new place to go on from."""
        page: ListPage | None = None
        prefixes: list[str] = []
        # Brent's algorithm: places that lead in a circle come back to the remembered one, which moves on ever more rarely.
        remembered, age, age_max = None, 0, 1
        while True:
            place = None if page is None else _place(page)
            page = self._fetch(page)
            prefixes += page.common_prefixes
            if page.is_truncated and (page.next_token is None or _place(page) in {place, remembered}):
                raise ProtocolError("the listing is truncated, and the store gives no new token to go on from")
            yield page
            if not page.is_truncated:
                self._common_prefixes = prefixes
                return
            age += 1
            if age == age_max:
                remembered, age, age_max = _place(page), 0, 2 * age_max

    def iter_objects(self) -> Iterator[ObjectEntry]:
        """All entries of all pages."""
        for page in self.pages():
            yield from page.entries

    __iter__ = iter_objects

    @property
    def common_prefixes(self) -> list[str]:
        """What the delimiter folded, of the whole listing; lists it unless an iteration has reached its end."""
        if self._common_prefixes is None:
            for _ in self.pages():
                pass
        return list(self._common_prefixes or ())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _place(page: ListPage) -> tuple[str | None, str | None]:
    return page.next_token, page.next_version_id
