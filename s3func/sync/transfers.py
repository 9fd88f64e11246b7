"""One step of a plan, carried out: the source's content gets the target's name, compared and described, or nothing does.

Rule 1: a target that is not what the plan has seen is a SyncConflict, and stays. A source that has changed since is taken
        as it is now, whole: what is remembered is what was moved.
Rule 2: an Outcome says what both sides look like afterwards, from the descriptors and answers of this very transfer.
Rule 3: a step never raises for itself; what it raises (a wrong password, a full disk) ends the run.
"""

from __future__ import annotations

import os
import re
import stat
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from s3func.errors import (
    AccessDenied,
    CredentialsError,
    InvalidCredentials,
    NoSuchBucket,
    NotFound,
    NotImplementedByStore,
    PreconditionFailed,
    S3FuncError,
    SourceChanged,
    SyncConflict,
)
from s3func.sync.describing import PART_SIZE, content_type_of, described, facts_of, part_size_of
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side
from s3func.sync.publishing import InTheWay, Publisher
from s3func.sync.reading import OpenFile, UnwatchedFile, is_same_state, read_whole, side_of_status
from s3func.sync.repeated import copied_before, downloaded_before, stored_before, uploaded_before, written_before
from s3func.transport.pool import Pool
from s3func.transport.transfer import DEFAULT_TRANSFER, MIB, BandwidthLimit, Progress, TransferConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.results import CopyResult, GetResult, ObjectResult
    from s3func.session import Session
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.keeping import Keeper
    from s3func.sync.remote import RemotePrefix

Stable: TypeAlias = Literal["times", "size", "off"]

READ_WHOLE = MIB
"""Files up to this size are read at once, and objects up to it are written at once."""
RESUMED_BYTES = 64 * MIB
"""From this size on, what has come of a download is left for the next run, if this one is killed; of an upload, if wanted."""
_ATTEMPTS = 3


class Settings(NamedTuple):
    """How transfers are done, for all steps of a run; picklable.

    metadata: what of a file is kept with its object: "mtime", "mode". verify: as for download_file. fsync: outlast a power
    failure. force: the target's state does not matter. transfer: of large ones. bandwidth: for all together. stable: what
    must not change while a file is read: "times" (and the size), "size", or "off". resume: what has come of large uploads
    stays in the store when they fail, and later ones go on with it.
    """

    metadata: tuple[str, ...] = ("mtime",)
    verify: bool | None = None
    fsync: bool = False
    force: bool = False
    transfer: TransferConfig = DEFAULT_TRANSFER
    bandwidth: BandwidthLimit | None = None
    stable: Stable = "times"
    resume: bool = False


class Outcome(NamedTuple):
    """What became of a step. source, target: as they are now. size: bytes that were moved.

    state: done, vanished (the source is gone), blocked (a file or folder is in the way, which a delete may take away),
    conflict (the target is not what the plan saw), failed.
    """

    operation: Operation
    state: str = "done"
    source: Side | None = None
    target: Side | None = None
    size: int = 0
    error: Exception | None = None


class Mover:
    """Carries out steps between two endpoints; safe for threads."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        settings: Settings,
        *,
        keeper: Keeper | None = None,
        on_bytes: Callable[[str, int, int | None], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """keeper: keeps what is replaced. on_bytes: name, bytes done and bytes in all of a large transfer. check: called
        during large transfers, ends them by raising.
        """
        self._source = source
        self._target = target
        self._settings = settings
        self._keeper = keeper
        self._on_bytes = on_bytes
        self._check = check
        self._publisher = Publisher(target, fsync=settings.fsync) if isinstance(target, LocalTree) else None
        self._has_conditions = True
        self._is_b2 = target.kind == "b2"
        self._is_one_store = (
            not isinstance(source, LocalTree) and not isinstance(target, LocalTree) and (is_same_store(source, target))
        )
        verbs: dict[str, Callable[[Operation], Outcome]] = {
            "upload": self._upload,
            "download": self._download,
            "copy": self._copy,
            "rename": self._rename,
        }
        self._verbs = verbs

    def close(self) -> None:
        """Let go of the folders that are open; no thread may be at work."""
        if self._publisher is not None:
            self._publisher.close()

    def carry_out(self, operation: Operation) -> Outcome:
        """Carry out an upload, download, copy or rename. Raises what makes all further steps pointless."""
        try:
            return self._verbs[operation.kind](operation)
        except InTheWay as error:
            return Outcome(operation, "blocked", error=error)
        except SyncConflict as error:
            return Outcome(operation, "conflict", error=error)
        except (CredentialsError, InvalidCredentials, NoSuchBucket):
            raise
        except (S3FuncError, OSError, ValueError) as error:
            # A ValueError is a name or a value that the other store cannot take.
            return Outcome(operation, "failed", error=error)

    # --- upload

    def _upload(self, operation: Operation) -> Outcome:
        tree = self._source
        assert isinstance(tree, LocalTree)
        if operation.source is not None and operation.source.link is not None:
            return self._upload_link(tree, operation)
        path = operation.path or operation.name
        try:
            descriptor = tree.open_source(path)
        except FileNotFoundError:
            return Outcome(operation, "vanished")
        except NotADirectoryError:
            return Outcome(operation, "vanished")
        try:
            found = os.fstat(descriptor)
            if found.st_size > READ_WHOLE:
                return self._upload_large(tree, operation, descriptor)
            for _ in range(_ATTEMPTS):
                content = read_whole(descriptor, found.st_size)
                after = os.fstat(descriptor)
                if self._is_same(found, after, len(content)):
                    break
                found = after
            else:
                raise SourceChanged("the file was written to while it was read, each time")
        finally:
            os.close(descriptor)
        return self._store(operation, content, side_of_status(found))

    def _upload_link(self, tree: LocalTree, operation: Operation) -> Outcome:
        now = tree.side(operation.path or operation.name)
        if now is None:
            return Outcome(operation, "vanished")
        if now.link is None:
            raise SourceChanged("it was a symbolic link, and is none any more")
        return self._store(operation, os.fsencode(now.link), now)

    def _store(self, operation: Operation, content: bytes, local: Side) -> Outcome:
        """Store what was read of a small file."""
        if (bandwidth := self._settings.bandwidth) is not None:
            bandwidth.take(len(content))
        result = self._put(operation, content, self._described(operation.name, local))
        local = local._replace(size=len(content))
        return Outcome(operation, "done", _with_md5(local, content), _stored(result, len(content)), len(content))

    def _upload_large(self, tree: LocalTree, operation: Operation, descriptor: int) -> Outcome:
        body: Any = OpenFile(descriptor, tree.full_path(operation.path or operation.name))
        if self._settings.stable != "times":
            body = UnwatchedFile(os.dup(descriptor), "rb")
        try:
            return self._upload_body(operation, descriptor, body)
        finally:
            if isinstance(body, UnwatchedFile):
                body.close()

    def _upload_body(self, operation: Operation, descriptor: int, body: Any) -> Outcome:
        for _ in range(_ATTEMPTS):
            if isinstance(body, UnwatchedFile):
                body.seek(0)
            found = os.fstat(descriptor)
            local = side_of_status(found)
            transfer = self._settings.transfer._replace(bandwidth=self._settings.bandwidth)
            options = self._described(operation.name, local)
            each = part_size_of(self._remote(self._target).session, found.st_size, transfer)
            if each is not None:
                options["metadata"][PART_SIZE] = str(each)
                transfer = transfer._replace(part_size=each)
            # It tries again by itself where the file changes; what it has sent then is not what was described.
            result = self._put(
                operation, body, {**options, "transfer": transfer, "progress": self._progress(operation)}
            )
            stored = _stored(result, found.st_size, each)
            if self._is_same(found, os.fstat(descriptor), found.st_size):
                return Outcome(operation, "done", _with_md5_of(local, result), stored, found.st_size)
            operation = operation._replace(target=stored)
        raise SourceChanged("the file was written to while it was uploaded, each time")

    def _is_same(self, before: os.stat_result, after: os.stat_result, length: int) -> bool:
        """Whether what was read, of this length, is one state of the file."""
        stable = self._settings.stable
        if stable == "off":
            return True
        if stable == "times" and not is_same_state(before, after):
            return False
        return before.st_size == after.st_size == length

    def _described(self, name: str, local: Side) -> dict[str, Any]:
        return described(name, local, self._settings.metadata, is_b2=self._is_b2)

    def _put(self, operation: Operation, body: Any, options: dict[str, Any]) -> ObjectResult:
        """Store a body under the target's name, if what is there is what the plan saw."""
        remote = self._remote(self._target)
        key = remote.key(operation.name)
        put: Any = remote.session.put_object
        if self._settings.resume and isinstance(body, OpenFile) and operation.size >= RESUMED_BYTES:
            put = partial(_resumed, remote.session)
        self._keep(operation)
        conditions = self._conditions(operation, remote)
        try:
            result: ObjectResult = self._sent(partial(put, key, body, bucket=remote.bucket, **options), conditions)
        except PreconditionFailed as error:
            same = self._stored_before(operation, body)
            if same is None:
                raise self._target_changed(operation) from error
            return same
        return result

    def _sent(self, call: Callable[..., Any], conditions: dict[str, str]) -> Any:
        """What the store answers; without conditions where it knows none, or where they need a right that nobody gave.

        If-Match asks for s3:GetObject, which somebody who may only write does not have.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        try:
            return call(**conditions)
        except NotImplementedByStore:
            if not conditions:
                raise
        except AccessDenied as error:
            if "if_match" not in conditions or type(error) is not AccessDenied:
                raise
        result = call()
        self._has_conditions = False
        return result

    def _conditions(self, operation: Operation, remote: RemotePrefix) -> dict[str, str]:
        if self._settings.force or not self._has_conditions or not remote.session.capabilities.conditional_writes:
            return {}
        target = operation.target
        if target is None:
            return {"if_none_match": "*"}
        return {"if_match": target.etag} if target.etag else {}

    def _stored_before(self, operation: Operation, body: Any) -> ObjectResult | None:
        """The object that has this content already: an attempt of our own has made it, whose answer was lost, or the same
        step of a worker or a run that was killed behind it.
        """
        source, target = self._source, self._remote(self._target)
        if isinstance(body, bytes):
            return stored_before(target, operation.name, body)
        if isinstance(source, LocalTree):
            return uploaded_before(source, operation.path or operation.name, target, operation.name)
        return copied_before(source, target, operation.name)

    def _target_changed(self, operation: Operation) -> SyncConflict:
        what = "has changed since" if operation.target is not None else "was not there when"
        error = SyncConflict(f"{operation.name!r} {what} it was listed, and stays as it is now")
        error.key = operation.name
        return error

    # --- download

    def _download(self, operation: Operation) -> Outcome:
        tree, publisher = self._target, self._publisher
        assert isinstance(tree, LocalTree)
        assert publisher is not None
        path = operation.path or tree.names.to_path(operation.name)
        expected = operation.target
        if self._settings.force:
            expected = tree.side(path)
        size = operation.size if operation.source is None else operation.source.size
        if size > READ_WHOLE:
            return self._download_large(publisher, operation, path, expected)
        if (bandwidth := self._settings.bandwidth) is not None:
            bandwidth.take(size)
        try:
            with self._get(operation) as result:
                if (result.size or 0) > self._settings.transfer.multipart_threshold:
                    # It was replaced by a large one since.
                    result.close()
                    return self._download_large(publisher, operation, path, expected)
                content = result.data
        except NotFound as error:
            return self._not_found(operation, error)
        facts = facts_of(result, self._settings.metadata, links=tree.symlinks == "preserve")
        self._keep(operation)
        try:
            local = publisher.write(path, content, facts, expected)
        except SyncConflict:
            same = written_before(tree, path, content)
            if same is None:
                raise
            local = same
        local = _with_md5(local, content)
        return Outcome(operation, "done", _got(result, len(content), operation.source), local, len(content))

    def _get(self, operation: Operation) -> GetResult:
        remote = self._remote(self._source)
        session = remote.session
        return session.get_object(remote.key(operation.name), bucket=remote.bucket)

    def _download_large(self, publisher: Publisher, operation: Operation, path: str, expected: Side | None) -> Outcome:
        try:
            return self._download_parts(publisher, operation, path, expected)
        except SyncConflict:
            tree, remote = self._target, self._remote(self._source)
            assert isinstance(tree, LocalTree)
            found = downloaded_before(tree, path, remote, operation.name)
            if found is None:
                raise
            local, head = found
            return Outcome(operation, "done", _got(head, local.size, operation.source), _with_md5_of(local, head), 0)

    def _download_parts(self, publisher: Publisher, operation: Operation, path: str, expected: Side | None) -> Outcome:
        from s3func.download.engine import Download
        from s3func.sync.describing import NotedSource
        from s3func.transport.transfer import ProgressCount

        remote = self._remote(self._source)
        settings = self._settings
        session = remote.session
        source = NotedSource(session, remote.key(operation.name), None, remote.bucket, {}, {})
        self._keep(operation)
        is_resumed = operation.size >= RESUMED_BYTES
        target = publisher.target(path, expected, source.name if is_resumed else None)
        try:
            source.note = lambda result: setattr(target, "facts", facts_of(result, settings.metadata))
            transfer = settings.transfer._replace(bandwidth=settings.bandwidth)
            count = ProgressCount(self._progress(operation), None)
            download = Download(source, target, transfer, count, compare=settings.verify is not False)
            try:
                result = download.run(fsync=settings.fsync)
            except NotFound as error:
                return self._not_found(operation, error)
            except OSError as error:
                # It is written by a descriptor of its folder, which tells nobody anything.
                if error.filename == target.path:
                    error.filename = publisher.place(path)
                raise
            remote_side = _got(result, result.size, operation.source)
            local = _with_md5_of(target.side, result)
            return Outcome(operation, "done", remote_side, local, result.size - result.resumed)
        finally:
            target.leave()

    # --- store to store

    def _copy(self, operation: Operation) -> Outcome:
        if self._is_one_store:
            try:
                return self._copy_inside(operation)
            except AccessDenied:
                # One store, and two accounts that may each do their half.
                pass
        return self._copy_through(operation)

    def _copy_inside(self, operation: Operation) -> Outcome:
        source, target = self._remote(self._source), self._remote(self._target)
        etag = operation.source.etag if operation.source is not None else None
        for _ in range(_ATTEMPTS):
            try:
                result = self._copied(operation, source, source.key(operation.name), etag, {})
            except NotFound as error:
                return self._not_found(operation, error)
            except PreconditionFailed as error:
                try:
                    now = source.session.head_object(source.key(operation.name), bucket=source.bucket)
                except NotFound as missing:
                    return self._not_found(operation, missing)
                if etag is None or now.etag == etag:
                    same = copied_before(source, target, operation.name)
                    if same is None:
                        raise self._target_changed(operation) from error
                    side = Side(now.size or 0, etag=now.etag)
                    return Outcome(operation, "done", side, _stored(same, now.size or 0), 0)
                etag = now.etag
                size = now.size or 0
                operation = operation._replace(size=size, source=Side(size, etag=etag))
            else:
                size = operation.size
                side = operation.source or Side(size, etag=etag)
                return Outcome(operation, "done", side, Side(size, etag=result.etag, version_id=result.version_id), 0)
        raise SourceChanged(f"{operation.name!r} was replaced each time that it was to be copied to {target.url}")

    def _copied(
        self, operation: Operation, source: RemotePrefix, key: str, etag: str | None, options: dict[str, Any]
    ) -> CopyResult:
        """Copy inside the target's store, to the operation's name."""
        target = self._remote(self._target)
        if etag:
            options = {**options, "source_if_match": etag}
        copy: Any = target.session.copy_object
        self._keep(operation)
        conditions = self._conditions(operation, target)
        places = {"source_bucket": source.bucket, "dest_bucket": target.bucket}
        result: CopyResult = self._sent(partial(copy, key, target.key(operation.name), **places, **options), conditions)
        return result

    def _copy_through(self, operation: Operation) -> Outcome:
        """Read here, write there: the stores do not know each other."""
        target = self._remote(self._target)
        try:
            with self._get(operation) as result:
                size = result.size
                metadata = result.user_metadata
                options: dict[str, Any] = {"metadata": metadata, "content_type": result.content_type}
                body: Any = result
                if size is not None and size <= READ_WHOLE:
                    body = result.data
                else:
                    options["transfer"] = self._settings.transfer._replace(bandwidth=self._settings.bandwidth)
                    options["progress"] = self._progress(operation)
                    metadata.pop(PART_SIZE, None)
                    each = None if size is None else part_size_of(target.session, size, self._settings.transfer)
                    if each is not None:
                        metadata[PART_SIZE] = str(each)
                put = self._put(operation, body, options)
                moved = operation.size if size is None else size
                return Outcome(operation, "done", _got(result, moved, operation.source), _stored(put, moved), moved)
        except NotFound as error:
            return self._not_found(operation, error)

    def _not_found(self, operation: Operation, error: NotFound) -> Outcome:
        """An object of the source that was listed and is not found: it has vanished if it is not listed any more."""
        if isinstance(error, NoSuchBucket) or self._remote(self._source).has(operation.name):
            raise error
        return Outcome(operation, "vanished")

    def _rename(self, operation: Operation) -> Outcome:
        """Copy, inside the target's store, an object that has the content already; else upload or copy it."""
        target = self._remote(self._target)
        assert operation.moved_from is not None
        tree, expected = self._source, operation.source
        is_local = isinstance(tree, LocalTree)
        options: dict[str, Any] = {}
        now = expected
        if isinstance(tree, LocalTree):
            now = tree.side(operation.path or operation.name)
            if now is None:
                return Outcome(operation, "vanished")
            if expected is None or not _still(now, expected):
                return self._upload(operation)
            options = self._described(operation.name, now)
            options.setdefault("content_type", content_type_of(operation.name))
        # What the object of the earlier name has to be still: the plan says it with the source.
        etag = None if expected is None else expected.etag
        if etag is None:
            # Nothing says what the object has to be, so it is not believed.
            return self._upload(operation) if is_local else self._copy(operation)
        try:
            result = self._copied(operation, target, target.key(operation.moved_from), etag, options)
        except (NotFound, PreconditionFailed):
            return self._upload(operation) if is_local else self._copy(operation)
        size = operation.size if expected is None else expected.size
        part_size = None if expected is None else expected.part_size
        side = Side(size, etag=result.etag, version_id=result.version_id, part_size=part_size)
        if now is not None and expected is not None:
            now = now._replace(md5=expected.md5, sha1=expected.sha1)
        return Outcome(operation, "done", now, side, 0)

    # --- both

    def _keep(self, operation: Operation) -> None:
        if self._keeper is not None and operation.target is not None:
            self._keeper.keep_replaced(operation)

    def _progress(self, operation: Operation) -> Progress | None:
        on_bytes, check = self._on_bytes, self._check
        if on_bytes is None and check is None:
            return None

        def progress(done: int, total: int | None) -> None:
            if check is not None:
                check()
            if on_bytes is not None:
                on_bytes(operation.name, done, total)

        return progress

    def _remote(self, endpoint: Endpoint) -> RemotePrefix:
        assert not isinstance(endpoint, LocalTree)
        return endpoint


def _resumed(session: Session, key: str, path: OpenFile, **options: Any) -> ObjectResult:
    return session.upload_file(path, key, resume=True, **options)


def _still(now: Side, expected: Side) -> bool:
    return (now.size, now.mtime_ns, now.inode) == (
        expected.size,
        expected.mtime_ns if expected.mtime_ns is not None else now.mtime_ns,
        expected.inode if expected.inode is not None else now.inode,
    ) and stat.S_ISREG(now.mode or stat.S_IFREG)


def _with_md5(local: Side, content: bytes) -> Side:
    """The side with what its content is: so the next run can tell whether a file changed that was just written."""
    return local._replace(md5=md5(content, usedforsecurity=False).hexdigest())


def _with_md5_of(local: Side, result: ObjectResult) -> Side:
    """The same by the ETag, if it looks like an MD5; should it be none, it will be equal to no file's."""
    return local._replace(md5=result.etag) if re.fullmatch("[0-9a-f]{32}", result.etag) else local


def _stored(result: ObjectResult, size: int, part_size: int | None = None) -> Side:
    return Side(size, etag=result.etag, version_id=result.version_id, part_size=part_size)


def _got(result: Any, size: int, listed: Side | None) -> Side:
    """The object that was read: the row of the listing, which tells its time more exactly, if it is still that one."""
    if listed is not None and listed.etag and listed.etag == result.etag and listed.size == size:
        return listed
    modified = result.last_modified
    seconds = None if modified is None else modified.timestamp()
    return Side(size, etag=result.etag, modified=seconds, version_id=result.version_id)


def is_same_store(source: RemotePrefix, target: RemotePrefix) -> bool:
    """Whether the target's store can copy from the source: one address, or, without one, one way to it."""
    mine, its = source.session, target.session
    if mine is its:
        return True
    if type(mine) is not type(its):
        return False
    ways = [getattr(getattr(session, "_client", None), "transport", None) for session in (mine, its)]
    if ways[0] is ways[1]:
        return True
    if not all(type(way) is Pool for way in ways):
        return False
    if source.kind == "b2":
        return bool(mine.account_id == its.account_id)  # type: ignore[attr-defined]  # a B2Session has one
    return bool(mine.endpoint_url == its.endpoint_url)  # type: ignore[attr-defined]  # an S3Session has one
