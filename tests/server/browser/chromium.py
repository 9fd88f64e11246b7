"""Debian's chromium without a screen, over its own debugging pipe: no port, no driver program, no network but loopback.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

PROGRAM = shutil.which("chromium")
SECONDS = 60.0
_POLL = 0.02

_OPTIONS = (
    *("--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"),
    *("--disable-extensions", "--disable-breakpad", "--disable-crash-reporter", "--disable-dev-shm-usage"),
    *("--metrics-recording-only", "--no-pings", "--no-service-autorun", "--password-store=basic", "--mute-audio"),
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
    # Every name but those of this machine is one that nobody has.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1100,850",
)


class Chromium:
    """One process of chromium with one tab; a context manager that leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        """folder: of its own, for its profile and for what it downloads."""
        assert PROGRAM is not None
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        self.events: list[dict[str, Any]] = []
        ours_in, theirs_out = os.pipe()
        theirs_in, self._out = os.pipe()
        self._in = ours_in
        command = [PROGRAM, *_OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        arrange = "import os, sys; a, b = map(int, sys.argv[1:3]); a = os.dup(a) if a == 4 else a; os.dup2(b, 4); "
        arrange += "os.dup2(a, 3); os.execv(sys.argv[3], sys.argv[3:])"
        try:
            # It reads from descriptor 3 and writes to descriptor 4.
            self._process = subprocess.Popen(
                [sys.executable, "-c", arrange, str(theirs_in), str(theirs_out), *command],
                pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._received = b""
        self._number = 0
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.send(f"{domain}.enable")
        self.send("Page.setLifecycleEventsEnabled", enabled=True)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._await(lambda each: each.get("id") == self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def evaluate(self, expression: str) -> Any:
        """What a script of ours, which no policy of the page forbids, finds out."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def go(self, url: str) -> None:
        """Open an address, and wait for the page."""
        before = len(self.events)
        self._await_load(self.send("Page.navigate", url=url)["loaderId"], before)

    def click(self, selector: str) -> None:
        """Click on the first element of a selector, at its place on the screen, and wait for the page that it leads to."""
        self._load(lambda: self.press(selector))

    def press(self, selector: str) -> None:
        """Click without waiting for anything."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.send("Input.insertText", text=text)

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press a key, such as Tab (9) or Enter (13)."""
        about = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def enter(self) -> None:
        """Press Enter, and wait for the page that it leads to."""
        self._load(lambda: self.key("Enter", 13, "\r"))

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files for a field."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def download(self, selector: str) -> Path:
        """Click on a link to a file, and wait until it has been saved."""
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)
        before = len(self.events)
        self.press(selector)
        begun = self._await(lambda each: each.get("method") == "Browser.downloadWillBegin", since=before)["params"]
        ended = self._await(
            lambda each: each.get("method") == "Browser.downloadProgress" and each["params"]["state"] != "inProgress",
            since=before,
        )["params"]
        assert "completed" == ended["state"]
        return self.downloads / str(begun["suggestedFilename"])

    def wait(self, condition: str) -> None:
        """Wait until an expression is true on the page."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            # Between two pages there is nothing to ask.
            with contextlib.suppress(AssertionError):
                if self.evaluate(condition):
                    return
            time.sleep(_POLL)
        raise TimeoutError(f"it never came that {condition}; the page shows {self.text[:500]!r}")

    @property
    def text(self) -> str:
        """What the page shows."""
        return str(self.evaluate("document.body.innerText"))

    @property
    def url(self) -> str:
        """Where the page is from."""
        return str(self.evaluate("location.href"))

    def screenshot(self, path: Path) -> None:
        """The page as a PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def complaints(self) -> list[str]:
        """What a console would show: refused scripts and styles, errors, dialogs."""
        found = []
        for each in self.events:
            method, parameters = each.get("method", ""), each.get("params", {})
            if method == "Page.javascriptDialogOpening":
                found.append(f"dialog: {parameters['message']}")
            elif method in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled"}:
                found.append(json.dumps(parameters))
            elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
                found.append(parameters["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        return [
            each["params"]["request"]["url"]
            for each in self.events
            if each.get("method") == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        """End it, in order or by force, and wait until all of its processes are gone."""
        with contextlib.suppress(Exception):
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # The others of its group end by themselves, a moment later.
        deadline = time.monotonic() + 10
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)
                time.sleep(_POLL)
            os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self._in)
        os.close(self._out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _load(self, act: Callable[[], object]) -> None:
        """Do something that leads to another page, and wait until that is there."""
        before = len(self.events)
        act()

        def is_page(event: Mapping[str, Any]) -> bool:
            return event.get("method") == "Page.frameNavigated" and "parentId" not in event["params"]["frame"]

        self._await_load(self._await(is_page, since=before)["params"]["frame"]["loaderId"], before)

    def _await_load(self, loader: str, since: int) -> None:
        """Wait until a document is complete."""
        wanted = {"loaderId": loader, "name": "load"}
        self._await(
            lambda each: each.get("method") == "Page.lifecycleEvent" and wanted.items() <= each["params"].items(), since
        )

    def _await(self, wanted: Callable[[Mapping[str, Any]], bool], since: int | None = None) -> dict[str, Any]:
        """The first message of a kind; `since`: also among the events that have come already."""
        if since is not None:
            for each in self.events[since:]:
                if wanted(each):
                    return each
        deadline = time.monotonic() + SECONDS
        while True:
            while b"\0" in self._received:
                text, _, self._received = self._received.partition(b"\0")
                message: dict[str, Any] = json.loads(text)
                if "id" not in message:
                    self.events.append(message)
                if wanted(message):
                    return message
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"chromium says nothing; the last it said was {self.events[-3:]}")
            block = os.read(self._in, 1 << 20)
            if not block:
                raise EOFError("chromium has ended")
            self._received += block
