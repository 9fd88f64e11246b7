"""Who may use the server: their keys, names and canonical ids, and the TOML file that they are read from.

Rule 1: an access key, a canonical id and an e-mail address belong to one user only.
Rule 2: a secret is in no repr and in no error; what is wrong in a file is named by table and field.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from s3func.wire.s3xml_fields import Owner

_FIELDS = ("display_name", "email", "access_key_id", "secret_access_key", "tenant")
_REQUIRED = ("access_key_id", "secret_access_key")
# A key stands in a header, and an id in a list of grants, where a quote or a comma would end it.
_KEY = re.compile(r"[!-~]{1,256}")
_ID = re.compile(r"[!#-+\--~]{1,256}")
_SECRET = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,256}")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the server; `canonical_id` is the owner that buckets and objects show.

    tenant: the account that a policy may name instead of the user; "" for none.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    canonical_id: str
    display_name: str = ""
    email: str = ""
    tenant: str = ""


class Users:
    """The users of one server, in the order in which they were given; never changed."""

    def __init__(self, users: Iterable[User]) -> None:
        """ValueError for a user without keys or id, and for two that share a key, an id or an address."""
        self._by_key: dict[str, User] = {}
        self._by_id: dict[str, User] = {}
        self._by_email: dict[str, User] = {}
        for user in users:
            _check(user)
            for name, value, known in (
                ("access_key_id", user.access_key_id, self._by_key),
                ("canonical id", user.canonical_id, self._by_id),
                ("email", user.email.lower(), self._by_email),
            ):
                if value in known:
                    raise ValueError(f"users: the {name} {value!r} is given twice")
                if value:
                    known[value] = user

    def with_key(self, access_key_id: str) -> User | None:
        """Who signs with this key."""
        return self._by_key.get(access_key_id)

    def with_id(self, canonical_id: str) -> User | None:
        """Who has this canonical id."""
        return self._by_id.get(canonical_id)

    def with_email(self, email: str) -> User | None:
        """Who has this e-mail address."""
        return self._by_email.get(email.lower())

    def owner(self, canonical_id: str) -> Owner:
        """How an id is shown: with the name for people, where it is known."""
        user = self._by_id.get(canonical_id)
        return Owner(canonical_id, (user.display_name if user else "") or canonical_id)

    def __iter__(self) -> Iterator[User]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Users({', '.join(self._by_id)})"


def load_users(path: str | os.PathLike[str]) -> Users:
    """Read a TOML file of users: one table per user, whose name is the canonical id.

        [main]
        display_name = "M. Tester"
        email = "tester@example.com"
        access_key_id = "…"
        secret_access_key = "…"
        tenant = ""

    The keys are required. Raises OSError, and ValueError for what is no such file.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return parse_users(content.decode())
    except ValueError as error:
        # What a decoder was given is part of its error, and here that is a file full of secrets.
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ValueError(f"{os.fspath(path)}: {reason}") from None


def parse_users(text: str) -> Users:
    """The users in the text of such a file; ValueError otherwise."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at .*\)$", str(error))
        raise ValueError(f"not valid TOML {place[0] if place else ''}".rstrip()) from None
    users = [_user(name, table) for name, table in tables.items()]
    if not users:
        raise ValueError("there is no user in it")
    return Users(users)


def _user(name: str, table: Any) -> User:
    if not isinstance(table, dict):
        raise ValueError(f"{name!r} is not a table: every user is one, [{name}]")  # noqa: TRY004 -- of a file, not of a caller
    unknown = sorted(table.keys() - set(_FIELDS))
    if unknown:
        raise ValueError(f"[{name}] has an unknown field {unknown[0]!r}; there are {', '.join(_FIELDS)}")
    for each in _FIELDS:
        value = table.get(each, "")
        if not isinstance(value, str):
            raise ValueError(f"[{name}] {each} is not a text")  # noqa: TRY004 -- of a file, not of a caller
        if not value and each in _REQUIRED:
            raise ValueError(f"[{name}] has no {each}")
    return User(canonical_id=name, **table)


def _check(user: User) -> None:
    for name, value, form in (
        ("canonical id", user.canonical_id, _ID),
        ("access_key_id", user.access_key_id, _KEY),
        ("secret_access_key", user.secret_access_key, _SECRET),
        ("display_name", user.display_name, _TEXT),
        ("email", user.email, _TEXT),
        ("tenant", user.tenant, _TEXT),
    ):
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise ValueError(f"users: [{user.canonical_id}] the {name} is empty or holds what cannot stand in one")
