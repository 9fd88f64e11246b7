"""What obstore (Rust's object_store) is asked to do with our server; an assertion is the exit status of the process."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

obstore: Any = importlib.import_module("obstore")
exceptions: Any = importlib.import_module("obstore.exceptions")
stores: Any = importlib.import_module("obstore.store")

MIB = 1024 * 1024
store: Any = stores.S3Store(
    os.environ["S3_BUCKET"],
    endpoint=os.environ["AWS_ENDPOINT_URL"],
    virtual_hosted_style_request=False,
    client_options={"allow_http": True},
    retry_config={"max_retries": 0},
)


def body_of(name: str, size: int = 1000) -> bytes:
    """Bytes that only this name has."""
    return hashlib.shake_128(name.encode()).digest(size)


def read(key: str) -> bytes:
    """A whole object."""
    return bytes(obstore.get(store, key).bytes())


def conditions() -> None:
    """mode="create" stores once; an update wants the ETag of what it replaces."""
    first = obstore.put(store, "key", b"1", mode="create")
    try:
        obstore.put(store, "key", b"2", mode="create")
    except exceptions.AlreadyExistsError:
        pass
    else:
        raise AssertionError("a second create was not refused")
    obstore.put(store, "key", b"3", mode={"e_tag": first["e_tag"]})
    try:
        obstore.put(store, "key", b"4", mode={"e_tag": first["e_tag"]})
    except exceptions.PreconditionError:
        pass
    else:
        raise AssertionError("an update of something else was not refused")
    assert b"3" == read("key")


def ranges() -> None:
    """One range, several at once and the end of an object are exact."""
    body = body_of("ranges", 200_000)
    obstore.put(store, "key", body)
    assert body[1000:1010] == bytes(obstore.get_range(store, "key", start=1000, end=1010))
    found = obstore.get_ranges(store, "key", starts=[0, 5000, 199_999], ends=[10, 9000, 200_000])
    assert [body[:10], body[5000:9000], body[-1:]] == [bytes(one) for one in found]
    assert body[-7:] == bytes(obstore.get(store, "key", options={"range": {"suffix": 7}}).bytes())


def transfers() -> None:
    """An upload in parts is whole, from a file and from a stream of unknown length; a copy and a rename keep it."""
    body = body_of("large", 20 * MIB)
    Path("up").write_bytes(body)
    obstore.put(store, "file/é +%", Path("up"), use_multipart=True, chunk_size=5 * MIB)
    assert body == read("file/é +%")
    obstore.put(store, "stream", (body[n : n + MIB] for n in range(0, len(body), MIB)), chunk_size=5 * MIB)
    assert body == read("stream")
    obstore.copy(store, "stream", "copy")
    obstore.rename(store, "copy", "renamed")
    assert body == read("renamed")
    assert ["file/é +%", "renamed", "stream"] == [row["path"] for page in obstore.list(store) for row in page]


def listings() -> None:
    """Listings of more than one page, from an offset on and by folder are complete; many are deleted in one call."""
    keys = sorted(f"dir {n % 3}/é+{n:04d}%&" for n in range(1005))
    for key in keys:
        obstore.put(store, key, b"x", use_multipart=False)
    assert keys == [row["path"] for page in obstore.list(store) for row in page]
    assert keys[501:] == [row["path"] for page in obstore.list(store, offset=keys[500]) for row in page]
    assert ["dir 0", "dir 1", "dir 2"] == list(obstore.list_with_delimiter(store)["common_prefixes"])
    obstore.delete(store, keys[:1004])
    assert keys[1004:] == [row["path"] for page in obstore.list(store) for row in page]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
