"""What rm, mb, rb and mpu delete and make, and what they refuse, as a shell runs them."""

from __future__ import annotations

import pytest

from s3func import S3Session, testing
from s3func.cli.values import parse_duration
from tests.cli.shell import Shell, keys, put

# --- rm


def test_rm_deletes_one(shell: Shell, session: S3Session) -> None:
    """Without --recursive exactly the object goes, silently; several URLs go one after the other."""
    put(session, "a", "a/b", "aa", "x", "y")
    assert [] == shell.out("rm", "{}/a")
    assert ["a/b", "aa", "x", "y"] == keys(session)
    assert ["{}/x", "{}/y"] == shell.out("rm", "-v", "{}/x", "{}/y")
    assert ["a/b", "aa"] == keys(session)


def test_rm_of_what_is_not_there_fails(shell: Shell, session: S3Session) -> None:
    """A key that is not there is 1 and one line; of a folder it says what deletes it; --force is silent."""
    put(session, "d/1")
    assert "nothing is there" in shell.fails(1, "rm", "{}/missing")
    assert "--recursive" in shell.fails(1, "rm", "{}/d")
    assert "nothing is there" in shell.fails(1, "rm", "-r", "{}/none")
    assert "nothing is there" in shell.fails(1, "rm", "{}/*.tmp")
    assert [] == shell.out("rm", "-f", "{}/missing")
    assert ["d/1"] == keys(session)


def test_rm_recursive_deletes_what_ls_recursive_shows(shell: Shell, session: S3Session) -> None:
    """The folder and the object of its name go, a neighbour that begins like it stays; --dry-run shows and does nothing."""
    put(session, "d", "d/1", "d/e/2", "d2/3")
    shown = shell.out("ls", "-r", "{}/d")
    assert ["{}/d", "{}/d/1", "{}/d/e/2"] == shown == shell.out("rm", "-rn", "{}/d")
    assert 4 == len(keys(session))
    done = shell("rm", "-r", "{}/d")
    assert (0, b"", b"3 objects, all deleted\n") == (done.returncode, done.stdout, done.stderr)
    assert ["d2/3"] == keys(session)


@pytest.mark.parametrize(
    "arguments",
    [
        ("{}",),
        ("{}/",),
        ("-r", "{}"),
        ("-r", "{}/"),
        ("-rf", "{}/"),
        ("{}/*",),
        ("{}/**",),
        ("-r", "{}/*/**"),
        ("--versions", "{}/"),
        ("-r", "{}/d", "{}/"),
    ],
)
def test_rm_refuses_a_whole_bucket(shell: Shell, session: S3Session, arguments: tuple[str, ...]) -> None:
    """What an empty variable leaves of a URL deletes nothing, also beside a good one: 3, and how to say that it is meant."""
    put(session, "a", "d/1")
    assert "--whole-bucket" in shell.fails(3, "rm", *arguments)
    assert ["a", "d/1"] == keys(session)


def test_rm_of_a_whole_bucket_if_it_is_meant(shell: Shell, session: S3Session) -> None:
    """--whole-bucket with --recursive deletes all objects; alone it is wrong usage."""
    put(session, "a", "d/1")
    assert "rb" in shell.fails(2, "rm", "--whole-bucket", "{}")
    assert 0 == shell("rm", "-r", "--whole-bucket", "{}/").returncode
    assert [] == keys(session)


def test_rm_takes_keys_as_they_are(shell: Shell, session: S3Session) -> None:
    """No key is another one's: dots, slashes, percent signs, blanks, dashes, line ends, stars with --raw."""
    odd = ["../x", "/lead", "a//b", "%20", "-n", "ü ö", "a\nb", "*", ".", "q?#", "[x]"]
    put(session, "x", "lead", "a/b", " ", "n", *odd)
    for key in odd:
        assert [] == shell.out("rm", "--raw", "{}/" + key)
    assert [" ", "a/b", "lead", "n", "x"] == keys(session)


def test_rm_matches_globs(shell: Shell, session: S3Session) -> None:
    """A pattern deletes what ls shows for it."""
    put(session, "a1.tmp", "a2.tmp", "a3", "d/a4.tmp")
    assert ["{}/a1.tmp", "{}/a2.tmp"] == shell.out("ls", "{}/a*.tmp")
    assert 0 == shell("rm", "{}/a*.tmp").returncode
    assert ["a3", "d/a4.tmp"] == keys(session)


def test_rm_hides_where_versions_are_kept(shell: Shell, session: S3Session) -> None:
    """Without --versions every version stays, also with --recursive; with it, nothing does; --version-id takes one."""
    session.put_bucket_versioning("Enabled")
    put(session, "k", "k", "d/1", "d")
    [row] = shell.rows("rm", "--json", "{}/k")
    assert row["delete_marker"] is True
    assert 0 == shell("rm", "-r", "{}/d").returncode
    assert [] == keys(session)
    versions = [(row.key, row.version_id) for row in session.list_object_versions() if not row.delete_marker]
    assert ["d", "d/1", "k", "k"] == [key for key, _ in versions]
    assert [] == shell.out("rm", "--version-id", str(versions[-1][1]), "{}/k")
    assert 2 == len(list(session.list_object_versions("k")))
    assert 0 == shell("rm", "--versions", "{}/k").returncode
    assert 0 == shell("rm", "--versions", "-r", "{}/d").returncode
    assert [] == list(session.list_object_versions())


def test_rm_takes_one_version_of_one_object(shell: Shell, session: S3Session) -> None:
    """--version-id with a pattern, a folder or several URLs is wrong usage, and deletes nothing."""
    put(session, "a", "b")
    for arguments in (["{}/*a"], ["-r", "{}/a"], ["{}/a", "{}/b"], ["--versions", "{}/a"]):
        assert "for one object" in shell.fails(2, "rm", "--version-id", "null", *arguments)
    assert ["a", "b"] == keys(session)


def test_rm_deletes_many_in_few_requests(shell: Shell, session: S3Session, server: testing.Server) -> None:
    """1,200 objects are two requests."""
    put(session, *(f"p/{number}" for number in range(1200)))
    assert 0 == shell("rm", "-r", "{}/p").returncode
    assert 2 == len(server.journal.operations("DeleteObjects"))
    assert [] == keys(session)


def test_rm_tells_what_the_store_refused(shell: Shell, session: S3Session, server: testing.Server) -> None:
    """What was not deleted is a line each, the others go, and the exit code is 1."""
    session.put_bucket_policy(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",'
        f' "Resource": "arn:aws:s3:::{session.bucket}/p/keep"}}]}}'
    )
    put(session, "p/1", "p/keep")
    done = shell("rm", "-r", "{}/p")
    assert 1 == done.returncode
    assert b"not deleted: p/keep: AccessDenied" in done.stderr
    assert ["p/keep"] == keys(session)


def test_rm_on_b2(shell: Shell, session: S3Session) -> None:
    """The same on B2: without --versions a file is hidden, and its versions stay."""
    session.put_bucket_versioning("Enabled")
    put(session, "d/1", "d/2", "k")
    assert 0 == shell("rm", "-r", "{b2}/d").returncode
    assert ["k"] == keys(session)
    assert 2 == len([row for row in session.list_object_versions("d/") if not row.delete_marker])
    assert 0 == shell("rm", "-r", "--versions", "{b2}/d").returncode
    assert ["k"] == [row.key for row in session.list_object_versions()]


# --- mb, rb


def test_mb_makes_buckets(shell: Shell, server: testing.Server) -> None:
    """Buckets are made; one that is there already is an error, unless --exist-ok; --dry-run makes none."""
    assert ["s3://new-one"] == shell.out("mb", "-n", "s3://new-one")
    assert [] == shell.out("mb", "--versioning", "s3://new-one", "s3://new-two")
    assert "Enabled" == server.session("new-one", create=False).get_bucket_versioning().status
    assert "--exist-ok" in shell.fails(1, "mb", "s3://new-two")
    assert [] == shell.out("mb", "--exist-ok", "s3://new-two")
    assert "is a key" in shell.fails(2, "mb", "s3://new-two/x")
    assert [] == shell.out("mb", f"b2://{server.endpoint_url}/from-b2")
    assert {"s3://from-b2", "s3://new-one", "s3://new-two"} <= set(shell.out("ls"))


def test_rb_removes_empty_ones_only(shell: Shell, session: S3Session) -> None:
    """A bucket with anything in it is refused with 3, says how, and keeps it; a key is wrong usage."""
    put(session, "a")
    assert "--force" in shell.fails(3, "rb", "{}")
    assert "--force" in shell.fails(3, "rb", "-n", "{}")
    assert "is a key" in shell.fails(2, "rb", "--force", "{}/a")
    assert ["a"] == keys(session)
    session.delete_object("a")
    assert [] == shell.out("rb", "{}")
    assert "NoSuchBucket" in shell.fails(1, "rb", "{}")


def test_rb_with_force_deletes_everything(shell: Shell, session: S3Session) -> None:
    """--force deletes versions, markers and unfinished uploads, then the bucket; --dry-run counts them."""
    session.put_bucket_versioning("Enabled")
    put(session, "k", "k", "d/1")
    session.delete_object("d/1")
    session.create_multipart_upload("big").upload_part(1, b"x")
    assert ["{}\t4 versions\t1 unfinished upload\t5"] == shell.out("rb", "--force", "-n", "{}")
    done = shell("rb", "--force", "{}")
    assert (0, b"4 versions deleted\n") == (done.returncode, done.stderr)
    assert "{}" not in shell.out("ls")


def test_rb_with_force_where_there_are_no_versions(shell: Shell, session: S3Session, server: testing.Server) -> None:
    """A store that knows neither versions nor uploads in parts is emptied all the same."""
    put(session, "a", "b")
    with (
        server.faults.add("ListObjectVersions", status=501, code="NotImplemented"),
        server.faults.add("ListMultipartUploads", status=501, code="NotImplemented"),
    ):
        assert 0 == shell("rb", "--force", "{}").returncode
    assert "{}" not in shell.out("ls")


# --- mpu


def begin(session: S3Session, *keys: str) -> list[str]:
    uploads = [session.create_multipart_upload(key) for key in keys]
    for upload in uploads:
        upload.upload_part(1, b"12345")
    return [upload.upload_id for upload in uploads]


def test_mpu_ls_lists_uploads(shell: Shell, session: S3Session) -> None:
    """A line per upload: time, URL, id; a URL means itself and all below it, a pattern what matches."""
    ids = begin(session, "a", "a/b", "ab")
    assert [["{}/a", ids[0]], ["{}/a/b", ids[1]], ["{}/ab", ids[2]]] == [
        text.split("\t")[1:] for text in shell.out("mpu", "ls", "{}")
    ]
    assert ["a", "a/b"] == [row["key"] for row in shell.rows("mpu", "ls", "--json", "{}/a")]
    assert ["ab"] == [row["key"] for row in shell.rows("mpu", "ls", "--json", "{}/a?")]
    assert [[1, 5]] == [[row["parts"], row["size"]] for row in shell.rows("mpu", "ls", "-l", "--json", "{}/ab")]
    assert [] == shell.out("mpu", "ls", "--older-than", "1h", "{}")


@pytest.mark.parametrize("url", ["{}", "{b2}"])
def test_mpu_abort_takes_what_is_said(shell: Shell, session: S3Session, url: str) -> None:
    """Nothing without saying which; young ones stay; --upload-id takes one, --all all; --dry-run none."""
    ids = begin(session, "a", "b", "c")
    assert "--older-than" in shell.fails(2, "mpu", "abort", url)
    assert [] == shell.out("mpu", "abort", "--older-than", "1d", url)
    assert 3 == len(shell.out("mpu", "abort", "-n", "--all", url))
    assert 3 == len(shell.out("mpu", "ls", url))
    assert [ids[1]] == [
        row["upload_id"] for row in shell.rows("mpu", "abort", "--json", "--upload-id", ids[1], url + "/b")
    ]
    assert "nothing is there" in shell.fails(1, "mpu", "abort", "--upload-id", ids[1], url + "/b")
    assert 2 == len(shell.out("mpu", "abort", "--older-than", "0", url))
    assert [] == shell.out("mpu", "ls", url)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("1w", 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    """Seconds, and sums of them with units."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-1", "1h30", "1y", "٣"])
def test_what_is_no_duration(text: str) -> None:
    """Everything else is refused."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
