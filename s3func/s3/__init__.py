"""The S3 provider."""

from s3func.s3.session import S3Session

__all__ = ["S3Session"]
