"""Profiles: what a name stands for, from code and from files, and that their secrets stay where they are."""

from __future__ import annotations

import pickle
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from s3func.errors import CredentialsError
from s3func.profiles import Profile, find_profile, register_profile
from s3func.s3.credentials import Credentials

NUMBERS = count()
ENDPOINT = "http://localhost:9000"


@pytest.fixture
def name() -> str:
    """A name that no other test has registered."""
    return f"profile-{next(NUMBERS)}"


def test_what_is_registered_is_found(name: str) -> None:
    """The profile is what was registered; its folder is called like it unless told otherwise."""
    made = register_profile(name, ENDPOINT, public=True, region="eu-west-1")
    assert Profile(name, ENDPOINT, public=True, region="eu-west-1") == made
    assert made == find_profile(name)
    assert find_profile(f"{name}-other") is None


def test_registering_again_must_be_the_same(name: str) -> None:
    """The same twice is nothing new; another store under the same name is a ValueError without secrets."""
    register_profile(name, ENDPOINT, access_key="i", secret_key="hidden-1")
    register_profile(name, ENDPOINT, access_key="i", secret_key="hidden-1")
    with pytest.raises(ValueError, match="registered already") as caught:
        register_profile(name, ENDPOINT, access_key="i", secret_key="hidden-2")
    assert "hidden" not in str(caught.value)
    found = find_profile(name)
    assert found is not None
    assert Credentials("i", "hidden-1") == found.credentials()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"local_name": ""}, "local_name"),
        ({"local_name": "_"}, "local_name"),
        ({"local_name": "a/b"}, "local_name"),
        ({"local_name": ".."}, "local_name"),
        ({"local_name": "a\n"}, "local_name"),
        ({"local_name": 5}, "local_name"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "minio:9000"}, "endpoint"),
        ({"endpoint": "https://id:secret-s@host"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"public": "yes"}, "public"),
        ({"region": "not a region"}, "region"),
        ({"access_key": "i"}, "secret_key"),
        ({"secret_key": "secret-s"}, "access_key"),
        ({"session_token": "secret-s"}, "session_token"),
        ({"public": True, "access_key": "i", "secret_key": "secret-s"}, "public"),
    ],
)
def test_bad_settings_are_named(arguments: dict[str, Any], named: str) -> None:
    """A ValueError or TypeError names the argument, and shows no secret."""
    with pytest.raises((ValueError, TypeError), match=named) as caught:
        Profile(**({"local_name": "name", "endpoint": ENDPOINT} | arguments))
    assert "secret-s" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "a\nb", 5, None])
def test_a_bad_name_is_refused(wrong: Any) -> None:
    """Neither registering nor looking up takes what is no name."""
    with pytest.raises((ValueError, TypeError), match="profile"):
        register_profile(wrong, ENDPOINT, local_name="x")
    with pytest.raises((ValueError, TypeError), match="profile"):
        find_profile(wrong)


def test_secrets_are_not_shown_or_pickled() -> None:
    """The repr has the key id only, and a profile with keys refuses to be pickled; one without does not."""
    profile = Profile("n", ENDPOINT, access_key="the-id", secret_key="the-secret", session_token="the-token")
    assert "the-id" in repr(profile)
    assert "the-secret" not in repr(profile)
    assert "the-token" not in repr(profile)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(profile)
    plain = Profile("n", ENDPOINT, public=True, region="x")
    assert plain == pickle.loads(pickle.dumps(plain))


@pytest.mark.parametrize("variable", ["S3FUNC_PROFILES_FILE", "POS3_PROFILES_FILE"])
def test_a_variable_names_the_file(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either variable may name the file of profiles; one that is not there is an error, not an empty file."""
    path = tmp_path / "p.toml"
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(CredentialsError, match=r"p\.toml"):
        find_profile("x")
    path.write_text(f'[profiles.x]\nendpoint = "{ENDPOINT}"\nregion = "eu-west-1"\npublic = true\nlocal_name = "y"\n')
    assert Profile("y", ENDPOINT, public=True, region="eu-west-1") == find_profile("x")


@pytest.mark.parametrize("owner", ["s3func", "pos3"])
@pytest.mark.parametrize("is_xdg", [True, False])
def test_the_usual_files_are_found(owner: str, is_xdg: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a variable it is profiles.toml of s3func, else of pos3, where configuration is kept."""
    folder = tmp_path / ("xdg" if is_xdg else ".config")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if is_xdg:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    assert find_profile("x") is None
    (folder / owner).mkdir(parents=True)
    (folder / owner / "profiles.toml").write_text(f'[profiles.x]\nendpoint = "{ENDPOINT}"\n')
    assert Profile("x", ENDPOINT) == find_profile("x")


@pytest.mark.parametrize("section", ["x", "default"])
def test_keys_come_from_a_file_of_their_own(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """credentials_file is relative to profiles.toml; its section is the profile's name, or default."""
    (tmp_path / "p.toml").write_text(f'[profiles.x]\nendpoint = "{ENDPOINT}"\ncredentials_file = "keys/x.ini"\n')
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/x.ini").write_text(
        f"[{section}]\naws_access_key_id = i\naws_secret_access_key = s\naws_session_token = t\n"
    )
    monkeypatch.setenv("S3FUNC_PROFILES_FILE", str(tmp_path / "p.toml"))
    # What the environment says about AWS's own profiles has no say here.
    monkeypatch.setenv("AWS_PROFILE", "another")
    assert Profile("x", ENDPOINT, access_key="i", secret_key="s", session_token="t") == find_profile("x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[profiles.x\n", "cannot be read"),
        ("profiles = 5\n[other]\n", None),
        ("[profiles]\nx = 5\n", "no table"),
        ('[profiles.x]\nregion = "r"\n', "endpoint"),
        ('[profiles.x]\nendpoint = "ftp://h"\n', "endpoint"),
        (f'[profiles.x]\nendpoint = "{ENDPOINT}"\nsecret_key = "the-secret"\n', "secret_key"),
        (f'[profiles.x]\nendpoint = "{ENDPOINT}"\ncredentials_file = 5\n', "credentials_file"),
        (f'[profiles.x]\nendpoint = "{ENDPOINT}"\ncredentials_file = "none.ini"\n', r"none\.ini"),
        (f'[profiles.x]\nendpoint = "{ENDPOINT}"\ncredentials_file = "empty.ini"\n', r"empty\.ini"),
        (f'[profiles.x]\nendpoint = "{ENDPOINT}"\npublic = true\ncredentials_file = "empty.ini"\n', "public"),
        ('secret = "the-secret\n', "cannot be read"),
    ],
)
def test_a_broken_file_says_what_is_wrong(
    text: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CredentialsError names the file's fault, and shows nothing of what may be a secret, nor does its context."""
    (tmp_path / "p.toml").write_text(text)
    (tmp_path / "empty.ini").write_text("[x]\n")
    monkeypatch.setenv("S3FUNC_PROFILES_FILE", str(tmp_path / "p.toml"))
    if said is None:
        assert find_profile("x") is None
        return
    with pytest.raises(CredentialsError, match=said) as caught:
        find_profile("x")
    assert "the-secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
