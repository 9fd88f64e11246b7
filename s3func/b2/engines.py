"""The verbs that tell Polars and DuckDB how to reach the bucket by B2's S3 API, which is what they speak."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s3func.b2.base import B2Base
from s3func.errors import NotSupported

if TYPE_CHECKING:
    from s3func.engines import Reached

_S3_HOST = r"https://s3\.([a-z0-9-]+)\.backblazeb2\.com"


class EngineVerbs(B2Base):
    """Settings for engines with a client of their own. The account is asked for its S3 address, once."""

    def polars_storage_options(self, *, bucket: str | None = None) -> dict[str, str]:
        """`pl.scan_parquet("s3://bucket/*.parquet", storage_options=session.polars_storage_options())`.

        By B2's S3 API, whose address comes with the account's token; the application key is the key pair there.
        NotSupported with the master application key, which that API refuses. bucket: has no effect here.
        https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api
        https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html
        """
        from s3func.engines import polars_options

        return polars_options(self._reached())

    def duckdb_secret(self, name: str | None = None, *, bucket: str | None = None, scope: str | None = None) -> str:
        """The SQL that lets DuckDB's httpfs read and write s3:// in this account, as S3Session.duckdb_secret.

        By B2's S3 API, see polars_storage_options. https://duckdb.org/docs/stable/core_extensions/httpfs/s3api.html
        """
        from s3func.engines import duckdb_sql

        return duckdb_sql(self._reached(), name, scope)

    def _reached(self) -> Reached:
        from s3func.engines import Reached

        account = self._known_account()
        authorization = self._grant().authorization
        if not authorization.s3_api_url:
            raise NotSupported("this account has no address for S3's API")
        if account.key_id == authorization.account_id:
            raise NotSupported("B2's S3 API refuses the master application key: make another one, with create_key()")
        region = re.fullmatch(_S3_HOST, authorization.s3_api_url)
        return Reached(
            authorization.s3_api_url.rstrip("/"),
            "us-east-1" if region is None else region[1],
            access_key_id=account.key_id,
            secret_access_key=account.secret,
        )
