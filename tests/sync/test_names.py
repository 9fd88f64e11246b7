"""Names and paths: one to one, and never outside of the folder."""

from __future__ import annotations

import os
import pickle
import unicodedata
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import UnsafeKey
from s3func.sync.names import OURS, Fault, NamePolicy, folded, posix_fault, printable, windows_fault

POSIX = NamePolicy(rules="posix")
WINDOWS = NamePolicy(rules="windows")

# What has led out of folders elsewhere: s5cmd #872, Hugging Face #4731, S3Scanner CVE-2021-32061, airflow #68984.
TRAVERSALS = [
    "../evil",
    "..",
    ".",
    "a/../../evil",
    "a/..",
    "/etc/cron.d/x",
    "//host/share/x",
    "/",
    "a//b",
    "a/./b",
    "./a",
    "a/",
    "",
    "a\0b",
    "C:/../x",
]
WINDOWS_TRAVERSALS = [
    "C:/../x",
    "C:/x",
    "C:x",
    "c:",
    "..\\..\\evil",
    "a\\..\\..\\evil",
    "\\\\host\\share\\x",
    "\\x",
    "a/b\\c",
    "a:stream",
    "file.txt::$DATA",
    "CON",
    "con.txt",
    "a/NUL",
    "nul.tar.gz",
    "COM1",
    "LPT¹.log",
    "CONIN$",
    "aux ",
    "PRN .txt",
    "trailing.",
    "trailing ",
    "a./b",
    "what?",
    "a*b",
    "<a>",
    'quo"te',
    "tab\tbed",
    "pi|pe",
]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_t46_a_key_never_leaves_the_folder(name: str) -> None:
    """T46: a key that is no path below the folder is UnsafeKey."""
    with pytest.raises(UnsafeKey):
        POSIX.to_path(name)
    with pytest.raises(UnsafeKey):
        WINDOWS.to_path(name)


@pytest.mark.parametrize("name", WINDOWS_TRAVERSALS)
def test_t46_a_key_never_leaves_the_folder_on_windows(name: str) -> None:
    """T46: drives, shares, streams, devices and what Windows cuts off are UnsafeKey by its rules."""
    with pytest.raises(UnsafeKey):
        WINDOWS.to_path(name)


@pytest.mark.parametrize(
    "name", ["a", "a/b", "...", "..a", "a..", "-", " a", "~", "é/ß", "con2", "comet", "a b", "{x}", "nulls.txt"]
)
def test_an_ordinary_name_is_its_own_path(name: str) -> None:
    """What both systems can have stays as it is (a dot or a space at the end only on POSIX)."""
    assert name == POSIX.to_path(name)
    assert name == POSIX.to_name(name)
    if not name.endswith("."):
        assert name == WINDOWS.to_path(name)


@given(st.text(alphabet=st.sampled_from("aC:./\\ é~%*\0 nulNUL$1"), max_size=12))
def test_t46_t48_paths_are_contained_and_one_to_one(name: str) -> None:
    """T46, T48: by either system's own arithmetic of paths, a mapped name lies below the folder, under its own name."""
    root = os.path.abspath("/r")
    path = POSIX.path_of(name)
    if not isinstance(path, Fault):
        joined = os.path.normpath(os.path.join(root, path))
        assert joined.startswith(root + "/")
        # Nothing was folded away: the path is the name, letter by letter.
        assert os.path.join(root, name) == joined
        assert name == POSIX.to_name(path)
    path = WINDOWS.path_of(name)
    if not isinstance(path, Fault):
        pure = PureWindowsPath("C:/r") / path
        assert PureWindowsPath("C:/r") in pure.parents
        assert not pure.is_reserved()
        assert name.split("/") == list(pure.relative_to("C:/r").parts)


NAMES = st.lists(
    st.lists(
        st.sampled_from([*"a%25FC3A9.", "\u00e9", "e\u0301", "__file__", ".__file__", "%25", "%FF", "%C3%A9"]),
        max_size=6,
    ).map("".join),
    min_size=1,
    max_size=3,
).map("/".join)
POLICIES = [
    NamePolicy(non_utf8=non_utf8, unicode=unicode, conflict=conflict, rules=rules)
    for non_utf8 in ("error", "escape")
    for unicode in ("raw", "nfc")
    for conflict in ("error", "suffix")
    for rules in ("posix", "windows")
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@given(name=NAMES, other=NAMES, is_conflict=st.booleans())
def test_t48_names_survive_the_way_to_the_disk_and_back(
    policy: NamePolicy, name: str, other: str, is_conflict: bool
) -> None:
    """T48: under every policy a name that has a path gets its name back from it, and no other name has this path."""
    path = policy.path_of(name, is_conflict=is_conflict)
    if isinstance(path, Fault):
        return
    assert name == policy.to_name(path)
    if name != other:
        assert path != policy.path_of(other)
        assert path != policy.path_of(other, is_conflict=True)


@given(
    st.binary(min_size=1, max_size=12).filter(
        lambda raw: b"\0" not in raw and b"/" not in raw and raw not in {b".", b".."}
    )
)
def test_t50_every_name_of_a_disk_survives_the_way_to_a_key_and_back(raw: bytes) -> None:
    """T50: with escapes, any bytes that a disk can have for a name become a key, and the key becomes those bytes again."""
    policy = NamePolicy(non_utf8="escape", rules="posix")
    path = raw.decode("utf-8", "surrogateescape")
    name = policy.to_name(path)
    name.encode()
    assert path == policy.to_path(name)


def test_t50_a_name_that_is_no_text_is_refused_unless_escapes_were_asked_for() -> None:
    """T50: bytes that are no UTF-8 are an error by default, and %FF where they are to be escaped; nothing is renamed silently."""
    path = b"caf\xe9".decode("utf-8", "surrogateescape")
    with pytest.raises(UnsafeKey, match="UTF-8"):
        POSIX.to_name(path)
    assert "caf%E9" == NamePolicy(non_utf8="escape").to_name(path)
    assert "100%" == NamePolicy(non_utf8="escape").to_name("100%")
    assert "100%25FF" == NamePolicy(non_utf8="escape").to_name("100%FF")


def test_t52_normal_forms_are_kept_apart() -> None:
    """T52: as they are, the NFC and the NFD spelling of a name are two names and two paths."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert [composed, decomposed] == [POSIX.to_name(composed), POSIX.to_name(decomposed)]
    assert POSIX.to_path(composed) != POSIX.to_path(decomposed)


def test_t21_normalising_is_asked_for_and_never_makes_two_names() -> None:
    """T21: with unicode="nfc" a local name is made NFC, and a key that is not NFC is refused, not renamed."""
    policy = NamePolicy(unicode="nfc", rules="posix")
    assert "caf\u00e9" == policy.to_name("cafe\u0301")
    with pytest.raises(UnsafeKey, match="NFC"):
        policy.to_path("cafe\u0301")


def test_t53_a_file_that_is_also_a_folder_gets_a_name_of_its_own_and_loses_it_on_the_way_back() -> None:
    """T53: with conflict="suffix" the key `a` beside `a/b` is the file `a.__file__`, which is the key `a` again."""
    policy = NamePolicy(conflict="suffix", rules="posix")
    assert "d/a.__file__" == policy.to_path("d/a", is_conflict=True)
    assert "d/a" == policy.to_path("d/a")
    assert "d/a" == policy.to_name("d/a.__file__")
    # A key that really ends so keeps its ending.
    assert "d/a.__file__.__file__" == policy.to_path("d/a.__file__")
    assert "d/a.__file__" == policy.to_name("d/a.__file__.__file__")
    # As a folder the ending means nothing.
    assert "a.__file__/b" == policy.to_name("a.__file__/b") == policy.to_path("a.__file__/b")


@pytest.mark.parametrize(
    ("name", "policy", "is_good"),
    [
        ("x" * 255, POSIX, True),
        ("x" * 256, POSIX, False),
        ("é" * 127, POSIX, True),
        ("é" * 128, POSIX, False),
        ("d/" + "x" * 256 + "/f", POSIX, False),
        ("é" * 255, WINDOWS, True),
        ("\U0001f600" * 127, WINDOWS, True),
        ("\U0001f600" * 128, WINDOWS, False),
    ],
)
def test_t55_what_is_too_long_for_the_disk_is_known_beforehand(name: str, policy: NamePolicy, is_good: bool) -> None:
    """T55: a part of a path has at most 255 bytes on POSIX, and 255 UTF-16 units on Windows."""
    path = policy.path_of(name)
    if is_good:
        assert name == path
    else:
        assert isinstance(path, Fault)
        assert "too-long" == path.kind


def test_t55_what_is_too_long_for_a_key_is_known_beforehand() -> None:
    """T55: a name has at most 1,024 bytes."""
    long = "/".join(["d" * 200] * 5)
    assert long == POSIX.to_name(long)
    with pytest.raises(UnsafeKey, match="1024"):
        POSIX.to_name(long + "/" + "é" * 12)


def test_a_name_that_is_as_long_as_the_rules_allow_can_be_made(tmp_path: Path) -> None:
    """The limits of the rules are those of the disk: 255 bytes can be written, 256 cannot."""
    (tmp_path / ("x" * 255)).write_bytes(b"")
    with pytest.raises(OSError):
        (tmp_path / ("x" * 256)).write_bytes(b"")
    assert posix_fault("x" * 255) is None
    assert posix_fault("x" * 256) is not None


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (".s3func/state.db", True),
        (".s3func-trash/run/a", True),
        ("deep/.s3func-trash/run/a", True),
        (".file.txt.s3func-part", True),
        ("d/.file.txt.s3func-journal", True),
        (".file.0123456789abcdef.s3func", True),
        (".s3func", True),
        ("s3func", False),
        ("s3func-part", False),
        ("file.s3func-part", False),
        (".s3func-party", False),
        (".s3funcx/a", False),
        ("a.s3func/b", False),
    ],
)
def test_our_own_files_are_known(name: str, is_ours: bool) -> None:
    """Downloads under way, journals, trash and state are ours at any depth; what is merely called alike is not."""
    assert is_ours == (OURS.search(name) is not None)


@given(st.text(max_size=8), st.text(max_size=8))
def test_folding_sees_at_least_what_disks_take_for_one_name(first: str, second: str) -> None:
    """Names that differ in case or in normal form only are folded into one."""
    upper = unicodedata.normalize("NFD", first.upper())
    assert folded(first.upper(), case=True, unicode=True) == folded(upper, case=True, unicode=True)
    assert folded(first, case=False, unicode=False) == first
    if first.casefold() == second.casefold():
        assert folded(first, case=True, unicode=False) == folded(second, case=True, unicode=False)


def test_windows_rules_hold_everywhere() -> None:
    """The rules of Windows are text: they say the same on this system."""
    assert windows_fault("a") is None
    fault = windows_fault("a:b")
    assert fault is not None
    assert ":" in fault.message
    assert posix_fault("a:b") is None


def test_text_for_messages_can_always_be_printed() -> None:
    """Bytes that are no text are shown with a backslash."""
    assert "a\\udcff" == printable("a\udcff")
    assert "é" == printable("é")


@pytest.mark.parametrize("field", ["unsafe", "conflict", "non_utf8", "unicode", "case", "rules"])
def test_a_word_that_is_none_is_refused(field: str) -> None:
    """ValueError names the field of a policy that has an unknown word."""
    wrong: dict[str, Any] = {field: "perhaps"}
    with pytest.raises(ValueError, match=field):
        NamePolicy(**wrong)


def test_a_policy_travels() -> None:
    """A policy is pickled for the workers, and equal afterwards."""
    policy = NamePolicy(conflict="suffix", case="insensitive")
    assert policy == pickle.loads(pickle.dumps(policy))
