"""Completion of URLs by the TAB key: buckets, folders and objects, from one page of a listing.

1. It never fails and never takes long: without credentials or a store it has nothing to say.
2. bash takes a colon for the end of a word; what it passes is put together again, and what it gets is only the rest.
"""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

_SECONDS = 3.0
_ROWS = 200
_SCHEMES = ("s3://", "b2://")


def complete_url(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may stand here: a scheme, a bucket, what is in it, or (without a scheme) a file."""
    if "://" not in incomplete:
        schemes = [scheme for scheme in _SCHEMES if scheme.startswith(incomplete)]
        if "FILE" in (param.metavar or "") or param.name in {"sources", "source", "target"}:
            return [CompletionItem(text) for text in schemes if incomplete] or [CompletionItem(incomplete, type="file")]
        return [CompletionItem(text) for text in schemes]
    from s3func.errors import S3FuncError

    try:
        return [CompletionItem(text) for text in _found(ctx, incomplete) if text.isprintable()]
    except (S3FuncError, ValueError, TypeError, OSError):
        return []


def _found(ctx: click.Context, incomplete: str) -> list[str]:
    from s3func.connect import Location, connect, parse

    where = {name: ctx.params.get(name) for name in ("endpoint_url", "profile", "region", "anonymous")}
    where = {name: value for name, value in where.items() if value}
    scheme, _, rest = incomplete.partition("://")
    session: Any
    if "/" not in rest and scheme.lower() in {"s3", "b2"}:
        with connect(Location(scheme.lower(), None), **where) as session:  # type: ignore[arg-type]  # of an account
            names = [entry.name for entry in session.limited(_SECONDS).list_buckets()]
        return [f"{scheme}://{name}/" for name in names if name.startswith(rest)]
    place = parse(incomplete)
    with connect(place, **where) as session:
        listing = session.limited(_SECONDS).list_objects(place.key or None, delimiter="/", max_keys=_ROWS)
        page = next(iter(listing.pages()))
    keys = sorted([*page.common_prefixes, *(entry.key for entry in page.entries)])
    return [incomplete + key[len(place.key) :] for key in keys]


class ColonBash(BashComplete):
    """bash, whose words end at colons."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", "COMPREPLY+=($value)\n            [[ $value == */ ]] && compopt -o nospace"
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before, and the one that is to be completed, with the parts of a URL in one piece."""
        words, incomplete = super().get_completion_args()
        self._cut = 0
        if len(words) > 1 and words[-1] == ":" and words[-2] in {"s3", "b2"}:
            incomplete = f"{words[-2]}:{incomplete}"
            words = words[:-2]
        elif words and incomplete == ":" and words[-1] in {"s3", "b2"}:
            incomplete = f"{words.pop()}:"
        else:
            return words, incomplete
        self._cut = len("s3:")
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """What bash puts in place of the last part."""
        return f"{item.type},{item.value[self._cut :]}"


add_completion_class(ColonBash, "bash")
