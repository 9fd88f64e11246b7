"""What a B2Session has to bear, scenario by scenario, of any service that can be told to fail.

The words are those of Backblaze's own harness for clients (`/faults`, `/wire-faults`, `/journal`), so that the same
scenarios run against our server and against the simulator of b2sdk, which neither of us wrote.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Barrier, Thread
from typing import Any, NamedTuple

import pytest

from s3func import B2Session, RetryPolicy
from s3func.errors import AccessDenied, NotFound, S3FuncError, ServerError, Throttled
from s3func.message import Request
from s3func.transport.pool import Pool
from s3func.transport.transfer import TransferConfig
from tests.faults.clock import FakeClock
from tests.faults.scripted import eventually

BODY = bytes(range(256)) * 8


class Call(NamedTuple):
    """A row of the journal. status: 0 where the connection broke. upload_url: which one an upload went to."""

    endpoint: str
    status: int
    upload_url: str | None


class FailingService(ABC):
    """A service on a port, with a bucket, its control, and the sizes of parts that it allows."""

    url: str
    key_id: str
    key: str
    part_size: int
    bucket = "bucket-one"

    @abstractmethod
    def expire(self) -> None:
        """Let every token be over."""

    @property
    @abstractmethod
    def control(self) -> str:
        """The path that the names of the harness are below."""

    def ask(self, method: str, name: str, **fields: Any) -> Any:
        """Ask the control."""
        pool = Pool()
        host = self.url.removeprefix("http://")
        body = json.dumps(fields).encode() if fields else b""
        response = pool(Request(method, self.url, self.control + name, "", {"host": host}, body))
        document = json.loads(response.read())
        pool.close()
        assert response.status < 300, document
        return document

    def fail(self, on: str, status: int, count: int = 1, **about: Any) -> None:
        """Let the next calls be refused. about: code, retryAfter."""
        self.ask("POST", "faults", on=on, status=status, count=count, **about)

    def break_off(self, on: str, kind: str, count: int = 1, ms: int = 0) -> None:
        """Let the next calls break: reset-before-response, reset-mid-request, stall."""
        self.ask("POST", "wire-faults", on=on, kind=kind, count=count, ms=ms)

    def calls(self, endpoint: str = "") -> list[Call]:
        """The journal, or the calls of one endpoint, in order."""
        rows = [
            Call(row["endpoint"], row["status"], row["uploadUrlId"]) for row in self.ask("GET", "journal")["entries"]
        ]
        return [row for row in rows if not endpoint or row.endpoint == endpoint]

    @contextmanager
    def session(self, **options: Any) -> Iterator[tuple[B2Session, FakeClock]]:
        """A session on the bucket, and the clock on which its waits take no time."""
        clock = FakeClock()
        options.setdefault("clock", clock)
        options.setdefault("read_timeout", 30.0)
        config = TransferConfig(multipart_threshold=2 * self.part_size, part_size=self.part_size, concurrency=2)
        options.setdefault("transfer", config)
        with B2Session(self.key_id, self.key, self.bucket, realm=self.url, **options) as session:
            yield session, clock


def large(service: FailingService) -> bytes:
    """What is sent in three parts."""
    return content(3 * service.part_size)


def content(size: int) -> bytes:
    """So many bytes."""
    return (BODY * (size // len(BODY) + 1))[:size]


def assert_different_urls(calls: list[Call], count: int) -> None:
    """So many uploads, each to a URL of its own."""
    assert count == len(calls)
    assert count == len({call.upload_url for call in calls})


def upload_is_retried(service: FailingService, status: int, code: str) -> None:
    """Refused twice, the upload goes to a third URL, and the file is whole."""
    service.fail("b2_upload_file", status, 2, code=code)
    with service.session() as (session, clock):
        put = session.put_object("key", BODY)
        assert session.get_object("key", put.version_id).data == BODY
        assert [status, status, 200] == [call.status for call in service.calls("b2_upload_file")]
        assert_different_urls(service.calls("b2_upload_file"), 3)
        # Another URL is another machine: only 429 is a reason to wait.
        assert clock.slept if status == 429 else sum(clock.slept) < 0.5


def upload_survives(service: FailingService, kind: str) -> None:
    """Broken off twice, the upload goes to a third URL, and the file is whole."""
    service.break_off("b2_upload_file", kind, 2, ms=3_000)
    # Short where the test waits for it.
    with service.session(read_timeout=1.0 if kind == "stall" else 30.0) as (session, _):
        put = session.put_object("key", BODY)
        assert session.get_object("key", put.version_id).data == BODY
        # A busy machine may stall without being asked to, and a stalled call is recorded when it ends.
        assert eventually(lambda: len(service.calls("b2_upload_file")) >= 3)
        calls = service.calls("b2_upload_file")
        assert_different_urls(calls, len(calls) if kind == "stall" else 3)
        # What was carried out before the answer was lost is there as an older version, and nothing else is.
        rows = list(session.list_object_versions())
        assert len(rows) <= len(calls)
        assert {put.etag} == {row.etag for row in rows}


def upload_waits_as_long_as_it_is_told(service: FailingService) -> None:
    """A 429 with Retry-After is obeyed, and the next attempt has another URL."""
    service.fail("b2_upload_file", 429, code="too_many_requests", retryAfter=7)
    with service.session() as (session, clock):
        session.put_object("key", BODY)
        assert 1 == len(clock.slept)
        assert clock.slept[0] >= 7
        assert_different_urls(service.calls("b2_upload_file"), 2)


def upload_url_is_busy(service: FailingService) -> None:
    """auth_token_limit: the URL is dropped, and another one is asked for, without waiting."""
    service.fail("b2_upload_file", 400, code="auth_token_limit")
    with service.session() as (session, clock):
        session.put_object("key", BODY)
        assert_different_urls(service.calls("b2_upload_file"), 2)
        assert [] == clock.slept


def upload_urls_are_five(service: FailingService) -> None:
    """An upload that always fails has tried five URLs, and no more."""
    service.fail("b2_upload_file", 500, 30, code="internal_error")
    with service.session(retries=RetryPolicy(attempts=9)) as (session, _), pytest.raises(ServerError):
        session.put_object("key", BODY)
    assert_different_urls(service.calls("b2_upload_file"), 5)


def upload_stops_at_a_cap(service: FailingService) -> None:
    """There is one call, no wait, and an error that says what to look at."""
    service.fail("b2_upload_file", 403, 5, code="storage_cap_exceeded")
    with service.session() as (session, clock):
        with pytest.raises(AccessDenied, match="caps"):
            session.put_object("key", BODY)
        assert [403] == [call.status for call in service.calls("b2_upload_file")]
        assert [] == clock.slept


def upload_gets_no_url(service: FailingService) -> None:
    """b2_get_upload_url fails once, and then it works; the upload itself is one call."""
    service.fail("b2_get_upload_url", 503, code="service_unavailable")
    with service.session() as (session, clock):
        session.put_object("key", BODY)
        assert [503, 200] == [call.status for call in service.calls("b2_get_upload_url")]
        assert 1 == len(service.calls("b2_upload_file"))
        assert 1 == len(clock.slept)


def part_is_retried(service: FailingService, status: int, code: str) -> None:
    """A part that is refused goes to another URL, and the large file is whole."""
    body = large(service)
    service.fail("b2_upload_part", status, 2, code=code)
    with service.session() as (session, _):
        put = session.put_object("large", body)
        assert session.get_object("large", put.version_id).data == body
        refused = [call.upload_url for call in service.calls("b2_upload_part") if call.status != 200]
        taken = [call.upload_url for call in service.calls("b2_upload_part") if call.status == 200]
        assert (2, 0) == (len(refused), len({*refused} & {*taken}))
        assert [] == list(session.list_multipart_uploads())


def part_survives(service: FailingService, kind: str) -> None:
    """A part that breaks off goes to another URL, and the large file is whole."""
    body = large(service)
    service.break_off("b2_upload_part", kind, 1)
    with service.session() as (session, _):
        put = session.put_object("large", body)
        assert session.get_object("large", put.version_id).data == body
        urls = [call.upload_url for call in service.calls("b2_upload_part") if not call.status]
        assert 1 == len(urls)
        assert urls[0] not in {call.upload_url for call in service.calls("b2_upload_part") if call.status}


def part_stops_at_a_cap(service: FailingService) -> None:
    """The large file is given up, and what was sent of it is removed."""
    body = large(service)
    service.fail("b2_upload_part", 403, 5, code="storage_cap_exceeded")
    with service.session(
        transfer=TransferConfig(multipart_threshold=1, part_size=service.part_size, concurrency=1)
    ) as (
        session,
        _,
    ):
        with pytest.raises(AccessDenied, match="caps"):
            session.put_object("large", body)
        assert 1 == len(service.calls("b2_upload_part"))
        assert [] == list(session.list_multipart_uploads())
        assert not session.exists("large")


def finishing_is_made_idempotent(service: FailingService) -> None:
    """The answer to b2_finish_large_file is lost: the file is there, once, and that is what is returned."""
    body = large(service)
    service.break_off("b2_finish_large_file", "reset-before-response", 1)
    with service.session() as (session, _):
        put = session.put_object("large", body)
        assert [put.version_id] == [row.version_id for row in session.list_object_versions()]
        assert session.get_object("large").data == body
        assert 0 == service.calls("b2_finish_large_file")[0].status


def token_expires_in_the_middle(service: FailingService) -> None:
    """Every token is over between two pages, two uploads, two reads: nobody notices, and nothing is lost."""
    with service.session() as (session, _):
        for key in ("a", "b", "c"):
            session.put_object(key, BODY)
            service.expire()
        rows = iter(session.list_objects(max_keys=1))
        first = next(rows)
        service.expire()
        assert ["a", "b", "c"] == [first.key, *(row.key for row in rows)]
        service.expire()
        assert session.get_object("a").data == BODY
        service.expire()
        session.copy_object("a", "d")
        service.expire()
        session.delete_object("a")
        service.expire()
        assert ["b", "c", "d"] == [row.key for row in session.list_objects()]


def token_expires_in_a_large_upload(service: FailingService) -> None:
    """Tokens of the account and of the parts expire under way, and the file is whole."""
    with service.session() as (session, _), session.create_multipart_upload("large") as upload:
        for number in (1, 2, 3):
            upload.upload_part(number, content(service.part_size))
            service.expire()
    with service.session() as (session, _):
        assert 3 * service.part_size == len(session.get_object("large").data)


def token_is_renewed_once_by_all(service: FailingService) -> None:
    """Eight threads find that the token has expired: one asks for another, and the others wait for it."""
    with service.session() as (session, _):
        session.put_object("key", BODY)
        before = len(service.calls("b2_authorize_account"))
        service.expire()
        barrier = Barrier(8, timeout=60)
        _together(8, lambda _: (barrier.wait(), list(session.list_objects())))
        assert before + 1 == len(service.calls("b2_authorize_account"))


def call_is_refused_for_ever(service: FailingService) -> None:
    """A token that is refused again right after its renewal is an error, and no endless loop."""
    service.fail("b2_list_file_names", 401, 20, code="expired_auth_token")
    with service.session() as (session, _):
        with pytest.raises(AccessDenied):
            list(session.list_objects())
        assert len(service.calls("b2_list_file_names")) <= 2


def head_has_no_body(service: FailingService) -> None:
    """A 401 to a HEAD cannot say why: one new token and one more HEAD; a second 401 is AccessDenied."""
    with service.session() as (session, _):
        session.put_object("key", BODY)
        service.fail("b2_download_file_by_name", 401, 1, code="expired_auth_token")
        assert len(BODY) == session.head_object("key").size
        service.fail("b2_download_file_by_name", 401, 2, code="unauthorized")
        with pytest.raises(AccessDenied):
            session.head_object("key")
        assert [401, 200, 401, 401] == [call.status for call in service.calls("b2_download_file_by_name")]
        with pytest.raises(NotFound):
            session.head_object("missing")


def call_waits_as_long_as_it_is_told(service: FailingService, status: int, code: str) -> None:
    """429 and 503 of any other call wait for Retry-After, and then it works."""
    service.fail("b2_list_file_names", status, code=code, retryAfter=3)
    with service.session() as (session, clock):
        assert [] == list(session.list_objects())
        assert 1 == len(clock.slept)
        assert clock.slept[0] >= 3


def call_backs_off(service: FailingService) -> None:
    """Without Retry-After the waits grow, and the attempts end."""
    service.fail("b2_list_file_names", 503, 30, code="service_unavailable")
    with service.session(retries=RetryPolicy(attempts=4)) as (session, clock):
        with pytest.raises(Throttled) as caught:
            list(session.list_objects())
        assert (4, 3) == (caught.value.attempts, len(clock.slept))
        assert 4 == len(service.calls("b2_list_file_names"))


def second_page_fails(service: FailingService, verb: str, call: str) -> None:
    """An error, and never a short list; a hiccup is asked for again, and nothing comes twice."""
    with service.session() as (session, _):
        for number in range(5):
            session.put_object(f"{number}", b"")
        rows = iter(getattr(session, verb)(max_keys=2))
        assert ["0", "1"] == [next(rows).key, next(rows).key]
        service.fail(call, 503, code="service_unavailable")
        assert ["2", "3", "4"] == [row.key for row in rows]
        rows = iter(getattr(session, verb)(max_keys=2))
        assert ["0", "1"] == [next(rows).key, next(rows).key]
        service.fail(call, 400, code="bad_request")
        with pytest.raises(S3FuncError):
            next(rows)


def download_is_retried(service: FailingService, status: int, code: str) -> None:
    """A download that is refused is asked for again, by name and by id."""
    with service.session() as (session, _):
        put = session.put_object("key", BODY)
        for endpoint, version in (("b2_download_file_by_name", None), ("b2_download_file_by_id", put.version_id)):
            service.fail(endpoint, status, code=code)
            assert session.get_object("key", version).data == BODY
            assert [status, 200] == [call.status for call in service.calls(endpoint)]


def copy_is_not_made_twice(service: FailingService) -> None:
    """A copy whose answer was lost is an error that says so: there is one copy, and not two."""
    with service.session() as (session, _):
        session.put_object("key", BODY)
        service.break_off("b2_copy_file", "reset-before-response", 1)
        with pytest.raises(S3FuncError) as caught:
            session.copy_object("key", "copy")
        assert caught.value.maybe_applied
        assert 1 == len(service.calls("b2_copy_file"))
        assert ["copy", "key"] == [row.key for row in session.list_object_versions()]


def deletion_is_repeated(service: FailingService) -> None:
    """A deletion whose answer was lost is made again, and finding nothing then is what was asked for."""
    with service.session() as (session, _):
        put = session.put_object("key", BODY)
        service.break_off("b2_delete_file_version", "reset-before-response", 1)
        session.delete_object("key", put.version_id)
        assert [0, 400] == [call.status for call in service.calls("b2_delete_file_version")]
        assert [] == list(session.list_object_versions())


def threads_share_no_token(service: FailingService) -> None:
    """Sixteen threads upload at once: no token is ever used by two, so that no call has to be made twice."""
    with service.session() as (session, _):
        barrier = Barrier(16, timeout=60)

        def upload(thread: int) -> None:
            barrier.wait()
            for number in range(6):
                session.put_object(f"{thread:02}/{number}", b"%d" % number)

        _together(16, upload)
        calls = service.calls("b2_upload_file")
        assert ([200] * 96, 96) == ([call.status for call in calls], sum(1 for _ in session.list_objects()))
        assert len(service.calls("b2_get_upload_url")) <= 16
        assert 1 == len(service.calls("b2_authorize_account"))


def threads_outlive_failures(service: FailingService) -> None:
    """The same while uploads fail now and then: everything arrives, and a URL that failed is not used again."""
    # Fewer than an upload has attempts: one thread may meet them all.
    service.fail("b2_upload_file", 503, 4, code="service_unavailable")
    with service.session() as (session, _):
        _together(8, lambda thread: [session.put_object(f"{thread}/{number}", b"x") for number in range(6)])
        calls = service.calls("b2_upload_file")
        assert 48 == sum(1 for _ in session.list_objects())
        failed = [call.upload_url for call in calls if call.status == 503]
        assert (4, 4) == (len(failed), len(set(failed)))
        for url in failed:
            # It may have been good before it failed, never after.
            assert [call.status for call in calls if call.upload_url == url][-1] == 503


def listings_cost_no_more_than_their_rows(service: FailingService) -> None:
    """One call per page: no probe before the first, none behind the last."""
    with service.session() as (session, _):
        for number in range(7):
            session.put_object(f"{number}", b"")
        for verb, call in (("list_objects", "b2_list_file_names"), ("list_object_versions", "b2_list_file_versions")):
            before = len(service.calls())
            assert 7 == len(list(getattr(session, verb)()))
            assert [call] == [row.endpoint for row in service.calls()[before:]]
            assert 7 == len(list(getattr(session, verb)(max_keys=3)))
            assert [call] * 4 == [row.endpoint for row in service.calls()[before:]]


def _together(count: int, work: Callable[[int], Any]) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors


REFUSALS = [
    (408, "request_timeout"),
    (429, "too_many_requests"),
    (500, "internal_error"),
    (503, "service_unavailable"),
    (401, "expired_auth_token"),
    (401, "bad_auth_token"),
]
BREAKS = ["reset-before-response", "reset-mid-request"]

SCENARIOS: dict[str, Callable[[FailingService], None]] = {
    **{
        f"upload.retry_{status}_{code}": partial(upload_is_retried, status=status, code=code)
        for status, code in REFUSALS
    },
    **{f"upload.{kind}": partial(upload_survives, kind=kind) for kind in [*BREAKS, "stall"]},
    "upload.retry_after": upload_waits_as_long_as_it_is_told,
    "upload.auth_token_limit": upload_url_is_busy,
    "upload.five_urls": upload_urls_are_five,
    "upload.cap_exceeded_403": upload_stops_at_a_cap,
    "upload.get_url_503": upload_gets_no_url,
    **{f"part.retry_{status}_{code}": partial(part_is_retried, status=status, code=code) for status, code in REFUSALS},
    **{f"part.{kind}": partial(part_survives, kind=kind) for kind in BREAKS},
    "part.cap_exceeded_403": part_stops_at_a_cap,
    "large.finish_is_lost": finishing_is_made_idempotent,
    "auth.expired_401": token_expires_in_the_middle,
    "auth.expired_in_a_large_upload": token_expires_in_a_large_upload,
    "auth.single_flight": token_is_renewed_once_by_all,
    "auth.refused_for_ever": call_is_refused_for_ever,
    "auth.head_without_body": head_has_no_body,
    "api.retry_after_429": partial(call_waits_as_long_as_it_is_told, status=429, code="too_many_requests"),
    "api.retry_after_503": partial(call_waits_as_long_as_it_is_told, status=503, code="service_unavailable"),
    "api.backoff_503": call_backs_off,
    "list.second_page_of_names": partial(second_page_fails, verb="list_objects", call="b2_list_file_names"),
    "list.second_page_of_versions": partial(
        second_page_fails, verb="list_object_versions", call="b2_list_file_versions"
    ),
    "list.costs": listings_cost_no_more_than_their_rows,
    "download.retry_500": partial(download_is_retried, status=500, code="internal_error"),
    "download.retry_503": partial(download_is_retried, status=503, code="service_unavailable"),
    "copy.answer_is_lost": copy_is_not_made_twice,
    "delete.answer_is_lost": deletion_is_repeated,
    "threads.sixteen": threads_share_no_token,
    "threads.failures": threads_outlive_failures,
}
