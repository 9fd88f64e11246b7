"""minio-py."""

from __future__ import annotations

import importlib
import io
from typing import Any

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY, Contender, Target

_minio: Any = importlib.import_module("minio")


class MinioClient:
    """`Minio`; its region is given, or it would ask for the bucket's location first."""

    def __init__(self, target: Target) -> None:
        self._bucket = target.bucket
        address = f"{target.host}:{target.port}"
        self._client = _minio.Minio(address, ACCESS_KEY_ID, SECRET_ACCESS_KEY, secure=False, region=REGION)

    def put(self, key: str, body: bytes) -> str:
        return str(self._client.put_object(self._bucket, key, io.BytesIO(body), len(body)).etag)

    def get(self, key: str) -> int:
        answer = self._client.get_object(self._bucket, key)
        try:
            return len(answer.data)
        finally:
            answer.close()
            answer.release_conn()

    def head(self, key: str) -> int:
        return int(self._client.stat_object(self._bucket, key).size)

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for entry in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
            rows += 1
            total += entry.size if entry.object_name and entry.etag else 0
        return rows, total

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def upload_file(self, key: str, path: str) -> str:
        return str(self._client.fput_object(self._bucket, key, path).etag)

    def download(self, key: str) -> int:
        answer = self._client.get_object(self._bucket, key)
        try:
            return sum(len(chunk) for chunk in answer.stream(CHUNK))
        finally:
            answer.close()
            answer.release_conn()

    def close(self) -> None:
        """Nothing to do: the client has no close."""


def open_contender(target: Target, variant: str) -> Contender:
    return MinioClient(target)
