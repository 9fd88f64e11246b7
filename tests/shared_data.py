"""Test data: the facts kept in tests/vectors, and the big published suites beside the repository, where they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent / "vectors"
SHARED_VECTORS = Path(__file__).parents[2] / "shared" / "vectors"


def load_vectors(name: str) -> Any:
    """The contents of tests/vectors/<name>."""
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def shared_vectors(name: str) -> Path:
    """A file or folder of the big suites; the test is skipped on a machine that does not have them."""
    path = SHARED_VECTORS / name
    if not path.exists():
        pytest.skip(f"../shared/vectors/{name} is not there")
    return path


HOSTILE_KEYS = [
    "a",
    " ",
    "a b",
    " lead and trail ",
    "a//b",
    "/x",
    "//",
    "///a///",
    ".",
    "..",
    "./a",
    "../o/x",
    "a/./b",
    "a/../b",
    "a/..",
    "a/",
    "~",
    "~/x",
    "a?b#c",
    "a?versionId=1",
    "a&b=c",
    "%",
    "%2F",
    "%252F",
    "100%25",
    "%zz",
    "a%20b",
    "+",
    "a+b",
    "a+b c%2B",
    "a;b,c:d@e=f$g!h*i'j(k)l",
    "[x]{y}|z^`\\",
    '<Key>&amp;"quoted"</Key>',
    "]]>",
    "<!--",
    "<![CDATA[x]]>",
    "&#x41;",
    "tab\there",
    "line\nfeed",
    "carriage\rreturn",
    "both\r\n",
    "\x01\x02\x1f",
    "nul\x00",
    "\x7f\x80\x85\xa0",
    "\u2028\u2029",
    "\ufeffbom",
    "\ufffd\ufffe\uffff",
    "é",
    "e\u0301",
    "日本語/ファイル.txt",
    "ключ",
    "עברית",
    "\u202eright-to-left",
    "😀/👩\u200d👩\u200d👧",
    "\U0010ffff",
    "ሴ",
    "ß" * 512,
    "k" * 1024,
    "a/" * 512,
    "aws:kms",
    "?",
    "#",
    "??",
    "=",
    "&",
    "a=b&c=d",
    "CON",
    "file:///etc/passwd",
    "http://example.com/",
    "index.html/",
    "\\\\server\\share",
    "C:\\x",
    "-rf",
    "*",
    "$(x)",
    "'",
    '"',
    "{}",
    "\u0130\u0131",
]
"""Keys that clients and servers have been seen to change, refuse or confuse with another one. All of them are legal."""


def tell(capsys: pytest.CaptureFixture[str], counted: str, reasons: Iterable[str]) -> None:
    """Print how many recorded cases were run, and why the others were not, where whoever runs the tests sees it."""
    with capsys.disabled():
        sys.stdout.write(f"\n{counted}: {'; '.join(reasons)}\n")
