"""Keeps monthly reports in a bucket. Its tests, test_report.py, show how a program like this is tested."""

from __future__ import annotations

import json
from typing import Any

from s3func import S3Session
from s3func.errors import NotFound, PreconditionFailed

ATTEMPTS = 10


def load(session: S3Session, month: str) -> dict[str, Any]:
    """The report of a month, an empty one if there is none."""
    try:
        report: dict[str, Any] = json.loads(session.get_object(f"reports/{month}.json").data)
    except NotFound:
        return {}
    return report


def add(session: S3Session, month: str, name: str, amount: int) -> None:
    """Add to a report; what others add at the same time is not lost."""
    key = f"reports/{month}.json"
    for _ in range(ATTEMPTS):
        try:
            found = session.get_object(key)
            report, seen = json.loads(found.data), found.etag
        except NotFound:
            report, seen = {}, None
        report[name] = report.get(name, 0) + amount
        try:
            session.put_object(
                key,
                json.dumps(report),
                content_type="application/json",
                if_match=seen,
                if_none_match=None if seen else "*",
            )
        except PreconditionFailed:
            continue  # somebody was faster: once more, with what is there now
        return
    raise RuntimeError(f"the report of {month} is changed all the time")
