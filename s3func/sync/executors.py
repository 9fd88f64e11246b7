"""Clusters as executors of concurrent.futures: a Dask client and Ray, whose futures are of another kind.

    apply(plan, executor=dask.distributed.Client(...))         the client itself
    apply(plan, executor=ray)                                  the module itself
    apply(plan, executor=RayExecutor(ray, num_cpus=0.5))       the same, with options for its tasks

Rule 1: neither is imported here before it is used: the client, or the module, is the caller's, and stays running.
Rule 2: a task is work and not a value: each one has a key of its own, so that no cluster takes two of them for one.
Rule 3: a future ends once, however its task ends; one that is cancelled is taken back from the cluster, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from s3func.errors import SyncError

__all__ = ["DaskExecutor", "RayExecutor", "as_executor"]

Value = TypeVar("Value")

_RAY_CPUS = 1


def as_executor(value: Any) -> Executor:
    """What apply() takes for an executor, as one; TypeError."""
    if isinstance(value, Executor):
        return value
    if isinstance(value, ModuleType) and value.__name__ == "ray":
        return RayExecutor(value)
    if any(base.__name__ == "Client" and base.__module__.startswith("distributed.") for base in type(value).__mro__):
        return DaskExecutor(value)
    raise TypeError(
        "executor must be a concurrent.futures.Executor, a dask.distributed.Client or the ray module, "
        f"not {type(value).__name__}"
    )


class ClusterFuture(Future[Value]):
    """A task of a cluster. It is never running, as far as anybody knows here, so it can be cancelled until it is done."""

    def __init__(self) -> None:
        """Its task is handed over next."""
        super().__init__()
        self.withdraw: Callable[[], object] | None = None

    def cancel(self) -> bool:
        """Take the task back; False when it is done. What it has done until then stays done."""
        if self.cancelled():
            return True
        if not super().cancel():
            return False
        # Whoever waits learns of it only so.
        self.set_running_or_notify_cancel()
        withdraw, self.withdraw = self.withdraw, None
        if withdraw is not None:
            with suppress(Exception):
                # A cluster that is gone has nothing left to take back.
                withdraw()
        return True

    def settle(self, outcome: Callable[[], Value]) -> None:
        """The task has ended: with what the call returns or raises."""
        self.withdraw = None
        with suppress(InvalidStateError):
            try:
                value = outcome()
            except BaseException as error:  # noqa: BLE001 -- whatever it is, it is the end of this task alone
                self.set_exception(error)
            else:
                self.set_result(value)


class _ClusterExecutor(Executor):
    """What both have in common: futures that are not done yet, and a cluster that outlives them."""

    def __init__(self) -> None:
        self._is_shut_down = False
        self._open: set[ClusterFuture[Any]] = set()

    def _begun(self) -> ClusterFuture[Any]:
        if self._is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: ClusterFuture[Any] = ClusterFuture()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; wait for those that are under way, or cancel them. The cluster goes on."""
        self._is_shut_down = True
        for future in list(self._open):
            if cancel_futures:
                future.cancel()
            elif wait:
                future.exception()


class DaskExecutor(_ClusterExecutor):
    """A dask.distributed.Client as an executor. The client stays the caller's.

    https://distributed.dask.org/en/stable/api.html#distributed.Client.submit
    """

    def __init__(self, client: Any, **options: Any) -> None:
        """options: of Client.submit: workers (names or addresses), resources, priority, allow_other_workers, retries …

        A task whose worker dies is given to another one by the scheduler, `distributed.scheduler.allowed-failures` times.
        ValueError for a client that is asynchronous; TypeError for options that would make a value of a task.
        """
        super().__init__()
        if getattr(client, "asynchronous", False):
            raise ValueError("executor: the Dask client is asynchronous; make one with asynchronous=False")
        if refused := options.keys() & {"pure", "key", "actor", "actors"}:
            raise TypeError(f"a DaskExecutor decides itself about {min(refused)!r}")
        self._client = client
        self._options = options

    @property
    def width(self) -> int:
        """Tasks that the cluster carries out at a time as it is now; 1 while it has no worker."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, fn: Callable[..., Value], /, *args: Any, **kwargs: Any) -> Future[Value]:
        """See concurrent.futures.Executor."""
        future = self._begun()
        name = f"s3func-{getattr(fn, '__name__', 'call')}-{uuid.uuid4().hex}"
        task = self._client.submit(
            partial(fn, **kwargs) if kwargs else fn, *args, key=name, pure=False, **self._options
        )
        future.withdraw = task.cancel
        task.add_done_callback(partial(_settle_dask, future))
        return future


def _settle_dask(future: ClusterFuture[Any], task: Any) -> None:
    def outcome() -> Any:
        if task.status in {"cancelled", "lost"}:
            raise SyncError(f"the task was {task.status} by the cluster")
        # Raises what the task has raised, KilledWorker among it.
        return task.result()

    if not future.cancelled():
        future.settle(outcome)


class RayExecutor(_ClusterExecutor):
    """Ray as an executor, which has none of its own. Ray is started by whoever uses it, or by its first task.

    https://docs.ray.io/en/latest/ray-core/api/doc/ray.remote.html
    """

    def __init__(self, ray: Any = None, **options: Any) -> None:
        """ray: the module; None imports it. options: of ray.remote: num_cpus (1), resources, runtime_env, max_retries …

        A task whose worker dies is tried again by Ray, `max_retries` times: 3, unless told otherwise.
        """
        super().__init__()
        self._ray = import_module("ray") if ray is None else ray
        self._options = {"num_cpus": _RAY_CPUS, **options}
        self._remote: Any = self._ray.remote(**self._options)(_call)

    @property
    def width(self) -> int | None:
        """Tasks that the cluster carries out at a time as it is now; None while Ray does not run."""
        if not self._ray.is_initialized():
            return None
        each = self._options["num_cpus"] or 1
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) / each))

    def submit(self, fn: Callable[..., Value], /, *args: Any, **kwargs: Any) -> Future[Value]:
        """See concurrent.futures.Executor."""
        future = self._begun()
        reference = self._remote.remote(fn, args, kwargs)
        future.withdraw = partial(self._ray.cancel, reference)
        reference.future().add_done_callback(partial(_settle_ray, future))
        return future


def _settle_ray(future: ClusterFuture[Any], told: Future[Any]) -> None:
    if not future.cancelled():
        future.settle(told.result)


def _call(call: Callable[..., Value], arguments: tuple[Any, ...], options: dict[str, Any]) -> Value:
    return call(*arguments, **options)
