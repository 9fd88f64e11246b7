"""The files of a form, however its bytes arrive and wherever they end."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from s3func.errors import InvalidRequest, PreconditionFailed, ServiceError, TransportError
from s3func.server.forms import FIELDS_BYTES_MAX, FormFiles
from tests.server.browser.agent import BOUNDARY, multipart

TYPE = f"multipart/form-data; boundary={BOUNDARY}"
FIELDS = [("form-token", "t"), ("replace", "yes")]
CONTENTS = st.binary(max_size=200) | st.sampled_from(
    [b"\r\n", b"--", f"\r\n--{BOUNDARY[:-1]}".encode(), b"\r\n--" * 30]
)


def cut(body: bytes, size: int) -> list[bytes]:
    """The body in blocks."""
    return [body[start : start + size] for start in range(0, len(body), size)]


def read(form: FormFiles, size: int) -> list[tuple[str, bytes]]:
    """Every file with its content, read in pieces of a size."""
    files = []
    for file in form:
        pieces = list(iter(lambda file=file: file.read(size), b""))  # type: ignore[misc]
        assert all(len(piece) == size for piece in pieces[:-1])
        files.append((file.name, b"".join(pieces)))
    return files


@given(st.lists(CONTENTS, max_size=4), st.integers(1, 500), st.integers(1, 300))
@example([b"", b""], 1, 1)
def test_blocks_may_end_anywhere(contents: list[bytes], block: int, size: int) -> None:
    """Whatever the files hold, and however they arrive and are read, they are the same files in the same order."""
    files = [(f"{number}.txt", content) for number, content in enumerate(contents)]
    body = multipart(FIELDS, files)
    assert files == read(FormFiles(TYPE, iter(cut(body, block))), size)


@given(st.lists(CONTENTS, min_size=1, max_size=3), st.integers(1, 100), st.data())
def test_a_form_that_ends_too_early(contents: list[bytes], block: int, data: st.DataObject) -> None:
    """Wherever a form is cut off, what was read as a whole file is one, and reading on fails."""
    files = [(f"{number}.txt", content) for number, content in enumerate(contents)]
    body = multipart(FIELDS, files)
    end = data.draw(st.integers(0, len(body) - len("--\r\n") - 1))
    whole: list[tuple[str, bytes]] = []
    with pytest.raises((TransportError, ServiceError)):
        for file in FormFiles(TYPE, iter(cut(body[:end], block))):
            whole.append((file.name, file.read()))  # noqa: PERF401 -- what came before the error counts
    assert files[: len(whole)] == whole


@given(st.lists(CONTENTS, min_size=2, max_size=4), st.lists(st.integers(0, 50), min_size=4, max_size=4))
def test_what_is_not_read_is_read_over(contents: list[bytes], sizes: list[int]) -> None:
    """Who reads a part of a file, or nothing, still gets the next file from its beginning."""
    files = [(f"{number}.txt", content) for number, content in enumerate(contents)]
    form = FormFiles(TYPE, iter(cut(multipart(FIELDS, files), 64)))
    assert [(name, content[:size]) for (name, content), size in zip(files, sizes, strict=False)] == [
        (file.name, file.read(size) if size else b"") for file, size in zip(form, sizes, strict=False)
    ]


def test_fields_before_a_file() -> None:
    """A file knows the fields that came before it, and none that came behind it, although they arrived together."""
    end = f"--{BOUNDARY}--\r\n".encode()
    body = multipart([("a", "1")], [("x", b"1")]).removesuffix(end) + multipart([("b", "2"), ("a", "3")], [("y", b"2")])
    assert [("x", {"a": "1"}), ("y", {"a": "3", "b": "2"})] == [
        (file.name, dict(file.fields)) for file in FormFiles(TYPE, iter([body]))
    ]


def test_readinto() -> None:
    """A file fills a buffer as any stream does."""
    form = FormFiles(TYPE, iter([multipart([], [("x", b"0123456789")])]))
    (file,) = [(file.readinto(memoryview(bytearray(4))), file.read()) for file in form]
    assert (4, b"456789") == file


def test_forms_that_are_none() -> None:
    """What is no form, has no boundary or too much in front of its files is refused."""
    for content_type in (
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/mixed; boundary=x",
        f"{TYPE[:-30]}{'x' * 300}",
    ):
        with pytest.raises(PreconditionFailed):
            FormFiles(content_type, iter([]))
    for body in (b"nonsense", multipart([("a", "x" * FIELDS_BYTES_MAX)], []), multipart([("a" * 5000, "x")], [])):
        with pytest.raises(InvalidRequest):
            list(FormFiles(TYPE, iter([body])))
    part = f'--{BOUNDARY}\r\nContent-Disposition: attachment; name="x"; filename="y"\r\n\r\n1\r\n--{BOUNDARY}--\r\n'
    with pytest.raises(InvalidRequest):
        list(FormFiles(TYPE, iter([part.encode()])))
    with pytest.raises(InvalidRequest):
        list(FormFiles(TYPE, iter([part.replace("attachment", "form-data").encode().replace(b'"y"', b'"\xff"')])))
