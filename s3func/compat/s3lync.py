"""s3lync's names: `from s3func.compat.s3lync import S3Object`. What is different from s3lync, always for safety's sake:

    mirror=True     deletes behind the transfers, never what is excluded, and not from an empty or mistyped source
    multipart       large files are compared by their content, too, and not taken for the same
    both changed    is a SyncConflict; mirror=True says who wins
    open("w")       publishes nothing when its block is left by an exception; open("a") begins with what is there
    errors          a missing object is an S3ObjectError, HashMismatchError reaches its except, no URI shows its secrets

And from s3func.S3Object: s3://secret:access@… has the secret first, unless one of the two looks like one of AWS's key ids;
the cache is in s3lync's folder; every failure is a SyncError or an S3ObjectError, with the typed error as its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from s3func.errors import CredentialsError, HashMismatchError, S3FuncError, S3ObjectError, SyncError
from s3func.files import Config, ProgressBar
from s3func.files import S3Object as _S3Object

__all__ = [
    "Config",
    "HashMismatchError",
    "ProgressBar",
    "S3Object",
    "S3ObjectError",
    "S3lyncError",
    "SyncError",
]

S3lyncError = S3FuncError


class S3Object(_S3Object):
    """See s3func.files.S3Object."""

    _secret_first = True
    _cache_owner = "s3lync"

    def download(self, *arguments: Any, **options: Any) -> str:
        """See s3func.files.S3Object.download; whatever the store refuses is a SyncError."""
        with _as_sync_error():
            return super().download(*arguments, **options)

    def upload(self, *arguments: Any, **options: Any) -> str:
        """See s3func.files.S3Object.upload; whatever the store refuses is a SyncError."""
        with _as_sync_error():
            return super().upload(*arguments, **options)

    @contextmanager
    def _opened(self, mode: str, *arguments: Any, **options: Any) -> Iterator[IO[Any]]:
        with _as_sync_error(), super()._opened(mode, *arguments, **options) as file:
            yield file


@contextmanager
def _as_sync_error() -> Iterator[None]:
    try:
        yield
    except (SyncError, CredentialsError, FileExistsError):
        raise
    except S3FuncError as error:
        raise SyncError(str(error)) from error
