"""The pages: what a browser is shown, made of what was found.

Rule 1: links and actions are relative to the folder of all pages, so that it does not matter where the server is mounted.
Rule 2: a bucket, key, prefix or version travels percent-encoded in the query of a URL, never in a field of a form, which
        a browser would rewrite where it has a line feed.
Rule 3: everything works without a script, from the keyboard, and says to a screen reader what it is.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from s3func.models import BucketEntry, ListPage, ObjectEntry
from s3func.server.browser.calls import Place
from s3func.server.browser.markup import Markup, document, element, is_plain, joined, name, written_out
from s3func.server.browser.style import ICON, STYLE
from s3func.server.browser.visitors import Visitor
from s3func.wire.encoding import encode_query

CRUMBS_MAX = 12
TOKEN = "form-token"  # noqa: S105 -- the name of a field
NEXT = "next"

NOTICES = {
    "bucket-created": "The bucket was created.",
    "bucket-deleted": "The bucket was deleted.",
    "deleted": "The object was deleted.",
    "hidden": "The object is hidden by a delete marker; its versions are still there.",
    "version-deleted": "The version was deleted.",
    "uploaded": "Everything was uploaded.",
    "signed-out": "You are signed out.",
}
"""What a page may be told to say about what has just happened; a URL can choose one of these and nothing else."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_DESCRIBED = (
    ("content-type", "Type"),
    ("etag", "ETag"),
    ("x-amz-version-id", "Version"),
    ("x-amz-storage-class", "Storage class"),
    ("cache-control", "Cache-Control"),
    ("content-disposition", "Content-Disposition"),
    ("content-encoding", "Content-Encoding"),
    ("content-language", "Content-Language"),
    ("expires", "Expires"),
    ("x-amz-server-side-encryption", "Encryption"),
    ("x-amz-object-lock-mode", "Retention"),
    ("x-amz-object-lock-retain-until-date", "Retained until"),
    ("x-amz-object-lock-legal-hold", "Legal hold"),
    ("x-amz-tagging-count", "Tags"),
)
_METADATA = "x-amz-meta-"
# How S3 sends what a header cannot carry as it stands.
_ENCODED_WORD = re.compile(r"=\?UTF-8\?B\?([A-Za-z0-9+/]*={0,2})\?=")


class Frame(NamedTuple):
    """What all pages show. place: host and port as the browser has them. is_open: nobody has to sign in."""

    visitor: Visitor
    place: str
    is_open: bool = False
    reads_only: bool = False
    notice: str = ""

    @property
    def token(self) -> Markup:
        """The field that every form has."""
        return element("input", type="hidden", name=TOKEN, value=self.visitor.token)


class Upload(NamedTuple):
    """What became of the files of a form. refused: names, and why; not_shown: how many more were refused."""

    stored: int
    refused: Sequence[tuple[str, str]]
    not_shown: int = 0


def link(page: str, **about: str | None) -> str:
    """The URL of a page, relative to the others. "_" in a name is "-"; what is None or "" is left out."""
    query = encode_query((each.replace("_", "-"), value) for each, value in about.items() if value)
    return f"{page}?{query}" if query else page


# --- pages


def buckets_page(frame: Frame, buckets: Sequence[BucketEntry]) -> bytes:
    """All buckets, and a form for one more."""
    rows = [
        element(
            "tr",
            element("th", element("a", name(each.name), href=link("bucket", bucket=each.name)), scope="row"),
            element("td", _time(each.creation_date)),
            element("td", *_delete_link(frame, "delete-bucket", each.name, bucket=each.name), class_="actions"),
        )
        for each in buckets
    ]
    content = [_table(_count(len(rows), "bucket"), ("Name", "Created (UTC)", ""), rows)]
    if not frame.reads_only:
        content.append(
            element(
                "form",
                frame.token,
                element(
                    "div",
                    _field("New bucket", "bucket", required=True, minlength="3", maxlength="63", autocomplete="off"),
                    element("button", "Create"),
                    class_="row",
                ),
                element("p", "Lower-case letters, digits, dots and hyphens.", class_="soft"),
                method="post",
                action="create-bucket",
                class_="panel",
            )
        )
    return _page(frame, "Buckets", content)


def listing_page(frame: Frame, place: Place, page: ListPage, following: str) -> bytes:
    """Objects and prefixes below a prefix (`place.key`). following: the URL of the next page, "" for none."""
    bucket, prefix, _ = place
    rows = [_prefix_row("bucket", bucket, prefix, each, columns=3) for each in page.common_prefixes]
    for entry in page.entries:
        label = written_out(entry.key)
        rows.append(
            element(
                "tr",
                element(
                    "th",
                    element("a", _relative(entry.key, prefix), href=link("object", bucket=bucket, key=entry.key)),
                    scope="row",
                ),
                element("td", _size(entry.size), class_="number"),
                element("td", _time(entry.last_modified)),
                element(
                    "td",
                    _download_link(Place(bucket, entry.key), label),
                    *_delete_link(frame, "delete-object", label, bucket=bucket, key=entry.key),
                    class_="actions",
                ),
            )
        )
    other = element("a", "Show versions", href=link("versions", bucket=bucket, prefix=prefix))
    content = [_bar(bucket, prefix, other, "bucket")]
    if not frame.reads_only:
        content.append(_upload_form(frame, bucket, prefix, is_open=not rows))
    content.append(_table(_count_of_page(page, following), ("Name", "Size", "Modified (UTC)", ""), rows))
    content.append(_turns(link("bucket", bucket=bucket, prefix=prefix), following))
    return _page(frame, prefix or bucket, content, _crumbs(bucket, prefix))


def versions_page(frame: Frame, place: Place, page: ListPage, following: str) -> bytes:
    """The same with every version and delete marker."""
    bucket, prefix, _ = place
    rows = [_prefix_row("versions", bucket, prefix, each, columns=4) for each in page.common_prefixes]
    rows += [_version_row(frame, bucket, entry, _relative(entry.key, prefix)) for entry in page.entries]
    other = element("a", "Show current objects only", href=link("bucket", bucket=bucket, prefix=prefix))
    content = [
        _bar(bucket, prefix, other, "versions"),
        _table(_count_of_page(page, following), ("Name", "Version", "Size", "Modified (UTC)", ""), rows),
        _turns(link("versions", bucket=bucket, prefix=prefix), following),
    ]
    return _page(frame, f"Versions of {prefix or bucket}", content, _crumbs(bucket, prefix))


def object_page(
    frame: Frame, place: Place, headers: Mapping[str, str], versions: Sequence[ObjectEntry] | None, more: str
) -> bytes:
    """One object. versions: None where the key may not list them. more: the URL of all of them, "" where these are all."""
    label = written_out(place.key)
    size = headers.get("content-length", "")
    facts: list[tuple[str, str]] = [("Key", name(place.key)), ("Bucket", name(place.bucket))]
    facts.append(("Size", _size_in_full(int(size)) if size.isdecimal() else "unknown"))
    facts.append(("Modified", headers.get("last-modified", "unknown")))
    facts += [(title, name(headers[header])) for header, title in _DESCRIBED if headers.get(header)]
    facts += [
        (written_out(header.removeprefix(_METADATA)), name(_unfolded(value)))
        for header, value in sorted(headers.items())
        if header.startswith(_METADATA)
    ]
    actions = [element("a", "Download", href=_download_url(place), class_="button")]
    if not frame.reads_only:
        title = "Delete" if place.version is None else "Delete this version"
        target = link(
            "delete-object",
            bucket=place.bucket,
            key=place.key,
            version=place.version,
            etag=headers.get("etag") if place.version is None else None,
        )
        actions.append(element("a", title, href=target, class_="button plain danger"))
    content = [
        element("dl", *[piece for title, fact in facts for piece in (element("dt", title), element("dd", fact))]),
        element("div", *actions, class_="row"),
    ]
    if versions and (len(versions) > 1 or versions[0].version_id != "null"):
        rows = [_version_row(frame, place.bucket, entry, name(entry.key)) for entry in versions]
        content.append(element("h2", "Versions"))
        content.append(_table(_count(len(rows), "version"), ("Name", "Version", "Size", "Modified (UTC)", ""), rows))
        if more:
            content.append(element("p", element("a", "All versions", href=more)))
    return _page(frame, label, content, _crumbs(place.bucket, place.key))


def deletion_page(frame: Frame, place: Place, etag: str, *, hides: bool | None, back: str) -> bytes:
    """Whether an object, or a version of it, is really meant. hides: see `Calls.keeps_versions`. back: where to, if not."""
    target = link("delete-object", bucket=place.bucket, key=place.key, version=place.version, etag=etag)
    if place.version is not None:
        title, button = "Delete this version?", "Delete version"
        effect = "This version will be gone for good. It cannot be brought back."
    elif hides:
        title, button = "Delete this object?", "Delete object"
        effect = "This bucket keeps versions: a delete marker will hide the object, and its versions stay."
    else:
        title, button = "Delete this object?", "Delete object"
        effect = (
            "It will be gone for good, unless its bucket keeps versions."
            if hides is None
            else "It will be gone for good."
        )
    facts: list[tuple[str, str]] = [("Key", name(place.key)), ("Bucket", name(place.bucket))]
    if place.version is not None:
        facts.append(("Version", element("code", name(place.version))))
    return _confirmation(frame, title, facts, effect, button, target, back, _crumbs(place.bucket, place.key))


def bucket_deletion_page(frame: Frame, bucket: str) -> bytes:
    """Whether a bucket is really meant."""
    facts: list[tuple[str, str]] = [("Bucket", name(bucket))]
    effect = "Only an empty bucket can be deleted; one that still has objects or versions stays as it is."
    target = link("delete-bucket", bucket=bucket)
    return _confirmation(
        frame, "Delete this bucket?", facts, effect, "Delete bucket", target, "./", _crumbs(bucket, "")
    )


def upload_page(frame: Frame, place: Place, upload: Upload) -> bytes:
    """What became of an upload that was not all well."""
    back = link("bucket", bucket=place.bucket, prefix=place.key)
    rows = [
        element("tr", element("th", name(each) if each else "no name", scope="row"), element("td", why))
        for each, why in upload.refused
    ]
    if not upload.stored and not upload.refused:
        content = [element("p", "No file was chosen.", class_="note bad", role="alert")]
    else:
        stored = f"{upload.stored} {'file was' if upload.stored == 1 else 'files were'} stored."
        refused = f"{_count(len(rows) + upload.not_shown, 'file')} not stored"
        content = [
            element("p", stored, class_="note", role="status"),
            _table(refused, ("Name", "Reason"), rows),
        ]
    if upload.not_shown:
        content.append(element("p", f"And {upload.not_shown} more.", class_="soft"))
    content.append(element("p", element("a", "Back to the list", href=back, class_="button plain")))
    return _page(frame, "Upload", content, _crumbs(place.bucket, place.key))


def sign_in_page(frame: Frame, following: str, *, problem: str = "", is_exposed: bool = False) -> bytes:
    """The form for a key pair. following: where to go then. is_exposed: others may read it on its way."""
    content: list[Markup] = []
    if is_exposed:
        warning = "This connection is not encrypted: whoever is between here and the server can read the secret."
        content.append(element("p", warning, class_="note bad"))
    if problem:
        content.append(element("p", problem, class_="note bad", role="alert"))
    content.append(
        element(
            "form",
            frame.token,
            element("input", type="hidden", name=NEXT, value=following),
            _field("Access key ID", "access-key-id", required=True, autocomplete="username", autofocus=True),
            _field(
                "Secret access key",
                "secret-access-key",
                kind="password",
                required=True,
                autocomplete="current-password",
            ),
            element("button", "Sign in"),
            method="post",
            action="sign-in",
            class_="panel",
        )
    )
    content.append(
        element(
            "p",
            "The keys are those that S3 clients of this server use. They leave this page only to it.",
            class_="soft",
        )
    )
    return _page(frame, "Sign in", [element("div", *content, class_="sign-in")])


def message_page(frame: Frame, title: str, text: str, *, back: str = "./") -> bytes:
    """Something went wrong, or there is no such page. back: "" for nowhere."""
    content = [element("p", text, class_="note bad", role="alert")]
    if back:
        content.append(element("p", element("a", "Back", href=back, class_="button plain")))
    return _page(frame, title, content)


# --- parts of pages


def _page(frame: Frame, title: str, content: Iterable[Markup], crumbs: Markup | None = None) -> bytes:
    shown = written_out(title)
    head = (
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="robots", content="noindex"),
        element("link", rel="icon", href=ICON),
        # Between two tags of style nothing is escaped; the sheet is ours and has no tag in it.
        element("style", Markup(STYLE)),
    )
    note = NOTICES.get(frame.notice)
    body = (
        element("a", "Skip to the content", href="#content", class_="skip"),
        _header(frame),
        element(
            "main",
            crumbs or "",
            element("h1", name(title)),
            "" if note is None else element("p", note, class_="note", role="status"),
            *content,
            id="content",
        ),
    )
    return document(f"{shown} · s3func", head, body)


def _header(frame: Frame) -> Markup:
    account = frame.visitor.account
    parts = [
        element("strong", element("a", "s3func", href="./")),
        element("p", f"{frame.place}{' (read-only)' if frame.reads_only else ''}"),
    ]
    if account is not None and not frame.is_open:
        parts.append(
            element(
                "form",
                frame.token,
                element("span", name(account.label)),
                element("button", "Sign out", class_="plain"),
                method="post",
                action="sign-out",
            )
        )
    return element("header", *parts)


def _crumbs(bucket: str, prefix: str) -> Markup:
    steps = [element("a", "Buckets", href="./"), element("a", name(bucket), href=link("bucket", bucket=bucket))]
    parts = prefix.split("/")
    places = [
        element("a", name(part or "/"), href=link("bucket", bucket=bucket, prefix="/".join(parts[:number]) + "/"))
        for number, part in enumerate(parts[:-1], 1)
    ]
    if len(places) > CRUMBS_MAX:
        places = [*places[:2], element("span", "…"), *places[-CRUMBS_MAX + 3 :]]
    steps += places
    if parts[-1]:
        steps.append(element("span", name(parts[-1]), aria_current="page"))
    return element("nav", element("ol", *[element("li", step) for step in steps]), aria_label="Where this is")


def _bar(bucket: str, prefix: str, other: Markup, page: str) -> Markup:
    """The search for a prefix, and the way to the other kind of list."""
    search = element(
        "form",
        element("input", type="hidden", name="bucket", value=bucket),
        element(
            "div",
            # What a field of a form would not give back unchanged does not go into one.
            _field("Keys that begin with", "prefix", kind="search", value=prefix if is_plain(prefix) else ""),
            element("button", "Show", class_="plain"),
            class_="row",
        ),
        method="get",
        action=page,
        role="search",
    )
    return element("div", search, other, class_="row bar")


def _upload_form(frame: Frame, bucket: str, prefix: str, *, is_open: bool) -> Markup:
    return element(
        "details",
        element("summary", "Upload files"),
        element(
            "form",
            # In front of the files, so that nothing is stored before it was looked at.
            frame.token,
            element(
                "div",
                element("label", "Files", element("br"), element("input", type="file", name="files", multiple=True)),
                element(
                    "label",
                    "Or a folder",
                    element("br"),
                    element("input", type="file", name="folder", multiple=True, webkitdirectory=True),
                ),
                class_="row",
            ),
            element(
                "p",
                element(
                    "label",
                    element("input", type="checkbox", name="replace", value="yes"),
                    "Replace objects that are there already",
                    class_="check",
                ),
            ),
            element("button", "Upload"),
            method="post",
            enctype="multipart/form-data",
            action=link("upload", bucket=bucket, prefix=prefix),
        ),
        class_="panel",
        open=is_open,
    )


def _confirmation(
    frame: Frame,
    title: str,
    facts: Iterable[tuple[str, str]],
    effect: str,
    button: str,
    target: str,
    back: str,
    crumbs: Markup,
) -> bytes:
    content = [
        element("dl", *[piece for label, fact in facts for piece in (element("dt", label), element("dd", fact))]),
        element("p", effect),
        element(
            "form",
            frame.token,
            element(
                "div",
                element("button", button, class_="danger"),
                element("a", "Cancel", href=back, class_="button plain"),
                class_="row",
            ),
            method="post",
            action=target,
        ),
    ]
    return _page(frame, title, content, crumbs)


def _prefix_row(page: str, bucket: str, prefix: str, below: str, *, columns: int) -> Markup:
    target = link(page, bucket=bucket, prefix=below)
    return element(
        "tr",
        element("th", element("a", _relative(below, prefix), href=target), scope="row"),
        element("td", "prefix", colspan=str(columns), class_="soft"),
    )


def _version_row(frame: Frame, bucket: str, entry: ObjectEntry, shown: Markup) -> Markup:
    version = entry.version_id or "null"
    place = Place(bucket, entry.key, version)
    label = f"{written_out(entry.key)}, version {written_out(version)}"
    kind = "delete marker" if entry.delete_marker else "current" if entry.is_latest else ""
    first = shown if entry.delete_marker else element("a", shown, href=link("object", **place._asdict()))
    return element(
        "tr",
        element("th", first, *([" ", element("span", f"({kind})", class_="soft")] if kind else []), scope="row"),
        element("td", element("code", name(version)), class_="wide"),
        element("td", "" if entry.delete_marker else _size(entry.size), class_="number"),
        element("td", _time(entry.last_modified)),
        element(
            "td",
            "" if entry.delete_marker else _download_link(place, label),
            *_delete_link(frame, "delete-object", label, **place._asdict()),
            class_="actions",
        ),
    )


def _download_url(place: Place) -> str:
    return link("download", bucket=place.bucket, key=place.key, version=place.version)


def _download_link(place: Place, label: str) -> Markup:
    return element("a", "Download", href=_download_url(place), aria_label=f"Download {label}")


def _delete_link(frame: Frame, page: str, label: str, **about: str | None) -> list[Markup]:
    if frame.reads_only:
        return []
    return [element("a", "Delete", href=link(page, **about), class_="danger", aria_label=f"Delete {label}")]


def _relative(key: str, prefix: str) -> Markup:
    """A key as it is called below a prefix."""
    rest = key.removeprefix(prefix)
    return name(rest) if rest else element("span", "(the prefix itself)")


def _field(label: str, field: str, *, kind: str = "text", **attributes: str | bool) -> Markup:
    return element("label", label, element("input", type=kind, name=field, spellcheck="false", **attributes))


def _table(caption: str, titles: Sequence[str], rows: Sequence[Markup]) -> Markup:
    classes = {"Size": "number", "Version": "wide", "": "actions"}
    heads = [
        element("th", title or element("span", "Actions"), scope="col", class_=classes.get(title)) for title in titles
    ]
    table = element(
        "table", element("caption", caption), element("thead", element("tr", *heads)), element("tbody", *rows)
    )
    return element("div", table, class_="scroll")


def _turns(first: str, following: str) -> Markup:
    if not following:
        return joined(())
    links = (
        element("a", "First page", href=first, class_="button plain"),
        element("a", "Next page", href=following, class_="button plain", rel="next"),
    )
    return element("nav", element("div", *links, class_="row"), aria_label="Pages")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}" if number else f"No {word}s"


def _count_of_page(page: ListPage, following: str) -> str:
    number = len(page.entries) + len(page.common_prefixes)
    return f"{_count(number, 'row')}{', and there are more' if following else ''}" if number else "Nothing is here"


def _unfolded(value: str) -> str:
    """A value of metadata as it was stored."""
    match = _ENCODED_WORD.fullmatch(value)
    try:
        return value if match is None else b64decode(match[1]).decode()
    except ValueError:
        return value


def _size(size: int) -> Markup:
    """So that people can compare it, and exactly when they point at it."""
    if size < 1024:
        return element("span", f"{size} B")
    power = 1
    while size >= 1023.95 * 1024**power and power < len(_UNITS):
        power += 1
    return element("span", f"{size / 1024**power:.1f} {_UNITS[power - 1]}", title=f"{size:,} bytes")


def _size_in_full(size: int) -> Markup:
    return _size(size) if size < 1024 else joined([_size(size), f" ({size:,} bytes)"])


def _time(moment: datetime | None) -> Markup:
    if moment is None:
        return element("span", "unknown")
    moment = moment.astimezone(UTC)
    return element("time", f"{moment:%Y-%m-%d %H:%M:%S}", datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}")
