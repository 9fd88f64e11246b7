"""Who is let in: the form for the key pair, the cookie, the token of every form, and other sites that try."""

from __future__ import annotations

import logging
import re

import pytest

import s3func.testing
from s3func.message import Request, Response
from s3func.server import S3App, User
from s3func.server.browser import visitors
from s3func.server.browser.visitors import IDLE_SECONDS, LIFE_SECONDS, REFUSAL_SECONDS, REFUSALS, Attempts, Visitors
from s3func.testing import Server
from tests.server.browser.agent import NAVIGATION, Agent
from tests.server.forge import KEY_ID, SECRET
from tests.server.people import ALT, MAIN

FOLDER = "/-/browser"
SHOWN = ["", "bucket?bucket=bkt", "versions?bucket=bkt", "object?bucket=bkt&key=k", "download?bucket=bkt&key=k"]
ASKED = ["delete-object?bucket=bkt&key=k", "delete-bucket?bucket=bkt"]
DONE = ["create-bucket", *ASKED, "upload?bucket=bkt", "sign-out"]


class Moving:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return 1_780_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


# --- the form


def test_the_root_leads_to_the_form_and_on(stranger: Agent) -> None:
    """Who opens the root signs in with the key pair, and is then where it wanted to go."""
    page = stranger.get("/")
    assert (200, "Sign in") == (page.status, page.title)
    assert {"Access key ID", "Secret access key"} <= set(page.text_of("label"))
    page = stranger.submit(page.form("sign-in"), access_key_id=KEY_ID, secret_access_key=SECRET)
    assert (200, f"{stranger.origin}{FOLDER}/", "Buckets") == (page.status, page.url, page.title)
    assert "Sign in" not in stranger.get("/").text


def test_a_page_that_was_asked_for_is_shown_afterwards(server: Server, stranger: Agent) -> None:
    """A link to a page in the middle survives signing in."""
    server.session("bkt").put_object("a b/+ü", b"x")
    page = stranger.get(f"{FOLDER}/object?bucket=bkt&key=a%20b%2F%2B%C3%BC")
    page = stranger.submit(page.form("sign-in"), access_key_id=KEY_ID, secret_access_key=SECRET)
    assert "a b/+ü" == page.title


@pytest.mark.parametrize(
    "following", ["//evil.example/", "https://evil.example", "javascript:alert(1)", "../x", "\\\\evil"]
)
def test_the_way_on_leads_nowhere_else(stranger: Agent, following: str) -> None:
    """Signing in sends nobody to another site, whatever the link to the form says."""
    page = stranger.get("/")
    form = page.form("sign-in")
    page = stranger.submit(form, next=following, access_key_id=KEY_ID, secret_access_key=SECRET)
    assert f"{stranger.origin}{FOLDER}/" == page.url


@pytest.mark.parametrize(
    ("key_id", "secret"),
    [
        (KEY_ID, "wrong"),
        (KEY_ID, ""),
        (KEY_ID, SECRET + " "),
        ("nobody", SECRET),
        ("", ""),
        (SECRET, KEY_ID),
        ("é", "\0"),
    ],
)
def test_what_is_wrong_is_not_told_apart(stranger: Agent, key_id: str, secret: str) -> None:
    """A wrong secret and an unknown key are refused in the same words, and nobody is signed in."""
    form = stranger.get("/").form("sign-in")
    page = stranger.submit(form, access_key_id=key_id, secret_access_key=secret)
    assert 403 == page.status
    assert "There is no such key, or this is not its secret." in page.text
    assert "Sign in" == stranger.get("/").title


def test_nothing_is_shown_to_a_stranger(server: Server, stranger: Agent) -> None:
    """Every page but the form leads to the form."""
    server.session("bkt").put_object("k", b"private")
    for page in (*SHOWN, *ASKED):
        found = stranger.get(f"{FOLDER}/{page}")
        assert "Sign in" == found.title
        assert b"private" not in found.body


def test_nothing_is_done_for_a_stranger(server: Server, stranger: Agent) -> None:
    """A form of somebody who is not signed in changes nothing, even with the token of the form to sign in."""
    server.session("bkt").put_object("k", b"x")
    token = stranger.get("/").form("sign-in").fields["form-token"]
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = f"form-token={token}&bucket=new-bucket".encode()
    for page in DONE:
        assert 403 == stranger.send("POST", f"{FOLDER}/{page}", headers, body).status
    assert ["bkt"] == [info.name for info in server.app.backend.list_buckets()]
    assert ["k"] == [row.key for row in server.app.backend.list_objects("bkt").rows]


def test_signing_out(agent: Agent) -> None:
    """Signing out ends it also for whoever has kept a copy of the cookie."""
    kept = dict(agent.cookies)
    page = agent.get("/")
    page = agent.submit(page.form("sign-out"))
    assert "You are signed out." in page.text
    agent.cookies = kept
    assert "Sign in" == agent.get("/").title


# --- the secret and the cookie


def test_the_secret_goes_nowhere(server: Server, stranger: Agent, caplog: pytest.LogCaptureFixture) -> None:
    """The secret is in no cookie, no page, no log and no journal; of the journal, signing in is no part at all."""
    with caplog.at_level(logging.DEBUG):
        stranger.get("/")
        pages = [stranger.sign_in(KEY_ID, SECRET)]
        pages.append(stranger.get(f"{FOLDER}/bucket?bucket=bkt"))
        pages.append(stranger.submit(pages[0].form("sign-out")))
        pages.append(stranger.sign_in(KEY_ID, "wrong-" + SECRET))
        written = [
            *(page.body.decode() for page in pages),
            *(str(page.headers) for page in pages),
            str(stranger.cookies),
            caplog.text,
            str(server.journal.entries()),
            repr(server.app._site.__dict__),
        ]
    assert [] == [text for text in written if SECRET in text]
    assert "GET /-/browser/bucket 200" in caplog.text


def test_the_cookie(server: Server, stranger: Agent) -> None:
    """Scripts cannot read it, other sites cannot send it, S3 never sees it, it is over soon, and signing in renews it."""
    form = stranger.get("/").form("sign-in")
    before = dict(stranger.cookies)
    body = (
        f"form-token={form.fields['form-token']}&access-key-id={KEY_ID}&secret-access-key={SECRET.replace('+', '%2B')}"
    )
    headers = {"content-type": "application/x-www-form-urlencoded"}
    page = stranger.send("POST", form.action, headers, body.encode())
    pair, *attributes = page.headers["set-cookie"].split("; ")
    assert [f"Max-Age={LIFE_SECONDS}", "HttpOnly", "SameSite=Strict"] == attributes
    assert re.fullmatch(r"s3func-[0-9a-f]{8}=[\w-]{22}\.[0-9]+\.[0-9a-f]{64}", pair)
    assert {FOLDER} == {folder for folder, _ in stranger.cookies.values()}
    assert pair.partition("=")[2].partition(".")[0] not in str(before)


def test_the_cookie_is_secure_over_tls() -> None:
    """Over TLS the browser is told not to send it otherwise."""
    app = S3App(browser=True)
    answers = {
        scheme: app(Request("GET", f"{scheme}://h", f"{FOLDER}/sign-in", "", {"host": "h"}))
        for scheme in ("http", "https")
    }
    assert {"http": False, "https": True} == {
        scheme: "; Secure" in answer.headers["set-cookie"] for scheme, answer in answers.items()
    }


def test_a_plain_connection_over_a_network_is_warned_of() -> None:
    """Who is about to send a secret unencrypted over a network is told; on this machine and over TLS nobody is."""
    app = S3App(browser=True)

    def is_warned(origin: str, peer: str, **headers: str) -> bool:
        sent = {"host": origin.partition("://")[2], **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = app(Request("GET", origin, f"{FOLDER}/sign-in", "", sent, peer=peer))
        assert 200 == answer.status
        return b"not encrypted" in answer.read()

    assert is_warned("http://192.0.2.1:10001", "192.0.2.7")
    assert is_warned("http://store.example", "192.0.2.7")
    assert not is_warned("https://store.example", "192.0.2.7")
    assert not is_warned("http://store.example", "127.0.0.1", x_forwarded_proto="https")
    assert not is_warned("http://localhost:10001", "127.0.0.1")


@pytest.mark.parametrize("place", range(3))
def test_a_cookie_that_was_tampered_with(agent: Agent, place: int) -> None:
    """A cookie whose name, age or signature is another's is nobody's."""
    signed_in = {name: value for name, (_, value) in agent.cookies.items() if not name.endswith("-form")}
    ((name, value),) = signed_in.items()
    parts = value.split(".")
    # Of the right form each, and as old as it was.
    parts[place] = ["A" * 22, f"0{parts[1]}", "0" * 64][place]
    agent.cookies[name] = (FOLDER, ".".join(parts))
    assert "Sign in" == agent.get("/").title
    agent.cookies[name] = (FOLDER, value)
    assert "Buckets" == agent.get("/").title


def test_a_stranger_s_cookie_signs_nobody_in(stranger: Agent) -> None:
    """What a stranger was given for the form is not taken as the cookie of somebody who has signed in, nor kept by it."""
    stranger.get("/")
    ((name, (folder, value)),) = stranger.cookies.items()
    assert name.endswith("-form")
    stranger.cookies[name.removesuffix("-form")] = (folder, value)
    assert "Sign in" == stranger.get("/").title
    del stranger.cookies[name.removesuffix("-form")]
    stranger.sign_in(KEY_ID, SECRET)
    del stranger.cookies[name.removesuffix("-form")]
    assert "Sign in" == stranger.get("/").title


def test_a_link_of_another_site_does_not_sign_out(agent: Agent) -> None:
    """Who follows a link comes without the strict cookie; what the pages then give it does not replace that one."""
    kept = dict(agent.cookies)
    agent.cookies.clear()
    page = agent.get(f"{FOLDER}/", {"sec-fetch-site": "cross-site"})
    assert "Sign in" == page.title
    agent.cookies = kept | agent.cookies
    assert "Buckets" == agent.get("/").title


def test_sessions_end() -> None:
    """A visitor is signed out after an hour without a request, and after half a day in any case."""
    clock = Moving()
    guests = Visitors(clock)
    account = object()

    def account_of(cookie: str) -> object:
        return guests.find({"cookie": f"other=1; {cookie}"}).account

    cookie = guests.sign_in(account).cookie.partition(";")[0]  # type: ignore[arg-type]
    clock.sleep(IDLE_SECONDS - 1)
    assert account is account_of(cookie)
    clock.sleep(IDLE_SECONDS)
    assert account_of(cookie) is None
    cookie = guests.sign_in(account).cookie.partition(";")[0]  # type: ignore[arg-type]
    end = clock.seconds + LIFE_SECONDS
    while clock.seconds < end - 1000:
        assert account is account_of(cookie)
        clock.sleep(1000)
    clock.seconds = end - 1
    assert account is account_of(cookie)
    clock.seconds = end
    assert account_of(cookie) is None


def test_a_cookie_of_another_process() -> None:
    """A cookie that another server has given is worth nothing here, whatever it is called."""
    first, second = Visitors(Moving()), Visitors(Moving())
    cookie = first.sign_in(object()).cookie.partition(";")[0]  # type: ignore[arg-type]
    assert first.find({"cookie": cookie}).account is not None
    value = cookie.partition("=")[2]
    assert second.find({"cookie": cookie}).account is None
    assert second.find({"cookie": f"{second._cookie}={value}"}).account is None


def test_the_signed_in_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing in again and again does not fill the memory: the oldest goes."""
    monkeypatch.setattr(visitors, "SIGNED_IN_MAX", 3)
    guests = Visitors(Moving())
    cookies = [guests.sign_in(object()).cookie.partition(";")[0] for _ in range(5)]  # type: ignore[arg-type]
    assert [False, False, True, True, True] == [
        guests.find({"cookie": cookie}).account is not None for cookie in cookies
    ]


# --- how often


def test_too_many_attempts() -> None:
    """After some wrong secrets an address has to wait, with the right secret as well; other addresses do not."""
    clock = Moving()
    app = S3App(access_key_id=KEY_ID, secret_access_key=SECRET, clock=clock, browser=True)

    def ask(method: str, body: str = "", cookie: str = "", peer: str = "192.0.2.1") -> Response:
        headers = {"host": "h", "cookie": cookie, "content-type": "application/x-www-form-urlencoded"}
        return app(Request(method, "http://h", f"{FOLDER}/sign-in", "", headers, body.encode(), peer=peer))

    def attempt(secret: str, peer: str = "192.0.2.1") -> Response:
        page = ask("GET")
        cookie = page.headers["set-cookie"].partition(";")[0]
        token = re.findall(r'name="form-token" value="(\w+)"', page.read().decode())[0]
        secret = secret.replace("+", "%2B").replace("/", "%2F")
        return ask("POST", f"form-token={token}&access-key-id={KEY_ID}&secret-access-key={secret}", cookie, peer)

    assert [403] * REFUSALS == [attempt("wrong").status for _ in range(REFUSALS)]
    refused = attempt(SECRET)
    assert 429 == refused.status
    assert "Too many attempts" in refused.read().decode()
    assert 0 < int(refused.headers["retry-after"]) <= REFUSAL_SECONDS
    assert 303 == attempt(SECRET, "192.0.2.2").status
    clock.sleep(int(refused.headers["retry-after"]))
    # What was right does not count, and what was wrong before is not forgotten for it.
    assert [303, 303, 403, 429] == [attempt(secret).status for secret in (SECRET, SECRET, "wrong", SECRET)]
    clock.sleep(REFUSALS * REFUSAL_SECONDS)
    assert [403] * REFUSALS == [attempt("wrong").status for _ in range(REFUSALS)]


def test_attempts() -> None:
    """They leak away with time; networks of IPv6 count as one address; the table is bounded."""
    clock = Moving()
    attempts = Attempts(clock)
    assert [0] * REFUSALS == [attempts.begin("2001:db8::1") for _ in range(REFUSALS)]
    assert attempts.begin("2001:db8::ffff") > 0
    assert 0 == attempts.begin("2001:db8:0:1::1")
    assert 0 == attempts.begin("::ffff:192.0.2.1")
    assert 0 == attempts.begin("testclient")
    clock.sleep(REFUSAL_SECONDS)
    assert 0 == attempts.begin("2001:db8::1")
    assert attempts.begin("2001:db8::1") > 0
    clock.sleep(REFUSAL_SECONDS * 100)
    assert [0] * REFUSALS == [attempts.begin("2001:db8::1") for _ in range(REFUSALS)]
    for number in range(visitors.ADDRESSES_MAX + 100):
        attempts.begin(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(attempts._forgotten) <= visitors.ADDRESSES_MAX


# --- other sites


@pytest.mark.parametrize("token", ["", "0" * 64, "stale", "é"])
def test_a_form_without_its_token(server: Server, agent: Agent, token: str) -> None:
    """A form that this browser was not given changes nothing, however it comes."""
    server.session("bkt").put_object("k", b"x")
    if token == "stale":
        with Agent(server.endpoint_url) as other:
            token = other.sign_in(KEY_ID, SECRET).form("sign-out").fields["form-token"]
    form = agent.get("/").form("create-bucket")
    for page in DONE:
        target = form._replace(
            action=f"{agent.origin}{FOLDER}/{page}", multipart=page.startswith("upload"), fields={"form-token": token}
        )
        found = agent.submit(target, files=[("new", b"x")] if target.multipart else (), bucket="new-bucket")
        assert 403 == found.status
        assert "This form is too old" in found.text
    assert ["bkt"] == [info.name for info in server.app.backend.list_buckets()]
    assert ["k"] == [row.key for row in server.app.backend.list_objects("bkt").rows]
    assert "Buckets" == agent.get("/").title


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_that_another_site_causes(server: Server, agent: Agent, site: str) -> None:
    """Another site, also another port of this machine, cannot send a form or load a page as a part of its own."""
    server.session("bkt").put_object("k", b"private")
    form = agent.get("/").form("create-bucket")
    assert 403 == agent.submit(form, headers={"sec-fetch-site": site}, bucket="new-bucket").status
    for mode, target in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("navigate", "object")):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": target}
        page = agent.send("GET", f"{FOLDER}/download?bucket=bkt&key=k", headers)
        assert 403 == page.status
        assert b"private" not in page.body
    assert ["bkt"] == [info.name for info in server.app.backend.list_buckets()]


def test_forms_of_the_wrong_kind(agent: Agent) -> None:
    """A form that is no form, is too long or not of the pages is refused in words, and changes nothing."""
    form = agent.get("/").form("create-bucket")
    token = form.fields["form-token"]
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for headers, body, status in (
        ({"content-type": "text/plain"}, f"form-token={token}&bucket=new".encode(), 400),
        ({}, f"form-token={token}&bucket=new".encode(), 400),
        (kind, b"%zz=1", 400),
        (kind, b"%ff=1&form-token=" + token.encode(), 400),
        (kind, b"x" * 70_000, 400),
    ):
        page = agent.send("POST", form.action, headers, body)
        assert status == page.status
        assert "text/html; charset=utf-8" == page.headers["content-type"]
    assert 404 == agent.send("POST", f"{FOLDER}/nothing", kind, f"form-token={token}".encode()).status
    assert 404 == agent.send("POST", f"{FOLDER}/bucket", kind, f"form-token={token}".encode()).status


# --- what may be done


def test_a_page_may_do_what_its_key_may() -> None:
    """Each user sees its own buckets, and of another's what policy and lists let it see through the API."""
    with s3func.testing.server(users=[MAIN, ALT], browser=True) as server:

        def session(user: User) -> s3func.S3Session:
            return server.session(access_key_id=user.access_key_id, secret_access_key=user.secret_access_key)

        main = session(MAIN)
        main.create_bucket("of-main")
        main.put_object("private", b"private", bucket="of-main")
        main.put_object("public", b"public", bucket="of-main", acl="public-read")
        with Agent(server.endpoint_url) as agent:
            page = agent.sign_in(ALT.access_key_id, ALT.secret_access_key)
            assert "A. Tester" in page.text
            assert "of-main" not in page.text
            for target, status in (
                ("bucket?bucket=of-main", 403),
                ("versions?bucket=of-main", 403),
                ("object?bucket=of-main&key=private", 403),
                ("download?bucket=of-main&key=private", 403),
                ("object?bucket=of-main&key=public", 200),
                ("download?bucket=of-main&key=public", 200),
                ("object?bucket=of-main&key=nothing", 403),
            ):
                found = agent.get(f"{FOLDER}/{target}")
                assert status == found.status, target
                assert b"private" not in found.body or "private" in target
            for target in (
                "delete-object?bucket=of-main&key=public",
                "delete-bucket?bucket=of-main",
                "upload?bucket=of-main",
            ):
                form = page.form("create-bucket")._replace(
                    action=f"{server.endpoint_url}{FOLDER}/{target}", multipart=target.startswith("upload")
                )
                found = agent.submit(form, files=[("new", b"x")] if form.multipart else ())
                assert found.status in {400, 403}
                assert "Access" in found.text
            assert ["private", "public"] == [row.key for row in server.app.backend.list_objects("of-main").rows]
            agent.submit(page.form("create-bucket"), bucket="of-alt")
            assert "alt" == server.app.backend.get_bucket("of-alt").owner


def test_a_server_that_may_only_be_read() -> None:
    """The pages of a read-only server have no forms that change something, and such a form changes nothing."""
    with s3func.testing.server(access_key_id=KEY_ID, secret_access_key=SECRET, browser=True, read_only=True) as server:
        server.app.backend.create_bucket("bkt", owner="s3func")
        with Agent(server.endpoint_url) as agent:
            page = agent.sign_in(KEY_ID, SECRET)
            assert ["sign-out"] == [form.action.rpartition("/")[2] for form in page.forms]
            assert "read-only" in page.text
            form = page.form("sign-out")._replace(action=f"{server.endpoint_url}{FOLDER}/create-bucket")
            assert 403 == agent.submit(form, bucket="new-bucket").status
            found = agent.get(f"{FOLDER}/bucket?bucket=bkt")
            assert ["get", "post"] == sorted(form.method for form in found.forms)


# --- without keys


@pytest.fixture
def open_app() -> S3App:
    """An app that asks nobody for keys."""
    app = S3App(no_auth=True, browser=True)
    app.backend.create_bucket("bkt", owner="s3func")
    return app


def visit(app: S3App, path: str, method: str = "GET", peer: str = "127.0.0.1", **headers: str) -> Response:
    sent = NAVIGATION | {"host": "localhost:10001"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return app(Request(method, f"http://{sent['host']}", path, "", sent, b"", peer=peer))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:10001", "127.0.0.1:10001", "127.1.2.3", "[::1]:10001", "[::1]"]
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.0.0.53"])
def test_without_keys_this_machine_is_let_in(open_app: S3App, host: str, peer: str) -> None:
    """A browser of this machine that names this machine sees the pages at once."""
    assert 303 == visit(open_app, "/", host=host, peer=peer).status
    page = visit(open_app, f"{FOLDER}/", host=host, peer=peer)
    assert 200 == page.status
    assert b"bkt" in page.read()


@pytest.mark.parametrize(
    "change",
    [
        {"peer": "192.0.2.7"},
        {"peer": "10.0.0.1"},
        {"peer": "::ffff:192.0.2.7"},
        {"peer": ""},
        {"host": "evil.example"},
        {"host": "evil.example:10001"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "192.0.2.1"},
        {"host": "0.0.0.0"},
        {"host": "2130706433"},
        {"host": ""},
        {"x_forwarded_for": "192.0.2.7"},
        {"x_forwarded_host": "evil.example"},
        {"forwarded": "for=192.0.2.7"},
        {"x_real_ip": "192.0.2.7"},
        {"via": "1.1 proxy"},
    ],
)
def test_without_keys_nobody_else_is(open_app: S3App, change: dict[str, str]) -> None:
    """Another machine, a name that somebody points at this one, and what a proxy has passed on see no page."""
    for path in (f"{FOLDER}/", f"{FOLDER}/bucket", f"{FOLDER}/sign-in"):
        for method in ("GET", "POST"):
            page = visit(open_app, path, method, **change)
            assert 403 == page.status
            assert b"bkt" not in page.read()
    assert "text/html; charset=utf-8" != visit(open_app, "/", **change).headers["content-type"]


def test_without_keys_forms_have_tokens_as_well() -> None:
    """A page of another site cannot send a form to a server without keys; the pages' own form works."""
    with s3func.testing.server(no_auth=True, browser=True) as server, Agent(server.endpoint_url) as agent:
        page = agent.get("/")
        assert ["create-bucket"] == [form.action.rpartition("/")[2] for form in page.forms]
        form = page.form("create-bucket")
        assert 403 == agent.submit(form, form_token="", bucket="new-bucket").status
        kept, agent.cookies = agent.cookies, {}
        assert 403 == agent.submit(form, bucket="new-bucket").status
        agent.cookies = kept
        assert 403 == agent.submit(form, headers={"sec-fetch-site": "cross-site"}, bucket="new-bucket").status
        assert [] == server.app.backend.list_buckets()
        assert "new-bucket" == agent.submit(form, bucket="new-bucket").title
        assert 404 == agent.get(f"{FOLDER}/sign-in").status


# --- headers


@pytest.mark.parametrize("path", ["", "bucket?bucket=bkt", "sign-in", "nothing", "bucket?bucket=none", "bucket?%zz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers_of_every_page(agent: Agent, path: str, method: str) -> None:
    """No page may be framed, guessed at, kept, or run anything but its own style; a HEAD has the same head."""
    page = agent.send(method, f"{FOLDER}/{path}", NAVIGATION)
    policy = dict(part.partition(" ")[::2] for part in page.headers["content-security-policy"].split("; "))
    assert {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    } == {name: value for name, value in policy.items() if name != "style-src"}
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy["style-src"])
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ):
        assert value == page.headers[name]
    assert "access-control-allow-origin" not in page.headers
    if method == "HEAD":
        assert b"" == page.body
        if page.status == 200:
            assert int(page.headers["content-length"]) > 1000
    elif page.status != 303:
        assert not [
            tag for tag in page.tags if tag.name == "script" or any(name[:2] == "on" for name in tag.attributes)
        ]
        assert not [tag for tag in page.tags if "style" in tag.attributes]


def test_faults_reach_the_pages(server: Server, agent: Agent) -> None:
    """What is to go wrong goes wrong for the pages as for any client, and is shown in words."""
    with server.faults.add("ListObjectsV2", status=503, code="SlowDown"):
        page = agent.get(f"{FOLDER}/bucket?bucket=bkt")
        assert (503, "Slow down") == (page.status, page.title)
    with server.faults.add("ListObjectsV2", answer="html"):
        page = agent.get(f"{FOLDER}/bucket?bucket=bkt")
        assert (500, "Internal error") == (page.status, page.title)
    assert 200 == agent.get(f"{FOLDER}/bucket?bucket=bkt").status


def test_a_page_that_fails(agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours is a page that says so, and a traceback in the log; the connection goes on."""

    def fail(*arguments: object) -> bytes:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("s3func.server.browser.views.buckets_page", fail)
        page = agent.get("/")
    assert (500, "Internal error") == (page.status, page.title)
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in page.text
    assert "Buckets" == agent.get("/").title


def test_a_connection_that_is_to_break_off(server: Server, agent: Agent) -> None:
    """A fault that resets a client's connection resets the browser's as well."""
    with server.faults.add("ListBuckets", reset="before"), pytest.raises(OSError):
        agent.get("/")
