"""Two users of one server and a stranger: each a boto3 client, which signs with its own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]
import pytest
from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from s3func.server import User

MAIN = User("key-of-main", "secret-of-main", "main", "M. Tester", "main@example.com")
ALT = User("key-of-alt", "secret-of-alt", "alt", "A. Tester", "alt@example.com", "tenant-1")


class People(NamedTuple):
    """The bucket `bkt` is main's."""

    main: Any
    alt: Any
    nobody: Any


def client(endpoint_url: str, user: User | None) -> Any:
    """boto3 as this user; None signs nothing."""
    config = Config(retries={"total_max_attempts": 1}, **({"signature_version": UNSIGNED} if user is None else {}))
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="none" if user is None else user.access_key_id,
        aws_secret_access_key="none" if user is None else user.secret_access_key,
        region_name="us-east-1",
        config=config,
    )


def refused(call: Callable[..., Any], *code: str, **arguments: Any) -> None:
    """The call fails with this code, AccessDenied unless said otherwise; of a HEAD only the status is known."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    found = caught.value.response["Error"]["Code"]
    assert found in (code or ("AccessDenied", "403")), found
