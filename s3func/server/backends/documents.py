"""Editing documents, in every store: by name, and None removes."""

from __future__ import annotations

from collections.abc import Mapping


def edited(documents: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The documents as they are after the changes."""
    return {name: text for name, text in {**documents, **changes}.items() if text is not None}
