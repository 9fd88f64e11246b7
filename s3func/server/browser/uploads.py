"""Files from a form into a bucket, each of them while it arrives.

Rule 1: nothing is stored before the form has shown its token, which stands in front of the files.
Rule 2: an object that is there already stays, unless the form says that it may be replaced.
Rule 3: a refused file does not keep the others out; what became of each is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from s3func.errors import ServiceError, TruncatedBody, service_error
from s3func.message import Request
from s3func.server.browser.calls import Calls, Place
from s3func.server.browser.views import TOKEN, Upload
from s3func.server.forms import FormFiles
from s3func.server.payload import blocks_of

SHOWN_MAX = 100
"""How many refused files are named."""

_TYPE = re.compile(r"[!#$&^_.+A-Za-z0-9-]{1,127}/[!#$&^_.+A-Za-z0-9-]{1,127}(?:;[ -~]{0,127})?", re.ASCII)
# A browser writes these three of a file's name so, and nothing else.
# https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


def store_files(request: Request, calls: Calls, place: Place, is_genuine: Callable[[str], bool]) -> Upload:
    """Store every file of a request's form below a prefix (`place.key`).

    is_genuine: looks at the form's token. AccessDenied where it does not like it; InvalidRequest for what is no form,
    or none any more; what was stored until then is stored.
    """
    stored = not_shown = 0
    refused: list[tuple[str, str]] = []
    seen_token = False
    form = FormFiles(request.headers.get("content-type", ""), iter(blocks_of(request.body)))
    try:
        for file in form:
            seen_token = seen_token or is_genuine(file.fields.get(TOKEN, ""))
            if not seen_token:
                raise forged()
            filename = _file_name(file.name)
            if not filename:
                # A field in which no file was chosen.
                continue
            may_replace = file.fields.get("replace") == "yes"
            try:
                key = f"{place.key}{filename}"
                calls.put(Place(place.bucket, key), file, _content_type(file.content_type), may_replace=may_replace)
                stored += 1
            except ServiceError as error:
                if len(refused) < SHOWN_MAX:
                    refused.append((filename, _reason(error)))
                else:
                    not_shown += 1
    except TruncatedBody as error:
        raise service_error("IncompleteBody", "The upload ended before its last file did.") from error
    if not seen_token:
        raise forged()
    return Upload(stored, refused, not_shown)


def forged() -> ServiceError:
    """The refusal of a form that this server has not made for this browser, or too long ago."""
    return service_error("AccessDenied", "This form is too old, or is not of this server. Load its page again.")


def _file_name(text: str) -> str:
    return re.sub("%22|%0D|%0A", lambda match: _ESCAPES[match[0]], text)


def _content_type(text: str) -> str:
    return text if _TYPE.fullmatch(text) is not None else "application/octet-stream"


def _reason(error: ServiceError) -> str:
    if error.status == 412:
        return "There is an object with this key already."
    return error.message or error.code
