"""DownloadResult: what download_file answers."""

from __future__ import annotations

from typing import Any

from s3func.results import ObjectResult


class DownloadResult(ObjectResult):
    """What was downloaded: `etag`, `version_id`, `metadata` and the like are those of the object.

    size: bytes of the whole object. checksum: the algorithm by which it was compared with the store, None where the
    store has no checksum of the whole (none at all, or one of its parts' checksums). resumed: bytes that were there from
    an earlier call. path: where it is, symbolic links followed; None for an open file.
    """

    __slots__ = ("_size", "checksum", "path", "resumed")

    def __init__(
        self, status: int, headers: dict[str, str], size: int, checksum: str | None, resumed: int, path: str | None
    ) -> None:
        super().__init__(status, headers)
        self._size = size
        self.checksum = checksum
        self.resumed = resumed
        self.path = path

    @property
    def size(self) -> int:
        """Bytes of the whole object."""
        return self._size

    content_length = size

    @property
    def verified(self) -> bool:
        """Whether the bytes were compared with a checksum that the store keeps of the whole object."""
        return self.checksum is not None

    def __repr__(self) -> str:
        return f"<DownloadResult size={self._size} etag={self.etag} checksum={self.checksum}>"

    def __getstate__(self) -> Any:
        return (self.status, self.headers, self._size, self.checksum, self.resumed, self.path)

    def __setstate__(self, state: Any) -> None:
        self.status, self.headers, self._size, self.checksum, self.resumed, self.path = state
