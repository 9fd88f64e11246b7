"""DuckDB reads and writes through a registered filesystem; its own client is told how by the SQL of a session."""

from __future__ import annotations

import os
import sys

from tests.ecosystem.programs.stores import Store, main, module, say

duckdb = module("duckdb")


def registered(store: Store) -> None:
    """Parquet and CSV, one file, a pattern, and a folder in parts that DuckDB makes by itself."""
    with duckdb.connect() as connection:
        connection.register_filesystem(store.filesystem)
        rows = "(select range as n, range % 3 as part from range(1000))"
        connection.sql(f"copy {rows} to '{store.url}/one.parquet' (format parquet)")
        connection.sql(f"copy {rows} to '{store.url}/one.csv'")
        connection.sql(f"copy {rows} to '{store.url}/parts' (format parquet, partition_by (part))")
        for source in ("one.parquet", "one.csv", "*.parquet"):
            found = connection.sql(f"select sum(n) from '{store.url}/{source}'").fetchall()
            assert [(499_500,)] == found, (source, found)
        query = f"select part, count(*) from read_parquet('{store.url}/parts/*/*.parquet', hive_partitioning=true)"
        assert [(0, 334), (1, 333), (2, 333)] == connection.sql(f"{query} group by part order by part").fetchall()


def told(store: Store) -> None:
    """The SQL of a session is one statement; with httpfs, which may not be here, its secret is what was said."""
    api = module("s3func")
    bucket = store.path.partition("/")[0]
    if store.protocol == "s3func":
        session = api.S3Session(bucket=bucket)
    else:
        session = api.B2Session(bucket=bucket, realm=sys.argv[3])
    with session, duckdb.connect() as connection:
        sql = session.duckdb_secret('our "store"', scope=f"s3://{bucket}/it's")
        assert 1 == len(connection.extract_statements(sql))
        connection.execute("set autoinstall_known_extensions = false")
        try:
            connection.execute("load httpfs")
        except duckdb.Error:
            say(store, "DuckDB's httpfs is not here, so its secret was parsed and not used")
            return
        connection.execute(sql)
        assert [('our "store"',)] == connection.sql("select name from duckdb_secrets()").fetchall()
        connection.execute(session.duckdb_secret())
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(connection.sql("from duckdb_secrets()").fetchall())
        assert [(499_500,)] == connection.sql(f"select sum(n) from 's3://{store.path}/one.parquet'").fetchall()


if __name__ == "__main__":
    main(registered, told)
