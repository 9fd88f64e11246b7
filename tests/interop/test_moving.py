"""docs/moving-from-*.md: each row of their tables is carried out, theirs and ours, and must come to the same.

Both columns begin with the same bucket and the same folder. Afterwards the store, as the server sees it, the folder, and
the values, where both are plain, have to be equal. Rows about errors name what is raised, on both sides.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from s3func import S3Session
from s3func.testing import server
from tests.documents import read
from tests.interop.clients import CALLS, PROGRAMS
from tests.interop.servers import present

BUCKET = "my-bucket"
OBJECTS = {"data.csv": b"a,b\n1,2\n", "logs/1": b"one", "logs/2": b"two", "logs/old/3": b"three"}
FILES = {"report.pdf": b"%PDF-1.7", "big.bin": bytes(range(256)) * 40_000, "site/index.html": b"<h1>"}
OURS = f"""
import io, json
from datetime import timedelta
import s3func
from s3func import S3Session, Timeouts, TransferConfig
from s3func.filesystem import S3FileSystem
session = S3Session(bucket={BUCKET!r})
fs = S3FileSystem()
"""
THEIRS = {
    "boto3": """
import io, json, os
import boto3, botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
s3 = boto3.client("s3")
""",
    "minio": """
import io, json, os
from datetime import timedelta
from minio import Minio
from minio.commonconfig import CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.versioningconfig import VersioningConfig
client = Minio(os.environ["S3_ADDRESS"], os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], secure=False)
""",
    "s3fs": """
import io, json, os
import s3fs
fs = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
""",
}
# Theirs guess a type or name another default; docs/moving-from-*.md says so.
DEFAULT_TYPES = {None, "", "binary/octet-stream", "application/octet-stream"}
_CELL = re.compile(r"`([^`]+)`")


class Row(NamedTuple):
    """A row of a table: the heading above it, code of theirs, code of ours, and what either raises ("" for nothing)."""

    line: int
    theirs: str
    ours: str
    their_error: str = ""
    our_error: str = ""


def rows(document: str) -> list[Row]:
    """The rows whose cells are code: two of code, or four, of code and errors in turn."""
    found = []
    for number, line in enumerate(read(document).splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| `") else []
        code = [match[1] if (match := _CELL.fullmatch(cell)) else "" for cell in cells]
        if len(cells) == 2 and all(code):
            found.append(Row(number, code[0], code[1]))
        elif len(cells) == 4 and code[0] and code[2]:
            found.append(Row(number, code[0], code[2], cells[1], cells[3]))
    return found


class Column:
    """An interpreter that does what one column says, on a server and in a folder of its own."""

    def __init__(self, python: Path, setup: str, folder: Path, home: Path) -> None:
        self.server = server()
        self.folder = folder
        self._program = subprocess.Popen(
            [python, "-W", "ignore", CALLS / "columns.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=self._environment(home),
        )
        try:
            said = self.ask(setup)
            assert "error" not in said, said
        except BaseException:
            self.stop()
            raise

    def _environment(self, home: Path) -> dict[str, str]:
        return {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key,
            "AWS_DEFAULT_REGION": self.server.region,
            "AWS_ENDPOINT_URL": self.server.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ADDRESS": self.server.endpoint_url.removeprefix("http://"),
        }

    def ask(self, code: str) -> dict[str, Any]:
        """What came of some code."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(code) + "\n")
        self._program.stdin.flush()
        answer: dict[str, Any] = json.loads(self._program.stdout.readline())
        return answer

    def begin(self) -> None:
        """The bucket and the folder that every row begins with."""
        for entry in self.server.app.backend.list_buckets():
            self.server.remove_bucket(entry.name)
        with self.server.session(BUCKET) as session:
            for key, body in OBJECTS.items():
                session.put_object(key, body, content_type="text/plain", metadata={"source": "x"})
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name, body in FILES.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(body)

    def stored(self, *, types: bool) -> dict[str, Any]:
        """All that is in the store, and what each object says of itself."""
        found: dict[str, Any] = {}
        for entry in self.server.app.backend.list_buckets():
            session = S3Session(bucket=entry.name, **self.server.settings)
            with session:
                uploads = [upload.key for upload in session.list_multipart_uploads()]
                found[entry.name] = [session.get_bucket_versioning(), uploads]
                for row in session.list_object_versions():
                    if row.delete_marker:
                        found[entry.name].append((row.key, None))
                        continue
                    with session.get_object(row.key, row.version_id) as result:
                        kind = result.content_type if types and result.content_type not in DEFAULT_TYPES else None
                        told = (kind, result.headers.get("cache-control"), result.headers.get("content-disposition"))
                        tags = session.get_object_tagging(row.key, version_id=row.version_id)
                        found[entry.name].append((row.key, result.data, result.user_metadata, told, tags))
        return found

    def files(self) -> dict[str, bytes]:
        """What is in the folder."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def stop(self) -> None:
        """End the interpreter and the server."""
        with self._program:
            if self._program.stdin is not None:
                self._program.stdin.close()
        self.server.stop()


def columns(name: str, folder: Path) -> Iterator[tuple[Column, Column]]:
    """Theirs and ours."""
    python = Path(sys.executable) if name == "boto3" else present(PROGRAMS[name].path)
    made: list[Column] = []
    try:
        for side, program, setup in (("theirs", python, THEIRS[name]), ("ours", Path(sys.executable), OURS)):
            (folder / side).mkdir()
            made.append(Column(program, setup, folder / side, folder))
        yield made[0], made[1]
    finally:
        for column in made:
            column.stop()


def difference(row: Row, theirs: Column, ours: Column, *, types: bool) -> tuple[str, bool]:
    """What is different after both have done what a row says, "" for nothing; and whether values could be compared."""
    answers = []
    for column, code in ((theirs, row.theirs), (ours, row.ours)):
        column.begin()
        answers.append(column.ask(code))
    for answer, expected, who in zip(answers, (row.their_error, row.our_error), ("theirs", "ours"), strict=True):
        if reason := unexpected(answer, expected):
            return f"{who}: {reason}", False
    if row.their_error:
        return "", True
    if theirs.stored(types=types) != ours.stored(types=types):
        return f"in the store: {theirs.stored(types=types)} {ours.stored(types=types)}", False
    if theirs.files() != ours.files():
        return f"in the folder: {sorted(theirs.files())} {sorted(ours.files())}", False
    values = [answer["value"] for answer in answers]
    if "?" in values:
        return "", False
    return "" if values[0] == values[1] else f"{values[0]!r} {values[1]!r}", True


def unexpected(answer: dict[str, Any], expected: str) -> str:
    """What is not as a cell says: the class of an error, and behind it its code; or any error where it says nothing."""
    if "error" not in answer:
        return "" if expected in {"", "nothing"} else f"no error, but {answer}"
    kind, code = ([*_CELL.findall(expected), ""])[0], re.sub(r"`[^`]*`,? ?", "", expected).strip()
    fits = kind in answer["error"] and (not code or code == answer["code"])
    return "" if fits else f"{answer}"


def check(name: str, folder: Path, *, compared: int, types: bool = True) -> None:
    """Every row of a document holds; in so many of them, at least, values or errors were compared."""
    document = f"docs/moving-from-{name}.md"
    wrong, count = [], 0
    for theirs, ours in columns(name, folder):
        for row in rows(document):
            reason, is_compared = difference(row, theirs, ours, types=types)
            count += is_compared
            if reason:
                wrong.append(f"{document}:{row.line}: {row.theirs} | {row.ours}: {reason}")
    assert [] == wrong
    assert count >= compared


def test_moving_from_boto3(tmp_path: Path) -> None:
    """What docs/moving-from-boto3.md says side by side does the same."""
    check("boto3", tmp_path, compared=20)


@pytest.mark.interop
def test_moving_from_minio(tmp_path: Path) -> None:
    """What docs/moving-from-minio.md says side by side does the same."""
    check("minio", tmp_path, compared=15)


@pytest.mark.interop
def test_moving_from_s3fs(tmp_path: Path) -> None:
    """What docs/moving-from-s3fs.md says side by side does the same; s3fs guesses types, and we do not."""
    check("s3fs", tmp_path, compared=15, types=False)


def test_a_row_that_is_wrong_is_seen(tmp_path: Path) -> None:
    """Another value, another object, another file, an error that nobody named or none where one was: each is noticed."""
    right = Row(
        1, 's3.get_object(Bucket="my-bucket", Key="logs/1")["Body"].read()', 'session.get_object("logs/1").data'
    )
    cases = [
        right._replace(ours='session.get_object("logs/2").data'),
        right._replace(ours='session.put_object("x", b"")'),
        right._replace(ours='open("x", "w").close()'),
        right._replace(ours='session.get_object("none").data'),
        right._replace(their_error="`ClientError`", our_error="nothing"),
        Row(
            1,
            's3.get_object(Bucket="my-bucket", Key="no")',
            'session.get_object("no")',
            "`ClientError` NoSuchBucket",
            "`NotFound`",
        ),
    ]
    for theirs, ours in columns("boto3", tmp_path):
        assert ("", True) == difference(right, theirs, ours, types=True)
        for case in cases:
            assert difference(case, theirs, ours, types=True)[0], case
