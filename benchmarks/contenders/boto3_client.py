"""boto3: one low-level client, which its documentation recommends for speed and for threads."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY, Contender, Target

_boto3: Any = importlib.import_module("boto3")
_config: Any = importlib.import_module("botocore.config")


class Boto3Client:
    """`boto3.client("s3")`."""

    def __init__(self, target: Target, variant: str) -> None:
        self._bucket = target.bucket
        self._client = _boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=target.endpoint,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=_config.Config(
                s3={"addressing_style": "path"},
                max_pool_connections=max(10, target.connections),
                request_checksum_calculation=variant,
                response_checksum_validation=variant,
            ),
        )

    def put(self, key: str, body: bytes) -> str:
        return str(self._client.put_object(Bucket=self._bucket, Key=key, Body=body)["ETag"]).strip('"')

    def get(self, key: str) -> int:
        return len(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def head(self, key: str) -> int:
        return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])

    def list_page(self, prefix: str) -> tuple[int, int]:
        rows = total = 0
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page["Contents"]:
                rows += 1
                total += entry["Size"] if entry["Key"] and entry["ETag"] else 0
        return rows, total

    def upload_memory(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def upload_file(self, key: str, path: str) -> str:
        with open(path, "rb") as file:
            answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=file)
        return str(answer["ETag"]).strip('"')

    def download(self, key: str) -> int:
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        return sum(len(chunk) for chunk in body.iter_chunks(CHUNK))

    def close(self) -> None:
        self._client.close()


def open_contender(target: Target, variant: str) -> Contender:
    return Boto3Client(target, variant)
