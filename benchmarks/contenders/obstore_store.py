"""obstore: the Rust crate object_store, bound to Python."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY, Contender, Target

# Peers are imported by name: mypy also runs where the group "benchmarks" is not installed.
obstore: Any = importlib.import_module("obstore")
_stores: Any = importlib.import_module("obstore.store")


class ObstoreStore:
    """`S3Store` and obstore's functions."""

    def __init__(self, target: Target, variant: str) -> None:
        options: dict[str, Any] = {"unsigned_payload": True} if variant == "unsigned" else {}
        self._store = _stores.S3Store(
            target.bucket,
            endpoint=target.endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **options,
        )

    def put(self, key: str, body: bytes) -> str:
        return str(obstore.put(self._store, key, body)["e_tag"]).strip('"')

    def get(self, key: str) -> int:
        return len(obstore.get(self._store, key).bytes())

    def head(self, key: str) -> int:
        return int(obstore.head(self._store, key)["size"])

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
            for entry in page:
                rows += 1
                total += entry["size"] if entry["path"] and entry["e_tag"] else 0
        return rows, total

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def upload_file(self, key: str, path: str) -> str:
        return str(obstore.put(self._store, key, Path(path))["e_tag"]).strip('"')

    def download(self, key: str) -> int:
        return sum(len(chunk) for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK))

    def close(self) -> None:
        """Nothing to do: the store has no close."""


def open_contender(target: Target, variant: str) -> Contender:
    return ObstoreStore(target, variant)
