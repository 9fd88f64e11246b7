"""What is known of an archived object's restored copy, for those who answer HEAD and GET and for those who restore."""

from __future__ import annotations

from collections.abc import Mapping

from s3func.wire.encoding import http_date

RESTORED = "restored"
"""The document of an object that says until when its copy stays: seconds since 1970."""
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def is_restored(documents: Mapping[str, str], now: float) -> bool:
    """Whether the copy is still there."""
    return float(documents.get(RESTORED, "0")) > now


def restore_headers(documents: Mapping[str, str]) -> dict[str, str]:
    """The x-amz-restore header of an object that was restored.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    end = documents.get(RESTORED)
    if end is None:
        return {}
    return {"x-amz-restore": f'ongoing-request="false", expiry-date="{http_date(float(end))}"'}
