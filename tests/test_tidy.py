"""The house rules as tests: floors, doors, sizes, names, documentation. Each rule is tried on a small bad tree as well.

A rule is a function from the modules of a package to complaints, so that `[] == rule(...)` prints what is wrong, and so
that a tree of three invented files can show that the rule is able to fail.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from s3func import errors

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "s3func"

FILE_LINES = 600
FUNCTION_LINES = 70

# The floors of docs/architecture.md: a module imports from its own floor or from below.
FLOORS = {
    **dict.fromkeys(("errors", "models", "message", "clock", "retention", "version"), 0),
    "wire": 1,
    "transport": 2,
    **dict.fromkeys(("session", "results", "listing", "lock", "download", "body_reader", "reader", "writer"), 3),
    **dict.fromkeys(("multipart", "engines"), 3),
    **dict.fromkeys(("s3", "b2"), 4),
    **dict.fromkeys(("connect", "files", "sync", "server", "filesystem"), 5),
    **dict.fromkeys(("profiles", "mirrors", "checkpoints", "compat"), 5),
    **dict.fromkeys(("cli", "telemetry", "testing", "progress", "pytest_plugin", "__main__", "__init__"), 6),
}
# Neighbours on one floor that may know each other; on floors 0, 1, 2 and 6 everybody may.
NEIGHBOURS = {
    *(("session", name) for name in ("download", "listing", "lock", "reader", "results", "writer")),
    *(("reader", name) for name in ("body_reader", "results", "session")),
    *(("writer", name) for name in ("results", "session")),
    ("results", "body_reader"),
    ("download", "results"),
    ("connect", "profiles"),
    *((user, "connect") for user in ("checkpoints", "filesystem", "sync")),
    *(("files", name) for name in ("connect", "profiles", "sync")),
    *(("mirrors", name) for name in ("connect", "files", "profiles", "sync")),
    *(("compat", name) for name in ("connect", "files", "mirrors", "profiles")),
}
SERVER_FLOORS = {0, 1, 3}

# Who may import what, by path prefix. A package or module that is named here is imported nowhere else.
DOORS = {
    "urllib3": ("transport/pool.py",),
    "socket": ("transport/pool.py", "transport/connection.py", "server/listener.py", "server/protocol.py"),
    "ssl": ("transport/pool.py", "server/listener.py"),
    "uvicorn": ("server/listener.py", "server/protocol.py"),
    "python_multipart": ("server/forms.py",),
    "httptools": ("server/protocol.py",),
    "asyncio": ("files/asynchronous.py", "server/asgi.py", "server/listener.py", "server/protocol.py"),
    "sqlite3": ("server/backends/", "sync/"),
    "click": ("cli/",),
    "pytest": ("pytest_plugin.py",),
    "tomlkit": ("cli/",),
    "tqdm": ("cli/", "progress.py"),
    "orjson": ("wire/b2json.py", "sync/", "cli/", "server/backends/"),
    "fsspec": ("filesystem/",),
    "pydrime": ("server/backends/drime/",),
    "httpx": ("server/backends/drime/",),
    "upath": ("filesystem/upath.py",),
    "ray": ("sync/executors.py",),
    "distributed": (),
    "opentelemetry": ("telemetry.py",),
    "awscrt": ("wire/checksum.py",),
    "isal": ("wire/checksum.py",),
    "crc32c": ("wire/checksum.py",),
    "google_crc32c": ("wire/checksum.py",),
}
FAR_FROM_THE_WIRE = {
    "os",
    "random",
    "secrets",
    "select",
    "socket",
    "ssl",
    "subprocess",
    "asyncio",
    "pathlib",
    "logging",
}
READINGS = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "sleep",
    "localtime",
    "now",
    "utcnow",
    "today",
}


class Module(NamedTuple):
    """One file of the package: its path inside it, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def unit(self) -> str:
        """The file or folder at the top of the package that this module is a part of."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def name(self) -> str:
        """The dotted name inside the package; a folder's `__init__.py` has the folder's name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


Rule = Callable[[list[Module]], list[str]]


def modules_of(files: Mapping[str, str]) -> list[Module]:
    """Parse files, given as path inside the package and text."""
    return [Module(path, text, ast.parse(text)) for path, text in sorted(files.items())]


def package_files() -> dict[str, str]:
    """The real package."""
    folder = ROOT / PACKAGE
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.py")}


def imports(module: Module, *, only_top: bool = False) -> Iterator[tuple[int, str]]:
    """Every (line, dotted name) that the module imports; `from a import b` is a.b."""
    package = [PACKAGE, *module.path.split("/")[:-1]]
    for node in module.tree.body if only_top else ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            yield from (
                (node.lineno, arg.value)
                for arg in node.args[:1]
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )


def unit_of(dotted: str, units: set[str]) -> str | None:
    """The unit that an import reaches: a name that is no unit comes from the package's own `__init__`."""
    parts = dotted.split(".")
    if parts[0] != PACKAGE:
        return None
    return parts[1] if len(parts) > 1 and parts[1] in units else "__init__"


def floors(modules: list[Module]) -> list[str]:
    """Imports go down; neighbours on one floor keep apart; the server knows no client."""
    units = FLOORS.keys() | {module.unit for module in modules}
    wrong = [f"{module.path}: {module.unit} stands on no floor" for module in modules if module.unit not in FLOORS]
    for module in modules:
        own = FLOORS.get(module.unit, 99)
        for line, dotted in imports(module):
            unit = unit_of(dotted, units)
            if unit is None or unit == module.unit or unit not in FLOORS:
                continue
            floor = FLOORS[unit]
            if floor > own:
                wrong.append(f"{module.path}:{line}: floor {own} imports {dotted} from floor {floor}")
            elif floor == own and own in {3, 4, 5} and (module.unit, unit) not in NEIGHBOURS:
                wrong.append(f"{module.path}:{line}: {module.unit} imports its neighbour {unit}")
            elif module.unit == "server" and floor not in SERVER_FLOORS:
                wrong.append(f"{module.path}:{line}: the server imports {dotted} from floor {floor}")
    return wrong


def acquaintances(modules: list[Module]) -> set[tuple[str, str]]:
    """Which units of one floor import one another."""
    units = FLOORS.keys() | {module.unit for module in modules}
    found = set()
    for module in modules:
        for _, dotted in imports(module):
            unit = unit_of(dotted, units)
            if unit != module.unit and FLOORS.get(unit or "") == FLOORS.get(module.unit, 99):
                found.add((module.unit, unit or ""))
    return found


def doors(modules: list[Module]) -> list[str]:
    """What has a door is imported there only, and every foreign package has one."""
    wrong = []
    for module in modules:
        for line, dotted in imports(module):
            top = dotted.partition(".")[0]
            if top in DOORS:
                if not module.path.startswith(DOORS[top]):
                    wrong.append(f"{module.path}:{line}: {top} is imported by {', '.join(DOORS[top])} only")
            elif top != PACKAGE and top not in sys.stdlib_module_names:
                wrong.append(f"{module.path}:{line}: {top} has no door")
    return wrong


def pure_wire(modules: list[Module]) -> list[str]:
    """What is in wire/ depends on its arguments alone: no socket, clock, file or environment."""
    wrong = []
    for module in modules:
        if module.unit != "wire":
            continue
        for line, dotted in imports(module):
            parts = dotted.split(".")
            if parts[0] in FAR_FROM_THE_WIRE or (parts[0] == "time" and parts[-1] in READINGS and len(parts) > 1):
                wrong.append(f"{module.path}:{line}: imports {dotted}")
        wrong += [
            f"{module.path}:{node.lineno}: reads {ast.unparse(node)}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and node.attr in READINGS
            and isinstance(node.value, ast.Name)
            and node.value.id in {"time", "datetime", "date"}
        ]
        wrong += [
            f"{module.path}:{node.lineno}: opens a file"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        ]
    return wrong


def no_circles(modules: list[Module]) -> list[str]:
    """No module needs itself to be imported."""
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        needs = graph.setdefault(module.name, set())
        for _, dotted in imports(module, only_top=True):
            inside = dotted.removeprefix(f"{PACKAGE}.")
            # `from s3func.s3 import operations` needs the module operations, not what the package makes of it.
            found = next((name for name in (inside, inside.rpartition(".")[0]) if name in names), None)
            if dotted != inside and found is not None:
                needs.add(found)
        needs.discard(module.name)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def sizes(modules: list[Module]) -> list[str]:
    """A file is read in one sitting, a function on one screen."""
    wrong = []
    for module in modules:
        lines = module.text.count("\n")
        if lines > FILE_LINES:
            wrong.append(f"{module.path}: {lines} lines, more than {FILE_LINES}")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    wrong.append(
                        f"{module.path}:{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION_LINES}"
                    )
    return wrong


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Every (line, comment) of a file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def exceptions_name_their_code(modules: list[Module]) -> list[str]:
    """A checker is silenced for one named reason, never altogether."""
    return [
        f"{module.path}:{line}: {comment}"
        for module in modules
        for line, comment in comments(module.text)
        if re.search(r"type:\s*ignore(?!\[[a-z])|noqa(?!:\s?[A-Z]+\d)|(?:mypy|ruff):\s*(?:ignore-errors|noqa)", comment)
    ]


def nothing_unfinished(modules: list[Module]) -> list[str]:
    """No mark of unfinished work; only a command line prints."""
    wrong = []
    for module in modules:
        for number, line in enumerate(module.text.splitlines(), 1):
            if mark := re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", line):
                wrong.append(f"{module.path}:{number}: {mark[0]}")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and module.unit != "cli":
                if node.func.id in {"print", "breakpoint"}:
                    wrong.append(f"{module.path}:{node.lineno}: {node.func.id}")
            elif (
                isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc)
            ):
                wrong.append(f"{module.path}:{node.lineno}: a stub")
    return wrong


RULES: list[Rule] = [
    floors,
    doors,
    pure_wire,
    no_circles,
    sizes,
    exceptions_name_their_code,
    nothing_unfinished,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    """Every house rule holds for every file of the package."""
    assert [] == rule(modules_of(package_files()))


HASH = "#"  # comments of the bad trees below are spelled in two pieces, so that this file itself keeps the rules

# Each row: a rule, a tree that breaks it, and what the complaint has to contain.
BAD_TREES: list[tuple[Rule, dict[str, str], str]] = [
    (
        floors,
        {"wire/a.py": "from s3func.transport import client"},
        "floor 1 imports s3func.transport.client from floor 2",
    ),
    (floors, {"wire/a.py": "from s3func import S3Session"}, "from floor 6"),
    (floors, {"wire/a.py": "import s3func"}, "from floor 6"),
    (floors, {"s3/a.py": "def f():\n    from ..cli import main"}, "floor 4 imports s3func.cli.main"),
    (floors, {"s3/a.py": "from .. import testing"}, "from floor 6"),
    (
        floors,
        {"s3/a.py": "import importlib\nimportlib.import_module('s3func.sync')"},
        "a.py:2: floor 4 imports s3func.sync",
    ),
    (floors, {"s3/a.py": "from s3func.b2.auth import Grant"}, "s3 imports its neighbour b2"),
    (floors, {"b2/a.py": "import s3func.s3.session"}, "b2 imports its neighbour s3"),
    (floors, {"sync/a.py": "from s3func.files import S3Object"}, "sync imports its neighbour files"),
    (floors, {"connect.py": "from s3func.sync import plan"}, "connect imports its neighbour sync"),
    (floors, {"lock.py": "from s3func.session import Session"}, "lock imports its neighbour session"),
    (
        floors,
        {"server/a.py": "from s3func.transport.pool import Pool"},
        "the server imports s3func.transport.pool.Pool",
    ),
    (floors, {"server/a.py": "from s3func.s3.session import S3Session"}, "the server imports"),
    (floors, {"utils.py": ""}, "stands on no floor"),
    (doors, {"s3/a.py": "import urllib3.util"}, "urllib3 is imported by transport/pool.py only"),
    (doors, {"transport/client.py": "def f():\n    import socket"}, "client.py:2: socket is imported by"),
    (doors, {"server/app.py": "from uvicorn import Server"}, "uvicorn is imported by"),
    (doors, {"testing.py": "import click"}, "click is imported by cli/ only"),
    (doors, {"s3/a.py": "import boto3"}, "boto3 has no door"),
    (pure_wire, {"wire/a.py": "import os.path"}, "imports os.path"),
    (pure_wire, {"wire/a.py": "from time import monotonic"}, "imports time.monotonic"),
    (pure_wire, {"wire/a.py": "import time\nnow = time.time()"}, "a.py:2: reads time.time"),
    (pure_wire, {"wire/a.py": "from datetime import datetime\ndatetime.now(None)"}, "reads datetime.now"),
    (pure_wire, {"wire/a.py": "open('x')"}, "opens a file"),
    (
        no_circles,
        {"s3/a.py": "from s3func.s3 import b", "s3/b.py": "from s3func.s3.a import f"},
        "imports s3.b imports",
    ),
    (sizes, {"a.py": "\n" * 601}, "601 lines, more than 600"),
    (sizes, {"a.py": "class A:\n    def f(self):" + "\n        pass" * 70}, "a.py:2: f has 71 lines"),
    (exceptions_name_their_code, {"a.py": f"x = 1  {HASH} type: ignore"}, "a.py:1"),
    (exceptions_name_their_code, {"a.py": f"x = 1  {HASH} noqa"}, "a.py:1"),
    (exceptions_name_their_code, {"a.py": f"{HASH} ruff: noqa"}, "a.py:1"),
    (nothing_unfinished, {"a.py": f"x = 1  {HASH} TO" + "DO: later"}, "a.py:1"),
    (nothing_unfinished, {"wire/a.py": "print('x')"}, "a.py:1: print"),
    (nothing_unfinished, {"s3/a.py": "def f():\n    raise NotImplementedError('x')"}, "a stub"),
]


def test_no_neighbour_is_allowed_in_vain() -> None:
    """Each pair of neighbours that may know each other does, so that the list says how it is."""
    assert set() == NEIGHBOURS - acquaintances(modules_of(package_files()))


@pytest.mark.parametrize(("rule", "files", "complaint"), BAD_TREES)
def test_a_rule_can_fail(rule: Rule, files: dict[str, str], complaint: str) -> None:
    """A tree that breaks a rule gets exactly one complaint, and it says where and why."""
    found = rule(modules_of(files))
    assert 1 == len(found), found
    assert complaint in found[0]


GOOD_TREE = {
    "errors.py": "class A(Exception): ...",
    "wire/a.py": f"import time\nfrom s3func.errors import A\n\ndef f(t):\n    return time.gmtime(t)  {HASH} noqa: X100",
    "wire/b.py": "from .a import f",
    "transport/pool.py": "import socket, ssl, urllib3",
    "session.py": "from s3func.lock import Lock",
    "s3/session.py": "from s3func.session import Session\nfrom s3func.wire import a",
    "server/app.py": "from ..wire.b import f\nfrom s3func.session import Session",
    "server/listener.py": "import uvicorn, asyncio\nfrom s3func.server.app import x",
    "sync/a.py": f"import s3func.connect  {HASH} type: ignore[import-untyped]",
    "cli/main.py": "import click, tqdm\nfrom s3func import S3Session\nprint(S3Session)",
    "__init__.py": "def __getattr__(name):\n    from s3func.s3.session import S3Session",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_can_be_kept(rule: Rule) -> None:
    """A small tree that does everything the rules allow gets no complaint."""
    assert [] == rule(modules_of(GOOD_TREE))


def drawn_tree(drawing: str) -> dict[str, str | None]:
    """Each class of a drawn tree with its parent."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in drawing.splitlines():
        if match := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w*)\b", line):
            depth = len(match[1])
            while above and above[-1][0] >= depth:
                above.pop()
            parents[match[2]] = above[-1][1] if above else None
            above.append((depth, match[2]))
    return parents


def class_tree(classes: list[type], root: type) -> dict[str, str | None]:
    """Each class of a real tree with its parent inside the tree."""
    return {
        cls.__name__: next((base.__name__ for base in cls.__bases__ if issubclass(base, root)), None) for cls in classes
    }


def test_the_drawing_of_the_errors_is_true() -> None:
    """The tree at the top of errors.py is the tree of the classes, none missing and none too many."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.S3FuncError) and value.__module__ == errors.__name__
    ]
    assert class_tree(classes, errors.S3FuncError) == drawn_tree(errors.__doc__ or "")


def test_a_wrong_drawing_is_seen() -> None:
    """A class drawn under the wrong parent differs from the real tree."""
    drawing = "    Root\n    ├── A       words\n    │   └── B\n    └── C\n        └── D\n"
    assert {"Root": None, "A": "Root", "B": "A", "C": "Root", "D": "C"} == drawn_tree(drawing)
    assert {"Root": None, "A": "Root", "B": "Root"} == drawn_tree("    Root\n    ├── A\n    └── B\n")


PUBLIC_MODULES = [
    name
    for name, path in {
        "s3func": "__init__.py",
        "s3func.errors": "errors.py",
        "s3func.server": "server/__init__.py",
        "s3func.sync": "sync/__init__.py",
        "s3func.testing": "testing.py",
    }.items()
    if (ROOT / PACKAGE / path).exists()
]


def undocumented(name: str, value: Any, contracts: Sequence[type] = ()) -> list[str]:
    """What of a public name has no docstring; an implementer need not repeat what its contract says.

    A contract is a base class, or a Protocol that is public beside it.
    """
    if not inspect.isclass(value):
        return [] if not inspect.isroutine(value) or inspect.getdoc(value) else [name]
    missing = [] if vars(value).get("__doc__") else [name]
    for attribute, member in vars(value).items():
        if attribute.startswith("_") or not (inspect.isroutine(member) or isinstance(member, property)):
            continue
        if not any(getattr(vars(base).get(attribute), "__doc__", None) for base in (*value.__mro__, *contracts)):
            missing.append(f"{name}.{attribute}")
    return missing


@pytest.mark.parametrize("module_name", PUBLIC_MODULES)
def test_public_names_are_documented(module_name: str) -> None:
    """Every name in `__all__`, and every public method and property of its classes, has a docstring."""
    module = importlib.import_module(module_name)
    assert module.__doc__
    # errors.py has no list of names: all its classes are public.
    names = getattr(module, "__all__", [name for name, value in vars(module).items() if inspect.isclass(value)])
    assert len(set(names)) == len(names)
    contracts = [value for name in names if getattr(value := getattr(module, name), "_is_protocol", False)]
    assert [] == [missing for name in names for missing in undocumented(name, getattr(module, name), contracts)]


def test_missing_documentation_is_seen() -> None:
    """A class, a method, a property and a function without docstring are all found; an inherited one counts."""

    class Contract:
        """Documented."""

        def put(self) -> None:
            """Documented here, and so for every implementer."""

    class Good(Contract):
        """Documented."""

        def put(self) -> None: ...

    class Bad(Contract):
        def get(self) -> None: ...

        @property
        def size(self) -> int:
            return 0

    assert [] == undocumented("Good", Good)
    assert ["Bad", "Bad.get", "Bad.size"] == undocumented("Bad", Bad)

    class Likewise:
        """Documented."""

        def put(self) -> None: ...

    assert ["Likewise.put"] == undocumented("Likewise", Likewise)
    assert [] == undocumented("Likewise", Likewise, [Contract])
    assert ["f"] == undocumented("f", lambda: None)


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter loads for the code, beyond those it starts with."""
    program = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stdout.split()}


HEAVY = {"urllib3", "boto3", "botocore", "asyncio", "uvicorn", "click", "tqdm", "ssl", "sqlite3", "http", "email"}


@pytest.mark.parametrize("code", ["import s3func", "from s3func import S3Session", "from s3func import B2Session"])
def test_importing_is_light(code: str) -> None:
    """Neither the package nor the session loads a network library, an event loop, a server or a command line."""
    assert set() == loaded_by(code) & HEAVY


def test_a_heavy_import_is_seen() -> None:
    """The look at a fresh interpreter does see what is loaded."""
    assert {"urllib3", "ssl"} <= loaded_by("import urllib3")


def python_files() -> dict[str, str]:
    """Every Python file of the repository outside the package."""
    folders = [ROOT / name for name in ("tests", "benchmarks", "docs")]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for folder in folders
        for path in folder.rglob("*.py")
    }


def test_exceptions_of_the_tests_name_their_code() -> None:
    """Tests and benchmarks silence a checker for one named reason, too."""
    assert [] == exceptions_name_their_code(modules_of(python_files()))


def silent_tests(modules: list[Module]) -> list[str]:
    """The tests that do not say what must hold."""
    return [
        f"{module.path}:{node.lineno}: {node.name}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]


def test_every_test_says_what_must_hold() -> None:
    """Each test has a docstring."""
    files = {path: text for path, text in python_files().items() if Path(path).name.startswith(("test_", "conftest"))}
    assert [] == silent_tests(modules_of(files))
    assert ["t.py:2: test_b"] == silent_tests(
        modules_of({"t.py": "def test_a():\n    'Holds.'\ndef test_b(): pass".replace("\n    ", " ")})
    )


def tracked_files() -> list[Path]:
    """What is in the repository; without git (an unpacked sdist) there is nothing to ask."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    done = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True, cwd=ROOT)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# Spelled in pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    left + right
    for left, right in (
        ("pypi", ".org"),
        ("files.python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("registry.yarn", "pkg.com"),
        ("deb.debi", "an.org"),
        ("snapshot.debi", "an.org"),
        ("proxy.go", "lang.org"),
        ("crates", ".io/api"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w./*-])/(?:home|root|work|Users)/\w")
INDEX = re.compile('registry = ["\']https?:|index-url *[= ] *["\']?https?:|"resolved": *"https?:')


def places(text: str) -> list[str]:
    """Lines that would be true on one machine only, or that name where packages came from."""
    return [
        line.strip()
        for line in text.splitlines()
        if MACHINE_PATH.search(line) or INDEX.search(line) or any(name in line for name in REGISTRIES)
    ]


def test_no_machine_path_and_no_registry_host() -> None:
    """Nothing in the repository names a folder of one machine or the host of a package registry."""
    texts = {path: path.read_text("utf-8", errors="replace") for path in tracked_files()}
    assert {} == {path.name: found for path, text in texts.items() if (found := places(text))}


@pytest.mark.parametrize("line", ["cd /home" + "/me/x", 'p = "/work' + '/x"', f"see https://{REGISTRIES[0]}/project/x"])
def test_a_machine_path_is_seen(line: str) -> None:
    """The look for such names does find them."""
    assert [line] == places(f"first\n{line}\nlast")


def test_the_lock_file_is_not_tracked() -> None:
    """`uv.lock` stays out: its format names the hosts of registries."""
    assert "uv.lock" not in {path.name for path in tracked_files()}
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").split()
