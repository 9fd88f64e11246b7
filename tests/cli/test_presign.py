"""What `presign` prints works for whoever has it, and for nobody else afterwards."""

from __future__ import annotations

import json
import shlex
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from s3func import S3Session
from s3func.cli.presign import learn_region
from s3func.message import Request as Asked
from s3func.message import Response
from tests.cli.shell import Shell, keys, put


def fetch(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> bytes:
    with urlopen(Request(url, data=data, method=method, headers=headers), timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_presign_reads_and_writes(shell: Shell, session: S3Session) -> None:
    """Without credentials GET reads the object and PUT stores one; the other method of each is refused."""
    put(session, "d/ü x")
    [read] = shell.out("presign", "{}/d/ü x")
    assert "d/ü x".encode() == fetch(read)
    with pytest.raises(HTTPError, match="403") as refused:
        fetch(read, "PUT", b"x")
    refused.value.close()
    [write] = shell.out("presign", "-X", "put", "--expires", "10m", "{}/new")
    fetch(write, "PUT", b"stored")
    assert b"stored" == session.get_object("new").data


def test_presign_takes_headers_queries_and_versions(shell: Shell, session: S3Session) -> None:
    """What the URL asks for is answered, what it demands must be sent, and of a version it is that version."""
    session.put_bucket_versioning("Enabled")
    old = str(session.put_object("k", b"old").version_id)
    session.put_object("k", b"new")
    [row] = shell.rows("presign", "--json", "--expires", "60", "--version-id", old, "{}/k")
    assert {"url", "method", "expires", "bucket", "key"} == row.keys()
    assert b"old" == fetch(row["url"])
    [typed] = shell.out("presign", "--query", "response-content-type=text/x-odd", "{}/k")
    with urlopen(typed, timeout=30) as answer:
        assert "text/x-odd" == answer.headers["content-type"]
    [bound] = shell.out("presign", "-X", "PUT", "--header", "Content-Type=text/x-odd", "{}/typed")
    with pytest.raises(HTTPError, match="403") as refused:
        fetch(bound, "PUT", b"x", **{"Content-Type": "text/plain"})
    refused.value.close()
    fetch(bound, "PUT", b"x", **{"Content-Type": "text/x-odd"})
    assert "text/x-odd" == session.head_object("typed").content_type


def test_presign_of_a_form(shell: Shell, session: S3Session) -> None:
    """POST prints the curl command for a form, and as JSON its address and fields, which store what they are sent."""
    [line] = shell.out("presign", "--method", "POST", "{}/in/${filename}")
    words = shlex.split(line)
    assert ("curl", "-F") == (words[0], words[1])
    assert "key=in/${filename}" in words
    [row] = [
        json.loads(text)
        for text in shell("presign", "-X", "POST", "--max-size", "4", "--json", "{}/k").stdout.splitlines()
    ]
    form = [(name, value.encode()) for name, value in row["fields"].items()]
    for content, status in ((b"12345", 400), (b"1234", 204)):
        body = b"".join(
            b'--x\r\ncontent-disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
            for name, value in [*form, ("file", content)]
        )
        request = Request(
            row["url"], data=body + b"--x--\r\n", headers={"content-type": "multipart/form-data; boundary=x"}
        )
        try:
            with urlopen(request, timeout=30) as answer:
                assert status == answer.status
        except HTTPError as refused:
            assert status == refused.code
            refused.close()
    assert ["k"] == keys(session)


def test_presign_at_b2_is_for_reading(shell: Shell, session: S3Session) -> None:
    """A download authorization reads the file; what B2 cannot give is one line."""
    put(session, "k")
    [url] = shell.out("presign", "{b2}/k")
    assert b"k" == fetch(url)
    assert "NotSupported" in shell.fails(1, "presign", "-X", "PUT", "{b2}/k")
    assert "NotSupported" in shell.fails(1, "presign", "-X", "POST", "{b2}/k")


def test_presign_takes_patterns(shell: Shell, session: S3Session) -> None:
    """A URL per object that matches."""
    put(session, "a1", "a2", "b")
    assert [b"a1", b"a2"] == [fetch(url) for url in shell.out("presign", "{}/a*")]
    assert 1 == shell("presign", "{}/none*").returncode


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{}",), "bucket"),
        (("--expires", "soon", "{}/k"), "duration"),
        (("--expires", "8d", "{}/k"), "604800"),
        (("--max-size", "1M", "{}/k"), "POST"),
        (("--header", "x", "{}/k"), "NAME=VALUE"),
    ],
)
def test_presign_refuses_what_makes_no_sense(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    """Wrong usage is 2 and one line."""
    assert words in shell.fails(2, "presign", *arguments)


class Regions:
    """A store that only says where its buckets are."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: Asked) -> Response:
        """Answer a HEAD of a bucket."""
        self.asked.append(f"{request.method} {request.origin}")
        return Response(200, {"x-amz-bucket-region": "eu-west-1"})

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("endpoint", "region", "count"),
    [("https://s3.us-east-1.amazonaws.com", "eu-west-1", 1), ("https://storage.example.com", "us-east-1", 0)],
)
def test_presign_learns_the_region_at_aws(endpoint: str, region: str, count: int) -> None:
    """There a URL for another region is refused: the bucket's is asked for, and nothing is asked of other stores."""
    transport = Regions()
    with S3Session("ak", "sk", "my-bucket", endpoint, "us-east-1", transport=transport) as session:
        learn_region(session)
        assert f"%2F{region}%2Fs3%2F" in session.presigned_url("GET", "k")
    assert count == len(transport.asked)
