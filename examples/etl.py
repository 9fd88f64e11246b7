"""Extract, transform, load: gzipped CSV files to one table of sums. Usage: etl.py BUCKET PREFIX TARGET

The objects are read as streams, four at a time, and never are in memory or on the disk as a whole. The table appears when it
is complete; if anything goes wrong before, the one of yesterday stays.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from s3func import S3Session


def visits(session: S3Session, key: str) -> Counter[str]:
    """The visits of one file, by page."""
    found: Counter[str] = Counter()
    with session.get_object(key) as body, gzip.open(body, "rt", encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            found[row["page"]] += int(row["visits"])
    return found


def write(session: S3Session, key: str, totals: Counter[str]) -> None:
    """The table, as gzipped CSV."""
    with (
        session.open(key, "wb", content_type="text/csv", content_encoding="gzip") as target,
        gzip.open(target, "wb") as packed,
        io.TextIOWrapper(packed, "utf-8", newline="") as text,
    ):
        table = csv.writer(text)
        table.writerow(["page", "visits"])
        table.writerows(totals.most_common())


def main(bucket: str, prefix: str, target: str) -> None:
    """Sum up all files below the prefix."""
    with S3Session(bucket=bucket) as session, ThreadPoolExecutor(4) as pool:
        totals: Counter[str] = Counter()
        keys = [entry.key for entry in session.list_objects(prefix) if entry.key.endswith(".csv.gz")]
        for found in pool.map(lambda key: visits(session, key), keys):
            totals.update(found)
        write(session, target, totals)
    print(f"{len(keys)} files, {len(totals)} pages")


if __name__ == "__main__":
    main(*sys.argv[1:4])
