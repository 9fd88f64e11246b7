"""What the pages show and do, over each store: buckets, prefixes, objects, versions, uploads, downloads, deletions."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

import s3func.testing
from s3func.message import BLOCK
from s3func.server import Backend, LocalBackend, MemoryBackend, SessionBackend
from s3func.server.browser.calls import Place
from s3func.server.browser.markup import document, element, joined, name, written_out
from s3func.server.browser.site import PAGE_ROWS, content_disposition
from s3func.server.browser.views import link
from s3func.server.powers import Versioned
from s3func.testing import Server
from tests.interop.keys import HOSTILE_KEYS
from tests.server.browser.agent import BOUNDARY, NAVIGATION, Agent, Page, Reader, multipart
from tests.server.forge import KEY_ID, SECRET

FOLDER = "/-/browser"
LARGE = bytes(range(256)) * 8192


@pytest.fixture(params=["memory", "local", "session"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server with pages, over each store, which has the bucket `bkt`."""
    with contextlib.ExitStack() as upstream:
        backend: Backend = MemoryBackend()
        if request.param == "local":
            backend = LocalBackend(tmp_path / "store", durability="os")
        elif request.param == "session":
            backend = SessionBackend(upstream.enter_context(s3func.testing.server()).session())
        with s3func.testing.server(backend, access_key_id=KEY_ID, secret_access_key=SECRET, browser=True) as server:
            server.session("bkt")
            yield server


def keys_of(server: Server, bucket: str = "bkt") -> list[str]:
    """What a bucket holds."""
    return [row.key for row in server.app.backend.list_objects(bucket).rows]


def bucket_page(agent: Agent, prefix: str = "", page: str = "bucket") -> Page:
    return agent.get(f"{FOLDER}/{link(page, bucket='bkt', prefix=prefix)}")


# --- buckets


def test_buckets(server: Server, agent: Agent) -> None:
    """A bucket is made, shown, asked about and deleted; one that is not empty stays."""
    page = agent.get("/")
    page = agent.submit(page.form("create-bucket"), bucket="new-bucket")
    assert (200, "new-bucket") == (page.status, page.title)
    assert "The bucket was created." in page.text
    assert "Nothing is here" in page.text
    page = agent.get("/")
    assert {"bkt", "new-bucket"} <= set(page.text_of("bdi"))
    asking = agent.get(page.link("delete-bucket?bucket=new-bucket"))
    assert "Delete this bucket?" == asking.title
    assert "new-bucket" in [bucket.name for bucket in server.session().list_buckets()]
    page = agent.submit(asking.form("delete-bucket"))
    assert "The bucket was deleted." in page.text
    assert "new-bucket" not in page.text
    server.session("bkt").put_object("k", b"x")
    asking = agent.get(page.link("delete-bucket?bucket=bkt"))
    page = agent.submit(asking.form("delete-bucket"))
    assert (409, "Bucket not empty") == (page.status, page.title)
    assert ["k"] == keys_of(server)


def test_names_that_no_bucket_has(server: Server, agent: Agent) -> None:
    """A name that cannot be a bucket's is refused in words, wherever it is given."""
    page = agent.get("/")
    for bucket in ("", "-", "UPPER", "a", "a/b", "..", "<b>bold</b>", "x" * 64, "192.168.0.1", "a%2Fb"):
        found = agent.submit(page.form("create-bucket"), bucket=bucket)
        assert (400, "Invalid bucket name") == (found.status, found.title)
        for target in ("bucket", "versions", "object", "download", "delete-object", "delete-bucket"):
            found = agent.get(f"{FOLDER}/{link(target, bucket=bucket, key='k')}")
            assert (400, "Invalid bucket name") == (found.status, found.title)
    assert ["bkt"] == [each.name for each in server.session().list_buckets()]


def test_names_that_no_object_has(agent: Agent) -> None:
    """A key that cannot be one is refused; above all, no key is not the bucket."""
    for page in ("object", "download", "delete-object"):
        for key in (None, "k" * 1025, "\0"):
            found = agent.get(f"{FOLDER}/{link(page, bucket='bkt', key=key)}")
            assert 400 == found.status
            assert found.title in {"Invalid argument", "Key too long error"}


def test_deleting_without_a_key_deletes_nothing(server: Server, agent: Agent) -> None:
    """The form of an object without its key does not become the deletion of its bucket."""
    server.session().create_bucket("empty")
    form = agent.get("/").form("create-bucket")
    for query in ("bucket=empty", "bucket=empty&key=", "bucket=empty&key=&version=1"):
        page = agent.submit(form._replace(action=f"{agent.origin}{FOLDER}/delete-object?{query}"))
        assert 400 == page.status
    assert ["bkt", "empty"] == [each.name for each in server.session().list_buckets()]


# --- lists


def test_prefixes(server: Server, agent: Agent) -> None:
    """Prefixes are followed down, and the path above leads back up; names are shown without what is above them."""
    session = server.session("bkt")
    for key in ("top", "photos/2026/beach.jpg", "photos/2026/", "photos/a b.jpg", "photos//x"):
        session.put_object(key, b"12345")
    page = bucket_page(agent)
    assert ["photos/", "top"] == page.text_of("tbody")[0:3:2]
    page = agent.get(page.link("bucket?bucket=bkt&prefix=photos%2F"))
    assert "photos/" == page.title
    names = [text for text in page.text_of("tbody") if text not in {"prefix", "Download", "Delete", "5 B"}]
    assert ["/", "2026/", "a b.jpg"] == [text for text in names if not text.startswith("20") or text == "2026/"]
    page = agent.get(page.link("bucket?bucket=bkt&prefix=photos%2F2026%2F"))
    assert "(the prefix itself)" in page.text
    assert "beach.jpg" in page.text
    assert ["Buckets", "bkt", "photos", "2026"] == page.text_of("nav")
    page = agent.get(page.link("bucket?bucket=bkt&prefix=photos%2F"))
    assert "photos/" == page.title
    page = agent.submit(page.forms[1], prefix="photos/a")
    assert "photos/a" == page.title
    assert "a b.jpg" in page.text or " b.jpg" in page.text


def test_pages_of_a_long_list(server: Server, agent: Agent) -> None:
    """A thousand objects and more are shown in pages, each key once and in order."""
    backend = server.app.backend
    wanted = [f"k{number:04}&+ü" for number in range(PAGE_ROWS * 4 + 7)]
    for key in wanted:
        with backend.begin_put("bkt", key) as writer:
            writer.commit(s3func.server.backend.ObjectAttributes(owner="s3func"))
    page = bucket_page(agent)
    seen: list[str] = []
    pages = 0
    while True:
        pages += 1
        seen += [dict(parse_qsl(urlsplit(url).query))["key"] for url in page.links if f"{FOLDER}/object?" in url]
        following = [tag.attributes["href"] for tag in page.tags if tag.attributes.get("rel") == "next"]
        if not following:
            break
        assert "and there are more" in page.text
        page = agent.get(f"{FOLDER}/{following[0]}")
    assert wanted == seen
    assert 5 == pages
    assert 400 == agent.get(f"{FOLDER}/bucket?bucket=bkt&after=nonsense").status


def test_what_is_not_there(agent: Agent) -> None:
    """A bucket, an object, a version, a page: what is not there is said, with the way back."""
    for target, title, back in (
        ("bucket?bucket=nowhere", "No such bucket", "./"),
        ("versions?bucket=nowhere", "No such bucket", "./"),
        ("object?bucket=bkt&key=a/b", "No such key", "bucket?bucket=bkt&prefix=a%2F"),
        ("download?bucket=bkt&key=nothing", "No such key", "bucket?bucket=bkt"),
        ("nothing", "No such page", "./"),
    ):
        page = agent.get(f"{FOLDER}/{target}")
        assert (404, title) == (page.status, page.title)
        assert back in [tag.attributes["href"] for tag in page.tags if tag.name == "a"][-1:]


# --- objects


def test_an_object(server: Server, agent: Agent) -> None:
    """The page of an object has what HEAD says about it; its download is an attachment of no type, whole and exact."""
    server.session("bkt").put_object(
        "photos/page.html", LARGE, content_type="text/html", metadata={"author": "Müller <b>"}, cache_control="no-cache"
    )
    page = agent.get(f"{FOLDER}/object?bucket=bkt&key=photos%2Fpage.html")
    facts = page.text_of("dd")
    for fact in ("photos/page.html", "bkt", "2.0 MiB", "text/html", "Müller <b>", "no-cache"):
        assert fact in facts
    assert "2.0 MiB (2,097,152 bytes)" in page.text
    found = agent.get(page.link("download"))
    assert LARGE == found.body
    assert "application/octet-stream" == found.headers["content-type"]
    assert "attachment; filename=\"page.html\"; filename*=UTF-8''page.html" == found.headers["content-disposition"]
    assert "default-src 'none'; frame-ancestors 'none'; sandbox" == found.headers["content-security-policy"]
    assert "nosniff" == found.headers["x-content-type-options"]
    assert str(len(LARGE)) == found.headers["content-length"]
    assert "x-amz-meta-author" not in found.headers
    head = agent.send("HEAD", page.link("download"))
    assert (200, str(len(LARGE)), b"") == (head.status, head.headers["content-length"], head.body)


def test_a_download_is_resumed(server: Server, agent: Agent) -> None:
    """A browser that lost its download goes on where it was, and begins anew where the object is another by then."""
    session = server.session("bkt")
    session.put_object("k", LARGE)
    url = f"{FOLDER}/download?bucket=bkt&key=k"
    etag = agent.get(url).headers["etag"]
    part = agent.get(url, {"range": "bytes=1000000-", "if-range": etag})
    assert (206, LARGE[1_000_000:]) == (part.status, part.body)
    assert f"bytes 1000000-{len(LARGE) - 1}/{len(LARGE)}" == part.headers["content-range"]
    session.put_object("k", b"another")
    whole = agent.get(url, {"range": "bytes=3-", "if-range": etag})
    assert (200, b"another") == (whole.status, whole.body)
    assert 416 == agent.get(url, {"range": "bytes=100-"}).status


def test_an_object_is_deleted(server: Server, agent: Agent) -> None:
    """A deletion is asked about first; then exactly this object is gone, and the list is shown."""
    session = server.session("bkt")
    for key in ("a/b", "a/c", "a"):
        session.put_object(key, b"x")
    page = bucket_page(agent, "a/")
    asking = agent.get(page.link("delete-object?bucket=bkt&key=a%2Fb"))
    assert "It will be gone for good" in asking.text
    assert ["a", "a/b", "a/c"] == keys_of(server)
    page = agent.submit(asking.form("delete-object"))
    assert ("a/", True) == (page.title, "The object was deleted." in page.text)
    assert ["a", "a/c"] == keys_of(server)


def test_what_has_changed_is_not_deleted(server: Server, agent: Agent) -> None:
    """Who has looked at an object and deletes it does not delete another one that was put there in between."""
    session = server.session("bkt")
    session.put_object("k", b"first")
    page = agent.get(f"{FOLDER}/object?bucket=bkt&key=k")
    asking = agent.get(page.link("delete-object"))
    session.put_object("k", b"second")
    assert 412 == agent.submit(asking.form("delete-object")).status
    assert b"second" == session.get_object("k").data


@pytest.mark.parametrize("server", ["memory", "local"], indirect=True)
def test_versions(server: Server, agent: Agent) -> None:
    """Every version and marker is shown, downloaded and deleted by itself; deleting an object hides it."""
    assert isinstance(server.app.backend, Versioned)
    server.app.backend.set_versioning("bkt", "Enabled")
    session = server.session("bkt")
    versions = [session.put_object("a/k", f"version {number}").version_id for number in range(3)]
    page = agent.get(f"{FOLDER}/object?bucket=bkt&key=a%2Fk")
    assert versions[::-1] == [
        dict(parse_qsl(urlsplit(url).query))["version"]
        for url in page.links
        if "object?" in url and "version" in url and "delete" not in url
    ]
    asking = agent.get(page.link("delete-object"))
    assert "a delete marker will hide the object" in asking.text
    page = agent.submit(asking.form("delete-object"))
    assert "is hidden by a delete marker" in page.text
    assert [] == keys_of(server)
    assert 404 == agent.get(f"{FOLDER}/object?bucket=bkt&key=a%2Fk").status
    page = bucket_page(agent, "a/", "versions")
    assert page.text.count("(delete marker)") == 1
    assert page.text.count("Download") == 3
    found = agent.get(page.link("download", after=1))
    assert b"version 1" == found.body
    page = agent.get(page.link("object", after=0))
    assert [f"{versions[2]}"] == [text for text in page.text_of("dd") if text in versions]
    page = bucket_page(agent, "a/", "versions")
    asking = agent.get(page.link("delete-object", after=0))
    assert "This version will be gone for good" in asking.text
    page = agent.submit(asking.form("delete-object"))
    assert "The version was deleted." in page.text
    assert ["a/k"] == keys_of(server)
    asking = agent.get(page.link("delete-object", after=0))
    agent.submit(asking.form("delete-object"))
    assert b"version 1" == session.get_object("a/k").data
    marker = f"{FOLDER}/{link('object', bucket='bkt', key='a/k', version='nonsense')}"
    assert agent.get(marker).status in {400, 404}


@pytest.mark.parametrize("server", ["memory", "local"], indirect=True)
def test_pages_of_versions(server: Server, agent: Agent) -> None:
    """A long history is shown in pages, each version once, also where a page ends in the middle of one key's."""
    backend = server.app.backend
    assert isinstance(backend, Versioned)
    backend.set_versioning("bkt", "Enabled")
    number = PAGE_ROWS + 20
    for each in range(number):
        with backend.begin_put("bkt", "one" if each % 2 else "two") as writer:
            writer.commit(s3func.server.backend.ObjectAttributes(owner="s3func"))
    first = bucket_page(agent, page="versions")
    following = [tag.attributes["href"] for tag in first.tags if tag.attributes.get("rel") == "next"]
    second = agent.get(f"{FOLDER}/{following[0]}")
    found = [url for page in (first, second) for url in page.links if "/object?" in url]
    assert number == len(found) == len(set(found))
    assert 2 == sum(page.text.count("(current)") for page in (first, second))
    whole = agent.get(f"{FOLDER}/object?bucket=bkt&key=one")
    assert "All versions" in whole.text


# --- uploads


def test_uploads(server: Server, agent: Agent) -> None:
    """Several files at once arrive below the prefix, whole and with the names that they have."""
    page = bucket_page(agent, "in/")
    files = [("a.txt", b"small"), ("large.bin", LARGE), ("empty", b""), ("sub/folder/x", b"1"), ("", b"")]
    page = agent.submit(page.form("upload"), files=files)
    assert (200, "in/") == (page.status, page.title)
    assert "Everything was uploaded." in page.text
    session = server.session("bkt")
    found = {row.key: session.get_object(row.key).data for row in session.list_objects()}
    assert {f"in/{name}": content for name, content in files if name} == found
    assert "application/octet-stream" == session.head_object("in/a.txt").content_type


def test_an_upload_replaces_nothing_unless_asked_to(server: Server, agent: Agent) -> None:
    """What is there already stays and is named, the other files arrive; with the box ticked it is replaced."""
    session = server.session("bkt")
    session.put_object("a", b"old")
    form = bucket_page(agent).form("upload")
    page = agent.submit(form, files=[("a", b"new"), ("b", b"new")])
    assert (200, "Upload") == (page.status, page.title)
    assert "1 file was stored." in page.text
    assert "There is an object with this key already." in page.text
    assert (b"old", b"new") == (session.get_object("a").data, session.get_object("b").data)
    page = agent.submit(form, files=[("a", b"new"), ("b", b"newer")], replace="yes")
    assert "Everything was uploaded." in page.text
    assert (b"new", b"newer") == (session.get_object("a").data, session.get_object("b").data)
    page = agent.submit(form, files=[("", b"")])
    assert (400, True) == (page.status, "No file was chosen." in page.text)
    page = agent.submit(form, files=[("k" * 1025, b"x"), ("c", b"x")])
    assert "1 file was stored." in page.text
    assert ["a", "b", "c"] == keys_of(server)


def test_an_upload_needs_its_token_in_front(server: Server, agent: Agent) -> None:
    """Files that come before the token are not stored, and not after it either."""
    form = bucket_page(agent).form("upload")
    parts = multipart([], [("a", b"x")]).partition(f"--{BOUNDARY}--".encode())[0]
    body = parts + multipart(list(form.fields.items()), [("b", b"x")])
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert 403 == agent.send("POST", form.action, headers, body).status
    assert 403 == agent.send("POST", form.action, headers, multipart([], [])).status
    assert [] == keys_of(server)


@pytest.mark.parametrize("large", [False, True])
def test_a_form_that_ends_too_early(server: Server, agent: Agent, large: bool) -> None:
    """Of a form that ends in the middle of a file, no part of that file becomes an object; those before it do."""
    form = bucket_page(agent).form("upload")
    content = LARGE if large else b"0123456789"
    body = multipart(list(form.fields.items()), [("first", b"1"), ("second", content)])
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    for cut in (len(body) - len(BOUNDARY) - 10, len(body) - len(content) // 2 - len(BOUNDARY) - 10):
        page = agent.send("POST", form.action, headers, body[:cut])
        assert 400 == page.status
        assert "ended before its last file did" in page.text
        assert ["first"] == keys_of(server)
        server.session("bkt").delete_object("first")
    for nonsense in (b"", b"x", b"--" + BOUNDARY.encode() + b"\r\n\r\n", body.replace(b"form-data", b"nonsense")):
        assert agent.send("POST", form.action, headers, nonsense).status in {400, 403}
    assert agent.send("POST", form.action, {"content-type": "multipart/form-data"}, body).status in {400, 412}
    assert [] == keys_of(server)


def test_a_connection_that_is_lost(server: Server, agent: Agent) -> None:
    """An upload whose sender goes away stores nothing of the file that was on its way."""
    form = bucket_page(agent).form("upload")
    body = multipart(list(form.fields.items()), [("k", LARGE)])
    cookies = "; ".join(f"{name}={value}" for name, (_, value) in agent.cookies.items())
    parts = urlsplit(form.action)
    head = (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookies}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
    assert 200 == bucket_page(agent).status
    assert [] == keys_of(server)


@pytest.mark.parametrize("server", ["memory"], indirect=True)
def test_uploads_arrive_while_they_are_sent(server: Server, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is handed to the store in blocks: no part of the server ever has all of it."""
    form = bucket_page(agent).form("upload")
    sizes: list[int] = []
    begin_put = server.app.backend.begin_put

    def begin(bucket: str, key: str) -> Any:
        writer: Any = begin_put(bucket, key)
        write = writer.write

        def measured(block: bytes | memoryview) -> None:
            sizes.append(len(block))
            write(block)

        writer.write = measured
        return writer

    monkeypatch.setattr(server.app.backend, "begin_put", begin)
    agent.submit(form, files=[("k", LARGE * 4)])
    assert max(sizes) <= BLOCK
    assert LARGE * 4 == server.session("bkt").get_object("k").data


# --- names


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Server, Agent]]:
    """One server for many keys, and a browser that has signed in."""
    with s3func.testing.server(access_key_id=KEY_ID, secret_access_key=SECRET, browser=True) as server:
        server.session("bkt").put_object("other", b"not this one")
        with Agent(server.endpoint_url) as agent:
            agent.sign_in(KEY_ID, SECRET)
            yield server, agent


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys(shared: tuple[Server, Agent], key: str) -> None:
    """Every key is shown, opened, downloaded and deleted as itself, next to another that it must not be taken for."""
    server, agent = shared
    server.session("bkt").put_object(key, b"this one")
    page = bucket_page(agent, key[: key.rfind("/") + 1])
    assert 200 == page.status
    (url,) = [url for url in page.links if "/object?" in url and dict(parse_qsl(urlsplit(url).query))["key"] == key]
    page = agent.get(url)
    assert written_out(key) == page.title
    found = agent.get(page.link("download"))
    assert b"this one" == found.body
    assert saved_as(found).isprintable()
    asking = agent.get(page.link("delete-object"))
    page = agent.submit(asking.form("delete-object"))
    assert "The object was deleted." in page.text
    assert ["other"] == keys_of(server)


def test_names_are_only_names(server: Server, agent: Agent) -> None:
    """A key, a bucket's page, an uploaded name, metadata and errors that look like HTML are text on every page."""
    attack = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'><!--"
    session = server.session("bkt")
    session.put_object(f"{attack}/{attack}", b"x", metadata={"m": attack}, content_type=f"text/{attack[:5]}")
    session.put_object(attack, b"x")
    session.put_object(attack.replace("/", ""), b"x")
    pages = [
        bucket_page(agent),
        bucket_page(agent, f"{attack}/"),
        bucket_page(agent, attack),
        bucket_page(agent, page="versions"),
        *(agent.get(f"{FOLDER}/{link(page, bucket='bkt', key=attack)}") for page in ("object", "delete-object")),
        agent.get(f"{FOLDER}/{link('object', bucket='bkt', key=f'{attack}/{attack}')}"),
        agent.get(f"{FOLDER}/{link('object', bucket='bkt', key=attack + 'x')}"),
        agent.get(f"{FOLDER}/{link('bucket', bucket=attack)}"),
        agent.get(f"{FOLDER}/{link('bucket', bucket='bkt', notice=attack)}"),
        agent.get(f"{FOLDER}/{attack}".replace(" ", "%20").replace("<", "%3C").replace('"', "%22")),
        agent.submit(bucket_page(agent).form("upload"), files=[(attack, b"x")]),
        agent.submit(bucket_page(agent).form("sign-out")),
    ]
    for page in pages:
        assert not {"img", "script"} & {tag.name for tag in page.tags}
        assert not [name for tag in page.tags for name in tag.attributes if name.startswith("on")]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60))
@example("\u202eexe.gpj")
@example("]]></bdi></a><script>")
@example("a\u2066b\u2069\u200f\u061c")
def test_any_name_in_a_page(text: str) -> None:
    """Any name stands in a page as itself, without a letter that is invisible, changes direction or ends its element."""
    content = document(
        text,
        [],
        [
            element("p", name(text), title=text, class_="a"),
            element("a", text, href=link("object", key=text)),
            joined([text]),
        ],
    )
    reader = Reader(content.decode())
    assert ["html", "head", "meta", "title", "body", "p", "bdi"] == [
        tag.name for tag in reader.tags if tag.name not in {"i", "a"}
    ]
    shown = "".join(piece for inside, piece in reader.texts if "bdi" in inside)
    assert written_out(text) == shown
    assert all(
        not re.match(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]", each) for each in shown
    )
    assert [text] == [tag.attributes["title"] for tag in reader.tags if tag.name == "p"]
    target = next(tag.attributes["href"] for tag in reader.tags if tag.name == "a")
    assert [("key", text)] == parse_qsl(urlsplit(target).query, keep_blank_values=True)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60))
@example('a"; filename="evil.exe')
@example("../../etc/passwd")
@example("C:\\windows\\x")
@example("a\r\nset-cookie: x=1")
@example("...")
@example("/")
@example("%41%22.txt")
def test_any_name_as_a_file(key: str) -> None:
    """What a browser is told to call a file has no folder, no control character and no second meaning."""
    header = content_disposition(key)
    assert header.isascii()
    assert header.isprintable()
    match = re.fullmatch(r"attachment; filename=\"([^\"\\%/]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header)
    assert match is not None
    file = unquote(match[2], errors="strict")
    for each in (match[1], file):
        assert not set(each) & set('/\\:*?"<>|\r\n\t\0')
        assert each.isprintable()
        assert each.strip(". ") == each
        assert each


def saved_as(page: Page) -> str:
    """What a browser calls the file."""
    message = Message()
    message["content-disposition"] = page.headers["content-disposition"].partition("; filename*")[0]
    file = message.get_filename()
    assert file is not None
    return str(file)


KEYS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("/<>&\"'%+.\n\r\u202e;="),
    min_size=1,
    max_size=40,
)


def test_any_key_over_http(shared: tuple[Server, Agent]) -> None:
    """Whatever a file of the user is called, it arrives under this name, is shown, and is deleted, and nothing else is."""
    server, agent = shared

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(KEYS)
    @example('say "hi".txt')
    @example("X-Amz-Signature=1&AWSAccessKeyId=2")
    @example("a\nb\rc\r\nd")
    def check(key: str) -> None:
        # A browser strips the drive of a path that looks like Windows's, and what is written %22 it cannot tell from ".
        if key == "other" or "\\" in key or re.search("%22|%0[AaDd]", key):
            return
        try:
            agent.submit(bucket_page(agent).form("upload"), files=[(key, b"1")])
            assert sorted([key, "other"], key=str.encode) == keys_of(server)
            page = bucket_page(agent, key[: key.rfind("/") + 1])
            urls = [url for url in page.links if "/delete-object?" in url]
            (url,) = [url for url in urls if dict(parse_qsl(urlsplit(url).query))["key"] == key]
            agent.submit(agent.get(url).form("delete-object"))
            assert ["other"] == keys_of(server)
        finally:
            for left in keys_of(server):
                if left != "other":
                    server.app.backend.delete_object("bkt", left)

    check()


# --- accessibility and form


def test_pages_are_made_for_everybody(server: Server, agent: Agent) -> None:
    """Every page has a language, a title, one heading, a place to skip to; every field a label, every column a head."""
    session = server.session("bkt")
    session.put_object("a/k", b"x")
    for target in (
        "",
        "bucket?bucket=bkt",
        "bucket?bucket=bkt&prefix=a/",
        "versions?bucket=bkt",
        "object?bucket=bkt&key=a/k",
        "delete-object?bucket=bkt&key=a/k",
        "delete-bucket?bucket=bkt",
        "nothing",
    ):
        page = agent.get(f"{FOLDER}/{target}")
        names = [tag.name for tag in page.tags]
        assert {"lang": "en"} == page.tags[0].attributes
        assert (1, 1, 1, 1) == tuple(names.count(each) for each in ("title", "h1", "main", "header"))
        assert page.tags[names.index("main")].attributes["id"] == "content"
        assert [f"{agent.origin}{FOLDER}/{target}#content"] == [url for url in page.links if url.endswith("#content")]
        for tag in page.tags:
            if tag.name == "input" and tag.attributes["type"] != "hidden":
                assert "label" in tag.inside
            if tag.name == "th":
                assert tag.attributes["scope"] in {"col", "row"}
        assert names.count("table") == names.count("caption") == names.count("thead")
        assert all(text.strip() for text in page.text_of("thead"))
        ids = [tag.attributes["id"] for tag in page.tags if "id" in tag.attributes]
        assert sorted(set(ids)) == sorted(ids)
        assert not {"script", "iframe", "object", "embed", "base", "svg"} & set(names)


def test_mounted_below_a_path() -> None:
    """Below a mount everything stays below it: the root's way to the pages, every link and form, the cookie."""
    from s3func.message import Request
    from s3func.server import S3App

    app = S3App(browser=True, no_auth=True)
    app.backend.create_bucket("bkt", owner="s3func")

    def ask(path: str) -> tuple[int, dict[str, str], bytes]:
        headers = NAVIGATION | {"host": "localhost"}
        response = app.handle(
            Request("GET", "http://localhost", path, "", headers, peer="127.0.0.1"), mount="/files/s3"
        )
        return response.status, response.headers, response.read()

    for path, target in (
        ("/files/s3", "s3/-/browser/"),
        ("/files/s3/", "-/browser/"),
        ("/files/s3/-/browser", "browser/"),
    ):
        status, headers, _ = ask(path)
        assert (303, target) == (status, headers["location"])
    status, headers, body = ask("/files/s3/-/browser/")
    assert 200 == status
    assert "Path" not in headers["set-cookie"]
    for tag in Reader(body.decode()).tags:
        for attribute in ("href", "action"):
            url = tag.attributes.get(attribute, "")
            assert not url.startswith(("/", "http"))


def test_a_place_is_not_another() -> None:
    """The URL of a page names exactly what it is about, whatever is in the names."""
    place = Place("bkt", "a&key=b#c?d/../%2e", "v=1&x")
    assert {"bucket": "bkt", "key": "a&key=b#c?d/../%2e", "version": "v=1&x"} == dict(
        parse_qsl(urlsplit(link("object", **place._asdict())).query)
    )
