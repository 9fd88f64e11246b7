"""What engines with an S3 client of their own are told, so that they reach the same store with the same credentials.

The text of these settings, and nothing of how a session comes to know them: S3Session and B2Session do that.
"""

from __future__ import annotations

from typing import NamedTuple

from s3func.errors import NotSupported


class Reached(NamedTuple):
    """How a bucket is reached by S3's API.

    url: without a bucket in its path; "" where every client knows it by the region. is_virtual: the url's host begins
    with the bucket. access_key_id: None for requests that are not signed.
    """

    url: str
    region: str
    is_virtual: bool = False
    access_key_id: str | None = None
    secret_access_key: str = ""
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Reached(url={self.url!r}, region={self.region!r}, secret_access_key='***')"


def polars_options(reached: Reached) -> dict[str, str]:
    """For the Rust crate object_store. https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html."""
    options = {"aws_region": reached.region}
    if reached.url:
        options["aws_endpoint_url"] = reached.url
        options["aws_virtual_hosted_style_request"] = "true" if reached.is_virtual else "false"
        if reached.url.startswith("http://"):
            options["aws_allow_http"] = "true"
    if reached.access_key_id is None:
        options["aws_skip_signature"] = "true"
        return options
    options["aws_access_key_id"] = reached.access_key_id
    options["aws_secret_access_key"] = reached.secret_access_key
    if reached.session_token is not None:
        options["aws_session_token"] = reached.session_token
    return options


def duckdb_sql(reached: Reached, name: str | None, scope: str | None) -> str:
    """A statement for DuckDB's httpfs. https://duckdb.org/docs/stable/core_extensions/httpfs/s3api.html."""
    for argument, given in (("name", name), ("scope", scope)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"{argument} must be a str, not {type(given).__name__}")
        if given is not None and (not given or "\0" in given):
            raise ValueError(f"{argument} must be a text that is not empty, without NUL")
    settings = {"TYPE": "s3", "PROVIDER": "config", "REGION": _literal(reached.region)}
    if reached.url:
        scheme, _, authority = reached.url.partition("://")
        if reached.is_virtual:
            # DuckDB puts the bucket in front by itself.
            authority = authority.partition(".")[2]
        if "/" in authority:
            raise NotSupported("DuckDB knows no endpoint with a path")
        settings["ENDPOINT"] = _literal(authority)
        settings["URL_STYLE"] = _literal("vhost" if reached.is_virtual else "path")
        settings["USE_SSL"] = "true" if scheme == "https" else "false"
    if reached.access_key_id is not None:
        settings["KEY_ID"] = _literal(reached.access_key_id)
        settings["SECRET"] = _literal(reached.secret_access_key)
        if reached.session_token is not None:
            settings["SESSION_TOKEN"] = _literal(reached.session_token)
    if scope is not None:
        settings["SCOPE"] = _literal(scope)
    quoted = "" if name is None else '"' + name.replace('"', '""') + '" '
    return f"CREATE OR REPLACE SECRET {quoted}({', '.join(f'{key} {value}' for key, value in settings.items())})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
