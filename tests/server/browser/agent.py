"""A web browser without a screen: cookies, redirects, links and forms over plain HTTP, and no tolerance for bad HTML."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import NamedTuple, Self
from urllib.parse import quote_plus, urljoin, urlsplit

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
NAVIGATION = {"accept": ACCEPT, "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
VOID = frozenset({"br", "hr", "input", "link", "meta"})
BOUNDARY = "----s3funcFormBoundary7MA4YWxk"


class Tag(NamedTuple):
    """An element as it was opened, and the tags that it stands in."""

    name: str
    attributes: dict[str, str]
    inside: tuple[str, ...]


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed where it should be, and an attribute stands once."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.declarations: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self._open, "elements are left open"
        assert ["DOCTYPE html"] == self.declarations

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert sorted(set(names)) == sorted(names), f"<{tag}> has an attribute twice"
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


class Form(NamedTuple):
    """A form: where to, how, and its fields with the values that they have."""

    action: str
    method: str
    multipart: bool
    fields: dict[str, str]


class Page:
    """An answer; if it is a page of HTML, what stands on it."""

    def __init__(self, url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body
        is_html = headers.get("content-type", "").startswith("text/html")
        self._reader = Reader(body.decode()) if is_html and body else None

    @property
    def tags(self) -> list[Tag]:
        """Every element."""
        assert self._reader is not None, "no page of HTML"
        return self._reader.tags

    @property
    def text(self) -> str:
        """Everything that can be read."""
        assert self._reader is not None, "no page of HTML"
        return "".join(text for inside, text in self._reader.texts if "style" not in inside)

    def text_of(self, name: str) -> list[str]:
        """The texts that stand directly or deeper in each element of a kind, one text after the other."""
        assert self._reader is not None
        return [text for inside, text in self._reader.texts if name in inside]

    @property
    def title(self) -> str:
        """The heading."""
        return "".join(self.text_of("h1"))

    @property
    def links(self) -> list[str]:
        """Where its links lead, as whole URLs."""
        return [urljoin(self.url, tag.attributes["href"]) for tag in self.tags if tag.name == "a"]

    def link(self, begin: str, *, after: int = 0) -> str:
        """The link to a page whose URL begins so, below the folder of all pages."""
        found = [url for url in self.links if url.partition("/-/browser/")[2].startswith(begin) and "#" not in url]
        return found[after]

    @property
    def forms(self) -> list[Form]:
        """Its forms."""
        forms: list[Form] = []
        for tag in self.tags:
            if tag.name == "form":
                multipart = tag.attributes.get("enctype") == "multipart/form-data"
                forms.append(Form(urljoin(self.url, tag.attributes["action"]), tag.attributes["method"], multipart, {}))
            elif (
                tag.name == "input" and "form" in tag.inside and tag.attributes.get("type") not in {"file", "checkbox"}
            ):
                forms[-1].fields[tag.attributes["name"]] = tag.attributes.get("value", "")
        return forms

    def form(self, begin: str) -> Form:
        """The form whose action begins so."""
        return next(form for form in self.forms if form.action.partition("/-/browser/")[2].startswith(begin))


class Agent:
    """The browser: cookies are kept per folder, redirects are followed, pages are read strictly."""

    def __init__(self, origin: str) -> None:
        """origin: of the server, as in "http://127.0.0.1:10001"."""
        self.origin = origin
        self.cookies: dict[str, tuple[str, str]] = {}
        self.host = urlsplit(origin).netloc
        self._connection = http.client.HTTPConnection(
            urlsplit(origin).hostname or "", urlsplit(origin).port, timeout=30
        )

    def send(self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Page:
        """One request, with the cookies that belong to it, and its answer."""
        url = urljoin(f"{self.origin}/", url)
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {"host": self.host, **(headers or {})}
        cookies = [f"{name}={value}" for name, (folder, value) in self.cookies.items() if parts.path.startswith(folder)]
        if cookies:
            sent.setdefault("cookie", "; ".join(cookies))
        self._connection.request(method, target, body, sent)
        response = self._connection.getresponse()
        answer = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        if "set-cookie" in found:
            pair, *attributes = found["set-cookie"].split("; ")
            name, _, value = pair.partition("=")
            # Without a Path it is for the folder of what was asked for.
            self.cookies[name] = (parts.path.rpartition("/")[0], value)
            if "Max-Age=0" in attributes:
                del self.cookies[name]
        return Page(url, response.status, found, answer)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        """The page at an address, after all redirects."""
        page = self.send("GET", url, NAVIGATION | dict(headers or {}))
        for _ in range(5):
            if page.status != 303:
                return page
            page = self.send("GET", urljoin(page.url, page.headers["location"]), NAVIGATION)
        raise AssertionError(f"redirects without an end, last to {page.url}")

    def submit(
        self,
        form: Form,
        files: Sequence[tuple[str, bytes]] = (),
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Page:
        """Fill in a form and send it; fields have "_" for "-". files: names and contents."""
        values = form.fields | {name.replace("_", "-"): value for name, value in fields.items()}
        pairs = [(name, value.replace("\r\n", "\n").replace("\n", "\r\n")) for name, value in values.items()]
        encoded = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
        if form.method == "get":
            return self.get(f"{form.action.partition('?')[0]}?{encoded}")
        sent = NAVIGATION | {"sec-fetch-site": "same-origin"}
        if form.multipart:
            body = multipart(pairs, files)
            sent["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
        else:
            body = encoded.encode()
            sent["content-type"] = "application/x-www-form-urlencoded"
        page = self.send("POST", form.action, sent | dict(headers or {}), body)
        return self.get(urljoin(page.url, page.headers["location"])) if page.status == 303 else page

    def sign_in(self, access_key_id: str, secret_access_key: str) -> Page:
        """From the root to the first page behind the form."""
        page = self.get("/")
        return self.submit(page.form("sign-in"), access_key_id=access_key_id, secret_access_key=secret_access_key)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, bytes]], field: str = "files") -> bytes:
    """A form as Chromium writes it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    for name, content in files:
        written = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{written}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
