"""Config, excludes and progress: who goes before whom, and what is shown."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from s3func.files import Config, ProgressBar, S3Object
from s3func.files.excludes import HIDDEN, Excludes


@pytest.fixture(autouse=True)
def unset(own_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is set."""
    monkeypatch.delenv("S3FUNC_PROGRESS_MODE")


SETTINGS: list[tuple[str, Any, Any, Any, str, str]] = [
    ("log_level", "INFO", "WARNING", "DEBUG", "LOG_LEVEL", "debug"),
    ("progress_mode", "progress", "compact", "disabled", "PROGRESS_MODE", "disabled"),
]


@pytest.mark.parametrize("prefix", ["S3FUNC_", "S3LYNC_"])
@pytest.mark.parametrize(("name", "default", "runtime", "expected", "variable", "text"), SETTINGS)
def test_the_environment_goes_before_what_is_set(
    prefix: str,
    name: str,
    default: str,
    runtime: str,
    expected: str,
    variable: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Environment over runtime over default; resetting forgets the runtime."""
    get, set_value = getattr(Config, f"get_{name}"), getattr(Config, f"set_{name}")
    assert default == get()
    set_value(runtime)
    assert runtime == get()
    monkeypatch.setenv(prefix + variable, text)
    assert expected == get()
    monkeypatch.setenv(prefix + variable, "nonsense")
    with pytest.raises(ValueError, match=prefix + variable):
        get()
    monkeypatch.setenv(prefix + variable, "")
    assert runtime == get()
    Config.reset_runtime_overrides()
    assert default == get()
    with pytest.raises(ValueError, match="must be one of"):
        set_value("nonsense")


@pytest.mark.parametrize("text", ["1", "true", "YES", "on"])
def test_debugging_is_a_log_level(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debugging makes the level DEBUG unless a level is set."""
    assert not Config.is_debug_enabled()
    Config.set_debug_enabled(True)
    assert ("DEBUG", True) == (Config.get_log_level(), Config.is_debug_enabled())
    Config.set_log_level("error")
    assert "ERROR" == Config.get_log_level()
    Config.reset_runtime_overrides()
    monkeypatch.setenv("S3LYNC_DEBUG", text)
    assert Config.is_debug_enabled()
    monkeypatch.setenv("S3LYNC_DEBUG", "maybe")
    with pytest.raises(ValueError, match="S3LYNC_DEBUG"):
        Config.is_debug_enabled()


def test_the_level_of_the_log_is_set_if_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a level of ours the program's own logging decides; with one the logger gets it."""
    logger = logging.getLogger("s3func.files")
    before = logger.level
    try:
        logger.setLevel(logging.CRITICAL)
        S3Object("s3://b/k", local_path="x")
        assert logging.CRITICAL == logger.level
        monkeypatch.setenv("S3LYNC_LOG_LEVEL", "warning")
        S3Object("s3://b/k", local_path="x")
        assert logging.WARNING == logger.level
        monkeypatch.delenv("S3LYNC_LOG_LEVEL")
        Config.set_debug_enabled(True)
        S3Object("s3://b/k", local_path="x")
        assert logging.DEBUG == logger.level
    finally:
        logger.setLevel(before)
        Config.reset_runtime_overrides()


def test_hidden_files_are_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden files are excluded unless the variable or the program says otherwise."""
    assert Config.should_exclude_hidden()
    Config.set_exclude_hidden(False)
    assert [] == S3Object("s3://b/k", local_path="x").get_excludes()
    monkeypatch.setenv("S3LYNC_EXCLUDE_HIDDEN", "1")
    assert Config.should_exclude_hidden()
    assert list(HIDDEN) == S3Object("s3://b/k", local_path="x").get_excludes()
    monkeypatch.setenv("S3FUNC_EXCLUDE_HIDDEN", "0")
    assert not Config.should_exclude_hidden()
    wrong: Any = "yes"
    with pytest.raises(TypeError):
        Config.set_exclude_hidden(wrong)


def test_both_names_of_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """get_region and get_aws_region are one; the environment's two variables go before what is set."""
    assert Config.get_region() is None
    Config.set_region("ap-northeast-2")
    assert "ap-northeast-2" == Config.get_aws_region() == Config.get_region()
    with S3Object("s3://id:secret@b/k", local_path="x") as obj:
        assert "ap-northeast-2" == getattr(obj._reached(), "region")  # noqa: B009 -- no part of the contract
    with S3Object("s3://id:secret@b/k", "x", "eu-west-1") as obj:
        assert "eu-west-1" == getattr(obj._reached(), "region")  # noqa: B009 -- no part of the contract
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    assert "us-west-1" == Config.get_region()
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert "us-west-2" == Config.get_region()


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        (r"/\.", ".git/x", True),
        (r"/\.", "a/.git", True),
        (r"/\.", "a.b/c.d", False),
        (r".*\.tmp$", "a/b.tmp", True),
        (r"node_modules", "x/node_modules/y", True),
        (r"^a", "a/b", True),
        (r"^a", "b/a", False),
        (r"__pycache__", "x/__pycache__/y", True),
    ],
)
def test_patterns_are_searched_in_the_relative_path(pattern: str, name: str, found: bool) -> None:
    """A pattern means the path below the folder; one with a slash in front means a name at any depth."""
    assert found == any(each.search(name) for each in Excludes([pattern]).compiled())
    assert found == any(each.search(name) for each in Excludes().compiled(pattern))


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_for_a_terminal() -> None:
    """progress draws on a terminal and is silent elsewhere; compact says one line; disabled nothing."""
    shown = {}
    for mode in ("progress", "compact", "disabled"):
        for stream in (Terminal(), io.StringIO()):
            with ProgressBar(2048, "name", mode, stream) as bar:
                bar.update(1024)
                bar.update(1024)
            shown[mode, stream.isatty()] = stream.getvalue()
            bar.close()
            assert stream.getvalue() == shown[mode, stream.isatty()]
    assert "name: [" in shown["progress", True]
    assert "100% of 2.0 KiB\n" in shown["progress", True]
    assert "name: 2.0 KiB\n" == shown["compact", True] == shown["compact", False]
    assert "" == shown["progress", False] == shown["disabled", True] == shown["disabled", False]


def test_a_stream_that_is_closed_stops_no_transfer() -> None:
    """What cannot be shown is not shown."""
    stream = io.StringIO()
    bar = ProgressBar(None, "x", "compact", stream)
    stream.close()
    bar(10, None)
    bar.close()
