from __future__ import annotations

import pytest

from s3func.cli.report import Outcome, counted, parse_size, show_failure, show_step, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1000000", 1_000_000),
        ("64M", 64 * 1024**2),
        ("64 MB", 64 * 1024**2),
        ("200MiB", 200 * 1024**2),
        ("1.5GiB", 3 * 1024**3 // 2),
        ("2k", 2048),
        ("1T", 1024**4),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    """A size is bytes, or a number with a binary unit in any of its spellings."""
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "0", "0.0001k", "-1", "1X", "MiB", "1 2", "nan", "1e3"])
def test_other_sizes_are_refused(text: str) -> None:
    """What is no positive size is a ValueError that repeats the text."""
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_sizes_are_written_for_readers() -> None:
    """Bytes stay whole, larger units get one decimal, and a single thing has no plural."""
    expected = ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "2.0 TiB", "2048.0 TiB"]
    assert expected == [size_text(n) for n in (0, 1023, 1024, 1.5 * 1024**2, 2 * 1024**4, 2 * 1024**5)]
    assert ["0 pages", "1 page", "1,790 pages"] == [counted(n, "page") for n in (0, 1, 1790)]


def test_lines_align_and_carry_no_colour_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """The columns of every step begin at the same place, and a pipe gets no escape sequences."""
    show_step("put_object", Outcome("1,790 small files, 30.1 MiB, 8 threads", 1790, 31_000_000, 2.0))
    show_step("list_objects", Outcome("1,792 keys", 1792, 0, 0.05))
    show_step("head_object", Outcome("20 bytes"))
    show_failure("get_object", "CheckFailed: other bytes")

    printed = capsys.readouterr().out
    put, listed, head, failed = printed.splitlines()
    assert "\x1b" not in printed
    assert "  ok      put_object      1,790 small files, 30.1 MiB, 8 threads" == put[:64].rstrip()
    assert put.index(" s ") == listed.index(" s ")
    assert put.endswith("2.00 s     895/s    14.8 MiB/s")
    assert listed.endswith("0.05 s  35,840/s")
    assert "  ok      head_object     20 bytes" == head
    assert "  FAILED  get_object      CheckFailed: other bytes" == failed
