"""download_file: an object into a file, in parallel where it is large, complete and compared or not there at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.download.result import DownloadResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.download.source import Store
    from s3func.download.target import Destination
    from s3func.transport.transfer import Progress, TransferConfig

__all__ = ["DownloadResult", "download_file"]


def download_file(
    store: Store,
    key: str,
    path: Destination,
    *,
    version_id: str | None,
    resume: bool,
    fsync: bool,
    transfer: TransferConfig | None,
    progress: Progress | None,
    compare: bool,
    conditions: Mapping[str, Any],
    headers: Mapping[str, str] | None,
    bucket: str | None,
) -> DownloadResult:
    """See Session.download_file."""
    from s3func.download.engine import Download
    from s3func.download.journal import PartTarget
    from s3func.download.source import ObjectSource
    from s3func.download.target import PathTarget, target_of
    from s3func.transport.transfer import DEFAULT_TRANSFER, ProgressCount, checked_transfer

    count = ProgressCount(progress, None)
    settings = checked_transfer(DEFAULT_TRANSFER if transfer is None else transfer)
    source = ObjectSource(store, key, version_id, bucket, conditions, {} if headers is None else headers)
    target = target_of(path)
    if resume:
        if not isinstance(target, PathTarget):
            target.discard()
            raise ValueError("resume needs a path of a regular file: nothing else is there for a later call")
        target = PartTarget(target.path, source.name)
    return Download(source, target, settings, count, compare=compare).run(fsync=fsync)
