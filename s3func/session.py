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
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypedDict, Unpack, final, overload

from s3func.errors import NotFound, NotSupported, ObjectChanged, S3FuncError
from s3func.models import Capabilities

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from io import TextIOWrapper
    from types import TracebackType

    from s3func.download import DownloadResult
    from s3func.download.target import Destination
    from s3func.listing import ObjectListing
    from s3func.lock import Lock
    from s3func.reader import ObjectReader
    from s3func.results import CopyResult, DeleteResult, GetResult, HeadResult, PutResult
    from s3func.transport.body import BodySource
    from s3func.transport.transfer import Progress, TransferConfig
    from s3func.writer import ObjectWriter, TextWriter


class PutOptions(TypedDict, total=False):
    """The keywords of put_object, for the verbs that pass them on; a store refuses those that it has no word for."""

    metadata: Mapping[str, str] | None
    content_type: str | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    expires: Any
    storage_class: str | None
    acl: str | None
    tagging: Mapping[str, str] | str | None
    if_match: str | None
    if_none_match: str | None
    checksum: str | None
    headers: Mapping[str, str] | None
    multipart: bool | None
    transfer: TransferConfig | None
    progress: Progress | None
    bucket: str | None


class UploadStream(Protocol):
    """An object that is being written piece by piece; it appears when it is finished, or never. One thread at a time."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes; they may be reused afterwards. Raises what went wrong with those before."""

    def finish(self) -> PutResult:
        """Publish the object."""

    def abort(self) -> None:
        """Leave nothing of it in the store. Allowed at any time; once the object is finished or aborted it does nothing."""


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
    def copy_object(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        dest_bucket: str | None = None,
        *,
        source_if_match: str | None = None,
    ) -> CopyResult:
        """Copy an object inside the store; with source_if_match only if it still has this ETag."""

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
    def upload_file(
        self, path: str | os.PathLike[str], key: str, *, resume: bool = False, **options: Unpack[PutOptions]
    ) -> PutResult:
        """Store a local file: put_object for its path, and all keywords of put_object.

        resume: go on with an upload of this key that was interrupted, if there is one whose parts are those of the
        file; what fails then is left in the store for the next call. Nobody else may be uploading this key meanwhile.
        SourceChanged when the file is being written to.
        """
        import os

        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a str or a path, not {type(path).__name__}")
        file = _PathOf(os.fspath(path))
        if resume:
            return self._resume_upload(file, key, options)
        # put_object names its keywords one by one, and each store its own.
        put: Any = self.put_object
        result: PutResult = put(key, file, **options)
        return result

    def _resume_upload(self, path: os.PathLike[str], key: str, options: PutOptions) -> PutResult:
        raise NotSupported(f"{type(self).__name__} cannot resume uploads")

    def _upload_stream(self, key: str, **options: Unpack[PutOptions]) -> UploadStream:
        """Begin an object that is written piece by piece; the keywords are those of put_object."""
        raise NotSupported(f"{type(self).__name__} cannot write objects piece by piece")

    @final
    def move(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None = None,
        source_bucket: str | None = None,
        dest_bucket: str | None = None,
        **options: Any,
    ) -> CopyResult:
        """Copy an object of any size, then delete what was copied; the other keywords are those of copy_object.

        Stores have no rename, so for a moment there are both, and never neither: the source is deleted once the store
        has confirmed the copy, and only if it is still the object that was copied, else ObjectChanged. When anything
        fails behind the copy, the error has a note that both exist. Where the bucket keeps versions the source is hidden
        like by delete_object; a version that is named by source_version_id is deleted for good. ValueError for a move of
        an object onto itself: of its two halves, one would change nothing and the other delete it.
        """
        places = [self.bucket if bucket is None else bucket for bucket in (source_bucket, dest_bucket)]
        if source_key == dest_key and places[0] == places[1]:
            raise ValueError(f"source_key and dest_key are the same object: {source_key!r}")
        self._check_copy(source_key, dest_key, source_version_id, source_bucket, dest_bucket)
        head = self._head_source(source_key, source_version_id, source_bucket, options)
        pinned = head.version_id if source_version_id is None else source_version_id
        if pinned is None and head.etag:
            options.setdefault("source_if_match", head.etag)
        # copy_object names its keywords one by one, and each store its own.
        copy: Any = self.copy_object
        copied: CopyResult = copy(source_key, dest_key, pinned, source_bucket, dest_bucket, **options)
        try:
            if source_version_id is not None:
                self.delete_object(source_key, source_version_id, bucket=source_bucket)
            else:
                self._delete_source(source_key, head, source_bucket, options)
        except S3FuncError as error:
            error.add_note(
                f"{source_key!r} was copied to {dest_key!r}, but not deleted as far as is known: both exist."
            )
            raise
        return copied

    def _check_copy(
        self,
        source_key: str,
        dest_key: str,
        _source_version_id: str | None,
        _source_bucket: str | None,
        _dest_bucket: str | None,
    ) -> None:
        """Refuse what copy_object would refuse of its arguments; nothing is sent."""
        for name, key in (("source_key", source_key), ("dest_key", dest_key)):
            if not isinstance(key, str):
                raise TypeError(f"{name} must be a str, not {type(key).__name__}")
            if not key:
                raise ValueError(f"{name} is empty")

    def _head_source(
        self, source_key: str, source_version_id: str | None, source_bucket: str | None, _options: Mapping[str, Any]
    ) -> HeadResult:
        """What is to be copied."""
        return self.head_object(source_key, source_version_id, bucket=source_bucket)

    def _delete_source(self, key: str, copied: HeadResult, bucket: str | None, options: Mapping[str, Any]) -> None:
        """Delete the object that was copied, unless another one has taken its place."""
        try:
            now = self._head_source(key, None, bucket, options)
        except NotFound:
            # Somebody else has deleted it meanwhile.
            return
        if (now.etag, now.version_id, now.last_modified) != (copied.etag, copied.version_id, copied.last_modified):
            raise ObjectChanged(f"{key!r} was replaced after it had been copied", bucket=bucket or self.bucket, key=key)
        self._delete_exactly(key, copied, bucket)

    def _delete_exactly(self, key: str, _copied: HeadResult, bucket: str | None) -> None:
        """Delete an object that was what it should be a moment ago; stores with conditions make sure that it still is."""
        self.delete_object(key, bucket=bucket)

    @final
    def download_file(
        self,
        key: str,
        path: Destination,
        *,
        version_id: str | None = None,
        resume: bool = False,
        fsync: bool = False,
        transfer: TransferConfig | None = None,
        progress: Progress | None = None,
        verify: bool | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        if_modified_since: Any = None,
        if_unmodified_since: Any = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> DownloadResult:
        """Read an object into a file: one request for a small one, ranges on several connections for a large one.

        path: str, bytes or os.PathLike of a file in a folder that exists. At every moment it holds what it held before,
        or all of the object, compared with the store's checksum; what was written until then has no name or a hidden one
        beside it, and is gone if anything goes wrong. An existing file's permissions stay; a symbolic link stays one, and
        what it leads to is replaced. Or path is an open binary file, which is written from its position on.
        resume: leave what has come (`.name.s3func-part` and its journal, beside path) for a later call with resume=True,
        if this one fails or is killed; that call checks it and fetches the rest. fsync: outlast a power failure, too. transfer: ranges begin at its multipart_threshold.
        progress: called with the bytes done and in all. verify: None as the session does, False compares nothing.
        An object that is replaced meanwhile is begun again, three times, then ObjectChanged or PreconditionFailed.
        ChecksumMismatch, NoSuchKey, NotModified …; what the disk says (no room) is an OSError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        from s3func.download import download_file

        session = self if verify is None else self._twin(_verify=verify)
        conditions = {
            "if_match": if_match,
            "if_none_match": if_none_match,
            "if_modified_since": if_modified_since,
            "if_unmodified_since": if_unmodified_since,
        }
        return download_file(
            session,
            key,
            path,
            version_id=version_id,
            resume=resume,
            fsync=fsync,
            transfer=getattr(self, "_transfer", None) if transfer is None else transfer,
            progress=progress,
            compare=verify is not False,
            conditions=conditions,
            headers=headers,
            bucket=bucket,
        )

    @final
    def lock(
        self,
        key: str,
        *,
        shared: bool = False,
        ttl: float | None = 60.0,
        fencing: bool = False,
        grace: float | None = None,
        poll: tuple[float, float] = (0.25, 5.0),
        expiry: str = "server",
        fast: bool = False,
        timeout: float | None = None,
        note: str | None = None,
        on_lost: Callable[[Lock, str], None] | None = None,
        bucket: str | None = None,
    ) -> Lock:
        """A lock of this name, for everybody who uses the same bucket: `with session.lock("job"): …`.

        Nothing is sent yet. Seconds throughout. shared: hold it together with other shared holders. ttl: a lock that
        was not renewed for so long is lost, and others may have it `grace` seconds later (10, or a quarter of the ttl);
        None: never, and then a crashed holder blocks everybody until break_lock(). fencing: hand out a `fencing_token`,
        for which one empty object stays in the bucket. poll: shortest and longest wait between two looks. expiry:
        "server" compares times of the store, "observed" trusts none and waits. fast: half the requests while nobody
        else is there, but no token. timeout: how long `with` waits before LockTimeout. note: shown to others by
        owners(). on_lost: called with the lock and the reason, from another thread.
        """
        from s3func.lock import Lock

        return Lock(
            self,
            key,
            shared=shared,
            ttl=ttl,
            fencing=fencing,
            grace=grace,
            poll=poll,
            expiry=expiry,
            fast=fast,
            timeout=timeout,
            note=note,
            on_lost=on_lost,
            bucket=bucket,
        )

    @final
    def limited(self, seconds: float) -> Self:
        """This session with the same connections, each of whose calls ends after so many seconds: DeadlineExceeded."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f"seconds must be a number, not {type(seconds).__name__}")
        # More than 30 years is a mistake of the unit.
        if not 0 < seconds <= 1e9:
            raise ValueError(f"seconds must be positive, and at most 1e9, not {seconds}")
        from s3func.transport.client import Client

        client = getattr(self, "_client", None)
        if not isinstance(client, Client):
            return self._twin()
        total = seconds if client.total_seconds is None else min(seconds, client.total_seconds)
        return self._twin(_client=client.limited(total))

    @overload
    def open(
        self,
        key: str,
        mode: Literal["rb"] = "rb",
        *,
        version_id: str | None = None,
        buffering: int = -1,
        bucket: str | None = None,
    ) -> ObjectReader: ...

    @overload
    def open(
        self,
        key: str,
        mode: Literal["r", "rt"],
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        version_id: str | None = None,
        buffering: int = -1,
        bucket: str | None = None,
    ) -> TextIOWrapper: ...

    @overload
    def open(self, key: str, mode: Literal["wb", "xb"], **options: Unpack[PutOptions]) -> ObjectWriter: ...

    @overload
    def open(
        self,
        key: str,
        mode: Literal["w", "wt", "x", "xt"],
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **options: Unpack[PutOptions],
    ) -> TextWriter: ...

    @overload
    def open(
        self,
        key: str,
        mode: str,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        version_id: str | None = None,
        buffering: int = -1,
        **options: Unpack[PutOptions],
    ) -> Any: ...

    @final
    def open(
        self,
        key: str,
        mode: str = "rb",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        version_id: str | None = None,
        buffering: int = -1,
        **options: Unpack[PutOptions],
    ) -> Any:
        """An object as an open file, as the builtin function gives it.

        mode: "rb", "r", "wb", "w", "xb" or "x"; a "t" may be added to those without "b".
        For reading: seekable, of one version (ObjectChanged when it is replaced), any size in little memory; a missing
        object is NoSuchKey here. buffering: bytes that a read at a new place asks for, 256 KiB for -1.
        For writing: the keywords of put_object. The object appears whole when the file is closed, and never when its
        `with` block, or that of a TextIOWrapper or BufferedWriter around it, is left by an exception, or when the file is
        forgotten; s3func/writer.py has the rules in full. "x" creates: ObjectExists (also a FileExistsError), at once
        or, when somebody else was faster, at the end. gzip and zipfile do not close the file that they are given: close
        it, or give it a `with` block of its own. encoding: UTF-8 unless given, on every machine.
        """
        from s3func.reader import open_reader, text_arguments

        text = text_arguments(mode, encoding, errors, newline)
        if mode[0] == "r":
            bucket = options.pop("bucket", None)
            if options:
                raise TypeError(f"{next(iter(options))} does not go with mode {mode!r}")
            return open_reader(self, key, mode, version_id, buffering=buffering, text=text, bucket=bucket)
        for name, given in (("version_id", version_id is not None), ("buffering", buffering != -1)):
            if given:
                raise ValueError(f"{name} does not go with mode {mode!r}")
        from s3func.writer import open_writer

        return open_writer(self, key, mode, text=text, options=options)

    def _twin(self, **attributes: Any) -> Self:
        """This session with the same connections and other settings."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, **attributes)
        return twin

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


class _PathOf:
    """A path that was a str: put_object would take the str itself for the body."""

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise TypeError(f"path must be a str or a path of one, not of {type(path).__name__}")
        self._path = path

    def __fspath__(self) -> str:
        return self._path
