"""The verbs that tell Polars and DuckDB how to reach the store; the text of their settings is in s3func/engines.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import NotSupported
from s3func.s3.base import S3Base
from s3func.s3.endpoints import SPECIAL_SUFFIXES

if TYPE_CHECKING:
    from s3func.engines import Reached


class EngineVerbs(S3Base):
    """Settings for engines with a client of their own. Nothing is sent, unless credentials have to be asked for."""

    def polars_storage_options(self, *, bucket: str | None = None) -> dict[str, str]:
        """`pl.scan_parquet("s3://bucket/*.parquet", storage_options=session.polars_storage_options())`.

        For Polars, and for others that use the Rust crate object_store (delta-rs, DataFusion …). It holds the credentials
        of this moment: call it again when temporary ones have expired. bucket: another one than the session's; where a
        bucket's own host has to be named, the options are for this bucket and for no other. NotSupported for buckets that
        are not addressed as usual.
        https://docs.pola.rs/user-guide/io/cloud-storage/
        https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html
        """
        from s3func.engines import polars_options

        return polars_options(self._reached(bucket))

    def duckdb_secret(self, name: str | None = None, *, bucket: str | None = None, scope: str | None = None) -> str:
        """The SQL that lets DuckDB's httpfs read and write s3:// here: `connection.execute(session.duckdb_secret())`.

        name: of the secret; without one it is DuckDB's default for s3://. scope: a prefix such as s3://bucket/ that it is
        for. The text holds the secret key of this moment: do not log it, and call again when temporary credentials have
        expired. bucket and NotSupported as for polars_storage_options; an endpoint with a path is NotSupported, too.
        https://duckdb.org/docs/stable/core_extensions/httpfs/s3api.html
        https://duckdb.org/docs/stable/sql/statements/create_secret.html
        """
        from s3func.engines import duckdb_sql

        return duckdb_sql(self._reached(bucket), name, scope)

    def _reached(self, bucket: str | None) -> Reached:
        from s3func.engines import Reached

        endpoint = self._endpoint
        chosen = self.bucket if bucket is None else bucket
        place = (self._at_service() if chosen is None else self._at(chosen)).place
        if chosen is not None and (chosen.startswith("arn:") or chosen.endswith(SPECIAL_SUFFIXES)):
            raise NotSupported(f"bucket {chosen!r} is reached in a way that other programs have no setting for")
        if endpoint.options.use_accelerate:
            raise NotSupported("other programs have no setting for use_accelerate")
        url = f"{endpoint.scheme}://{endpoint.authority(endpoint.region)}{endpoint.path}"
        is_virtual = False
        if not endpoint.is_aws:
            is_virtual = chosen is not None and place.host.startswith(f"{chosen}.")
            url = place.origin if is_virtual else url
        elif url == f"https://s3.{place.region}.amazonaws.com":
            # By path every bucket of the region is reached, whatever its name.
            url = ""
        reached = Reached(url, place.region, is_virtual)
        credentials = None if self._is_anonymous else self._credentials()
        if credentials is None:
            return reached
        return reached._replace(
            access_key_id=credentials.access_key_id,
            secret_access_key=credentials.secret_access_key,
            session_token=credentials.session_token,
        )
