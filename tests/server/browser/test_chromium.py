"""The pages in a real browser: the way of somebody who keeps files here, and names that would like to be scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import s3func.testing
from s3func.testing import Server
from tests.server.browser.chromium import PROGRAM, Chromium
from tests.server.forge import KEY_ID, SECRET

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(PROGRAM is None and not os.environ.get("CI"), reason="there is no chromium"),
]

ATTACK = "<img src=x onerror=alert(1)>"
PAGE = b"<!DOCTYPE html><script>alert('stored'); document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests here."""
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chromium, server: Server) -> Iterator[Chromium]:
    """The browser without what another test has left; at the end, it has asked this server only, and complained of nothing."""
    chromium.send("Network.clearBrowserCookies")
    chromium.events.clear()
    yield chromium
    hosts = {urlsplit(url).netloc for url in chromium.requests() if not url.startswith("data:")}
    assert {urlsplit(server.endpoint_url).netloc} == hosts
    assert [] == chromium.complaints()
    chromium.go("about:blank")


def sign_in(browser: Chromium, server: Server) -> None:
    """As somebody without a mouse does it: the first field has the focus, Tab leads on, Enter sends."""
    browser.go(server.endpoint_url)
    # The focus is given a moment after the page is there.
    browser.wait("document.activeElement.name == 'access-key-id'")
    browser.type(KEY_ID)
    browser.key("Tab", 9)
    browser.type(SECRET)
    browser.enter()
    assert "Buckets" == browser.evaluate("document.querySelector('h1').innerText")


def test_from_an_empty_server_and_back(browser: Chromium, server: Server, tmp_path: Path) -> None:
    """Sign in, make a bucket, upload files, see them, download one, delete it, sign out."""
    sign_in(browser, server)
    browser.press("input[name=bucket]")
    browser.type("holiday-photos")
    browser.enter()
    assert "holiday-photos" == browser.evaluate("document.querySelector('h1').innerText")
    assert "The bucket was created." in browser.text
    files = {"beach.jpg": os.urandom(300_000), 'say "hi" & 100%.txt': b"hi", "tag.html": PAGE}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    browser.choose("input[name=files]", *(tmp_path / name for name in files))
    browser.click("details button")
    assert "Everything was uploaded." in browser.text
    session = server.session("holiday-photos")
    assert files == {row.key: session.get_object(row.key).data for row in session.list_objects()}
    assert "image/jpeg" == session.head_object("beach.jpg").content_type
    for name in files:
        assert name in browser.text
    assert "293.0 KiB" in browser.text
    saved = browser.download("a[aria-label='Download beach.jpg']")
    assert ("beach.jpg", files["beach.jpg"]) == (saved.name, saved.read_bytes())
    browser.click("a[aria-label='Delete beach.jpg']")
    assert "Delete this object?" in browser.text
    browser.click("main button")
    assert "The object was deleted." in browser.text
    assert "beach.jpg" not in browser.text
    assert sorted(files.keys() - {"beach.jpg"}) == [row.key for row in session.list_objects()]
    browser.click("header button")
    assert "You are signed out." in browser.text
    browser.go(f"{server.endpoint_url}/-/browser/bucket?bucket=holiday-photos")
    assert "Sign in" in browser.text
    assert "say" not in browser.text


def test_a_folder_is_uploaded(browser: Chromium, server: Server, tmp_path: Path) -> None:
    """A folder keeps its shape, below the prefix that is shown."""
    folder = tmp_path / "trip"
    (folder / "day 1").mkdir(parents=True)
    (folder / "notes.txt").write_bytes(b"notes")
    (folder / "day 1" / "ü.jpg").write_bytes(b"jpg")
    sign_in(browser, server)
    browser.go(f"{server.endpoint_url}/-/browser/bucket?bucket=bkt&prefix=in/")
    browser.choose("input[name=folder]", folder)
    browser.wait("document.querySelector('input[name=folder]').files.length == 2")
    browser.click("details button")
    assert "Everything was uploaded." in browser.text
    session = server.session("bkt")
    assert ["in/trip/day 1/ü.jpg", "in/trip/notes.txt"] == [row.key for row in session.list_objects()]


def test_a_name_runs_nothing(browser: Chromium, server: Server) -> None:
    """A key that is an element, in every place where it is shown, is a text, and opens no dialog."""
    session = server.session("bkt")
    for key in (ATTACK, f"{ATTACK}/x", f"'\"><script>alert(2)</script>{ATTACK}"):
        session.put_object(key, b"x", metadata={"author": ATTACK})
    sign_in(browser, server)
    browser.go(f"{server.endpoint_url}/-/browser/bucket?bucket=bkt")
    assert ATTACK in browser.text
    browser.click("main tbody a[href^='object']")
    assert ATTACK == browser.evaluate("document.querySelector('h1').innerText")
    browser.click("a.danger")
    assert "Delete this object?" in browser.text
    browser.click("main button")
    assert "The object was deleted." in browser.text
    browser.click("a[href^='versions']")
    browser.click("a[href^='versions'][href*='prefix']")
    assert ATTACK in browser.text
    assert 0 == browser.evaluate("document.querySelectorAll('img, main script').length")


def test_a_stored_page_is_saved_and_not_shown(browser: Chromium, server: Server) -> None:
    """HTML that somebody has stored is a file to save: it does not run where the pages are."""
    server.session("bkt").put_object("page.html", PAGE, content_type="text/html", content_disposition="inline")
    sign_in(browser, server)
    browser.go(f"{server.endpoint_url}/-/browser/object?bucket=bkt&key=page.html")
    saved = browser.download("main a.button")
    assert ("page.html", PAGE) == (saved.name, saved.read_bytes())
    assert "page.html" == browser.evaluate("document.querySelector('h1').innerText")


def test_names_that_a_form_would_change(browser: Chromium, server: Server) -> None:
    """A key with line feeds, spaces and dots at its ends is deleted as itself, although a form would send it otherwise."""
    session = server.session("bkt")
    keys = ["a\nb", "a\r\nb", " x ", "../..", "a//b", "\u202egpj.exe"]
    for key in keys:
        session.put_object(key, b"x")
    sign_in(browser, server)
    for key in keys:
        place = server.endpoint_url + "/-/browser/bucket?bucket=bkt"
        if "/" in key:
            browser.go(place)
            browser.click(f"main tbody a[href*='prefix={'a%2F' if key[0] == 'a' else '..%2F'}']")
            if key == "a//b":
                browser.click("main tbody a[href*='prefix=a%2F%2F']")
        else:
            browser.go(place)
        encoded = "".join(
            each if each.isalnum() or each in ".-_~" else "".join(f"%{byte:02X}" for byte in each.encode())
            for each in key
        )
        browser.click(f"main a[href$='key={encoded}'][href^='delete-object']")
        browser.click("main button")
        assert key not in [row.key for row in session.list_objects()]
    assert [] == list(session.list_objects())


def test_another_site_cannot_use_the_cookie(browser: Chromium, server: Server) -> None:
    """A page of another origin, even of another port of this machine, sends forms and loads pages in vain."""
    server.session("bkt").put_object("k", b"x")
    with s3func.testing.server(access_key_id=KEY_ID, secret_access_key=SECRET) as other:
        form = (
            f"<form id=f method=post action='{server.endpoint_url}/-/browser/delete-object?bucket=bkt&key=k'></form>"
            f"<iframe src='{server.endpoint_url}/-/browser/'></iframe><script>onload = () => f.submit()</script>"
        )
        session = other.session("evil")
        session.put_object("page", form.encode(), content_type="text/html")
        sign_in(browser, server)
        browser.go(session.presigned_url("GET", "page"))
        browser.wait("document.body.innerText.includes('Another site has caused this request.')")
        kept = [each for each in browser.requests() if each.startswith(server.endpoint_url)]
        assert any("delete-object" in url for url in kept)
        browser.go(server.endpoint_url)
        assert "bkt" in browser.text
        # What was refused on that page is complained of, and may be so late.
        browser.events.clear()
        browser.go(server.endpoint_url)
    assert ["k"] == [row.key for row in server.session("bkt").list_objects()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_style_is_applied(browser: Chromium, server: Server, scheme: str) -> None:
    """The policy lets the style in; colours follow what the reader prefers, and text stands out enough to be read."""
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        sign_in(browser, server)
        back, *fore = browser.evaluate(
            "[getComputedStyle(document.body).backgroundColor, ...['h1', 'main a', 'caption', 'label', 'main .danger']"
            ".map(each => getComputedStyle(document.querySelector(each)).color)]"
        )
        assert (scheme == "light") == (luminance(back) > 0.5)
        for colour in fore:
            lighter, darker = sorted((luminance(back), luminance(colour)), reverse=True)
            # https://www.w3.org/TR/WCAG22/#contrast-minimum
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5
    finally:
        browser.send("Emulation.setEmulatedMedia", features=[])


def luminance(colour: str) -> float:
    """Of a colour as a browser computes it, "rgb(1, 2, 3)"."""
    parts = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
