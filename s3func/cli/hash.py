"""`s3func hash`: hashes of files, and what the store knows of objects, written so that they can be compared.

1. A file is read once, for all hashes; an object is not read, unless --read says so.
2. An ETag is a hash of the content only where the store says nothing against it: the MD5 of what was sent whole, or of
   the parts' MD5s and their number. For a file it is computed with the size of parts that the objects of the same command
   line were sent in, else with that of --part-size, else with that of this client.
3. Two ETags that differ say nothing (other parts, encryption); any other two that differ are two contents.
"""

from __future__ import annotations

import os
import sys
from base64 import b64decode
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from s3func.cli.report import shown
from s3func.cli.sync_options import say, with_options
from s3func.cli.teaching import complete_url
from s3func.cli.urls import (
    ACCESS,
    BLOCK,
    JSON,
    RAW,
    DataCommand,
    Stores,
    each,
    line,
    line_of_json,
    located,
    missing,
    nothing_there,
    objects_of,
)
from s3func.cli.values import byte_count
from s3func.errors import NotFound
from s3func.wire.checksum import ALGORITHMS, encode, hasher

if TYPE_CHECKING:
    from s3func.results import HeadResult
    from s3func.session import Session

ETAG = "etag"
_CHOICES = (*sorted(ALGORITHMS), ETAG)
_USUAL = ("md5", "sha256", ETAG)


class Row(NamedTuple):
    """The hashes of a file or an object. hashes: hexadecimal, by name."""

    name: str
    size: int | None
    hashes: dict[str, str]


@click.command(
    name="hash",
    cls=DataCommand,
    examples="""
    s3func hash report.pdf s3://my-bucket/report.pdf
    s3func hash --compare big.iso s3://my-bucket/big.iso && rm big.iso
    s3func hash -a sha256 's3://my-bucket/releases/*.whl'
    tar c photos | tee photos.tar | s3func hash -a crc64nvme -
    """,
)
@click.argument("names", metavar="FILE|URL|-...", nargs=-1, required=True, shell_complete=complete_url)
@click.option(
    "--algorithm",
    "-a",
    "algorithms",
    multiple=True,
    type=click.Choice(_CHOICES, case_sensitive=False),
    help="May be repeated. Without: of objects what is known; of files the same, or md5, sha256 and etag.",
)
@click.option("--compare", is_flag=True, help="Exit code 0 only if all have one content, by a hash that all have.")
@click.option("--read", "is_reading", is_flag=True, help="Read objects, as if they were files.")
@click.option("--part-size", callback=byte_count, metavar="SIZE", help="Of the ETag of files: bytes of a part, as 8M.")
@click.option("--base64", "is_base64", is_flag=True, help="As in S3's headers; ETags stay hexadecimal.")
@with_options(RAW, JSON, ACCESS)
def hash_(names: tuple[str, ...], algorithms: tuple[str, ...], **options: Any) -> int:
    """Show hashes of files, and what the store knows of objects: algorithm, value, name, with tabs between.

    Values are hexadecimal, so that those of a file and of an object can be compared. The ETag of an object that was sent
    in parts is computed for files with the size of its parts. Exit code 1 where nothing is there or nothing is known.
    """
    from s3func.connect import is_url

    is_compared = options.pop("compare")
    wanted = tuple(dict.fromkeys(map(str.lower, algorithms)))
    found: dict[str, list[Row]] = {}
    with Stores(options) as stores:
        remotes = [name for name in names if is_url(name)]
        parts = _Parts(options["part_size"])
        # Objects first: they say which hashes of the files can be compared.
        code = each(remotes, lambda url: _remote(stores, url, wanted, parts, options, found.setdefault(url, [])))
        known = [algorithm for rows in found.values() for row in rows for algorithm in row.hashes]
        of_files = wanted or tuple(dict.fromkeys(known)) or _USUAL
        local = [name for name in names if not is_url(name)]
        code = max(code, each(local, lambda path: _local(path, of_files, parts, found.setdefault(path, []))))
    rows = [row for name in dict.fromkeys(names) for row in found.get(name, [])]
    for row in rows:
        _show(row, options)
    return max(code, compared(rows)) if is_compared else code


class _Parts:
    """How large the parts of uploads are: as is said, as the objects tell, or as this client cuts."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._known: dict[int | None, int | None] = {}

    def learn(self, head: HeadResult) -> None:
        """Take in what an object tells of its parts."""
        from s3func.sync.compare import is_md5
        from s3func.sync.contents import PART_SIZE_KEY, part_sizes_of

        text = head.user_metadata.get(PART_SIZE_KEY, "")
        known = int(text) if text.isascii() and text.isdecimal() and len(text) < 14 else None
        if head.size is not None and is_md5(head.etag):
            self._known[head.size] = None
        elif head.size is not None and (sizes := part_sizes_of(head.etag, head.size, known or None)):
            self._known[head.size] = sizes[0]

    def of(self, size: int | None) -> int | None:
        """Of a file of so many bytes; None: it is sent whole."""
        from s3func.s3.upload_plan import part_size
        from s3func.transport.transfer import DEFAULT_TRANSFER

        if self._size is not None:
            return self._size if size is None or size > self._size else None
        if size in self._known:
            return self._known[size]
        if size is None or size < DEFAULT_TRANSFER.multipart_threshold:
            return None
        return part_size(size, DEFAULT_TRANSFER)


def _remote(
    stores: Stores, url: str, wanted: tuple[str, ...], parts: _Parts, options: dict[str, Any], rows: list[Row]
) -> int:
    place = located(url, needs_key=True)
    session = stores.session(place)
    code = 0
    for entry in objects_of(session, place.key, raw=options["raw"]):
        one = place._replace(key=entry.key)
        if options["is_reading"]:
            with session.get_object(entry.key) as body:
                parts.learn(body)  # type: ignore[arg-type]  # it has the same head
                rows.append(Row(one.url, body.size, _read(body, wanted or _USUAL, parts.of(body.size))))
            continue
        try:
            head, hashes = _known_hashes(session, entry.key)
        except NotFound:
            raise missing(session, one) from None
        parts.learn(head)
        chosen = {name: value for name, value in hashes.items() if not wanted or name in wanted}
        if not chosen:
            about = ", ".join(hashes) or "nothing"
            say(f"s3func: of {shown(one.url)} the store knows {about}; --read reads it")
            code = 1
        else:
            rows.append(Row(one.url, head.size, chosen))
    return code if code or rows else nothing_there(place)


def _known_hashes(session: Session, key: str) -> tuple[HeadResult, dict[str, str]]:
    """An object's head, and the hashes of its whole content that it tells."""
    from s3func.sync.compare import MULTIPART, is_md5
    from s3func.sync.contents import hashes_of, is_encrypted

    head = session.head_object(key)
    hashes: dict[str, str] = {}
    for name, value in hashes_of(head).items():
        if name in ALGORITHMS and name != "md5":
            hashes[name] = b64decode(value).hex()
        else:
            hashes[name.removeprefix("content-")] = value
    if head.etag and not is_encrypted(head) and (is_md5(head.etag) or MULTIPART.match(head.etag)):
        hashes[ETAG] = head.etag
        if is_md5(head.etag):
            hashes.setdefault("md5", head.etag)
    return head, hashes


def _local(path: str, wanted: tuple[str, ...], parts: _Parts, rows: list[Row]) -> int:
    if path == "-":
        rows.append(Row(path, None, _read(sys.stdin.buffer, wanted, parts.of(None))))
        return 0
    if os.path.isdir(path):
        raise click.UsageError(f"{path} is a folder; s3func check compares folders")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        rows.append(Row(path, size, _read(file, wanted, parts.of(size))))
    return 0


def _read(file: Any, wanted: tuple[str, ...], part_size: int | None) -> dict[str, str]:
    """Hashes of all that a file holds."""
    from s3func.sync.contents import EtagOfParts

    named = {name: hasher(name) for name in wanted if name != ETAG}
    parts = EtagOfParts(part_size) if ETAG in wanted and part_size is not None else None
    whole = hasher("md5") if ETAG in wanted and parts is None else None
    others: list[Any] = [each for each in (parts, whole) if each is not None]
    view = memoryview(bytearray(BLOCK))
    while count := file.readinto(view):
        for one in [*named.values(), *others]:
            one.update(view[:count])
    hashes = {name: one.digest().hex() for name, one in named.items()}
    if parts is not None:
        hashes[ETAG] = parts.etag()
    elif whole is not None:
        hashes[ETAG] = whole.digest().hex()
    return {name: hashes[name] for name in wanted}


def _show(row: Row, options: dict[str, Any]) -> None:
    hashes = {
        name: encode(bytes.fromhex(value)) if options["is_base64"] and name != ETAG else value
        for name, value in row.hashes.items()
    }
    if options["as_json"]:
        line_of_json({"name": row.name, "size": row.size} | {"hashes": hashes})
        return
    for name, value in hashes.items():
        line(f"{name}\t{value}\t{shown(row.name)}")


def compared(rows: list[Row]) -> int:
    """0 if all have one content, by a hash that all have; else 1, and it is said why."""
    if len(rows) < 2:
        raise click.UsageError("--compare needs two that are there")
    shared = [name for name in _CHOICES if all(name in row.hashes for row in rows)]
    same = {name for name in shared if len({row.hashes[name] for row in rows}) == 1}
    # What looks like an MD5 may be an ETag that is none.
    certain = set(shared) - {"md5", ETAG}
    if len({row.size for row in rows} - {None}) > 1 or certain - same or ("md5" in shared and not same):
        say("s3func: they differ")
        return 1
    if same:
        return 0
    say("s3func: no hash is known of all of them; --read reads the objects")
    return 1
