from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import s3func
import s3func.testing
from s3func.errors import AccessDenied
from s3func.server import S3App, User, Users, create_s3_app, load_users
from s3func.server.users import parse_users
from tests.server.forge import Caller
from tests.server.people import ALT, MAIN

FILE = """
[main]
display_name = "M. Tester"
email = "Main@example.com"
access_key_id = "key-of-main"
secret_access_key = "secret-of-main"
tenant = ""

["56789abcdef0$x"]
access_key_id = "key-of-alt"
secret_access_key = "secret-of-alt"
"""


def test_a_file_of_users(tmp_path: Path) -> None:
    """Each table is a user whose id is the table's name; users are found by key, id and address."""
    file = tmp_path / "users.toml"
    file.write_text(FILE, "utf-8")
    users = load_users(file)
    assert ["main", "56789abcdef0$x"] == [user.canonical_id for user in users]
    assert 2 == len(users)
    main = users.with_key("key-of-main")
    assert main is not None
    assert main is users.with_id("main") is users.with_email("mAIN@example.com")
    assert ("M. Tester", "secret-of-main", "") == (main.display_name, main.secret_access_key, main.tenant)
    assert users.with_key("nobody") is users.with_id("nobody") is users.with_email("") is None
    assert ("main", "M. Tester") == users.owner("main")
    assert ("gone", "gone") == users.owner("gone")


BAD = {
    "no TOML": ("[main\n", "not valid TOML (at line 1"),
    "nobody": ("", "no user"),
    "no table": ('main = "x"', "'main' is not a table"),
    "no key": ('[main]\nsecret_access_key = "hidden"', "[main] has no access_key_id"),
    "no secret": ('[main]\naccess_key_id = "k"', "[main] has no secret_access_key"),
    "an empty secret": ('[main]\naccess_key_id = "k"\nsecret_access_key = ""', "[main] has no secret_access_key"),
    "a number": ('[main]\naccess_key_id = 1\nsecret_access_key = "hidden"', "[main] access_key_id is not a text"),
    "an unknown field": ('[main]\npassword = "hidden"', "[main] has an unknown field 'password'"),
    "a space in a key": ('[main]\naccess_key_id = "a b"\nsecret_access_key = "hidden"', "the access_key_id"),
    "a quote in an id": ("['a\"b']\naccess_key_id = 'k'\nsecret_access_key = 'hidden'", "the canonical id"),
    "one key twice": (
        '[a]\naccess_key_id = "k"\nsecret_access_key = "hidden"\n[b]\naccess_key_id = "k"\nsecret_access_key = "hidden"',
        "the access_key_id 'k' is given twice",
    ),
    "one address twice": (
        'a = {access_key_id="k", secret_access_key="x", email="A@b"}\nb = {access_key_id="l", secret_access_key="hidden", email="a@B"}',
        "the email 'a@b' is given twice",
    ),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named_without_its_secrets(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file and what is wrong in it, and holds nothing that was behind a secret's name."""
    file = tmp_path / "users.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError) as caught:
        load_users(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert "hidden" not in repr(caught.value) + repr(caught.value.__cause__)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused without being shown."""
    file = tmp_path / "users.toml"
    file.write_bytes(b"secret\xff")
    with pytest.raises(ValueError, match="it is not UTF-8") as caught:
        load_users(file)
    assert caught.value.__cause__ is None
    with pytest.raises(FileNotFoundError):
        load_users(tmp_path / "none")


def test_secrets_are_not_shown() -> None:
    """Neither a user nor a directory of users shows a secret."""
    users = parse_users(FILE)
    assert "secret-of" not in repr(users) + repr(list(users)) + str(users)
    assert MAIN == pickle.loads(pickle.dumps(MAIN))


def test_users_beside_the_single_pair() -> None:
    """With users, the pair is one more if it is given, and nobody knows the default one."""

    def signs(app: S3App, key_id: str, secret: str) -> bool:
        from s3func import S3Session

        with S3Session(key_id, secret, "bkt", transport=app) as session:
            try:
                session.list_buckets()
            except AccessDenied:
                return False
        return True

    alone = S3App(users=[MAIN])
    assert signs(alone, MAIN.access_key_id, MAIN.secret_access_key)
    assert not signs(alone, "test", "test")
    beside = S3App(users=Users([MAIN, ALT]), access_key_id="test", secret_access_key="test")
    assert signs(beside, "test", "test")
    assert signs(beside, ALT.access_key_id, ALT.secret_access_key)
    assert not signs(beside, MAIN.access_key_id, ALT.secret_access_key)
    assert signs(S3App(), "test", "test")
    assert create_s3_app(users=[MAIN]).app.may_block is False


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": [MAIN, MAIN]},
        {"users": [MAIN], "access_key_id": "key-of-main", "secret_access_key": "x"},
        {"users": [User("k", "s", "")]},
        {"users": [MAIN], "access_key_id": "half"},
    ],
)
def test_users_that_cannot_be(arguments: dict[str, Any]) -> None:
    """Two users with one key, a user without an id and half a pair are a ValueError."""
    with pytest.raises(ValueError):
        S3App(**arguments)


def test_each_user_owns_what_it_makes() -> None:
    """Buckets and objects show their own owner, ListBuckets only one's own, and another's bucket is closed."""
    with s3func.testing.server(users=[MAIN, ALT]) as server:
        pairs = {user.canonical_id: (user.access_key_id, user.secret_access_key) for user in (MAIN, ALT)}
        sessions = {
            name: server.session(f"b-{name}", access_key_id=key, secret_access_key=secret)
            for name, (key, secret) in pairs.items()
        }
        for name, session in sessions.items():
            session.put_object("key", b"x")
            assert [f"b-{name}"] == [bucket.name for bucket in session.list_buckets()]
            assert name == server.app.backend.get_bucket(f"b-{name}").owner
            assert name == server.app.backend.head_object(f"b-{name}", "key").owner
        with pytest.raises(AccessDenied):
            sessions["alt"].get_object("key", bucket="b-main")
        assert [] == server.session().list_buckets()


def test_no_auth_lets_everybody_do_everything(caller: Caller) -> None:
    """Without authentication a bucket of whoever it is can be used."""
    app = S3App(caller.app.backend, no_auth=True)
    with s3func.S3Session("a", "b", "bkt", transport=app) as session:
        session.put_object("key", b"x")
        assert b"x" == session.get_object("key").data
