"""Faults: which requests are to go wrong, how, and how often. What a fault does to a request is done by watch.py.

    faults.add("PutObject", key="logs/*", times=2, status=503, code="SlowDown")
    faults.add("*", after=10, probability=0.1, seed=7, reset="after")

Rule 1: faults are asked in the order in which they were added, and the first one that fires is the only one that does.
Rule 2: what could never fire is refused by `add`, so that a test does not pass because of a slip of the pen.
Rule 3: nothing here knows S3: operations are names, and codes are what a provider makes of them.
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase, translate
from types import TracebackType
from typing import Any, Literal, Self, get_args

Answer = Literal["html", "error", "cut_list", "unmarked_list", "short_list", "wrong_checksum"]
"""A wrong answer.

"html": status 200 and a page of HTML, as of a proxy or a portal; nothing happened. "error": status 200 and an error
document; nothing happened. "cut_list": the document of a listing ends in its middle. "unmarked_list": it does not say
whether more follows, nor where. "short_list": its last row is missing, and it says that nothing follows.
"wrong_checksum": the checksum in the head is not the body's.
"""
LIST_ANSWERS = frozenset({"cut_list", "unmarked_list", "short_list"})
Reset = Literal["before", "after"]

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\ud7ff\ue000-\U0010ffff]*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_FRAMING = frozenset({"content-length", "transfer-encoding"})


class Fault:
    """One fault. `matched` counts the requests that it was asked about and meant, `fired` those that it made go wrong.

    Made by `Faults.add`, whose arguments are its attributes. As a context manager it is removed at the end of the block.
    """

    def __init__(self, owner: Faults, number: int, settings: Mapping[str, Any]) -> None:
        self._owner = owner
        self._chance = random.Random(settings["seed"])
        self._means = _pattern(settings["operation"]), _pattern(settings["bucket"]), _pattern(settings["key"])
        self.settings = dict(settings)
        self.id = number
        self.times: int | None = settings["times"]
        self.after: int = settings["after"]
        self.probability: float = settings["probability"]
        self.status: int | None = settings["status"]
        self.code: str | None = settings["code"]
        self.message: str | None = settings["message"]
        self.headers: dict[str, str] = settings["headers"]
        self.skew: float | None = settings["skew"]
        self.delay: float = settings["delay"]
        self.reset: Reset | None = settings["reset"]
        self.cut_request: int | None = settings["cut_request"]
        self.cut_answer: int | None = settings["cut_answer"]
        self.answer: Answer | None = settings["answer"]
        self.matched = 0
        self.fired = 0

    @property
    def is_refusal(self) -> bool:
        """Whether the request is answered without having been carried out."""
        return self._refuses or self.answer in ("html", "error")

    @property
    def _refuses(self) -> bool:
        return (self.status, self.skew) != (None, None) or (self.code is not None and self.answer is None)

    def means(self, operation: str, bucket: str, key: str) -> bool:
        """Whether the patterns fit."""
        return all(fits is None or fits(text) for fits, text in zip(self._means, (operation, bucket, key), strict=True))

    def fires(self) -> bool:
        """Count a request that is meant, and decide; for `Faults`, under its lock."""
        self.matched += 1
        if self.matched <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        # random() is below 1, so that a certainty needs no case of its own.
        if self._chance.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def remove(self) -> None:
        """Take it out of the faults it was added to; its counts stay. Removing twice is allowed."""
        self._owner.remove(self)

    def describe(self) -> dict[str, Any]:
        """What it was made of and what it did, without what was left to the defaults."""
        usual = {"bucket": "*", "key": "*", "after": 0, "probability": 1.0, "seed": 0, "headers": {}, "delay": 0.0}
        given = {name: value for name, value in self.settings.items() if value is not None and usual.get(name) != value}
        return {"id": self.id, **given, "matched": self.matched, "fired": self.fired}

    def __str__(self) -> str:
        """What it does, in few words; stands in the journal."""
        words = [f"delay {self.delay:g}"] if self.delay else []
        if self.skew is not None:
            words.append(f"skew {self.skew:g}")
        elif self._refuses:
            words.append(" ".join(str(part) for part in (self.status, self.code) if part is not None))
        if self.answer is not None:
            words.append(f"answer {self.answer}")
        if self.reset is not None:
            words.append(f"reset {self.reset}")
        if self.cut_request is not None:
            words.append(f"cut_request {self.cut_request}")
        if self.cut_answer is not None:
            words.append(f"cut_answer {self.cut_answer}")
        return ", ".join(words)

    def __repr__(self) -> str:
        where = " ".join(self.settings[name] for name in ("operation", "bucket", "key") if self.settings[name] != "*")
        return f"<Fault {self.id} {where or '*'}: {self}; fired {self.fired} of {self.matched}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Faults:
    """The faults of one server, safe from many threads at once."""

    def __init__(self, operations: Collection[str] = (), listings: Collection[str] = ()) -> None:
        """operations: the names that there are, by which patterns are checked; none for any. listings: of these, those
        whose answers come in pages.
        """
        self._operations = operations
        self._listings = frozenset(listings)
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        self._made = 0
        self._ended = threading.Event()
        self.may_wait = False
        """Whether a request may be kept waiting."""

    def add(
        self,
        operation: str = "*",
        *,
        bucket: str = "*",
        key: str = "*",
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
        seed: int = 0,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
        skew: float | None = None,
        delay: float = 0.0,
        reset: Reset | None = None,
        cut_request: int | None = None,
        cut_answer: int | None = None,
        answer: Answer | None = None,
    ) -> Fault:
        """Let requests go wrong from now on. ValueError or TypeError for what makes no sense or could never fire.

        Which: operation is a name of AWS's list ("PutObject"); it, bucket and key are patterns of `fnmatch`, upper and
        lower case matter, and "*" matches "/" as well. A request that names no key has the key "". after: so many
        requests that fit are let through first. times: how many then go wrong, None for all. probability: how many of
        those on the average, by chance from `seed`.

        How, one of: status, code or both, a refusal before anything was done, with message and headers; skew, the
        refusal of a store whose clock is so many seconds ahead; reset, the connection breaks off "before" the operation,
        which then has not happened, or "after", when it has; cut_request, it breaks off when so many bytes of the
        request's body were read, and nothing has happened; cut_answer, the answer ends after so many bytes of its body,
        fewer than it has; answer, see `Answer`, for which "error" takes code and message.
        delay, in seconds, comes before any of these, or alone.
        """
        settings = {name: value for name, value in locals().items() if name != "self"}
        settings["headers"] = _check(settings)
        self._check_operation(operation, is_list=answer in LIST_ANSWERS)
        with self._lock:
            self._made += 1
            fault = Fault(self, self._made, settings)
            self._faults = (*self._faults, fault)
            self.may_wait = self.may_wait or delay > 0
        return fault

    def take(self, operation: str, bucket: str, key: str) -> Fault | None:
        """The fault that happens to a request, if one does; it has been counted."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.answer in LIST_ANSWERS and self._listings and operation not in self._listings:
                    continue
                if fault.means(operation, bucket, key) and fault.fires():
                    return fault
        return None

    def find(self, number: int) -> Fault | None:
        """The fault with this id."""
        return next((fault for fault in self._faults if fault.id == number), None)

    def remove(self, fault: Fault) -> None:
        """Take one out; what is not there is no error."""
        with self._lock:
            self._faults = tuple(each for each in self._faults if each is not fault)
            self.may_wait = any(each.delay for each in self._faults)

    def clear(self) -> None:
        """Take all of them out, and end the delays under way."""
        with self._lock:
            self._faults = ()
            self.may_wait = False
            ended = self._ended
            if not ended.is_set():
                self._ended = threading.Event()
        ended.set()

    def release(self) -> None:
        """End the delays under way, and let nobody wait from now on: the server is about to end."""
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait, until `clear` or `release` at the longest."""
        self._ended.wait(seconds)

    def __iter__(self) -> Iterator[Fault]:
        """The faults that there are, in their order, those that will fire no more included."""
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def __repr__(self) -> str:
        return f"<Faults {list(self._faults)}>"

    def _check_operation(self, pattern: str, *, is_list: bool) -> None:
        names = self._listings if is_list else self._operations
        if names and not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"operation: {pattern!r} is none of {', '.join(sorted(names))}")


def _pattern(text: str) -> Callable[[str], object] | None:
    return None if text == "*" else re.compile(translate(text)).match


def _check(settings: Mapping[str, Any]) -> dict[str, str]:
    """Raise for arguments that make no sense, alone or together; returns the headers with lower-case names."""
    for name in ("operation", "bucket", "key"):
        if not isinstance(settings[name], str):
            raise TypeError(f"{name} must be a text, not {settings[name]!r}")
    _number(settings, "times", int, 1)
    _number(settings, "after", int, 0)
    _number(settings, "seed", int, -math.inf)
    _number(settings, "status", int, 300, 599)
    _number(settings, "cut_request", int, 0)
    _number(settings, "cut_answer", int, 0)
    _number(settings, "skew", float, -(10**9), 10**9)
    _number(settings, "delay", float, 0, 10**6)
    _number(settings, "probability", float, 0, 1)
    if settings["probability"] == 0:
        raise ValueError("probability: 0 would never fire")
    _one_of(settings, "reset", get_args(Reset))
    _one_of(settings, "answer", get_args(Answer))
    code, message = settings["code"], settings["message"]
    if code is not None and (not isinstance(code, str) or _CODE.fullmatch(code) is None):
        raise ValueError(f"code: {code!r} is not an error code")
    if message is not None and not isinstance(message, str):
        raise TypeError(f"message must be a text, not {message!r}")
    if message is not None and _SURROGATE.search(message) is not None:
        raise ValueError("message is not valid Unicode")
    headers = _headers(settings["headers"])
    is_refusal = settings["status"] is not None or (code is not None and settings["answer"] is None)
    effects = [name for name in ("skew", "reset", "cut_request", "cut_answer", "answer") if settings[name] is not None]
    effects += ["status or code"] if is_refusal else []
    if len(effects) > 1:
        raise ValueError(f"a fault is one thing, not {' and '.join(effects)}")
    if not effects and not settings["delay"]:
        raise ValueError(
            "nothing would go wrong: give status, code, skew, delay, reset, cut_request, cut_answer or answer"
        )
    if (code is not None or message is not None) and not is_refusal and settings["answer"] != "error":
        raise ValueError("code and message belong to a refusal or to answer='error'")
    if headers and not (is_refusal or settings["skew"] is not None):
        raise ValueError("headers belong to a refusal")
    return headers


def _number(settings: Mapping[str, Any], name: str, kind: type, least: float, most: float = math.inf) -> None:
    value = settings[name]
    if value is None and name in ("times", "status", "cut_request", "cut_answer", "skew"):
        return
    allowed = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise TypeError(f"{name} must be {'a whole' if kind is int else 'a'} number, not {value!r}")
    if not least <= value <= most:
        raise ValueError(
            f"{name}: {value} is not {f'from {least} to {most}' if most < math.inf else f'{least} or more'}"
        )


def _one_of(settings: Mapping[str, Any], name: str, allowed: Collection[str]) -> None:
    if settings[name] is not None and settings[name] not in allowed:
        raise ValueError(f"{name}: {settings[name]!r} is none of {', '.join(map(repr, allowed))}")


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"headers must be a mapping, not {given!r}")
    for name, value in (given or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("headers: names and values must be texts")
        if _HEADER_NAME.fullmatch(name) is None or name.lower() in _FRAMING:
            raise ValueError(f"headers: {name!r} is no header that an answer can be given")
        if _HEADER_VALUE.fullmatch(value) is None:
            raise ValueError(f"headers: the value of {name} has characters that no header has")
        headers[name.lower()] = value
    return headers
