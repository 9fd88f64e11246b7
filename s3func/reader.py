"""ObjectReader: an object as an open binary file, what `Session.open(key, "rb")` gives.

The first request is a plain GET: it says whether there is such an object, how long it is and which one, brings a small
one whole, and reading straight on needs no other. What else is asked for is asked for by body_reader.RawBody.
"""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Any

from s3func.body_reader import BUFFER, READ_AHEAD, RawBody

if TYPE_CHECKING:
    from s3func.results import GetResult
    from s3func.session import Session

_MODES = ("rb", "r", "rt", "wb", "w", "wt", "xb", "x", "xt")


class ObjectReader(io.BufferedReader):
    """A binary file to read from: seekable, of one version of the object, its checksum compared by who reads it all.

    An object that is replaced meanwhile is ObjectChanged, never a mix. After an error every read raises it again until
    seek() says where to go on. `.name` is the key; `.result` is the head of the answer: etag, size, metadata.
    """

    def __init__(self, result: GetResult, buffering: int = -1) -> None:
        """Take the body of an answer over. buffering: bytes that a read at a new place asks for; 256 KiB for -1."""
        ahead = READ_AHEAD if buffering in {-1, 1} else buffering
        raw: Any = result.detach()
        if isinstance(raw, RawBody):
            raw.is_file = True
            raw.read_ahead = ahead
        raw.name = result.key
        raw.mode = "rb"
        super().__init__(raw, min(ahead, BUFFER))
        self.result = result


def text_arguments(mode: str, encoding: str | None, errors: str | None, newline: str | None) -> dict[str, Any] | None:
    """The arguments of io.TextIOWrapper for a mode of open(), None for a binary one; ValueError for what is wrong."""
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a str, not {type(mode).__name__}")
    if mode not in _MODES:
        what = (
            "an object cannot be appended to or changed in place" if set(mode) & {"a", "+"} else "there is no such mode"
        )
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}: {what}")
    text = {"encoding": encoding, "errors": errors, "newline": newline}
    if mode.endswith("b"):
        for name, value in text.items():
            if value is not None:
                raise ValueError(f"{name} does not go with mode {mode!r}, which is binary")
        return None
    # The same text on every machine, whatever its locale.
    text["encoding"] = encoding or "utf-8"
    try:
        io.TextIOWrapper(io.BytesIO(), **text).close()  # type: ignore[arg-type]  # it says what is wrong with them
        # Which it asks for only when it meets an error.
        codecs.lookup_error(errors or "strict")
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding, errors or newline: {error}") from None
    return dict(text)


def open_reader(
    session: Session,
    key: str,
    mode: str,
    version_id: str | None,
    *,
    buffering: int,
    text: dict[str, Any] | None,
    bucket: str | None,
) -> ObjectReader | io.TextIOWrapper:
    """Open an object for reading. text: the arguments of io.TextIOWrapper, or None for a binary file."""
    if not isinstance(buffering, int):
        raise TypeError(f"buffering must be an int, not {type(buffering).__name__}")
    if buffering == 0 or buffering < -1:
        raise ValueError(f"buffering must be a number of bytes, or -1, not {buffering}")
    # Also in a session that reads other bodies at once.
    get: Any = session.get_object
    reader = ObjectReader(get(key, version_id, bucket=bucket, stream=True), buffering)
    if text is None:
        return reader
    try:
        wrapper = io.TextIOWrapper(reader, **text)
    except BaseException:
        reader.close()
        raise
    wrapper.mode = mode  # type: ignore[misc]  # the builtin open() sets it in the same way
    return wrapper
