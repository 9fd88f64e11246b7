"""What Polars and DuckDB are told; that they then read and write is in tests/ecosystem."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import B2Session, S3Session, testing
from s3func.engines import Reached, duckdb_sql
from s3func.errors import NotSupported
from tests.b2.rigs import service, session_on

SECRET = "a secret"


def session(endpoint_url: str | None = None, **options: Any) -> S3Session:
    """A session that sends nothing."""
    return S3Session("id", SECRET, "bucket", endpoint_url, **options)


def literals(sql: str) -> list[str]:
    """The texts of a statement, read as SQL reads them."""
    found, rest = [], sql
    while "'" in rest:
        text, rest = "", rest.partition("'")[2]
        while True:
            part, _, rest = rest.partition("'")
            text += part
            if not rest.startswith("'"):
                break
            text, rest = text + "'", rest[1:]
        found.append(text)
    return found


def test_aws() -> None:
    """AWS needs a region only; every bucket of it is reached, whatever it is called."""
    given_options = session(region="eu-west-1", session_token="token").polars_storage_options()
    assert {
        "aws_region": "eu-west-1",
        "aws_access_key_id": "id",
        "aws_secret_access_key": SECRET,
        "aws_session_token": "token",
    } == given_options
    assert (
        "CREATE OR REPLACE SECRET (TYPE s3, PROVIDER config, REGION 'eu-west-1', KEY_ID 'id', SECRET 'a secret')"
        == session(region="eu-west-1").duckdb_secret()
    )


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ({"region": "us-gov-west-1", "use_fips": True}, "https://s3-fips.us-gov-west-1.amazonaws.com"),
        ({"region": "eu-west-1", "use_dualstack": True}, "https://s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
def test_other_endpoints_of_aws(options: dict[str, Any], url: str) -> None:
    """What a region does not say by itself is said as an endpoint."""
    made = session(**options)
    assert (url, "false") == (
        made.polars_storage_options()["aws_endpoint_url"],
        made.polars_storage_options()["aws_virtual_hosted_style_request"],
    )
    assert f"ENDPOINT '{url.removeprefix('https://')}', URL_STYLE 'path', USE_SSL true" in made.duckdb_secret()


def test_another_store() -> None:
    """A store of one's own is reached by path, and over plain http where it is."""
    made = session("http://127.0.0.1:9000", region="r1")
    assert {"aws_endpoint_url": "http://127.0.0.1:9000", "aws_allow_http": "true", "aws_region": "r1"}.items() <= (
        made.polars_storage_options().items()
    )
    assert "ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL false" in made.duckdb_secret()


def test_a_store_whose_buckets_are_hosts() -> None:
    """Where a bucket is a host, each engine is told in its own way."""
    made = session("https://oss-cn-hangzhou.aliyuncs.com")
    options = made.polars_storage_options()
    assert ("https://bucket.oss-cn-hangzhou.aliyuncs.com", "true") == (
        options["aws_endpoint_url"],
        options["aws_virtual_hosted_style_request"],
    )
    assert "ENDPOINT 'oss-cn-hangzhou.aliyuncs.com', URL_STYLE 'vhost'" in made.duckdb_secret()
    assert "https://other.oss" in made.polars_storage_options(bucket="other")["aws_endpoint_url"]


def test_without_credentials() -> None:
    """An anonymous session has none to tell, and says that requests are not signed."""
    with S3Session(bucket="public", region="us-east-1", anonymous=True) as made:
        assert {"aws_region": "us-east-1", "aws_skip_signature": "true"} == made.polars_storage_options()
        assert "KEY_ID" not in made.duckdb_secret()


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine",
        "data--use1-az4--x-s3",
        "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    ],
)
def test_special_buckets(bucket: str) -> None:
    """What has an address of its own kind is refused, and not pointed at another bucket."""
    made = S3Session("id", SECRET, region="eu-west-1")
    for call in (made.polars_storage_options, made.duckdb_secret):
        with pytest.raises(NotSupported):
            call(bucket=bucket)


def test_an_endpoint_with_a_path() -> None:
    """DuckDB has no word for it; Polars has."""
    made = session("https://host.example/store")
    assert "https://host.example/store" == made.polars_storage_options()["aws_endpoint_url"]
    with pytest.raises(NotSupported, match="path"):
        made.duckdb_secret()


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_texts_are_quoted(text: str) -> None:
    """Whatever stands in a secret, a scope or a name, it stays one text of the statement."""
    sql = duckdb_sql(Reached("", "r", False, "id", text, text), text, text)
    assert sql.startswith('CREATE OR REPLACE SECRET "' + text.replace('"', '""') + '" (TYPE s3, ')
    assert ["r", "id", text, text, text] == literals(sql[len('CREATE OR REPLACE SECRET ""') + len(text) :])[-5:]


@pytest.mark.parametrize("argument", ["name", "scope"])
def test_bad_arguments(argument: str) -> None:
    """An empty text, one with a NUL, and no text are refused by name."""
    for text in ("", "a\0b"):
        with pytest.raises(ValueError, match=argument):
            session().duckdb_secret(**{argument: text})
    with pytest.raises(TypeError, match=argument):
        session().duckdb_secret(**{argument: 5})  # type: ignore[arg-type]  # what is refused


def test_secrets_are_not_shown() -> None:
    """What is passed between the two halves has no secret in its repr."""
    assert "hidden" not in repr(Reached("", "r", False, "id", "hidden", "hidden"))


def test_b2_is_reached_by_its_s3_api() -> None:
    """The account says where its S3 API is; the master key, which that API refuses, is refused."""
    with (
        testing.server() as server,
        B2Session(server.access_key_id, server.secret_access_key, "b-bucket", realm=server.endpoint_url) as made,
    ):
        options = made.polars_storage_options()
        assert (server.endpoint_url, server.secret_access_key) == (
            options["aws_endpoint_url"],
            options["aws_secret_access_key"],
        )
        assert f"SECRET '{server.secret_access_key}'" in made.duckdb_secret()


def test_b2_without_an_s3_api() -> None:
    """The master key is refused by B2's S3 API, so it is refused here; without a key there is nothing to tell."""
    made = session_on(service())
    assert "https://s3.test" == made.polars_storage_options()["aws_endpoint_url"]
    made._known_account().key_id = made.account_id
    with pytest.raises(NotSupported, match="master"):
        made.duckdb_secret()
    public = B2Session(bucket="b-bucket", download_url="http://127.0.0.1:1", anonymous=True)
    with public, pytest.raises(NotSupported):
        public.polars_storage_options()
