"""Objects as local files: `S3Object("s3://bucket/key")` downloads when it is read and uploads when it was written."""

from __future__ import annotations

from s3func.files.cache import Cache
from s3func.files.config import Config
from s3func.files.progress import ProgressBar
from s3func.files.s3object import S3Object

__all__ = ["Cache", "Config", "ProgressBar", "S3Object"]
