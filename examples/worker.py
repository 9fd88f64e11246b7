"""A worker: does the jobs below inbox/, as one of many on many machines. Usage: worker.py BUCKET

A job is done by one worker at a time. Its result is written before it is taken out of the inbox, so a worker that is killed
leaves the job to another one, as soon as its lease has ended; a result is never written by two.
"""

from __future__ import annotations

import os
import sys

from s3func import S3Session
from s3func.errors import LockLost, LockTimeout, NotFound, PreconditionFailed


def work(text: bytes) -> bytes:
    """What a job is about."""
    return text.upper()


def do(session: S3Session, key: str) -> bool:
    """Do one job, unless somebody else has it; whether it was done here."""
    name = key.removeprefix("inbox/")
    # Nobody is waited for: there are other jobs. After a crash the job is free again some 20 seconds later.
    with session.lock(f"locks/{name}", ttl=10, grace=5, timeout=0, fast=True) as lock:
        try:
            job = session.get_object(key)
        except NotFound:
            return False  # done since the listing
        result = work(job.data)
        lock.check()
        try:
            session.put_object(f"done/{name}", result, metadata={"worker": str(os.getpid())}, if_none_match="*")
        except PreconditionFailed:
            # Whoever wrote it was stopped before it could take the job out of the inbox.
            session.delete_object(key)
            return False
        session.delete_object(key)
        return True


def main(bucket: str) -> int:
    """Do what there is, and say how much that was."""
    count = 0
    with S3Session(bucket=bucket) as session:
        for job in session.list_objects("inbox/"):
            try:
                count += do(session, job.key)
            except LockTimeout:
                continue  # another worker has it
            except LockLost as error:
                print(f"{job.key}: {error}", file=sys.stderr)
    print(count)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
