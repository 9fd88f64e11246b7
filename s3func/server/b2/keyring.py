"""Application keys, and the ring on which a store keeps those that were created.

Rule 1: of a secret that was made here only a hash is kept, in memory and in the store; it is told once.
Rule 2: without a store that remembers (`powers.Remembering`), the ring lasts as long as the server.
https://www.backblaze.com/docs/cloud-storage-application-keys
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from s3func.server.b2.refusals import refuse
from s3func.server.powers import Remembering
from s3func.server.users import User, Users

_DOCUMENT = "b2-application-keys"
CAPABILITIES = (
    *("listKeys", "writeKeys", "deleteKeys", "listBuckets", "listAllBucketNames", "readBuckets", "writeBuckets"),
    *("deleteBuckets", "readBucketEncryption", "writeBucketEncryption", "readBucketRetentions"),
    *("writeBucketRetentions", "readBucketReplications", "writeBucketReplications", "readBucketNotifications"),
    *("writeBucketNotifications", "listFiles", "readFiles", "shareFiles", "writeFiles", "deleteFiles"),
    *("readFileRetentions", "writeFileRetentions", "readFileLegalHolds", "writeFileLegalHolds", "bypassGovernance"),
)
"""What a master key may do."""


@dataclass(frozen=True, slots=True)
class Key:
    """An application key. digest: see `digest_of`. bucket_ids: None for all. prefix: None for all. expires: in milliseconds."""

    id: str
    digest: bytes = field(repr=False)
    user: User
    name: str = "master"
    capabilities: tuple[str, ...] = CAPABILITIES
    bucket_ids: tuple[str, ...] | None = None
    prefix: str | None = None
    expires: int | None = None

    @property
    def account_id(self) -> str:
        """The account of the user: twelve digits."""
        return hashlib.sha256(self.user.canonical_id.encode()).hexdigest()[:12]

    def may(self, capability: str, bucket_id: str | None = None) -> bool:
        """Whether the key has a capability, in this bucket if it is about one."""
        if bucket_id is not None and self.bucket_ids is not None and bucket_id not in self.bucket_ids:
            return False
        return capability in self.capabilities

    def demand(self, capability: str, bucket_id: str | None = None, name: str | None = None) -> None:
        """Raise `unauthorized` unless the key may do this, in this bucket, to what begins with this name."""
        if not self.may(capability, bucket_id):
            raise refuse("unauthorized", f"The key lacks {capability} for this.")
        if name is not None and self.prefix is not None and not name.startswith(self.prefix):
            raise refuse("unauthorized", "The key is restricted to another prefix.")


def digest_of(secret: str) -> bytes:
    """What is kept of a secret: those of application keys are random and long, so that no salt has to slow anybody."""
    return hashlib.sha256(secret.encode()).digest()


class KeyRing:
    """The keys that were created, by their ids; whoever uses it has a lock."""

    def __init__(self, backend: object, users: Users) -> None:
        """Take over what the store remembers; keys of users that this server does not have are kept for another start."""
        self._store = backend if isinstance(backend, Remembering) else None
        self._keys: dict[str, Key] = {}
        self._strangers: list[dict[str, Any]] = []
        known = {user.canonical_id: user for user in users}
        kept = None if self._store is None else self._store.recall(_DOCUMENT)
        for row in json.loads(kept or "[]"):
            user = known.get(row["user"])
            if user is None:
                self._strangers.append(row)
            else:
                self._keys[row["id"]] = _key_of(row, user)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def get(self, key_id: str) -> Key | None:
        """The key of an id."""
        return self._keys.get(key_id)

    def add(self, key: Key) -> None:
        """Put a key on the ring."""
        self._keep([*self, key])
        self._keys[key.id] = key

    def remove(self, key: Key) -> None:
        """Take it off."""
        self._keep(each for each in self if each is not key)
        del self._keys[key.id]

    def _keep(self, keys: Iterable[Key]) -> None:
        # Before the ring changes: what the store could not keep has not happened.
        if self._store is not None:
            self._store.remember(_DOCUMENT, json.dumps([*self._strangers, *map(_row_of, keys)]))


def _row_of(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "digest": key.digest.hex(),
        "user": key.user.canonical_id,
        "name": key.name,
        "capabilities": key.capabilities,
        "bucket_ids": key.bucket_ids,
        "prefix": key.prefix,
        "expires": key.expires,
    }


def _key_of(row: dict[str, Any], user: User) -> Key:
    bucket_ids = row["bucket_ids"]
    return Key(
        row["id"],
        bytes.fromhex(row["digest"]),
        user,
        row["name"],
        tuple(row["capabilities"]),
        None if bucket_ids is None else tuple(bucket_ids),
        row["prefix"],
        row["expires"],
    )
