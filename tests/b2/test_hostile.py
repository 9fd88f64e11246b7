"""Answers that no B2 ever sent: every verb ends with a result or with an error of ours, and never with another one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from s3func import B2Session
from s3func.errors import S3FuncError
from s3func.message import Request, Response
from tests.b2.fake import FakeB2
from tests.b2.rigs import BUCKET, service, session_on

VERBS: list[Callable[[B2Session], Any]] = [
    lambda s: s.put_object("key", b"content", {"a": "b"}),
    lambda s: s.put_object("key", bytes(3000)),
    lambda s: s.get_object("key").data,
    lambda s: s.get_object("key", "an-id", 1, 2).data,
    lambda s: s.head_object("key").metadata,
    lambda s: list(s.list_objects("k", delimiter="/")),
    lambda s: list(s.list_object_versions()),
    lambda s: s.copy_object("key", "copy"),
    lambda s: s.delete_object("key"),
    lambda s: s.delete_object("key", "an-id"),
    lambda s: s.delete_objects(["key", "other"]),
    lambda s: s.presigned_url("GET", "key"),
    lambda s: s.list_buckets(),
    lambda s: s.head_bucket(),
    lambda s: s.create_bucket("bucket-two"),
    lambda s: s.get_object_lock_configuration(),
    lambda s: s.get_object_legal_hold("key", "an-id"),
    lambda s: s.get_object_retention("key", "an-id"),
    lambda s: list(s.list_app_keys()),
    lambda s: s.create_app_key(["readFiles"], "name"),
    lambda s: list(s.list_multipart_uploads()),
    lambda s: list(s.list_parts("key", "an-id")),
    lambda s: s.abort_multipart_uploads(0),
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "none",
    "a" * 40,
    "0" * 40,
    [],
    ["x"],
    [None],
    {},
    {"x": 1},
    "\u00e9",
]


def damaged(value: Any, chance: random.Random) -> Any:
    """The document with some of its values, or of its fields, replaced."""
    if chance.random() < 0.08:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        return {name: damaged(item, chance) for name, item in value.items() if chance.random() > 0.04}
    if isinstance(value, list):
        return [damaged(item, chance) for item in value]
    return value


class Liar:
    """A Transport in front of the fake that damages some of its answers."""

    def __init__(self, fake: FakeB2, seed: int) -> None:
        self._fake = fake
        self._chance = random.Random(seed)
        self._left = 3000

    def __call__(self, request: Request) -> Response:
        chance = self._chance
        self._left -= 1
        assert self._left, "a verb does not come to an end"
        response = self._fake(request)
        headers = dict(response.headers)
        for name in list(headers):
            if chance.random() < 0.1:
                headers[name] = str(chance.choice(VALUES))
            elif chance.random() < 0.05:
                del headers[name]
        body = response.read()
        if headers.get("content-type") == "application/json" and request.method != "HEAD":
            body = json.dumps(damaged(json.loads(body or b"{}"), chance)).encode()
        status = response.status
        if chance.random() < 0.05:
            status = chance.choice([200, 204, 206, 301, 304, 400, 401, 404, 416, 418, 429, 500, 503, 599, 999])
        if chance.random() < 0.03:
            body = chance.choice([b"", b"<html>", b"{", b"\xff", b"[" * 1000])
        return Response(status, headers, body)

    def close(self) -> None:
        self._fake.close()


@pytest.mark.parametrize("verb", range(len(VERBS)))
def test_no_answer_is_too_strange(verb: int) -> None:
    """Sixty damaged conversations per verb: a result, or an error that somebody can catch as S3FuncError."""
    outcomes = set()
    for seed in range(60):
        fake = service()
        fake.minimum = 100
        fake.add(BUCKET, "key", b"content")
        fake.add(BUCKET, "key/deeper", b"content")
        session = session_on(fake)
        session._client.transport = Liar(fake, 1000 * verb + seed)
        try:
            VERBS[verb](session)
        except S3FuncError as error:
            outcomes.add(type(error).__name__)
            assert str(error).isprintable() or "\n" not in str(error)
    assert outcomes
