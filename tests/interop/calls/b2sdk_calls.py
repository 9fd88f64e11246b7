"""What b2sdk is made to do on our server, in an interpreter of its own; a failed assert is a failed test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import BytesIO

from b2sdk.v2 import (  # type: ignore[import-not-found]
    B2Api,
    InMemoryAccountInfo,
    LegalHold,
    UploadSourceBytes,
)
from b2sdk.v2.exception import AlreadyFailed, B2Error, Unauthorized  # type: ignore[import-not-found]

NAMES = (
    "plain.txt",
    "deep/er/than/nested",
    "with space",
    "plus+sign",
    "per%20cent",
    "é",
    "日本語 🚀",
    "what?",
    "#[x]{y}^|`!",
)


def account(key_id: str, key: str) -> B2Api:
    """An account that knows nothing yet."""
    api = B2Api(InMemoryAccountInfo())
    api.authorize_account(application_key_id=key_id, application_key=key, realm=os.environ["AWS_ENDPOINT_URL"])
    return api


def master() -> B2Api:
    """The account of the server's own keys."""
    return account(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def body_of(download: object) -> bytes:
    """All of a download."""
    target = BytesIO()
    download.save(target)  # type: ignore[attr-defined]
    return target.getvalue()


def files() -> None:
    """Names, info and bytes come back as they were sent, by name and by id."""
    api = master()
    bucket = api.create_bucket("b2sdk-files", "allPrivate")
    for name in NAMES:
        info = {"who": "mé + you", "src_last_modified_millis": "1"}
        file = bucket.upload_bytes(name.encode(), name, file_info=info, content_type="text/x-test")
        download = bucket.download_file_by_name(name)
        assert name.encode() == body_of(download) == body_of(api.download_file_by_id(file.id_))
        assert (info, "text/x-test") == (download.download_version.file_info, download.download_version.content_type)
        assert name == api.get_file_info(file.id_).file_name
    assert sorted(NAMES) == [version.file_name for version, _ in bucket.ls(recursive=True)]
    assert b"er/than" not in body_of(bucket.download_file_by_name(NAMES[1], range_=(2, 5)))
    assert b"ep/e" == body_of(bucket.download_file_by_name(NAMES[1], range_=(2, 5)))


def versions() -> None:
    """Old versions stay, hiding hides, and deleting what hides brings back."""
    bucket = master().create_bucket("b2sdk-versions", "allPrivate")
    ids = [bucket.upload_bytes(body, "dir/key").id_ for body in (b"1", b"2")]
    marker = bucket.hide_file("dir/key")
    assert [] == list(bucket.ls(recursive=True))
    rows = [version for version, _ in bucket.ls(recursive=True, latest_only=False)]
    assert ["hide", "upload", "upload"] == [row.action for row in rows]
    assert [marker.id_, ids[1], ids[0]] == [row.id_ for row in rows]
    bucket.delete_file_version(marker.id_, "dir/key")
    assert b"2" == body_of(bucket.download_file_by_name("dir/key"))
    bucket.delete_file_version(ids[1], "dir/key")
    assert b"1" == body_of(bucket.download_file_by_name("dir/key"))
    assert [("dir/key", "dir/")] == [(version.file_name, folder) for version, folder in bucket.ls()]


def large() -> None:
    """Parts are sent, copied and put together; an upload that was begun is listed and given up."""
    api = master()
    bucket = api.create_bucket("b2sdk-large", "allPrivate")
    body = os.urandom(11_000_000)
    begun = api.services.large_file.start_large_file(bucket.id_, "large", "application/octet-stream", {})
    assert [begun.file_id] == [each.file_id for each in bucket.list_unfinished_large_files()]
    bucket.cancel_large_file(begun.file_id)
    assert [] == list(bucket.list_unfinished_large_files())
    made = bucket.upload(UploadSourceBytes(body), "large", min_part_size=5_000_000)
    assert "_f2" in made.id_
    assert body == body_of(bucket.download_file_by_id(made.id_))
    copied = bucket.copy(made.id_, "copied", offset=3, length=6_000_000)
    assert body[3:6_000_003] == body_of(bucket.download_file_by_id(copied.id_))
    assert body == body_of(api.download_file_by_id(bucket.copy(made.id_, "whole").id_))


def keys() -> None:
    """A key does what it may, where it may, and nothing once it is deleted."""
    api = master()
    bucket, other = (api.create_bucket(f"b2sdk-keys-{number}", "allPrivate") for number in (1, 2))
    bucket.upload_bytes(b"in", "in/side")
    bucket.upload_bytes(b"out", "outside")
    capabilities = ["listBuckets", "listFiles", "readFiles"]
    key = api.create_key(capabilities, "reader", bucket_id=bucket.id_, name_prefix="in/")
    assert ["reader"] == [each.key_name for each in api.list_keys()]
    reader = account(key.id_, key.application_key)
    its = reader.get_bucket_by_name(bucket.name)
    assert b"in" == body_of(its.download_file_by_name("in/side"))
    assert ["in/side"] == [version.file_name for version, _ in its.ls("in", recursive=True)]
    refused(lambda: body_of(its.download_file_by_name("outside")))
    refused(lambda: reader.session.hide_file(bucket.id_, "in/side"))
    refused(lambda: reader.get_bucket_by_name(other.name))
    api.delete_key(key)
    refused(lambda: account(key.id_, key.application_key))


def locks() -> None:
    """What is held is not deleted; what was held may be."""
    bucket = master().create_bucket("b2sdk-locks", "allPrivate", is_file_lock_enabled=True)
    file = bucket.upload_bytes(b"kept", "kept", legal_hold=LegalHold.ON)
    assert bucket.get_file_info_by_name("kept").legal_hold.is_on()
    refused(lambda: bucket.delete_file_version(file.id_, "kept"))
    bucket.api.update_file_legal_hold(file.id_, "kept", LegalHold.OFF)
    bucket.delete_file_version(file.id_, "kept")


def refused(work: Callable[[], object]) -> None:
    """The work is refused by B2's own errors."""
    try:
        work()
    except (B2Error, Unauthorized, AlreadyFailed):
        return
    raise AssertionError("this was allowed")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
