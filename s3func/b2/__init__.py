"""The Backblaze B2 provider."""

from s3func.b2.headers import CustomerKey
from s3func.b2.session import B2Session
from s3func.retention import Retention

__all__ = ["B2Session", "CustomerKey", "Retention"]
