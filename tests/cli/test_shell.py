"""The commands for objects and buckets as a shell runs them, against the embedded server."""

from __future__ import annotations

import os
import subprocess

import pytest

from s3func import S3Session
from tests.cli.shell import COMMAND, Shell, keys, put

# --- ls, du, stat


def test_ls_shows_folders_and_objects(shell: Shell, session: S3Session) -> None:
    """A URL per line, folders folded unless --recursive, and a name means itself and the folder, never its neighbour."""
    put(session, "a", "d", "d/1", "d/e/2", "d2/3")
    assert ["{}/a", "{}/d", "{}/d/", "{}/d2/"] == shell.out("ls", "{}")
    assert ["{}/d", "{}/d/1", "{}/d/e/"] == shell.out("ls", "{}/d")
    assert ["{}/d/1", "{}/d/e/"] == shell.out("ls", "{}/d/")
    assert ["{}/a", "{}/d", "{}/d/1", "{}/d/e/2", "{}/d2/3"] == shell.out("ls", "-r", "{}")


def test_ls_long_has_bytes_and_times(shell: Shell, session: S3Session) -> None:
    """--long adds two columns that sort, --human makes the first one readable."""
    session.put_object("big", b"x" * 2048)
    [row] = shell.out("ls", "-l", "{}/big")
    size, time, url = row.split()
    assert ("2048", "{}/big") == (size, url)
    assert time.endswith("Z")
    [human] = shell.out("ls", "-lH", "{}/big")
    assert human.split()[:2] == ["2.0", "KiB"]


def test_ls_matches_globs_in_keys(shell: Shell, session: S3Session) -> None:
    """* and ? stay inside of a folder, ** does not, a class is one character, and --raw takes all of them for themselves."""
    put(session, "a1", "a2", "b1", "d/a1", "d/e/a1", "[x]*")
    assert ["{}/a1", "{}/a2"] == shell.out("ls", "{}/a*")
    assert ["{}/a1", "{}/b1"] == shell.out("ls", "{}/?1")
    assert ["{}/a1", "{}/d/a1", "{}/d/e/a1"] == shell.out("ls", "{}/**/a1")
    assert ["{}/b1"] == shell.out("ls", "{}/[!a]1")
    assert ["{}/d/"] == shell.out("ls", "{}/d*")
    assert ["{}/d/a1", "{}/d/e/a1"] == shell.out("ls", "-r", "{}/d*")
    assert ["{}/[x]*"] == shell.out("ls", "--raw", "{}/[x]*")


def test_ls_json_is_exact(shell: Shell, session: S3Session) -> None:
    """--json has keys as they are, whatever is in them; lines for people escape what would break a line."""
    put(session, "a\nb", "f/x")
    assert ["{}/a\\nb", "{}/f/"] == shell.out("ls", "{}")
    first, second = shell.rows("ls", "--json", "{}")
    assert ("object", "a\nb", 3) == (first["type"], first["key"], first["size"])
    assert {"type", "url", "bucket", "key", "size", "etag", "last_modified", "storage_class"} == first.keys()
    assert {"type": "prefix", "url": "{}/f/", "bucket": session.bucket, "key": "f/"} == second


def test_ls_shows_versions(shell: Shell, session: S3Session) -> None:
    """--versions lists every version and delete marker of the object, newest first."""
    session.put_bucket_versioning("Enabled")
    put(session, "k", "k", "kk")
    session.delete_object("k")
    rows = shell.rows("ls", "--versions", "--json", "{}/k")
    assert ["delete_marker", "version", "version"] == [row["type"] for row in rows]
    assert [True, False, False] == [row["is_latest"] for row in rows]
    assert ["deleted", "old", "old"] == [row.split("\t")[-1] for row in shell.out("ls", "--versions", "{}/k")]


def test_ls_without_a_url_lists_buckets(shell: Shell, session: S3Session) -> None:
    """No URL, or the scheme alone, is the account."""
    assert "{}" in shell.out("ls")
    assert "{}" in shell.out("ls", "s3://")
    assert session.bucket in [row["bucket"] for row in shell.rows("ls", "--json")]


def test_ls_of_nothing_fails(shell: Shell) -> None:
    """An empty bucket is empty; a key, a pattern or a bucket that is not there ends with 1 and one line."""
    assert [] == shell.out("ls", "{}")
    for url in ("{}/missing", "{}/*.x", "s3://no-such-bucket"):
        done = shell("ls", url)
        assert (1, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))
    assert 2 == shell("ls", "https://example.com/x").returncode


def test_a_reader_that_goes_away_ends_a_command_quietly(shell: Shell, session: S3Session) -> None:
    """With the reading end of the pipe closed, the exit code is SIGPIPE's and stderr is empty."""
    session.put_object("big", b"line\n" * 40_000)
    put(session, *(f"k{number}" for number in range(5)))
    for arguments in (["ls", f"{shell.url}"], ["cat", f"{shell.url}/big"]):
        reading, writing = os.pipe()
        os.close(reading)
        with subprocess.Popen(
            [*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, env=shell.environment
        ) as process:
            os.close(writing)
            assert process.stderr is not None
            assert (b"", 141) == (process.stderr.read(), process.wait())


def test_du_counts(shell: Shell, session: S3Session) -> None:
    """Bytes, objects and URL; --depth has a line for each folder, the whole comes last; --versions counts old ones."""
    put(session, "p/a/1", "p/b/22", "p/x", "p2/y")
    assert ["14\t3\t{}/p"] == shell.out("du", "{}/p")
    assert ["5\t1\t{}/p/a/", "6\t1\t{}/p/b/", "14\t3\t{}/p"] == shell.out("du", "--depth", "1", "{}/p")
    assert [18] == [row["size"] for row in shell.rows("du", "--json", "{}")]
    assert ["11\t2\t{}/p/*/*"] == shell.out("du", "{}/p/*/*")
    session.put_bucket_versioning("Enabled")
    put(session, "p2/y")
    assert ["8\t2\t{}/p2"] == shell.out("du", "--versions", "{}/p2")
    assert 1 == shell("du", "{}/none").returncode


def test_stat_shows_what_is_known(shell: Shell, session: S3Session) -> None:
    """Fields as lines or as JSON, user metadata under its own name, several URLs at once, 1 where one is not there."""
    session.put_object("k", b"data", content_type="text/x", metadata={"who": "me"})
    lines = shell.out("stat", "{}/k")
    assert {"size: 4", "content_type: text/x", "metadata.who: me", "url: {}/k"} <= set(lines)
    [row] = shell.rows("stat", "--json", "{}/k")
    assert (4, {"who": "me"}, "k") == (row["size"], row["metadata"], row["key"])
    assert "url: {}" in shell.out("stat", "{}")
    done = shell("stat", "{}/missing", "{}/k")
    assert 1 == done.returncode
    assert b"size: 4" in done.stdout
    assert 1 == done.stderr.count(b"\n")


# --- cat, put


def test_cat_writes_bytes(shell: Shell, session: S3Session) -> None:
    """Every byte value arrives, objects follow each other, patterns are expanded, one that is missing is told at the end."""
    session.put_object("a1", bytes(range(256)))
    session.put_object("a2", b"\r\n\x00")
    assert bytes(range(256)) + b"\r\n\x00" == shell("cat", "{}/a1", "{}/a2").stdout
    assert bytes(range(256)) + b"\r\n\x00" == shell("cat", "{}/a*").stdout
    done = shell("cat", "{}/missing", "{}/a2")
    assert (1, b"\r\n\x00", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))
    assert b"nothing is there" in done.stderr


def test_a_folder_is_told(shell: Shell, session: S3Session) -> None:
    """Where a URL is a folder and an object is wanted, or the other way round, the message says so."""
    put(session, "d/1", "k")
    (shell.folder / "f").mkdir()
    for arguments in (["cat", "{}/d"], ["stat", "{}/d"], ["hash", "{}/d/"], ["cp", "{}/d", "x"], ["mv", "{}/d", "x"]):
        assert "is a folder: --recursive" in shell.fails(1, *arguments)
    assert "cp --recursive f" in shell.fails(2, "put", "f", "{}/x")
    assert "is an object" in shell.fails(1, "cp", "-r", "{}/k", "x")
    assert "nothing is there" in shell.fails(1, "cp", "-r", "{}/typo", "x")
    assert "--recursive" in shell.fails(2, "cp", "{}/d/", ".")


def test_errors_say_what_to_do_in_a_shell(shell: Shell) -> None:
    """Names of Python's arguments are those of options."""
    assert "s3func mb" in shell.fails(1, "ls", "s3://none")
    shell.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    assert "is --endpoint-url (AWS_ENDPOINT_URL) " in shell.fails(1, "ls", "{}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del shell.environment[name]
    shell.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(shell.folder)}
    assert "use --no-sign-request" in shell.fails(1, "ls", "{}")


@pytest.mark.parametrize(("bounds", "data"), [("2-4", b"234"), ("7-", b"789"), ("-2", b"89"), ("0-0", b"0")])
def test_cat_of_a_range(shell: Shell, session: S3Session, bounds: str, data: bytes) -> None:
    """A range is first and last byte; either end may be left out."""
    session.put_object("k", b"0123456789")
    assert data == shell("cat", "--range", bounds, "{}/k").stdout


def test_cat_refuses_what_is_no_range_and_no_object(shell: Shell) -> None:
    """Wrong ranges and a bucket are wrong usage."""
    for arguments in (("--range", "5-2", "{}/k"), ("--range", "-", "{}/k"), ("--range", "x-", "{}/k"), ("{}",)):
        assert 2 == shell("cat", *arguments).returncode


def test_cat_of_a_version(shell: Shell, session: S3Session) -> None:
    """--version-id reads an older one."""
    session.put_bucket_versioning("Enabled")
    old = session.put_object("k", b"old").version_id
    session.put_object("k", b"new")
    assert b"old" == shell("cat", "--version-id", str(old), "{}/k").stdout


def test_put_takes_stdin_of_any_length(shell: Shell, session: S3Session) -> None:
    """What comes by a pipe is stored byte for byte, with the headers that were asked for; 12 MB go in parts."""
    data = os.urandom(1 << 20) * 12
    assert [] == shell.out("put", "-", "{}/big", "--content-type", "x/y", "--metadata", "who=me", data=data)
    found = session.get_object("big")
    assert data == found.data
    assert ("x/y", {"who": "me"}) == (found.content_type, found.user_metadata)
    assert data == shell("cat", "{}/big").stdout


def test_put_stores_a_file(shell: Shell, session: S3Session) -> None:
    """A file goes to the key, or behind a slash under its own name; --json tells what became of it."""
    (shell.folder / "f.txt").write_text("text")
    [row] = shell.rows("put", "f.txt", "{}/d/", "--json")
    assert ("d/f.txt", session.head_object("d/f.txt").etag) == (row["key"], row["etag"])
    assert ["f.txt -> {}/x"] == shell.out("put", "-n", "f.txt", "{}/x")
    assert ["d/f.txt"] == keys(session)


def test_put_with_no_clobber_replaces_nothing(shell: Shell, session: S3Session) -> None:
    """--no-clobber fails where there is an object, for files and for pipes, and says what would replace it."""
    put(session, "k")
    (shell.folder / "f").write_text("new")
    for source in ("f", "-"):
        done = shell("put", "--no-clobber", source, "{}/k", data=b"new")
        assert (1, 1) == (done.returncode, done.stderr.count(b"\n"))
        assert b"without --no-clobber" in done.stderr
    assert b"k" == session.get_object("k").data
    assert [] == shell.out("put", "--no-clobber", "f", "{}/k2")


def test_put_says_what_is_wrong_with_its_arguments(shell: Shell) -> None:
    """A missing file is one line, a pipe without a key and metadata without a value are wrong usage."""
    done = shell("put", "missing", "{}/k")
    assert (1, 1) == (done.returncode, done.stderr.count(b"\n"))
    assert 2 == shell("put", "-", "{}/").returncode
    assert 2 == shell("put", "-", "{}/k", "--metadata", "x").returncode


def test_what_is_public_needs_no_credentials(shell: Shell, session: S3Session) -> None:
    """--no-sign-request reads with every command that reads, and says nothing of whoever asks."""
    put(session, "p/a", "p/b")
    statement = '{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["%s"]}'
    arn = f"arn:aws:s3:::{session.bucket}"
    session.put_bucket_policy('{"Version": "2012-10-17", "Statement": [%s]}' % (statement % f'{arn}", "{arn}/*'))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del shell.environment[name]
    shell.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(shell.folder)}
    access = "--no-sign-request"
    assert ["{}/p/a", "{}/p/b"] == shell.out("ls", access, "{}/p/")
    assert ["p/a"] == shell.out("cat", access, "{}/p/a")
    assert [] == shell.out("cp", access, "{}/p/a", "a")
    assert 0 == shell("cp", "-r", access, "{}/p", "all").returncode
    assert 0 == shell("sync", access, "{}/p", "all").returncode
    assert 0 == shell("check", access, "{}/p", "all").returncode
    assert "AccessDenied" in shell.fails(1, "put", "a", "{}/new", access)


ODD = [
    "a//b",
    "../x",
    "./y",
    "/lead",
    "tail/",
    "%20",
    "a b",
    "-n",
    "--help",
    "ü/日本",
    "q?x#y",
    "[z]*",
    "a\nb",
    "\x7f",
    "'\"$HOME",
]


def test_keys_are_exact_everywhere(shell: Shell, session: S3Session) -> None:
    """What stands behind the bucket's slash is the key for every command that writes or reads one."""
    for key in ODD:
        # Behind a slash, put would add the name of the file.
        session.put_object(key, b"<tail/>") if key == "tail/" else shell.out(
            "put", "-", "{}/" + key, data=f"<{key}>".encode()
        )
    assert sorted(ODD) == sorted(keys(session))
    urls = ["{}/" + key for key in ODD]
    assert "".join(f"<{key}>" for key in ODD) == shell("cat", "--raw", *urls).stdout.decode()
    for command in ("stat", "presign"):
        assert ODD == [row["key"] for row in shell.rows(command, "--json", "--raw", *urls)]
    assert urls == [row["name"] for row in shell.rows("hash", "--json", "--raw", *urls)]
    assert len(ODD) == len(shell.out("ls", "-r", "{}"))
    assert [] == shell.out("cp", "--raw", "{}/[z]*", "{}/../x/[z]*")
    assert b"<[z]*>" == session.get_object("../x/[z]*").data
    assert 0 == shell("rm", "--raw", *urls).returncode
    assert ["../x/[z]*"] == keys(session)
