"""cp of several and mv, as a shell runs them: what arrives, under which name, and what is never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from s3func import S3Session, testing
from tests.cli.shell import COMMAND, Shell, keys, put


def files(folder: Path) -> list[str]:
    """The files below a folder that are not hidden."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("[!.]*")
        if not path.is_dir() and ".cache" not in str(path)
    )


def write(folder: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


# --- cp


def test_cp_takes_several_files(shell: Shell, session: S3Session) -> None:
    """Files that a shell's pattern became go to a folder under their names; without one they are refused."""
    write(shell.folder, "a.csv", "b.csv", "-n")
    assert [] == shell.out("cp", "a.csv", "b.csv", "./-n", "{}/in/")
    assert ["in/-n", "in/a.csv", "in/b.csv"] == keys(session)
    assert "in/" in shell.fails(2, "cp", "a.csv", "b.csv", "{}/in")
    assert "would become" in shell.fails(2, "cp", "a.csv", "./a.csv", "{}/in/")
    assert "No such file" in shell.fails(1, "cp", "a.csv", "missing", "{}/x/")
    assert "--recursive" in shell.fails(2, "cp", ".", "{}/x/")
    assert 3 == len(keys(session))


def test_cp_takes_patterns(shell: Shell, session: S3Session) -> None:
    """Objects that match come under what stands behind the last slash before the pattern, up, down and inside."""
    put(session, "logs/a.gz", "logs/b.gz", "logs/c", "logs/1/x/d.gz", "logs/2/x/d.gz", "[k]")
    assert [] == shell.out("cp", "{}/logs/*.gz", "down/")
    assert ["a.gz", "b.gz"] == files(shell.folder / "down")
    assert [] == shell.out("cp", "{}/logs/*/x/*", "{}/copy/")
    assert ["copy/1/x/d.gz", "copy/2/x/d.gz"] == [key for key in keys(session) if key.startswith("copy/")]
    assert [] == shell.out("cp", "-r", "{}/logs/[12]", "all/")
    assert ["1/x/d.gz", "2/x/d.gz"] == files(shell.folder / "all")
    assert [] == shell.out("cp", "--raw", "{}/[k]", "k")
    assert "[k]" == (shell.folder / "k").read_text()
    assert "nothing is there" in shell.fails(1, "cp", "{}/logs/*.zip", "down/")
    assert "folder" in shell.fails(2, "cp", "{}/logs/*.gz", "one")
    assert "--recursive" in shell.fails(2, "cp", "--exclude", "a*", "{}/logs/c", "one")


def test_cp_shows_pairs(shell: Shell, session: S3Session) -> None:
    """--dry-run and --json have a row per pair; one that fails is a line, and the others are done."""
    put(session, "d/a", "d/b")
    assert ["{}/d/a -> x/a", "{}/d/b -> x/b"] == shell.out("cp", "-n", "{}/d/*", "x/")
    assert not (shell.folder / "x").exists()
    [row] = shell.rows("cp", "--json", "{}/d/a", "down")
    assert ({"source": "{}/d/a", "target": "down"}) == row
    done = shell("cp", "{}/missing", "{}/d/b", "y/")
    assert (1, 1) == (done.returncode, done.stderr.count(b"\n"))
    assert ["b"] == files(shell.folder / "y")


@pytest.mark.parametrize(("source", "target"), [("{}", "{b2}"), ("{b2}", "{}")])
def test_cp_between_s3_and_b2(shell: Shell, session: S3Session, source: str, target: str) -> None:
    """Trees and single objects go from one kind of store to the other, with metadata and type."""
    session.put_bucket_versioning("Enabled")
    session.put_object("p/a", b"one", metadata={"who": "me"}, content_type="text/x-odd", cache_control="max-age=1")
    put(session, "p/ü/b")
    assert 0 == shell("cp", "-r", f"{source}/p", f"{target}/q").returncode
    assert ["q/a", "q/ü/b"] == [key for key in keys(session) if key.startswith("q/")]
    assert [] == shell.out("cp", f"{source}/p/a", f"{target}/one")
    for key in ("q/a", "one"):
        with session.get_object(key) as found:
            assert (b"one", "me", "text/x-odd") == (found.data, found.user_metadata["who"], found.content_type)
    assert "max-age=1" == session.head_object("one").headers["cache-control"]


def test_cp_never_leaves_the_folder(shell: Shell, session: S3Session) -> None:
    """Keys of a pattern that would lead out of the target are refused, and nothing is written."""
    put(session, "d/../../x", "d/ok")
    assert "UnsafeKey" in shell.fails(1, "cp", "{}/d/**", "in/")
    assert [] == files(shell.folder)


# --- mv


def test_mv_of_files(shell: Shell, session: S3Session) -> None:
    """A file is gone when its object is there, whole; under its own name behind a slash."""
    write(shell.folder, "a", "b", "d/c")
    assert [] == shell.out("mv", "a", "{}/x")
    assert [] == shell.out("mv", "b", "d/c", "{}/in/")
    assert ["in/b", "in/c", "x"] == keys(session)
    assert b"d/c" == session.get_object("in/c").data
    assert [] == files(shell.folder)


def test_mv_of_objects(shell: Shell, session: S3Session) -> None:
    """Inside of a store and to a file, one and by pattern; --dry-run moves nothing."""
    put(session, "a", "d/1", "d/2", "d/3x")
    assert ["{}/a -> down"] == shell.out("mv", "-n", "{}/a", "down")
    assert [] == shell.out("mv", "{}/a", "down")
    assert "a" == (shell.folder / "down").read_text()
    assert [] == shell.out("mv", "{}/d/?", "{}/e/")
    assert ["d/3x", "e/1", "e/2"] == keys(session)
    assert b"d/1" == session.get_object("e/1").data


def test_mv_of_a_tree(shell: Shell, session: S3Session) -> None:
    """With --recursive all below a prefix moves, up, inside and down; empty folders go, and a neighbour stays."""
    write(shell.folder, "src/a", "src/d/b", "src/d/e/ü")
    assert [] == shell.out("mv", "-r", "src", "{}/p")
    assert ["p/a", "p/d/b", "p/d/e/ü"] == keys(session)
    assert not (shell.folder / "src").exists()
    put(session, "p", "p2/x")
    session.put_object("p/d/", b"")
    assert [] == shell.out("mv", "-r", "{}/p", "{}/q")
    assert ["p", "p2/x", "q/a", "q/d/", "q/d/b", "q/d/e/ü"] == keys(session)
    assert [] == shell.out("mv", "-r", "{}/q/", "out")
    assert ["a", "d/b", "d/e/ü"] == files(shell.folder / "out")
    assert ["p", "p2/x"] == keys(session)


def test_mv_of_a_folder_leaves_what_is_no_file(shell: Shell, session: S3Session) -> None:
    """Links stay, and are told; the exit code is 1."""
    write(shell.folder, "src/a", "elsewhere/x")
    (shell.folder / "src/link").symlink_to(shell.folder / "elsewhere")
    assert "src/link" in shell.fails(1, "mv", "-r", "src", "{}/p")
    assert ["p/a"] == keys(session)
    assert ["elsewhere/x"] == files(shell.folder)
    assert (shell.folder / "src/link").is_symlink()


def test_mv_onto_itself_is_refused(shell: Shell, session: S3Session, server: testing.Server) -> None:
    """Nothing is lost when source and target are one object, or when targets are sources, however they are written."""
    put(session, "k", "a/x", "a/a/x")
    assert "k" in shell.fails(2, "mv", "{}/k", "{}/k")
    assert "two steps" in shell.fails(2, "mv", "-r", "{}/a", "{}")
    assert "nothing is there" in shell.fails(1, "mv", "-r", "{}/typo", "{}/x")
    assert "a source and a target" in shell.fails(2, "mv", "-r", "{}/a", "{b2}")
    alias = server.endpoint_url.replace("127.0.0.1", "localhost")
    assert 1 == shell("mv", "{}/k", f"s3://{alias}/{session.bucket}/k").returncode
    assert ["a/a/x", "a/x", "k"] == keys(session)
    assert b"k" == session.get_object("k").data


def test_mv_into_what_keeps_nothing_is_refused(shell: Shell, session: S3Session) -> None:
    """A device and a pipe are no places for the only copy."""
    put(session, "k")
    for target in ("/dev/null", "/dev/stdout", "-"):
        assert "s3func" in shell("mv", "{}/k", target).stderr.decode()
    assert ["k"] == keys(session)


def test_mv_with_no_clobber_keeps_both(shell: Shell, session: S3Session) -> None:
    """--no-clobber ends with 1 and leaves source and target alone, in every direction."""
    put(session, "a", "b")
    write(shell.folder, "f", "g")
    for source, target in (("{}/a", "{}/b"), ("f", "{}/b"), ("{}/a", "f"), ("{b2}/a", "{}/b")):
        assert "exists" in shell.fails(1, "mv", "--no-clobber", source, target)
    assert (b"a", b"b") == (session.get_object("a").data, session.get_object("b").data)
    assert ["f", "g"] == files(shell.folder)


@pytest.mark.parametrize(
    ("operation", "source", "target"),
    [
        ("PutObject", "f", "{}/x"),
        ("CopyObject", "{}/k", "{}/x"),
        ("GetObject", "{}/k", "x"),
        ("PutObject", "{b2}/k", "{}/x"),
    ],
)
def test_mv_that_fails_keeps_the_source(
    shell: Shell, session: S3Session, server: testing.Server, operation: str, source: str, target: str
) -> None:
    """When the copy fails, the source is there and nothing else is."""
    session.put_bucket_versioning("Enabled")
    put(session, "k")
    write(shell.folder, "f")
    with server.faults.add(operation, status=403, code="AccessDenied"):
        shell.fails(1, "mv", source, target)
    assert ["k"] == keys(session)
    assert ["f"] == files(shell.folder)


def test_mv_down_compares_what_arrived(shell: Shell, session: S3Session, server: testing.Server) -> None:
    """A body that was changed on its way is no copy: the object stays."""
    session.put_object("k", b"0123456789")
    with server.faults.add("GetObject", answer="wrong_checksum"):
        shell.fails(1, "mv", "{}/k", "down")
    assert ["k"] == keys(session)
    assert [] == files(shell.folder)


@pytest.mark.parametrize(("source", "target"), [("{}", "{b2}"), ("{b2}", "{}")])
def test_mv_between_stores(shell: Shell, session: S3Session, source: str, target: str) -> None:
    """Through this machine, with metadata; the source is hidden where versions are kept."""
    session.put_bucket_versioning("Enabled")
    session.put_object("d/a", os.urandom(10_000), metadata={"who": "me"})
    content = session.get_object("d/a").data
    assert [] == shell.out("mv", "-r", f"{source}/d", f"{target}/e")
    assert ["e/a"] == keys(session)
    with session.get_object("e/a") as found:
        assert (content, "me") == (found.data, found.user_metadata["who"])
    assert [] == shell.out("mv", f"{source}/e/a", "here")
    assert content == (shell.folder / "here").read_bytes()
    assert [] == keys(session)


def test_mv_of_odd_keys(shell: Shell, session: S3Session) -> None:
    """Keys move exactly, and are shown on one line."""
    odd = ["../x", "a//b", "/lead", "%20", "-n", "a\x1b[31m\nb"]
    put(session, *(f"d/{key}" for key in odd))
    done = shell("mv", "-r", "-v", "{}/d/", "{}/e/")
    assert (0, len(odd)) == (done.returncode, done.stderr.count(b"\n"))
    assert b"\x1b" not in done.stderr
    assert sorted(f"e/{key}" for key in odd) == keys(session)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("arguments", [("cp", "{}/big", "down"), ("cp", "big", "{}/up"), ("mv", "{}/big", "down")])
def test_an_interrupted_copy_leaves_nothing(
    shell: Shell, session: S3Session, server: testing.Server, arguments: tuple[str, ...], number: int, code: int
) -> None:
    """Ctrl-C and SIGTERM end with 130 and 143; there is no half of anything, and the source is there."""
    data = os.urandom(1 << 20) * 30
    session.put_object("big", data)
    (shell.folder / "big").write_bytes(data)
    words = [word.replace("{}", shell.url) for word in arguments]
    with (
        server.faults.add("GetObject", delay=0.01) as reading,
        server.faults.add("UploadPart", delay=0.01) as writing,
        subprocess.Popen(
            [*COMMAND, *words, "--bwlimit", "5M"], cwd=shell.folder, env=shell.environment, stderr=subprocess.PIPE
        ) as process,
    ):
        # Until something is under way: the rest takes seconds.
        while not reading.fired and not writing.fired and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.stderr is not None
        told = process.stderr.read()
        assert code == process.wait(60)
    assert told in {b"", b"\ns3func: interrupted\n"}
    assert ["big"] == keys(session)
    assert [] == list(session.list_multipart_uploads())
    assert ["big"] == sorted(path.name for path in shell.folder.iterdir() if path.name != ".cache")
