"""Us, as a README reader would use us: a default session, its integrity checks on.

The variant `sha256` sends no CRC32, and then every body is signed with its SHA-256, as obstore and minio-py do it.
By default that is done for small bodies only, when plain http stays on this machine, as it does here.
"""

from __future__ import annotations

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY, Contender, Target
from s3func import S3Session


class S3FuncSession:
    """`S3Session`."""

    def __init__(self, target: Target, variant: str) -> None:
        self._session = S3Session(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            target.bucket,
            target.endpoint,
            REGION,
            max_connections=max(10, target.connections),
            checksum="off" if variant == "sha256" else "auto",
        )

    def put(self, key: str, body: bytes) -> str:
        return self._session.put_object(key, body).etag or ""

    def get(self, key: str) -> int:
        return len(self._session.get_object(key).data)

    def head(self, key: str) -> int:
        return self._session.head_object(key).size or 0

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for entry in self._session.list_objects(prefix=prefix):
            rows += 1
            total += entry.size if entry.key and entry.etag else 0
        return rows, total

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def upload_file(self, key: str, path: str) -> str:
        with open(path, "rb") as file:
            return self._session.put_object(key, file).etag or ""

    def download(self, key: str) -> int:
        with self._session.get_object(key) as result:
            return sum(len(chunk) for chunk in result.iter_chunks(CHUNK))

    def close(self) -> None:
        self._session.close()


def open_contender(target: Target, variant: str) -> Contender:
    return S3FuncSession(target, variant)
