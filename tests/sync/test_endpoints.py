"""What stands for a side of a sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import s3func.sync
from s3func import S3Session
from s3func.errors import CredentialsError
from s3func.sync import LocalTree, NamePolicy, RemotePrefix, as_endpoint


@pytest.mark.parametrize("value", ["folder/x", "./s3:/b", "/abs", "s3:b", "C:\\x", "~"])
def test_a_path_is_a_folder(value: str) -> None:
    """Whatever is no URL of a store is a path, with the policies that were given."""
    policy = NamePolicy(conflict="suffix")
    for given in (value, Path(value)):
        side = as_endpoint(given, symlinks="follow", names=policy)
        assert isinstance(side, LocalTree)
        assert ("local", "follow", policy) == (side.kind, side.symlinks, side.names)
    assert str(Path.home()) == LocalTree("~").root


def test_an_endpoint_stays_what_it_is(tmp_path: Path) -> None:
    """An endpoint comes back itself, whatever else is said."""
    tree = LocalTree(tmp_path)
    assert as_endpoint(tree, symlinks="follow") is tree
    with S3Session("id", "secret", "bucket") as session:
        remote = RemotePrefix(session)
        assert as_endpoint(remote) is remote


def test_a_url_with_a_session_is_a_prefix_of_its_store() -> None:
    """With a session, bucket and key of the URL count; the key is exact, and becomes a folder."""
    with S3Session("id", "secret", "mine") as session:
        side = as_endpoint("s3://other/a//b?c#d%20", session=session)
        assert isinstance(side, RemotePrefix)
        assert (session, "other", "a//b?c#d%20/") == (side.session, side.bucket, side.prefix)
        assert "" == as_endpoint("s3://other", session=session).prefix  # type: ignore[union-attr]


def test_a_url_without_a_session_makes_one() -> None:
    """Without a session, the URL and the options say where the store is and who asks."""
    side = as_endpoint("s3://id:secret@https://store.example/bucket/p", region="eu-west-1")
    assert isinstance(side, RemotePrefix)
    with side.session as session:
        assert isinstance(session, S3Session)
        assert ("https://store.example", "eu-west-1", "bucket") == (
            session.endpoint_url,
            session.region,
            session.bucket,
        )
        assert "s3://https://store.example@bucket/p/" == side.url
        assert "secret" not in repr(side)
    side = as_endpoint("b2://bucket/p", access_key_id="id", access_key="secret")
    assert isinstance(side, RemotePrefix)
    assert ("b2", "b2://bucket/p/") == (side.kind, side.url)
    side.session.close()


def test_the_url_of_a_prefix_leads_back_to_it() -> None:
    """What `.url` says is understood as the same place, which is how workers of other processes find it."""
    for endpoint in ("http://127.0.0.1:9000", "https://store.example", None):
        with S3Session("id", "secret", "bucket", endpoint_url=endpoint, region="eu-west-1") as session:
            url = RemotePrefix(session, prefix="a b/%c").url
            twin = as_endpoint(url, region="eu-west-1", access_key_id="id", access_key="secret")
            assert isinstance(twin, RemotePrefix)
            assert (url, "a b/%c/") == (twin.url, twin.prefix)
            twin.session.close()


@pytest.mark.parametrize(
    ("value", "error"),
    [("s3://", ValueError), ("s3:///key", ValueError), (3, TypeError), (b"a", TypeError), ("", ValueError)],
)
def test_what_is_no_side_is_refused(value: Any, error: type[Exception]) -> None:
    """Something that is neither a URL nor a path is refused at once."""
    with pytest.raises(error):
        as_endpoint(value)


def test_credentials_are_asked_for_when_a_session_is_made() -> None:
    """A URL whose profile does not exist is a CredentialsError of that profile."""
    with pytest.raises(CredentialsError, match="nobody"):
        as_endpoint("s3://nobody@bucket/p")


def test_the_package_knows_its_names() -> None:
    """Every public name is there when it is asked for, listed, and an unknown one is an AttributeError."""
    for name in s3func.sync.__all__:
        assert getattr(s3func.sync, name) is not None
        assert name in dir(s3func.sync)
    with pytest.raises(AttributeError, match="nothing"):
        s3func.sync.nothing
