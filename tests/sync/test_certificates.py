"""sync() with a store whose certificate is one's own: what the environment says of certificates is heard, and not fatal."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self

import pytest

import s3func.testing
from s3func.errors import SyncIncomplete
from s3func.sync.syncing import sync
from s3func.testing import Server
from tests.faults.certificates import OPENSSL, Certificate

if OPENSSL is None:
    # A program that is missing is a skip which CI does not allow.
    assert "CI" not in os.environ, "openssl is missing"
    pytest.skip("the openssl program is missing", allow_module_level=True)

FILES = {f"d/{number}": f"{number}".encode() * 1000 for number in range(20)}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for this machine that no authority has signed."""
    return Certificate.make(tmp_path_factory.mktemp("certificates"), "loopback", "IP:127.0.0.1")


class Relay:
    """A port that speaks TLS, in front of another one that does not; a context manager."""

    def __init__(self, certificate: Certificate, port: int) -> None:
        self._context = certificate.server_context()
        self._behind = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                came, _ = self._listening.accept()
            except OSError:
                return
            thread = Thread(target=self._carry, args=(came,))
            self._threads.append(thread)
            thread.start()

    def _carry(self, came: socket.socket) -> None:
        with (
            came,
            suppress(OSError),
            self._context.wrap_socket(came, server_side=True) as client,
            socket.create_connection(self._behind) as store,
        ):
            _exchange(client, store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


def _exchange(client: ssl.SSLSocket, store: socket.socket) -> None:
    """Carry bytes both ways until one side has no more; by one thread, because no two may use a TLS connection."""
    while True:
        ready = [client] if client.pending() else select.select([client, store], [], [])[0]
        for side in ready:
            data = side.recv(65536)
            if not data:
                return
            (store if side is client else client).sendall(data)


@pytest.fixture
def server() -> Iterator[Server]:
    with s3func.testing.server() as running:
        running.session("bucket")
        yield running


@pytest.fixture
def relay(server: Server, certificate: Certificate) -> Iterator[Relay]:
    with Relay(certificate, int(server.endpoint_url.rpartition(":")[2])) as running:
        yield running


@pytest.fixture(autouse=True)
def account(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    monkeypatch.setenv("AWS_REGION", server.region)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def there_and_back(tmp_path: Path, endpoint_url: str) -> dict[str, bytes]:
    """What comes down of what went up."""
    for name, content in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert sync(tmp_path / "tree", "s3://bucket/p", endpoint_url=endpoint_url).uploaded == len(FILES)
    assert sync("s3://bucket/p", tmp_path / "back", endpoint_url=endpoint_url).downloaded == len(FILES)
    found = [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
    return {path.relative_to(tmp_path / "back").as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_t65_certificates_of_the_environment_are_believed(
    relay: Relay, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """T65: a sync with a store whose certificate the variable names works in both directions."""
    monkeypatch.setenv(variable, str(certificate.certificate))
    assert FILES == there_and_back(tmp_path, relay.url)


def test_t65_the_variable_does_not_disturb_a_store_without_tls(
    server: Server, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T65: with AWS_CA_BUNDLE in the environment, a store that is reached without TLS is reached as before."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.certificate))
    assert FILES == there_and_back(tmp_path, server.endpoint_url)


def test_t65_without_the_variable_nobody_is_believed(relay: Relay, tmp_path: Path) -> None:
    """T65: the same store is not believed where nobody vouches for it, and what is here is not deleted."""
    (tmp_path / "back").mkdir()
    (tmp_path / "back/kept").write_bytes(b"1")
    with pytest.raises(SyncIncomplete, match="CERTIFICATE_VERIFY_FAILED"):
        sync(
            "s3://bucket/p",
            tmp_path / "back",
            endpoint_url=relay.url,
            delete="all",
            max_delete="none",
            allow_empty_source=True,
        )
    assert ["kept"] == os.listdir(tmp_path / "back")
