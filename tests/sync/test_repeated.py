"""A step that is carried out twice, as a cluster does that has lost a worker: done both times; what is another's stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.sync.applying import apply
from s3func.sync.local import LocalTree
from s3func.sync.operation import Operation, Side
from s3func.sync.remote import RemotePrefix
from s3func.sync.report import Report
from s3func.transport.transfer import TransferConfig
from tests.sync.hand_made import HandMade, download, side_of_object, upload
from tests.sync.sides import Sides

MIB = 1024 * 1024
SMALL, LARGE, PARTS = b"small", os.urandom(2 * MIB), os.urandom(6 * MIB)
TRANSFER = TransferConfig(multipart_threshold=5 * MIB, part_size=5 * MIB, concurrency=2)
CONTENTS = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large"), pytest.param(PARTS, id="parts")]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def carry_out(source: LocalTree | RemotePrefix, target: LocalTree | RemotePrefix, step: Operation) -> Report:
    """One step as a plan of its own."""
    return apply(HandMade(source, target, [step]), transfer=TRANSFER)


def other(content: bytes) -> bytes:
    """As long, and something else."""
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize("store", ["s3", "b2"])
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("is_replaced", [False, True])
def test_upload_twice(tmp_path: Path, store: str, content: bytes, is_replaced: bool) -> None:
    """The second upload under the same condition is done, and the object is the one of the file."""
    sides = Sides(tmp_path, store=store)
    sides.write("f", content)
    before = None
    if is_replaced:
        sides.put("f", b"before")
        before = side_of_object(sides.remote, "f")
    step = upload(sides.tree, "f", before)
    assert [(1, True), (1, True)] == [
        (report.uploaded, report.ok) for report in (carry_out(sides.tree, sides.remote, step) for _ in range(2))
    ]
    assert content == sides.session.get_object("p/f").data


@pytest.mark.parametrize("content", CONTENTS)
def test_upload_meets_another(sides: Sides, content: bytes) -> None:
    """What somebody else has put there meanwhile is a conflict, however much it looks like the file."""
    sides.write("f", content)
    step = upload(sides.tree, "f")
    sides.put("f", other(content), transfer=TRANSFER)
    assert (0, 1) == ((report := carry_out(sides.tree, sides.remote, step)).uploaded, report.conflicting)
    assert other(content) == sides.session.get_object("p/f").data


@pytest.mark.parametrize("store", ["s3", "b2"])
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("is_replaced", [False, True])
def test_download_twice(tmp_path: Path, store: str, content: bytes, is_replaced: bool) -> None:
    """The second download on the same precondition is done, and leaves the file of the first one."""
    sides = Sides(tmp_path, store=store)
    sides.put("f", content, transfer=TRANSFER)
    before = None
    if is_replaced:
        path = sides.write("f", b"before")
        found = path.stat()
        before = Side(found.st_size, found.st_mtime_ns, None, found.st_ino, found.st_dev, found.st_mode)
    step = download(sides.remote, "f", before)
    assert carry_out(sides.remote, sides.tree, step).ok
    inode = (sides.root / "f").stat().st_ino
    report = carry_out(sides.remote, sides.tree, step)
    assert (1, True) == (report.downloaded, report.ok), report
    assert (content, inode) == ((sides.root / "f").read_bytes(), (sides.root / "f").stat().st_ino)


@pytest.mark.parametrize("content", CONTENTS)
def test_download_meets_another(sides: Sides, content: bytes) -> None:
    """A file that has appeared meanwhile with something else in it is a conflict, and stays."""
    sides.put("f", content, transfer=TRANSFER)
    step = download(sides.remote, "f")
    sides.write("f", other(content))
    assert 1 == carry_out(sides.remote, sides.tree, step).conflicting
    assert other(content) == (sides.root / "f").read_bytes()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[RemotePrefix]:
    """A prefix of another store, so that copies have to come through here."""
    sides = Sides(tmp_path / "elsewhere", bucket="other")
    yield sides.remote
    sides.session.close()


@pytest.mark.parametrize("etag", ["", "1", "5d41402abc4b2a76b9719d911017c59z"])
def test_copy_meets_an_object_whose_etag_says_nothing(
    sides: Sides, elsewhere: RemotePrefix, monkeypatch: pytest.MonkeyPatch, etag: str
) -> None:
    """Two objects of one size whose ETags are equal, and no hashes, are not taken for the same: somebody else's stays."""
    sides.put("f", LARGE)
    step = Operation("copy", "f", len(LARGE), "new", side_of_object(sides.remote, "f"))
    session = elsewhere.session
    assert isinstance(session, S3Session)
    session.put_object(elsewhere.key("f"), other(LARGE))
    for each in (sides.session, session):

        def head_object(*arguments: Any, head: Any = each.head_object, **options: Any) -> Any:
            result = head(*arguments, **options)
            result.headers["etag"] = f'"{etag}"'
            for name in [name for name in result.headers if "checksum" in name]:
                del result.headers[name]
            return result

        monkeypatch.setattr(each, "head_object", head_object)
    assert 1 == carry_out(sides.remote, elsewhere, step).conflicting
    assert other(LARGE) == session.get_object(elsewhere.key("f")).data


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("is_one_store", [True, False])
def test_copy_twice(sides: Sides, elsewhere: RemotePrefix, content: bytes, is_one_store: bool) -> None:
    """The second copy is done, inside of a store and from one to another; another object in its place is a conflict."""
    target = RemotePrefix(sides.session, sides.remote.bucket, "copies") if is_one_store else elsewhere
    sides.put("f", content, transfer=TRANSFER)
    step = Operation("copy", "f", len(content), "new", side_of_object(sides.remote, "f"))
    reports = [carry_out(sides.remote, target, step) for _ in range(2)]
    assert [(1, 0), (1, 0)] == [(report.copied, report.conflicting) for report in reports]
    session = target.session
    assert isinstance(session, S3Session)
    assert content == session.get_object(target.key("f")).data
    session.put_object(target.key("f"), other(content))
    assert 1 == carry_out(sides.remote, target, step).conflicting
