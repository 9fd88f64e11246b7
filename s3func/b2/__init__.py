"""The Backblaze B2 provider."""

from s3func.b2.headers import CustomerKey, Retention
from s3func.b2.session import B2Session

__all__ = ["B2Session", "CustomerKey", "Retention"]
