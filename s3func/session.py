"""Session: what every provider's session can do, and the verbs that follow from the others.

A session is a user's handle on one store, usually bound to one bucket; it is safe for threads and for fork.
Implementations MUST:
 1. use a key exactly as given, or refuse it before anything is sent;
 2. raise a typed error (errors.py) for every refusal, and return a result for nothing else;
 3. list completely or raise;
 4. never show a secret in a repr, an error or a log line.
Every verb takes `bucket=` for a bucket other than the session's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from s3func.errors import NotFound
from s3func.models import Capabilities

if TYPE_CHECKING:
    from types import TracebackType

    from s3func.listing import ObjectListing
    from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
    from s3func.transport.body import BodySource


class Session(ABC):
    """The contract; S3Session documents the arguments of each verb."""

    capabilities: ClassVar[Capabilities] = Capabilities()
    bucket: str | None

    @abstractmethod
    def put_object(self, key: str, body: BodySource, *, bucket: str | None = None) -> PutResult:
        """Store an object whole, or not at all."""

    @abstractmethod
    def get_object(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> GetResult:
        """Read an object, a range or a version of it. NotFound when there is none."""

    @abstractmethod
    def head_object(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> HeadResult:
        """What get_object would answer, without the body."""

    @abstractmethod
    def copy_object(self, source_key: str, dest_key: str) -> CopyResult:
        """Copy an object inside the store."""

    @abstractmethod
    def delete_object(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> DeleteResult:
        """Delete an object or a version; deleting what is not there succeeds."""

    @abstractmethod
    def list_objects(self, prefix: str | None = None, *, bucket: str | None = None) -> ObjectListing:
        """The objects under a prefix."""

    @abstractmethod
    def list_object_versions(self, prefix: str | None = None, *, bucket: str | None = None) -> ObjectListing:
        """All versions and delete markers under a prefix."""

    @abstractmethod
    def close(self) -> None:
        """Let go of idle connections."""

    @final
    def exists(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> bool:
        """Whether there is such an object. A missing bucket is False as well: HEAD cannot tell them apart."""
        try:
            self.head_object(key, version_id, bucket=bucket)
        except NotFound:
            return False
        return True

    @final
    def __enter__(self) -> Self:
        return self

    @final
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} holds secrets and connections, and is not pickled")
