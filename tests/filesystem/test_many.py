"""Many files at once, folders, kept listings, and consumers that ask two questions in one breath."""

from __future__ import annotations

import os
import pickle
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback

from s3func import B2Session, S3Session, testing
from s3func.filesystem import B2FileSystem, S3FileSystem

BUCKET = "many"


@pytest.fixture(scope="module")
def server() -> Iterator[testing.Server]:
    """One server for the tests of this file."""
    with testing.server() as running:
        yield running


@pytest.fixture
def session(server: testing.Server) -> Iterator[S3Session]:
    """A session on an empty bucket."""
    made = server.session(BUCKET)
    yield made
    server.faults.clear()
    made.delete_objects([entry.key for entry in made.list_objects()])


@pytest.fixture
def fs(session: S3Session) -> Any:
    """A filesystem over that session, with two folders."""
    found = S3FileSystem(session=session, skip_instance_cache=True)
    found.pipe({f"{BUCKET}/d/p={number % 2}/{number}": b"%d" % number for number in range(6)})
    return found


def keeping(session: S3Session, **options: Any) -> Any:
    """One that keeps listings."""
    return S3FileSystem(session=session, skip_instance_cache=True, use_listings_cache=True, **options)


def asked(server: testing.Server, call: Callable[[], Any]) -> list[str]:
    """The operations that a call comes to."""
    server.journal.clear()
    call()
    return list(server.journal.operations())


def test_folders_cost_one_question(server: testing.Server, fs: Any) -> None:
    """isdir() is one request; info() of a folder two, and one when it was a folder before."""
    folder = f"{BUCKET}/d"
    assert ["HeadObject", "ListObjectsV2"] == asked(server, lambda: fs.info(folder))
    assert ["ListObjectsV2"] == asked(server, lambda: fs.info(folder))
    assert ["ListObjectsV2"] == asked(server, lambda: fs.isdir(folder))
    assert ["ListObjectsV2"] == asked(server, lambda: fs.find(folder, maxdepth=1, withdirs=True))


def test_what_was_a_folder_may_be_something_else(session: S3Session, fs: Any) -> None:
    """Which question comes first is remembered, and no answer: an object, a folder and nothing are told apart anew."""
    assert "directory" == fs.info(f"{BUCKET}/d")["type"]
    session.put_object("d", b"file")
    session.put_object("d-0", b"sibling")
    session.put_object("d.bak/x", b"sibling")
    assert ("file", 4) == (fs.info(f"{BUCKET}/d")["type"], fs.info(f"{BUCKET}/d")["size"])
    session.delete_object("d")
    assert "directory" == fs.info(f"{BUCKET}/d")["type"]
    fs.rm(f"{BUCKET}/d", recursive=True)
    with pytest.raises(FileNotFoundError):
        fs.info(f"{BUCKET}/d")
    assert not fs.isdir(f"{BUCKET}/d")


def test_many_siblings(session: S3Session, fs: Any) -> None:
    """A folder is found behind any number of names that begin with its own."""
    fs.info(f"{BUCKET}/d")
    fs.pipe({f"{BUCKET}/d-{number:03d}": b"" for number in range(150)})
    assert "directory" == fs.info(f"{BUCKET}/d")["type"]


def test_side_by_side(server: testing.Server, fs: Any, tmp_path: Path) -> None:
    """Trees go down, up and across with a request per object; folders are asked about by nobody."""
    names = [f"p={number % 2}/{number}" for number in range(6)]
    assert ["ListObjectsV2", *["GetObject"] * 6] == asked(
        server, lambda: fs.get(f"{BUCKET}/d", str(tmp_path / "new"), recursive=True)
    )
    assert {name: name[-1] for name in names} == {name: (tmp_path / "new" / name).read_text() for name in names}
    assert ["PutObject"] * 6 == [
        name
        for name in asked(server, lambda: fs.put(f"{tmp_path}/new/", f"{BUCKET}/up/", recursive=True))
        if name not in {"HeadObject", "ListObjectsV2"}
    ]
    fs.copy(f"{BUCKET}/up/", f"{BUCKET}/across/", recursive=True)
    found = fs.cat(f"{BUCKET}/across", recursive=True)
    assert {f"{BUCKET}/across/{name}": name[-1].encode() for name in names} == found


def test_cat_of_many(fs: Any) -> None:
    """What is missing among many is raised, left out or returned; a word for none of these is refused."""
    paths = [f"{BUCKET}/d/p=0/0", f"{BUCKET}/no"]
    with pytest.raises(FileNotFoundError):
        fs.cat(paths)
    assert {paths[0]: b"0"} == fs.cat(paths, on_error="omit")
    returned = fs.cat(paths, on_error="return")
    assert (b"0", FileNotFoundError) == (returned[paths[0]], type(returned[paths[1]]))
    with pytest.raises(ValueError, match="on_error"):
        fs.cat(paths, on_error="ignore")
    with pytest.raises(FileNotFoundError):
        fs.cat(f"{BUCKET}/nothing", recursive=True)


def test_ranges_are_cut_right() -> None:
    """Pieces of several objects, overlapping, twice, open at either end: each is what was asked for, in its place."""
    body = bytes(range(256)) * 1000
    wanted = [("a", 0, 10), ("b", 5, 9), ("a", 5, 20), ("a", 0, 10), ("a", 200_000, 200_100), ("b", 255_990, 256_000)]
    paths = [f"{BUCKET}/{name}" for name, _, _ in wanted]
    pieces = [(body if name == "a" else body[::-1])[start:end] for name, start, end in wanted]
    with testing.server() as server:
        fs: Any = S3FileSystem(session=server.session(BUCKET), skip_instance_cache=True)
        fs.pipe({f"{BUCKET}/a": body, f"{BUCKET}/b": body[::-1]})
        server.journal.clear()
        assert pieces == fs.cat_ranges(paths, [row[1] for row in wanted], [row[2] for row in wanted])
        assert 4 == len(server.journal)
        assert [body[-5:], body[250_000:]] == fs.cat_ranges([f"{BUCKET}/a"] * 2, [-5, 250_000], [None, None])
        missing = fs.cat_ranges([f"{BUCKET}/no", f"{BUCKET}/a"], [0, 0], [1, 1])
        assert (FileNotFoundError, body[:1]) == (type(missing[0]), missing[1])
        with pytest.raises(ValueError, match="length"):
            fs.cat_ranges([f"{BUCKET}/a"], [0, 1], [1])


class Counting(Callback):
    """A callback that counts what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.branches: list[str] = []

    def branched(self, path_1: Any, path_2: Any, **_: Any) -> Any:
        self.branches.append(str(path_1))
        return Callback()


def test_callbacks_are_told(fs: Any, tmp_path: Path) -> None:
    """A callback hears of every file once, from one thread at a time."""
    told = Counting()
    fs.get(f"{BUCKET}/d", str(tmp_path / "new"), recursive=True, callback=told)
    # fsspec counts the folders of a tree as well.
    assert (told.size, 6) == (told.value, len(told.branches))
    told = Counting()
    fs.put(f"{tmp_path}/new/", f"{BUCKET}/again/", recursive=True, callback=told)
    assert told.size == told.value


def test_kept_listings_answer(server: testing.Server, session: S3Session, fs: Any) -> None:
    """Where they are asked for, one listing answers for every object and folder in it, until this filesystem writes."""
    kept = keeping(session)
    assert 6 == len(kept.find(f"{BUCKET}/d"))
    calls: list[Callable[[], Any]] = [
        lambda: kept.info(f"{BUCKET}/d/p=1/3"),
        lambda: kept.info(f"{BUCKET}/d/p=1"),
        lambda: kept.isdir(f"{BUCKET}/d/p=0"),
        lambda: kept.isfile(f"{BUCKET}/d/p=1/3"),
        lambda: kept.ls(f"{BUCKET}/d/p=0"),
        lambda: kept.exists(f"{BUCKET}/d/none"),
    ]
    assert [[]] * len(calls) == [asked(server, call) for call in calls]
    session.put_object("d/p=0/new", b"")
    assert not kept.exists(f"{BUCKET}/d/p=0/new")
    kept.pipe_file(f"{BUCKET}/d/p=0/mine", b"")
    assert kept.exists(f"{BUCKET}/d/p=0/new")


def test_kept_listings_expire(session: S3Session, fs: Any) -> None:
    """listings_expiry_time bounds how old an answer can be."""
    kept = keeping(session, listings_expiry_time=0.01)
    kept.find(f"{BUCKET}/d")
    session.put_object("d/late", b"")
    time.sleep(0.02)
    assert kept.exists(f"{BUCKET}/d/late")


def module_like(name: str, code: str) -> Any:
    """A module of somebody else's name, with functions that call as theirs do."""
    module = types.ModuleType(name)
    exec(compile(code, f"{name}.py", "exec"), module.__dict__)
    return module


PYARROW_FS = """
def open_input_file(fs, path):
    if not fs.isfile(path):
        raise FileNotFoundError(path)
    return fs.open(path, mode="rb")

def get_file_info(fs, path):
    return fs.info(path)
"""


def pyarrow_like(fs: Any) -> Callable[[str], Any]:
    """A function with the name, the module and the two calls of pyarrow's."""
    module = module_like("pyarrow.fs", PYARROW_FS)
    return lambda path: module.open_input_file(fs, path)


def inspecting(fs: Any, module: str = "pyarrow.dataset") -> Callable[[str], Any]:
    """What pyarrow asks of the one path of a dataset before it opens it."""
    questions = module_like("pyarrow.fs", PYARROW_FS)
    dataset = module_like(module, "def single(ask, fs, path): return ask(fs, path)")
    return lambda path: dataset.single(questions.get_file_info, fs, path)


def test_pyarrow_opens_with_one_request(server: testing.Server, session: S3Session, fs: Any) -> None:
    """Its question and its opening are one request; what others ask is answered anew, whatever pyarrow did before."""
    opened = pyarrow_like(fs)
    path = f"{BUCKET}/d/p=0/0"
    assert ["GetObject"] == asked(server, lambda: opened(path).close())
    with pytest.raises(FileNotFoundError):
        opened(f"{BUCKET}/none")
    with pytest.raises(FileNotFoundError):
        opened(f"{BUCKET}/d")
    assert fs.isfile(path)
    session.put_object("d/p=0/0", b"changed")
    with fs.open(path) as file:
        assert b"changed" == file.read()


def test_pyarrow_looks_at_a_file_and_opens_it_twice_with_one_request(
    server: testing.Server, session: S3Session, fs: Any
) -> None:
    """A dataset of one file; whoever opens it after that, or is somebody else, asks anew."""
    path = f"{BUCKET}/one.parquet"
    fs.pipe_file(path, b"PAR1")
    inspect, opened = inspecting(fs), pyarrow_like(fs)

    def read(of: Any) -> bytes:
        with of(path) as file:
            return bytes(file.read())

    plain = fs.info(path)
    assert ["GetObject"] == asked(server, lambda: (inspect(path), read(opened), read(opened)))
    assert ["GetObject"] == asked(server, lambda: read(opened))
    found = inspect(path)
    assert {name: plain[name] for name in found} == found
    session.put_object("one.parquet", b"changed")
    assert b"changed" == read(fs.open)
    assert [b"PAR1", b"PAR1", b"changed"] == [read(opened) for _ in range(3)]
    inspect(path)
    fs.pipe_file(path, b"by ourselves")
    assert b"by ourselves" == read(opened)
    assert ["HeadObject"] == asked(server, lambda: inspecting(fs, "somebody.dataset")(path))


def test_pyarrow_looks_at_what_is_listed(server: testing.Server, session: S3Session, fs: Any) -> None:
    """A kept listing says what is there and what is not; the opening is what is asked."""
    fs.pipe({f"{BUCKET}/l/one.parquet": b"PAR1", f"{BUCKET}/l/folder.parquet/a": b""})
    kept = keeping(session)
    kept.find(f"{BUCKET}/l")
    session.put_object("l/late.parquet", b"PAR1")
    inspect = inspecting(kept)
    assert [] == asked(server, lambda: inspect(f"{BUCKET}/l/folder.parquet"))
    assert ["GetObject"] == asked(server, lambda: inspect(f"{BUCKET}/l/one.parquet"))
    with pytest.raises(FileNotFoundError):
        inspect(f"{BUCKET}/l/late.parquet")


def test_what_pyarrow_looks_at_is_no_file(server: testing.Server, fs: Any) -> None:
    """Folders with the name of a file, what is not there, and what is empty, at no more requests than others make."""
    fs.pipe({f"{BUCKET}/folder.parquet/a": b"x", f"{BUCKET}/empty.parquet": b""})
    inspect = inspecting(fs, "pyarrow.parquet.core")
    assert ["GetObject", "ListObjectsV2"] == asked(server, lambda: inspect(f"{BUCKET}/folder.parquet"))
    assert ["ListObjectsV2"] == asked(server, lambda: inspect(f"{BUCKET}/folder.parquet"))
    assert "directory" == inspect(f"{BUCKET}/folder.parquet")["type"]
    with pytest.raises(FileNotFoundError):
        inspect(f"{BUCKET}/none.parquet")
    assert ("file", 0) == tuple(inspect(f"{BUCKET}/empty.parquet")[name] for name in ("type", "size"))
    assert ["HeadObject"] == asked(server, lambda: inspect(f"{BUCKET}/d/p=0/0"))


def dask_like(fs: Any) -> Callable[[str], list[int]]:
    """A function in a module of Dask's name, which lists a folder and asks for the checksums of what it found."""
    code = "def checksums(fs, path): return [fs.checksum(name) for name in fs.find(path)]"
    module = module_like("dask.dataframe.io", code)
    return lambda path: list(module.checksums(fs, path))


def test_dask_is_answered_from_its_own_listing(server: testing.Server, session: S3Session, fs: Any) -> None:
    """A listing of Dask's answers for its checksums, which are what they are to everybody, and change with the content."""
    checksums = dask_like(fs)
    folder = f"{BUCKET}/d"
    assert ["ListObjectsV2"] == asked(server, lambda: checksums(folder))
    before = checksums(folder)
    assert before == [fs.checksum(name) for name in fs.find(folder)]
    session.put_object("d/p=0/0", b"other")
    assert fs.checksum(f"{BUCKET}/d/p=0/0") != before[0]
    assert (False, True) == (before[0] == checksums(folder)[0], before[1:] == checksums(folder)[1:])


def test_metadata_and_versions(server: testing.Server) -> None:
    """What an object was written with is read again, and its versions are listed and read, also on B2."""
    keys = (server.access_key_id, server.secret_access_key)
    with B2Session(*keys, "kept-versions", realm=server.endpoint_url) as made:
        made.create_bucket()
        found: Any = B2FileSystem(session=made, skip_instance_cache=True)
        for text in (b"one", b"two!"):
            with found.open("kept-versions/k", "wb", metadata={"from": text.decode()}) as file:
                file.write(text)
        found.pipe_file("kept-versions/k2", b"")
        assert {"from": "two!"} == found.metadata("kept-versions/k")
        versions = found.object_version_info("kept-versions/k")
        assert [(4, True), (3, False)] == [(row["size"], row["IsLatest"]) for row in versions]
        old = versions[1]["VersionId"]
        assert b"one" == found.cat_file("kept-versions/k", version_id=old)
        assert (3, {"from": "one"}) == (
            found.info("kept-versions/k", version_id=old)["size"],
            found.metadata("kept-versions/k", old),
        )
        with found.open("kept-versions/k", version_id=old) as file:
            assert b"one" == file.read()
        found.rm_file("kept-versions/k")
        assert found.object_version_info("kept-versions/k")[0]["IsDeleteMarker"]
        with pytest.raises(FileNotFoundError):
            found.metadata("kept-versions/k")


def test_a_folder_that_was_made(fs: Any) -> None:
    """mkdir makes nothing, and to everybody but DuckDB there is nothing then."""
    fs.mkdir(f"{BUCKET}/made")
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{BUCKET}/made")


def test_a_filesystem_without_a_bucket(server: testing.Server, fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One session serves all buckets and lists them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    found = S3FileSystem(endpoint_url=server.endpoint_url, region="us-east-1", skip_instance_cache=True)
    assert BUCKET in found.ls("", detail=False)
    found.create_bucket("another-one")
    found.cp_file(f"{BUCKET}/d/p=0/0", "another-one/x")
    assert b"0" == found.cat("another-one/x")
    found.rm("another-one/x")
    found.session.delete_bucket("another-one")


def test_secrets_of_session_options_stay() -> None:
    """Those that are hidden among further arguments are neither pickled nor written as JSON."""
    made = S3FileSystem(session_options={"access_key_id": "id", "secret_access_key": "hidden", "stream": True})
    assert "hidden" not in made.to_json()
    assert {"stream": True} == made.to_dict()["session_options"]
    with pytest.raises(TypeError, match="share_secrets"):
        pickle.dumps(made)


@pytest.mark.parametrize("max_gap", [-1, 1.5, True, "1"])
def test_bad_max_gap(max_gap: Any) -> None:
    """What is no number of bytes is refused."""
    with pytest.raises(ValueError, match="max_gap"):
        S3FileSystem(max_gap=max_gap)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_makes_its_own_connections(session: S3Session, fs: Any) -> None:
    """A child reads and writes with the filesystem of its parent, and neither takes the other's answers."""
    assert b"1" == fs.cat(f"{BUCKET}/d/p=1/1")
    child = os.fork()
    if child == 0:
        try:
            fs.pipe_file(f"{BUCKET}/child", fs.cat(f"{BUCKET}/d/p=1/3"))
            os._exit(0)
        finally:
            os._exit(1)
    assert b"5" == fs.cat(f"{BUCKET}/d/p=1/5")
    _, status = os.waitpid(child, 0)
    assert (0, b"3") == (status, session.get_object("child").data)
