"""The listing documents of S3: ListObjectsV2, ListObjects (version 1) and ListObjectVersions, read and written.

Rule 1: a page is whole or it is a ProtocolError: the right root, IsTruncated, a token where more follows, as many
        rows as KeyCount says, a key and a size in every row.
Rule 2: keys are percent-decoded where the document says `<EncodingType>url</EncodingType>`, and nowhere else.
Rule 3: `_fast` gives only what `_full` would give. Whatever is unusual is left to `_full`, and so is every error:
        tests/wire/test_s3xml_listing.py holds the two against each other.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

from s3func.errors import ProtocolError, ServiceError
from s3func.models import ListPage, ObjectEntry
from s3func.wire.encoding import encode_path
from s3func.wire.s3xml_error import element, frame, open_root, parse_time, render_time, strip_quotes
from s3func.wire.xmltree import Element, decode_document, escape, unescape

_Coder = Callable[[str], str]
# A group that took no part in a match leaves None in its column.
_Columns = Sequence[Sequence[Any]]

# The rows as AWS, Ceph, MinIO, GCS and our own server write them. Compiled when first needed, 1.5 ms each.
_QUOTE = '(?:&quot;|"|&#34;)'
_OWNER = "(?:<Owner><ID>([^<&]*)</ID>(?:<DisplayName>([^<&]*)</DisplayName>)?</Owner>)?"
_TIME = "<LastModified>([0-9T:.-]+Z)</LastModified>"
_BODY = (
    f'<ETag>{_QUOTE}([^<"&]*){_QUOTE}</ETag>'
    "(?:<ChecksumAlgorithm>[^<&]*</ChecksumAlgorithm>)*(?:<ChecksumType>[^<&]*</ChecksumType>)?"
    "<Size>([0-9]{1,19})</Size>"
)
_CLASS = "(?:<StorageClass>([^<&]+)</StorageClass>)?"
_TYPE = "(?:<Type>[^<&]*</Type>)?"
# The Owner stands before StorageClass or behind it: `(?(5)|…)` looks behind only where group 5, its ID, is missing.
_CONTENTS = f"<Contents><Key>([^<]+)</Key>{_TIME}{_BODY}{_OWNER}{_CLASS}(?(5)|{_OWNER}){_TYPE}</Contents>"
_VERSION = (
    "<(Version|DeleteMarker)><Key>([^<]+)</Key><VersionId>([^<&]+)</VersionId><IsLatest>(true|false)</IsLatest>"
    rf"{_TIME}(?:{_BODY})?{_OWNER}{_CLASS}(?(8)|{_OWNER}){_TYPE}</\1>"
)
_PREFIX = "<CommonPrefixes><Prefix>([^<]+)</Prefix></CommonPrefixes>"
_SIZE = re.compile("[0-9]{1,19}")
_ESCAPES = re.compile("%(?:[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+)?+")
_HEX = "0123456789ABCDEFabcdef"
# Every escape; with its character where that is printable ASCII, and so can be decoded without its neighbours.
_CODES = {
    high + low: chr(code) if 0x20 <= (code := int(high + low, 16)) < 0x7F and code != 0x25 else ""
    for high in _HEX
    for low in _HEX
}
# So many different escapes are looked for one by one; a page with more has keys of another script.
_DIFFERENT_MAX = 16
_BOOLEANS = {"true": True, "false": False}
# The only field that may stand in a row more than once.
_REPEATABLE = "ChecksumAlgorithm"


def parse_list_objects(body: bytes, *, list_type: int | None = None, prefix: str | None = None) -> ListPage:
    """A page of ListObjectsV2 or of ListObjects (version 1).

    list_type: 2 or 1, whichever was asked for, so that only its own token counts; None: as the document shows. prefix:
    what was asked for; a page without rows is believed only if it does not say that it is of another prefix.
    next_token: NextContinuationToken or NextMarker; in version 1 without NextMarker, the last key or common prefix.
    Raises the ServiceError of an `<Error>` document, and ProtocolError for anything that is not one whole page.
    """
    root, entries, prefixes = _open_page(body, _OBJECTS)
    _check_key_count(root, len(entries), len(prefixes))
    if prefix is not None and not entries and not prefixes:
        _check_prefix(root, prefix)
    truncated = _is_truncated(root)
    token = _next_token(root, entries, prefixes, list_type) if truncated else None
    return ListPage(entries, prefixes, truncated, token)


def parse_list_object_versions(body: bytes) -> ListPage:
    """A page of ListObjectVersions: versions and delete markers as rows, in the order of the document.

    next_token: NextKeyMarker; next_version_id: NextVersionIdMarker. Raises as `parse_list_objects` does.
    """
    root, entries, prefixes = _open_page(body, _VERSIONS)
    if not _is_truncated(root):
        return ListPage(entries, prefixes)
    token = _marker(root, "NextKeyMarker", entries, prefixes)
    if not token:
        raise ProtocolError("the page is truncated but has no NextKeyMarker")
    return ListPage(entries, prefixes, True, token, root.value("NextVersionIdMarker") or None)


class _Form(NamedTuple):
    """What tells one listing from the other."""

    root: str
    rows: frozenset[str]
    pattern: str
    from_columns: Callable[[_Columns, _Coder], list[ObjectEntry]]
    from_element: Callable[[Element, _Coder], ObjectEntry]


def _open_page(body: bytes, form: _Form) -> tuple[Element, list[ObjectEntry], list[str]]:
    """The page's own fields (its root element), its rows, its common prefixes."""
    text = decode_document(body)
    return _fast(text, form) or _full(text, form)


def _full(text: str, form: _Form) -> tuple[Element, list[ObjectEntry], list[str]]:
    root = open_root(text, form.root)
    decode = _coder(root)
    entries = [form.from_element(row, decode) for row in root.children if row.name in form.rows]
    prefixes = []
    for group in root.all("CommonPrefixes"):
        found = [decode(prefix.text) for prefix in group.all("Prefix")]
        if not all(found):
            raise ProtocolError("a common prefix is empty")
        prefixes += found
    return root, entries, prefixes


def _fast(text: str, form: _Form) -> tuple[Element, list[ObjectEntry], list[str]] | None:
    """The same for a page whose rows are one run of the usual form; None where the full parser has to look.

    The rows are cut out in one pass. What is left, with one empty element in the place of the run, goes through the
    full parser, so nothing beside the rows or between them can be overlooked.
    """
    # The one thing that a row's text may not hold although the patterns allow it; "]" alone is looked for ten times
    # as fast. Comments, CDATA and the like hold a "<", so that no row can contain them.
    if "]" in text and "]]>" in text:
        return None
    rest, columns = _cut(text, form.pattern, "_Rows")
    rest, (folded,) = _cut(rest, _PREFIX, "_CommonPrefixes")
    if not columns[0] and not folded:
        return None
    try:
        root = open_root(rest, form.root)
        # Each run stood directly in the root, and no row of an unusual form stands beside it. Their order does not
        # matter: AWS writes the rows first, Ceph the common prefixes.
        names = [child.name for child in root.children]
        if names.count("_Rows") != bool(columns[0]) or names.count("_CommonPrefixes") != bool(folded):
            return None
        if "CommonPrefixes" in names or not form.rows.isdisjoint(names):
            return None
        decode = _coder(root)
        return root, form.from_columns(columns, decode), _decoded(folded, decode)
    except (ProtocolError, ServiceError, ValueError):
        return None


def _cut(text: str, row: str, name: str) -> tuple[str, _Columns]:
    """Cut out the run of matches: the text with `<name/>` in their place, and one column per group.

    Where the matches are no unbroken run, or the name is taken, the text comes back as it is, with empty columns.
    """
    pattern = re.compile(row)
    stride = pattern.groups + 1
    parts = pattern.split(text)
    before, behind = parts[0], parts[-1]
    if len(parts) == 1 or any(parts[stride:-1:stride]) or name in before or name in behind:
        return text, [()] * pattern.groups
    return f"{before}<{name}/>{behind}", [parts[group::stride] for group in range(1, stride)]


def _decoded(keys: Sequence[str], decode: _Coder) -> list[str]:
    column = "\n".join(keys)
    if "&" not in column and decode is _unquote:
        # All keys at once: 0.3 ms for a page of keys such as `day%3D21/part-0`, 1.5 ms key by key.
        decoded = _unquote_printable(column).split("\n")
        if len(decoded) == len(keys):
            return [_unquote_rest(key) if "%" in key else key for key in decoded]
    return [decode(unescape(key)) if "%" in key or "+" in key or "&" in key else key for key in keys]


def _unquote_printable(text: str) -> str:
    """Decode "+" and the escapes of printable ASCII, all but "%25", whose "%" would be taken for another escape."""
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    # A page has a few different escapes, each in every key: replacing them one after the other takes 0.1 ms for 1,000
    # keys with two each, looking at every single one of them 0.25.
    place = text.find("%")
    for _ in range(_DIFFERENT_MAX):
        if place < 0:
            return text
        plain = _CODES.get(text[place + 1 : place + 3])
        if plain is None:
            raise ProtocolError("the listing holds a malformed percent-encoding")
        if plain:
            text = text.replace(text[place : place + 3], plain)
        place = text.find("%", place + 1)
    codes = {piece[:2] for piece in text.split("%")[1:]}
    if not codes <= _CODES.keys():
        raise ProtocolError("the listing holds a malformed percent-encoding")
    for code in codes:
        if _CODES[code]:
            text = text.replace(f"%{code}", _CODES[code])
    return text


def _times(column: Sequence[str]) -> list[datetime]:
    # The pattern took only what ends in Z, so each is aware and in UTC.
    return list(map(datetime.fromisoformat, column))


def _owners(*columns: Sequence[str | None]) -> Iterable[str | None]:
    if not any(map(any, columns)):
        return repeat(None)
    return [next(filter(None, names), None) for names in zip(*columns, strict=True)]


def _objects_from_columns(columns: _Columns, decode: _Coder) -> list[ObjectEntry]:
    keys, times, etags, sizes, id_before, name_before, classes, id_behind, name_behind = columns
    owners = _owners(id_before, name_before, id_behind, name_behind)
    nothing: repeat[None] = repeat(None)
    return list(
        map(
            ObjectEntry,
            _decoded(keys, decode),
            map(int, sizes),
            etags,
            _times(times),
            classes,
            nothing,
            nothing,
            repeat(False),
            owners,
        )
    )


def _versions_from_columns(columns: _Columns, decode: _Coder) -> list[ObjectEntry]:
    kinds, keys, ids, latest, times, etags, sizes, id_before, name_before, classes, id_behind, name_behind = columns
    owners = _owners(id_before, name_before, id_behind, name_behind)
    markers = [kind == "DeleteMarker" for kind in kinds]
    # Only a delete marker may lack a size; for a version int("") fails, and the full parser says why.
    numbers = [int(size or ("0" if marker else "")) for size, marker in zip(sizes, markers, strict=True)]
    return list(
        map(
            ObjectEntry,
            _decoded(keys, decode),
            numbers,
            [etag or "" for etag in etags],
            _times(times),
            classes,
            ids,
            map(_BOOLEANS.__getitem__, latest),
            markers,
            owners,
        )
    )


def _object_from_element(row: Element, decode: _Coder) -> ObjectEntry:
    fields: dict[str, Element] = {}
    for field in row.children:
        if field.name in fields and field.name != _REPEATABLE:
            raise ProtocolError(f"a row of the listing has more than one {field.name}")
        fields[field.name] = field
    text = {name: field.text for name, field in fields.items()}
    key = decode(text.get("Key", ""))
    if not key:
        raise ProtocolError("a row of the listing has no key")
    marker = row.name == "DeleteMarker"
    size = text.get("Size", "0" if marker else "")
    if _SIZE.fullmatch(size) is None:
        raise ProtocolError(f"the listing gives {key[:200]!r} the size {size[:40]!r}")
    owner = fields.get("Owner")
    return ObjectEntry(
        key,
        int(size),
        strip_quotes(text.get("ETag", "")),
        parse_time(text.get("LastModified")),
        text.get("StorageClass") or None,
        owner=(owner.value("ID") or owner.value("DisplayName") or None) if owner is not None else None,
        delete_marker=marker,
        version_id=text.get("VersionId") or None,
        is_latest=_BOOLEANS.get(text.get("IsLatest", "")),
    )


_OBJECTS = _Form("ListBucketResult", frozenset({"Contents"}), _CONTENTS, _objects_from_columns, _object_from_element)
_VERSIONS = _Form(
    "ListVersionsResult", frozenset({"Version", "DeleteMarker"}), _VERSION, _versions_from_columns, _object_from_element
)


def _coder(root: Element) -> _Coder:
    """How this page's keys, prefixes and markers are decoded."""
    kind = root.value("EncodingType") or ""
    if kind == "url":
        return _unquote
    if kind:
        raise ProtocolError(f"the listing has an unknown encoding type: {kind[:40]!r}")
    return str


def _unquote(text: str) -> str:
    # Stores write a space as "+" or "%20", and "/" plain or as "%2F"; a "+" of the key itself is always "%2B".
    text = text.replace("+", " ")
    return _unquote_rest(text) if "%" in text else text


def _unquote_rest(text: str) -> str:
    return _ESCAPES.sub(_unquote_run, text)


def _unquote_run(match: re.Match[str]) -> str:
    return _decode_run(match[0])


@lru_cache(maxsize=1024)  # the keys of a page have the same few folders
def _decode_run(run: str) -> str:
    # A run of escapes holds whole characters: UTF-8 needs two to four bytes in a row, and all of them are escaped.
    if run == "%":
        raise ProtocolError("the listing holds a malformed percent-encoding")
    try:
        return bytes.fromhex(run.replace("%", "")).decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the listing holds a key that is not UTF-8: {run[:200]!r}") from error


def _is_truncated(root: Element) -> bool:
    text = root.value("IsTruncated") or ""
    truncated = _BOOLEANS.get(text.lower())
    if truncated is None:
        raise ProtocolError(f"the page does not say whether more follows: IsTruncated is {text[:40]!r}")
    return truncated


def _check_key_count(root: Element, rows: int, prefixes: int) -> None:
    text = root.value("KeyCount")
    # AWS and Ceph count the common prefixes, and no rule says so.
    if text is not None and text not in {str(rows), str(rows + prefixes)}:
        raise ProtocolError(f"the page has {rows} keys and {prefixes} common prefixes, but KeyCount {text[:40]!r}")


def _check_prefix(root: Element, prefix: str) -> None:
    """Rows show by their keys what they belong to; that there are none has to be said of the right prefix."""
    echo = root.value("Prefix")
    # Not every store that encodes the keys encodes this as well.
    if echo is not None and echo != prefix and _coder(root)(echo) != prefix:
        raise ProtocolError(f"the page is of the prefix {echo[:200]!r}, and {prefix[:200]!r} was asked for")


def _next_token(root: Element, entries: list[ObjectEntry], prefixes: list[str], list_type: int | None) -> str:
    if list_type != 1:
        token = root.value("NextContinuationToken")
        if token:
            return token
        if list_type == 2 or any(root.child(name) for name in ("KeyCount", "ContinuationToken", "StartAfter")):
            raise ProtocolError("the page is truncated but has no NextContinuationToken")
    # Without a delimiter version 1 leaves NextMarker out: the last key is the place to go on from.
    marker = _marker(root, "NextMarker", entries, prefixes) or max(_last(entries, prefixes), default="")
    if not marker:
        raise ProtocolError("the page is truncated, but nothing in it says where the next one begins")
    return marker


def _last(entries: list[ObjectEntry], prefixes: list[str]) -> list[str]:
    return [entry.key for entry in entries[-1:]] + prefixes[-1:]


def _marker(root: Element, name: str, entries: list[ObjectEntry], prefixes: list[str]) -> str:
    """A marker for the next page, decoded, "" without one."""
    marker = root.value(name) or ""
    # Ceph encodes keys and prefixes, but not the marker. It is one of those two, which gives it away; decoding it
    # would turn the key `a+b` into `a b`, and the next page would begin at the wrong place.
    return marker if marker in _last(entries, prefixes) else _coder(root)(marker)


def render_list_objects_v2(
    page: ListPage,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int = 1000,
    encoding_type: str = "",
    continuation_token: str | None = None,
    start_after: str = "",
    display_name: _Coder = str,
) -> bytes:
    """A ListObjectsV2 page. `encoding_type` "url" encodes keys, prefixes and StartAfter; owners are written if set.

    display_name: the name for people of an owner's id.
    """
    code = _render_coder(encoding_type)
    head = [
        f"<Name>{escape(bucket)}</Name><Prefix>{code(prefix)}</Prefix>",
        _optional("StartAfter", code(start_after)),
        "" if continuation_token is None else element("ContinuationToken", continuation_token),
        _optional("NextContinuationToken", escape(page.next_token or "") if page.is_truncated else ""),
        f"<KeyCount>{len(page.entries) + len(page.common_prefixes)}</KeyCount>",
    ]
    tail = _render_limits(page, max_keys, code(delimiter), encoding_type)
    rows = [_render_object(entry, code, display_name) for entry in page.entries]
    return frame("ListBucketResult", "".join([*head, tail, *rows, _render_prefixes(page, code)]))


def render_list_objects_v1(
    page: ListPage,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int = 1000,
    encoding_type: str = "",
    marker: str = "",
    display_name: _Coder = str,
) -> bytes:
    """A ListObjects (version 1) page; like S3, it has NextMarker only with a delimiter."""
    code = _render_coder(encoding_type)
    next_marker = code(page.next_token or "") if page.is_truncated and delimiter else ""
    head = [
        f"<Name>{escape(bucket)}</Name><Prefix>{code(prefix)}</Prefix><Marker>{code(marker)}</Marker>",
        _optional("NextMarker", next_marker),
    ]
    tail = _render_limits(page, max_keys, code(delimiter), encoding_type)
    rows = [_render_object(entry, code, display_name) for entry in page.entries]
    return frame("ListBucketResult", "".join([*head, tail, *rows, _render_prefixes(page, code)]))


def render_list_object_versions(
    page: ListPage,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int = 1000,
    encoding_type: str = "",
    key_marker: str = "",
    version_id_marker: str = "",
    display_name: _Coder = str,
) -> bytes:
    """A ListObjectVersions page; rows without a version id are written as the version "null"."""
    code = _render_coder(encoding_type)
    more = page.is_truncated
    head = [
        f"<Name>{escape(bucket)}</Name><Prefix>{code(prefix)}</Prefix><KeyMarker>{code(key_marker)}</KeyMarker>",
        element("VersionIdMarker", version_id_marker),
        _optional("NextKeyMarker", code(page.next_token or "") if more else ""),
        _optional("NextVersionIdMarker", escape(page.next_version_id or "") if more else ""),
    ]
    tail = _render_limits(page, max_keys, code(delimiter), encoding_type)
    rows = [_render_version(entry, code, display_name) for entry in page.entries]
    return frame("ListVersionsResult", "".join([*head, tail, *rows, _render_prefixes(page, code)]))


def _render_coder(encoding_type: str) -> _Coder:
    if encoding_type == "url":
        return encode_path
    if encoding_type:
        raise ValueError(f"encoding_type is 'url' or empty, not {encoding_type!r}")
    return escape


def _optional(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>" if content else ""


def _render_limits(page: ListPage, max_keys: int, delimiter: str, encoding_type: str) -> str:
    truncated = "true" if page.is_truncated else "false"
    return (
        f"<MaxKeys>{max_keys}</MaxKeys>{_optional('Delimiter', delimiter)}{_optional('EncodingType', encoding_type)}"
        f"<IsTruncated>{truncated}</IsTruncated>"
    )


def _render_prefixes(page: ListPage, code: _Coder) -> str:
    rows = [f"<CommonPrefixes><Prefix>{code(prefix)}</Prefix></CommonPrefixes>" for prefix in page.common_prefixes]
    return "".join(rows)


def _render_object(entry: ObjectEntry, code: _Coder, display_name: _Coder) -> str:
    return f"<Contents><Key>{code(entry.key)}</Key>{_render_body(entry)}{_render_owner(entry, display_name)}</Contents>"


def _render_version(entry: ObjectEntry, code: _Coder, display_name: _Coder) -> str:
    latest = "true" if entry.is_latest else "false"
    start = (
        f"<Key>{code(entry.key)}</Key><VersionId>{escape(entry.version_id or 'null')}</VersionId>"
        f"<IsLatest>{latest}</IsLatest>"
    )
    owner = _render_owner(entry, display_name)
    if entry.delete_marker:
        return f"<DeleteMarker>{start}{_render_modified(entry)}{owner}</DeleteMarker>"
    return f"<Version>{start}{_render_body(entry)}{owner}</Version>"


def _render_modified(entry: ObjectEntry) -> str:
    moment = entry.last_modified
    return "" if moment is None else f"<LastModified>{render_time(moment)}</LastModified>"


def _render_body(entry: ObjectEntry) -> str:
    return (
        f"{_render_modified(entry)}<ETag>&quot;{escape(entry.etag)}&quot;</ETag><Size>{entry.size}</Size>"
        f"<StorageClass>{escape(entry.storage_class or 'STANDARD')}</StorageClass>"
    )


def _render_owner(entry: ObjectEntry, display_name: _Coder) -> str:
    owner = entry.owner
    if owner is None:
        return ""
    return f"<Owner>{element('ID', owner)}{element('DisplayName', display_name(owner))}</Owner>"
