"""The filesystem's benchmark compares neighbours, and knows whom it has measured; its worker runs in tests/ecosystem."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import filesystem
from benchmarks import filesystem_worker as worker


def sample(client: str, turn: int, wall: float, **more: Any) -> filesystem.Sample:
    """One turn of an action."""
    values: dict[str, Any] = {
        "action": "read_file",
        "latency_ms": 0,
        "cpu_seconds": 0.5,
        "requests": 4.0,
        "bytes_read": 2e6,
    } | more
    return filesystem.Sample(client, round=turn, wall_seconds=wall, **values)


def test_ratios_are_between_neighbours() -> None:
    """Theirs divided by ours, round by round; a round that only one of them has does not count."""
    samples = [sample("s3func", 0, 1.0), sample("s3fs", 0, 3.0), sample("s3func", 1, 2.0), sample("s3fs", 1, 10.0)]
    samples += [sample("s3fs", 2, 500.0, cpu_seconds=9.0)]
    lines = filesystem.report(samples).splitlines()
    assert "### 0 ms before each answer" == lines[0]
    assert "| read file | 4 | 4 | 2.0 | 2.0 | 4.0 (3.0–5.0) | 1.0 |" == lines[4]


def test_a_client_that_was_not_asked() -> None:
    """Where one of the two is missing there is no ratio, and a table all the same."""
    assert "| read file | 4 | 2.0 | 0.0 |  |  |" in filesystem.report([sample("s3func", 0, 1.0)])


def test_latencies_have_tables_of_their_own() -> None:
    """What was measured with a latency is not compared with what was measured without."""
    told = filesystem.report([sample("s3func", 0, 1.0), sample("s3fs", 0, 1.0, latency_ms=20)])
    assert ["### 0 ms before each answer", "### 20 ms before each answer"] == [
        line for line in told.splitlines() if line.startswith("###")
    ]


@pytest.mark.parametrize("action", worker.ACTIONS)
def test_every_action_says_what_it_does(action: str) -> None:
    """The rows of the table are explained where they are made."""
    assert getattr(worker.Job, action).__doc__


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A client or an action that there is not is refused before anything is started."""
    for arguments in (["--clients", "nobody"], ["--only", "nothing"]):
        with pytest.raises(SystemExit):
            filesystem.main(arguments)
    assert "invalid choice" in capsys.readouterr().err
