"""`s3func serve` shows pages unless told not to; an app in code does so only when asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.browser.agent import NAVIGATION, Agent


@pytest.mark.parametrize(("option", "title"), [([], "Buckets"), (["--browser"], "Buckets"), (["--no-browser"], "")])
def test_the_switch(option: list[str], title: str, tmp_path: Path) -> None:
    """The root of a served store is a page for a browser, and S3's own answer with --no-browser."""
    command = [
        sys.executable,
        "-m",
        "s3func",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--no-auth",
        "--path",
        str(tmp_path / "s"),
    ]
    with subprocess.Popen([*command, *option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with Agent(process.stdout.readline().strip()) as agent:
                page = agent.get("/")
                if title:
                    assert title == page.title
                else:
                    assert (200, "application/xml") == (page.status, page.headers["content-type"])
                    assert 400 == agent.send("GET", "/-/browser/", NAVIGATION).status
        finally:
            process.terminate()
            _, said = process.communicate()
    assert bool(title) == ("A web browser at http://127.0.0.1:" in said)


def test_nothing_is_loaded_for_an_app_without_pages() -> None:
    """A server in code that does not ask for pages does not even load them, nor the parser of forms."""
    program = (
        "import sys; from s3func.server import S3App; S3App();"
        "print([name for name in sys.modules if name.startswith(('s3func.server.browser', 'python_multipart'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "[]" == done.stdout.strip()
