"""Application keys of B2 sign in as well, and their pages may do what they may do, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3func.testing
from s3func.server import LocalBackend, MemoryBackend
from s3func.server.browser import b2_calls
from s3func.server.browser.views import link
from s3func.testing import Server
from tests.interop.keys import HOSTILE_KEYS
from tests.server.b2.callers import B2Caller
from tests.server.browser.agent import Agent, Page
from tests.server.forge import KEY_ID, SECRET

FOLDER = "/-/browser"
EVERYTHING = [
    *("listBuckets", "writeBuckets", "deleteBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles"),
]
# B2 has no names with control characters.
KEYS = [key for key in HOSTILE_KEYS if not any(letter < " " or letter == "\x7f" for letter in key)]


@pytest.fixture(params=["memory", "local"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server with pages, over each store that B2 is spoken with."""
    backend = MemoryBackend() if request.param == "memory" else LocalBackend(tmp_path / "store", durability="os")
    with s3func.testing.server(backend, access_key_id=KEY_ID, secret_access_key=SECRET, browser=True) as server:
        yield server


@pytest.fixture
def master(server: Server) -> B2Caller:
    """The master key's calls; it has two buckets."""
    caller = B2Caller(server.app)
    caller.bucket("open-bucket")
    caller.bucket("closed-bucket")
    server.session("open-bucket").put_object("in/k", b"in")
    server.session("open-bucket").put_object("out/k", b"not for everybody")
    server.session("closed-bucket").put_object("k", b"not for everybody")
    return caller


def sign_in(server: Server, agent: Agent, master: B2Caller, **restrictions: Any) -> Page:
    """With a new key."""
    fields = {"accountId": master.account["accountId"], "keyName": "pages", "capabilities": EVERYTHING} | restrictions
    key = master("b2_create_key", **fields)
    assert key.status == 200, key.body
    return agent.sign_in(key.document["applicationKeyId"], key.document["applicationKey"])


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    """A browser that nobody has signed in with."""
    with Agent(server.endpoint_url) as agent:
        yield agent


def bucket_id(master: B2Caller, name: str) -> str:
    buckets = master("b2_list_buckets", accountId=master.account["accountId"]).document["buckets"]
    return next(str(each["bucketId"]) for each in buckets if each["bucketName"] == name)


def test_an_unrestricted_key(server: Server, agent: Agent, master: B2Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with all capabilities makes a bucket, uploads small and large files, shows, downloads, hides and deletes them."""
    monkeypatch.setattr(b2_calls, "PIECE_BYTES", 5_000_000)
    page = sign_in(server, agent, master)
    assert {"closed-bucket", "open-bucket"} <= set(page.text_of("bdi"))
    page = agent.submit(page.form("create-bucket"), bucket="made-here")
    assert "The bucket was created." in page.text
    files = [("small", b"small"), ("exact", b"e" * 5_000_000), ("large", b"0123456789" * 1_200_000), ("empty", b"")]
    page = agent.submit(page.form("upload"), files=files)
    assert "Everything was uploaded." in page.text
    session = server.session("made-here")
    assert dict(files) == {row.key: session.get_object(row.key).data for row in session.list_objects()}
    page = agent.submit(page.form("upload"), files=[("small", b"changed"), ("other", b"")])
    assert "1 file was stored." in page.text
    assert "already" in page.text
    page = agent.submit(
        agent.get(f"{FOLDER}/bucket?bucket=made-here").form("upload"), files=[("small", b"changed")], replace="yes"
    )
    assert b"changed" == session.get_object("small").data
    page = agent.get(f"{FOLDER}/object?bucket=made-here&key=small")
    assert "2 versions" in page.text
    assert b"changed" == agent.get(page.link("download")).body
    part = agent.get(page.link("download"), {"range": "bytes=2-3"})
    assert (206, b"an") == (part.status, part.body)
    whole = agent.get(page.link("download"), {"range": "bytes=2-3", "if-range": '"x"'})
    assert (200, b"changed") == (whole.status, whole.body)
    assert b"small" == agent.get(page.link("download", after=2)).body
    asking = agent.get(page.link("delete-object"))
    page = agent.submit(asking.form("delete-object"))
    assert "is hidden by a delete marker" in page.text
    page = agent.get(f"{FOLDER}/versions?bucket=made-here&prefix=small")
    assert (1, 2) == (page.text.count("(delete marker)"), page.text.count("Download"))
    for _ in range(3):
        page = agent.get(f"{FOLDER}/versions?bucket=made-here&prefix=small")
        agent.submit(agent.get(page.link("delete-object")).form("delete-object"))
    assert "small" not in [row.key for row in session.list_object_versions()]
    asking = agent.get(f"{FOLDER}/delete-bucket?bucket=made-here")
    assert 400 == agent.submit(asking.form("delete-bucket")).status
    for row in list(session.list_object_versions()):
        session.delete_object(row.key, version_id=row.version_id)
    assert "The bucket was deleted." in agent.submit(asking.form("delete-bucket")).text


def test_a_version_of_another_file(server: Server, agent: Agent, master: B2Caller) -> None:
    """A page of one file does not show or delete a version of another, although B2 finds it by its id alone."""
    sign_in(server, agent, master)
    other = server.session("open-bucket").head_object("out/k").version_id
    for page in ("object", "download"):
        found = agent.get(f"{FOLDER}/{link(page, bucket='open-bucket', key='in/k', version=other)}")
        assert (404, "No such version") == (found.status, found.title)
    asking = agent.get(f"{FOLDER}/{link('delete-object', bucket='open-bucket', key='in/k', version=other)}")
    assert 400 == agent.submit(asking.form("delete-object")).status
    assert b"not for everybody" == server.session("open-bucket").get_object("out/k").data


def test_a_key_of_one_prefix(server: Server, agent: Agent, master: B2Caller) -> None:
    """A key that is restricted to a bucket and a prefix sees that, and its pages say no to everything else."""
    page = sign_in(
        server,
        agent,
        master,
        bucketIds=[bucket_id(master, "open-bucket")],
        namePrefix="in/",
        capabilities=EVERYTHING[3:],
    )
    assert "open-bucket" in page.text
    assert "closed-bucket" not in page.text
    page = agent.get(page.link("bucket"))
    assert ("in/", True) == (page.title, "k" in page.text_of("bdi"))
    assert "out/" not in page.text
    assert b"in" == agent.get(page.link("download")).body
    assert "Everything was uploaded." in agent.submit(page.form("upload"), files=[("new", b"new")]).text
    form = page.form("upload")
    for target in ("upload?bucket=open-bucket&prefix=out/", "upload?bucket=closed-bucket&prefix=in/"):
        refused = agent.submit(form._replace(action=f"{agent.origin}{FOLDER}/{target}"), files=[("new", b"new")])
        assert 400 == refused.status
        assert "0 files were stored." in refused.text
    for target in (
        "bucket?bucket=open-bucket&prefix=out/",
        "versions?bucket=open-bucket&prefix=out/",
        "bucket?bucket=closed-bucket&prefix=in/",
        "object?bucket=open-bucket&key=out/k",
        "download?bucket=open-bucket&key=out/k",
        "object?bucket=closed-bucket&key=k",
        "download?bucket=closed-bucket&key=k",
    ):
        refused = agent.get(f"{FOLDER}/{target}")
        assert refused.status in {403, 400, 404}, target
        assert b"not for everybody" not in refused.body
    other = server.session("open-bucket").head_object("out/k").version_id
    refused = agent.get(f"{FOLDER}/download?bucket=open-bucket&key=in/k&version={other}")
    assert refused.status in {403, 404}
    fields = form._replace(multipart=False)
    for target in (
        "delete-object?bucket=open-bucket&key=out/k",
        f"delete-object?bucket=open-bucket&key=in/k&version={other}",
        f"delete-object?bucket=open-bucket&key=out/k&version={other}",
        "delete-object?bucket=closed-bucket&key=k",
        "delete-bucket?bucket=closed-bucket",
        "create-bucket",
    ):
        refused = agent.submit(fields._replace(action=f"{agent.origin}{FOLDER}/{target}"), bucket="new-bucket")
        assert refused.status in {400, 403, 404}, target
    backend = server.app.backend
    assert ["closed-bucket", "open-bucket"] == sorted(info.name for info in backend.list_buckets())
    assert ["in/k", "in/new", "out/k"] == [row.key for row in backend.list_objects("open-bucket").rows]
    assert ["k"] == [row.key for row in backend.list_objects("closed-bucket").rows]


def test_a_key_that_may_only_list(server: Server, agent: Agent, master: B2Caller) -> None:
    """What a key has no capability for is refused by its pages, too."""
    sign_in(server, agent, master, capabilities=["listBuckets", "listFiles"])
    page = agent.get(f"{FOLDER}/bucket?bucket=open-bucket&prefix=in/")
    assert 200 == page.status
    assert 403 == agent.get(page.link("download")).status
    assert 400 == agent.submit(page.form("upload"), files=[("new", b"x")]).status
    asking = agent.get(page.link("delete-object"))
    assert 403 == agent.submit(asking.form("delete-object")).status
    assert 403 == agent.submit(agent.get("/").form("create-bucket"), bucket="new-bucket").status


def test_a_key_that_is_deleted(server: Server, agent: Agent, master: B2Caller) -> None:
    """A key that is deleted while somebody is signed in with it shows nothing any more, and signs nobody in."""
    page = sign_in(server, agent, master)
    keys = master("b2_list_keys", accountId=master.account["accountId"]).document["keys"]
    master("b2_delete_key", applicationKeyId=keys[0]["applicationKeyId"])
    assert 403 == agent.get("/").status
    agent.submit(page.form("sign-out"))
    refused = agent.sign_in(keys[0]["applicationKeyId"], "x")
    assert (403, "Sign in") == (refused.status, refused.title)


def test_wrong_secrets(server: Server, agent: Agent, master: B2Caller) -> None:
    """An application key's wrong secret is refused as any other, and its right one is in no log, page or journal."""
    key = master("b2_create_key", accountId="x", keyName="k", capabilities=["listBuckets"]).document
    refused = agent.sign_in(key["applicationKeyId"], "wrong")
    assert (403, True) == (refused.status, "this is not its secret" in refused.text)
    page = agent.sign_in(key["applicationKeyId"], key["applicationKey"])
    assert "Buckets" == page.title
    token = next(iter(server.app.b2.accounts._tokens)) if server.app.b2 else ""
    for secret in (key["applicationKey"], token):
        written = [page.body.decode(), str(page.headers), str(agent.cookies), str(server.journal.entries())]
        written.append(repr(server.app._site._visitors._signed_in) if server.app._site else "")
        assert [] == [text for text in written if secret in text]


def test_a_large_file_that_breaks_off(
    server: Server, agent: Agent, master: B2Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file that does not come to its end is cancelled: neither a file nor an unfinished one is left."""
    monkeypatch.setattr(b2_calls, "PIECE_BYTES", 5_000_000)
    sign_in(server, agent, master)
    page = agent.get(f"{FOLDER}/bucket?bucket=open-bucket&prefix=new/")
    with server.faults.add("b2_upload_part", after=1, status=500, code="internal_error"):
        page = agent.submit(page.form("upload"), files=[("large", b"x" * 12_000_000), ("small", b"y")])
    assert "1 file was stored." in page.text
    found = master("b2_list_unfinished_large_files", bucketId=bucket_id(master, "open-bucket")).document["files"]
    assert [] == found
    assert ["new/small"] == [row.key for row in server.session("open-bucket").list_objects(prefix="new/")]


@pytest.mark.parametrize("server", ["memory"], indirect=True)
def test_hostile_keys(server: Server, agent: Agent, master: B2Caller) -> None:
    """Every key is shown, opened, downloaded and hidden as itself."""
    sign_in(server, agent, master)
    session = server.session("closed-bucket")
    for key in KEYS:
        session.put_object(key, key.encode(), metadata={"about": "ü %41+"})
        page = agent.get(f"{FOLDER}/{link('object', bucket='closed-bucket', key=key)}")
        assert "ü %41+" in page.text_of("dd"), key
        assert key.encode() == agent.get(page.link("download")).body
        assert key.encode() == agent.get(page.link("download", after=1)).body
        agent.submit(agent.get(page.link("delete-object")).form("delete-object"))
        assert [] == list(session.list_objects(prefix=key, max_keys=1)) or key == "k"
