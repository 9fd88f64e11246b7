"""What protects versions from being deleted: how long one of them is kept, and what a bucket keeps by default."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import NamedTuple

from s3func.errors import NotSupported

__all__ = ["ObjectLockConfiguration", "ObjectLockVerbs", "Retention"]

MODES = ("GOVERNANCE", "COMPLIANCE")


class Retention(NamedTuple):
    """How long one version is kept: "GOVERNANCE" or "COMPLIANCE", and an aware time; (None, None) takes it away.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ObjectLockRetention.html
    """

    mode: str | None = None
    retain_until: datetime | None = None


class ObjectLockConfiguration(NamedTuple):
    """Whether a bucket has Object Lock, and how long new objects are kept: `days` or `years`, never both.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ObjectLockConfiguration.html
    """

    enabled: bool = True
    mode: str | None = None
    days: int | None = None
    years: int | None = None


def checked_retention(retention: object, name: str = "retention") -> tuple[str, datetime]:
    """Mode, in capitals, and end; TypeError or ValueError names the argument."""
    mode, until = getattr(retention, "mode", None), getattr(retention, "retain_until", None)
    if not isinstance(mode, str) or until is None:
        raise TypeError(f"{name} must be a Retention, not {type(retention).__name__}")
    if mode.upper() not in MODES:
        raise ValueError(f"{name}.mode must be 'GOVERNANCE' or 'COMPLIANCE', not {mode!r}")
    if not isinstance(until, datetime):
        raise TypeError(f"{name}.retain_until must be a datetime, not {type(until).__name__}")
    if until.utcoffset() is None:
        raise ValueError(f"{name}.retain_until is a datetime without a time zone")
    return mode.upper(), until


def checked_default(mode: str | None, days: int | None, years: int | None) -> ObjectLockConfiguration:
    """What a bucket is to keep by default; TypeError or ValueError names the argument."""
    if mode is not None and not isinstance(mode, str):
        raise TypeError(f"mode must be a str, not {type(mode).__name__}")
    if mode is not None and mode.upper() not in MODES:
        raise ValueError(f"mode must be 'GOVERNANCE' or 'COMPLIANCE', not {mode!r}")
    for name, value in (("days", days), ("years", years)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if (mode is None) != (days is None and years is None) or (days is not None and years is not None):
        raise ValueError("give mode together with either days or years, or none of them")
    return ObjectLockConfiguration(True, mode and mode.upper(), days, years)


class ObjectLockVerbs(ABC):
    """The names that these verbs had in s3func 0.9, for sessions that have the present ones."""

    @abstractmethod
    def get_object_lock_configuration(self, *, bucket: str | None = None) -> ObjectLockConfiguration:
        """Whether the bucket has Object Lock, and how long new objects are kept."""

    @abstractmethod
    def put_object_lock_configuration(
        self,
        mode: str | None = None,
        *,
        days: int | None = None,
        years: int | None = None,
        bucket: str | None = None,
    ) -> None:
        """Have Object Lock, and keep new objects for a while."""

    def get_object_lock_config(self) -> ObjectLockConfiguration:
        """The name of get_object_lock_configuration() in s3func 0.9."""
        return self.get_object_lock_configuration()

    def put_object_lock_config(self, lock: bool = False) -> None:
        """The name of put_object_lock_configuration() in s3func 0.9; NotSupported for False, which every store refuses."""
        if not isinstance(lock, bool):
            raise TypeError(f"lock must be a bool, not {type(lock).__name__}")
        if not lock:
            raise NotSupported("Object Lock cannot be switched off again")
        self.put_object_lock_configuration()
