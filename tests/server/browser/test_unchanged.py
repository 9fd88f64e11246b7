"""What a client of S3 is answered does not depend on whether there are pages: the same status, headers and bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from s3func.message import Request, Response
from s3func.server import S3App
from s3func.server.browser.gate import prefers_html
from tests.server.browser.agent import ACCEPT, NAVIGATION
from tests.server.forge import KEY_ID, SECRET, presign, read, sign

NOW = 1_780_000_000.0
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],'
    '"Resource":["arn:aws:s3:::public","arn:aws:s3:::public/*"]}]}'
)


class Standing:
    """A clock that stands."""

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 1000.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits")


def furnished(*, browser: bool, no_auth: bool = False) -> S3App:
    """An app with a public bucket and one that is not; two of them number their answers alike."""
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, clock=Standing(), browser=browser, no_auth=no_auth)
    for path, body in (
        ("/public", b""),
        ("/private", b""),
        ("/public/page.html", b"<script>alert(1)</script>"),
        ("/public/-/browser/", b"a key that looks like the pages"),
        ("/private/key", b"private"),
    ):
        assert 200 == ask(app, "PUT", path, body=body, headers=sign("PUT", path, "", body, now=NOW)).status
    headers = sign("PUT", "/public", "policy=", POLICY.encode(), now=NOW)
    assert 204 == ask(app, "PUT", "/public", "policy=", headers, POLICY.encode()).status
    app._request_ids = itertools.count(1)
    return app


def ask(
    app: S3App,
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    peer: str = "127.0.0.1",
) -> Response:
    sent = {"host": "localhost", **(headers or {})}
    return app(Request(method, f"http://{sent['host']}", path, query, sent, body, peer=peer))


def answer(app: S3App, *arguments: object, **more: object) -> tuple[int, dict[str, str], bytes]:
    response = ask(app, *arguments, **more)  # type: ignore[arg-type]
    return response.status, response.headers, read(response)


@pytest.fixture(scope="module")
def apps() -> tuple[S3App, S3App]:
    """The same server without and with pages."""
    return furnished(browser=False), furnished(browser=True)


@pytest.fixture
def pair(apps: tuple[S3App, S3App]) -> tuple[S3App, S3App]:
    """The two, which number what they answer from now on alike."""
    for app in apps:
        app._request_ids = itertools.count(1)
    return apps


HTML = {"accept": ACCEPT}
PATHS = (
    "/",
    "/public",
    "/public/page.html",
    "/public/-/browser/",
    "/private",
    "/private/key",
    "/nowhere/x",
    "//",
    "/-/x",
)


METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")
ACCEPTS = (None, "*/*", "application/xml", ACCEPT, JAVA)
UNSIGNED = [
    each
    for each in itertools.product(METHODS, PATHS, ACCEPTS)
    if each != ("GET", "/", ACCEPT)  # which does differ
]


@pytest.mark.parametrize(("method", "path", "accept"), UNSIGNED)
def test_everything_but_the_root_in_a_browser(
    pair: tuple[S3App, S3App], method: str, path: str, accept: str | None
) -> None:
    """Without a signature, whatever is asked and whatever Accept says, only a GET of the root that prefers HTML differs."""
    headers = {} if accept is None else {"accept": accept}
    first, second = (answer(app, method, path, "", headers) for app in pair)
    assert first == second


def test_the_root_in_a_browser(pair: tuple[S3App, S3App]) -> None:
    """The one request that differs is sent to the pages."""
    without, with_pages = (answer(app, "GET", "/", "", HTML) for app in pair)
    assert (200, "application/xml") == (without[0], without[1]["content-type"])
    assert (303, "-/browser/") == (with_pages[0], with_pages[1]["location"])
    assert "Accept" == with_pages[1]["vary"]


@pytest.mark.parametrize("path", [*PATHS, "/-/browser", "/-/browser/", "/-/browser/bucket"])
def test_signed_requests(pair: tuple[S3App, S3App], path: str) -> None:
    """A signed request that prefers HTML gets what it always got, in the header and in the URL, also below the pages."""
    for method in ("GET", "HEAD", "POST"):
        headers = sign(method, path, "", b"", HTML, now=NOW)
        first, second = (answer(app, method, path, "", headers) for app in pair)
        assert first == second
        query = presign(method, path, now=NOW)
        first, second = (answer(app, method, path, query, HTML) for app in pair)
        assert first == second


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("x-id=ListBuckets", HTML),
        ("max-buckets=5", HTML),
        ("", HTML | {"x-amz-date": "20260101T000000Z"}),
        ("", HTML | {"amz-sdk-invocation-id": "1"}),
        ("", HTML | {"authorization": "AWS4-HMAC-SHA256 nonsense"}),
        ("", HTML | {"authorization": "Basic eDp5"}),
        ("", HTML | {"sec-fetch-mode": "cors"}),
        ("", HTML | {"sec-fetch-dest": "iframe"}),
        ("", HTML | {"host": "public.localhost"}),
        ("AWSAccessKeyId=x&Signature=y&Expires=1", HTML),
    ],
)
def test_the_root_for_others(pair: tuple[S3App, S3App], query: str, headers: Mapping[str, str]) -> None:
    """What has a query, a sign of a client, another host or is no visit of a person is S3's, even at the root."""
    first, second = (answer(app, "GET", "/", query, headers) for app in pair)
    assert first == second
    assert b"<!DOCTYPE html" not in first[2]


@pytest.mark.parametrize("path", ["/-/browser", "/-/browser/", "/-/browser/bucket"])
def test_a_bucket_by_its_host(pair: tuple[S3App, S3App], path: str) -> None:
    """By the name of a bucket's host, the path of the pages is a key like any other."""
    first, second = (answer(app, "GET", path, "", HTML | {"host": "public.localhost"}) for app in pair)
    assert first == second
    assert (200 if path == "/-/browser/" else 404) == first[0]


@pytest.mark.parametrize("path", ["/-/browser/", "/-/browser/bucket"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_on_the_pages(pair: tuple[S3App, S3App], method: str, path: str) -> None:
    """The pages have GET, HEAD and POST; everything else is S3's, for which "-" is no bucket."""
    first, second = (answer(app, method, path, "", HTML) for app in pair)
    assert first == second


def test_with_no_auth_other_machines_are_clients() -> None:
    """Without keys, who comes from elsewhere or by another name gets S3 at the root, also in a browser."""
    without, with_pages = (furnished(browser=browser, no_auth=True) for browser in (False, True))
    for headers, peer in (
        (NAVIGATION | {"host": "evil.example"}, "127.0.0.1"),
        (NAVIGATION | {"host": "evil.example:10001"}, "127.0.0.1"),
        (NAVIGATION | {"host": "localhost.evil.example"}, "127.0.0.1"),
        (NAVIGATION, "192.0.2.7"),
        (NAVIGATION, ""),
        (NAVIGATION | {"x-forwarded-for": "192.0.2.7"}, "127.0.0.1"),
    ):
        first, second = (answer(app, "GET", "/", "", headers, peer=peer) for app in (without, with_pages))
        assert first == second
        assert b"<ListAllMyBucketsResult" in first[2]


# --- properties

_PIECES = st.sampled_from(["/", "-", "browser", "public", "private", "key", "page.html", "%2F", "..", ".", "x", "%3C"])
_QUERIES = st.sampled_from(["", "list-type=2", "versions=", "acl=", "prefix=a", "bucket=public", "delimiter=/"])
_ACCEPTS = st.sampled_from(
    ["", "*/*", "text/*", "application/xml", "text/html;q=0", "text/html;q=0.5,*/*", "text/html, application/xml", JAVA]
)


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST"]),
    st.lists(_PIECES, max_size=6).map(lambda pieces: "/" + "".join(pieces)),
    _QUERIES,
    _ACCEPTS,
    st.booleans(),
)
@example("GET", "/", "", JAVA, False)
def test_what_does_not_prefer_html(method: str, path: str, query: str, accept: str, signed: bool) -> None:
    """No request whose Accept does not prefer HTML to everything is answered otherwise, but below the pages' own folder."""
    if path == "/-/browser" or path.startswith("/-/browser/"):
        path = "/public"
    headers = {"accept": accept} | (sign(method, path, query, now=NOW) if signed else {})
    first, second = (answer(furnished(browser=browser), method, path, query, headers) for browser in (False, True))
    assert first == second


@pytest.mark.parametrize(
    "accept",
    [
        ACCEPT,
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, application/xhtml+xml, image/jxr, */*;q=0.5",
        "TEXT/HTML;charset=utf-8, */*;q=0.1",
        "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01",
    ],
)
def test_browsers_prefer_html(accept: str) -> None:
    """Chromium, curl by hand, Firefox, Edge, lynx: what they send is understood as a wish for a page."""
    assert prefers_html(accept)


@pytest.mark.parametrize(
    "accept",
    [
        *(
            "",
            "*",
            "*/*",
            "text/*",
            "text/html;q=0",
            "text/html;q=0.0",
            "application/xhtml+xml",
            "text/htmlx",
            "xtext/html",
        ),
        *("text/html,*/*", "text/html;q=0.8,application/xml", "text/html,text/xml", "text/html,application/json"),
        *("text/html,", ",", "text/html;q=0.9,*/*;q=0.9", "application/xml,text/html;q=0.9", JAVA),
    ],
)
def test_others_do_not(accept: str) -> None:
    """What does not name HTML, or would take something of S3 as readily, is no wish for a page."""
    assert not prefers_html(accept)


@given(st.text(max_size=200))
def test_any_accept(accept: str) -> None:
    """Whatever an Accept is, it is read without an error, and HTML is preferred only by its own name."""
    assert not prefers_html(accept) or "text/html" in accept.lower()
