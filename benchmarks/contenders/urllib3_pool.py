"""Bare urllib3: its pool, given heads that were signed before the clock started."""

from __future__ import annotations

import os

import urllib3

from benchmarks.contenders import CHUNK, Contender, Target, WrongAnswer
from benchmarks.contenders.signing import Signer


class Urllib3Pool:
    """`HTTPConnectionPool.urlopen`."""

    def __init__(self, target: Target) -> None:
        self._bucket = target.bucket
        self._pool = urllib3.HTTPConnectionPool(
            target.host, target.port, maxsize=max(10, target.connections), block=True, timeout=60
        )
        lines = Signer(f"{target.host}:{target.port}").header_lines("GET", f"/{target.bucket}/x")
        self._headers = dict(line.split(": ", 1) for line in lines.splitlines() if not line.startswith("host:"))

    def put(self, key: str, body: bytes) -> str:
        return self._upload(key, body, self._headers)

    def get(self, key: str) -> int:
        return len(self._checked(self._pool.urlopen("GET", f"/{self._bucket}/{key}", headers=self._headers)).data)

    def head(self, key: str) -> int:
        answer = self._checked(self._pool.urlopen("HEAD", f"/{self._bucket}/{key}", headers=self._headers))
        return int(answer.headers["content-length"])

    def list_page(self, prefix: str) -> tuple[int, int]:
        raise NotImplementedError

    def upload_memory(self, key: str, body: bytes) -> str:
        return self._upload(key, body, self._headers)

    def upload_file(self, key: str, path: str) -> str:
        headers = {**self._headers, "content-length": str(os.path.getsize(path))}
        with open(path, "rb") as file:
            return self._upload(key, file, headers)

    def download(self, key: str) -> int:
        path = f"/{self._bucket}/{key}"
        answer = self._checked(self._pool.urlopen("GET", path, headers=self._headers, preload_content=False))
        total = sum(len(chunk) for chunk in answer.stream(CHUNK))
        answer.release_conn()
        return total

    def close(self) -> None:
        self._pool.close()

    def _upload(self, key: str, body: object, headers: dict[str, str]) -> str:
        answer = self._checked(self._pool.urlopen("PUT", f"/{self._bucket}/{key}", body=body, headers=headers))  # type: ignore[arg-type]
        return answer.headers["etag"].strip('"')

    @staticmethod
    def _checked(answer: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        if answer.status != 200:
            raise WrongAnswer(f"{answer.status}: {answer.data[:200]!r}")
        return answer


def open_contender(target: Target, variant: str) -> Contender:
    return Urllib3Pool(target)
