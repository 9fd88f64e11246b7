"""plan(): what a sync would do, as data; to be looked at, stored as JSON lines, and carried out now, later or elsewhere.

Rule 1: planning changes nothing, on neither side; what it keeps on the disk is in files without a name.
Rule 2: a plan that is not known to be complete is none: a file that lacks its closing line is refused.
Rule 3: no secret is in a plan: its sides are URLs without credentials.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sized
from dataclasses import asdict, dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, cast, get_args

from s3func.errors import SafetyStop, SyncError, SyncIncomplete
from s3func.sync.compare import MODES, Compare
from s3func.sync.endpoints import Endpoint, as_endpoint
from s3func.sync.entry import Problem, ScanProof
from s3func.sync.examining import Examiner
from s3func.sync.filters import Filters
from s3func.sync.guards import Guard, MaxDelete, MaxDeleteLike, Proofs, parse_max_delete
from s3func.sync.local import LocalTree, Symlinks
from s3func.sync.names import OURS, NamePolicy
from s3func.sync.operation import Kind, Operation
from s3func.sync.planning import DELETES, Delete, Planner, Rules, Way
from s3func.sync.spool import Spool, dumps, loads, packed, unpacked
from s3func.sync.state import State
from s3func.sync.watching import WatchedScan

if TYPE_CHECKING:
    from s3func.session import Session
    from s3func.sync.entry import Scan

FORMAT = 1
_METADATA = frozenset({"mtime", "mode"})
_MOVING = ("upload", "download", "copy", "rename")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How a plan was made; see plan(). state: the file of the memory, None for none. filters: their fingerprint."""

    compare: Compare = "auto"
    delete: Delete = "none"
    metadata: tuple[str, ...] = ("mtime",)
    max_delete: MaxDelete = field(default_factory=MaxDelete)
    allow_empty_source: bool = False
    allow_new_root: bool = False
    symlinks: Symlinks = "skip"
    names: NamePolicy = field(default_factory=NamePolicy)
    state: str | None = None
    filters: str | None = None


class PlanSummary(NamedTuple):
    """A plan in numbers. operations: by kind. bytes: to be moved. extra: what the target alone has, and keeps.

    stop: why nothing may be deleted as things are; None where nothing stands against it.
    """

    source: str
    target: str
    operations: dict[str, int]
    bytes: int
    unchanged: int
    extra: int
    stop: str | None

    def __str__(self) -> str:
        """A line per kind of step."""
        lines = [f"{self.source} -> {self.target}"]
        lines += [f"  {kind}: {count}" for kind, count in sorted(self.operations.items())]
        lines.append(f"  unchanged: {self.unchanged}, only in the target: {self.extra}, bytes to move: {self.bytes}")
        if self.stop is not None:
            lines.append(f"  nothing would be deleted: {self.stop}")
        return "\n".join(lines)


def plan(
    source: str | os.PathLike[str] | Endpoint,
    target: str | os.PathLike[str] | Endpoint,
    *,
    compare: Compare = "auto",
    delete: Delete | bool = "none",
    filters: Filters | None = None,
    state: str | os.PathLike[str] | None = "auto",
    symlinks: Symlinks = "skip",
    names: NamePolicy | None = None,
    max_delete: MaxDeleteLike = None,
    allow_empty_source: bool = False,
    allow_new_root: bool = False,
    metadata: tuple[str, ...] = ("mtime",),
    session: Session | None = None,
    source_session: Session | None = None,
    **session_options: Any,
) -> Plan:
    """What has to happen so that the target becomes like the source. Nothing is read or sent before the plan is iterated.

    source, target: a folder and an s3:// or b2:// URL, in either direction, or two URLs; or LocalTree and RemotePrefix.
    compare: "auto" takes for the same what is remembered to be the same and looks as it did, else compares contents;
    "hash" compares contents whatever is remembered; "mtime" size and the time that is kept with the object (one HEAD
    each, unless remembered); "size"; "aws" does as `aws s3 sync` does; "always" and "missing" transfer all, or what is
    not there. delete: "none"; "tracked", what both sides had when they last agreed; "all" (True), whatever the source
    does not have. filters: what takes part, on both sides. state: where that memory is, see State.open; None for none.
    symlinks, names: of a folder. max_delete: see parse_max_delete. allow_empty_source, allow_new_root: switch off these
    guards. metadata: what is kept with objects, of "mtime" and "mode". session: for URLs of either side,
    source_session for the source's; without them sessions are made of the URLs, session_options, and closed with the plan.

    Reasons of steps: new, size, content, mtime, unknown (nothing can tell), metadata, forced; both-changed and
    deleted-changed of conflicts; extraneous and tracked of deletes; renamed; a record whose reason is "gone" has no sides
    and means that neither has the name any more; problems have the kinds of Problem, and unreadable, unicode.
    ValueError and TypeError name the argument.
    """
    if compare not in MODES:
        raise ValueError(f"compare must be one of {', '.join(MODES)}, not {compare!r}")
    wanted = {True: "all", False: "none"}.get(delete, delete) if isinstance(delete, bool) else delete
    if wanted not in DELETES:
        raise ValueError(f"delete must be one of {', '.join(DELETES)}, not {delete!r}")
    if filters is not None and not isinstance(filters, Filters):
        raise TypeError(f"filters must be Filters, not {type(filters).__name__}")
    if isinstance(metadata, str) or not set(metadata) <= _METADATA:
        raise ValueError(f"metadata must be some of {', '.join(sorted(_METADATA))}, not {metadata!r}")
    limit = parse_max_delete(max_delete)
    made: list[Session] = []
    sides = []
    for value, its_session in ((source, source_session or session), (target, session)):
        side = as_endpoint(value, session=its_session, symlinks=symlinks, names=names, **session_options)
        if side is not value and its_session is None and not isinstance(side, LocalTree):
            made.append(side.session)
        sides.append(side)
    _check_apart(sides[0], sides[1], filters)
    memory = State.open(sides[0], sides[1], state)
    local = next((side for side in sides if isinstance(side, LocalTree)), None)
    options = PlanOptions(
        compare,
        cast("Delete", wanted),
        tuple(metadata),
        limit,
        allow_empty_source,
        allow_new_root,
        symlinks if local is None else local.symlinks,
        (names or NamePolicy()) if local is None else local.names,
        None if memory is None else memory.path,
        None if filters is None else filters.fingerprint,
    )
    return Plan(sides[0], sides[1], options, state=memory, filters=filters, sessions=made)


class Plan:
    """The steps of a sync, in the order of the names; iterating the first time makes them, later times repeat them.

    Beside the steps, at the end of the first iteration: `proofs` of both scans, and `counts`.
    """

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        options: PlanOptions,
        *,
        state: State | None = None,
        filters: Filters | None = None,
        sessions: list[Session] | None = None,
    ) -> None:
        """sessions: to be closed with the plan. plan() and Plan.from_jsonl() make plans."""
        self.source = source
        self.target = target
        self.options = options
        self.state = state
        self.created_ns = time.time_ns()
        self.counts: Counter[str] = Counter()
        self.bytes = 0
        self.keeps_steps = True
        """False, said before the first iteration, keeps nothing to be iterated again, which is all that a sync needs."""
        self.way: Way = "only"
        """Said before the first iteration: whether this is half of a plan that makes both sides alike, see bisync()."""
        self.on_page: Callable[[str, int, int], object] | None = None
        """Called while scanning: "source" or "target", entries and pages until now."""
        self._filters = filters
        self._sessions = sessions or []
        self._kind = _kind_of(source, target)
        self._proofs: Proofs | None = None
        self._spool = Spool()
        self._iteration: Generator[Operation, None, None] | None = None
        self._is_running = False
        self._is_new_root = False

    def __repr__(self) -> str:
        return f"<Plan {self.source.url!r} -> {self.target.url!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End an iteration that is under way, flush what was recorded, close the sessions that plan() made."""
        if self._iteration is not None:
            # Whoever left it in the middle may hold it still, by the error that made them leave.
            self._iteration.close()
            self._iteration = None
        self._spool.close()
        self._proofs = None
        try:
            if self.state is not None:
                self.state.close()
        finally:
            for session in self._sessions:
                session.close()

    def __iter__(self) -> Iterator[Operation]:
        """The steps. SyncIncomplete when a side cannot be seen completely, EmptySourceError when there is no source."""
        if self._proofs is not None:
            return iter(self._kept)
        if self._iteration is not None and self._is_running:
            raise RuntimeError("the plan is being made by another iteration")
        self._iteration = self._planned()
        return self._iteration

    @property
    def _kept(self) -> Spool:
        if not self.keeps_steps:
            raise RuntimeError("the steps of this plan were not kept: it can be iterated once")
        return self._spool

    def _planned(self) -> Generator[Operation, None, None]:
        if self._is_running:
            raise RuntimeError("the plan is being made by another iteration")
        self._is_running = True
        self._spool.close()
        self.counts.clear()
        self.bytes = 0
        self.created_ns = time.time_ns()
        if self.state is not None:
            self.state.observed_ns = self.created_ns
        try:
            source: Scan = self.source.scan(self._filters, other=self.target)
            target: Scan = self.target.scan(self._filters, other=self.source)
            if self.on_page is not None:
                source = WatchedScan(source, "source", self.on_page)
                target = WatchedScan(target, "target", self.on_page)
            rules = Rules(self.options.compare, self.options.delete, self.options.metadata, self.way)
            is_swapped = isinstance(self.target, LocalTree) if self.state is None else self.state.is_swapped
            examiner = Examiner(self.source, self.target, self.options.compare, is_swapped=is_swapped)
            planner = Planner(source, target, self.state, examiner, rules, transfer=self._kind, filters=self._filters)
            for operation in planner.operations():
                if self.keeps_steps:
                    self._spool.append(operation)
                self._count(operation)
                yield operation
            proofs = Proofs(source.proof, target.proof)
            self._guard(proofs).check_source(proofs, self.source.url)
            self._look_at_root(proofs, planner)
            self.counts.update(planner.counts, unchanged=planner.unchanged)
            self._proofs = proofs
        finally:
            self._is_running = False

    def _count(self, operation: Operation) -> None:
        self.counts[operation.kind] += 1
        if operation.kind in _MOVING[:3]:
            self.bytes += operation.size

    def _look_at_root(self, proofs: Proofs, planner: Planner) -> None:
        """Is the folder the one of last time? Numbers of devices change with a reboot, so what is in it counts as well."""
        if self.state is None:
            return
        identity = proofs.source.identity or proofs.target.identity
        known = self.state.root
        is_same = known is None or known == identity or 2 * planner.confirmed >= planner.rows
        self._is_new_root = not is_same and proofs.source.identity is not None
        if is_same or self.options.allow_new_root or proofs.source.identity is None:
            self.state.adopt_root(identity)

    @property
    def is_complete(self) -> bool:
        """Whether all steps are known."""
        return self._proofs is not None

    @property
    def proofs(self) -> Proofs:
        """What both scans know about themselves. RuntimeError before the first iteration has come to its end."""
        if self._proofs is None:
            raise RuntimeError("the proofs of a plan are there when its first iteration has come to the end")
        return self._proofs

    def prepare(self) -> Plan:
        """Make the plan now, if it is not made yet; the plan itself."""
        if self._proofs is None:
            for _ in self:
                pass
        return self

    def summary(self) -> PlanSummary:
        """The plan in numbers; makes it first, if need be."""
        self.prepare()
        kinds = {kind: self.counts[kind] for kind in get_args(Kind) if self.counts[kind]}
        stop = None
        try:
            self.guard()
        except (SafetyStop, SyncIncomplete) as error:
            stop = str(error)
        counts = self.counts
        return PlanSummary(
            self.source.url, self.target.url, kinds, self.bytes, counts["unchanged"], counts["extra"], stop
        )

    def guard(self, deletes: int | Sized | None = None, failed: int | Sized = 0) -> None:
        """Whether this may be deleted, all other steps done: SafetyStop or SyncIncomplete say why not.

        deletes: how many, or the deletes; all of the plan by default. failed: how many other steps failed.
        """
        proofs = self.proofs
        number = self.counts["delete"] if deletes is None else deletes if isinstance(deletes, int) else len(deletes)
        failures = failed if isinstance(failed, int) else len(failed)
        self._guard(proofs).check(number, failures, proofs, self.source.url, self.target.url)

    def _guard(self, proofs: Proofs) -> Guard:
        options = self.options
        return Guard(options.max_delete, options.allow_empty_source, options.allow_new_root, self._is_new_root)

    def to_jsonl(self, file: str | os.PathLike[str] | IO[bytes] | IO[str]) -> None:
        """Write the plan as JSON lines, to a path (which then has all of it, or what it had before) or an open file.

        A header line with "s3func": "plan", a line per step, and a closing line with "end": true.
        """
        if not isinstance(file, str | os.PathLike):
            for line in self._lines():
                _write(file, line)
            return
        path = os.path.abspath(os.fspath(file))
        part = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:60]}.{os.getpid()}.s3func-part")
        try:
            with open(part, "wb") as written:
                for line in self._lines():
                    written.write(line)
            os.replace(part, path)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise

    def _lines(self) -> Iterator[bytes]:
        self.prepare()
        options = asdict(self.options)
        options["max_delete"] = str(self.options.max_delete)
        header = {
            "s3func": "plan",
            "version": FORMAT,
            "source": self.source.url,
            "target": self.target.url,
            "created_ns": self.created_ns,
            "options": options,
        }
        yield dumps(header) + b"\n"
        for operation in self._kept:
            yield dumps(packed(operation)) + b"\n"
        proofs = {
            side: {**proof._asdict(), "problems": [problem._asdict() for problem in proof.problems]}
            for side, proof in zip(("source", "target"), self.proofs, strict=True)
        }
        closing = {
            "end": True,
            "operations": len(self._spool),
            "counts": dict(self.counts),
            "is_new_root": self._is_new_root,
            "proofs": proofs,
        }
        yield dumps(closing) + b"\n"

    @classmethod
    def from_jsonl(
        cls,
        file: str | os.PathLike[str] | IO[bytes] | IO[str],
        *,
        session: Session | None = None,
        source_session: Session | None = None,
        **session_options: Any,
    ) -> Plan:
        """A plan that to_jsonl() wrote. The sessions are those of plan(). SyncError for one that is truncated or no plan."""
        if isinstance(file, str | os.PathLike):
            with open(file, "rb") as opened:
                return cls._read(opened, session, source_session, session_options)
        return cls._read(file, session, source_session, session_options)

    @classmethod
    def _read(
        cls,
        file: IO[bytes] | IO[str],
        session: Session | None,
        source_session: Session | None,
        session_options: dict[str, Any],
    ) -> Plan:
        lines = (loads(line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")) for line in file)
        header = next(lines, None)
        if not isinstance(header, dict) or header.get("s3func") != "plan":
            raise SyncError("this is no plan: its first line is not that of one")
        if header.get("version") != FORMAT:
            raise SyncError(f"the plan has format {header.get('version')!r}, and {FORMAT} is known here")
        made = _of_header(header, session, source_session, session_options)
        try:
            made._fill(lines)  # noqa: SLF001 -- of its own class
        except BaseException:
            made.close()
            raise
        return made

    def _fill(self, lines: Iterator[Any]) -> None:
        closing = None
        for line in lines:
            if closing is not None:
                raise SyncError("the plan goes on behind its closing line")
            if isinstance(line, dict) and line.get("end") is True:
                closing = line
                continue
            operation = unpacked(line)
            self._spool.append(operation)
            self._count(operation)
        if closing is None:
            raise SyncError("the plan is truncated: it has no closing line")
        try:
            self._close_with(closing)
        except (TypeError, KeyError, ValueError) as error:
            raise SyncError("the closing line of the plan is damaged") from error

    def _close_with(self, closing: dict[str, Any]) -> None:
        counts = {kind: self.counts[kind] for kind in get_args(Kind)}
        if closing["operations"] != len(self._spool) or any(
            closing["counts"].get(kind, 0) != count for kind, count in counts.items()
        ):
            raise SyncError("the plan is not complete: its closing line counts other steps than it has")
        self.counts = Counter(closing["counts"])
        self._is_new_root = bool(closing["is_new_root"])
        self._proofs = Proofs(*(_proof(closing["proofs"][side]) for side in ("source", "target")))


def _of_header(
    header: dict[str, Any], session: Session | None, source_session: Session | None, session_options: dict[str, Any]
) -> Plan:
    try:
        options = dict(header["options"])
        where = options.pop("state")
        filters = options.pop("filters")
        options["names"] = NamePolicy(**options["names"])
        options["metadata"] = tuple(options["metadata"])
        made = plan(
            header["source"],
            header["target"],
            state=where,
            session=session,
            source_session=source_session,
            **options,
            **session_options,
        )
        created = int(header["created_ns"])
    except (TypeError, KeyError, ValueError) as error:
        raise SyncError(f"the first line of the plan is damaged: {error}") from error
    made.options = replace(made.options, filters=filters)
    made.created_ns = created
    if made.state is not None:
        made.state.observed_ns = created
    return made


def _proof(fields: dict[str, Any]) -> ScanProof:
    problems = tuple(Problem(**problem) for problem in fields["problems"])
    identity = fields["identity"]
    return ScanProof(**{**fields, "problems": problems, "identity": None if identity is None else tuple(identity)})


def _check_apart(source: Endpoint, target: Endpoint, filters: Filters | None) -> None:
    """ValueError where one prefix lies in the other: a sync would copy its own copies, or delete its own source."""
    if isinstance(source, LocalTree) or isinstance(target, LocalTree) or source.bucket != target.bucket:
        return
    from s3func.sync.transfers import is_same_store

    outer, inner = sorted((source.prefix, target.prefix), key=len)
    if not inner.startswith(outer) or not is_same_store(source, target):
        return
    below = inner[len(outer) :].rstrip("/")
    # What no scan of the outer one sees does not lie in it.
    if below and (OURS.search(below) or (filters is not None and filters.prunes(below))):
        return
    what = f"excluding {below + '/'!r} would keep them apart" if below else "they are the same"
    raise ValueError(f"source and target overlap: {source.url} and {target.url}; {what}")


def _kind_of(source: Endpoint, target: Endpoint) -> Kind:
    kinds: dict[tuple[bool, bool], Kind] = {(True, False): "upload", (False, True): "download", (False, False): "copy"}
    kind = kinds.get((isinstance(source, LocalTree), isinstance(target, LocalTree)))
    if kind is None:
        raise ValueError("target must be a store where source is a folder: two folders are none of our concern")
    return kind


def _write(file: Any, line: bytes) -> None:
    try:
        file.write(line)
    except TypeError:
        file.write(line.decode())
