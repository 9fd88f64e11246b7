"""The steps of `s3func demo`, in the order in which they run: each one calls a verb and checks what it did.

A step returns its Outcome or raises CheckFailed; an error of the client passes through, and the step has failed as
well. Timed are the calls and the hashing of what arrives, not the reading of the large files that it is compared with.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPResponse
from time import perf_counter

from s3func import S3Session
from s3func.cli.material import File, Material
from s3func.cli.report import Outcome, counted, progress, size_text
from s3func.errors import InvalidCredentials, NoSuchKey, NotFound, PreconditionFailed
from s3func.message import BLOCK

THREADS = 8
NOTE = "notes/readings.csv"
NOTE_BODY = b"hour,celsius\n1,20.5\n"
ODD_KEYS = ("a//b", "/a", "../up", "a/./b", "what?is#this", "50%25 + 1", "Zürich/東京", "quote\"'<&>", "\x01", "end/")


class CheckFailed(Exception):
    """A step's result is not what it must be."""


class Demonstration:
    """A session on an empty store, the files to work on, and the steps."""

    def __init__(self, session: S3Session, stranger: S3Session, material: Material) -> None:
        """`stranger` is the same session with a wrong secret."""
        self.session = session
        self.stranger = stranger
        self.material = material
        self.files = material.files
        self.largest = max(self.files, key=lambda file: file.size)

    def steps(self, *, keep: bool) -> Iterator[tuple[str, Callable[[], Outcome]]]:
        """Each step with the verb that it shows; with `keep` the objects stay."""
        yield "create_bucket", self.create_bucket
        if self.material.small:
            yield "put_object", self.put_small
        if self.material.large:
            yield "put_object", self.put_large
        yield "list_objects", self.list_all
        yield "  delimiter", self.list_folder
        if self.material.small:
            yield "get_object", self.get_small
        if self.material.large:
            yield "get_object", self.get_large
        if self.largest.size:
            yield "  range", self.get_range
        yield "head_object", self.head
        yield "copy_object", self.copy
        yield "presigned_url", self.presign
        yield "  if_none_match", self.put_conditionally
        yield "  odd keys", self.put_odd_keys
        yield "  errors", self.meet_errors
        if not keep:
            yield "delete_objects", self.delete_all
            yield "delete_bucket", self.delete_bucket

    def create_bucket(self) -> Outcome:
        """An empty bucket."""
        self.session.create_bucket()
        _check(next(iter(self.session.list_objects()), None) is None, "the new bucket is not empty")
        return Outcome(f'bucket "{self.session.bucket}"')

    def put_small(self) -> Outcome:
        """Many small files from several threads; the ETag that comes back is the MD5 of the file."""
        etags: dict[str, str] = {}

        def put(file: File) -> None:
            etags[file.key] = self.session.put_object(file.key, file.path).etag

        outcome = _in_threads("put_object", self.material.small, put)
        for file in self.material.small:
            _check(etags[file.key] == _digest(file, "md5"), f"the ETag of {file.key!r} is not the MD5 of the file")
        return outcome

    def put_large(self) -> Outcome:
        """Large files, streamed from the disk."""

        def put(file: File) -> None:
            self.session.put_object(file.key, file.path)

        return _one_by_one("put_object", self.material.large, put)

    def list_all(self) -> Outcome:
        """Every key in order, with its size."""
        start = perf_counter()
        pages = [list(page) for page in self.session.list_objects().pages()]
        seconds = perf_counter() - start
        listed = [(entry.key, entry.size) for page in pages for entry in page]
        _check(listed == [(file.key, file.size) for file in self.files], "the listing is not the files that were put")
        return Outcome(
            f"{len(listed):,} keys in {counted(len(pages), 'page')}, exact and in order", len(listed), 0, seconds
        )

    def list_folder(self) -> Outcome:
        """One folder's view of the flat keys."""
        [(prefix, _)] = Counter(f"{file.key.partition('/')[0]}/" for file in self.files).most_common(1)
        names = [file.key.removeprefix(prefix) for file in self.files if file.key.startswith(prefix)]
        folders = {f"{prefix}{name.partition('/')[0]}/" for name in names if "/" in name}
        files = [prefix + name for name in names if "/" not in name]
        listing = self.session.list_objects(prefix=prefix, delimiter="/")
        _check([entry.key for entry in listing] == files, f"the files in {prefix!r} are not those on disk")
        _check(set(listing.common_prefixes) == folders, f"the folders in {prefix!r} are not those on disk")
        return Outcome(f"{prefix} holds {counted(len(folders), 'folder')} and {counted(len(files), 'file')}")

    def get_small(self) -> Outcome:
        """Every small file again, from several threads, byte for byte."""

        def get(file: File) -> None:
            data = self.session.get_object(file.key).data
            _check(data == file.path.read_bytes(), f"{file.key!r} differs from the file, or the file changed meanwhile")

        return _in_threads("get_object", self.material.small, get)

    def get_large(self) -> Outcome:
        """Every large file again, in blocks; its SHA-256 is the file's."""
        digests: dict[str, str] = {}

        def get(file: File) -> None:
            digest = hashlib.sha256()
            with self.session.get_object(file.key) as result:
                for block in result.iter_chunks(BLOCK):
                    digest.update(block)
            digests[file.key] = digest.hexdigest()

        outcome = _one_by_one("get_object", self.material.large, get)
        for file in self.material.large:
            same = digests[file.key] == _digest(file, "sha256")
            _check(same, f"{file.key!r} differs from the file, or the file changed meanwhile")
        return outcome._replace(text=f"{outcome.text}, SHA-256 equal")

    def get_range(self) -> Outcome:
        """Some bytes out of the middle."""
        file = self.largest
        first = file.size // 2
        last = min(first + 999, file.size - 1)
        result = self.session.get_object(file.key, range_start=first, range_end=last)
        with file.path.open("rb") as stream:
            stream.seek(first)
            expected = stream.read(last - first + 1)
        _check((result.status, result.data) == (206, expected), f"the range of {file.key!r} differs from the file")
        return Outcome(f"bytes {first:,} to {last:,} of {file.key}")

    def head(self) -> Outcome:
        """What a writer says about an object comes back with its head."""
        said = {"source": "sensor-1", "processed": "false"}
        put = self.session.put_object(
            NOTE, NOTE_BODY, metadata=said, content_type="text/csv", cache_control="max-age=60"
        )
        head = self.session.head_object(NOTE)
        _check(said.items() <= head.metadata.items(), f"the metadata is {head.metadata!r}")
        told = (head.size, head.etag, head.content_type, head.headers.get("cache-control"))
        _check(told == (len(NOTE_BODY), put.etag, "text/csv", "max-age=60"), f"the head tells {told!r}")
        return Outcome(f"{told[0]} bytes, {told[2]}, {told[3]}, source={said['source']}")

    def copy(self) -> Outcome:
        """A copy on the server, with the metadata of its source."""
        target = "copies/" + NOTE
        self.session.copy_object(NOTE, target)
        copy = self.session.get_object(target)
        _check(copy.data == NOTE_BODY, "the copy has other bytes")
        _check(copy.metadata.get("source") == "sensor-1", "the copy has lost its metadata")
        return Outcome(f"{NOTE} to {target}")

    def presign(self) -> Outcome:
        """A link that a program without credentials can fetch."""
        url = self.session.presigned_url("GET", self.largest.key, expires=60)
        start = perf_counter()
        with _fetch(url) as answer:
            digest = hashlib.file_digest(answer, "sha256").hexdigest()
        seconds = perf_counter() - start
        _check(digest == _digest(self.largest, "sha256"), "the link brought other bytes")
        try:
            _fetch(url.partition("?")[0]).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            _check(refusal.code == 403, f"without the signature the answer is {refusal.code}")
        else:
            raise CheckFailed("the object can be read without the signature")
        return Outcome("by urllib.request; 403 without its signature", 0, self.largest.size, seconds)

    def put_conditionally(self) -> Outcome:
        """A write that must not replace, and one that must replace exactly what was read."""
        etag = self.session.head_object(NOTE).etag
        try:
            self.session.put_object(NOTE, b"late", if_none_match="*")
        except PreconditionFailed as refusal:
            status = refusal.status
        else:
            raise CheckFailed('if_none_match="*" replaced an object')
        _check(self.session.get_object(NOTE).data == NOTE_BODY, "the refused write changed the object")
        self.session.put_object(NOTE, NOTE_BODY + b"2,21.0\n", if_match=etag)
        return Outcome(f"refused with {status}, nothing changed; if_match replaces")

    def put_odd_keys(self) -> Outcome:
        """Keys that other clients rewrite."""
        for key in ODD_KEYS:
            self.session.put_object("odd:" + key, key)
            self.session.put_object(key, key)
        listed = {entry.key for entry in self.session.list_objects()}
        for key in ODD_KEYS:
            _check(key in listed, f"the listing lacks {key!r}")
            _check(self.session.get_object(key).data == key.encode(), f"{key!r} brought the body of another key")
        return Outcome(f"{len(ODD_KEYS)} such as {', '.join(ODD_KEYS[:4])}: each one exactly")

    def meet_errors(self) -> Outcome:
        """Refusals are exceptions, typed."""
        self._expect(NoSuchKey, lambda: self.session.get_object("no/such/key"))
        self._expect(NotFound, lambda: self.session.head_object("no/such/key"))
        self._expect(InvalidCredentials, lambda: self.stranger.get_object(NOTE))
        self._expect(ValueError, lambda: self.session.delete_object(""))
        return Outcome("NoSuchKey, NotFound, InvalidCredentials, ValueError")

    def _expect(self, kind: type[Exception], call: Callable[[], object]) -> None:
        try:
            call()
        except kind:
            return
        raise CheckFailed(f"{kind.__name__} was not raised")

    def delete_all(self) -> Outcome:
        """Everything, a thousand keys in a request."""
        keys = [entry.key for entry in self.session.list_objects()]
        start = perf_counter()
        self.session.delete_objects(keys)
        seconds = perf_counter() - start
        _check(not list(self.session.list_objects()), "objects are left")
        return Outcome(f"{len(keys):,} objects", len(keys), 0, seconds)

    def delete_bucket(self) -> Outcome:
        """The bucket itself."""
        self.session.delete_bucket()
        self._expect(NotFound, self.session.head_bucket)
        return Outcome(f'bucket "{self.session.bucket}" is gone')


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise CheckFailed(what)


def _in_threads(label: str, files: list[File], work: Callable[[File], None]) -> Outcome:
    start = perf_counter()
    with ThreadPoolExecutor(THREADS) as pool, progress(label, len(files), "file") as bar:
        futures = [pool.submit(work, file) for file in files]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    size = sum(file.size for file in files)
    text = f"{counted(len(files), 'small file')}, {size_text(size)}, {THREADS} threads"
    return Outcome(text, len(files), size, perf_counter() - start)


def _one_by_one(label: str, files: list[File], work: Callable[[File], None]) -> Outcome:
    size = sum(file.size for file in files)
    start = perf_counter()
    with progress(label, size) as bar:
        for file in files:
            work(file)
            bar.update(file.size)
    return Outcome(f"{counted(len(files), 'large file')}, {size_text(size)}, streamed", 0, size, perf_counter() - start)


def _digest(file: File, algorithm: str) -> str:
    with file.path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _fetch(url: str) -> HTTPResponse:
    # A proxy of the environment has no business with a server on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: HTTPResponse = opener.open(url, timeout=30)
    return answer
