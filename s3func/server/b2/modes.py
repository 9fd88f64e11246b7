"""X-Bz-Test-Mode: what a client asks to go wrong, so that it can be seen to bear it.

Rule: what the real service does by chance happens here by count, to one request in three that ask for it and to the
first of them, so that a test sees it each time and a client that retries gets through.
https://www.backblaze.com/docs/cloud-storage-integration-checklist
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from s3func.server.b2.call import B2Call
from s3func.server.b2.refusals import refuse

HEADER = "x-bz-test-mode"
UPLOADS = "fail_some_uploads"
TOKENS = "expire_some_account_authorization_tokens"
CAPS = "force_cap_exceeded"
_EVERY = 3


class Modes:
    """How often each mode was asked for. Safe from many threads at once."""

    def __init__(self) -> None:
        self._uploads: Iterator[int] = itertools.count()
        self._tokens: Iterator[int] = itertools.count()

    def check(self, call: B2Call, *, is_upload: bool) -> None:
        """Refuse an upload that asks for it, and its URL is over; or let the account's token of another call be over."""
        mode = call.request.headers.get(HEADER)
        if mode is None or not call.token:
            return
        if is_upload:
            if mode == CAPS or (mode == UPLOADS and next(self._uploads) % _EVERY == 0):
                call.accounts.spend(call.token)
                raise refuse("cap_exceeded" if mode == CAPS else "service_unavailable", f"{HEADER} asked for this.")
        elif mode == TOKENS and next(self._tokens) % _EVERY == 0:
            call.accounts.expire_token(call.token)
