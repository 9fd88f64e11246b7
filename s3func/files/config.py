"""Config: what holds for all S3Objects of a process. The environment goes before what the program sets, and that before
the default. Every variable may begin with S3FUNC_ or, as s3lync calls it, with S3LYNC_.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

__all__ = ["Config"]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PROGRESS_MODES = ("progress", "compact", "disabled")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Config:
    """The settings, as class methods; nothing is made of this class.

    | setting        | variable                  | default    |
    | log level      | S3FUNC_LOG_LEVEL          | INFO, or DEBUG where debugging is on |
    | debugging      | S3FUNC_DEBUG              | off        |
    | progress mode  | S3FUNC_PROGRESS_MODE      | progress   |
    | hidden files   | S3FUNC_EXCLUDE_HIDDEN     | excluded   |
    | region         | AWS_REGION, AWS_DEFAULT_REGION | None: as S3Session finds it |

    A variable with a value that is none of its own is a ValueError that names it.
    """

    _overrides: ClassVar[dict[str, Any]] = {}

    @classmethod
    def get_region(cls) -> str | None:
        """The region of sessions that are told none; None leaves it to them."""
        found = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or cls._overrides.get("region")
        return str(found) if found else None

    get_aws_region = get_region

    @classmethod
    def set_region(cls, region: str | None) -> None:
        """For as long as the process lives, or until reset_runtime_overrides()."""
        if region is not None and not isinstance(region, str):
            raise TypeError(f"region must be a str, not {type(region).__name__}")
        cls._override("region", region)

    set_aws_region = set_region

    @classmethod
    def is_debug_enabled(cls) -> bool:
        """Whether the log level is DEBUG unless another one is set."""
        return cls._switch("DEBUG", default=False)

    @classmethod
    def set_debug_enabled(cls, enabled: bool) -> None:
        """Switch debugging on or off."""
        cls._override("DEBUG", _checked_switch("enabled", enabled))

    @classmethod
    def get_log_level(cls) -> str:
        """DEBUG, INFO, WARNING, ERROR or CRITICAL."""
        default = "DEBUG" if cls.is_debug_enabled() else "INFO"
        return cls._choice("LOG_LEVEL", default, LOG_LEVELS, str.upper)

    @classmethod
    def set_log_level(cls, level: str) -> None:
        """One of DEBUG, INFO, WARNING, ERROR, CRITICAL, in any case."""
        cls._override("LOG_LEVEL", _checked_choice("level", level, LOG_LEVELS, str.upper))

    @classmethod
    def chosen_log_level(cls) -> str | None:
        """The level that somebody asked for; None where nobody did, so that the program's own logging decides."""
        asked = cls._variable("LOG_LEVEL") or cls._overrides.get("LOG_LEVEL") or cls.is_debug_enabled()
        return cls.get_log_level() if asked else None

    @classmethod
    def get_progress_mode(cls) -> str:
        """progress: a bar on a terminal. compact: a line when something is done. disabled: nothing."""
        return cls._choice("PROGRESS_MODE", "progress", PROGRESS_MODES, str.lower)

    @classmethod
    def set_progress_mode(cls, mode: str) -> None:
        """One of progress, compact, disabled."""
        cls._override("PROGRESS_MODE", _checked_choice("mode", mode, PROGRESS_MODES, str.lower))

    @classmethod
    def should_exclude_hidden(cls) -> bool:
        """Whether folders are synced without what begins with a dot, __pycache__ and *.egg-info."""
        return cls._switch("EXCLUDE_HIDDEN", default=True)

    @classmethod
    def set_exclude_hidden(cls, exclude: bool) -> None:
        """Whether to leave hidden files out; S3Objects that exist already keep what they have."""
        cls._override("EXCLUDE_HIDDEN", _checked_switch("exclude", exclude))

    @classmethod
    def reset_runtime_overrides(cls) -> None:
        """Forget what was set."""
        cls._overrides.clear()

    @classmethod
    def _override(cls, name: str, value: Any) -> None:
        if value is None:
            cls._overrides.pop(name, None)
        else:
            cls._overrides[name] = value

    @classmethod
    def _variable(cls, name: str) -> tuple[str, str] | None:
        """Name and value of the variable that is set; an empty one is not."""
        for prefix in ("S3FUNC_", "S3LYNC_"):
            if value := os.environ.get(prefix + name, "").strip():
                return prefix + name, value
        return None

    @classmethod
    def _switch(cls, name: str, *, default: bool) -> bool:
        if (found := cls._variable(name)) is not None:
            value = found[1].lower()
            if value not in _TRUE + _FALSE:
                raise ValueError(f"{found[0]} must be one of {_TRUE + _FALSE}, not {found[1][:80]!r}")
            return value in _TRUE
        return bool(cls._overrides.get(name, default))

    @classmethod
    def _choice(cls, name: str, default: str, choices: tuple[str, ...], fold: Any) -> str:
        if (found := cls._variable(name)) is not None:
            return _checked_choice(found[0], found[1], choices, fold)
        return str(cls._overrides.get(name, default))


def _checked_choice(name: str, value: object, choices: tuple[str, ...], fold: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    folded: str = fold(value)
    if folded not in choices:
        raise ValueError(f"{name} must be one of {choices}, not {value[:80]!r}")
    return folded


def _checked_switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def checked_progress_mode(mode: str | None) -> str:
    """The mode, or the configured one for None. ValueError, TypeError."""
    if mode is None:
        return Config.get_progress_mode()
    return _checked_choice("progress_mode", mode, PROGRESS_MODES, str.lower)
