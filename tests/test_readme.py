"""What the README says is run: its Python, its command lines, its tables, and the examples of the README before it.

Python blocks of a document run in order in one namespace, as a reader would type them. A line that ends in
`# -> text` promises that this line prints the text; an "…" at the end of it leaves the rest of the line open.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from s3func import S3Session
from s3func.cli.main import s3func as command_line
from s3func.message import Request, Response
from s3func.server import S3App
from s3func.testing import Server, server

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "docs/server.md", "docs/files.md"]


class Block(NamedTuple):
    """A fenced block: the document, the line after its fence, its language, its text."""

    document: str
    line: int
    language: str
    text: str


def blocks(document: str, language: str) -> list[Block]:
    """The fenced blocks of one language in a document."""
    lines = (ROOT / document).read_text("utf-8").splitlines()
    found: list[Block] = []
    inside: Block | None = None
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if inside is None:
                inside = Block(document, number + 1, line[3:].strip(), "")
            else:
                found.append(inside)
                inside = None
        elif inside is not None:
            inside = inside._replace(text=f"{inside.text}{line}\n")
    assert inside is None, f"{document}: the last fence is open"
    return [block for block in found if block.language == language]


def run(block: Block, namespace: dict[str, Any]) -> str:
    """Run a block, its lines numbered as in its document, and return what it printed; check what it promises."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (block.line - 1) + block.text, block.document, "exec"), namespace)
    lines = iter(printed.getvalue().splitlines())
    for promise in promises(block.text):
        assert any(keeps(line, promise) for line in lines), f"{block.document}:{block.line}: {promise!r}"
    return printed.getvalue()


def promises(text: str) -> list[str]:
    """The texts behind `# ->`, in order."""
    return [match[1].rstrip() for match in re.finditer(r"# -> (.*)", text)]


def keeps(line: str, promise: str) -> bool:
    """Whether a printed line is the promised one."""
    return line.startswith(promise[:-1]) if promise.endswith("…") else line == promise


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A reader's machine: an empty folder, and credentials in the environment for a server that has `my-bucket`."""
    monkeypatch.chdir(tmp_path)
    with server() as running:
        running.session("my-bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.endpoint_url)
        monkeypatch.setenv("AWS_REGION", running.region)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_access_key)
        yield running


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_blocks_run_as_they_stand(document: str, account: Server) -> None:
    """Every Python block of a document runs behind the ones before it, and prints what it says."""
    found = blocks(document, "python")
    assert found
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in found:
        run(block, namespace)
    if "session" in namespace:
        namespace["session"].close()


def test_tests_in_the_documents_pass(tmp_path: Path) -> None:
    """Every test function in a document passes in a run of its own, with the fixtures that pytest finds by itself."""
    count = 0
    for number, block in enumerate(block for document in DOCUMENTS for block in blocks(document, "python")):
        if "\ndef test_" in block.text:
            (tmp_path / f"test_{number}.py").write_text(block.text, "utf-8")
            count += block.text.count("\ndef test_")
    assert count
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert 0 == done.returncode, done.stdout
    assert f"{count} passed" in done.stdout


def test_the_first_block_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten lines need no environment, no server and nothing before them; and they are ten."""
    monkeypatch.chdir(tmp_path)
    first = blocks("README.md", "python")[0]
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


def command_lines(document: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of the shell blocks of a document: what it is, and its words."""
    for block in blocks(document, "bash"):
        for line in block.text.splitlines():
            for part in re.split(r"&&|\|", line):
                words = shlex.split(part, comments=True)
                if words:
                    yield f"{document}:{block.line}: {part.strip()}", words


def check_s3func(words: list[str]) -> str | None:
    """What is wrong with a `s3func …` command line, if something is."""
    context = click.Context(command_line)
    command = command_line.get_command(context, words[0])
    if command is None:
        return f"no command {words[0]!r}"
    try:
        command.make_context(words[0], words[1:], resilient_parsing=False)
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_command_lines_exist(document: str) -> None:
    """Every `s3func …` in a shell block is a command with options that exist; every extra is one of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for where, words in command_lines(document):
        if words[:2] == ["uv", "run"]:
            words = words[2:]
        if words[0] == "s3func":
            assert None is check_s3func(words[1:]), where
    text = (ROOT / document).read_text("utf-8")
    named = {extra for group in re.findall(r"s3func\[([a-z,]+)\]", text) for extra in group.split(",")}
    assert named <= set(extras)


def test_a_wrong_command_line_is_seen() -> None:
    """A command, an option or a value that does not exist is noticed."""
    assert None is check_s3func(["serve", "--listen", "127.0.0.1:0"])
    for words in (["teleport"], ["serve", "--teleport"], ["serve", "--listen", "nowhere"]):
        assert check_s3func(words) is not None


def test_the_two_commands_are_the_documented_ones() -> None:
    """The README's first shell lines are the ones that .ci/run and a newcomer rely on."""
    words = [" ".join(words) for _, words in command_lines("README.md")]
    assert ["pip install s3func", "pip install uv", "uv run s3func demo", "uv run pytest"] == words[:4]


def test_the_table_of_verbs_is_complete_and_true() -> None:
    """Every public method of S3Session has a row in the README, and no row names one that does not exist."""
    text = (ROOT / "README.md").read_text("utf-8")
    table = text[text.index("| verb |") : text.index("\n\n", text.index("| verb |"))]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for row in rows for name in re.findall(r"`(\w+)\(", row)}
    public = {
        name
        for name, _ in inspect.getmembers(S3Session, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }
    assert public == named


def test_links_lead_somewhere() -> None:
    """Every relative link of the documents points to a file that exists."""
    for document in [*DOCUMENTS, "docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md"]:
        path = ROOT / document
        for target in re.findall(r"\]\(([^)#:\s]+)\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{document}: {target}"


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
    text = (ROOT / "README.md").read_text("utf-8")
    assert 2 == text.count("<!-- benchmarks -->")
