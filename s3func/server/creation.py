"""The documents that a new object begins with: from the headers of whoever makes it, and from its bucket's defaults."""

from __future__ import annotations

from collections.abc import Mapping

from s3func.server.call import Call
from s3func.server.encryption import object_encryption
from s3func.server.object_lock import default_lock, requested_lock


def upload_documents(call: Call, headers: Mapping[str, str]) -> dict[str, str]:
    """What an upload in parts keeps from its beginning. headers: of the request, or the fields of a form.

    Everything but the bucket's default retention, which is counted from the completion.
    """
    info = call.access.info
    return {
        **call.documents,
        **object_encryption(headers, info.documents, call.kms_key_ids),
        **requested_lock(headers, info, call.clock.now()),
    }


def object_documents(call: Call, headers: Mapping[str, str]) -> dict[str, str]:
    """Access control list, tags, encryption, retention and legal hold of an object that is made at once."""
    return completed_documents(call, upload_documents(call, headers))


def completed_documents(call: Call, documents: Mapping[str, str]) -> dict[str, str]:
    """The documents with the bucket's default retention, if they have no retention of their own."""
    return {**documents, **default_lock(documents, call.access.info, call.clock.now())}
