"""Objects as local files: `S3Object("s3://bucket/key")` downloads when it is read and uploads when it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.files.cache import Cache
from s3func.files.config import Config
from s3func.files.progress import ProgressBar
from s3func.files.s3object import S3Object

if TYPE_CHECKING:
    from s3func.files.asynchronous import AsyncS3Object as AsyncS3Object

__all__ = ["AsyncS3Object", "Cache", "Config", "ProgressBar", "S3Object"]


def __getattr__(name: str) -> Any:
    # An event loop is imported by those who have one.
    if name != "AsyncS3Object":
        raise AttributeError(f"module 's3func.files' has no attribute {name!r}")
    from s3func.files.asynchronous import AsyncS3Object

    return AsyncS3Object
