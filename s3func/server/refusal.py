"""An answer that says no."""

from __future__ import annotations

from s3func.message import Response


class Refusal(Response):
    """A Response that knows the code that it refuses with; the answer to a HEAD does not show it."""

    __slots__ = ("code",)

    def __init__(self, status: int, headers: dict[str, str], body: bytes, code: str) -> None:
        super().__init__(status, headers, body)
        self.code = code
