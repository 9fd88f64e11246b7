"""S3Session: all verbs of S3 in one class, and the two that fit nowhere else: presigned URLs and any other request.

The path of a call: the arguments become a Request (operations.py), the Client authorizes (auth.py) and sends it
(transport/), the answer becomes a result (operations.py) or a typed error (errors.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.s3 import operations
from s3func.s3.bucket_settings import BucketSettingVerbs
from s3func.s3.buckets import BucketVerbs
from s3func.s3.engines import EngineVerbs
from s3func.s3.listings import ListingVerbs
from s3func.s3.multipart import MultipartVerbs
from s3func.s3.object_settings import ObjectSettingVerbs
from s3func.s3.objects import ObjectVerbs
from s3func.s3.payload import describe
from s3func.s3.select import SelectVerbs
from s3func.transport.body import BodySource, body_of
from s3func.wire.sigv4 import EXPIRES_MAX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.message import Response


class S3Session(
    ObjectVerbs,
    MultipartVerbs,
    ListingVerbs,
    BucketVerbs,
    ObjectSettingVerbs,
    BucketSettingVerbs,
    SelectVerbs,
    EngineVerbs,
):
    """A handle on one S3 store, usually bound to one bucket. Safe for threads and for fork; use one per process.

    Credentials come from the arguments, else from where botocore finds them: the environment, a profile of ~/.aws with its
    keys, role, login or program, the container, the instance; what expires is renewed ahead of time. Region, endpoint
    and the other settings likewise (AWS_REGION, AWS_ENDPOINT_URL_S3 …); docs/credentials.md has the order.
    """

    def presigned_url(
        self,
        method: str,
        key: str | None = None,
        *,
        expires: int = 3600,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        bucket: str | None = None,
    ) -> str:
        """A URL that lets whoever has it make this one request for `expires` seconds (1 to 604,800).

        method: "GET", "PUT", "HEAD", "DELETE", … key: None for the bucket itself. headers: must be sent with the
        request exactly as here. query: further parameters, such as {"response-content-type": "text/csv"}.
        Nothing is sent. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        if not isinstance(expires, int) or isinstance(expires, bool):
            raise TypeError(f"expires must be an int of seconds, not {type(expires).__name__}")
        if not 1 <= expires <= EXPIRES_MAX_SECONDS:
            raise ValueError(f"expires must be 1 to {EXPIRES_MAX_SECONDS} seconds, not {expires}")
        authorizer = self._at(bucket)
        request = operations.presigned(method, authorizer.place, key, version_id, query, headers)
        return authorizer.presign(request, expires)

    def request(
        self,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: BodySource = b"",
        bucket: str | None = None,
    ) -> Response:
        """Any request, signed: `session.request("GET", query={"lifecycle": None})`. Refusals raise as everywhere.

        key: None addresses the bucket. The Response has `.status`, `.headers` and `.read()`.
        """
        authorizer = self._at(bucket)
        payload = body_of(body)
        try:
            payload_hash = describe(payload, {}, "off", authorizer.place.origin)
            request = operations.free_request(method, authorizer.place, key, query, headers, payload, payload_hash)
            return self._client.send(request, authorizer, lambda _request, response: response)
        finally:
            if not isinstance(payload, bytes):
                payload.close()
