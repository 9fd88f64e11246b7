"""`s3func serve --backend drime` as a process, with clients that are not ours, and killed in the middle."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tests.interop.clients import PROGRAMS
from tests.interop.servers import Unavailable
from tests.server.drime.fake import API_KEY, FakeDrime

KEY_ID, SECRET = "AKIDRIME", "secret-of-the-test"
Served = tuple[subprocess.Popen[str], str]


@pytest.fixture
def start(drime: FakeDrime, drime_url: str, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a server on the account, with its cache in the folder of the test; those that still run are ended."""
    started: list[subprocess.Popen[str]] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DRIME_"))} | {
        "DRIME_API_KEY": API_KEY,
        "DRIME_API_URL": drime_url,
        "DRIME_WORKSPACE_ID": "1465",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "S3FUNC_ACCESS_KEY_ID": KEY_ID,
        "S3FUNC_SECRET_ACCESS_KEY": SECRET,
    }

    def call(*arguments: str, **variables: str) -> Served:
        words = [sys.executable, "-W", "error", "-m", "s3func", "serve", "--listen", "0", "--debug", *arguments]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment | variables
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield call
    for process in started:
        process.terminate()
        process.communicate()


def client_of(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def files_of(drime: FakeDrime) -> dict[str, bytes]:
    return {path: body for path, body in drime.tree(1465).items() if body is not None}


def test_boto3_on_drime(start: Callable[..., Served], drime: FakeDrime) -> None:
    """boto3 makes a bucket, puts, lists, reads ranges, copies, uploads in parts and deletes, and Drime has the files."""
    process, url = start("--backend", "drime")
    boto = client_of(url)
    boto.create_bucket(Bucket="photos")
    put = boto.put_object(
        Bucket="photos", Key="2024/a b.jpg", Body=b"jpeg", ContentType="image/jpeg", Metadata={"k": "v"}
    )
    assert f'"{hashlib.md5(b"jpeg").hexdigest()}"' == put["ETag"]
    body = hashlib.shake_128(b"drime").digest(13 * 1024 * 1024)
    boto.upload_fileobj(io.BytesIO(body), "photos", "big.bin", Config=TransferConfig(multipart_threshold=5 << 20))
    target = io.BytesIO()
    boto.download_fileobj("photos", "big.bin", target, Config=TransferConfig(multipart_threshold=5 << 20))
    assert body == target.getvalue()
    part = boto.get_object(Bucket="photos", Key="big.bin", Range="bytes=1000-1009")
    assert (body[1000:1010], 206) == (part["Body"].read(), part["ResponseMetadata"]["HTTPStatusCode"])
    boto.copy_object(Bucket="photos", Key="copy", CopySource={"Bucket": "photos", "Key": "2024/a b.jpg"})
    head = boto.head_object(Bucket="photos", Key="copy")
    assert ("image/jpeg", {"k": "v"}, put["ETag"]) == (head["ContentType"], head["Metadata"], head["ETag"])
    pages = boto.get_paginator("list_objects_v2").paginate(Bucket="photos", PaginationConfig={"PageSize": 1})
    assert ["2024/a b.jpg", "big.bin", "copy"] == [row["Key"] for page in pages for row in page["Contents"]]
    assert {"photos/2024/a b.jpg": b"jpeg", "photos/big.bin": body, "photos/copy": b"jpeg"} == files_of(drime)
    with pytest.raises(ClientError) as caught:
        boto.put_object(Bucket="photos", Key="copy", Body=b"x", IfNoneMatch="*")
    assert 412 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    deleted = boto.delete_objects(
        Bucket="photos", Delete={"Objects": [{"Key": key} for key in ("2024/a b.jpg", "big.bin", "copy")]}
    )
    assert 3 == len(deleted["Deleted"])
    boto.delete_bucket(Bucket="photos")
    assert {} == files_of(drime)
    boto.close()
    process.terminate()
    _, said = process.communicate()
    assert API_KEY not in said
    assert "workspace 1465" in said


def test_killed_and_started_again(start: Callable[..., Served], drime: FakeDrime) -> None:
    """A server that is killed during an overwrite has lost nothing: metadata, parts, and the old object or the new one."""
    process, url = start("--backend", "drime")
    boto = client_of(url)
    boto.create_bucket(Bucket="bucket")
    boto.put_object(Bucket="bucket", Key="key", Body=b"old", Metadata={"version": "old"})
    upload_id = boto.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    part = {"PartNumber": 1}
    part["ETag"] = boto.upload_part(Bucket="bucket", Key="parts", UploadId=upload_id, PartNumber=1, Body=b"part")[
        "ETag"
    ]
    answer = drime.answer

    def kill(method: str, target: str, headers: dict[str, str], body: bytes) -> object:
        given = answer(method, target, headers, body)
        if "/file-entries/move" in target:
            process.kill()
        return given

    drime.answer = kill  # type: ignore[method-assign,assignment]
    with pytest.raises(Exception, match=r"(?i)clos|connect"):
        boto.put_object(Bucket="bucket", Key="key", Body=b"new", Metadata={"version": "new"})
    boto.close()
    process.wait()
    drime.answer = answer  # type: ignore[method-assign]
    _, url = start("--backend", "drime")
    boto = client_of(url)
    found = boto.get_object(Bucket="bucket", Key="key")
    assert (b"new", {"version": "new"}) == (found["Body"].read(), found["Metadata"])
    assert f'"{hashlib.md5(b"new").hexdigest()}"' == found["ETag"]
    boto.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload_id, MultipartUpload={"Parts": [part]})
    assert b"part" == boto.get_object(Bucket="bucket", Key="parts")["Body"].read()
    boto.close()


@pytest.mark.interop
def test_rclone_on_drime(start: Callable[..., Served], drime: FakeDrime, tmp_path: Path) -> None:
    """rclone syncs a folder there and back, sees nothing to do the second time, and checks every MD5."""
    try:
        program = PROGRAMS["rclone"].path()
    except Unavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    _, url = start("--backend", "drime")
    source, target = tmp_path / "source", tmp_path / "target"
    for number in range(12):
        path = source / f"folder {number % 3}/sub" / f"file-{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * number * 1000)
    environment = {
        "HOME": str(tmp_path),
        "RCLONE_CONFIG_D_TYPE": "s3",
        "RCLONE_CONFIG_D_PROVIDER": "Other",
        "RCLONE_CONFIG_D_ENDPOINT": url,
        "RCLONE_CONFIG_D_ACCESS_KEY_ID": KEY_ID,
        "RCLONE_CONFIG_D_SECRET_ACCESS_KEY": SECRET,
    }

    def rclone(*arguments: str) -> str:
        words = [str(program), "--retries", "1", "--low-level-retries", "1", *arguments]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stderr

    rclone("mkdir", "d:bucket")
    rclone("sync", str(source), "d:bucket/backup")
    assert {
        f"bucket/backup/{path.relative_to(source).as_posix()}": path.read_bytes() for path in source.rglob("*.txt")
    } == (files_of(drime))
    drime.requests.clear()
    rclone("sync", str(source), "d:bucket/backup")
    assert 0 == drime.count("POST /uploads")
    rclone("check", str(source), "d:bucket/backup")
    rclone("copy", "d:bucket/backup", str(target))
    assert [path.read_bytes() for path in sorted(source.rglob("*.txt"))] == [
        path.read_bytes() for path in sorted(target.rglob("*.txt"))
    ]
    (source / "folder 0/sub/file-0.txt").unlink()
    rclone("sync", str(source), "d:bucket/backup")
    assert 11 == len(files_of(drime))


def test_a_saved_configuration(start: Callable[..., Served], drime: FakeDrime, drime_url: str, tmp_path: Path) -> None:
    """`config add` saves the key obscured, and `serve --backend-config` opens the workspace and folder that were saved."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    words = [
        "--type",
        "drime",
        "--set",
        "workspace_id=7",
        "--set",
        "root_folder=Backups",
        "--set",
        f"api_url={drime_url}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "s3func", "config", "add", "mydrime", *words, "--secret", "api_key"],
        env=environment,
        input=f"{API_KEY}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert API_KEY not in (tmp_path / "config/s3func/backends.toml").read_text()
    _, url = start("--backend-config", "mydrime", DRIME_API_KEY="another", DRIME_WORKSPACE_ID="1")
    boto = client_of(url)
    boto.create_bucket(Bucket="bucket")
    boto.close()
    assert {"Backups", "Backups/bucket"} == drime.tree(7).keys()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DRIME_API_KEY": ""}, "DRIME_API_KEY"),
        ({"DRIME_API_KEY": "not-the-key-0815"}, "does not accept the API key"),
        ({"DRIME_WORKSPACE_ID": "personal"}, "DRIME_WORKSPACE_ID"),
    ],
)
def test_what_is_wrong_is_one_line(start: Callable[..., Served], variables: dict[str, str], said: str) -> None:
    """A server that cannot begin says so in one line, which has no key in it, before it listens."""
    process, url = start("--backend", "drime", **variables)
    _, text = process.communicate()
    assert ("", True) == (url, process.returncode != 0)
    assert said in text
    assert "0815" not in text
    assert "Traceback" not in text


def test_without_the_package(start: Callable[..., Served], tmp_path: Path) -> None:
    """Without pydrime the backend and its settings are known, and opening it says what to install."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without/pydrime.py").write_text("raise ModuleNotFoundError('no such module', name='pydrime')")
    process, url = start("--backend", "drime", PYTHONPATH=str(tmp_path / "without"))
    _, said = process.communicate()
    assert ("", 1) == (url, process.returncode)
    assert "pip install 's3func[drime]'" in said
    assert "Traceback" not in said
    done = subprocess.run(
        [sys.executable, "-m", "s3func", "config", "types"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "without")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, True) == (done.returncode, "workspace_id" in done.stdout), done
