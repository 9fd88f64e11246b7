"""Bad input: each argument of each public method refuses what it cannot be, says its own name, and nothing is sent."""

from __future__ import annotations

import inspect
import io
import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func import RetryPolicy, S3Session, Timeouts
from s3func.s3.session_keywords import SessionKeywords
from s3func.transport.transfer import TransferConfig
from s3func.wire.s3xml_multipart import CompletedPart
from s3func.wire.sigv4 import EXPIRES_MAX_SECONDS
from tests.s3 import bad_settings
from tests.s3.keys import NO_KEYS
from tests.s3.rigs import ACCESS_KEY_ID, SECRET, Recorder, recorded

KEYS = [key for key, _ in NO_KEYS]
NO_TEXTS = [5, b"text", ["text"], object(), True]
# What would end a header, or cannot be read again as what it was.
NO_HEADER_VALUES = [*NO_TEXTS, "a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "nul\0", "\x7f", "tab\t", "é", "\ud800"]
NO_ETAGS = [*NO_HEADER_VALUES, "", " ", 'a"b', '"']
NO_BUCKETS = [
    5,
    b"bucket",
    True,
    "",
    ".",
    "..",
    "../x",
    "a..b",
    "a/b",
    "a?b",
    "a#b",
    "a b",
    "a%2Fb",
    "a:b",
    "user@host",
    "a\r\nb",
    "bucket\n",
    "\0",
    ".a",
    "a.",
    "-a",
    "a-",
    "é",
    "\ud800",
    "b" * 256,
    "arn:",
    "arn:aws:s3:::bucket",
    "arn:aws:sqs:us-east-1:123456789012:queue",
    "arn:aws:s3:us-east-1:123_456:accesspoint/x",
    "arn:aws:s3:us-east-1:123456789012:accesspoint/a.b",
    "arn:aws:s3:evil.com#:123456789012:accesspoint/x",
    "arn:aws:s3:us-east-1:123456789012:accesspoint/x\r\n",
    "arn:aws:s3:cn-north-1:123456789012:accesspoint/x",
]
NO_QUERY_TEXTS = [5, b"text", ["text"], True, "\ud800", "a\udfffb"]
NO_VERSIONS = [*NO_QUERY_TEXTS, ""]
NO_HEADERS: list[object] = [
    5,
    [],
    "",
    [("a", "b")],
    "a: b",
    {5: "x"},
    {"": "x"},
    {"a b": "x"},
    {"a:b": "x"},
    {"a\r\nb": "x"},
    {"é": "x"},
    {"a": 5},
    {"a": None},
    {"a": "x\r\ny: z"},
    {"a": "é"},
    {"a": "x", "A": "y"},
    *({name: "x"} for name in ("Host", "authorization", "Content-Length", "transfer-encoding", "Connection")),
    *({name: "x"} for name in ("x-amz-date", "X-Amz-Content-Sha256", "x-amz-security-token")),
]
NO_METADATA: list[object] = [
    5,
    [],
    "",
    False,
    [("a", "b")],
    "a=b",
    {"a": 5},
    {"a": None},
    {"a": b"b"},
    {5: "a"},
    {"": "a"},
    {"a b": "c"},
    {"a:b": "c"},
    {"a\r\nb": "c"},
    {"é": "c"},
    {"a": "\ud800"},
    {"Name": "a", "name": "b"},
    {"a": "x" * 2048},
    {"n" * 2049: ""},
    {f"name-{n}": "x" * 100 for n in range(20)},
    {"a": "é" * 1000},
]
NO_TAGGING: list[object] = [
    5,
    [],
    False,
    [("a", "b")],
    {"a": 5},
    {5: "a"},
    {"a": "\ud800"},
    {"\ud800": "a"},
    {str(n): "x" for n in range(11)},
    "a=b\r\nc: d",
    "é=x",
]
NO_TIMES: list[object] = [
    "2026-11-21",
    "Sat, 21 Nov 2026 10:00:00 GMT",
    b"x",
    [],
    True,
    date(2026, 11, 21),
    timedelta(days=1),
    datetime(2026, 11, 21, 10),
    math.nan,
    math.inf,
    -math.inf,
    1e20,
    10**12,
    -(10**12),
    10**400,
]
NO_QUERIES: list[object] = [
    5,
    "",
    [],
    "a=b",
    [("a", "b")],
    {5: "x"},
    {"": "x"},
    {"a": b"x"},
    {"a": ["x"]},
    {"a": True},
    {"a": 1.5},
    {"a": "\ud800"},
    {"\ud800": "a"},
]
NO_BODIES = [None, 5, 1.5, object(), [5], ["text"], {"a": 1}, io.StringIO("text")]
NO_RANGES = [-1, "0", 1.5, True, b"1", [0]]
NO_CHECKSUMS = ["", "CRC32", "md5", "crc", 5, b"crc32"]
NO_PARTS = [None, 0, -1, 10_001, "1", 1.5, True, b"1", [1]]
NO_METHODS = [None, 5, b"GET", "", "GET /", "GET\r\n", "G T", "GÉT", "G3T", ["GET"]]
NO_NUMBERS = [0, -1, "5", 1.5, True, [], b"5"]
NO_SECONDS: list[Any] = [0, -1, -0.5, math.nan, -math.inf, 1e15, "5", True, [], b"5"]

_OBJECT_HEADERS: dict[str, list[Any]] = {
    "metadata": NO_METADATA,
    "content_type": NO_HEADER_VALUES,
    "cache_control": NO_HEADER_VALUES,
    "content_disposition": NO_HEADER_VALUES,
    "content_encoding": NO_HEADER_VALUES,
    "content_language": NO_HEADER_VALUES,
    "expires": [value for value in NO_TIMES if not isinstance(value, str)] + ["a\r\nb", "é"],
    "storage_class": NO_HEADER_VALUES,
    "acl": NO_HEADER_VALUES,
    "tagging": NO_TAGGING,
    "headers": NO_HEADERS,
}
_CONDITIONS: dict[str, list[Any]] = {
    "if_match": NO_ETAGS,
    "if_none_match": NO_ETAGS,
    "if_modified_since": NO_TIMES,
    "if_unmodified_since": NO_TIMES,
}
_LISTING: dict[str, list[Any]] = {
    "prefix": NO_QUERY_TEXTS,
    "start_after": NO_QUERY_TEXTS,
    "delimiter": NO_QUERY_TEXTS,
    "max_keys": [*NO_NUMBERS, 1001],
    "bucket": NO_BUCKETS,
}


_UPLOAD: dict[str, list[Any]] = {
    "key": KEYS,
    "upload_id": [*NO_VERSIONS, None],
    "headers": NO_HEADERS,
    "bucket": NO_BUCKETS,
}


NO_TRANSFERS: list[Any] = [
    {},
    5,
    TransferConfig(multipart_threshold=-1),
    TransferConfig(part_size=0),
    TransferConfig(part_size="8MB"),  # type: ignore[arg-type]
    TransferConfig(concurrency=0),
    TransferConfig(bandwidth=1000),  # type: ignore[arg-type]
]


class Verb(NamedTuple):
    """A public method: arguments that are good, what is bad for each argument, and those that nothing is bad for."""

    good: dict[str, Any]
    bad: dict[str, list[Any]]
    anything: frozenset[str] = frozenset()


VERBS: dict[str, Verb] = {
    "put_object": Verb(
        {"key": "key", "body": b"body"},
        {
            "key": KEYS,
            "body": NO_BODIES,
            **_OBJECT_HEADERS,
            "if_match": NO_ETAGS,
            "if_none_match": NO_ETAGS,
            "checksum": NO_CHECKSUMS,
            "multipart": [0, 1, "yes"],
            "transfer": NO_TRANSFERS,
            "progress": [1, "bar"],
            "bucket": NO_BUCKETS,
        },
    ),
    "upload_file": Verb(
        {"path": __file__, "key": "key"},
        {"path": [None, 5, b"path", ["path"]], "key": KEYS},
        # Anything is true or false; the others are those of put_object.
        frozenset({"resume", "options"}),
    ),
    "download_file": Verb(
        {"key": "key", "path": io.BytesIO()},
        {
            "key": KEYS,
            "path": [None, 5, ["path"], "", ".", "no/such/folder/file", "nul\0"],
            "version_id": NO_VERSIONS,
            "transfer": NO_TRANSFERS,
            "progress": [5, "bar"],
            **_CONDITIONS,
            "headers": NO_HEADERS,
            "bucket": NO_BUCKETS,
        },
        # Anything is true or false.
        frozenset({"resume", "fsync", "verify"}),
    ),
    "lock": Verb(
        {"key": "key"},
        {
            "key": KEYS,
            "ttl": NO_SECONDS,
            "grace": [value for value in NO_SECONDS if value not in (0, 1e15)],
            "poll": [5, (1,), (0, 1), (2, 1), ("1", "2"), (math.nan, 1)],
            "expiry": [None, "", "client", 5],
            "timeout": [value for value in NO_SECONDS if value not in (0, 1e15)],
            "note": [5, b"note", "\ud800"],
            "on_lost": [5, "print"],
            # What else is no name of a bucket, the store's session says when the lock is acquired.
            "bucket": [5, b"bucket", True, ""],
        },
        # Anything is true or false.
        frozenset({"shared", "fencing", "fast"}),
    ),
    "limited": Verb({"seconds": 5}, {"seconds": [None, *NO_SECONDS]}),
    "open": Verb(
        {"key": "key", "mode": "r"},
        {
            "key": KEYS,
            "mode": [None, 5, b"rb", ["rb"], "", "a", "ab", "r+", "w+b", "rw", "rbt", "U", "R"],
            "encoding": [5, b"utf-8", "no such one", "base64", "nul\0"],
            "errors": [5, b"strict", "no such one", "nul\0"],
            "newline": [5, b"", "x", "\n\n"],
            "version_id": NO_VERSIONS,
            "buffering": [0, -2, 1.5, "1", b"1", [1]],
        },
        # Those of put_object.
        frozenset({"options"}),
    ),
    "get_object": Verb(
        {"key": "key"},
        {
            "key": KEYS,
            "version_id": NO_VERSIONS,
            "range_start": NO_RANGES,
            "range_end": [*NO_RANGES, 0],
            **_CONDITIONS,
            "headers": NO_HEADERS,
            "bucket": NO_BUCKETS,
        },
        # Anything is true or false.
        frozenset({"stream"}),
    ),
    "head_object": Verb(
        {"key": "key"},
        {"key": KEYS, "version_id": NO_VERSIONS, **_CONDITIONS, "headers": NO_HEADERS, "bucket": NO_BUCKETS},
    ),
    "exists": Verb({"key": "key"}, {"key": KEYS, "version_id": NO_VERSIONS, "bucket": NO_BUCKETS}),
    "copy_object": Verb(
        {"source_key": "a", "dest_key": "b"},
        {
            "source_key": KEYS,
            "dest_key": KEYS,
            "source_version_id": NO_VERSIONS,
            "source_bucket": NO_BUCKETS,
            "dest_bucket": NO_BUCKETS,
            **_OBJECT_HEADERS,
            "source_if_match": NO_ETAGS,
            "if_match": NO_ETAGS,
            "if_none_match": NO_ETAGS,
            "checksum": NO_CHECKSUMS,
            "transfer": NO_TRANSFERS,
            "progress": [1, "bar"],
        },
    ),
    "create_multipart_upload": Verb(
        {"key": "key"},
        {
            "key": KEYS,
            **_OBJECT_HEADERS,
            "headers": [*NO_HEADERS, {"x-amz-checksum-algorithm": "CRC32"}, {"x-amz-checksum-crc32": "AAAAAA=="}],
            "checksum": NO_CHECKSUMS,
            "checksum_type": [*NO_TEXTS, "", "full", "full_object"],
            "bucket": NO_BUCKETS,
        },
    ),
    "upload_part": Verb(
        {"key": "key", "upload_id": "ID", "part_number": 1, "body": b"body"},
        {
            **_UPLOAD,
            "part_number": NO_PARTS,
            "body": NO_BODIES,
            "checksum": NO_CHECKSUMS,
        },
    ),
    "upload_part_copy": Verb(
        {"key": "key", "upload_id": "ID", "part_number": 1, "source_key": "a", "range_start": 0, "range_end": 9},
        {
            **_UPLOAD,
            "part_number": NO_PARTS,
            "source_key": KEYS,
            "source_version_id": NO_VERSIONS,
            "source_bucket": NO_BUCKETS,
            "range_start": [*NO_RANGES, None, 10],
            "range_end": [*NO_RANGES, None],
            "source_if_match": NO_ETAGS,
        },
    ),
    "complete_multipart_upload": Verb(
        {"key": "key", "upload_id": "ID", "parts": [(1, "etag")]},
        {
            **_UPLOAD,
            "parts": [
                *(None, 5, "parts", b"parts", {"PartNumber": 1, "ETag": "e"}, CompletedPart(1, "e"), []),
                *([None], [5], ["part"], [(1,)], [(1, "e", {})], [[1, "e"]], [{}], [{"PartNumber": 1}]),
                *([(number, "e")] for number in NO_PARTS),
                *([(1, etag)] for etag in NO_ETAGS),
                [(1, "e"), (1, "e")],
            ],
            "if_match": NO_ETAGS,
            "if_none_match": NO_ETAGS,
            "checksums": [
                *(5, "AAAA", [], {}, {"auto": "AAAA"}, {"md5": "AAAA"}, {5: "AAAA"}, {"CRC32": "AAAA"}),
                *({"crc32": value} for value in NO_HEADER_VALUES),
                {"crc32": "AAAA", "sha1": "AAAA"},
            ],
            "checksum_type": [*NO_TEXTS, "", "full", "full_object"],
            "size": NO_RANGES,
        },
    ),
    "abort_multipart_upload": Verb({"key": "key", "upload_id": "ID"}, _UPLOAD),
    "list_parts": Verb(
        {"key": "key", "upload_id": "ID"},
        {**_UPLOAD, "part_number_marker": NO_RANGES, "max_parts": [*NO_NUMBERS, 1001]},
    ),
    "list_multipart_uploads": Verb(
        {},
        {
            "prefix": NO_QUERY_TEXTS,
            "delimiter": NO_QUERY_TEXTS,
            "key_marker": NO_QUERY_TEXTS,
            "upload_id_marker": NO_QUERY_TEXTS,
            "max_uploads": [*NO_NUMBERS, 1001],
            "bucket": NO_BUCKETS,
        },
    ),
    "abort_multipart_uploads": Verb(
        {"older_than": 3600},
        {
            "older_than": [None, "5", b"5", [], True, -1, -0.5, math.nan, math.inf, timedelta(days=-1)],
            "prefix": NO_QUERY_TEXTS,
            "bucket": NO_BUCKETS,
        },
    ),
    "move": Verb(
        {"source_key": "a", "dest_key": "b"},
        {
            "source_key": [*KEYS, "b"],
            "dest_key": [*KEYS, "a"],
            "source_version_id": NO_VERSIONS,
            "source_bucket": NO_BUCKETS,
            "dest_bucket": NO_BUCKETS,
        },
        # The other keywords are those of copy_object.
        frozenset({"options"}),
    ),
    "delete_object": Verb(
        {"key": "key"}, {"key": KEYS, "version_id": NO_VERSIONS, "if_match": NO_ETAGS, "bucket": NO_BUCKETS}
    ),
    "delete_objects": Verb(
        {"keys": ["key"]},
        {
            "keys": [
                5,
                "key",
                b"key",
                {"key": "key"},
                *([key] for key in KEYS if not isinstance(key, dict)),
                *([{"key": key}] for key in KEYS),
                [["key"]],
                [{}],
                [{"kee": "key"}],
                *([{"key": "key", "version_id": version}] for version in NO_VERSIONS),
            ],
            "bucket": NO_BUCKETS,
        },
        frozenset({"purge", "prefix"}),
    ),
    "list_objects": Verb({}, _LISTING),
    "list_object_versions": Verb({}, _LISTING),
    "presigned_url": Verb(
        {"method": "GET", "key": "key"},
        {
            "method": NO_METHODS,
            "key": [key for key in KEYS if key is not None],
            "expires": [*NO_NUMBERS, EXPIRES_MAX_SECONDS + 1],
            "version_id": NO_VERSIONS,
            "headers": NO_HEADERS,
            "query": [*NO_QUERIES, {"X-Amz-Date": "x"}, {"x-amz-signature": "x"}],
            "bucket": NO_BUCKETS,
        },
    ),
    "create_bucket": Verb(
        {},
        {"bucket": NO_BUCKETS, "acl": NO_HEADER_VALUES, "object_ownership": NO_HEADER_VALUES},
        # Anything is true or false.
        frozenset({"object_lock"}),
    ),
    "delete_bucket": Verb({}, {"bucket": NO_BUCKETS}),
    "bucket_region": Verb({}, {"bucket": NO_BUCKETS}),
    "head_bucket": Verb({}, {"bucket": NO_BUCKETS}),
    "list_buckets": Verb({}, {}),
    "request": Verb(
        {"method": "GET"},
        {
            "method": NO_METHODS,
            "key": [key for key in KEYS if key is not None],
            "query": NO_QUERIES,
            "headers": NO_HEADERS,
            "body": NO_BODIES,
            "bucket": NO_BUCKETS,
        },
    ),
    "close": Verb({}, {}),
}
VERBS |= {name: Verb(*row) for name, row in bad_settings.rows(KEYS, NO_VERSIONS, NO_BUCKETS, NO_SECONDS).items()}
NEW_SESSION = Verb(
    {"access_key_id": ACCESS_KEY_ID, "access_key": SECRET},
    {
        "access_key_id": [5, b"id", "a b", "a\n", "é", "\0"],
        "access_key": [5, b"secret", ["secret"]],
        "secret_access_key": [5, b"secret", "another"],
        "session_token": [5, b"token", "a b", "a\r\nb", "é"],
        "bucket": NO_BUCKETS,
        "endpoint_url": [
            5,
            b"http://localhost",
            "",
            "localhost:9000",
            "ftp://localhost",
            "file:///etc/passwd",
            "http://",
            "http:///path",
            "http://:9000",
            "http://a b",
            "http://a\r\nb",
            "http://localhost\n",
            "http://localhost:0",
            "http://localhost:65536",
            "http://localhost:port",
            "http://localhost:80:80",
            "http://localhost/?x=y",
            "http://localhost/#x",
            "http://localhost/a b",
            "http://localhost/../x",
            "http://localhost/./x",
            "http://localhost/%2",
            "http://localhost/é",
            "http://é.example",
            "http://a..b",
            "http://.a",
            "http://[::1",
            "http://[::g]",
            "http://[:::::]",
            "http://[127.0.0.1]",
            # Look like ASCII once they are lower-case, or to a pattern that ignores case.
            "http\u017f://localhost",
            "http://\u212a.example",
        ],
        "region": [*NO_TEXTS, "", "x/y", "a.b", "evil.com#", "evil.com/", "a@b", "eu west", "eu-west-1\n", "-a", "é"],
        "profile": [5, b"default", "", ["default"]],
        "credentials": [5, "AKID", (ACCESS_KEY_ID, SECRET), {"access_key_id": "a"}],
        "addressing_style": [None, "", "Path", "dns", 5, []],
        "store": [5, b"r2", "", "R2", "nowhere", ["r2"]],
        "on_attempt": [5, "print", []],
        "use_dualstack": [5, "", "yes"],
        "use_fips": [5, "", "yes"],
        "use_accelerate": [5, "", "yes"],
        "use_arn_region": [5, "", "yes"],
        "disable_s3_express_session_auth": [5, "", "yes"],
        "timeouts": [
            5,
            (1, 2, 3),
            *(Timeouts(connect=seconds) for seconds in NO_SECONDS),
            *(Timeouts(read=seconds) for seconds in NO_SECONDS),
            *(Timeouts(total=seconds) for seconds in NO_SECONDS),
        ],
        "retries": [
            *NO_NUMBERS,
            RetryPolicy(attempts=0),
            RetryPolicy(attempts="5"),  # type: ignore[arg-type]
            RetryPolicy(base_seconds=-1),
            RetryPolicy(base_seconds="1"),  # type: ignore[arg-type]
            RetryPolicy(throttled_base_seconds=math.nan),
            RetryPolicy(wait_max_seconds=-1),
            RetryPolicy(retry_after_max_seconds=math.nan),
            RetryPolicy(quota=-1),
        ],
        "max_connections": NO_NUMBERS,
        "checksum": [None, "", "CRC32", "md5", 5],
        "transfer": NO_TRANSFERS,
        "max_pool_connections": NO_NUMBERS,
        "max_attempts": NO_NUMBERS,
        "connect_timeout": NO_SECONDS,
        "read_timeout": NO_SECONDS,
        "retry_mode": ["", "fast", 5],
    },
    # Anything is true or false; a transport and a clock are whatever can do what they do.
    frozenset({"anonymous", "stream", "verify_downloads", "transport", "clock"}),
)


def cases(verb: Verb) -> Iterator[Any]:
    """One parameter per bad value."""
    for argument, values in verb.bad.items():
        for value in values:
            yield pytest.param(argument, value, id=f"{argument}={ascii(value).partition(' at 0x')[0][:30]}")


def verb_cases() -> Iterator[Any]:
    """One parameter per method and argument: its bad values are tried in one go."""
    for name, verb in VERBS.items():
        for argument in verb.bad:
            yield pytest.param(name, argument, id=f"{name}-{argument}")


def arguments(function: object) -> set[str]:
    """The names of a method's arguments."""
    assert callable(function)
    names = set(inspect.signature(function).parameters) - {"self"}
    return names - {"more"} | SessionKeywords.__annotations__.keys() if "more" in names else names


def test_no_argument_is_forgotten() -> None:
    """Every argument of every public method, and of the constructor, has its bad values here."""
    public = {
        name
        for name, member in inspect.getmembers(S3Session, inspect.isfunction)
        if not name.startswith("_") and inspect.isfunction(member)
    }
    assert public == set(VERBS)
    for name, verb in VERBS.items():
        assert arguments(getattr(S3Session, name)) == {*verb.bad, *verb.anything}, name
    assert arguments(S3Session.__init__) == {*NEW_SESSION.bad, *NEW_SESSION.anything}


@pytest.mark.parametrize(("name", "argument"), list(verb_cases()))
def test_a_bad_argument_is_named_and_nothing_is_sent(name: str, argument: str) -> None:
    """A wrong type or value is a TypeError or ValueError that names the argument, raised before anything is sent."""
    verb = VERBS[name]
    recorder = Recorder()
    session = recorded(recorder)
    accepted = []
    unnamed = []
    for value in verb.bad[argument]:
        try:
            result = getattr(session, name)(**(verb.good | {argument: value}))
            if name.startswith("list_object"):
                list(result)
            accepted.append(value)
        except (TypeError, ValueError) as error:
            if argument not in str(error):
                unnamed.append((value, error))
    assert [] == accepted
    assert [] == unnamed
    assert [] == recorder.sent


@pytest.mark.parametrize("name", VERBS)
def test_good_arguments_are_sent(name: str) -> None:
    """The arguments that are good here do reach the store, so what is refused is refused for the bad one."""
    recorder = Recorder()
    result = getattr(recorded(recorder), name)(**VERBS[name].good)
    if name.startswith("list_") and name != "list_buckets":
        list(result)
    silent = {"close", "duckdb_secret", "limited", "lock", "polars_storage_options", "presigned_post", "presigned_url"}
    assert (name not in {*silent, "with_options"}) == bool(recorder.sent)


@pytest.mark.parametrize(("argument", "value"), list(cases(NEW_SESSION)))
def test_a_bad_setting_is_named(argument: str, value: object) -> None:
    """A session refuses a setting that cannot be, by its name, when it is made."""
    settings: dict[str, Any] = NEW_SESSION.good | {argument: value}
    if argument == "credentials":
        settings = {argument: value}
    with pytest.raises((TypeError, ValueError), match=argument):
        S3Session(**settings)


def test_good_settings_are_taken() -> None:
    """The settings that are good here make a session."""
    session = S3Session(**NEW_SESSION.good, bucket="bucket")
    assert "bucket" == session.bucket
    session.close()


@pytest.mark.parametrize("verb", ["get_object", "list_objects", "head_bucket", "request", "presigned_url"])
def test_a_session_without_bucket_asks_for_one(verb: str) -> None:
    """Without a bucket in session and call, every verb says so and sends nothing."""
    recorder = Recorder()
    session = recorded(recorder, bucket=None)
    with pytest.raises(ValueError, match="bucket is not set"):
        getattr(session, verb)(**VERBS[verb].good)
    assert [] == recorder.sent
    assert [] == session.list_buckets()


@pytest.mark.parametrize(
    "arguments",
    [{}, {"keys": None}, {"keys": ["a"], "prefix": "a"}, {"prefix": ""}, {"prefix": 5}, {"prefix": b"a"}],
    ids=str,
)
def test_delete_objects_wants_keys_or_a_prefix(arguments: dict[str, Any]) -> None:
    """Neither, both and an empty prefix, which would empty the bucket, are refused before anything is sent."""
    recorder = Recorder()
    with pytest.raises((TypeError, ValueError), match="prefix"):
        recorded(recorder).delete_objects(**arguments)
    assert [] == recorder.sent


def test_a_generator_of_keys_is_checked_before_the_first_is_deleted() -> None:
    """A bad key at the end of many keeps all of them from being deleted."""
    recorder = Recorder()
    with pytest.raises(TypeError, match="key"):
        recorded(recorder).delete_objects((f"key {n}" if n < 2500 else n) for n in range(2501))  # type: ignore[misc]
    assert [] == recorder.sent


def test_ranges_that_end_before_they_begin() -> None:
    """range_end before range_start, and the last zero bytes, are no range."""
    recorder = Recorder()
    with pytest.raises(ValueError, match="range_end 4 is before range_start 5"):
        recorded(recorder).get_object("key", range_start=5, range_end=4)
    assert [] == recorder.sent


@given(st.text())
def test_a_header_value_cannot_become_another_header(text: str) -> None:
    """Whatever text is given as a header, it is sent as that header's value on one line, or refused."""
    recorder = Recorder()
    session = recorded(recorder)
    try:
        session.put_object("key", b"", content_type=text, headers={"x-other": text})
    except ValueError as error:
        assert "content_type" in str(error) or "headers" in str(error)
        assert [] == recorder.sent
    else:
        assert text.isascii()
        assert text.isprintable()
        assert (text, text.strip()) == (recorder.last.headers["content-type"], recorder.last.headers["x-other"])


@given(st.text(max_size=100))
def test_a_bucket_cannot_become_a_path_or_a_host(text: str) -> None:
    """Whatever text is given as a bucket is one segment of the path, or one begin of the host name, or refused."""
    for style in ("path", "virtual"):
        session = S3Session(
            ACCESS_KEY_ID, SECRET, endpoint_url="https://store.example", addressing_style=style, region="us-east-1"
        )
        try:
            url = session.presigned_url("GET", "key", bucket=text)
        except ValueError as error:
            assert "bucket" in str(error)
        else:
            location = url.partition("?")[0]
            assert location in {f"https://store.example/{text}/key", f"https://{text}.store.example/key"}
            assert not set(text) & set("/\\?#@:%\r\n\t ")
        session.close()


@given(st.text(max_size=80))
def test_a_region_cannot_become_a_host(text: str) -> None:
    """Whatever text is given as a region is one label of AWS's host name, or refused."""
    try:
        session = S3Session(ACCESS_KEY_ID, SECRET, "bucket", region=text, addressing_style="path")
    except ValueError as error:
        assert "region" in str(error)
    else:
        assert session.endpoint_url.startswith(f"https://s3.{text}.")
        assert text.replace("-", "").isalnum()
        assert text.isascii()
        session.close()
