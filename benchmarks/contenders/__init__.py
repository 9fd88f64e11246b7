"""Who is measured: one file each, behind one small interface, so that everybody runs through the same loop.

Every method checks the answer itself or returns what the loop checks: the ETag of an upload, the bytes of a download,
the rows of a page. A peer is opened the way its documentation recommends, with connections kept alive and one client
for the whole process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast


@dataclass(frozen=True, slots=True)
class Target:
    """Where the sink is, and how many threads will call at once."""

    host: str
    port: int
    bucket: str
    connections: int

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"


ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
CHUNK = 1 << 20
"""Bytes asked for at a time in a streamed download, wherever a client lets its caller say."""


class Contender(Protocol):
    """What is asked of each client; those that cannot list say so in the ROSTER."""

    def put(self, key: str, body: bytes) -> str:
        """Store a small object; its ETag without quotes."""

    def get(self, key: str) -> int:
        """Fetch a small object whole; how many bytes came."""

    def head(self, key: str) -> int:
        """The object's size."""

    def list_page(self, prefix: str) -> tuple[int, int]:
        """Rows under the prefix and the sum of their sizes; every row's key, size and ETag are looked at."""

    def upload_memory(self, key: str, body: bytes) -> str:
        """Store one large object that is in memory; its ETag."""

    def upload_file(self, key: str, path: str) -> str:
        """Store one large file; its ETag."""

    def download(self, key: str) -> int:
        """Read one large object as a stream, throwing it away; how many bytes came."""

    def close(self) -> None:
        """Let go of the connections."""


class WrongAnswer(Exception):
    """A client came back with something else than the sink has; its speed means nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the tables."""

    name: str
    module: str
    """The file in this folder; its `open_contender(target, variant)` makes the client."""
    variant: str
    integrity: str
    """What is computed over the bytes of a small upload, over plain http to this machine."""
    bulk_integrity: str
    """The same for a large one."""
    lists: bool = True
    own_environment: bool = False
    import_line: str = ""
    """For the cold start: the import that a program begins with. Nothing where a cold start says nothing."""
    first_put: str = ""
    """For the cold start: what follows the import until one object is stored; {endpoint} and {bucket} are filled in."""


_KEYS = f"{ACCESS_KEY_ID!r}, {SECRET_ACCESS_KEY!r}"

ROSTER: tuple[Entry, ...] = (
    Entry(
        "s3func",
        "s3func_session",
        "",
        "SHA-256, CRC32",
        "CRC32",
        import_line="from s3func import S3Session",
        first_put=f"S3Session({_KEYS}, '{{bucket}}', '{{endpoint}}', '{REGION}').put_object('small/first', body)",
    ),
    Entry("s3func (SHA-256 instead of CRC32)", "s3func_session", "sha256", "SHA-256", "SHA-256"),
    Entry("raw socket", "raw_socket", "unsigned", "nothing", "nothing", lists=False),
    Entry("raw socket + SigV4 + CRC32", "raw_socket", "signed", "SHA-256, CRC32", "CRC32", lists=False),
    Entry("urllib3", "urllib3_pool", "", "nothing", "nothing", lists=False),
    Entry(
        "obstore",
        "obstore_store",
        "",
        "SHA-256",
        "SHA-256",
        import_line="import obstore\nfrom obstore.store import S3Store",
        first_put=(
            f"store = S3Store('{{bucket}}', endpoint='{{endpoint}}', region='{REGION}', "
            f"access_key_id={ACCESS_KEY_ID!r}, secret_access_key={SECRET_ACCESS_KEY!r}, "
            "virtual_hosted_style_request=False, client_options={{'allow_http': True}})\n"
            "obstore.put(store, 'small/first', body)"
        ),
    ),
    Entry("obstore (unsigned payload)", "obstore_store", "unsigned", "nothing", "nothing"),
    Entry(
        "minio-py",
        "minio_client",
        "",
        "SHA-256",
        "SHA-256",
        import_line="import io\nfrom minio import Minio",
        first_put=(
            f"client = Minio('{{address}}', {ACCESS_KEY_ID!r}, {SECRET_ACCESS_KEY!r}, secure=False, region='{REGION}')\n"
            "client.put_object('{bucket}', 'small/first', io.BytesIO(body), len(body))"
        ),
    ),
    Entry(
        "boto3",
        "boto3_client",
        "when_supported",
        "SHA-256, CRC32",
        "SHA-256, CRC32",
        import_line="import boto3\nfrom botocore.config import Config",
        first_put=(
            f"client = boto3.client('s3', region_name='{REGION}', endpoint_url='{{endpoint}}', "
            f"aws_access_key_id={ACCESS_KEY_ID!r}, aws_secret_access_key={SECRET_ACCESS_KEY!r}, "
            "config=Config(s3={{'addressing_style': 'path'}}))\n"
            "client.put_object(Bucket='{bucket}', Key='small/first', Body=body)"
        ),
    ),
    Entry("boto3 (checksums when required)", "boto3_client", "when_required", "SHA-256", "SHA-256"),
    Entry(
        "s3func 0.9.6 (seed)",
        "seed_session",
        "",
        "SHA-256",
        "SHA-256",
        own_environment=True,
        import_line="from s3func import S3Session",
        first_put=f"S3Session({_KEYS}, '{{bucket}}', '{{endpoint}}', '{REGION}').put_object('small/first', body)",
    ),
)
US = ROSTER[0].name


def entry_named(name: str) -> Entry:
    for entry in ROSTER:
        if entry.name == name:
            return entry
    raise ValueError(f"no contender is called {name!r}; there are: {', '.join(entry.name for entry in ROSTER)}")


def open_contender(name: str, target: Target) -> Contender:
    """Import the client and connect it; only in the process that measures it."""
    entry = entry_named(name)
    module = importlib.import_module(f"benchmarks.contenders.{entry.module}")
    opener = cast("Callable[[Target, str], Contender]", module.open_contender)
    return opener(target, entry.variant)
