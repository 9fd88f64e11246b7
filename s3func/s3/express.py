"""Directory buckets (S3 Express): the session whose credentials sign the requests to one, and the document that makes one.

A session lives for five minutes and is asked for once per bucket, however many threads want it; it is renewed ahead of
its end (credentials/refresh.py). The account's own credentials sign CreateSession, copies, and everything where
disable_s3_express_session_auth is set.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import NotImplementedByStore, NotSupported, ProtocolError
from s3func.s3 import operations
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.refresh import Refreshing
from s3func.s3.endpoints import SIGV4
from s3func.s3.special_buckets import zone_of
from s3func.wire.encoding import parse_iso8601
from s3func.wire.s3xml_error import frame, open_document

if TYPE_CHECKING:
    from s3func.clock import Clock
    from s3func.message import Request, Response
    from s3func.s3.auth import SigV4Authorizer
    from s3func.transport.client import Client


def session_credentials(plain: SigV4Authorizer, client: Client, clock: Clock) -> Refreshing:
    """The credentials of a bucket's session, for as long as it is used; `plain` signs for the account itself."""

    def load() -> Credentials:
        request = operations.on_bucket("GET", plain.place._replace(scheme=SIGV4), "session=")
        try:
            return client.send(request, plain, parse_create_session)
        except NotImplementedByStore as error:
            raise NotSupported(
                f"{plain.endpoint.url} has no sessions for directory buckets, which the name {plain.bucket!r} asks for: "
                "disable_s3_express_session_auth=True does without"
            ) from error

    return Refreshing(load, clock, f"CreateSession of {plain.bucket}")


def parse_create_session(_request: Request, response: Response) -> Credentials:
    """The session's key pair and token, and its end."""
    root = open_document(operations.document(response), "CreateSessionResult", "CreateSessionOutput")
    found = root.child("Credentials")
    if found is None:
        raise ProtocolError("the answer to CreateSession has no credentials")
    texts = []
    for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"):
        element = found.child(name)
        if element is None or not element.text:
            raise ProtocolError(f"the credentials of CreateSession have no {name}")
        texts.append(element.text)
    try:
        return Credentials(texts[0], texts[1], texts[2], parse_iso8601(texts[3]))
    except ValueError as error:
        raise ProtocolError("the credentials of CreateSession cannot be used") from error


def directory_bucket_document(bucket: str) -> bytes:
    """The body of the CreateBucket request of a directory bucket: its zone stands in its name."""
    zone = zone_of(bucket)
    # usw2-az1 is a zone of a region, usw2-lax1-az1 one outside.
    is_local = zone.count("-") > 1
    place = f"<Name>{zone}</Name><Type>{'LocalZone' if is_local else 'AvailabilityZone'}</Type>"
    kind = f"<DataRedundancy>Single{'LocalZone' if is_local else 'AvailabilityZone'}</DataRedundancy><Type>Directory</Type>"
    return frame("CreateBucketConfiguration", f"<Location>{place}</Location><Bucket>{kind}</Bucket>")
