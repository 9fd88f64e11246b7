"""What the documents say is run: the README and everything in docs/, every block of Python and of a shell, every link.

How a block is run and what it may promise is in documents.py. A block that is not run says why: in a comment above it,
or, in the documents that are read without comments, in EXCUSED.
"""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from s3func import B2Session, S3Session, errors
from s3func.cli.main import s3func as command_line
from s3func.testing import Server, server
from s3func.transport.retry import is_transient
from tests.documents import (
    CONSOLE,
    PYTHON,
    ROOT,
    SHELLS,
    Block,
    all_blocks,
    blocks,
    blocks_of,
    command_lines,
    read,
    run,
    run_dialogue,
    run_in_shell,
    shows,
)

GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.md"))
DOCUMENTS = ["README.md", *GUIDES, *EXAMPLES]
RUN = (PYTHON, *SHELLS, CONSOLE)
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SHOWN = ("toml", "json", "text", "ini", "html", "yaml", "xml", "sql", "")

# Blocks of documents that carry no comments: the document, how the block begins, why it is not run.
EXCUSED = {
    ("README.md", "pip install s3func\n"): "installs from a registry",
    ("README.md", "pip install uv && "): "the first command of .ci/run, which runs it on a bare machine",
    ("README.md", "s3func serve "): "serves until it is interrupted; tests/cli/test_serve.py starts it",
    ("README.md", "uv sync\n"): "the commands of .ci/run",
}
# Documents whose blocks are run or read by a test of their own.
ELSEWHERE = {
    "docs/cli.md": "tests/cli/test_documented.py",
    "docs/filesystem.md": "tests/ecosystem/test_document.py",
}


class Table:
    """The resource of docs/lock.md: it refuses a token that is smaller than the largest it has seen."""

    def __init__(self) -> None:
        self.token = 0

    def write(self, rows: list[str], token: int) -> None:
        """Take rows, or refuse them."""
        if token < self.token:
            raise PermissionError(token)
        self.token = token


def photos(_: Server, folder: Path) -> dict[str, Any]:
    """A folder of photos."""
    (folder / "photos").mkdir()
    (folder / "photos" / "one.jpg").write_bytes(b"one")
    return {"session": S3Session(bucket="my-bucket")}


def locked(_: Server, folder: Path) -> dict[str, Any]:
    """A session, something to write to, and a program to run."""
    (folder / "report.py").write_text("import os\nassert os.environ['S3FUNC_LOCK_TOKEN']\n", "utf-8")
    return {"session": S3Session(bucket="my-bucket"), "table": Table(), "rows": ["a"]}


# What a document takes for granted: made before its first block, with the names that its blocks know.
SETUPS: dict[str, Callable[[Server, Path], dict[str, Any]]] = {
    "docs/lock.md": locked,
    "docs/sync.md": photos,
}


@pytest.fixture
def account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A reader's machine: empty folders, and credentials in the environment for a server that has `my-bucket`."""
    monkeypatch.chdir(tmp_path)
    # Caches and memories of an earlier document would be about another store.
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with server() as running:
        running.session("my-bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.endpoint_url)
        monkeypatch.setenv("AWS_REGION", running.region)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", running.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", running.secret_access_key)
        monkeypatch.setenv("B2_APPLICATION_KEY_ID", running.access_key_id)
        monkeypatch.setenv("B2_APPLICATION_KEY", running.secret_access_key)
        monkeypatch.setattr("s3func.b2.base.REALM", running.endpoint_url)
        yield running


def excuse_of(block: Block) -> str:
    """Why a block is not run; "" for one that is."""
    if block.excuse or block.document in ELSEWHERE:
        return block.excuse or ELSEWHERE[block.document]
    return next(
        (
            reason
            for (document, begin), reason in EXCUSED.items()
            if document == block.document and block.text.startswith(begin)
        ),
        "",
    )


def to_run(document: str) -> list[Block]:
    """The blocks of a document that are run."""
    return [block for block in blocks(document, *RUN) if not excuse_of(block)]


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if to_run(each)])
def test_blocks_run_as_they_stand(document: str, account: Server, tmp_path: Path) -> None:
    """Every block of a document runs behind the ones before it, and prints what it says."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    if document in SETUPS:
        namespace |= SETUPS[document](account, tmp_path)
    try:
        for block in to_run(document):
            if block.language == PYTHON:
                run(block, namespace)
            elif block.language == CONSOLE:
                run_dialogue(block, tmp_path)
            else:
                run_in_shell(block, tmp_path)
    finally:
        for value in list(namespace.values()):
            if isinstance(value, S3Session | B2Session):
                value.close()


def count_of_tests(text: str) -> int:
    """How many tests of pytest a block has."""
    return len(re.findall(r"^(?:    )?def test_", text, re.MULTILINE))


def test_tests_in_the_documents_pass(tmp_path: Path) -> None:
    """Every test function in a document passes in a run of its own, with the fixtures that pytest finds by itself."""
    count = 0
    for number, document in enumerate(DOCUMENTS):
        # Fixtures stand in blocks of their own, and hold for the tests of their document.
        found = [block.text for block in to_run(document) if block.language == PYTHON]
        text = "".join(text for text in found if count_of_tests(text) or "@pytest.fixture" in text)
        (tmp_path / f"test_{number}.py").write_text(text, "utf-8")
        count += count_of_tests(text)
    assert count
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert 0 == done.returncode, done.stdout
    assert f"{count} passed" in done.stdout


def test_every_block_says_what_it_is() -> None:
    """Blocks of docs/ name a language that is run or only shown, so that none escapes by a misspelled name."""
    for document in DOCUMENTS:
        for block in all_blocks(document):
            assert block.language in (*RUN, *SHOWN), block.place
            if block.language == "toml":
                tomllib.loads(block.text)
            if not block.language:
                assert not block.text.startswith(("$ ", "s3func ", "import ", "from ")), block.place


def test_no_excuse_is_left_over() -> None:
    """Each excuse here belongs to a block that there is, and each document named here exists."""
    for document, begin in EXCUSED:
        assert any(block.text.startswith(begin) for block in blocks(document, *RUN)), (document, begin)
    assert {*ELSEWHERE, *SETUPS} <= {*DOCUMENTS}
    for document, test in ELSEWHERE.items():
        assert Path(document).name in read(test)


def test_an_excuse_holds_for_one_block() -> None:
    """A comment excuses the block below it and no other one."""
    text = "<!-- not run: it is red -->\n\n```bash\nfalse\n```\n\n```bash\ntrue\n```\n<!-- not run: far -->\nx\n```sh\n```\n"
    assert ["it is red", "", ""] == [block.excuse for block in blocks_of("here", text)]


def test_a_wrong_answer_is_seen(tmp_path: Path) -> None:
    """A dialogue whose command says something else than is shown fails, and so does a block with a command that fails."""
    run_dialogue(Block("here", 1, CONSOLE, "$ echo a; echo b; echo c >&2\na\n…\nc\n$ true\n$ echo 12\n1…\n"), tmp_path)
    for text in ("$ echo a\nb\n", "$ echo a\n", "$ true\na\n", "$ echo a; echo b\na\n"):
        with pytest.raises(AssertionError):
            run_dialogue(Block("here", 1, CONSOLE, text), tmp_path)
    run_in_shell(Block("here", 1, "bash", "echo 1   # -> 1\n"), tmp_path)
    for text in ("false\ntrue\n", "false | true\n", "echo 2  # -> 1\n"):
        with pytest.raises(AssertionError):
            run_in_shell(Block("here", 1, "bash", text), tmp_path)
    assert not shows(["a"], ["a", "b"])


def check_s3func(words: list[str]) -> str | None:
    """What is wrong with a `s3func …` command line, if something is."""
    command: click.Command | None = command_line
    context = click.Context(command_line)
    while isinstance(command, click.Group):
        if not words:
            return None
        command = command.get_command(context, words[0])
        if command is None:
            return f"no command {words[0]!r}"
        words = words[1:]
    assert command is not None
    try:
        with command.make_context(command.name, list(words)):
            pass
    except click.ClickException as error:
        return error.format_message()
    except click.exceptions.Exit:
        # --help and its like.
        return None
    return None


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md"])
def test_command_lines_exist(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `s3func …` in a shell block is a command with options that exist; every extra is one of the package."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.jsonl").touch()
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    if document not in ELSEWHERE:
        for where, words in command_lines(document):
            if words[:2] == ["uv", "run"]:
                words = words[2:]
            if words[:1] == ["s3func"]:
                assert None is check_s3func(words[1:]), where
    # What is not run may be about extras that somebody is to make.
    said = FENCED.sub("", read(document)) + "".join(block.text for block in all_blocks(document) if not block.excuse)
    named = {extra for group in re.findall(r"s3func\[([a-z0-9,]+)\]", said) for extra in group.split(",")}
    assert named <= set(extras)


def test_a_wrong_command_line_is_seen() -> None:
    """A command, an option or a value that does not exist is noticed."""
    assert None is check_s3func(["serve", "--listen", "127.0.0.1:0"])
    assert None is check_s3func(["lock", "ls", "s3://bucket/"])
    for words in (["teleport"], ["lock", "teleport"], ["serve", "--teleport"], ["serve", "--listen", "nowhere"]):
        assert check_s3func(words) is not None


def heading_anchors(text: str) -> set[str]:
    """The names that a document's headings can be linked by, as they are made from their words."""
    found = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def links(text: str) -> list[tuple[str, str]]:
    """The relative links of a text: the path, "" for the text itself, and the heading."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", FENCED.sub("", text)))
    return [
        (path, anchor)
        for path, _, anchor in (target.partition("#") for target in found)
        if not re.match("[a-z]+:", path)
    ]


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"])
def test_links_lead_somewhere(document: str) -> None:
    """Every relative link points to a file that exists, and to a heading that it has."""
    for path, anchor in links(read(document)):
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), f"{document}: {path}"
        if anchor:
            assert anchor in heading_anchors(target.read_text("utf-8")), f"{document}: {path}#{anchor}"


def test_a_link_is_seen() -> None:
    """Links are found with their headings, and neither in code nor where they leave the repository."""
    text = "[a](b.md#c-d) [e](#f) `[g](h)` [i](https://j)\n```\n[k](l)\n```\n## C, `d`\n"
    assert [("b.md", "c-d"), ("", "f")] == links(text)
    assert {"c-d"} == heading_anchors(text)


def test_the_index_names_every_document() -> None:
    """Whoever begins with docs/README.md finds every document of the folder."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / path).resolve() for path, _ in links(index.read_text("utf-8")) if path}
    assert [] == [
        each for each in GUIDES if (ROOT / each).resolve() not in {*linked, index} and "decisions" not in each
    ]


def table_rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, headings included."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def retried(kind: type[errors.S3FuncError]) -> str:
    """Whether errors of exactly this class are tried again: "yes", "no", or "some" of them."""
    if not issubclass(kind, errors.ServiceError):
        return "yes" if is_transient(kind("")) else "no"
    cases = [errors.service_error(code) for code, (named, _) in errors.CODES.items() if named is kind]
    cases += [errors.service_error("Unheard", status=status) for status in range(300, 600)]
    answers = {is_transient(case) for case in cases if type(case) is kind}
    return {frozenset({True}): "yes", frozenset({True, False}): "some"}.get(frozenset(answers), "no")


def test_every_error_is_explained() -> None:
    """docs/errors.md has one row for each class of errors.py, and says rightly whether it is tried again."""
    told = {
        row[0].strip("`"): row[2].split(" ")[0].strip(";:")
        for row in table_rows(read("docs/errors.md"))
        if len(row) == 4
    }
    told = {name: answer for name, answer in told.items() if answer in {"yes", "no", "some"}}
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert {name: retried(kind) for name, kind in kinds.items() if issubclass(kind, errors.S3FuncError)} == told
    rows = [row[0] for row in table_rows(read("docs/errors.md")) if row[0].strip("`") in kinds]
    assert len(set(rows)) == len(rows)


def test_what_an_error_also_is_is_told() -> None:
    """Where docs/errors.md says that an error is also one of Python's, it is, and it says so of all that are."""
    for row in table_rows(read("docs/errors.md")):
        kind = getattr(errors, row[0].strip("`"), None)
        if isinstance(kind, type) and issubclass(kind, errors.S3FuncError):
            inherited = {base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"} - {"Exception"}
            assert inherited == {*re.findall(r"also an? `(\w+)`", row[1])} & set(dir(builtins)), row[0]
