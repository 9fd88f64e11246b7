"""A process that makes others: each line of its input is a sync, which a forked child runs until it ends or is killed.

Forking spares the imports, which take longer than the sync itself. Answers: the child's number when it begins, its exit
code when it is over.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from s3func.s3 import S3Session
from s3func.sync.syncing import sync
from s3func.transport.transfer import TransferConfig

MIB = 1024 * 1024


def run(source: str, target: str, settings: dict[str, Any], options: dict[str, Any]) -> int:
    """One sync; its exit code."""
    with S3Session(bucket="bucket", **settings) as session:
        transfer = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=4)
        report = sync(source, target, session=session, transfer=transfer, **options)
        if not report.ok:
            sys.stderr.write(f"{report.row()}\n")
        return report.exit_code


def tell(number: int) -> None:
    """A line of the answer."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if not child:
            code = 99
            try:
                code = run(**call)
            except Exception:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        tell(child)
        _, status = os.waitpid(child, 0)
        tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
