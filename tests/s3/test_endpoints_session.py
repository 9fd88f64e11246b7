"""What a session makes of its endpoint: stores by name and host, the settings' order, ARNs, sessions of directory buckets."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from s3func import S3Session, TransferConfig
from s3func.errors import AccessDenied, CredentialsError, NotSupported, ProtocolError, Redirected
from s3func.message import Request, Response
from s3func.s3.endpoints import Endpoint, PartRules
from s3func.s3.express import directory_bucket_document
from s3func.transport.transfer import MIB
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, FrozenClock, Recorder, success

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
DIRECTORY = "name--use1-az4--x-s3"
ZONAL = f"https://{DIRECTORY}.s3express-use1-az4.us-east-1.amazonaws.com"


def session_at(recorder: Recorder, bucket: str | None = None, **options: Any) -> S3Session:
    """A session that believes to talk to the store that it is told, and talks to the recorder."""
    settings: dict[str, Any] = {"clock": FrozenClock(), "bucket": bucket, "retries": 1}
    session = S3Session(ACCESS_KEY_ID, SECRET, **(settings | options))
    session._client.transport = recorder
    return session


# --- stores


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ({"store": "wasabi", "region": "eu-central-1"}, {}, ("https://s3.eu-central-1.wasabisys.com", "eu-central-1")),
        ({"store": "wasabi"}, {}, ("https://s3.us-east-1.wasabisys.com", "us-east-1")),
        ({"store": "hetzner"}, {"AWS_REGION": "fsn1"}, ("https://fsn1.your-objectstorage.com", "fsn1")),
        ({"store": "aws"}, {}, ("https://s3.us-east-1.amazonaws.com", "us-east-1")),
        ({"store": "gcs"}, {}, ("https://storage.googleapis.com", "auto")),
        (
            {"store": "garage", "endpoint_url": "http://garage.example:3900"},
            {},
            ("http://garage.example:3900", "garage"),
        ),
        # The host knows its region better than a variable that is about AWS; an argument knows it better than the host.
        ({"endpoint_url": "https://fra1.digitaloceanspaces.com"}, {}, ("https://fra1.digitaloceanspaces.com", "fra1")),
        (
            {"endpoint_url": "https://fra1.digitaloceanspaces.com"},
            {"AWS_REGION": "us-west-2"},
            ("https://fra1.digitaloceanspaces.com", "fra1"),
        ),
        (
            {"endpoint_url": "https://fra1.digitaloceanspaces.com", "region": "us-east-1"},
            {},
            ("https://fra1.digitaloceanspaces.com", "us-east-1"),
        ),
        (
            {},
            {"AWS_ENDPOINT_URL": "https://a.r2.cloudflarestorage.com", "AWS_REGION": "eu-west-1"},
            ("https://a.r2.cloudflarestorage.com", "auto"),
        ),
        (
            {"endpoint_url": "https://store.example"},
            {"AWS_REGION": "eu-west-1"},
            ("https://store.example", "eu-west-1"),
        ),
        ({"endpoint_url": "https://store.example"}, {}, ("https://store.example", "us-east-1")),
    ],
)
def test_where_a_session_goes(
    options: dict[str, Any], environment: dict[str, str], expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments go before what the store's host says, and that before environment and default."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with session_at(Recorder(), **options) as session:
        assert expected == (session.endpoint_url, session.region)


def test_a_store_that_refuses_checksums_gets_none() -> None:
    """B2's S3 side refuses checksum headers by name, so none is sent, neither up nor down, unless it is asked for."""
    recorder = Recorder()
    with session_at(recorder, "bucket", endpoint_url="https://s3.eu-central-003.backblazeb2.com") as session:
        session.put_object("key", b"body")
        session.get_object("key")
        session.head_object("key")
        assert not [name for sent in recorder.sent for name in sent.headers if name.startswith("x-amz-checksum")]
        session.put_object("key", b"body", checksum="crc32")
        assert "x-amz-checksum-crc32" in recorder.last.headers
    url = "https://s3.eu-central-003.backblazeb2.com"
    with session_at(recorder, "bucket", endpoint_url=url, checksum="sha256", verify_downloads=True) as session:
        session.put_object("key", b"body")
        assert "x-amz-checksum-sha256" in recorder.last.headers
        session.get_object("key")
        assert "x-amz-checksum-mode" in recorder.last.headers


def test_buckets_in_the_host_where_a_store_wants_them_there() -> None:
    """What "auto" means is the store's row; the caller's word counts more."""
    recorder = Recorder()
    for options, origin in (
        ({}, "https://bucket.s3.oss-cn-hangzhou.aliyuncs.com"),
        ({"addressing_style": "path"}, "https://s3.oss-cn-hangzhou.aliyuncs.com"),
    ):
        with session_at(recorder, "bucket", store="alibaba", region="cn-hangzhou", **options) as session:
            session.head_bucket()
        assert origin == recorder.last.origin


# --- environment and profile


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://bucket.s3.dualstack.us-east-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://bucket.s3-fips.us-east-1.amazonaws.com"),
        ({"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy"}, "https://bucket.s3.amazonaws.com"),
        ({"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional"}, "https://bucket.s3.us-east-1.amazonaws.com"),
        ({"AWS_REGION": "aws-global"}, "https://bucket.s3.amazonaws.com"),
        # What is wanted of AWS's endpoints means no other store.
        ({"AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL": "https://store.example"}, "https://store.example"),
    ],
)
def test_what_the_environment_wants(environment: dict[str, str], origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the other SDKs choose AWS's endpoint."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    recorder = Recorder()
    with session_at(recorder, "bucket") as session:
        session.head_bucket()
    assert origin == recorder.last.origin
    assert "/us-east-1/s3/aws4_request" in recorder.last.headers["authorization"]


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """False switches off what the environment switches on; an unknown keyword is refused by name."""
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    recorder = Recorder()
    with session_at(recorder, "bucket", use_dualstack=False, use_fips=True) as session:
        session.head_bucket()
    assert "https://bucket.s3-fips.us-east-1.amazonaws.com" == recorder.last.origin
    with pytest.raises(TypeError, match="S3Session has no argument 'use_ipv6'"):
        session_at(recorder, use_ipv6=True)


# --- ARNs


def test_an_arn_goes_where_a_bucket_goes() -> None:
    """An access point is asked at its own host, in its own region, as the session's bucket and as an argument."""
    recorder = Recorder()
    host = "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"
    with session_at(recorder, ARN, region="us-east-1") as session:
        assert ARN == session.bucket
        session.put_object("a//b", b"")
        assert ("PUT", f"https://{host}", "/a//b") == recorder.last[:3]
        assert "/eu-west-1/s3/aws4_request" in recorder.last.headers["authorization"]
        assert session.presigned_url("GET", "key").startswith(f"https://{host}/key?")
    with session_at(recorder) as session:
        list(session.list_objects(bucket=ARN))
        assert f"https://{host}" == recorder.last.origin
        session.copy_object("a//b c", "copy", source_bucket=ARN, dest_bucket="bucket")
        source = "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/mine/object/a//b%20c"
        assert source == recorder.last.headers["x-amz-copy-source"]


def test_an_arn_that_cannot_be_used_is_refused_at_once() -> None:
    """The session itself refuses a bucket that can have no place, and says what to give instead."""
    with pytest.raises(ValueError, match="use_arn_region is False: give the session that region"):
        session_at(Recorder(), ARN, use_arn_region=False)
    with pytest.raises(ValueError, match="give the bucket's name, 'bucket'"):
        session_at(Recorder(), "arn:aws:s3:::bucket")
    with pytest.raises(NotSupported, match="give one of its buckets, or an access point of one region"):
        session_at(Recorder(), "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap")
    with (
        pytest.raises(ValueError, match="bucket must be a name here, not an access point"),
        session_at(Recorder(), ARN) as session,
    ):
        session.create_bucket()


# --- directory buckets


class Express:
    """A store with directory buckets: its sessions have numbers and live for five minutes."""

    def __init__(self, clock: FrozenClock, refuse: Callable[[Request], Response | None] = lambda _: None) -> None:
        self.clock = clock
        self.refuse = refuse
        self.sessions = 0

    def __call__(self, request: Request) -> Response:
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        if request.query != "session=":
            return success(request)
        self.sessions += 1
        end = int(self.clock.now() - 1795255200 + 300)
        document = (
            f"<CreateSessionResult><Credentials><SessionToken>TOKEN{self.sessions}</SessionToken>"
            f"<SecretAccessKey>secret</SecretAccessKey><AccessKeyId>ASIA{self.sessions}</AccessKeyId>"
            f"<Expiration>2026-11-21T{10 + end // 3600:02}:{end // 60 % 60:02}:{end % 60:02}Z</Expiration>"
            "</Credentials></CreateSessionResult>"
        )
        return Response(200, {}, document.encode())


def test_a_directory_bucket_has_a_session() -> None:
    """One CreateSession, signed with the account's keys, serves the calls that follow it, and is renewed before its end."""
    clock = FrozenClock()
    recorder = Recorder(Express(clock))
    with session_at(recorder, DIRECTORY, clock=clock) as session:
        session.put_object("a//b", b"")
        session.head_object("a//b")
        create, put, head = recorder.sent
        assert ("GET", ZONAL, "/", "session=") == create[:4]
        assert f"{ACCESS_KEY_ID}/20261121/us-east-1/s3express/aws4_request" in create.headers["authorization"]
        assert ("PUT", ZONAL, "/a//b") == put[:3]
        for sent in (put, head):
            assert "Credential=ASIA1/20261121/us-east-1/s3express/aws4_request" in sent.headers["authorization"]
            assert "TOKEN1" == sent.headers["x-amz-s3session-token"]
            assert "x-amz-security-token" not in sent.headers
        clock.sleep(290)
        session.head_object("a//b")
        assert ["session=", ""] == [sent.query for sent in recorder.sent[3:]]
        assert "TOKEN2" == recorder.last.headers["x-amz-s3session-token"]


def test_a_session_is_one_for_all_threads() -> None:
    """However many threads begin at once, they get one session."""
    clock = FrozenClock()
    store = Express(clock)
    recorder = Recorder(store)
    with session_at(recorder, clock=clock) as session:
        barrier = threading.Barrier(20)

        def head() -> None:
            barrier.wait()
            session.head_object("key", bucket=DIRECTORY)

        threads = [threading.Thread(target=head) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 == store.sessions
    assert 21 == len(recorder.sent)


def test_what_a_session_is_not_for() -> None:
    """Copies are signed with the account's keys; a presigned URL names the token as directory buckets do."""
    clock = FrozenClock()
    recorder = Recorder(Express(clock))
    with session_at(recorder, DIRECTORY, clock=clock) as session:
        session.copy_object("a", "b")
        assert ZONAL == recorder.last.origin
        assert f"Credential={ACCESS_KEY_ID}/" in recorder.last.headers["authorization"]
        url = session.presigned_url("GET", "key")
        assert "X-Amz-S3session-Token=TOKEN1" in url
        assert "X-Amz-Security-Token" not in url


def test_directory_buckets_without_sessions() -> None:
    """disable_s3_express_session_auth signs with the account's keys; anonymous requests are not signed at all."""
    recorder = Recorder()
    with session_at(recorder, DIRECTORY, disable_s3_express_session_auth=True) as session:
        session.head_object("key")
    assert f"Credential={ACCESS_KEY_ID}/20261121/us-east-1/s3express/" in recorder.last.headers["authorization"]
    session = S3Session(bucket=DIRECTORY, anonymous=True, region="us-east-1")
    session._client.transport = recorder
    session.head_object("key")
    session.close()
    assert "authorization" not in recorder.last.headers
    assert 2 == len(recorder.sent)


def test_a_directory_bucket_is_made_and_deleted_elsewhere() -> None:
    """CreateBucket and DeleteBucket go to the control endpoint; the document names the zone that stands in the name."""
    recorder = Recorder()
    with session_at(recorder, DIRECTORY) as session:
        session.create_bucket()
        session.delete_bucket()
    control = "https://s3express-control.us-east-1.amazonaws.com"
    assert [("PUT", control, f"/{DIRECTORY}"), ("DELETE", control, f"/{DIRECTORY}")] == [
        sent[:3] for sent in recorder.sent
    ]
    assert directory_bucket_document(DIRECTORY) == recorder.sent[0].body
    assert b"<Name>use1-az4</Name><Type>AvailabilityZone</Type>" in recorder.sent[0].body
    assert b"<Name>usw2-lax1-az1</Name><Type>LocalZone</Type>" in directory_bucket_document("n--usw2-lax1-az1--x-s3")


def refusing(status: int, code: str) -> Callable[[Request], Response | None]:
    document = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return lambda request: Response(status, {}, document) if request.query == "session=" else None


def test_a_session_that_is_refused() -> None:
    """Why CreateSession fails is the error of the call; a store that does not know it says how to do without."""
    clock = FrozenClock()
    session = session_at(Recorder(Express(clock, refusing(403, "AccessDenied"))), DIRECTORY, clock=clock)
    with session, pytest.raises(AccessDenied, match="403 AccessDenied"):
        session.head_object("key")
    session = session_at(Recorder(Express(clock, refusing(501, "NotImplemented"))), DIRECTORY, clock=clock)
    with session, pytest.raises(NotSupported, match="disable_s3_express_session_auth=True does without"):
        session.head_object("key")


@pytest.mark.parametrize(
    "document",
    [
        b"<CreateSessionResult/>",
        b"<CreateSessionResult><Credentials/></CreateSessionResult>",
        (
            b"<CreateSessionResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>"
            b"<SessionToken>c</SessionToken><Expiration>soon</Expiration></Credentials></CreateSessionResult>"
        ),
    ],
)
def test_a_session_that_is_none(document: bytes) -> None:
    """An answer to CreateSession that lacks something is a ProtocolError, and nothing is sent unsigned."""
    recorder = Recorder(lambda _: Response(200, {}, document))
    with session_at(recorder, DIRECTORY) as session, pytest.raises((ProtocolError, CredentialsError)):
        session.head_object("key")
    assert {"session="} == {sent.query for sent in recorder.sent}


def test_a_directory_bucket_is_configured_elsewhere() -> None:
    """What a bucket is told about itself goes to the control endpoint, signed with the account's keys."""
    recorder = Recorder(lambda _: Response(200, {}, b'{"Statement": []}'))
    with session_at(recorder, DIRECTORY) as session:
        session.get_bucket_policy()
    assert ("GET", "https://s3express-control.us-east-1.amazonaws.com", f"/{DIRECTORY}", "policy=") == recorder.last[:4]
    assert f"Credential={ACCESS_KEY_ID}/20261121/us-east-1/s3express/" in recorder.last.headers["authorization"]


def test_an_alias_of_an_outposts_access_point_has_one_place() -> None:
    """There is no other endpoint to configure it at."""
    alias = "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3"
    endpoint = Endpoint(None, "us-east-1")
    assert endpoint.place(alias) == endpoint.control_place(alias)


def test_a_place_that_its_name_gives_is_not_left() -> None:
    """A redirect to another region cannot move an access point: it is the error at once, and not tried again."""
    refusal = Response(301, {"x-amz-bucket-region": "eu-west-2"}, b"<Error><Code>PermanentRedirect</Code></Error>")
    recorder = Recorder(lambda _: refusal)
    with session_at(recorder, ARN, region="us-east-1") as session, pytest.raises(Redirected):
        session.get_object("key")
    assert 1 == len(recorder.sent)


@pytest.mark.parametrize(
    ("endpoint_url", "names"),
    [
        (None, True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.eu-west-1.wasabisys.com", False),
        ("https://store.example", False),
    ],
)
def test_who_wants_the_region_of_a_new_bucket_named(endpoint_url: str | None, names: bool) -> None:
    """AWS does, also where its endpoint is given as a URL; others refuse names that they do not know."""
    recorder = Recorder()
    with session_at(recorder, "bucket", endpoint_url=endpoint_url, region="eu-west-1") as session:
        session.create_bucket()
    assert names == (b"<LocationConstraint>eu-west-1<" in recorder.last.body)


# --- parts


def sized(request: Request) -> Response:
    """The shortest answers, and an object of 12 MiB for those who ask how large it is."""
    if "x-amz-copy-source" in request.headers and "uploadId" in request.query:
        return Response(200, {}, b"<CopyPartResult><ETag>&quot;0&quot;</ETag></CopyPartResult>")
    response = success(request)
    if request.method == "HEAD":
        response.headers["content-length"] = str(12 * MIB)
    return response


def test_parts_are_as_few_as_the_store_takes() -> None:
    """A part size that would need more parts than the store takes gives way, when bytes are sent and when they are copied."""
    recorder = Recorder(sized)
    transfer = TransferConfig(multipart_threshold=1, part_size=5 * MIB)
    with session_at(recorder, "bucket", store="scaleway", region="fr-par", transfer=transfer) as session:
        assert 1000 == session._endpoint.parts.most
        session._endpoint.parts = PartRules(most=2)
        session.put_object("key", bytes(12 * MIB))
        assert [6 * MIB, 6 * MIB] == [len(sent.body) for sent in recorder.sent if "partNumber" in sent.query]
        recorder.sent.clear()
        session.copy_object("key", "copy", transfer=transfer)
        ranges = sorted(sent.headers["x-amz-copy-source-range"] for sent in recorder.sent if "partNumber" in sent.query)
        assert [f"bytes=0-{6 * MIB - 1}", f"bytes={6 * MIB}-{12 * MIB - 1}"] == ranges


def test_a_store_that_cannot_copy_parts_copies_in_one_request() -> None:
    """Whatever the threshold says, one CopyObject does it where there is no UploadPartCopy."""
    recorder = Recorder(sized)
    with session_at(recorder, "bucket", store="gcs") as session:
        session.copy_object("key", "copy", transfer=TransferConfig(multipart_threshold=1, part_size=5 * MIB))
    assert ["HEAD", "PUT"] == [sent.method for sent in recorder.sent]


def test_a_store_that_may_not_be_asked_for_checksums_is_not_asked_before_a_copy() -> None:
    """Nothing that a session sends of its own accord has the header that such a store refuses."""
    recorder = Recorder(sized)
    url = "https://s3.eu-central-003.backblazeb2.com"
    with session_at(recorder, "bucket", endpoint_url=url) as session:
        session.copy_object("key", "copy", transfer=TransferConfig(multipart_threshold=1))
    assert "HEAD" == recorder.sent[0].method
    assert not [sent for sent in recorder.sent if "x-amz-checksum-mode" in sent.headers]


# --- what is imported


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("bucket='b-1'", []),
        ("bucket='b-1', endpoint_url='http://127.0.0.1:9000'", []),
        ("bucket='b-1', endpoint_url='https://store.example'", ["stores"]),
        ("bucket='arn:aws:s3:eu-west-1:123456789012:accesspoint/mine'", ["special_buckets"]),
        ("bucket='b-1', use_fips=True", ["session_keywords"]),
    ],
)
def test_what_is_rare_is_imported_when_it_is_named(arguments: str, expected: list[str]) -> None:
    """A session at AWS or on this machine needs neither the stores nor the rules for special buckets."""
    names = ["advice", "express", "session_keywords", "special_buckets", "stores"]
    code = (
        f"import sys; from s3func import S3Session; S3Session('a', 'b', region='us-east-1', {arguments})\n"
        f"print([name for name in {names} if 's3func.s3.' + name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(expected) == printed.stdout.strip()
