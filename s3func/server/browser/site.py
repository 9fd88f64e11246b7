"""Site: which requests are for the pages, who is let in, and which page answers.

Rule 1: what a client of S3 or B2 may send is not for the pages: nothing that is signed, nothing with a query at the
        root, nothing that does not prefer HTML to XML, nothing by the name of a bucket.
Rule 2: without keys (`no_auth`) the pages are for this machine, by a name that only this machine has: a page of another
        site, whose name somebody has pointed at this machine, is not let in. With keys, everybody has to sign in.
Rule 3: requests that another site has caused (Sec-Fetch-Site) are answered only where a person has followed a link.
Rule 4: every answer says that it may not be framed, guessed at, kept or read by others.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from s3func.errors import ProtocolError, ServiceError, TransportError, service_error
from s3func.message import Request, Response
from s3func.server.addressing import bucket_of_host, parse_query
from s3func.server.browser import views
from s3func.server.browser.calls import Account, Calls, Handle, Place, S3Account, Turn, check_place
from s3func.server.browser.gate import (
    host_of,
    is_exposed,
    is_for_s3,
    is_from_this_machine,
    is_of_another_site,
    prefers_html,
)
from s3func.server.browser.markup import is_plain
from s3func.server.browser.style import DOWNLOAD_POLICY, POLICY
from s3func.server.browser.uploads import forged, store_files
from s3func.server.browser.views import Frame, link
from s3func.server.browser.visitors import Attempts, Visitor, Visitors
from s3func.server.payload import blocks_of
from s3func.wire.encoding import encode_component, http_date

if TYPE_CHECKING:
    from s3func.server.b2.app import B2App
    from s3func.server.call import Store

logger = logging.getLogger("s3func.server")

FOLDER = "/-/browser"
PAGE_ROWS = 250
FORM_BYTES_MAX = 64 * 1024
NEXT_MAX = 8 * 1024
VERSIONS_SHOWN = 20
"""Of one object, on its own page."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_DOWNLOADED = ("content-length", "content-range", "accept-ranges", "etag", "last-modified")
_METHODS = frozenset({"GET", "HEAD", "POST"})
_FORM = "application/x-www-form-urlencoded"
_NEXT = re.compile(r"(?:bucket|versions|object|delete-object|delete-bucket)(?:\?[A-Za-z0-9%&=._~-]*)?", re.ASCII)
_OF_BUCKETS = frozenset({"NoSuchBucket", "InvalidBucketName", "bad_bucket_id", "BucketAlreadyExists"})
_TEXTS = {
    401: "This key may not do that.",
    403: "This key may not do that.",
    404: "There is nothing with this name.",
    405: "What is here is a delete marker.",
}
# What may stand between the quotes of a header and be the name of a file everywhere.
_NO_FILE_NAME = re.compile(r"[^ !#$&-),-.0-9;=@-\[\]-{}~]|%")


@dataclass(slots=True)
class Visit:
    """One request of a browser: by whom, with what in its query, and what it may ask for."""

    request: Request
    visitor: Visitor
    query: Mapping[str, str]
    account: Account | None

    @property
    def calls(self) -> Calls:
        """What the account may do."""
        assert self.account is not None
        return self.account.calls(self.request)

    @property
    def place(self) -> Place:
        """What the query names; InvalidRequest where that can be no object."""
        place = Place(self.query.get("bucket", ""), self.query.get("key", ""), self.query.get("version"))
        check_place(place.bucket, place.key)
        return place

    @property
    def prefixed(self) -> Place:
        """A bucket, with a prefix in place of the key."""
        place = Place(self.query.get("bucket", ""), self.query.get("prefix", ""))
        check_place(place.bucket)
        return place

    @property
    def bound(self) -> str | None:
        """The prefix to go to from above it, because the account may see nothing else; None for what may be asked."""
        prefix = "" if self.account is None else self.account.prefix
        asked = self.query.get("prefix", "")
        return prefix if prefix.startswith(asked) and prefix != asked else None

    @property
    def turn(self) -> Turn:
        """Where the list begins."""
        return Turn(self.query.get("after", ""), self.query.get("after-version", ""))


class Site:
    """The pages of one server. Safe from many threads at once."""

    def __init__(
        self,
        handle: Handle,
        store: Store,
        domains: tuple[str, ...],
        *,
        is_open: bool = False,
        reads_only: bool = False,
        b2: Callable[[], B2App | None] = lambda: None,
    ) -> None:
        """handle: the app. domains: see addressing. is_open: nobody has keys. b2: the app for application keys, if any."""
        self._handle = handle
        self._store = store
        self._domains = domains
        self._is_open = is_open
        self._reads_only = reads_only
        self._b2 = b2
        self._visitors = Visitors(store.clock)
        self._attempts = Attempts(store.clock)
        self._shown: Mapping[str, Callable[[Visit, Frame], Response]] = {
            "": self._buckets,
            "bucket": self._objects,
            "versions": self._versions,
            "object": self._object,
            "download": self._download,
            "delete-object": self._ask_about_object,
            "delete-bucket": self._ask_about_bucket,
        }
        self._done: Mapping[str, Callable[[Visit, Mapping[str, str]], Response]] = {
            "create-bucket": self._create_bucket,
            "delete-object": self._delete_object,
            "delete-bucket": self._delete_bucket,
            "sign-out": self._sign_out,
        }

    # --- which requests

    def is_asked(self, request: Request, mount: str) -> bool:
        """Whether a request is for the pages, and not for S3."""
        path = _inner(request.path, mount)
        at_root = path == "/"
        if not at_root and path != FOLDER and not path.startswith(f"{FOLDER}/"):
            return False
        headers = request.headers
        if bucket_of_host(host_of(request), self._domains) or is_for_s3(request):
            return False
        if not at_root:
            return request.method in _METHODS
        return (
            request.method == "GET"
            and not request.query
            and prefers_html(headers.get("accept", ""))
            and headers.get("sec-fetch-mode", "navigate") == "navigate"
            and headers.get("sec-fetch-dest", "document") == "document"
            and not (self._is_open and not is_from_this_machine(request))
        )

    def handle(self, request: Request, mount: str) -> Response:
        """Answer a request that `is_asked`."""
        visit: Visit | None = None
        try:
            path = self._admit(request, mount)
            if path is None:
                response = _to_the_pages(request, mount)
            else:
                visit = self._visit(request)
                response = self._post(visit, path) if request.method == "POST" else self._get(visit, path)
        except ServiceError as error:
            response = self._refusal(request, error, visit)
        except ProtocolError:
            fault = service_error("InternalError", "The store gave an answer that cannot be understood.")
            response = self._refusal(request, fault, visit)
        except TransportError:
            # A connection that is to break off: a fault, or a browser that has gone.
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            fault = service_error("InternalError", "The page failed; the server's log says why.")
            response = self._refusal(request, fault, visit)
        if visit is not None and visit.visitor.cookie and "set-cookie" not in response.headers:
            _set_cookie(request, response, visit.visitor.cookie)
        headers = response.headers
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers["date"] = http_date(int(self._store.clock.now()))
        if isinstance(response.body, bytes):
            headers["content-length"] = str(len(response.body))
        if request.method == "HEAD":
            response.close()
            response.body = b""
        # Without the query: what people have called their files is their business.
        logger.debug("%s %s %d", request.method, request.path, response.status)
        return response

    def _admit(self, request: Request, mount: str) -> str | None:
        """The name of the page that is asked for, None for the way to them; AccessDenied for who is not let in."""
        path = _inner(request.path, mount)
        if path in {"/", FOLDER}:
            return None
        if self._is_open and not is_from_this_machine(request):
            raise service_error(
                "AccessDenied",
                "This server has no keys, so its pages are for its own machine only, at localhost or 127.0.0.1.",
            )
        if is_of_another_site(request):
            raise service_error("AccessDenied", "Another site has caused this request.")
        return path.removeprefix(f"{FOLDER}/")

    def _visit(self, request: Request) -> Visit:
        query = dict(reversed(parse_query(request.query)))
        visitor = self._visitors.find(request.headers)
        account = visitor.account
        if self._is_open:
            account = S3Account(next(iter(self._store.users)), self._store, self._handle)
        return Visit(request, visitor, query, account)

    def _get(self, visit: Visit, name: str) -> Response:
        if name == "sign-in" and not self._is_open:
            following = _following(visit.query.get(views.NEXT, ""))
            if visit.account is not None:
                return _redirect(following or "./")
            return self._form_to_sign_in(visit, following)
        shown = self._shown.get(name)
        if shown is None:
            raise service_error("NoSuchPage", "There is no such page.", status=404)
        if visit.account is None:
            query = visit.request.query
            return _redirect(link("sign-in", next=_following(f"{name}?{query}" if query else name)))
        return shown(visit, self._frame(visit))

    def _post(self, visit: Visit, name: str) -> Response:
        if name == "sign-in" and not self._is_open:
            return self._sign_in(visit)
        if name != "upload" and name not in self._done:
            raise service_error("NoSuchPage", "There is no such page.", status=404)
        if visit.account is None:
            raise service_error("AccessDenied", "You are not signed in any more. Nothing was changed.")
        if name == "upload":
            return self._upload(visit)
        return self._done[name](visit, self._form(visit))

    def _form(self, visit: Visit) -> Mapping[str, str]:
        """The fields of a form that this visitor was shown; AccessDenied for any other."""
        if visit.request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise service_error("InvalidRequest", f"A form is sent as {_FORM}.")
        body = bytearray()
        for block in blocks_of(visit.request.body):
            body += block
            if len(body) > FORM_BYTES_MAX:
                raise service_error("EntityTooLarge", "The form is too long.")
        fields = dict(parse_query(body.decode("latin-1")))
        if not self._visitors.is_genuine(visit.visitor, fields.get(views.TOKEN, "")):
            raise forged()
        return fields

    # --- who

    def _sign_in(self, visit: Visit) -> Response:
        fields = self._form(visit)
        following = _following(fields.get(views.NEXT, ""))
        peer = visit.request.peer
        wait = self._attempts.begin(peer)
        if wait:
            text = f"Too many attempts. Try again in {wait} seconds."
            response = self._form_to_sign_in(visit, following, text, 429)
            response.headers["retry-after"] = str(wait)
            return response
        account = self._account_of(visit.request, fields.get("access-key-id", ""), fields.get("secret-access-key", ""))
        if account is None:
            text = "There is no such key, or this is not its secret."
            return self._form_to_sign_in(visit, following, text, 403)
        self._attempts.accepted(peer)
        response = _redirect(following or "./")
        _set_cookie(visit.request, response, self._visitors.sign_in(account).cookie)
        return response

    def _form_to_sign_in(self, visit: Visit, following: str, problem: str = "", status: int = 200) -> Response:
        page = views.sign_in_page(self._frame(visit), following, problem=problem, is_exposed=is_exposed(visit.request))
        return _page(page, status)

    def _account_of(self, request: Request, key_id: str, secret: str) -> Account | None:
        user = self._store.users.with_key(key_id)
        # Somebody who is not there takes as long as somebody who is.
        expected = secrets.token_hex() if user is None else user.secret_access_key
        is_right = hmac.compare_digest(sha256(secret.encode()).digest(), sha256(expected.encode()).digest())
        if user is not None:
            return S3Account(user, self._store, self._handle) if is_right else None
        if self._b2() is None:
            return None
        from s3func.server.browser.b2_calls import authorize

        return authorize(self._handle, request, key_id, secret)

    def _sign_out(self, visit: Visit, fields: Mapping[str, str]) -> Response:
        response = _redirect(link("sign-in", notice="signed-out"))
        _set_cookie(visit.request, response, self._visitors.sign_out(visit.visitor))
        return response

    def _frame(self, visit: Visit) -> Frame:
        notice = visit.query.get("notice", "")
        return Frame(visit.visitor, host_of(visit.request), self._is_open, self._reads_only, notice)

    def _refusal(self, request: Request, error: ServiceError, visit: Visit | None) -> Response:
        """The page of an error, which says what a client would be told."""
        visitor, back = Visitor("", ""), "./"
        if visit is not None:
            visitor = visit.visitor
            bucket, key = visit.query.get("bucket", ""), visit.query.get("key", visit.query.get("prefix", ""))
            if error.code not in _OF_BUCKETS:
                back = link("bucket", bucket=bucket, prefix=key[: key.rfind("/") + 1]) if bucket else "./"
        frame = Frame(visitor, host_of(request), self._is_open, self._reads_only)
        title = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", error.code).capitalize()
        text = error.message or _TEXTS.get(error.status, f"The answer has the status {error.status}.")
        # Nobody is asked for a password by the browser itself.
        status = 403 if error.status == 401 else error.status
        return _page(views.message_page(frame, title, text, back=back), status)

    # --- what is shown

    def _buckets(self, visit: Visit, frame: Frame) -> Response:
        return _page(views.buckets_page(frame, visit.calls.buckets()))

    def _objects(self, visit: Visit, frame: Frame) -> Response:
        place = visit.prefixed
        if (bound := visit.bound) is not None:
            return _redirect(link("bucket", bucket=place.bucket, prefix=bound))
        page = visit.calls.list_objects(place.bucket, place.key, visit.turn, PAGE_ROWS)
        following = ""
        if page.is_truncated:
            following = link("bucket", bucket=place.bucket, prefix=place.key, after=page.next_token)
        return _page(views.listing_page(frame, place, page, following))

    def _versions(self, visit: Visit, frame: Frame) -> Response:
        place = visit.prefixed
        if (bound := visit.bound) is not None:
            return _redirect(link("versions", bucket=place.bucket, prefix=bound))
        page = visit.calls.list_versions(place.bucket, place.key, visit.turn, PAGE_ROWS)
        following = ""
        if page.is_truncated:
            turn = {"after": page.next_token, "after_version": page.next_version_id}
            following = link("versions", bucket=place.bucket, prefix=place.key, **turn)
        return _page(views.versions_page(frame, place, page, following))

    def _object(self, visit: Visit, frame: Frame) -> Response:
        place, calls = visit.place, visit.calls
        headers = calls.head(place)
        rows, more = None, ""
        try:
            page = calls.list_versions(place.bucket, place.key, Turn(), VERSIONS_SHOWN, delimiter="")
        except ServiceError as error:
            # Who may read an object may perhaps not list its bucket.
            if error.status not in {401, 403}:
                raise
        else:
            rows = [entry for entry in page.entries if entry.key == place.key]
            if page.is_truncated and len(rows) == len(page.entries):
                more = link("versions", bucket=place.bucket, prefix=place.key)
        return _page(views.object_page(frame, place, headers, rows, more))

    def _download(self, visit: Visit, frame: Frame) -> Response:
        place = visit.place
        asked = {name: value for name, value in visit.request.headers.items() if name in {"range", "if-range"}}
        found = visit.calls.get(place, asked)
        headers = {name: found.headers[name] for name in _DOWNLOADED if name in found.headers}
        headers["content-type"] = "application/octet-stream"
        headers["content-disposition"] = content_disposition(place.key)
        headers["content-security-policy"] = DOWNLOAD_POLICY
        return Response(found.status, headers, found.body)

    def _ask_about_object(self, visit: Visit, frame: Frame) -> Response:
        place = visit.place
        hides = None if place.version is not None else visit.calls.keeps_versions(place.bucket)
        back = link("object", **place._asdict())
        return _page(views.deletion_page(frame, place, visit.query.get("etag", ""), hides=hides, back=back))

    def _ask_about_bucket(self, visit: Visit, frame: Frame) -> Response:
        return _page(views.bucket_deletion_page(frame, visit.prefixed.bucket))

    # --- what is done

    def _create_bucket(self, visit: Visit, fields: Mapping[str, str]) -> Response:
        bucket = fields.get("bucket", "").strip()
        visit.calls.create_bucket(bucket)
        return _redirect(link("bucket", bucket=bucket, notice="bucket-created"))

    def _delete_object(self, visit: Visit, fields: Mapping[str, str]) -> Response:
        place = visit.place
        is_hidden = visit.calls.delete(place, visit.query.get("etag", ""))
        notice = "version-deleted" if place.version is not None else "hidden" if is_hidden else "deleted"
        page = "versions" if place.version is not None else "bucket"
        prefix = place.key[: place.key.rfind("/") + 1]
        return _redirect(link(page, bucket=place.bucket, prefix=prefix, notice=notice))

    def _delete_bucket(self, visit: Visit, fields: Mapping[str, str]) -> Response:
        visit.calls.delete_bucket(visit.prefixed.bucket)
        return _redirect(link("./", notice="bucket-deleted"))

    def _upload(self, visit: Visit) -> Response:
        place = visit.prefixed

        def is_genuine(token: str) -> bool:
            return self._visitors.is_genuine(visit.visitor, token)

        upload = store_files(visit.request, visit.calls, place, is_genuine)
        if upload.refused or not upload.stored:
            return _page(views.upload_page(self._frame(visit), place, upload), 200 if upload.stored else 400)
        return _redirect(link("bucket", bucket=place.bucket, prefix=place.key, notice="uploaded"))


def content_disposition(key: str) -> str:
    """What a browser calls the file that it saves: the last part of a key, and nothing that leads elsewhere.

    https://www.rfc-editor.org/rfc/rfc6266#section-4.3
    """
    name = key.rstrip("/").rpartition("/")[2]
    name = "".join([letter if is_plain(letter) and letter not in '\\:*?"<>|' else "_" for letter in name]).strip(" .")
    name = name or "object"
    return f"attachment; filename=\"{_NO_FILE_NAME.sub('_', name)}\"; filename*=UTF-8''{encode_component(name)}"


def _to_the_pages(request: Request, mount: str) -> Response:
    """From the root, or from their folder without its slash; relative, for a proxy may have put the server anywhere."""
    last = request.path.rpartition("/")[2]
    if _inner(request.path, mount) == FOLDER:
        return _redirect("browser/")
    return _redirect(f"{last}{FOLDER}/" if last else f"{FOLDER[1:]}/", {"vary": "Accept"})


def _inner(path: str, mount: str) -> str:
    """A path as it is below the mount."""
    return (path[len(mount) :] or "/") if mount and (path == mount or path.startswith(f"{mount}/")) else path


def _following(text: str) -> str:
    """A page of ours to go to, "" for anything else."""
    return text if len(text) <= NEXT_MAX and _NEXT.fullmatch(text) is not None else ""


def _set_cookie(request: Request, response: Response, cookie: str) -> None:
    # Without a Path it is for the folder of the pages, wherever that is, and no request of S3 ever carries it.
    secure = "; Secure" if request.origin.startswith("https:") else ""
    response.headers["set-cookie"] = f"{cookie}; HttpOnly; SameSite=Strict{secure}"


def _page(content: bytes, status: int = 200) -> Response:
    return Response(status, {"content-type": "text/html; charset=utf-8"}, content)


def _redirect(target: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(303, {"location": target, **(headers or {})})
