"""The same conversation with both sessions: what they have in common comes out the same.

S3Session talks to our server, on a bucket that keeps versions as B2 always does; B2Session to the fake service.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from s3func import B2Session, S3Session
from s3func.errors import S3FuncError
from s3func.server import MemoryBackend, S3App
from tests.b2.rigs import BUCKET, service, session_on

KEYS = ["a", "a/b", "a/c", "ab", "b//c", ".", "é", "a b+c?"]


class Step(NamedTuple):
    """One call: its verb and its arguments. version: which of the key's versions is meant, counted from the newest."""

    verb: str
    key: str
    other: str = "a"
    body: bytes = b""
    version: int | None = None
    first: int | None = None
    last: int | None = None


STEPS = st.builds(
    Step,
    st.sampled_from(
        ["put", "put", "put", "get", "head", "delete", "copy", "range", "list", "fold", "versions", "after"]
    ),
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
    st.binary(max_size=20),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 5),
    st.none() | st.integers(0, 25),
)


def sessions() -> tuple[S3Session, B2Session]:
    """Both, on new stores."""
    s3 = S3Session(
        "id", "secret", BUCKET, transport=S3App(MemoryBackend(), access_key_id="id", secret_access_key="secret")
    )
    s3.create_bucket()
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    s3.request("PUT", query={"versioning": None}, body=versioning)
    return s3, session_on(service())


def version_of(session: Any, step: Step) -> str | None:
    """The version that the step means, if the key has so many."""
    if step.version is None:
        return None
    rows = [row for row in session.list_object_versions(step.key) if row.key == step.key]
    if step.verb != "delete":
        # To read a marker is 405 for S3 and 404 for B2.
        rows = [row for row in rows if not row.delete_marker]
    return rows[step.version].version_id if step.version < len(rows) else None


def taken(session: Any, step: Step) -> Any:
    """What a step comes to, in words that both stores share."""
    verb = step.verb
    if verb == "put":
        result = session.put_object(step.key, step.body, {"name": step.other})
        return bool(result.etag), bool(result.version_id)
    if verb == "get":
        got = session.get_object(step.key, version_of(session, step))
        return got.data, got.user_metadata, got.size, got.status
    if verb == "range":
        got = session.get_object(step.key, None, step.first, step.last)
        return got.data, got.size, got.status, got.content_range
    if verb == "head":
        head = session.head_object(step.key, version_of(session, step))
        return head.size, head.user_metadata, session.exists(step.other)
    if verb == "delete":
        version = version_of(session, step)
        if version is None and not session.exists(step.key):
            # S3 adds a marker to a marker, B2 has nothing to hide.
            return None
        session.delete_object(step.key, version)
        return session.exists(step.key)
    if verb == "copy":
        if step.key == step.other:
            # S3 refuses to copy an object onto itself, B2 makes another version.
            return None
        copied = session.copy_object(step.key, step.other)
        return bool(copied.etag), session.get_object(step.other).data
    if verb == "versions":
        return [(row.key, row.size, row.is_latest, row.delete_marker) for row in session.list_object_versions()]
    if verb == "fold":
        listing = session.list_objects(delimiter="/", max_keys=2)
        return [(row.key, row.size) for row in listing], listing.common_prefixes
    if verb == "after":
        return [row.key for row in session.list_objects(start_after=step.key, max_keys=3)]
    return [(row.key, row.size, row.version_id) for row in session.list_objects(step.key)]


def outcome(session: Any, step: Step) -> Any:
    """The result, or the class of the error with the status that it has in both worlds."""
    try:
        return taken(session, step)
    except S3FuncError as error:
        # Of a copy that fails, S3's error names the target.
        return type(error).__name__, None if step.verb == "copy" else error.key
    except ValueError as error:
        return type(error).__name__, str(error)


@settings(max_examples=80)
@given(st.lists(STEPS, max_size=25))
def test_both_sessions_come_to_the_same(steps: list[Step]) -> None:
    """Whatever is done in whatever order, both sessions give the same results and the same kinds of errors."""
    s3, b2 = sessions()
    for step in steps:
        assert outcome(s3, step) == outcome(b2, step), step
    final = Step("versions", "a")
    assert outcome(s3, final) == outcome(b2, final)
