"""Addressing: where a bucket is, compared with AWS's published rules and with the URLs that botocore makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import S3Session
from s3func.s3.endpoints import Endpoint, EndpointOptions, check_bucket, check_region, is_loopback, is_region
from s3func.s3.special_buckets import directory_service
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder, WireServer, recorded
from tests.shared_data import SHARED_VECTORS, shared_vectors, tell


def location(endpoint: Endpoint, bucket: str | None) -> str:
    """The URL of a bucket, as the endpoint rules print it: without a slash at the end."""
    place = endpoint.place(bucket)
    return f"{place.origin}{place.prefix}".rstrip("/")


# Each row: bucket, endpoint_url, region, addressing_style, and where the bucket is.
PLACES = [
    ("bucket", None, "us-east-1", "auto", "https://bucket.s3.us-east-1.amazonaws.com"),
    ("bucket", None, "eu-west-1", "auto", "https://bucket.s3.eu-west-1.amazonaws.com"),
    ("bucket", None, "eu-west-1", "path", "https://s3.eu-west-1.amazonaws.com/bucket"),
    ("bucket", None, "cn-north-1", "auto", "https://bucket.s3.cn-north-1.amazonaws.com.cn"),
    ("bucket", None, "us-gov-west-1", "auto", "https://bucket.s3.us-gov-west-1.amazonaws.com"),
    ("bucket", None, "eusc-de-east-1", "auto", "https://bucket.s3.eusc-de-east-1.amazonaws.eu"),
    # What is no host name of one label goes into the path.
    ("with.dots", None, "eu-west-1", "auto", "https://s3.eu-west-1.amazonaws.com/with.dots"),
    ("with.dots", None, "eu-west-1", "virtual", "https://s3.eu-west-1.amazonaws.com/with.dots"),
    ("UpperCase", None, "us-east-1", "auto", "https://s3.us-east-1.amazonaws.com/UpperCase"),
    ("UpperCase", None, "us-east-1", "virtual", "https://s3.us-east-1.amazonaws.com/UpperCase"),
    ("under_score", None, "us-east-1", "auto", "https://s3.us-east-1.amazonaws.com/under_score"),
    ("ab", None, "us-east-1", "auto", "https://s3.us-east-1.amazonaws.com/ab"),
    ("b" * 63, None, "us-east-1", "auto", f"https://{'b' * 63}.s3.us-east-1.amazonaws.com"),
    ("b" * 64, None, "us-east-1", "auto", f"https://s3.us-east-1.amazonaws.com/{'b' * 64}"),
    # Other stores are addressed by path, unless told otherwise.
    ("bucket", "https://store.example", "us-east-1", "auto", "https://store.example/bucket"),
    ("bucket", "https://store.example", "us-east-1", "virtual", "https://bucket.store.example"),
    ("with.dots", "http://store.example", "us-east-1", "virtual", "http://with.dots.store.example"),
    ("with.dots", "https://store.example", "us-east-1", "virtual", "https://store.example/with.dots"),
    ("bucket", "http://127.0.0.1:9000", "us-east-1", "virtual", "http://127.0.0.1:9000/bucket"),
    ("bucket", "http://[::1]:9000", "us-east-1", "virtual", "http://[::1]:9000/bucket"),
    ("bucket", "http://localhost:9000", "us-east-1", "virtual", "http://bucket.localhost:9000"),
    # Ports, case, prefixes.
    ("bucket", "https://store.example:443", "us-east-1", "auto", "https://store.example/bucket"),
    ("bucket", "http://store.example:80", "us-east-1", "auto", "http://store.example/bucket"),
    ("bucket", "https://store.example:80", "us-east-1", "auto", "https://store.example:80/bucket"),
    ("bucket", "http://store.example:443", "us-east-1", "auto", "http://store.example:443/bucket"),
    ("bucket", "http://store.example:", "us-east-1", "auto", "http://store.example/bucket"),
    ("bucket", "HTTPS://Store.Example:8443/", "us-east-1", "auto", "https://store.example:8443/bucket"),
    ("bucket", "https://[2001:DB8::1]:443", "us-east-1", "auto", "https://[2001:db8::1]/bucket"),
    ("bucket", "https://[2001:db8::1]:9000", "us-east-1", "auto", "https://[2001:db8::1]:9000/bucket"),
    ("bucket", "https://store.example/s3/", "us-east-1", "auto", "https://store.example/s3/bucket"),
    ("bucket", "https://store.example/a/b%20c", "us-east-1", "auto", "https://store.example/a/b%20c/bucket"),
    ("bucket", "https://store.example/s3", "us-east-1", "virtual", "https://bucket.store.example/s3"),
    (None, "https://store.example/s3/", "us-east-1", "auto", "https://store.example/s3"),
    (None, None, "eu-west-1", "auto", "https://s3.eu-west-1.amazonaws.com"),
]


@pytest.mark.parametrize(("bucket", "endpoint_url", "region", "style", "expected"), PLACES)
def test_where_a_bucket_is(
    bucket: str | None, endpoint_url: str | None, region: str, style: str, expected: str
) -> None:
    """Endpoint, region and style say where a bucket is, and the Host header says the same."""
    endpoint = Endpoint(endpoint_url, region, style)
    assert expected == location(endpoint, bucket)
    place = endpoint.place(bucket)
    assert urlsplit(expected).netloc == place.host
    assert f"{urlsplit(expected).scheme}://{place.host}" == place.origin
    assert region == place.region
    assert place.prefix.endswith("/")


@pytest.fixture(scope="module")
def foreign() -> botocore.session.Session:
    """botocore, with credentials of nobody."""
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY_ID, SECRET)
    return session


ORACLE_BUCKETS = ["bucket", "with.dots", "Upper", "under_score", "ab", "b" * 63, "b" * 64, "1bucket2", "a-b-c"]
ORACLE_ENDPOINTS = [
    None,
    "http://localhost:9000",
    "http://127.0.0.1:9000",
    "https://store.example",
    "https://store.example:443",
    "http://store.example:80/prefix",
    "https://[2001:db8::1]:9000",
]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "cn-northwest-1", "us-gov-east-1", "us-isob-east-1"])
@pytest.mark.parametrize("style", ["auto", "path", "virtual"])
@pytest.mark.parametrize("endpoint_url", ORACLE_ENDPOINTS)
def test_a_url_is_the_one_of_botocore(
    foreign: botocore.session.Session, endpoint_url: str | None, style: str, region: str
) -> None:
    """With the same endpoint, region and style, scheme, host and path of an object are those that botocore makes."""
    # Our "auto": other stores than AWS may have no wildcard in their DNS. (botocore's gives some regions the old global
    # host, which answers with a redirect.)
    auto = "virtual" if endpoint_url is None else "path"
    theirs_style = auto if style == "auto" else style
    config = botocore.config.Config(
        signature_version="s3v4", s3={"addressing_style": theirs_style, "us_east_1_regional_endpoint": "regional"}
    )
    client = foreign.create_client("s3", region, endpoint_url=endpoint_url, config=config)
    theirs, ours = {}, {}
    with S3Session(ACCESS_KEY_ID, SECRET, None, endpoint_url, region, addressing_style=style) as session:
        for bucket in ORACLE_BUCKETS:
            if bucket == "with.dots" and endpoint_url == "http://127.0.0.1:9000":
                # botocore makes with.dots.127.0.0.1 of it, which is no host.
                continue
            url = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a//b c/é"})
            theirs[bucket] = without_default_port(url)
            ours[bucket] = session.presigned_url("GET", "a//b c/é", bucket=bucket).partition("?")[0]
    client.close()
    assert theirs == ours


def without_default_port(url: str) -> str:
    """The URL without its query and without a port that goes without saying."""
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}{parts.path}"


def test_every_region_that_botocore_knows(foreign: botocore.session.Session) -> None:
    """The host of each region of each partition is the published one."""
    for partition in json.loads(json.dumps(foreign.get_data("partitions")))["partitions"]:
        for region in partition["regions"]:
            if not region.endswith("-global"):
                expected = f"https://bucket.s3.{region}.{partition['outputs']['dnsSuffix']}"
                assert expected == location(Endpoint(None, region), "bucket")


# Recorded cases that are not ours to pass: what is true of their parameters, how many there are, and why not.
EXCLUDED_RULES: list[tuple[Callable[[dict[str, Any]], bool], int, str]] = [
    (
        lambda params: bool(params.get("UseObjectLambdaEndpoint")),
        9,
        "WriteGetObjectResponse is what a Lambda function calls for a client, not what a client calls",
    ),
]
RULE_CASES, EXCLUDED_CASES = 393, 9
# Names that no bucket has and that we refuse; the cases that have one are run with a name that is as little a host.
NO_BUCKETS = {"bucket!", "bucket name", "example.com#"}
STAND_IN = "Bucket_1"


def all_rule_cases() -> list[dict[str, Any]]:
    """AWS's recorded cases of the endpoint rules."""
    path = SHARED_VECTORS / "endpoints/s3-endpoint-tests-1.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text())["testCases"] if path.exists() else []
    return cases


def rule_cases() -> list[Any]:
    """The recorded cases that are ours to pass."""
    ours = [case for case in all_rule_cases() if not any(applies(case["params"]) for applies, *_ in EXCLUDED_RULES)]
    return [pytest.param(case, id=case["documentation"]) for case in ours] or [pytest.param({}, id="no vectors")]


def test_every_published_endpoint_rule_is_run_or_excluded_for_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """All recorded cases but nine are run, each of the nine is excluded for a reason that stands above; both are printed."""
    shared_vectors("endpoints/s3-endpoint-tests-1.json")
    cases = all_rule_cases()
    assert RULE_CASES == len(cases)
    for applies, number, reason in EXCLUDED_RULES:
        assert reason
        assert number == sum(applies(case["params"]) for case in cases)
    assert RULE_CASES - EXCLUDED_CASES == len(rule_cases())
    run = f"endpoints: {len(rule_cases())} recorded cases run, {EXCLUDED_CASES} excluded"
    tell(capsys, run, [reason for *_, reason in EXCLUDED_RULES])


def options_of(params: dict[str, Any]) -> EndpointOptions:
    """The options that a recorded case sets."""
    return EndpointOptions(
        use_dualstack=params.get("UseDualStack", False),
        use_fips=params.get("UseFIPS", False),
        use_accelerate=params.get("Accelerate", False),
        use_arn_region=params.get("UseArnRegion", True),
        use_global_endpoint=params.get("UseGlobalEndpoint", False),
        disable_multiregion_access_points=params.get("DisableMultiRegionAccessPoints", False),
        disable_s3_express_session_auth=params.get("DisableS3ExpressSessionAuth", False),
    )


@pytest.mark.parametrize("case", rule_cases())
def test_the_published_endpoint_rules(case: dict[str, Any]) -> None:
    """URL, signing name, signing region and kind of signature are those of AWS's rules; their errors are ValueErrors."""
    shared_vectors("endpoints/s3-endpoint-tests-1.json")
    params, expect = case["params"], case["expect"]
    style = "path" if params.get("ForcePathStyle") else "virtual"
    bucket = params.get("Bucket")
    url = expect.get("endpoint", {}).get("url", "")
    if bucket in NO_BUCKETS:
        with pytest.raises(ValueError, match="bucket is not a bucket name"):
            check_bucket(bucket)
        url, bucket = url.replace(quote(bucket), STAND_IN), STAND_IN
    try:
        endpoint = Endpoint(params.get("Endpoint"), params.get("Region"), style, options_of(params))
        checked = None if bucket is None else check_bucket(bucket)
        if not (params.get("UseS3ExpressControlEndpoint") or params.get("DisableAccessPoints")):
            place = endpoint.place(checked)
        elif checked is None:
            place = directory_service(endpoint)
        else:
            place = endpoint.control_place(checked)
    except (ValueError, TypeError) as error:
        assert "error" in expect, error
        return
    assert "error" not in expect, place
    assert url == f"{place.origin}{place.prefix}".rstrip("/")
    scheme = expect["endpoint"]["properties"]["authSchemes"][-1]
    region = scheme["signingRegionSet"][0] if "signingRegionSet" in scheme else scheme["signingRegion"]
    assert (scheme["name"], scheme["signingName"], region) == (place.scheme, place.service, place.region)


def hostable_cases() -> list[Any]:
    """AWS's cases of names that can be a host of their own."""
    path = SHARED_VECTORS / "endpoints/is-virtual-hostable-s3-bucket.json"
    cases = json.loads(path.read_text())["testCases"] if path.exists() else []
    return [pytest.param(case, id=case["params"]["BucketName"]) for case in cases] or [pytest.param({}, id="none")]


@pytest.mark.parametrize("case", hostable_cases())
def test_the_published_host_names(case: dict[str, Any]) -> None:
    """A bucket has a host of its own exactly where AWS's rule says so, the ones with dots over plain http only."""
    shared_vectors("endpoints/is-virtual-hostable-s3-bucket.json")
    bucket = case["params"]["BucketName"]
    hosts = {
        scheme: Endpoint(f"{scheme}://s3.amazonaws.com", "us-east-1", "virtual").place(bucket).origin
        for scheme in ("http", "https")
    }
    expected = case["expect"].get("endpoint", {}).get("url", "")
    for scheme, origin in hosts.items():
        virtual = expected != "" and (expected.startswith("https:") or scheme == "http")
        assert virtual == (f"{scheme}://{bucket}.s3.amazonaws.com" == origin)


def test_what_the_wire_says_is_the_place() -> None:
    """Host header and request line of a real request are the endpoint's, its prefix included."""
    with WireServer() as wire, S3Session(ACCESS_KEY_ID, SECRET, "bucket", f"{wire.url}/s3/v1/") as session:
        session.put_object("a//b", b"")
        assert ("PUT", "/s3/v1/bucket/a//b", "HTTP/1.1") == wire.last.line
        assert wire.url == f"http://{dict(wire.last.headers)['host']}"
        session.head_bucket()
        assert ("HEAD", "/s3/v1/bucket", "HTTP/1.1") == wire.last.line


@pytest.mark.parametrize(
    ("endpoint_url", "bucket_path", "service_path"),
    [("http://localhost", "/bucket", "/"), ("http://localhost/s3/", "/s3/bucket", "/s3")],
)
def test_the_bucket_itself_has_no_slash_at_its_end(endpoint_url: str, bucket_path: str, service_path: str) -> None:
    """Operations on the bucket and on the service name it and nothing below it."""
    recorder = Recorder()
    session = recorded(recorder, endpoint_url=endpoint_url)
    session.head_bucket()
    session.create_bucket()
    session.delete_bucket()
    list(session.list_objects())
    assert {bucket_path} == {sent.path for sent in recorder.sent}
    session.request("GET")
    assert bucket_path == recorder.last.path


def test_another_region_is_another_host_on_aws_only() -> None:
    """After a redirect, AWS's host and path follow the region; another store stays where it is."""
    assert (
        "https://bucket.s3.eu-west-1.amazonaws.com" == Endpoint(None, "us-east-1").place("bucket", "eu-west-1").origin
    )
    place = Endpoint("https://store.example", "us-east-1").place("bucket", "eu-west-1")
    assert ("https://store.example", "eu-west-1") == (place.origin, place.region)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "http://localhost:9000", "http://127.0.0.1:1", "https://127.9.9.9", "http://[::1]:80"],
)
def test_loopback(origin: str) -> None:
    """What never leaves the machine is known as such."""
    assert is_loopback(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1.example.com",
        "http://127.example.com",
        "http://127.0.0.1.nip.io:9000",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "http://10.0.0.1",
        "http://[::2]",
        "http://[::1].example.com",
        "http://1127.0.0.1",
    ],
)
def test_no_loopback(origin: str) -> None:
    """A host that only begins like one is not this machine, so the body sent there over plain http is signed."""
    assert not is_loopback(origin)


def test_regions_that_servers_claim() -> None:
    """A region from an answer is believed only if it could be given as an argument."""
    for text in ("us-east-1", "EU", "garage", "x" * 63):
        assert is_region(text)
        assert text == check_region(text)
    for text in ("", "a.b", "a/b", "evil.com#", "a b", "-a", "a-", "x" * 64, "é"):
        assert not is_region(text)


@pytest.mark.parametrize(
    "url", ["https://AKID:SEKRET@h", "https://AKID:12/SEKRET@h", "h:SEKRET@x", "https://h/?t=SEKRET"]
)
@pytest.mark.parametrize("bad", ["", " ", "\r\n", "/../x"])
def test_a_secret_in_the_endpoint_is_not_repeated(url: str, bad: str) -> None:
    """An endpoint_url with credentials or a query is refused without showing them."""
    with pytest.raises(ValueError, match="endpoint_url") as caught:
        S3Session(ACCESS_KEY_ID, SECRET, "bucket", url + bad)
    assert "SEKRET" not in str(caught.value)
    assert "SEKRET" not in repr(caught.value.__context__)


# What could be taken for a part of a host, of a path or of a header.
HOSTILE = st.text(alphabet="aA0-._:/#@%?& \r\n\0é", max_size=12)
PART = st.sampled_from(["arn", "aws", "aws-cn", "s3", "s3-outposts", "s3-object-lambda", "us-east-1", "123456789012"])


@given(
    parts=st.lists(st.one_of(PART, HOSTILE), min_size=5, max_size=5),
    kind=st.sampled_from(
        ["accesspoint:", "accesspoint/", "outpost/op-1/accesspoint/", "outpost:op-1:accesspoint:", ""]
    ),
    name=HOSTILE,
    suffix=st.sampled_from(["", "--use1-az4--x-s3", "--use1-az4--xa-s3", "--op-s3"]),
)
def test_no_name_leads_out_of_aws(parts: list[str], kind: str, name: str, suffix: str) -> None:
    """Whatever stands for a bucket, an ARN with hostile parts as well, the host is AWS's own, or the name is refused."""
    endpoint = Endpoint(None, "us-east-1")
    for bucket in (f"{':'.join(parts)}:{kind}{name}{suffix}", f"arn:{':'.join(parts[1:])}:{kind}{name}", name + suffix):
        try:
            place = endpoint.place(check_bucket(bucket))
        except ValueError:
            continue
        assert re.fullmatch(r"[A-Za-z0-9.-]+\.amazonaws\.com", place.host)
        assert f"https://{place.host}" == place.origin
        assert place.prefix in {"/", f"/{bucket}/"}


@given(zone=HOSTILE)
def test_no_zone_leads_out_of_aws(zone: str) -> None:
    """The zone in a directory bucket's name becomes a part of the host only if it can be one."""
    try:
        place = Endpoint(None, "us-east-1").place(check_bucket(f"name--{zone}--x-s3"))
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9-]+\.s3express-[a-z0-9-]+\.us-east-1\.amazonaws\.com", place.host)
