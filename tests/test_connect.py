"""URLs of objects: what they mean exactly, and that no secret leaves them but towards the store."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import B2Session, S3Session
from s3func.connect import Location, connect, endpoint_of, is_url, parse
from s3func.errors import CredentialsError
from s3func.profiles import Profile, register_profile
from s3func.s3.credentials import Credentials

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ENCODED = SECRET.replace("/", "%2F")
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket", Location("s3", "bucket")),
        ("s3://bucket/", Location("s3", "bucket")),
        ("S3://bucket/key", Location("s3", "bucket", "key")),
        ("b2://bucket/a/b", Location("b2", "bucket", "a/b")),
        ("s3://bucket//abs//x/", Location("s3", "bucket", "/abs//x/")),
        ("s3://bucket/a?b#c%20d+e", Location("s3", "bucket", "a?b#c%20d+e")),
        ("s3://bucket/../x/./y", Location("s3", "bucket", "../x/./y")),
        ("s3://bucket/me@home:9000@x/y", Location("s3", "bucket", "me@home:9000@x/y")),
        ("s3://bucket/https://host/x", Location("s3", "bucket", "https://host/x")),
        ("s3://minio@bucket/k", Location("s3", "bucket", "k", profile="minio")),
        ("s3://my%20team@bucket/k", Location("s3", "bucket", "k", profile="my team")),
        ("s3://minio.example.com@bucket/k", Location("s3", "bucket", "k", "https://minio.example.com")),
        ("s3://host:9000@bucket/k", Location("s3", "bucket", "k", "https://host:9000")),
        ("s3://localhost@bucket/k", Location("s3", "bucket", "k", "http://localhost")),
        ("s3://localhost:9000@bucket/k", Location("s3", "bucket", "k", "http://localhost:9000")),
        ("s3://127.0.0.1:9000@bucket/k", Location("s3", "bucket", "k", "http://127.0.0.1:9000")),
        ("s3://[::1]:9000@bucket/k", Location("s3", "bucket", "k", "http://[::1]:9000")),
        ("s3://http://host:9000@bucket/k", Location("s3", "bucket", "k", "http://host:9000")),
        ("s3://https://host/bucket/k@x", Location("s3", "bucket", "k@x", "https://host")),
        ("s3://id:secret@bucket/k", Location("s3", "bucket", "k", None, None, Credentials("id", "secret"))),
        (
            "s3://id:secret@minio.example.com/bucket/k",
            Location("s3", "bucket", "k", "https://minio.example.com", None, Credentials("id", "secret")),
        ),
        (
            "s3://id:secret@http://host:1/bucket/k",
            Location("s3", "bucket", "k", "http://host:1", None, Credentials("id", "secret")),
        ),
        (
            "s3://id:secret@localhost:9000/bucket/k",
            Location("s3", "bucket", "k", "http://localhost:9000", None, Credentials("id", "secret")),
        ),
        (f"s3://{KEY_ID}:{ENCODED}@b/k", Location("s3", "b", "k", None, None, Credentials(KEY_ID, SECRET))),
        (f"s3://{KEY_ID}:{SECRET}@b/k", Location("s3", "b", "k", None, None, Credentials(KEY_ID, SECRET))),
        (
            f"s3://{SECRET}:{KEY_ID}@https://host/b/k@x",
            Location("s3", "b", "k@x", "https://host", None, Credentials(KEY_ID, SECRET)),
        ),
        (f"s3://{ENCODED}:{KEY_ID}@b/k", Location("s3", "b", "k", None, None, Credentials(KEY_ID, SECRET))),
    ],
)
def test_a_url_means_what_the_rules_say(url: str, expected: Location) -> None:
    """Bucket, key, endpoint, profile and credentials are those of the rules; the key is never decoded."""
    assert is_url(url)
    assert expected == parse(url)


def test_secret_first_is_the_order_of_s3lync() -> None:
    """With secret_first the second part is the id, unless only the first looks like one of AWS."""
    assert Credentials("access", "secret") == parse("s3://secret:access@b/k", secret_first=True).credentials
    assert Credentials(KEY_ID, "x") == parse(f"s3://{KEY_ID}:x@b/k", secret_first=True).credentials


@pytest.mark.parametrize(
    "url",
    [
        "bucket/key",
        "/tmp/x",
        "http://bucket/key",
        "s3:/bucket",
        "s3://",
        "s3:///key",
        "s3://-bucket/key",
        "s3://a..b/key",
        "s3://@bucket/key",
        "s3://p@/key",
        "s3://%zz@bucket/key",
        "s3://id:@bucket/key",
        "s3://:secret@bucket/key",
        "s3://a@b@c/key",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """A ValueError, before anything is looked up."""
    with pytest.raises(ValueError, match="url"):
        parse(url)


def test_what_is_no_text_is_refused() -> None:
    """A TypeError names the argument."""
    path: Any = Path("x")
    assert not is_url(path)
    with pytest.raises(TypeError, match="url"):
        parse(path)


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{KEY_ID}:{ENCODED}@bucket/key",
        f"s3://{KEY_ID}:{ENCODED}@host.example/bucket/key",
        f"s3://{KEY_ID}:{ENCODED}@bad_bucket!/key",
        f"s3://{KEY_ID}:{SECRET}@host.example/bucket/key",
        f"s3://{KEY_ID}:{ENCODED} @bucket/key",
        f"s3://x{ENCODED}:%@bucket/key",
        f"http://{KEY_ID}:{ENCODED}@bucket/key",
    ],
)
def test_a_secret_is_never_shown(url: str) -> None:
    """Neither the location's repr, text and URL nor the refusal of a bad URL has any piece of the secret."""
    try:
        location = parse(url)
        said = f"{location!r} {location} {location.url}"
    except ValueError as error:
        assert error.__cause__ is None
        said = str(error)
    for piece in (SECRET, ENCODED, SECRET[:10], SECRET[-10:]):
        assert piece not in said


def test_a_location_with_credentials_is_not_pickled() -> None:
    """A secret does not get into a file or a queue; without one a location does."""
    plain = parse("s3://minio@bucket/key")
    assert plain == pickle.loads(pickle.dumps(plain))
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(parse("s3://id:secret@bucket/key"))


@given(
    key=st.text(min_size=1),
    place=st.sampled_from(["", "name@", "minio.example.com@", "http://[::1]:5@", "https://h/"]),
)
def test_every_key_survives(key: str, place: str) -> None:
    """Whatever stands behind the bucket is the key, and the location's own URL means the same."""
    location = parse(f"s3://{place}bucket/{key}")
    assert (key, "bucket") == (location.key, location.bucket)
    assert location == parse(location.url)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Anything is a location or a ValueError."""
    for url in (text, f"s3://{text}", f"s3://{text}@bucket/key"):
        try:
            assert parse(url).bucket
        except ValueError:
            pass


def closed(session: Any) -> Any:
    session.close()
    return session


def test_a_url_becomes_a_session() -> None:
    """Scheme, bucket, endpoint and credentials of the URL are those of the session; nothing is sent."""
    session = closed(connect("s3://id:secret@http://localhost:9/my-bucket/key", region="eu-west-1"))
    assert isinstance(session, S3Session)
    assert ("my-bucket", "http://localhost:9", "eu-west-1") == (session.bucket, session.endpoint_url, session.region)
    assert "secret" not in repr(session)
    b2 = closed(connect("b2://id:secret@http://localhost:9/my-bucket/key", region="eu-west-1"))
    assert isinstance(b2, B2Session)
    assert ("my-bucket", "http://localhost:9") == (b2.bucket, b2.realm)


def test_the_url_goes_before_the_arguments() -> None:
    """endpoint_url and profile count only where the URL names none, and credentials of the URL before any."""
    keys = {"access_key_id": "i", "secret_access_key": "s"}
    session = closed(connect("s3://http://localhost:1@b/k", endpoint_url="http://localhost:2", **keys))
    assert "http://localhost:1" == session.endpoint_url
    session = closed(connect("s3://b/k", endpoint_url="http://localhost:2", **keys))
    assert "http://localhost:2" == session.endpoint_url
    session = closed(connect("s3://mine:other@b/k", session_token="of somebody else", **keys))
    assert Credentials("mine", "other") == session._credentials()


def test_a_registered_profile_goes_before_one_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up among the registered profiles, then in ~/.aws; nowhere is a CredentialsError."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[connect-a]\naws_access_key_id = aws\naws_secret_access_key = s\n"
        "[connect-b]\naws_access_key_id = aws-b\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    register_profile("connect-a", "http://localhost:3", region="eu-north-1", access_key="own", secret_key="secret-of-a")
    session = closed(connect("s3://connect-a@b/k"))
    assert ("http://localhost:3", "eu-north-1") == (session.endpoint_url, session.region)
    assert Credentials("own", "secret-of-a") == session._credentials()
    assert Credentials("aws-b", "s") == closed(connect("s3://b/k", profile="connect-b"))._credentials()
    assert "aws-b" == closed(connect("s3://connect-b@b/k", profile="connect-a"))._credentials().access_key_id
    with pytest.raises(CredentialsError, match="connect-c"):
        connect("s3://connect-c@b/k")
    with pytest.raises(ValueError, match="connect-c"):
        connect("b2://connect-c@b/k")


def test_a_public_profile_does_not_sign() -> None:
    """public means anonymous, although there would be credentials; keys that are given in code go before."""
    public = Profile("open", "http://localhost:4", public=True)
    assert closed(connect("s3://b/k", profile=public))._credentials() is None
    session = closed(connect("s3://b/k", profile=public, access_key_id="i", secret_access_key="s"))
    assert Credentials("i", "s") == session._credentials()


def test_a_profile_reaches_b2() -> None:
    """A registered profile gives B2 its realm and its keys; its region has no meaning there."""
    profile = Profile("b2-store", "http://localhost:5", region="x", access_key="i", secret_key="s")
    session = closed(connect("b2://b/k", profile=profile))
    assert isinstance(session, B2Session)
    assert "http://localhost:5" == session.realm


def test_a_profile_is_a_name_or_a_profile() -> None:
    """Anything else is a TypeError that names the argument."""
    wrong: Any = 5
    with pytest.raises(TypeError, match="profile"):
        connect("s3://b/k", profile=wrong)


def test_where_is_known_without_who(monkeypatch: pytest.MonkeyPatch) -> None:
    """endpoint_of() says where connect() would lead, although there are no credentials."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "http://localhost:1" == endpoint_of(parse("s3://http://localhost:1@b/k"))
    assert "http://localhost:2" == endpoint_of(parse("s3://b/k"), endpoint_url="http://localhost:2")
    assert "https://s3.eu-west-1.amazonaws.com" == endpoint_of(parse("s3://b/k"), region="eu-west-1", access_key_id="x")
    assert "http://localhost:3" == endpoint_of(parse("s3://b/k"), profile=Profile("n", "http://localhost:3"))
    assert "https://api.backblazeb2.com" == endpoint_of(parse("b2://b/k"))
    assert "http://localhost:3" == endpoint_of(parse("b2://b/k"), profile=Profile("n", "http://localhost:3"))
