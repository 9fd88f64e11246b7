"""One way between a place and its path, done once: by s3func.sync for a prefix, by the pair of object and file for one.

1. What somebody else has put into the store since is not taken back: a file that this job has not touched is not uploaded.
2. A file that is being written is left for later while the job runs (see SettledTree), and never half uploaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s3func.errors import NotFound, S3ObjectError
from s3func.files.cache import Records, state_root
from s3func.files.single import ObjectFile
from s3func.sync.applying import apply
from s3func.sync.compare import object_has_content
from s3func.sync.filters import Filters
from s3func.sync.local import LocalTree
from s3func.sync.plans import Plan, plan
from s3func.sync.remote import RemotePrefix

if TYPE_CHECKING:
    from s3func.mirrors.places import Place
    from s3func.session import Session
    from s3func.sync.endpoints import Endpoint
    from s3func.sync.entry import LocalEntry, ScanProof
    from s3func.sync.events import Event
    from s3func.sync.guards import MaxDelete, Proofs
    from s3func.sync.operation import Operation
    from s3func.sync.report import Report
    from s3func.transport.transfer import BandwidthLimit

Delete = Literal["none", "tracked", "all"]
UNFINISHED = ("*.tmp", "*.temp", "*.part", "*.partial", "*.incomplete", "*.crdownload", "*.swp", "*~", ".#*", "#*#")
"""Names that programs give to files which they have not finished."""


class Settings:
    """What all transfers of a mirror have in common."""

    def __init__(
        self,
        *,
        workers: int | Literal["auto"] = "auto",
        bandwidth: BandwidthLimit | None = None,
        on_event: Callable[[Event], object] | None = None,
        max_delete: int | str | MaxDelete | None = None,
    ) -> None:
        """See apply() and plan()."""
        self.workers = workers
        self.bandwidth = bandwidth
        self.on_event = on_event
        self.max_delete = max_delete

    def apply(self, steps: Any, **more: Any) -> Report:
        """Carry out a plan; SyncError, or one of its kinds, when anything was not done."""
        report = apply(steps, workers=self.workers, bwlimit=self.bandwidth, on_event=self.on_event, **more)
        report.raise_for_failures()
        return report


def is_object(session: Session, place: Place) -> bool:
    """Whether the URL names one object, and not a folder of them. One request, none where the URL ends with a slash."""
    key = place.location.key
    if not key or key.endswith("/"):
        return False
    try:
        session.head_object(key, bucket=place.location.bucket)
    except NotFound:
        return False
    return True


def pair_of(session: Session, place: Place, path: Path) -> ObjectFile:
    """One object and its file."""
    records = Records(state_root())
    return ObjectFile(session, place.location.bucket, place.location.key, place.url, str(path.absolute()), records)


def prefix_of(session: Session, place: Place) -> RemotePrefix:
    """The place as a folder."""
    return RemotePrefix(session, place.location.bucket, place.location.key)


def download_plan(
    session: Session, place: Place, path: Path, delete: Delete, exclude: Sequence[str], settings: Settings
) -> Plan:
    """What a download would do."""
    source, target = prefix_of(session, place), LocalTree(path)
    return plan(source, target, delete=delete, filters=Filters(exclude=exclude), max_delete=settings.max_delete)


def bring_down(
    session: Session,
    place: Place,
    path: Path,
    delete: Delete,
    exclude: Sequence[str],
    settings: Settings,
    *,
    may_be_missing: bool = False,
) -> None:
    """Make the path what the place is.

    S3ObjectError when the place has nothing: most likely its name is mistyped. may_be_missing: then the path stays as
    it is; a folder is made where there is nothing.
    """
    if is_object(session, place):
        path.parent.mkdir(parents=True, exist_ok=True)
        pair_of(session, place, path).download()
        return
    if not _has_something(session, place):
        if not may_be_missing:
            raise S3ObjectError(f"there is nothing at {place.url}, so there is nothing to download")
        if not path.exists():
            path.mkdir(parents=True)
        return
    with download_plan(session, place, path, delete, exclude, settings) as steps:
        settings.apply(steps, on_conflict="error")
    path.mkdir(parents=True, exist_ok=True)


def _has_something(session: Session, place: Place) -> bool:
    prefix = prefix_of(session, place)
    # Each provider's list_objects has max_keys, and each names its other keywords itself.
    listing: Any = session.list_objects
    return next(iter(listing(prefix.prefix, max_keys=1, bucket=prefix.bucket)), None) is not None


def upload_plan(
    session: Session, place: Place, path: Path, delete: Delete, exclude: Sequence[str], settings: Settings
) -> Plan:
    """What an upload would do."""
    source, target = LocalTree(path), prefix_of(session, place)
    return plan(source, target, delete=delete, filters=Filters(exclude=exclude), max_delete=settings.max_delete)


def send_up(
    session: Session,
    place: Place,
    path: Path,
    delete: Delete,
    exclude: Sequence[str],
    settings: Settings,
    *,
    deadline: float | None = None,
) -> int:
    """Make the place what the path is; how many files went up. A path that is not there changes nothing.

    deadline: seconds after which nothing more is begun.
    """
    if path.is_file():
        pair_of(session, place, path).upload()
        return 1
    if not path.is_dir():
        return 0
    with upload_plan(session, place, path, delete, exclude, settings) as steps:
        return settings.apply(OwnChanges(steps), on_conflict="error", deadline=deadline).uploaded


def send_settled(
    session: Session, place: Place, path: Path, exclude: Sequence[str], settle: float, settings: Settings
) -> int:
    """Upload what has not been written to for `settle` seconds, and delete nothing; how many files went up."""
    if path.is_file():
        pair = pair_of(session, place, path)
        if time.time() - path.stat().st_mtime < settle:
            return 0
        pair.upload()
        return 1
    if not path.is_dir():
        return 0
    tree = SettledTree(path, settle)
    filters = Filters(exclude=(*exclude, *UNFINISHED))
    target = prefix_of(session, place)
    with plan(tree, target, delete="none", filters=filters, allow_empty_source=True, allow_new_root=True) as steps:
        return settings.apply(OwnChanges(steps), on_conflict="error").uploaded


class OwnChanges:
    """The steps of a plan without the uploads over objects that somebody else has changed, and not we.

    There the file looks as it did when both sides last agreed, and the object does not. See applying.Steps.
    """

    def __init__(self, steps: Plan) -> None:
        self._steps = steps
        self.source: Endpoint = steps.source
        self.target: Endpoint = steps.target
        self.state = steps.state

    def __iter__(self) -> Iterator[Operation]:
        rows = iter(()) if self.state is None else self.state.rows()
        row = next(rows, None)
        for step in self._steps:
            if step.kind == "upload" and step.source is not None and step.target is not None:
                while row is not None and row.name < step.name:
                    row = next(rows, None)
                now = (step.source.size, step.source.mtime_ns)
                if row is not None and row.name == step.name and (row.one_size, row.one_mtime_ns) == now:
                    if not object_has_content(row, step.target):
                        continue
            yield step

    @property
    def proofs(self) -> Proofs:
        """As the plan's own."""
        return self._steps.proofs

    def guard(self, deletes: int, failed: int) -> None:
        """As the plan's own."""
        self._steps.guard(deletes, failed)


class SettledTree(LocalTree):
    """A folder in which files that were written to just now are not seen yet.

    It is for runs that delete nothing: what is not seen is not gone.
    """

    def __init__(self, root: Path, settle: float) -> None:
        """settle: seconds that a file has to have been left alone."""
        super().__init__(root)
        self._settle_ns = int(settle * 1e9)

    def scan(self, filters: Filters | None = None, *, other: Endpoint | None = None) -> Any:
        """As usual, without the files that were written to just now."""
        return _SettledScan(super().scan(filters, other=other), time.time_ns() - self._settle_ns)


class _SettledScan:
    """A Scan without the entries that are younger than a moment."""

    def __init__(self, scan: Any, latest_ns: int) -> None:
        self._scan = scan
        self._latest_ns = latest_ns

    def __iter__(self) -> Iterator[LocalEntry]:
        return (entry for entry in self._scan if entry.mtime_ns <= self._latest_ns)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scan, name)

    @property
    def proof(self) -> ScanProof:
        """That of the whole scan."""
        proof: ScanProof = self._scan.proof
        return proof
