"""botocore's model of S3 as an independent reader and writer of documents."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.parsers  # type: ignore[import-untyped]
import botocore.serialize  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]


@cache
def operation_model(operation: str) -> Any:
    """botocore's model of an operation; loading it takes a while."""
    return botocore.session.get_session().get_service_model("s3").operation_model(operation)


def parsed(operation: str, body: bytes, *, status: int = 200) -> dict[str, Any]:
    """What botocore finds in an answer."""
    response = {"status_code": status, "headers": {}, "body": body}
    shape = operation_model(operation).output_shape
    found: dict[str, Any] = botocore.parsers.create_parser("rest-xml").parse(response, shape)
    del found["ResponseMetadata"]
    return found


def serialized(operation: str, **parameters: Any) -> bytes:
    """The body of the request that botocore would send."""
    model = operation_model(operation)
    place = {name: "x" for name in ("Bucket", "Key") if name in model.input_shape.members}
    serializer = botocore.serialize.create_serializer("rest-xml", include_validation=False)
    request = serializer.serialize_to_request({**place, **parameters}, model)
    body = request["body"]
    assert isinstance(body, bytes)
    return body
