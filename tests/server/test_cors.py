"""CORS: which origins a browser is told of, on preflights and on actual answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.message import Request, Response
from s3func.server.cors import find_rule, rule_headers
from s3func.wire.s3xml_config import CORSRule, parse_cors, render_cors
from tests.server.forge import Caller, code, read

RULES = [
    CORSRule(["*suffix"], ["GET"]),
    CORSRule(["start*end"], ["GET", "HEAD"], ["x-amz-*", "Range"], ["etag"], 60),
    CORSRule(["*"], ["DELETE"]),
]


@pytest.fixture
def open_caller(caller: Caller) -> Caller:
    """The bucket `bkt` with the rules."""
    assert 200 == caller("PUT", "/bkt", "cors=", render_cors(RULES)).status
    return caller


def preflight(caller: Caller, path: str = "/bkt/key", **headers: str) -> Response:
    """OPTIONS, which nobody signs."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.app(Request("OPTIONS", "http://localhost", path, "", {"host": "localhost", **fields}))


def test_the_configuration_is_kept(caller: Caller) -> None:
    """It is returned as it was put, until it is removed."""
    assert (404, "NoSuchCORSConfiguration") == code(caller("GET", "/bkt", "cors="))
    assert 204 == caller("DELETE", "/bkt", "cors=").status
    assert 200 == caller("PUT", "/bkt", "cors=", render_cors(RULES)).status
    assert parse_cors(render_cors(RULES)) == parse_cors(read(caller("GET", "/bkt", "cors=")))
    assert 204 == caller("DELETE", "/bkt", "cors=").status
    assert (404, "NoSuchCORSConfiguration") == code(caller("GET", "/bkt", "cors="))


def test_a_preflight_is_allowed(open_caller: Caller) -> None:
    """The rule that matches says what the browser is told; nobody signs for it, and there need be no object."""
    answer = preflight(
        open_caller,
        origin="start1end",
        access_control_request_method="HEAD",
        access_control_request_headers="X-Amz-Date, range",
    )
    assert 200 == answer.status
    expected = {
        "access-control-allow-origin": "start1end",
        "access-control-allow-methods": "GET, HEAD",
        "access-control-allow-headers": "x-amz-date, range",
        "access-control-expose-headers": "etag",
        "access-control-max-age": "60",
    }
    assert expected.items() <= answer.headers.items()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "BadRequest")),
        ({"origin": "a.suffix"}, (400, "BadRequest")),
        ({"origin": "a.suffix", "access_control_request_method": "PUT"}, (403, "AccessForbidden")),
        ({"origin": "a.suffix.b", "access_control_request_method": "GET"}, (403, "AccessForbidden")),
        (
            {"origin": "startend", "access_control_request_method": "GET", "access_control_request_headers": "cookie"},
            (403, "AccessForbidden"),
        ),
    ],
)
def test_a_preflight_is_refused(open_caller: Caller, headers: dict[str, str], expected: tuple[int, str]) -> None:
    """What no rule allows is 403, what is no preflight 400; no header lets the browser go on."""
    answer = preflight(open_caller, **headers)
    assert "access-control-allow-origin" not in answer.headers
    assert expected == code(answer)


def test_a_preflight_without_a_configuration(caller: Caller) -> None:
    """A bucket without CORS, no bucket at all, and the service."""
    about = {"origin": "a", "access_control_request_method": "GET"}
    assert (403, "AccessForbidden") == code(preflight(caller, **about))
    assert (404, "NoSuchBucket") == code(preflight(caller, "/other/key", **about))
    assert (403, "AccessForbidden") == code(preflight(caller, "/", **about))


def test_actual_answers_say_it_as_well(open_caller: Caller) -> None:
    """GET has the headers of its rule, also on an error; without an origin, or with another one, there are none."""
    allowed = "access-control-allow-origin"
    assert "a.suffix" == open_caller("GET", "/bkt/none", headers={"origin": "a.suffix"}).headers[allowed]
    assert "*" == open_caller("DELETE", "/bkt/none", headers={"origin": "x"}).headers[allowed]
    assert allowed not in open_caller("GET", "/bkt", headers={"origin": "x"}).headers
    assert allowed not in open_caller("GET", "/bkt").headers
    assert allowed not in open_caller("GET", "/other", headers={"origin": "a.suffix"}).headers


def test_any_origin_is_told_without_credentials() -> None:
    """The wildcard is answered as it stands, and then no credentials go along."""
    assert "access-control-allow-credentials" not in rule_headers(RULES[2], "x")
    assert "true" == rule_headers(RULES[0], "x")["access-control-allow-credentials"]


@given(st.text("ab*", max_size=4).filter(lambda text: text.count("*") <= 1), st.text("ab", max_size=4))
def test_a_wildcard_stands_for_any_characters(pattern: str, origin: str) -> None:
    """A pattern matches as its regular expression would."""
    import re

    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), origin) is not None
    assert expected == (find_rule([CORSRule([pattern], ["GET"])], origin, "GET", ()) is not None)
