"""What the README says is run: its Python, its command lines, its tables, and the examples of the README before it.

How blocks are run, and what they may promise, is in documents.py; the documents of docs/ are in test_docs.py.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3func import S3Session
from s3func.message import Request, Response
from s3func.server import S3App
from tests.documents import PYTHON, Block, blocks, command_lines, read, run


def test_the_first_block_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines need no environment, no server and nothing before them; and they are ten."""
    monkeypatch.chdir(tmp_path)
    first = blocks("README.md", PYTHON)[0]
    run(first, {})
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    "text",
    [
        "print(1)  # -> 2",
        "print(12)  # -> 1",
        "print(12)  # -> 2…",
        "# -> something",
        "print(1)  # -> 1\nprint(2)  # -> 1",
    ],
)
def test_a_broken_promise_is_seen(text: str) -> None:
    """A block that prints something else than it says fails, also when the order is wrong."""
    with pytest.raises(AssertionError):
        run(Block("here", 1, "python", text), {})


def test_the_two_commands_are_the_documented_ones() -> None:
    """The README's first shell lines are the ones that .ci/run and a newcomer rely on."""
    words = [" ".join(words) for _, words in command_lines("README.md")]
    assert ["pip install s3func", "pip install uv", "uv run s3func demo", "uv run pytest"] == words[:4]


def test_the_table_of_verbs_is_complete_and_true() -> None:
    """Every public method of S3Session has a row in the README, and no row names one that does not exist."""
    text = read("README.md")
    table = text[text.index("| verb |") : text.index("\n\n", text.index("| verb |"))]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for row in rows for name in re.findall(r"`(\w+)\(", row)}
    public = {
        name
        for name, _ in inspect.getmembers(S3Session, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }
    assert public == named


# The S3 examples of the README that this project began with (s3func 0.8), word for word.
OLD_SESSION = """\
from s3func import S3Session

# Initialize session for AWS S3
session = S3Session(
    access_key_id='YOUR_ACCESS_KEY',
    access_key='YOUR_SECRET_KEY',
    bucket='my-bucket',
    region='us-east-1'
)

# Also works with other S3-compatible providers (Contabo, Wasabi, DigitalOcean, etc.)
# by providing an endpoint_url.
session = S3Session(
    access_key_id='YOUR_ACCESS_KEY',
    access_key='YOUR_SECRET_KEY',
    bucket='my-bucket',
    endpoint_url='https://eu2.contabostorage.com'
)

# Upload an object
session.put_object('hello.txt', b'Hello, S3!')

# Download an object
resp = session.get_object('hello.txt')
print(resp.data.decode())

# List objects
for obj in session.list_objects(prefix='logs/').iter_objects():
    print(obj['key'], obj['content_length'])
"""
OLD_METADATA = """\
# Upload with metadata
session.put_object(
    'data.csv',
    b'col1,col2\\n1,2',
    metadata={'processed': 'false', 'source': 'sensor-1'}
)

# Read metadata
resp = session.head_object('data.csv')
print(resp.metadata['processed']) # 'false'
"""


class Diverted:
    """In the place of the pool of connections: the requests go to an app in this process, and are remembered."""

    def __init__(self, app: Callable[[Request], Response], seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    def __call__(self, request: Request) -> Response:
        self._seen.append(f"{request.method} {request.origin}{request.path}")
        return self._app(request)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def diverted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every new session talks to one store in this process, whatever its endpoint; the list tells where it wanted to."""
    app = S3App(
        access_key_id="YOUR_ACCESS_KEY", secret_access_key="YOUR_SECRET_KEY", domain="s3.us-east-1.amazonaws.com"
    )
    with S3Session("YOUR_ACCESS_KEY", "YOUR_SECRET_KEY", "my-bucket", transport=app) as session:
        session.create_bucket()
        session.put_object("logs/2025.txt", b"12345")
        session.put_object("logs/2026.txt", b"123")
        session.put_object("other.txt", b"1")
        seen: list[str] = []
        monkeypatch.setattr("s3func.transport.pool.Pool", lambda *_args, **_options: Diverted(app, seen))
        yield seen


def test_the_old_readme_runs_unchanged(diverted: list[str]) -> None:
    """The S3 examples that users of the earlier releases have in their programs work, and mean the same."""
    namespace: dict[str, Any] = {}
    printed = run(Block("the old README", 1, "python", OLD_SESSION), namespace)
    assert ["Hello, S3!", "logs/2025.txt 5", "logs/2026.txt 3"] == printed.splitlines()
    assert {"https://eu2.contabostorage.com/my-bucket"} == {
        re.sub(r"(/my-bucket).*", r"\1", each.partition(" ")[2]) for each in diverted
    }
    assert "false\n" == run(Block("the old README", 1, "python", OLD_METADATA), namespace)


def test_the_old_readme_s_first_session_is_aws(diverted: list[str]) -> None:
    """Without endpoint_url the same lines go to the bucket's own host at AWS."""
    without_second = OLD_SESSION.partition("# Also works")[0] + "# Upload" + OLD_SESSION.partition("# Upload")[2]
    printed = run(Block("the old README", 1, "python", without_second + OLD_METADATA), {})
    assert ["Hello, S3!", "logs/2025.txt 5", "logs/2026.txt 3", "false"] == printed.splitlines()
    assert "PUT https://my-bucket.s3.us-east-1.amazonaws.com/hello.txt" == diverted[0]
    assert all(" https://my-bucket.s3.us-east-1.amazonaws.com/" in each for each in diverted)


def test_performance_section_is_marked() -> None:
    """The measured table stands between two markers, where a benchmark run can replace it."""
    text = read("README.md")
    assert 2 == text.count("<!-- benchmarks -->")
