"""What a name given to a mirror stands for: a path of this machine, or a place in a store and a path that stands for it.

1. The path is CACHE/STORE/BUCKET/KEY; STORE is the profile's local_name, "_" without one. A URL that names its own store,
   by an endpoint or by b2://, has another STORE than one that does not: two buckets of one name must not be one folder.
   The path lies below CACHE, always.
2. What the environment alone says of a store is in no name. So a folder remembers which store its bucket is in, in a file
   beside it, and does not become that of another one.
3. Two places overlap when one is the other or lies below it, in steps of whole names: data and data2 do not.
"""

from __future__ import annotations

import contextlib
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from s3func.connect import Location, is_url, parse
from s3func.errors import SafetyStop, UnsafeKey
from s3func.profiles import Profile, find_profile

NO_PROFILE = "_"


class Place(NamedTuple):
    """A prefix or an object of a store. store: the folder of its profile in the cache; profile: what connect() is given."""

    location: Location
    store: str
    profile: str | Profile | None

    @property
    def url(self) -> str:
        """The URL, without secrets."""
        return self.location.url

    @property
    def parts(self) -> tuple[str, ...]:
        """Where it is, from the store down to the last name."""
        key = self.location.key.strip("/")
        return (self.location.scheme, self.store, self.location.bucket, *(key.split("/") if key else ()))

    def below(self, cache: Path) -> Path:
        """The path that stands for it. UnsafeKey for a key that would lead out of its folder."""
        parts = self.parts[3:]
        for part in parts:
            if part in {"", ".", ".."} or "\0" in part or (os.name == "nt" and set(part) & set('\\:*?"<>|')):
                raise UnsafeKey(f"{self.url} has no path of its own: give local=")
        return cache.joinpath(self.store, self.location.bucket, *parts)

    def claim(self, cache: Path, endpoint: str) -> None:
        """Have the bucket's folder in the cache stand for the store at `endpoint`. SafetyStop if it does for another one."""
        # No bucket's name begins with a dot.
        mark = cache / self.store / f".{self.location.bucket}.store"
        mark.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), mark.open("x", encoding="utf-8") as file:
            file.write(endpoint)
        known = mark.read_text("utf-8") or endpoint
        if known != endpoint:
            folder = mark.parent / self.location.bucket
            raise SafetyStop(
                f"{folder} holds what bucket {self.location.bucket!r} has at {known}, and this is the one at {endpoint}: "
                f"give a profile or local=, or delete that folder and {mark.name} beside it"
            )


def place_of(remote: object, profile: str | Profile | None, default: str | Profile | None) -> Place | Path:
    """A place, or the path itself for what is no URL. The profile of the URL goes before `profile`, that before `default`."""
    if not is_url(remote):
        if not isinstance(remote, str | os.PathLike):
            raise TypeError(f"remote must be a URL or a path, not {type(remote).__name__}")
        return Path(remote).expanduser()
    location = parse(str(remote))
    if not location.bucket:
        raise ValueError("remote has no bucket")
    chosen = next((name for name in (location.profile, profile, default) if name is not None), None)
    known = find_profile(chosen) if isinstance(chosen, str) else chosen
    store = NO_PROFILE if chosen is None else known.local_name if known is not None else _folder(str(chosen))
    if location.endpoint_url is not None:
        store = f"{store}.{sha256(location.endpoint_url.encode()).hexdigest()[:16]}"
    if location.scheme != "s3":
        # No profile's folder has a dot in its name.
        store = f"{store}.{location.scheme}"
    return Place(location, store, chosen)


def _folder(profile: str) -> str:
    """The folder of a profile of ~/.aws, whose name may be any text."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", profile) and profile != NO_PROFILE:
        return profile
    return f"profile-{sha256(profile.encode()).hexdigest()[:16]}"


def overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one is the other, or lies below it."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
