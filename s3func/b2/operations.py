"""One build and one parse function per B2 call, pure: arguments to Request, Response to result.

A request has neither address nor token before its authorizer has seen it: both come from B2. The API reference:
https://www.backblaze.com/apidocs/introduction-to-the-b2-native-api
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from s3func.b2.auth import DOCUMENT_MAX
from s3func.b2.config import API, key_path
from s3func.b2.headers import moment
from s3func.b2.results import FileGot, FileHead, entry_of, plain_sha1, translated
from s3func.errors import ChecksumMismatch, NoSuchVersion, NotModified, PreconditionFailed, ProtocolError, S3FuncError
from s3func.message import Request, Response, UploadBody
from s3func.models import ListPage
from s3func.wire.b2json import parse_file, parse_part, render_request
from s3func.wire.encoding import decode_component, encode_path, encode_query
from s3func.wire.ranges import answers, parse_content_range, parse_range

if TYPE_CHECKING:
    from s3func.wire.b2json import FilesPage, StoredFile, StoredPart

Document = TypeVar("Document")
TAIL = "hex_digits_at_end"
TAIL_BYTES = 40
_NOT_OBJECTS = frozenset({"start", "hide", "folder"})


def call(name: str, fields: Mapping[str, Any]) -> Request:
    """A call of the JSON API; what is None is left out."""
    return Request("POST", "", API + name, "", {"content-type": "application/json"}, render_request(fields))


def document(
    parse: Callable[[bytes], Document], dates: list[str] | None = None
) -> Callable[[Request, Response], Document]:
    """The parser of an answer that is a document. dates: gets the answer's Date, "" where there is none."""

    def parse_response(_request: Request, response: Response) -> Document:
        if dates is not None:
            dates.append(response.headers.get("date", ""))
        return parse(response.read(DOCUMENT_MAX))

    return parse_response


# --- Downloads: https://www.backblaze.com/apidocs/b2-download-file-by-name


class Reading(NamedTuple):
    """What is to be read, and on which conditions. B2 knows none, so its answer is judged: an answer is of one version."""

    bucket: str
    key: str
    version_id: str | None = None
    byte_range: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: Any = None
    if_unmodified_since: Any = None
    verify: bool = True

    def request(self, method: str, headers: dict[str, str]) -> Request:
        """GET or HEAD, by name for the newest version and by id for another one."""
        for name in ("if_match", "if_none_match"):
            etag = getattr(self, name)
            if etag is not None and not isinstance(etag, str):
                raise TypeError(f"{name} must be a str, not {type(etag).__name__}")
        for name in ("if_modified_since", "if_unmodified_since"):
            if getattr(self, name) is not None:
                moment(name, getattr(self, name))
        if self.byte_range is not None:
            headers["range"] = self.byte_range
        if self.version_id is None:
            return Request(method, "", f"/file/{self.bucket}/{key_path(self.key)}", "", headers)
        query = encode_query([("fileId", self.version_id)])
        return Request(method, "", f"{API}b2_download_file_by_id", query, headers)

    def parse_get(self, _request: Request, response: Response) -> FileGot:
        """The result; its body is still arriving unless it was small."""
        try:
            check_part(self.byte_range, response)
            head = FileHead(response.status, translated(response.headers))
            self._check(head)
        except S3FuncError:
            response.close()
            raise
        if self.verify and self.byte_range is None:
            expected = head.content_sha1
            if expected is not None:
                digest = b64encode(bytes.fromhex(expected)).decode()
                return FileGot(response, algorithm="sha1", expected=digest)
        return FileGot(response)

    def parse_head(self, _request: Request, response: Response) -> FileHead:
        """The result."""
        result = FileHead(response.status, translated(response.headers))
        self._check(result)
        return result

    def _check(self, result: FileHead) -> None:
        """Raise unless this is the file that was asked for, in the state that was asked for."""
        if self.version_id is not None and not _is_named(result.headers.get("x-bz-file-name"), self.key):
            # An id names a file of any key, and of any bucket: another key's content must not be taken for this one's.
            raise NoSuchVersion(f"the version is one of another key than {self.key!r}")
        if self.if_match is not None:
            if not _matches(self.if_match, result.etag):
                raise PreconditionFailed(f"the ETag is {result.etag}, not {self.if_match}")
        elif self.if_unmodified_since is not None and _is_newer(result, "if_unmodified_since", self):
            raise PreconditionFailed("the object was modified since")
        if self.if_none_match is not None:
            if _matches(self.if_none_match, result.etag):
                raise NotModified(f"the ETag is still {result.etag}")
        elif self.if_modified_since is not None and not _is_newer(result, "if_modified_since", self):
            raise NotModified("the object was not modified since")


def _is_named(header: str | None, key: str) -> bool:
    if header is None:
        return True
    try:
        return key in {decode_component(header), decode_component(header.replace("+", " "))}
    except ValueError:
        return False


def _matches(wanted: str, etag: str) -> bool:
    return wanted.strip() == "*" or etag in {part.strip().removeprefix("W/").strip('"') for part in wanted.split(",")}


def _is_newer(result: FileHead, name: str, reading: Reading) -> bool:
    written = result.last_modified
    # In whole seconds, which is what an HTTP date can say.
    return written is not None and int(written.timestamp()) > int(moment(name, getattr(reading, name)))


def check_part(wanted: str | None, response: Response) -> None:
    """ProtocolError unless these are the bytes that were asked for; the wrong ones would go unnoticed."""
    if wanted is None:
        if response.status != 200:
            raise ProtocolError(f"a GET of a whole file was answered with status {response.status}")
        return
    sent = parse_content_range(response.headers.get("content-range", ""))
    asked = parse_range(wanted)
    if sent is None or asked is None:
        raise ProtocolError("B2 ignored the range and sent the whole file")
    if not answers(sent, asked, response.headers.get("content-length")):
        raise ProtocolError(f"asked for {wanted}, B2 sent {sent[0]}")


# --- Uploads: https://www.backblaze.com/apidocs/b2-upload-file, https://www.backblaze.com/apidocs/b2-upload-part


def upload_file(key: str, fields: dict[str, str], body: bytes | UploadBody, sha1: str) -> Request:
    """A small file; `fields` describe it. sha1: 40 digits, or TAIL when the body ends with them."""
    fields["x-bz-file-name"] = encode_path(key)
    fields["x-bz-content-sha1"] = sha1
    return Request("POST", "", "/", "", fields, body)


def upload_part(part_number: int, fields: dict[str, str], body: bytes | UploadBody, sha1: str) -> Request:
    """A part of a large file."""
    fields["x-bz-part-number"] = str(part_number)
    fields["x-bz-content-sha1"] = sha1
    return Request("POST", "", "/", "", fields, body)


def parse_uploaded(response: Response, key: str, size: int, sha1: str) -> StoredFile:
    """The file, if it is the one that was sent."""
    file = parse_file(response.read(DOCUMENT_MAX))
    stored = plain_sha1(file.content_sha1)
    if (stored and stored != sha1) or file.size != size:
        raise ChecksumMismatch(f"sent {size} bytes with SHA-1 {sha1}, B2 has {file.size} with {stored or 'none'}")
    if file.file_name != key or not file.file_id:
        raise ProtocolError(f"B2 says that it has stored {file.file_name!r}")
    return file


def parse_uploaded_part(response: Response, part_number: int, size: int, sha1: str) -> StoredPart:
    """The part, if it is the one that was sent."""
    part = parse_part(response.read(DOCUMENT_MAX))
    if plain_sha1(part.content_sha1) != sha1 or part.size != size or part.part_number != part_number:
        raise ChecksumMismatch(
            f"sent part {part_number}, {size} bytes with SHA-1 {sha1}; "
            f"B2 has part {part.part_number}, {part.size} bytes with {part.content_sha1}"
        )
    return part


# --- Listings: https://www.backblaze.com/apidocs/b2-list-file-names


def names_page(page: FilesPage) -> ListPage:
    """A page of the newest versions. Whatever is no folder and can be read is an object, also what B2 adds later."""
    entries = [entry_of(file) for file in page.files if file.action not in _NOT_OBJECTS]
    return ListPage(entries, _folders(page), page.next_file_name is not None, page.next_file_name)


def versions_page(page: FilesPage, previous: str | None) -> ListPage:
    """A page of all versions; unfinished large files are none. previous: the key that the page before ended with."""
    entries = []
    for file in page.files:
        if file.action in {"start", "folder"}:
            continue
        # The newest version of a key comes first.
        entries.append(entry_of(file, is_latest=file.file_name != previous))
        previous = file.file_name
    return ListPage(entries, _folders(page), page.next_file_name is not None, page.next_file_name, page.next_file_id)


def _folders(page: FilesPage) -> list[str]:
    return [file.file_name for file in page.files if file.action == "folder"]
