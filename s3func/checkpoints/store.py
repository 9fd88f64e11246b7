"""The remote side of checkpoints: manifests, and the files of a step, below one prefix of one bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3func.checkpoints.folder import FileState, check_unchanged, digest_of
from s3func.checkpoints.manifest import (
    MANIFEST,
    RANKS,
    Checkpoint,
    SavedFile,
    folder_of,
    merged,
    parse,
    rank_name,
    rank_of,
    render,
    step_of,
)
from s3func.errors import (
    HashMismatchError,
    NotFound,
    ObjectExists,
    PreconditionFailed,
    ProtocolError,
    S3FuncError,
)
from s3func.transport.parallel import Crew

if TYPE_CHECKING:
    from s3func.session import Session

FILES_AT_A_TIME = 4
"""Each large file has its own connections besides."""
_MANIFEST_MAX = 256 * 1024 * 1024


class StepStore:
    """One run's steps. `session` may be exchanged for one with a deadline, see limited()."""

    def __init__(self, session: Session, bucket: str, prefix: str) -> None:
        """prefix: empty, or with a slash at its end."""
        # Each provider's session names its own keywords, and both have those that are used here.
        self.session: Any = session
        self.bucket = bucket
        self.prefix = prefix

    def limited(self, seconds: float) -> StepStore:
        """The same store, each of whose calls ends after so many seconds."""
        return StepStore(self.session.limited(seconds), self.bucket, self.prefix)

    def key(self, step: int, name: str) -> str:
        """The key of a file of a step."""
        return self.prefix + folder_of(step) + name

    def steps(self) -> list[int]:
        """Every step that has anything in the store, complete or not, oldest first; one request per 1,000."""
        folders = self.session.list_objects(self.prefix, delimiter="/", bucket=self.bucket).common_prefixes
        found = (step_of(folder.removeprefix(self.prefix)) for folder in folders)
        return sorted(step for step in found if step is not None)

    def manifest(self, step: int) -> Checkpoint | None:
        """The step's manifest, None where there is none: the step is not complete. ProtocolError for a broken one."""
        return self._document(step, MANIFEST)

    def is_complete(self, step: int) -> bool:
        """Whether the step has a manifest."""
        return bool(self.session.exists(self.key(step, MANIFEST), bucket=self.bucket))

    def publish(self, checkpoint: Checkpoint) -> None:
        """Make the step exist. ObjectExists when it does already, unless it says the same."""
        key = self.key(checkpoint.step, MANIFEST)
        body = render(checkpoint)
        options = {"content_type": "application/json", "bucket": self.bucket}
        if self.session.capabilities.conditional_writes:
            options["if_none_match"] = "*"
        try:
            self.session.put_object(key, body, **options)
        except PreconditionFailed as error:
            # Another rank, or a lost answer's first attempt, may have written the very same.
            if self.manifest(checkpoint.step) != parse(body, checkpoint.step):
                raise ObjectExists(
                    f"step {checkpoint.step} exists with other content", bucket=self.bucket, key=key
                ) from error

    def publish_rank(self, attempt: str, rank: int, world: int, part: Checkpoint) -> bool:
        """Say that a rank is done; whether all are then. Whoever sees them all publishes the step."""
        name = rank_name(attempt, rank, world)
        options = {"content_type": "application/json", "bucket": self.bucket}
        self.session.put_object(self.key(part.step, name), render(part), **options)
        folder = self.key(part.step, f"{RANKS}/{attempt}/")
        there = {rank_of(entry.key, world) for entry in self.session.list_objects(folder, bucket=self.bucket)}
        if not there.issuperset(range(world)):
            return False
        parts = [self._document(part.step, rank_name(attempt, other, world)) for other in range(world)]
        if None in parts:
            return False
        self.publish(merged(part.step, (part for part in parts if part is not None)))
        return True

    def withdraw_rank(self, step: int, attempt: str, rank: int, world: int) -> None:
        """Forget what this rank said about the step in an attempt that went wrong."""
        self.session.delete_object(self.key(step, rank_name(attempt, rank, world)), bucket=self.bucket)

    def upload(
        self, step: int, files: list[tuple[str, Path]], rank: int, known: Checkpoint | None, check: Callable[[], None]
    ) -> tuple[SavedFile, ...]:
        """Store the files of a rank. What `known`, an older step, has with the same content is copied in the store."""
        there = {} if known is None else {(file.size, file.sha256): file.name for file in known.files}
        saved: list[SavedFile] = []

        def save(name: str, path: Path) -> None:
            check()
            state = FileState.of(path)
            file = SavedFile(name, state.size, digest_of(path, state), rank)
            old = there.get((file.size, file.sha256))
            if known is None or old is None or not self._copied(known.step, old, step, name):
                self.session.upload_file(path, self.key(step, name), bucket=self.bucket)
                check_unchanged(path, state)
            saved.append(file)

        with Crew(FILES_AT_A_TIME, name="s3func-checkpoint") as crew:
            for name, path in files:
                crew.submit(lambda name=name, path=path: save(name, path))  # type: ignore[misc]
        return tuple(sorted(saved))

    def download(self, checkpoint: Checkpoint, folder: Path, *, fsync: bool) -> None:
        """Bring the files of a step into an empty folder, each compared with its SHA-256."""

        def load(file: SavedFile, path: Path) -> None:
            self.session.download_file(self.key(checkpoint.step, file.name), path, bucket=self.bucket, fsync=fsync)
            state = FileState.of(path)
            if (state.size, digest_of(path, state)) != (file.size, file.sha256):
                raise HashMismatchError(f"{file.name!r} of step {checkpoint.step} is not what was saved")

        with Crew(FILES_AT_A_TIME, name="s3func-checkpoint") as crew:
            for file in checkpoint.files:
                path = folder.joinpath(*file.name.split("/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                crew.submit(lambda file=file, path=path: load(file, path))  # type: ignore[misc]

    def delete(self, step: int) -> None:
        """Delete a step, its manifest first, so that no half of it is ever a checkpoint."""
        self.session.delete_object(self.key(step, MANIFEST), bucket=self.bucket)
        keys = [entry.key for entry in self._entries(step)]
        if keys:
            self.session.delete_objects(keys, bucket=self.bucket)

    def _entries(self, step: int) -> Iterator[Any]:
        return iter(self.session.list_objects(self.key(step, ""), bucket=self.bucket))

    def _copied(self, old_step: int, old_name: str, step: int, name: str) -> bool:
        try:
            self.session.copy_object(
                self.key(old_step, old_name), self.key(step, name), source_bucket=self.bucket, dest_bucket=self.bucket
            )
        except S3FuncError:
            # Pruned meanwhile, or a store that cannot: uploading is always possible.
            return False
        return True

    def _document(self, step: int, name: str) -> Checkpoint | None:
        try:
            with self.session.get_object(self.key(step, name), stream=True, bucket=self.bucket) as result:
                if result.size is not None and result.size > _MANIFEST_MAX:
                    raise ProtocolError(f"{name} of step {step} has {result.size} bytes: that is no manifest")
                return parse(result.read(), step)
        except NotFound:
            return None
