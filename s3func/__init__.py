"""The Python client for S3 and Backblaze B2. https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html

Names are loaded when they are first used: `import s3func` alone loads almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3func import errors as errors
    from s3func.b2.session import B2Session as B2Session
    from s3func.checkpoints import Checkpoints as Checkpoints
    from s3func.files.s3object import S3Object as S3Object
    from s3func.lock import Lock as Lock
    from s3func.lock import Owner as Owner
    from s3func.mirrors import Mirror as Mirror
    from s3func.mirrors import mirror as mirror
    from s3func.mirrors import with_mirror as with_mirror
    from s3func.models import Capabilities as Capabilities
    from s3func.profiles import Profile as Profile
    from s3func.profiles import register_profile as register_profile
    from s3func.retention import Retention as Retention
    from s3func.s3.credentials import Credentials as Credentials
    from s3func.s3.request_options import Encryption as Encryption
    from s3func.s3.session import S3Session as S3Session
    from s3func.session import Session as Session
    from s3func.transport.observation import Attempt as Attempt
    from s3func.transport.retry import RetryPolicy as RetryPolicy
    from s3func.transport.timeouts import Timeouts as Timeouts
    from s3func.transport.transfer import BandwidthLimit as BandwidthLimit
    from s3func.transport.transfer import TransferConfig as TransferConfig

_HOMES = {
    "Attempt": "s3func.transport.observation",
    "B2Session": "s3func.b2.session",
    "BandwidthLimit": "s3func.transport.transfer",
    "Capabilities": "s3func.models",
    "Checkpoints": "s3func.checkpoints",
    "Credentials": "s3func.s3.credentials",
    "Encryption": "s3func.s3.request_options",
    "Lock": "s3func.lock",
    "Mirror": "s3func.mirrors",
    "Owner": "s3func.lock",
    "Profile": "s3func.profiles",
    "Retention": "s3func.retention",
    "RetryPolicy": "s3func.transport.retry",
    "S3Object": "s3func.files.s3object",
    "S3Session": "s3func.s3.session",
    "Session": "s3func.session",
    "Timeouts": "s3func.transport.timeouts",
    "TransferConfig": "s3func.transport.transfer",
    "mirror": "s3func.mirrors",
    "register_profile": "s3func.profiles",
    "with_mirror": "s3func.mirrors",
}
__all__ = [
    "Attempt",
    "B2Session",
    "BandwidthLimit",
    "Capabilities",
    "Checkpoints",
    "Credentials",
    "Encryption",
    "Lock",
    "Mirror",
    "Owner",
    "Profile",
    "Retention",
    "RetryPolicy",
    "S3Object",
    "S3Session",
    "Session",
    "Timeouts",
    "TransferConfig",
    "__version__",
    "errors",
    "mirror",
    "register_profile",
    "with_mirror",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "errors":
        value = import_module("s3func.errors")
    elif name == "__version__":
        value = import_module("s3func.version").VERSION
    else:
        raise AttributeError(f"module 's3func' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
