"""s3func 0.9.6, the release on PyPI that this project grew from; it lives in an environment of its own."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY, Contender, Target, WrongAnswer

_s3func: Any = importlib.import_module("s3func")


class SeedSession:
    """The seed's `S3Session`, which returns refusals instead of raising them."""

    def __init__(self, target: Target) -> None:
        self._session = _s3func.S3Session(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            target.bucket,
            target.endpoint,
            REGION,
            max_pool_connections=max(10, target.connections),
        )

    def put(self, key: str, body: bytes) -> str:
        return str(_checked(self._session.put_object(key, body)).metadata["etag"]).strip('"')

    def get(self, key: str) -> int:
        answer = _checked(self._session.get_object(key))
        size = len(answer.stream.read())
        answer.stream.release_conn()
        return size

    def head(self, key: str) -> int:
        return int(_checked(self._session.head_object(key)).metadata["content_length"])

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for entry in self._session.list_objects(prefix=prefix).iter_objects():
            rows += 1
            total += entry["content_length"] if entry["key"] and entry["content_md5"] else 0
        return rows, total

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def upload_file(self, key: str, path: str) -> str:
        with open(path, "rb") as file:
            return str(_checked(self._session.put_object(key, file)).metadata["etag"]).strip('"')

    def download(self, key: str) -> int:
        stream = _checked(self._session.get_object(key)).stream
        total = sum(len(chunk) for chunk in stream.stream(CHUNK))
        stream.release_conn()
        return total

    def close(self) -> None:
        """Nothing to do: the session has no close."""


def _checked(answer: Any) -> Any:
    if answer.status // 100 != 2:
        raise WrongAnswer(f"{answer.status}: {answer.error}")
    return answer


def open_contender(target: Target, variant: str) -> Contender:
    return SeedSession(target)
