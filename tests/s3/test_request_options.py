"""What a session tells every request: it reaches those that it belongs to, on all verbs, and no secret is shown."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from s3func import S3Session, TransferConfig
from s3func.errors import InvalidRequest
from s3func.s3.request_options import Encryption
from s3func.server import MemoryBackend, S3App
from tests.s3.rigs import Recorder, recorded
from tests.s3.test_same_as_botocore import BUCKET, CASES, KEY, Case, first_asked, foreign  # noqa: F401 -- a fixture

OWNER = "123456789012"
KEY_BYTES = bytes(range(32))
# AWS has no such parameter on these.
NO_OWNER = {"CreateBucket"}
PAID = {
    *("GetObject", "HeadObject", "PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "ListObjectsV2"),
    *("ListObjectVersions", "ListMultipartUploads", "ListParts", "CreateMultipartUpload", "AbortMultipartUpload"),
    *("GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging", "RestoreObject", "GetObjectAttributes"),
    *("GetObjectRetention", "PutObjectRetention", "GetObjectLegalHold", "PutObjectLegalHold"),
}


def told(case: Case, **options: Any) -> dict[str, str]:
    """The headers of a case's request with these options."""
    return first_asked(Case(lambda session: case.ours(session.with_options(**options)), case.operation)).headers


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.operation}" for number, case in enumerate(CASES)])
def test_every_verb_says_it(case: Case) -> None:
    """Owner and payer stand in every request that has a parameter for them."""
    headers = told(case, expected_bucket_owner=OWNER, request_payer=True)
    assert (OWNER if case.operation not in NO_OWNER else None) == headers.get("x-amz-expected-bucket-owner")
    if case.operation in PAID:
        assert "requester" == headers["x-amz-request-payer"]
    elif not case.is_about_object:
        assert "x-amz-request-payer" not in headers


@pytest.mark.parametrize(
    ("encryption", "parameters"),
    [
        (Encryption.s3(), {"ServerSideEncryption": "AES256"}),
        (
            Encryption.kms("k", context={"a": "b"}, bucket_key=True),
            {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "k",
                "SSEKMSEncryptionContext": "eyJhIjoiYiJ9",
                "BucketKeyEnabled": True,
            },
        ),
        (Encryption.kms(dual_layer=True), {"ServerSideEncryption": "aws:kms:dsse"}),
    ],
    ids=["s3", "kms", "dsse"],
)
@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "CopyObject"])
def test_writes_are_encrypted_as_botocore_says(
    encryption: Encryption,
    parameters: dict[str, Any],
    operation: str,
    foreign: Callable[[str, dict[str, Any]], Any],  # noqa: F811 -- the fixture
) -> None:
    """The headers of the encryption are those of botocore; a read has none of them."""
    case = next(case for case in CASES if case.operation == operation)
    expected = foreign(operation, {**case.parameters, "Key": KEY, **parameters}).headers
    headers = told(case, encryption=encryption)
    wanted = {name: value for name, value in expected.items() if "server-side-encryption" in name}
    assert wanted == {name: value for name, value in headers.items() if "server-side-encryption" in name}
    read = next(case for case in CASES if case.operation == "GetObject")
    assert not [name for name in told(read, encryption=encryption) if "encryption" in name]


def test_a_customers_key_opens_what_it_closed() -> None:
    """Every way to write, copy and read an object works with the key, and none without it."""
    app = S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    with S3Session("id", "secret", BUCKET, transport=app) as plain:
        plain.create_bucket()
        session = plain.with_options(encryption=Encryption.customer(KEY_BYTES))
        large = b"0123456789abcdef" * (5 * 1024 * 1024 // 16) + b"end"
        parts = TransferConfig(multipart_threshold=1024, part_size=5 * 1024 * 1024)
        session.put_object("small", b"secret")
        session.put_object("large", large, transfer=parts)
        with session.open("stream", "wb", transfer=parts) as file:
            file.write(large)
        session.copy_object("small", "copy")
        for key, data in (("small", b"secret"), ("large", large), ("stream", large), ("copy", b"secret")):
            assert data == session.get_object(key).data
            assert len(data) == session.head_object(key).size
            with pytest.raises(InvalidRequest):
                plain.get_object(key)
        assert b"ecr" == session.get_object("small", range_start=1, range_end=3).data
        assert ["copy", "large", "small", "stream"] == [entry.key for entry in plain.list_objects()]
        session.delete_objects(["copy", "large"])


def test_options_add_up_and_the_session_stays() -> None:
    """A session made of another one keeps its options; the first one is as it was."""
    recorder = Recorder()
    with recorded(recorder) as session:
        session.with_options(request_payer=True).with_options(expected_bucket_owner=OWNER).head_object("k")
        session.head_object("k")
    first, second = (sent.headers for sent in recorder.sent)
    assert {"x-amz-request-payer", "x-amz-expected-bucket-owner"} == set(first) - set(second)


def test_what_a_call_says_goes_first() -> None:
    """A header that the call names is not replaced."""
    recorder = Recorder()
    with recorded(recorder) as session:
        session.with_options(encryption=Encryption.kms("a")).put_object(
            "k", b"", headers={"x-amz-server-side-encryption": "AES256"}
        )
    assert {"x-amz-server-side-encryption": "AES256"} == {
        name: value for name, value in recorder.last.headers.items() if "encryption" in name
    }


def test_a_url_says_who_pays() -> None:
    """Whoever has the URL sends no headers, so it stands in its query."""
    with recorded(Recorder()) as session:
        assert "x-amz-request-payer=requester" in session.with_options(request_payer=True).presigned_url("GET", "k")


def test_a_customers_key_is_no_ones_business() -> None:
    """Not in a repr, not in a pickle, and never over http to somewhere else."""
    encryption = Encryption.customer(KEY_BYTES)
    assert "<Encryption customer>" == repr(encryption)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(encryption)
    assert "<Encryption kms>" == repr(pickle.loads(pickle.dumps(Encryption.kms("k"))))
    recorder = Recorder()
    with recorded(recorder, endpoint_url="http://s3.test") as session, pytest.raises(ValueError, match="plain http"):
        session.with_options(encryption=encryption)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (TypeError, {"request_payer": "yes"}),
        (TypeError, {"expected_bucket_owner": 123456789012}),
        (ValueError, {"expected_bucket_owner": "a\r\nb"}),
        (TypeError, {"encryption": "AES256"}),
    ],
)
def test_wrong_options(error: type[Exception], options: dict[str, Any]) -> None:
    """A wrong option is refused by its name."""
    with recorded(Recorder()) as session, pytest.raises(error, match=next(iter(options))):
        session.with_options(**options)


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (TypeError, lambda: Encryption.customer("x" * 32)),  # type: ignore[arg-type]
        (ValueError, lambda: Encryption.customer(b"x" * 31)),
        (TypeError, lambda: Encryption.kms(context=["a"])),  # type: ignore[arg-type]
        (ValueError, lambda: Encryption.kms("a\nb")),
    ],
)
def test_wrong_encryptions(error: type[Exception], make: Callable[[], Encryption]) -> None:
    """A key of the wrong length, or what no header can carry."""
    with pytest.raises(error):
        make()
