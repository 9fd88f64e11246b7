"""The SHA-1 of a whole and of its parts: B2 wants to know the former before any part is sent, and the latter with each.

The whole's is a chain that one thread follows from the first byte to the last, so it decides how long everybody waits.
A second thread takes that of the parts meanwhile, as far as it comes with what the machine can spare; the rest is taken
on the way, when the parts are sent.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from hashlib import sha1
from threading import get_native_id
from typing import TYPE_CHECKING

from s3func.transport.parallel import Crew
from s3func.transport.transfer import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.transport.sources import BufferSource, FileSource

_READ = MIB
_SPARE_TIME = 19


def sha1_of(source: BufferSource | FileSource, start: int, length: int, check: Callable[[], None] | None = None) -> str:
    """The SHA-1 of a stretch. check: asked before each MiB, ends it by raising."""
    digest = sha1(usedforsecurity=False)
    buffer = bytearray(min(_READ, length))
    for place in range(start, start + length, _READ):
        if check is not None:
            check()
        source.part(place, min(_READ, start + length - place), buffer, digest.update)
    return digest.hexdigest()


def digests_of(source: BufferSource | FileSource, size: int, each: int) -> tuple[str, dict[int, str]]:
    """The SHA-1 of the whole, and of its parts of `each` bytes, by number: as many of them as were ready with it."""
    parts: dict[int, str] = {}
    crew = Crew(1, name="s3func-sha1")

    def hash_parts() -> None:
        if sys.platform == "linux":
            # There, threads have priorities of their own. On a busy machine this one must not keep the other waiting.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, get_native_id(), _SPARE_TIME)
        for number, start in enumerate(range(0, size, each), 1):
            parts[number] = sha1_of(source, start, min(each, size - start), crew.check)

    try:
        crew.submit(hash_parts)
        whole = sha1_of(source, 0, size)
    finally:
        # What went wrong in there goes wrong in here, too, or when the part is sent.
        crew.cancel()
    return whole, parts
