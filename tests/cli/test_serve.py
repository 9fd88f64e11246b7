from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from click.testing import CliRunner

from s3func import B2Session, S3Session
from s3func.cli.obscure import obscure_text
from s3func.cli.serve import Address, KeyPair, parse_listen, serve
from s3func.cli.stores import StoreChoice
from s3func.errors import AccessDenied, InvalidRequest, NoSuchBucket, NotImplementedByStore, Throttled

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
SECONDS = 30


def endpoint_of(process: subprocess.Popen[str]) -> str:
    """The line that says that the server is ready."""
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url), (url, process.poll())
    return url


def stopped(process: subprocess.Popen[str], by: signal.Signals) -> str:
    """End the server with a signal; the exit code has to be 0. Returns what it wrote to stderr."""
    process.send_signal(by)
    out, err = process.communicate(timeout=SECONDS)
    assert (0, "") == (process.returncode, out), err
    return err


def client(url: str, access_key_id: str, secret_access_key: str, region: str = "us-east-1") -> Any:
    """boto3, which shares no code with us."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        region_name=region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_boto3_works_and_a_signal_ends_it_well(start: Start, tmp_path: Path, by: signal.Signals) -> None:
    """A foreign client stores and reads an object with the given keys; SIGINT and SIGTERM end the server with 0."""
    process = start(
        *("serve", "--listen", "127.0.0.1:0", "--path", str(tmp_path / "store"), "--region", "eu-west-3"),
        *("--access-key-id", "AKIDGIVEN", "--secret-access-key", "the-given-secret"),
    )
    url = endpoint_of(process)
    with closing(client(url, "AKIDGIVEN", "the-given-secret", "eu-west-3")) as s3:
        s3.create_bucket(Bucket="b-1", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
        s3.put_object(Bucket="b-1", Key="a//b", Body=b"from boto3", Metadata={"source": "sensor-1"})
        answer = s3.get_object(Bucket="b-1", Key="a//b")
        assert (b"from boto3", {"source": "sensor-1"}) == (answer["Body"].read(), answer["Metadata"])
    stranger = client(url, "AKIDGIVEN", "another-secret", "eu-west-3")
    with closing(stranger), pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.list_buckets()

    said = stopped(process, by)
    assert "the-given-secret" not in said
    assert f"export AWS_ENDPOINT_URL_S3={url} AWS_REGION=eu-west-3 AWS_DEFAULT_REGION=eu-west-3" in said
    assert "export AWS_ACCESS_KEY_ID=AKIDGIVEN" in said
    assert said.endswith("s3func: stopped\n")


def test_pasted_lines_are_all_a_client_needs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys a pair is made up, printed once, and what is printed is enough for boto3 and for us."""
    process = start("serve", "--listen", ":0")
    url = endpoint_of(process)
    assert process.stderr is not None
    lines: list[str] = []
    while "AWS_SECRET_ACCESS_KEY" not in (lines[-1] if lines else ""):
        lines.append(process.stderr.readline())
    pasted = dict(re.findall(r"(AWS_\w+)=(\S+)", "".join(line for line in lines if line.startswith("export "))))
    assert url == pasted["AWS_ENDPOINT_URL_S3"]
    assert any("Only this machine can connect" in line for line in lines)
    for name, value in pasted.items():
        monkeypatch.setenv(name, value)

    with S3Session(bucket="pasted") as session:
        session.create_bucket()
        session.put_object("key", b"from us")
    with closing(boto3.client("s3")) as s3:
        assert b"from us" == s3.get_object(Bucket="pasted", Key="key")["Body"].read()

    rest = stopped(process, signal.SIGTERM)
    assert 1 == "".join([*lines, rest]).count(pasted["AWS_SECRET_ACCESS_KEY"])


def test_made_up_keys_differ_from_run_to_run(start: Start) -> None:
    """Nobody can know the pair of a server that made it up."""
    seen = set()
    for _ in range(2):
        process = start("serve", "--listen", "127.0.0.1:0")
        endpoint_of(process)
        seen.add(re.search(r"AWS_SECRET_ACCESS_KEY=(\w{40})", stopped(process, signal.SIGTERM))[1])  # type: ignore[index]
    assert 2 == len(seen)


def test_keys_may_come_from_the_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the environment is in no list of processes, and is not printed."""
    monkeypatch.setenv("S3FUNC_ACCESS_KEY_ID", "from-env")
    monkeypatch.setenv("S3FUNC_SECRET_ACCESS_KEY", "secret-from-env")
    process = start("serve", "--listen", "127.0.0.1:0")
    with S3Session("from-env", "secret-from-env", "b-1", endpoint_of(process)) as session:
        session.create_bucket()
        assert ["b-1"] == [bucket.name for bucket in session.list_buckets()]
    assert "secret-from-env" not in stopped(process, signal.SIGTERM)


def test_objects_in_a_directory_outlive_the_server(start: Start, tmp_path: Path) -> None:
    """With --path, a server that comes after another one on the same directory has its objects."""
    keys = ("--access-key-id", "id", "--secret-access-key", "secret", "--path", str(tmp_path / "store"))
    process = start("serve", "--listen", "127.0.0.1:0", *keys)
    with S3Session("id", "secret", "kept", endpoint_of(process)) as session:
        session.create_bucket()
        session.put_object("key", b"kept")
    stopped(process, signal.SIGTERM)
    process = start("serve", "--listen", "127.0.0.1:0", *keys)
    with S3Session("id", "secret", "kept", endpoint_of(process)) as session:
        assert b"kept" == session.get_object("key").data
    stopped(process, signal.SIGINT)


def test_no_auth_lets_everybody_in_and_auth_nobody(start: Start) -> None:
    """An unsigned request is answered with --no-auth, and refused with 403 otherwise."""
    open_door = start("serve", "--listen", "127.0.0.1:0", "--no-auth")
    with urllib.request.urlopen(f"{endpoint_of(open_door)}/", timeout=SECONDS) as answer:
        assert b"<ListAllMyBucketsResult" in answer.read()
    stopped(open_door, signal.SIGTERM)

    closed = start("serve", "--listen", "127.0.0.1:0")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint_of(closed)}/b-1", method="PUT"), timeout=SECONDS)
    with refusal.value:
        assert 403 == refusal.value.code
    stopped(closed, signal.SIGTERM)


def test_users_of_a_file_are_different_owners(start: Start, tmp_path: Path) -> None:
    """With --users everybody in the file has buckets of its own, beside the single pair, and no secret is printed."""
    file = tmp_path / "users.toml"
    file.write_text(
        '[main]\naccess_key_id = "key-main"\nsecret_access_key = "secret-of-main"\ndisplay_name = "M"\n'
        '[other]\naccess_key_id = "key-other"\nsecret_access_key = "secret-of-other"\n'
    )
    process = start(
        *("serve", "--listen", "127.0.0.1:0", "--users", str(file)),
        *("--access-key-id", "id", "--secret-access-key", "the-secret"),
    )
    url = endpoint_of(process)
    for key, secret, bucket in (
        ("key-main", "secret-of-main", "b-main"),
        ("key-other", "secret-of-other", "b-other"),
        ("id", "the-secret", "b-single"),
    ):
        with S3Session(key, secret, bucket, url) as session:
            session.create_bucket()
            assert [bucket] == [found.name for found in session.list_buckets()]
            if bucket != "b-main":
                with pytest.raises(AccessDenied):
                    session.put_object("key", b"x", bucket="b-main")
    said = stopped(process, signal.SIGTERM)
    assert not any(secret in said for secret in ("secret-of-main", "secret-of-other", "the-secret"))


def test_a_file_of_users_is_enough(start: Start, tmp_path: Path) -> None:
    """Without a pair of its own none is made up where there are users."""
    file = tmp_path / "users.toml"
    file.write_text('[main]\naccess_key_id = "key-main"\nsecret_access_key = "secret-of-main"\n')
    process = start("serve", "--listen", "127.0.0.1:0", "--users", str(file))
    with S3Session("key-main", "secret-of-main", "b-1", endpoint_of(process)) as session:
        session.create_bucket()
    assert "of this run" not in stopped(process, signal.SIGTERM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ('[main]\naccess_key_id = "a"\nsecret_access_key = "the-secret" x', "not valid TOML"),
        ('[main]\nsecret_access_key = "the-secret"', "[main] has no access_key_id"),
    ],
)
def test_a_bad_file_of_users_is_named(start: Start, tmp_path: Path, text: str | None, said: str) -> None:
    """What is wrong with the file is said without a secret, and the server does not start."""
    file = tmp_path / "users.toml"
    if text is not None:
        file.write_text(text)
    process = start("serve", "--listen", "127.0.0.1:0", "--users", str(file))
    out, err = process.communicate(timeout=SECONDS)
    assert (1, "") == (process.returncode, out)
    assert str(file) in err
    assert said in err
    assert "the-secret" not in err


def test_debug_logs_requests_without_their_queries(start: Start) -> None:
    """--debug writes a line per request, with method, path and status, and never what was signed."""
    process = start(
        *("serve", "--listen", "127.0.0.1:0", "--debug"),
        *("--access-key-id", "id", "--secret-access-key", "the-secret"),
    )
    with S3Session("id", "the-secret", "b-1", endpoint_of(process)) as session:
        session.create_bucket()
        session.put_object("key", b"x")
        url = session.presigned_url("GET", "key")
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        assert b"x" == answer.read()
    said = stopped(process, signal.SIGTERM)
    assert re.search(r"DEBUG PUT /b-1/key 200", said)
    assert re.search(r"DEBUG GET /b-1/key 200", said)
    assert "X-Amz" not in said
    assert "the-secret" not in said


def test_an_unread_download_does_not_keep_it_alive(start: Start) -> None:
    """A client that holds a connection and reads no more does not stop the server from ending well."""
    process = start("serve", "--listen", "127.0.0.1:0", "--no-auth")
    url = endpoint_of(process)
    with S3Session(bucket="b-1", endpoint_url=url, anonymous=True) as session:
        session.create_bucket()
        session.put_object("large", bytes(20_000_000))
        with session.get_object("large") as unread:
            assert b"\0" == unread.read(1)
            said = stopped(process, signal.SIGTERM)
    assert "Traceback" not in said


def test_faults_are_asked_for_over_http(start: Start) -> None:
    """With --faults another process on this machine makes requests fail and reads the journal; without it none can."""
    keys = ("--access-key-id", "id", "--secret-access-key", "the-secret")
    process = start("serve", "--listen", "127.0.0.1:0", "--faults", *keys)
    url = endpoint_of(process)
    fault = b'{"operation": "PutObject", "times": 1, "status": 503}'
    with urllib.request.urlopen(urllib.request.Request(f"{url}/-/faults", data=fault), timeout=SECONDS) as answer:
        assert 201 == answer.status
    with S3Session("id", "the-secret", "b-1", url, retries=1) as session:
        session.create_bucket()
        with pytest.raises(Throttled):
            session.put_object("key", b"x")
        session.put_object("key", b"x")
    with urllib.request.urlopen(f"{url}/-/journal", timeout=SECONDS) as answer:
        entries = json.load(answer)["entries"]
    assert ["CreateBucket", "PutObject", "PutObject"] == [entry["operation"] for entry in entries]
    assert "/-/faults" in stopped(process, signal.SIGTERM)

    closed = start("serve", "--listen", "127.0.0.1:0", *keys)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{endpoint_of(closed)}/-/journal", timeout=SECONDS)
    with refusal.value:
        assert 400 == refusal.value.code
    stopped(closed, signal.SIGTERM)


def test_a_server_with_a_delayed_request_ends_at_a_signal(start: Start) -> None:
    """A request that a fault keeps waiting for an hour keeps no server alive."""
    process = start("serve", "--listen", "127.0.0.1:0", "--faults", "--no-auth")
    url = endpoint_of(process)
    body = b'{"operation": "ListBuckets", "delay": 3600}'
    urllib.request.urlopen(urllib.request.Request(f"{url}/-/faults", data=body), timeout=SECONDS).close()
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{url}/", timeout=0.3)
    stopped(process, signal.SIGTERM)


def test_a_gateway_to_another_store(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """--backend session stores in the server that is named, with that one's keys, under keys and users of its own."""
    behind = start("serve", "--listen", "127.0.0.1:0", "--access-key-id", "id-2", "--secret-access-key", "secret-2")
    upstream = endpoint_of(behind)
    monkeypatch.setenv("S3FUNC_UPSTREAM_ACCESS_KEY_ID", "id-2")
    monkeypatch.setenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY", "secret-2")
    gateway = start(
        *("serve", "--listen", "127.0.0.1:0", "--backend", "session", "--upstream-endpoint-url", upstream),
        *("--access-key-id", "id-1", "--secret-access-key", "secret-1"),
    )
    with closing(client(endpoint_of(gateway), "id-1", "secret-1")) as s3:
        s3.create_bucket(Bucket="b-1")
        s3.put_object(Bucket="b-1", Key="a//b", Body=b"through both", Metadata={"a": "b"})
        s3.create_bucket(Bucket="b-2")
    with S3Session("id-2", "secret-2", "b-1", upstream) as session:
        assert (b"through both", "b") == (session.get_object("a//b").data, session.head_object("a//b").metadata["a"])
    said = stopped(gateway, signal.SIGTERM)
    assert upstream in said
    assert "secret-2" not in said

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", upstream)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-2")
    monkeypatch.delenv("S3FUNC_UPSTREAM_ACCESS_KEY_ID")
    monkeypatch.delenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY")
    one = start("serve", "--listen", "127.0.0.1:0", "--no-auth", "--backend", "session", "--upstream-bucket", "b-1")
    with S3Session(endpoint_url=endpoint_of(one), anonymous=True) as session:
        assert b"through both" == session.get_object("a//b", bucket="b-1").data
        assert ["b-1"] == [bucket.name for bucket in session.list_buckets()]
        with pytest.raises(NoSuchBucket):
            session.get_object("key", bucket="b-2")
        with pytest.raises(NotImplementedByStore):
            session.create_bucket("b-3")
    stopped(one, signal.SIGTERM)
    stopped(behind, signal.SIGTERM)


def test_a_named_backend(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--backend-config takes type and settings from the file; an option says otherwise."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "s3func" / "backends.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[mylocal]\ntype = "local"\npath = "{tmp_path / "store"}"\ndurability = "os"\n')
    for path in (("--path", str(tmp_path / "other")), ()):
        process = start("serve", "--listen", "127.0.0.1:0", "--no-auth", "--backend-config", "mylocal", *path)
        endpoint_of(process)
        stopped(process, signal.SIGTERM)
    assert {"store", "other", "config"} == {folder.name for folder in tmp_path.iterdir() if folder.is_dir()}


def test_options_then_the_file_then_variables(
    start: Start, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting counts as the first of these has it, and a secret of the file may be obscured."""
    behind = start("serve", "--listen", "127.0.0.1:0", "--access-key-id", "id-2", "--secret-access-key", "secret-2")
    upstream = endpoint_of(behind)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("S3FUNC_UPSTREAM_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY", "of another one")
    (tmp_path / "s3func").mkdir()
    (tmp_path / "s3func" / "backends.toml").write_text(
        f'[archive]\ntype = "session"\nendpoint_url = "{upstream}"\nbucket = "not-this"\naccess_key_id = "id-2"\n'
        f'secret_access_key = "{obscure_text("secret-2")}"\n'
    )
    gateway = start(
        *("serve", "--listen", "127.0.0.1:0", "--no-auth", "--backend-config", "archive"),
        *("--set", "bucket=b-1", "--set", "addressing_style=path"),
    )
    with S3Session("id-2", "secret-2", "b-1", upstream) as session:
        session.create_bucket()
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(gateway), anonymous=True) as session:
        session.put_object("key", b"through both")
        assert ["b-1"] == [bucket.name for bucket in session.list_buckets()]
    said = stopped(gateway, signal.SIGTERM)
    assert "secret-2" not in said
    assert f"{upstream}, bucket b-1" in said
    stopped(behind, signal.SIGTERM)
    done = run("serve", "--listen", "127.0.0.1:0", "--backend-config", "archive", "--backend", "memory")
    assert (2, "") == (done.returncode, done.stdout)
    assert "[archive] is session" in done.stderr


def test_a_gateway_to_b2(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """provider=b2 reaches a store by B2's own API: boto3 puts in parts, lists versions and is refused conditions."""
    behind = start("serve", "--listen", "127.0.0.1:0", "--access-key-id", "id-2", "--secret-access-key", "secret-2")
    upstream = endpoint_of(behind)
    monkeypatch.setenv("S3FUNC_UPSTREAM_ACCESS_KEY_ID", "id-2")
    monkeypatch.setenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY", "secret-2")
    gateway = start(
        *("serve", "--listen", "127.0.0.1:0", "--backend", "session", "--set", "provider=b2"),
        *("--upstream-endpoint-url", upstream, "--access-key-id", "id-1", "--secret-access-key", "secret-1"),
    )
    body = bytes(range(256)) * 50_000
    with closing(client(endpoint_of(gateway), "id-1", "secret-1")) as s3:
        s3.create_bucket(Bucket="bucket-1")
        s3.upload_fileobj(BytesIO(body), "bucket-1", "a//b", ExtraArgs={"Metadata": {"name": "sensor"}})
        assert body == s3.get_object(Bucket="bucket-1", Key="a//b")["Body"].read()
        s3.delete_object(Bucket="bucket-1", Key="a//b")
        listed = s3.list_object_versions(Bucket="bucket-1")
        assert [1, 1] == [len(listed["Versions"]), len(listed["DeleteMarkers"])]
        with pytest.raises(ClientError, match="NotImplemented"):
            s3.put_object(Bucket="bucket-1", Key="key", Body=b"", IfNoneMatch="*")
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="bucket-1", Key="a//b")
        with pytest.raises(ClientError, match="BucketNotEmpty"):
            s3.delete_bucket(Bucket="bucket-1")
    with B2Session("id-2", "secret-2", "bucket-1", realm=upstream) as session:
        [marker, version] = session.list_object_versions()
        assert marker.delete_marker
        assert body == session.get_object("a//b", version.version_id).data
        assert {"name": "sensor"} == session.head_object("a//b", version.version_id).user_metadata
    stopped(gateway, signal.SIGTERM)
    stopped(behind, signal.SIGTERM)


STORE = """
from s3func.server import MemoryBackend
from s3func.server.backends.settings import Setting

class Store(MemoryBackend):
    SETTINGS = (Setting("bucket", "The bucket there is", required=True), Setting("number", "Of them", type=int))

    @classmethod
    def from_settings(cls, settings):
        import {package}
        if settings.get("number") == 0:
            raise ValueError("number must not be 0")
        store = cls()
        store.create_bucket(settings["bucket"])
        return store

    @classmethod
    def place_of(cls, settings):
        return "a store of one's own"
"""


def test_a_backend_of_one_s_own(start: Start, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module:Class` is a backend like any other: it has settings, and what it raises is one line."""
    (tmp_path / "mystore.py").write_text(STORE.format(package="json"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    mine = ("serve", "--listen", "127.0.0.1:0", "--no-auth", "--backend", "mystore:Store")
    process = start(*mine, "--set", "bucket=mine", "--set", "number=3")
    with S3Session(endpoint_url=endpoint_of(process), anonymous=True) as session:
        assert ["mine"] == [bucket.name for bucket in session.list_buckets()]
    assert "a store of one's own" in stopped(process, signal.SIGTERM)
    for code, words, said in (
        (2, (), "bucket is missing; say --upstream-bucket"),
        (2, ("--set", "bucket=mine", "--set", "number=x"), "number must be a whole number"),
        (1, ("--set", "bucket=mine", "--set", "number=0"), "number must not be 0"),
    ):
        done = run(*mine, *words)
        assert (code, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert said in done.stderr


def test_a_missing_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is said with the command that installs it, whether a backend needs it or every server."""
    for name in ("pydrime", "uvicorn"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    (tmp_path / "mystore.py").write_text(STORE.format(package="no_such_package"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DRIME_API_KEY", "the-secret")
    for words, said in (
        (("--backend", "drime"), "pip install 's3func[drime]'"),
        (("--backend", "mystore:Store", "--set", "bucket=mine"), "needs no_such_package, which is not installed"),
        ((), "pip install 's3func[server]'"),
    ):
        done = run("serve", "--listen", "127.0.0.1:0", *words)
        assert ("", 1) == (done.stdout, done.stderr.count("\n")), done.stderr
        assert done.returncode in {1, 2}
        assert said in done.stderr
        assert "the-secret" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "s3func config add name makes it"),
        ('# a comment\nsecret_access_key = "the-secret" x', "not valid TOML, line 2"),
        ('[other]\ntype = "memory"', "no table [name]; there are other"),
        ('[nome]\ntype = "memory"', "no table [name]; did you mean nome?"),
        ('name = "memory"', "no table [name]"),
        ("[name]", "needs a type"),
        ("[name]\ntype = 3", "there is no backend '3'"),
        ('[name]\ntype = "locale"', "there is no backend 'locale'; did you mean local?"),
        ('[name]\ntype = "no.such.module:Store"', "cannot be imported"),
        ('[name]\ntype = "s3func.server:serve"', "is no type of backends"),
        ('[name]\ntype = "memory"\npath = "x"', "there is no setting 'path'"),
        ('[name]\ntype = "local"\npaht = "the-secret"', "there is no setting 'paht'; did you mean path?"),
        ('[name]\ntype = "session"\nsecret_access_key = "obscured:dGhlLXNlY3JldA"', "secret_access_key: an obscured"),
        ('[name]\ntype = "session"\nanonymous = "the-secret"', "anonymous must be true or false"),
        ('[name]\ntype = "local"\npath = 3', "path must be a text"),
        ('[name]\ntype = "local"\npath = "x"\ndurability = "none"', "durability"),
    ],
)
def test_a_bad_file_of_backends_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    """What is wrong with the file is said without a secret, and the server does not start."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if text is not None:
        (tmp_path / "s3func").mkdir()
        (tmp_path / "s3func" / "backends.toml").write_text(text)
    done = run("serve", "--listen", "127.0.0.1:0", "--backend-config", "name")
    assert (1, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert "the-secret" not in done.stderr


def test_durability_reaches_the_store(start: Start, tmp_path: Path) -> None:
    """With --durability os what was put is there after a kill of the server."""
    store = ("--path", str(tmp_path / "store"), "--durability", "os", "--backend", "local")
    process = start("serve", "--listen", "127.0.0.1:0", "--no-auth", *store)
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(process), anonymous=True) as session:
        session.create_bucket()
        session.put_object("key", b"kept")
    process.kill()
    process.communicate()
    process = start("serve", "--listen", "127.0.0.1:0", "--no-auth", *store)
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(process), anonymous=True) as session:
        assert b"kept" == session.get_object("key").data
    stopped(process, signal.SIGTERM)


def test_a_read_only_server(start: Start, tmp_path: Path) -> None:
    """With --read-only what was stored before is read, and nothing is stored."""
    store = ("serve", "--listen", "127.0.0.1:0", "--no-auth", "--path", str(tmp_path / "store"))
    process = start(*store)
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(process), anonymous=True) as session:
        session.create_bucket()
        session.put_object("key", b"kept")
    stopped(process, signal.SIGTERM)
    process = start(*store, "--read-only")
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(process), anonymous=True) as session:
        with pytest.raises(AccessDenied, match="read-only"):
            session.put_object("key", b"other")
        assert ["key"] == [row.key for row in session.list_objects()]
        assert b"kept" == session.get_object("key").data
    stopped(process, signal.SIGTERM)


def test_only_the_named_kms_keys_exist(start: Start) -> None:
    """--kms-key-id, given twice, names two keys; a third one is refused."""
    process = start("serve", "--listen", "127.0.0.1:0", "--no-auth", "--kms-key-id", "a", "--kms-key-id", "b")
    with S3Session(bucket="b-1", endpoint_url=endpoint_of(process), anonymous=True) as session:
        session.create_bucket()
        for key_id, is_known in (("a", True), ("b", True), ("c", False)):
            headers = {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": key_id,
            }
            if is_known:
                session.put_object("key", b"x", headers=headers)
            else:
                with pytest.raises(InvalidRequest):
                    session.put_object("key", b"x", headers=headers)
    stopped(process, signal.SIGTERM)


def test_an_upstream_s_keys_in_the_environment_are_no_mistake(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of a gateway do not concern another store; the same as an option is wrong usage."""
    monkeypatch.setenv("S3FUNC_UPSTREAM_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("S3FUNC_UPSTREAM_SECRET_ACCESS_KEY", "s3cret")
    process = start("serve", "--listen", "127.0.0.1:0", "--no-auth")
    endpoint_of(process)
    assert "s3cret" not in stopped(process, signal.SIGTERM)


def test_a_choice_of_a_store_does_not_print_its_secret() -> None:
    """The repr of what was chosen has everything else."""
    choice = StoreChoice("session", {"access_key_id": "i", "secret_access_key": "s3cret"})
    assert "StoreChoice('session', {'access_key_id': 'i', 'secret_access_key': '********'})" == repr(choice)


def test_half_a_key_pair_of_an_upstream(run: Run) -> None:
    """A key without its secret, or the other way round, is said, and the secret is not repeated."""
    gateway = ("serve", "--listen", "127.0.0.1:0", "--backend", "session")
    for option, missing in (("secret-access-key", "access_key_id"), ("access-key-id", "secret_access_key")):
        done = run(*gateway, f"--upstream-{option}", "s3cret")
        assert (1, "") == (done.returncode, done.stdout)
        assert f"half a key pair: {missing} is missing" in done.stderr
        assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "127.0.0.1:0", "--backend", "local"), "path is missing; say --path"),
        (("--listen", "127.0.0.1:0", "--backend", "memory", "--path", "x"), "--path does not go with a memory"),
        (("--listen", "127.0.0.1:0", "--backend", "session", "--path", "x"), "--path does not go with a session"),
        (("--listen", "127.0.0.1:0", "--durability", "os"), "--durability does not go with a memory"),
        (("--listen", "127.0.0.1:0", "--path", "x", "--durability", "none"), "'none' is not one of"),
        (("--listen", "127.0.0.1:0", "--upstream-bucket", "b-1"), "--upstream-bucket does not go with a memory"),
        (
            ("--listen", "127.0.0.1:0", "--path", "x", "--upstream-secret-access-key", "s3cret"),
            "--upstream-secret-access-key does not go with a local",
        ),
        (("--listen", "127.0.0.1:0", "--backend", "sesion"), "there is no backend 'sesion'; did you mean session?"),
        (("--listen", "127.0.0.1:0", "--backend", "s3"), "there is no backend 's3'; there are drime, local"),
        (("--listen", "127.0.0.1:0", "--backend", "no.such:Store"), "cannot be imported"),
        (("--listen", "127.0.0.1:0", "--set", "path=x"), "--set: there is no setting 'path'"),
        (("--listen", "127.0.0.1:0", "--backend", "local", "--set", "path"), "'path' is not NAME=VALUE"),
        (
            ("--listen", "127.0.0.1:0", "--backend", "local", "--set", "durability=none"),
            "durability must be disk or os",
        ),
        (
            ("--listen", "127.0.0.1:0", "--backend", "session", "--set", "secret_access_key=s3cret"),
            "secret_access_key is a secret, and others can see a command line: set S3FUNC_UPSTREAM_SECRET_ACCESS_KEY",
        ),
        (
            ("--listen", "127.0.0.1:0", "--backend", "session", "--set", "session_token=s3cret"),
            "use s3func config with --secret session_token",
        ),
        (("--listen", "0.0.0.0:0", "--no-auth"), "--no-auth would let everybody who can reach 0.0.0.0 in"),
        (("--listen", "example.org:1", "--no-auth"), "--no-auth would let everybody who can reach example.org in"),
        (("--listen", "127.0.0.1:0", "--access-key-id", "id"), "--secret-access-key is missing"),
        (("--listen", "127.0.0.1:0", "--secret-access-key", "s3cret"), "--access-key-id is missing"),
        (
            ("--listen", "127.0.0.1:0", "--no-auth", "--access-key-id", "id", "--secret-access-key", "s3cret"),
            "--no-auth and keys exclude each other",
        ),
        (("--listen", "127.0.0.1"), "is not HOST:PORT"),
        (("--listen", "127.0.0.1:65536"), "is not HOST:PORT"),
        (("--listen", "::1:80"), "in brackets"),
        (("--listen", "127.0.0.1:0", "--region", "a/b"), "region"),
    ],
)
def test_wrong_usage_is_refused_before_anything_listens(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """What would be unsafe or makes no sense ends with 2 and names the option; no secret is repeated."""
    done = run("serve", *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert "s3cret" not in done.stderr


def test_a_directory_with_something_else_in_it_is_not_touched(run: Run, tmp_path: Path) -> None:
    """--path on a directory that is no store ends with 1, and leaves it as it was."""
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    done = run("serve", "--listen", "127.0.0.1:0", "--path", str(folder))
    assert (1, "") == (done.returncode, done.stdout)
    assert "is not empty and not a store" in done.stderr
    assert ["letter.txt"] == [path.name for path in folder.iterdir()]


def test_a_store_that_is_open_and_a_port_that_is_taken_are_said(start: Start, run: Run, tmp_path: Path) -> None:
    """A second server on the same store, or on the same port, ends with 1 and one line."""
    process = start("serve", "--listen", "127.0.0.1:0", "--path", str(tmp_path / "store"))
    address = endpoint_of(process).removeprefix("http://")
    second = run("serve", "--listen", "127.0.0.1:0", "--path", str(tmp_path / "store"))
    assert (1, 1) == (second.returncode, second.stderr.count("\n"))
    assert "another server has this store open" in second.stderr
    third = run("serve", "--listen", address)
    assert (1, 1) == (third.returncode, third.stderr.count("\n"))
    assert f"cannot listen on {address}" in third.stderr
    stopped(process, signal.SIGTERM)


def test_listening_on_every_interface_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that others can reach is allowed with keys, with a warning, and is shown as one to connect to."""
    from s3func.cli.serve import _instructions

    address = parse_listen("0.0.0.0:80")
    assert "http://127.0.0.1:80" == address.seen_from_here("http://0.0.0.0:80")
    assert "http://[::1]:80" == parse_listen("[::]:80").seen_from_here("http://[::]:80")
    said = _instructions(
        "http://127.0.0.1:80", "memory", address, KeyPair("id", "s", made_up=False), "r", no_auth=False
    )
    assert "other machines can connect, and nothing is encrypted" in said


def test_a_public_server_without_keys_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only --public opens --no-auth to others, and what that means is said."""
    ran: list[str] = []

    def run_it(app: object, address: Address, ready: Callable[[str], None]) -> None:
        ran.append(address.host)
        ready(f"http://{address.host}:1")

    monkeypatch.setattr("s3func.cli.serve._run", run_it)
    arguments = ["--listen", "0.0.0.0:1", "--no-auth"]
    assert 2 == CliRunner().invoke(serve, arguments).exit_code
    assert 2 == CliRunner().invoke(serve, ["--public"]).exit_code
    assert [] == ran
    done = CliRunner().invoke(serve, [*arguments, "--public"])
    assert (0, ["0.0.0.0"]) == (done.exit_code, ran)
    assert "everybody can read and change everything" in done.output


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:10001", "127.0.0.1", 10001, True),
        (":10001", "127.0.0.1", 10001, True),
        ("10001", "127.0.0.1", 10001, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:80", "::1", 80, True),
        ("127.1.2.3:80", "127.1.2.3", 80, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:80", "::", 80, False),
        ("192.168.1.1:80", "192.168.1.1", 80, False),
        ("localhost.example.org:80", "localhost.example.org", 80, False),
        ("127.0.0.1.example.org:80", "127.0.0.1.example.org", 80, False),
    ],
)
def test_addresses_are_read_and_judged(text: str, host: str, port: int, is_loopback: bool) -> None:
    """A missing host is loopback, and no name passes for loopback because it looks like it."""
    address = parse_listen(text)
    assert (host, port, is_loopback) == (address.host, address.port, address.is_loopback)


def test_a_key_pair_does_not_print_its_secret() -> None:
    """The repr of a pair has the id only."""
    assert "KeyPair('id')" == repr(KeyPair("id", "the-secret", made_up=True))
