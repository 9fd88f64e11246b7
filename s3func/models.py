"""Results, as users see them: typed, slotted, and with the dict-style access of the README beside the attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Record:
    """A result with named fields: `obj.key`, `obj["key"]`, `"key" in obj`, `dict(obj)`, comparable, picklable."""

    __slots__: tuple[str, ...] = ()
    aliases: ClassVar[Mapping[str, str]] = _NOTHING

    def __getitem__(self, name: str) -> Any:
        name = self.aliases.get(name, name)
        if name in self.__slots__:
            return getattr(self, name)
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that are no field: the second names of fields (`content_length` for `size`).
        alias = type(self).aliases.get(name)
        if alias is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self, alias)

    def __contains__(self, name: object) -> bool:
        return name in self.__slots__ or name in self.aliases

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, so that `dict(obj)` works."""
        return self.__slots__

    def values(self) -> tuple[Any, ...]:
        """What the fields hold, in the order of `keys()`."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def items(self) -> tuple[tuple[str, Any], ...]:
        """Name and value of each field."""
        return tuple((name, getattr(self, name)) for name in self.__slots__)

    def __iter__(self) -> Iterator[Any]:
        # Like a dict, by its names. Without this, Python would try the numbers 0, 1, … as names.
        return iter(self.__slots__)

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or the default when there is no field of this name."""
        return self[name] if name in self else default

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__slots__[:3])))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name in self.__slots__ if (value := getattr(self, name)) is not None)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), tuple(getattr(self, name) for name in self.__slots__))


class ObjectEntry(Record):
    """One row of a listing: an object, one version of an object, or a delete marker.

    key: exact. size: bytes (`content_length` is its second name). etag: without quotes, opaque: not a hash in general.
    last_modified: aware, UTC (`upload_timestamp`). version_id, is_latest, delete_marker: from versions listings only.
    """

    __slots__ = (
        "key",
        "size",
        "etag",
        "last_modified",
        "storage_class",
        "version_id",
        "is_latest",
        "delete_marker",
        "owner",
    )
    aliases = MappingProxyType({"content_length": "size", "upload_timestamp": "last_modified"})

    key: str
    size: int
    etag: str
    last_modified: datetime | None
    storage_class: str | None
    version_id: str | None
    is_latest: bool | None
    delete_marker: bool
    owner: str | None

    def __init__(
        self,
        key: str,
        size: int = 0,
        etag: str = "",
        last_modified: datetime | None = None,
        storage_class: str | None = None,
        version_id: str | None = None,
        is_latest: bool | None = None,
        delete_marker: bool = False,
        owner: str | None = None,
    ) -> None:
        self.key = key
        self.size = size
        self.etag = etag
        self.last_modified = last_modified
        self.storage_class = storage_class
        self.version_id = version_id
        self.is_latest = is_latest
        self.delete_marker = delete_marker
        self.owner = owner


def named_rows(
    keys: Iterable[str | Mapping[str, str | None] | ObjectEntry],
) -> Iterator[tuple[object, object]]:
    """Key and version of each row that delete_objects was given, not yet checked; TypeError for what is no list of keys."""
    if isinstance(keys, str | bytes | Mapping | ObjectEntry):
        raise TypeError("keys must be a list of keys, not one key")
    if not isinstance(keys, Iterable):
        raise TypeError(f"keys must be an iterable of keys, not {type(keys).__name__}")
    for item in keys:
        if isinstance(item, ObjectEntry):
            yield item.key, item.version_id
        elif isinstance(item, Mapping):
            yield item.get("key", item.get("Key")), item.get("version_id", item.get("VersionId"))
        else:
            yield item, None


class ListPage(Record):
    """One page of a listing, as the store sent it.

    entries: ObjectEntry rows in the store's order. common_prefixes: what a delimiter folded. is_truncated: more follow.
    next_token: what to send for the next page (continuation-token, marker or key-marker).
    next_version_id: the second half of a versions listing's place.
    """

    __slots__ = ("entries", "common_prefixes", "is_truncated", "next_token", "next_version_id")

    entries: list[ObjectEntry]
    common_prefixes: list[str]
    is_truncated: bool
    next_token: str | None
    next_version_id: str | None

    def __init__(
        self,
        entries: list[ObjectEntry],
        common_prefixes: list[str],
        is_truncated: bool = False,
        next_token: str | None = None,
        next_version_id: str | None = None,
    ) -> None:
        self.entries = entries
        self.common_prefixes = common_prefixes
        self.is_truncated = is_truncated
        self.next_token = next_token
        self.next_version_id = next_version_id

    def __iter__(self) -> Iterator[ObjectEntry]:
        return iter(self.entries)


class BucketEntry(Record):
    """One bucket of list_buckets: its name, when it was made (aware, UTC), its region where the store tells."""

    __slots__ = ("name", "creation_date", "region")

    name: str
    creation_date: datetime | None
    region: str | None

    def __init__(self, name: str, creation_date: datetime | None = None, region: str | None = None) -> None:
        self.name = name
        self.creation_date = creation_date
        self.region = region


class Capabilities(NamedTuple):
    """What the stores behind a kind of session can do, as data: what is missing raises NotSupported before it is sent.

    conditional_writes: if_match and if_none_match on put, copy and delete. presigned_methods: what a URL may be made for.
    versions: "optional" (a bucket may keep them) or "always". part_size_min: bytes of every part but the last.
    checksums: what can be sent with an upload.
    """

    conditional_writes: bool = True
    conditional_reads: bool = True
    presigned_methods: frozenset[str] = frozenset({"DELETE", "GET", "HEAD", "POST", "PUT"})
    versions: str = "optional"
    bulk_delete: bool = True
    tags: bool = True
    acl: bool = True
    object_lock: bool = True
    part_size_min: int = 5 * 1024 * 1024
    checksums: frozenset[str] = frozenset({"crc32", "crc32c", "crc64nvme", "sha1", "sha256"})
