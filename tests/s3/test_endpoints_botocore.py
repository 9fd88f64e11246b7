"""URL, Host and credential scope of one call compared with botocore's, over kinds of endpoints, styles, regions and buckets."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest

from s3func import S3Session
from s3func.errors import NotSupported
from s3func.message import Request, Response
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder

SESSION_DOCUMENT = (
    b'<CreateSessionResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Credentials>'
    b"<SessionToken>TOKEN</SessionToken><SecretAccessKey>secret</SecretAccessKey><AccessKeyId>ASIASESSION</AccessKeyId>"
    b"<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"
)
ACCOUNT = "123456789012"
VARIANTS: list[dict[str, bool]] = [
    {},
    {"use_dualstack": True},
    {"use_fips": True},
    {"use_dualstack": True, "use_fips": True},
    {"use_accelerate": True},
    {"use_accelerate": True, "use_dualstack": True},
    {"use_arn_region": False},
    {"disable_s3_express_session_auth": True},
]
REGIONS = ["us-east-1", "eu-central-2", "us-gov-west-1", "cn-north-1"]
ENDPOINTS = [None, "https://store.example", "http://store.example:8080/prefix", "https://[2001:db8::1]:9000"]
NAMES = ["bucket", "with.dots", "Upper", "under_score", "1bucket2", "b" * 63, "b" * 64]
SPECIAL = [
    "name--use1-az4--x-s3",
    "name--usw2-lax1-az1--x-s3",
    "point--use1-az4--xa-s3",
    "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    *(
        arn
        for region in ("us-east-1", "cn-north-1")
        for arn in (
            f"arn:aws{'-cn' if region.startswith('cn') else ''}:s3:{region}:{ACCOUNT}:accesspoint/mine",
            f"arn:aws{'-cn' if region.startswith('cn') else ''}:s3-object-lambda:{region}:{ACCOUNT}:accesspoint:mine",
            f"arn:aws{'-cn' if region.startswith('cn') else ''}:s3-outposts:{region}:{ACCOUNT}:outpost/op-01/accesspoint/mine",
        )
    ),
    f"arn:aws:s3::{ACCOUNT}:accesspoint:mfzwi23gnjvgw.mrap",
    f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint:a:b",
    f"arn:aws:s3:us-east-1:{ACCOUNT}:bucket:x",
    "arn:aws:sqs:us-east-1:123456789012:x",
]


def scopes(authorization: str) -> str:
    """Key id, region and service of a signature."""
    match = re.search(r"Credential=([^/]+)/[0-9]{8}/([^,]+)/aws4_request", authorization)
    assert match is not None
    return f"{match[1]} {match[2]}"


def normalized(url: str) -> str:
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}{parts.path}"


class Theirs:
    """botocore's client; `requests` has method, URL, Host and scope of what it would have sent."""

    def __init__(self, endpoint_url: str | None, region: str, style: str, variant: dict[str, bool]) -> None:
        session = botocore.session.Session()
        session.set_credentials(ACCESS_KEY_ID, SECRET)
        config = botocore.config.Config(
            use_dualstack_endpoint=variant.get("use_dualstack"),
            use_fips_endpoint=variant.get("use_fips"),
            s3={
                # Our "auto": see test_endpoints.py.
                "addressing_style": ("virtual" if endpoint_url is None else "path") if style == "auto" else style,
                "us_east_1_regional_endpoint": "regional",
                "use_accelerate_endpoint": variant.get("use_accelerate", False),
                "use_arn_region": variant.get("use_arn_region", True),
                "disable_s3_express_session_auth": variant.get("disable_s3_express_session_auth", False),
            },
        )
        self.client = session.create_client("s3", region, endpoint_url=endpoint_url, config=config)
        self.requests: list[tuple[str, str, str]] = []
        self.client.meta.events.register("before-send.s3", self._answer)

    def _answer(self, request: Any, **_: Any) -> Any:
        authorization = request.headers["Authorization"]
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        self.requests.append((request.method, normalized(request.url), scopes(text)))
        response = botocore.awsrequest.AWSResponse(request.url, 200, {}, None)
        response._content = SESSION_DOCUMENT if "?session" in request.url else b""
        return response

    def asked(self, bucket: str) -> list[tuple[str, str, str]] | None:
        """What is sent for a HEAD of an object, None where that is refused before."""
        self.requests.clear()
        try:
            self.client.head_object(Bucket=bucket, Key="a//b c/é")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return None
        return list(self.requests)


def ours(session: S3Session, recorder: Recorder, bucket: str) -> list[tuple[str, str, str]] | None:
    """The same of ours."""
    recorder.sent.clear()
    try:
        session.head_object("a//b c/é", bucket=bucket)
    except (ValueError, NotSupported):
        return None
    for sent in recorder.sent:
        assert urlsplit(sent.url).netloc == sent.headers["host"]
    return [(sent.method, normalized(sent.url), scopes(sent.headers["authorization"])) for sent in recorder.sent]


def answer(request: Request) -> Response:
    return Response(200, {}, SESSION_DOCUMENT if request.query == "session=" else b"")


CASES = [
    pytest.param(None, variant, style, id=f"{'-'.join(variant) or 'plain'} {style}")
    for variant in VARIANTS
    for style in ("auto", "virtual", "path")
    # We say that these exclude each other, botocore leaves the style out.
    if not ("use_accelerate" in variant and style == "path")
] + [
    pytest.param(url, {}, style, id=f"{url} {style}") for url in ENDPOINTS[1:] for style in ("auto", "virtual", "path")
]


@pytest.mark.parametrize(("endpoint_url", "variant", "style"), CASES)
def test_a_call_goes_where_botocore_sends_it(endpoint_url: str | None, variant: dict[str, bool], style: str) -> None:
    """Each request of a call has botocore's method, URL and scope, and is signed with the same key; or both refuse."""
    theirs: dict[tuple[str, str], object] = {}
    our: dict[tuple[str, str], object] = {}
    for region in REGIONS:
        if region == "cn-north-1" and ("use_fips" in variant or "use_accelerate" in variant):
            # Refused for the whole session by us, call by call by botocore.
            continue
        client = Theirs(endpoint_url, region, style, variant)
        recorder = Recorder(answer)
        keywords: Any = variant
        with S3Session(
            ACCESS_KEY_ID, SECRET, None, endpoint_url, region, addressing_style=style, **keywords
        ) as session:
            session._client.transport = recorder
            for bucket in NAMES if style == "path" else NAMES + SPECIAL:
                theirs[region, bucket] = client.asked(bucket)
                our[region, bucket] = ours(session, recorder, bucket)
        client.client.close()
    assert {key: value for key, value in theirs.items() if our[key] != value} == {
        key: value for key, value in our.items() if theirs[key] != value
    }
    assert any(theirs.values())
