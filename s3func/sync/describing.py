"""What an object says about the file that it is of, and back: times, permissions, links, type and size of parts.

The names are rclone's where it has one: `mtime` holds seconds since 1970 with nine decimals, `mode` is octal text as
stat shows it. Objects of B2 have src_last_modified_millis as well, as Backblaze wants it.
https://rclone.org/s3/#modification-times-and-hashes
"""

from __future__ import annotations

import re
import stat
from functools import cache
from typing import TYPE_CHECKING, Any

from s3func.download.source import ObjectSource
from s3func.sync.publishing import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.results import GetResult, ObjectResult
    from s3func.session import Session
    from s3func.sync.operation import Side
    from s3func.transport.transfer import TransferConfig

MTIME = "mtime"
MODE = "mode"
LINK = "s3func-link"
PART_SIZE = "s3func-part-size"
METADATA = frozenset({MTIME, MODE})
"""What `metadata=` of a plan may ask for."""

_SECONDS = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9})[0-9]*)?")
_NANO = 1_000_000_000
_BILLION_SECONDS_MAX = 1 << 62


def mtime_text(mtime_ns: int) -> str:
    """Nanoseconds since 1970 as rclone writes them: "1700000000.123456789"."""
    seconds, rest = divmod(abs(mtime_ns), _NANO)
    return f"{'-' if mtime_ns < 0 else ''}{seconds}.{rest:09d}"


def parse_mtime(text: str | None) -> int | None:
    """The reverse; None for what is no time, or none that a file could have."""
    found = _SECONDS.fullmatch(text) if text else None
    if found is None:
        return None
    value = int(found[2]) * _NANO + int((found[3] or "").ljust(9, "0"))
    if value > _BILLION_SECONDS_MAX:
        return None
    return -value if found[1] else value


def described(name: str, local: Side, metadata: tuple[str, ...], *, is_b2: bool) -> dict[str, Any]:
    """The keywords of put_object that say what file it is."""
    kept: dict[str, str] = {}
    options: dict[str, Any] = {"metadata": kept}
    if MTIME in metadata and local.mtime_ns is not None:
        kept[MTIME] = mtime_text(local.mtime_ns)
        # B2 counts milliseconds, and none before 1970.
        if is_b2 and local.mtime_ns >= 0:
            options["last_modified"] = local.mtime_ns / _NANO
    if MODE in metadata and local.mode is not None:
        kept[MODE] = format(local.mode, "o")
    if local.link is not None:
        kept[LINK] = "1"
    elif not is_b2 and (content_type := content_type_of(name)) is not None:
        # B2 chooses itself, by the ending as well.
        options["content_type"] = content_type
    return options


def facts_of(result: ObjectResult, metadata: tuple[str, ...], *, links: bool = False) -> Facts:
    """What a file gets that is made of an object: the time of the original, or else that of the object.

    links: an object that stands for a symbolic link becomes one.
    """
    kept = result.user_metadata
    mtime_ns = None
    if MTIME in metadata:
        mtime_ns = parse_mtime(kept.get(MTIME))
        if mtime_ns is None and (millis := kept.get("src_last_modified_millis", "")).isdecimal() and len(millis) < 16:
            mtime_ns = int(millis) * 1_000_000
        if mtime_ns is None and (modified := result.last_modified) is not None:
            mtime_ns = int(modified.timestamp()) * _NANO
    mode = None
    if MODE in metadata and re.fullmatch(r"[0-7]{1,6}", text := kept.get(MODE, "")):
        # The bits that would run the content as somebody else are not taken from a store.
        mode = stat.S_IMODE(int(text, 8)) & 0o777
    return Facts(mtime_ns, mode, links and LINK in kept)


def part_size_of(session: Session, size: int, transfer: TransferConfig) -> int | None:
    """The size of the parts that a file of this size is to be stored in; None for one piece, or where it says nothing."""
    from s3func.b2.base import B2Base
    from s3func.s3.upload_plan import part_size

    if size < transfer.multipart_threshold or isinstance(session, B2Base):
        return None
    each = part_size(size, transfer)
    return each if each < size else None


def content_type_of(name: str) -> str | None:
    """The media type by the ending of a name, the same on every machine; None if there is none."""
    file = name[name.rfind("/") + 1 :]
    dot = file.rfind(".")
    return _types().get(file[dot:].lower()) if dot > 0 else None


@cache
def _types() -> Mapping[str, str]:
    import mimetypes

    # Without the tables of this machine, which differ from one to the next.
    known = mimetypes.MimeTypes(filenames=())
    encoded = known.encodings_map
    return {ending: kind for ending, kind in known.types_map[1].items() if ending not in encoded}


class NotedSource(ObjectSource):
    """Where a large download comes from; whoever wants to know is given the first answer of each attempt."""

    note: Callable[[GetResult], object]

    def get(self) -> GetResult:
        """All of it."""
        return self._noted(super().get())

    def get_from(self, start: int, etag: str) -> GetResult:
        """From this byte on."""
        return self._noted(super().get_from(start, etag))

    def _noted(self, result: GetResult) -> GetResult:
        self.note(result)
        return result
