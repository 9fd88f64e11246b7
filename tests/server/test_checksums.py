"""Checksums of objects, of parts and of what is made of parts, and GetObjectAttributes, which tells them."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import Any

import pytest

from s3func.message import Response
from s3func.wire import s3xml_multipart
from s3func.wire.encoding import encode_query
from s3func.wire.s3xml_multipart import CompletedPart, ObjectAttributes
from tests.server.forge import Caller, base64_of, code, keys, read
from tests.server.parts import PART, begin, complete, put_part, send_part, upload

BODY = bytes(range(256))
ALGORITHMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]
MODE = {"x-amz-checksum-mode": "ENABLED"}
BODIES = [letter * PART for letter in (b"A", b"B", b"C")]
# What ceph/s3-tests demands of three parts of 5 MiB, "A"s, "B"s and "C"s: computed by others than us.
FOREIGN = [
    ("crc32", "FULL_OBJECT", ["JRTCyQ==", "QoZTGg==", "YAgjqw=="], "WgDhBQ=="),
    ("crc64nvme", "FULL_OBJECT", ["L/E4WYn8v98=", "xW1l19VobYM=", "cK5MnNaWrW4="], "i+6LR0y3eFo="),
    (
        "sha256",
        "COMPOSITE",
        [
            "275VF5loJr1YYawit0XSHREhkFXYkkPKGuoK0x9VKxI=",
            "mrHwOfjTL5Zwfj74F05HOQGLdUb7E5szdCbxgUSq6NM=",
            "Vw7oB/nKQ5xWb3hNgbyfkvDiivl+U+/Dft48nfJfDow=",
        ],
        "uWBwpe1dxI4Vw8Gf0X9ynOdw/SS6VBzfWm9giiv1sf4=-3",
    ),
]


def checksum_headers(response: Response) -> dict[str, str]:
    """The checksums in an answer, by algorithm, and their "type"."""
    prefix = "x-amz-checksum-"
    return {name.removeprefix(prefix): text for name, text in response.headers.items() if name.startswith(prefix)}


def attributes(caller: Caller, key: str, names: str, **headers: str) -> ObjectAttributes:
    fields = {f"x-amz-{name.replace('_', '-')}": text for name, text in headers.items()}
    response = caller("GET", f"/bkt/{key}", "attributes=", headers={"x-amz-object-attributes": names, **fields})
    assert 200 == response.status, read(response)
    return s3xml_multipart.parse_object_attributes(read(response))


# --- objects of one put


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_checksum_of_an_object(caller: Caller, algorithm: str) -> None:
    """It is verified, kept, told to who asks for it, and to nobody else; a range of the object has none."""
    value = base64_of(algorithm, BODY)
    told = {algorithm: value, "type": "FULL_OBJECT"}
    assert told == checksum_headers(caller.put("key", BODY, **{f"x-amz-checksum-{algorithm}": value}))
    for method in ("GET", "HEAD"):
        assert told == checksum_headers(caller(method, "/bkt/key", headers=MODE))
        assert {} == checksum_headers(caller(method, "/bkt/key"))
        assert {} == checksum_headers(caller(method, "/bkt/key", headers={**MODE, "range": "bytes=0-1"}))
    wrong = base64_of(algorithm, b"other")
    refused = caller("PUT", "/bkt/key", body=BODY, headers={f"x-amz-checksum-{algorithm}": wrong})
    assert (400, "BadDigest") == code(refused)
    assert told == checksum_headers(caller("HEAD", "/bkt/key", headers=MODE))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_copy_gets_the_checksum_that_is_asked_for(caller: Caller, algorithm: str) -> None:
    """x-amz-checksum-algorithm computes one that the source does not have; without it the copy has the source's."""
    crc = base64_of("crc32", BODY)
    caller.put("key", BODY, **{"x-amz-checksum-crc32": crc})
    source = {"x-amz-copy-source": "bkt/key"}
    assert 200 == caller("PUT", "/bkt/same", headers=source).status
    assert {"crc32": crc, "type": "FULL_OBJECT"} == checksum_headers(caller("HEAD", "/bkt/same", headers=MODE))
    response = caller("PUT", "/bkt/copy", headers={**source, "x-amz-checksum-algorithm": algorithm.upper()})
    assert 200 == response.status
    value = base64_of(algorithm, BODY)
    assert f">{value}</Checksum".encode() in read(response)
    assert {algorithm: value, "type": "FULL_OBJECT"} == checksum_headers(caller("HEAD", "/bkt/copy", headers=MODE))


def test_a_copy_is_of_the_whole_object(caller: Caller) -> None:
    """A range, which only parts can be copied from, is refused and not ignored."""
    caller.put("key", BODY)
    headers = {"x-amz-copy-source": "bkt/key", "x-amz-copy-source-range": "bytes=0-1"}
    assert (501, "NotImplemented") == code(caller("PUT", "/bkt/copy", headers=headers))
    assert ["key"] == keys(caller)


def test_algorithms_that_nobody_knows(caller: Caller) -> None:
    """An algorithm that S3 does not have is refused, on copies and on uploads."""
    caller.put("key", BODY)
    headers = {"x-amz-copy-source": "bkt/key", "x-amz-checksum-algorithm": "MD4"}
    assert (400, "InvalidRequest") == code(caller("PUT", "/bkt/copy", headers=headers))
    for fields in (
        {"x-amz-checksum-algorithm": "MD4"},
        {"x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF_OBJECT"},
    ):
        assert (400, "InvalidRequest") == code(caller("POST", "/bkt/key", "uploads=", headers=fields))
    assert ["key"] == keys(caller)


# --- objects of parts


@pytest.mark.parametrize(("algorithm", "kind", "values", "whole"), FOREIGN, ids=[row[0] for row in FOREIGN])
def test_checksums_of_others(caller: Caller, algorithm: str, kind: str, values: list[str], whole: str) -> None:
    """Parts and their whole have the checksums that another implementation computed, and each part shows its own."""
    header = f"x-amz-checksum-{algorithm}"
    upload_id = begin(caller, "key", x_amz_checksum_algorithm=algorithm.upper(), x_amz_checksum_type=kind)
    parts = [
        put_part(caller, "key", upload_id, number, body, **{header: value})
        for number, (body, value) in enumerate(zip(BODIES, values, strict=True), 1)
    ]
    named = [part._replace(checksums={algorithm: value}) for part, value in zip(parts, values, strict=True)]
    response = complete(caller, "key", upload_id, named, **{header: whole, "x-amz-checksum-type": kind})
    result = s3xml_multipart.parse_complete_result(read(response))
    assert ({algorithm: whole}, kind) == (result.checksums, result.checksum_type)
    assert {algorithm: whole, "type": kind} == checksum_headers(caller("HEAD", "/bkt/key", headers=MODE))
    for number, value in enumerate(values, 1):
        part = caller("GET", "/bkt/key", f"partNumber={number}", headers=MODE)
        assert {algorithm: value, "type": kind} == checksum_headers(part)
        assert BODIES[number - 1] == read(part)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        *((algorithm, "COMPOSITE") for algorithm in ("crc32", "crc32c", "sha1", "sha256")),
        *((algorithm, "FULL_OBJECT") for algorithm in ("crc32", "crc32c", "crc64nvme")),
    ],
)
def test_parts_without_a_checksum_get_one(caller: Caller, algorithm: str, kind: str) -> None:
    """Of an upload that was begun with an algorithm, every part and the object have that checksum in the end."""
    bodies = [b"x" * (PART + 3), b"y" * (PART + 1), b"end"]
    headers = {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": kind}
    result = s3xml_multipart.parse_complete_result(read(upload(caller, "key", bodies, **headers)))
    digests = b"".join(b64decode(base64_of(algorithm, body)) for body in bodies)
    expected = f"{base64_of(algorithm, digests)}-3" if kind == "COMPOSITE" else base64_of(algorithm, b"".join(bodies))
    assert ({algorithm: expected}, kind) == (result.checksums, result.checksum_type)
    copied = begin(caller, "copy", **headers)
    query = f"partNumber=1&uploadId={copied}"
    response = caller("PUT", "/bkt/copy", query, headers={"x-amz-copy-source": "bkt/key"})
    assert {algorithm: base64_of(algorithm, b"".join(bodies))} == s3xml_multipart.parse_copy_part(
        read(response)
    ).checksums


def test_a_kind_that_is_not_chosen(caller: Caller) -> None:
    """Without x-amz-checksum-type it is COMPOSITE where that exists; the answer and the listings say which."""
    for algorithm, kind in (("CRC32", "COMPOSITE"), ("SHA1", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT")):
        response = caller("POST", f"/bkt/{algorithm}", "uploads=", headers={"x-amz-checksum-algorithm": algorithm})
        assert {"algorithm": algorithm, "type": kind} == checksum_headers(response)
        upload_id = s3xml_multipart.parse_create_multipart_upload(read(response)).upload_id
        page = s3xml_multipart.parse_list_parts(read(caller("GET", f"/bkt/{algorithm}", f"uploadId={upload_id}")))
        assert (algorithm, kind) == (page.checksum_algorithm, page.checksum_type)
    uploads = s3xml_multipart.parse_list_multipart_uploads(read(caller("GET", "/bkt", "uploads="))).uploads
    assert [("CRC32", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT"), ("SHA1", "COMPOSITE")] == [
        (row.checksum_algorithm, row.checksum_type) for row in uploads
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-amz-checksum-sha256": base64_of("sha256", BODY) + "-2"}, "BadDigest"),
        ({"x-amz-checksum-sha256": base64_of("sha256", BODY)}, "BadDigest"),
        ({"x-amz-checksum-sha256": "bad"}, "BadDigest"),
        ({"x-amz-checksum-crc32": base64_of("crc32", BODY)}, "InvalidRequest"),
        ({"x-amz-checksum-type": "FULL_OBJECT"}, "BadDigest"),
        ({"x-amz-checksum-type": "nonsense"}, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "AAAA"}, "InvalidRequest"),
    ],
)
def test_a_checksum_that_the_object_would_not_have(caller: Caller, headers: dict[str, str], expected: str) -> None:
    """A completion that claims another checksum is refused, and the upload can still be completed."""
    upload_id = begin(caller, "key", x_amz_checksum_algorithm="SHA256")
    part = put_part(caller, "key", upload_id, 1, BODY)
    assert (400, expected) == code(complete(caller, "key", upload_id, [part], **headers))
    assert [] == keys(caller)
    composite = b64encode(hashlib.sha256(hashlib.sha256(BODY).digest()).digest()).decode() + "-1"
    assert 200 == complete(caller, "key", upload_id, [part], x_amz_checksum_sha256=composite).status


def test_a_checksum_of_a_part_that_is_another(caller: Caller) -> None:
    """What a completion says of a part's checksum has to be so; a part of another algorithm is refused at once."""
    upload_id = begin(caller, "key", x_amz_checksum_algorithm="SHA256")
    wrong_kind = send_part(caller, "key", upload_id, 1, BODY, x_amz_checksum_crc32=base64_of("crc32", BODY))
    assert (400, "InvalidRequest") == code(wrong_kind)
    part = put_part(caller, "key", upload_id, 1, BODY, x_amz_checksum_sha256=base64_of("sha256", BODY))
    for claim in ({"sha256": base64_of("sha256", b"other")}, {"crc32": base64_of("crc32", BODY)}):
        refused = complete(caller, "key", upload_id, [part._replace(checksums=claim)])
        assert (400, "InvalidPart") == code(refused)
    assert [] == keys(caller)


@pytest.mark.parametrize(
    "whole", [base64_of("crc32", BODY), base64_of("crc32", b64decode(base64_of("crc32", BODY))) + "-1"]
)
def test_an_upload_that_asked_for_no_checksum(caller: Caller, whole: str) -> None:
    """Parts may have checksums all the same, and a completion may claim one: then it is verified and kept."""
    upload_id = begin(caller, "key")
    part = put_part(caller, "key", upload_id, 1, BODY, x_amz_checksum_crc32=base64_of("crc32", BODY))
    assert (400, "BadDigest") == code(complete(caller, "key", upload_id, [part], x_amz_checksum_crc32="AAAAAA=="))
    assert (400, "InvalidRequest") == code(complete(caller, "key", upload_id, [part], x_amz_checksum_sha1="AAAA"))
    assert 200 == complete(caller, "key", upload_id, [part], x_amz_checksum_crc32=whole).status
    kind = "COMPOSITE" if "-" in whole else "FULL_OBJECT"
    assert {"crc32": whole, "type": kind} == checksum_headers(caller("HEAD", "/bkt/key", headers=MODE))
    upload_id = begin(caller, "plain")
    part = put_part(caller, "plain", upload_id, 1, BODY, x_amz_checksum_crc32=base64_of("crc32", BODY))
    assert 200 == complete(caller, "plain", upload_id, [part]).status
    assert {} == checksum_headers(caller("HEAD", "/bkt/plain", headers=MODE))


# --- GetObjectAttributes


def test_attributes_of_an_object(caller: Caller) -> None:
    """Those that are asked for are told, in any spelling; an object of one put has no parts to tell of."""
    crc = base64_of("crc32", BODY)
    caller.put("key", BODY, x_amz_storage_class="STANDARD_IA", x_amz_checksum_crc32=crc)
    everything = attributes(caller, "key", "ETag,Checksum, ObjectParts ,StorageClass,objectsize")
    etag = hashlib.md5(BODY).hexdigest()
    assert ObjectAttributes(etag, {"crc32": crc}, "FULL_OBJECT", None, "STANDARD_IA", 256) == everything
    assert ObjectAttributes(size=256) == attributes(caller, "key", "ObjectSize")
    caller.put("plain", b"")
    assert ObjectAttributes(storage_class="STANDARD", size=0) == attributes(
        caller, "plain", "Checksum,ObjectParts,StorageClass,ObjectSize"
    )


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/bkt/key", {}, (400, "InvalidArgument")),
        ("/bkt/key", {"x-amz-object-attributes": ","}, (400, "InvalidArgument")),
        ("/bkt/key", {"x-amz-object-attributes": "ETag,Owner"}, (400, "InvalidArgument")),
        ("/bkt/none", {"x-amz-object-attributes": "ETag"}, (404, "NoSuchKey")),
        ("/none/key", {"x-amz-object-attributes": "ETag"}, (404, "NoSuchBucket")),
    ],
)
def test_attributes_that_cannot_be_told(
    caller: Caller, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """No attribute, one that does not exist, or of nothing."""
    caller.put("key", BODY)
    assert expected == code(caller("GET", path, "attributes=", headers=headers))


def test_pages_of_the_parts_of_an_object(caller: Caller) -> None:
    """The parts come in pages of the size that is asked for, each with its size and its checksum."""
    upload_id = begin(caller, "key", x_amz_checksum_algorithm="SHA1")
    sizes = {2: PART, 5: PART + 1, 9: 3}
    parts = [put_part(caller, "key", upload_id, number, b"x" * size) for number, size in sizes.items()]
    assert 200 == complete(caller, "key", upload_id, parts).status
    found: dict[int, int] = {}
    marker: int | None = 0
    while marker is not None:
        page = attributes(caller, "key", "ObjectParts", max_parts="1", part_number_marker=str(marker)).parts
        assert page is not None
        assert (3, 1, marker) == (page.total, page.max_parts, page.part_number_marker)
        for part in page.parts:
            found[part.part_number] = part.size
            assert {"sha1": base64_of("sha1", b"x" * part.size)} == part.checksums
        marker = page.next_part_number_marker
    assert sizes == found
    for name in ("x-amz-max-parts", "x-amz-part-number-marker"):
        headers = {"x-amz-object-attributes": "ObjectParts", name: "x"}
        assert (400, "InvalidArgument") == code(caller("GET", "/bkt/key", "attributes=", headers=headers))
    whole = attributes(caller, "key", "ObjectParts", max_parts="99999").parts
    assert whole is not None
    assert (3, False, 1000) == (len(whole.parts), whole.is_truncated, whole.max_parts)


def test_boto3_verifies_what_it_reads(boto: Any) -> None:
    """boto3 sends a checksum with every put and compares it with every get; it reads attributes of objects and parts."""
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        boto.put_object(Bucket="bkt", Key=algorithm, Body=BODY, ChecksumAlgorithm=algorithm)
        answer = boto.get_object(Bucket="bkt", Key=algorithm, ChecksumMode="ENABLED")
        assert BODY == answer["Body"].read()
        assert base64_of(algorithm.lower(), BODY) == answer[f"Checksum{algorithm}"]
    names = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    told = boto.get_object_attributes(Bucket="bkt", Key="SHA256", ObjectAttributes=names)
    assert (256, "FULL_OBJECT") == (told["ObjectSize"], told["Checksum"]["ChecksumType"])
    created = boto.create_multipart_upload(Bucket="bkt", Key="parts", ChecksumAlgorithm="SHA256")
    part = boto.upload_part(
        Bucket="bkt",
        Key="parts",
        UploadId=created["UploadId"],
        PartNumber=1,
        Body=BODY,
        ChecksumAlgorithm="SHA256",
    )
    row = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
    boto.complete_multipart_upload(
        Bucket="bkt", Key="parts", UploadId=created["UploadId"], MultipartUpload={"Parts": [row]}
    )
    told = boto.get_object_attributes(Bucket="bkt", Key="parts", ObjectAttributes=names)
    assert [(1, 256, row["ChecksumSHA256"])] == [
        (part["PartNumber"], part["Size"], part["ChecksumSHA256"]) for part in told["ObjectParts"]["Parts"]
    ]
    assert "COMPOSITE" == told["Checksum"]["ChecksumType"]


def test_an_etag_is_taken_with_and_without_quotes(caller: Caller) -> None:
    """Clients name parts with the quotes of the header or without them."""
    upload_id = begin(caller, "key")
    etag = put_part(caller, "key", upload_id, 1, BODY).etag
    for text in (etag, etag.strip('"'), etag.replace('"', "&quot;")):
        document = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{text}</ETag></Part></CompleteMultipartUpload>"
        query = encode_query([("uploadId", upload_id)])
        assert 200 == caller("POST", "/bkt/key", query, document.encode()).status
    assert [CompletedPart(1, etag)] == [put_part(caller, "x", begin(caller, "x"), 1, BODY)]
