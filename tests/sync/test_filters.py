"""Filters against what they are said to mean: a slow reading of globs, and git itself for its own dialect."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3func.sync.filters import Filters

PARTS = st.lists(st.sampled_from("ab.-"), min_size=1, max_size=3).map("".join)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(["a", "b", ".", "-", "*", "?", "[ab]", "[!a]", "[a-c.]"])
COMPONENTS = st.one_of(
    st.just("**"), st.lists(PIECES, min_size=1, max_size=3).map("".join).filter(lambda p: "**" not in p)
)
GLOBS = st.builds(
    lambda parts, front, end: front + "/".join(parts) + end,
    st.lists(COMPONENTS, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
    st.sampled_from(["", "/"]),
)


def parts_match(pattern: list[str], parts: list[str]) -> bool:
    """Whether the parts of a pattern cover exactly these parts of a name."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(parts)
        return any(parts_match(pattern[1:], parts[skipped:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and parts_match(pattern[1:], parts[1:])


def glob_matches(pattern: str, name: str) -> bool:
    """What the documentation says, tried on every run of parts of the name."""
    parts = name.split("/")
    wanted = pattern.strip("/").split("/")
    starts = [0] if pattern.startswith("/") else range(len(parts))
    # Where a run ends before the name does, it is a folder that was matched.
    ends = len(parts) if pattern.endswith("/") else len(parts) + 1
    return any(parts_match(wanted, parts[start:end]) for start in starts for end in range(start + 1, ends))


@given(GLOBS, NAMES)
def test_a_glob_means_what_is_documented(pattern: str, name: str) -> None:
    """A pattern matches a name exactly where a slow reading of its definition says so."""
    assert glob_matches(pattern, name) != Filters(exclude=pattern).matches(name)


@pytest.mark.parametrize(
    ("pattern", "taken", "left_out"),
    [
        ("*.tmp", ["a.txt", "tmp", "a.tmp2"], ["a.tmp", "d/a.tmp", "d.tmp/a"]),
        ("/*.tmp", ["d/a.tmp"], ["a.tmp"]),
        (
            "node_modules",
            ["node_modules2/x", "my_node_modules"],
            ["node_modules", "node_modules/x/y", "a/node_modules/x"],
        ),
        ("node_modules/", ["node_modules"], ["node_modules/x", "a/node_modules/x/y"]),
        ("logs/*", ["logs"], ["logs/a", "logs/a/b", "x/logs/a"]),
        ("/logs/**", ["logs", "x/logs/a"], ["logs/a", "logs/a/b"]),
        ("a/**/z", ["az", "a", "z"], ["a/z", "a/b/z", "a/b/c/z", "x/a/z"]),
        ("*.{jpg,pn[gG]}", ["a.gif"], ["a.jpg", "d/a.pnG"]),
        ("d?y", ["d/y", "dy"], ["day", "d.y"]),
        ("[!a]*", ["a", "ab"], ["b", "a/b"]),
        ("[]x]", ["a"], ["]", "x"]),
        (r"\*", ["a"], ["*"]),
        ("a,b", ["a", "b"], ["a,b"]),
        ("+(x)", ["x"], ["+(x)"]),
        ("é*", ["e"], ["éa"]),
        ("new\nline", ["new"], ["new\nline"]),
    ],
)
def test_globs_by_example(pattern: str, taken: list[str], left_out: list[str]) -> None:
    """Patterns as people write them leave out what people mean."""
    filters = Filters(exclude=[pattern])
    assert taken == [name for name in taken if filters.matches(name)]
    assert [] == [name for name in left_out if filters.matches(name)]


RULES = st.lists(st.tuples(st.sampled_from("+-"), GLOBS), max_size=4)


@given(st.lists(GLOBS, max_size=3), st.lists(GLOBS, max_size=3), RULES, NAMES)
def test_the_parts_of_a_filter_come_together_as_documented(
    exclude: list[str], include: list[str], rules: list[tuple[str, str]], name: str
) -> None:
    """No exclude, one of the includes, and the first rule that matches: all have to let a name through."""
    filters = Filters(exclude=exclude, include=include, rules=[f"{sign} {pattern}" for sign, pattern in rules])
    everything = {"*", "**", "/*", "/**", "**/*"}
    is_excluded = any(glob_matches(item, name) for item in exclude if not (include and item in everything))
    is_included = not include or any(glob_matches(item, name) for item in include)
    ruled = next((sign for sign, pattern in rules if glob_matches(pattern, name)), "+")
    assert (not is_excluded and is_included and ruled == "+") == filters.matches(name)


@given(st.lists(GLOBS, max_size=2), st.lists(GLOBS, max_size=2), RULES, st.lists(GLOBS, max_size=3), NAMES)
def test_t12_nothing_that_takes_part_lies_in_a_pruned_folder(
    exclude: list[str], include: list[str], rules: list[tuple[str, str]], ignore: list[str], name: str
) -> None:
    """T12: a folder that is not looked into has nothing in it that the other side, which lists all keys, would see."""
    filters = Filters(
        exclude=exclude,
        include=include,
        rules=[f"{sign} {pattern}" for sign, pattern in rules],
        gitignore=ignore,
    )
    if filters.matches(name):
        folders = name.split("/")[:-1]
        assert [] == [
            "/".join(folders[: end + 1]) for end in range(len(folders)) if filters.prunes("/".join(folders[: end + 1]))
        ]


def test_folders_that_are_left_out_are_not_looked_into() -> None:
    """Pruning happens where it can: by globs, rules, lists and .gitignore, and not where something below may be wanted."""
    assert Filters(exclude="cache").prunes("a/cache")
    assert Filters(exclude="/cache/**").prunes("cache")
    assert not Filters(exclude="*.tmp").prunes("a")
    assert Filters(rules=["- /x", "+ *.jpg"]).prunes("x")
    assert not Filters(rules=["+ *.jpg", "- /x"]).prunes("x")
    assert Filters(gitignore="build/\n").prunes("src/build")
    assert Filters(files_from=["a/b/c"]).prunes("d")
    assert not Filters(files_from=["a/b/c"]).prunes("a/b")
    assert not Filters(exclude=re.compile("x")).prunes("x")


def test_include_beside_exclude() -> None:
    """Includes restrict, excludes take away from that; "exclude everything but" may be written as elsewhere."""
    filters = Filters(include=["*.txt", "docs"], exclude="draft*")
    assert [True, True, False, False, False] == [
        filters.matches(name) for name in ("a.txt", "docs/x.jpg", "a.jpg", "draft.txt", "docs/drafts/x")
    ]
    assert Filters(exclude="*", include="*.txt").matches("d/a.txt")
    assert not Filters(exclude="*", include="*.txt").matches("a.jpg")
    assert not Filters(exclude="*").matches("a.txt")


def test_rules_are_those_of_rclone() -> None:
    """The first rule that matches decides, as in rclone's filter files."""
    filters = Filters(rules=["- secret*.jpg", "+ *.jpg", "+ file2.avi", "- *"])
    names = ["secret17.jpg", "d/a.jpg", "file2.avi", "a.png"]
    assert [False, True, True, False] == [filters.matches(name) for name in names]


def test_regular_expressions() -> None:
    """A re.Pattern is searched for in the name; as a dialect, every pattern is one."""
    assert not Filters(exclude=re.compile(r"\.(bak|tmp)$")).matches("a.bak")
    assert Filters(exclude=re.compile(r"^\.")).matches("a/.b")
    filters = Filters(exclude=[r"__pycache__", r"(^|/)\."], dialect="regex")
    assert [False, False, True] == [filters.matches(name) for name in ("a/__pycache__/b", "d/.git/x", "a.b")]
    assert not Filters(exclude="A", dialect="regex", ignore_case=True).matches("bab")
    assert not Filters(exclude="*.JPG", ignore_case=True).matches("a.jpg")


def test_a_list_of_names() -> None:
    """files_from takes these names and nothing else; "*" in them is a character."""
    filters = Filters(files_from=["a/b", "c*"])
    assert [True, True, False, False] == [filters.matches(name) for name in ("a/b", "c*", "cd", "a")]
    assert not Filters(files_from=[]).matches("a")


def test_sizes() -> None:
    """Both limits are inside."""
    filters = Filters(min_size=2, max_size=4)
    assert [False, True, True, False] == [filters.takes_size(size) for size in (1, 2, 4, 5)]
    assert filters.has_sizes
    assert not Filters().has_sizes


IGNORE_PIECES = st.sampled_from(["a", "b", "*", "?", "**", "/", "/", "[ab]", "[!a]", "\\*", ".", "-"])
IGNORE_LINES = st.builds(
    lambda front, pieces, end: front + "".join(pieces) + end,
    st.sampled_from(["", "", "!", "/", "**/", "#", "\\!"]),
    st.lists(IGNORE_PIECES, min_size=1, max_size=5),
    st.sampled_from(["", "", "/", "/**", " ", "\\ "]),
    # Two stars beside anything but a slash are documented to be one; git takes `/a**` for `/a/**` all the same.
).filter(lambda line: re.search(r"[^/]\*\*|\*\*[^/]", line.removeprefix("!")) is None)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository."""
    if shutil.which("git") is None:
        pytest.skip("git, whose dialect this is, is not installed")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True, capture_output=True)
    return folder


@settings(max_examples=150)
@given(
    lines=st.lists(IGNORE_LINES, min_size=1, max_size=4), names=st.lists(NAMES, min_size=1, max_size=12, unique=True)
)
def test_gitignore_means_what_git_says(repository: Path, lines: list[str], names: list[str]) -> None:
    """For any lines and names, the same names are ignored as by git."""
    names = [name for name in names if not {"..", "."} & set(name.split("/")) and not name.startswith("-")]
    (repository / ".gitignore").write_text("".join(f"{line}\n" for line in lines))
    answer = subprocess.run(
        ["git", "-C", str(repository), "check-ignore", "--no-index", "--stdin", "-z"],
        input="".join(f"{name}\0" for name in names).encode(),
        capture_output=True,
        check=False,
    )
    assert answer.returncode in {0, 1}, answer.stderr
    ignored = set(answer.stdout.decode().split("\0")) - {""}
    assert ignored == {name for name in names if not Filters(gitignore=lines).matches(name)}


def test_gitignore_by_example() -> None:
    """A file as it stands in repositories."""
    text = "# built\n*.o\n!keep.o\n/dist/\ndocs/**/tmp\n\nspace\\ \ntrailing   \n"
    filters = Filters(gitignore=text)
    names = ["a.o", "x/keep.o", "dist/a", "x/dist/a", "docs/a/b/tmp", "docs/tmp/x", "space ", "trailing", "dist"]
    assert [False, True, False, True, False, False, False, False, True] == [filters.matches(name) for name in names]


def test_filters_travel_and_keep_their_fingerprint(tmp_path: Path) -> None:
    """Pickled filters are equal and say the same; the fingerprint is the same in another process, and differs if they do."""
    choices = {
        "exclude": ["*.tmp", re.compile("x", re.IGNORECASE)],
        "include": ["a"],
        "rules": ["- b"],
        "gitignore": ["c"],
        "files_from": ["d", "e"],
        "min_size": 1,
        "max_size": 9,
        "ignore_case": True,
    }
    filters = Filters(**choices)  # type: ignore[arg-type]
    twin = pickle.loads(pickle.dumps(filters))
    assert filters == twin
    assert hash(filters) == hash(twin)
    assert filters.matches("a") == twin.matches("a")
    program = (
        "import re; from s3func.sync.filters import Filters;"
        "print(Filters(exclude=['*.tmp', re.compile('x', re.I)], include=['a'], rules=['- b'], gitignore=['c'],"
        "files_from=['e', 'd'], min_size=1, max_size=9, ignore_case=True).fingerprint)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert filters.fingerprint == done.stdout.strip()
    fewer = [Filters(**{key: choices[key] for key in choices if key != left}) for left in choices]  # type: ignore[arg-type]
    prints = {each.fingerprint for each in [*fewer, filters, Filters()]}
    assert len(choices) + 2 == len(prints)


def test_filters_show_what_they_were_given() -> None:
    """The repr says what was asked for and nothing else; no filter at all is known as such."""
    assert "Filters(exclude=['a'], files_from=['b'])" == repr(Filters(exclude="a", files_from=["b"]))
    assert Filters().is_empty
    assert not Filters(max_size=0).is_empty


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"exclude": "["}, ValueError, "bracket"),
        ({"exclude": "a{b"}, ValueError, "brace"),
        ({"exclude": "/"}, ValueError, "slashes"),
        ({"include": ""}, ValueError, "include"),
        ({"exclude": ["("], "dialect": "regex"}, ValueError, "no pattern"),
        ({"exclude": [3]}, TypeError, "exclude"),
        ({"include": re.compile(b"a")}, TypeError, "include"),
        ({"rules": ["a"]}, ValueError, "rules"),
        ({"rules": ["+a"]}, ValueError, "rules"),
        ({"min_size": -1}, ValueError, "min_size"),
        ({"max_size": "1k"}, ValueError, "max_size"),
        ({"dialect": "sql"}, ValueError, "dialect"),
    ],
)
def test_what_is_no_filter_is_refused(options: dict[str, object], error: type[Exception], words: str) -> None:
    """A pattern that means nothing is refused when the filters are made, and the argument or the pattern is named."""
    with pytest.raises(error, match=words):
        Filters(**options)  # type: ignore[arg-type]


def test_every_combination_of_two_includes_is_either() -> None:
    """Several includes are alternatives."""
    filters = Filters(include=["a*", "*b"])
    for first, last in product("abc", repeat=2):
        assert (first == "a" or last == "b") == filters.matches(first + last)
