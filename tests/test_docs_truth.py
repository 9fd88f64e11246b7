"""What the documents say of names is true: of options, settings, fields, verbs, files; and tables leave none out."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from functools import cache

import click
import pytest

from s3func import Attempt, B2Session, RetryPolicy, S3Session, Timeouts, TransferConfig
from s3func.cli.main import COMMANDS
from s3func.cli.main import s3func as command_line
from s3func.s3.config import VARIABLES
from s3func.server.operations import OPERATIONS
from s3func.session import Session
from s3func.sync import apply, plan
from tests.documents import ROOT, read
from tests.test_docs import FENCED, GUIDES, table_rows

# Their left columns are about other packages; tests/interop/test_moving.py carries them out.
FOREIGN = re.compile(r"moving-from-|decisions/")
OURS = [document for document in ["README.md", "CONTRIBUTING.md", *GUIDES] if not FOREIGN.search(document)]
# Names of Python's standard library and of others that documents mention by themselves.
BORROWED = {
    "boto3",
    "client",
    "dask",
    "duckdb",
    "fsspec",
    "logging",
    "os",
    "pandas",
    "polars",
    "pyarrow",
    "ray",
    "xarray",
    "zarr",
}
# Keywords of Dask, Ray and fsspec's users, which reach s3func or are passed on by it.
PASSED_ON = {"max_retries", "num_cpus", "priority", "resources", "runtime_env", "storage_options"}


def spans(document: str) -> Iterator[str]:
    """The code in the lines of a document, without its blocks."""
    for match in re.finditer(r"`([^`\n]+)`", FENCED.sub("", read(document))):
        yield match[1]


@cache
def defined() -> tuple[frozenset[str], frozenset[str]]:
    """Every function, class and attribute of the package, and every parameter."""
    names, parameters = set(dir(builtins)), set()
    for path in (ROOT / "s3func").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = node.args
                parameters |= {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                # The fields of named tuples and of typed dicts.
                parameters.add(node.target.id)
            if isinstance(node, ast.ImportFrom):
                names |= {alias.name for alias in node.names}
    return frozenset(names), frozenset(parameters)


def unknown(span: str) -> list[str]:
    """The calls and keywords in a piece of code that the package does not have."""
    names, parameters = defined()
    if re.search(r"[$<>|]|://|^-|^[A-Z][A-Za-z]+-|s3func\[", span) or re.split(r"\W", span)[0] in BORROWED:
        # A command line, a URL, a header, or somebody else's.
        return []
    calls = re.findall(r"(?<![\w.\[\"'])(?:\w+\.)*(\w+)\(", span)
    keywords = re.findall(r"[(,] ?([a-z_]+)=(?!=)", span) + re.findall(r"^([a-z]+_[a-z_]+)=(?!=)", span)
    # A callback is known by the parameter that it is given as.
    wrong = [f"{name}()" for name in calls if name not in names | parameters]
    return wrong + [f"{name}=" for name in keywords if name not in parameters | PASSED_ON]


@pytest.mark.parametrize("document", OURS)
def test_names_exist(document: str) -> None:
    """Every call and every keyword that a document mentions is one of the package."""
    assert [] == [(span, wrong) for span in spans(document) for wrong in unknown(span)]


def test_a_wrong_name_is_seen() -> None:
    """A verb or a keyword that does not exist is noticed."""
    assert [] == unknown('session.put_object(key, if_none_match="*")')
    assert ["put_objects()"] == unknown("session.put_objects(key)")
    assert ["if_not_match="] == unknown('session.put_object(key, if_not_match="*")')
    assert ["part_of_size="] == unknown("part_of_size=")


@pytest.mark.parametrize("document", OURS)
def test_files_exist(document: str) -> None:
    """Every file of the repository that a document names is there."""
    for span in spans(document):
        if re.fullmatch(
            r"(?:s3func|tests|benchmarks|docs|examples|server|s3|b2|sync|cli|wire|transport)/[\w/.-]*", span
        ):
            path = span.rstrip("/")
            if "NAME" in path:
                continue
            assert (ROOT / path).exists() or (ROOT / "s3func" / path).exists(), f"{document}: {span}"


def options_of(name: str) -> set[str]:
    """The long options of a command."""
    command = command_line.get_command(click.Context(command_line), name)
    assert command is not None
    return {
        word for option in command.params for word in (*option.opts, *option.secondary_opts) if word.startswith("--")
    }


def test_the_options_of_sync_are_documented() -> None:
    """docs/sync.md names every option of sync, check, cp, plan and apply, and no other."""
    text = FENCED.sub("", read("docs/sync.md"))
    named = set(re.findall(r"`(--[a-z][a-z-]*)", text)) | set(re.findall(r"(?<=[` ])(--[a-z][a-z-]*)(?=[`\[ ])", text))
    there = {name: options_of(name) for name in ("sync", "plan", "check", "cp", "apply")}
    everywhere = set().union(*there.values())
    assert set() == named - everywhere - {"--checksum"}  # rclone's
    missing = (there["sync"] | there["plan"]) - named - {"--help", "--output", "--no-sign-request"}
    assert set() == missing


def test_the_keywords_of_sync_are_documented() -> None:
    """The keywords in docs/sync.md are those of sync() and plan(), and none of theirs is left out."""
    taken = {*inspect.signature(plan).parameters, *inspect.signature(apply).parameters} - {"source", "target", "plan"}
    said = {
        word for row in table_rows(read("docs/sync.md")) if len(row) == 3 for word in re.findall(r"`([a-z_]+)=", row[1])
    }
    assert set() == said - taken
    text = read("docs/sync.md")
    assert {"session_options"} == {name for name in taken if name not in text and name.replace("_", "-") not in text}


def test_the_settings_are_documented() -> None:
    """docs/credentials.md has every variable and every key of a profile that is read, and no variable that is not."""
    text = read("docs/credentials.md")
    for variable in VARIABLES:
        for name in (*variable.environment, variable.profile, variable.section):
            assert name in text, name
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "s3func").rglob("*.py"))
    for name in set(re.findall(r"`(AWS_[A-Z0-9_]+)`", text)):
        # The names of some are put together, of those of the metadata service from the keys of the profile.
        parts = (name, name.removeprefix("AWS_").lower(), name.removeprefix("AWS_ENDPOINT_URL_").lower())
        assert any(f'"{part}"' in sources for part in parts), name


def test_the_fields_of_an_attempt_are_documented() -> None:
    """docs/observability.md has a row for each field of Attempt, and for nothing else."""
    rows = [name for row in table_rows(read("docs/observability.md")) for name in re.findall(r"`(\w+)`", row[0])]
    assert [*inspect.signature(Attempt).parameters] == rows


def test_every_operation_of_the_server_is_documented() -> None:
    """docs/server.md names each operation that the server carries out."""
    text = re.sub(r"[ -]", "", FENCED.sub("", read("docs/server.md"))).lower()
    assert [] == sorted({name for name in OPERATIONS.values() if subject_of(name).lower() not in text})


def subject_of(operation: str) -> str:
    """What an operation is about, as tables say it that have a row for Put, Get and Delete of it."""
    verb = re.match("Put|Get|Delete|List|Head", operation)
    subject = operation.removeprefix(verb[0]) if verb else operation
    return subject.removeprefix("Bucket").removesuffix("Configuration") or operation


def test_the_defaults_of_the_documents_are_true() -> None:
    """Numbers that documents give as defaults are the defaults."""
    lock = inspect.signature(Session.lock).parameters
    text = read("docs/lock.md")
    assert f"| `ttl` | {lock['ttl'].default:.0f} s |" in text
    shortest, longest = lock["poll"].default
    assert f"| `poll` | ({shortest:g} s, {longest:g} s) |" in text
    policy, limits, transfer = RetryPolicy(), Timeouts(), TransferConfig()
    errors = read("docs/errors.md")
    words = {3: "three", 4: "four", 5: "five", 6: "six", 10: "ten"}
    assert f"{words[policy.attempts]} attempts in all" in errors
    assert (
        f"at most {policy.base_seconds:g} s, after SlowDown from at most {policy.throttled_base_seconds:g} s" in errors
    )
    assert f"at most {policy.wait_max_seconds:g} s" in errors
    assert f"no connection in {limits.connect:g} s, or no byte in {limits.read:g} s" in errors
    performance = read("docs/performance.md")
    assert (
        f"use {words[transfer.concurrency]} connections from {transfer.multipart_threshold >> 20} MiB on" in performance
    )


def test_the_verbs_of_b2_are_documented() -> None:
    """The verbs in docs/b2.md are those of B2Session, and the common ones are S3Session's as well."""
    for row in table_rows(read("docs/b2.md")):
        for name in re.findall(r"`([a-z_]+)`", row[0]):
            if "_" in name and not name.startswith("b2_") and hasattr(S3Session, name):
                assert hasattr(B2Session, name), name


def test_commands_are_named_by_their_names() -> None:
    """`s3func NAME` in a document is a command that there is."""
    for document in OURS:
        for name in re.findall(r"`s3func ([a-z]+)", read(document)):
            assert name in COMMANDS, f"{document}: s3func {name}"


def test_modules_that_are_run_exist() -> None:
    """`python -m NAME` in a document is a module of the repository that can be run."""
    for document in [*OURS, "benchmarks/README.md"]:
        for name in re.findall(r"python -m ((?:s3func|tests|benchmarks)[a-z0-9_.]*[a-z0-9_])", read(document)):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{document}: {name}"


@cache
def sources() -> frozenset[str]:
    """The files of the repository that are programs, as paths with a slash in front."""
    folders = ("s3func", "tests", "benchmarks", "examples")
    return frozenset(
        f"/{path.relative_to(ROOT).as_posix()}" for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


@pytest.mark.parametrize("document", OURS)
def test_modules_exist(document: str) -> None:
    """Every Python file that a document names, by a part of its path, is one of the repository."""
    named = set(re.findall(r"(?<![\w./-])((?:\w+/)*\w+\.py)(?![\w])", read(document)))
    # Of ceph/s3-tests, and of whoever writes a backend.
    named -= {"s3tests/functional/test_s3.py", "test_headers.py", "s3func/server/backends/NAME.py"}
    assert [] == sorted(name for name in named if not any(path.endswith(f"/{name}") for path in sources()))


def test_figures_are_those_of_the_benchmarks() -> None:
    """What docs/performance.md quotes stands in benchmarks/README.md as well."""
    quoted = re.findall(r"[0-9]+\.[0-9]", read("docs/performance.md").partition("## One session")[0])
    measured = read("benchmarks/README.md")
    assert quoted
    assert [] == [figure for figure in quoted if figure not in measured]
