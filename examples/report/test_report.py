"""Run it with `pytest examples/report`: the fixtures come with s3func[server]; nothing else is needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import report
from s3func.errors import ServerError


def test_a_new_report(s3_session):
    assert report.load(s3_session, "2026-11") == {}
    report.add(s3_session, "2026-11", "coffee", 3)
    assert report.load(s3_session, "2026-11") == {"coffee": 3}
    assert s3_session.head_object("reports/2026-11.json").content_type == "application/json"


def test_nothing_is_lost_when_many_add(s3_session):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: report.add(s3_session, "2026-11", "coffee", 1), range(8)))
    assert report.load(s3_session, "2026-11") == {"coffee": 8}


def test_what_it_costs(s3_session, s3_server):
    report.add(s3_session, "2026-11", "coffee", 1)
    assert s3_server.journal.operations() == ["GetObject", "PutObject"]


def test_a_busy_store_is_survived(s3_session, s3_server):
    fault = s3_server.faults.add("PutObject", times=1, status=503, headers={"Retry-After": "0"})
    report.add(s3_session, "2026-11", "coffee", 1)
    assert fault.fired == 1
    assert report.load(s3_session, "2026-11") == {"coffee": 1}


def test_a_store_that_is_down_is_an_error(s3_server, s3_bucket):
    s3_server.faults.add("GetObject", status=500)
    with s3_server.session(s3_bucket, retries=1) as session, pytest.raises(ServerError):
        report.add(session, "2026-11", "coffee", 1)
