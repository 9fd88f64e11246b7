"""The way out: which proxy, by the variables that every client obeys, and what goes through it."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3func.errors import ConnectError
from s3func.message import Request
from s3func.transport.network import DIRECT, Network, Proxy, network_of
from s3func.transport.pool import Pool
from s3func.transport.timeouts import Timeouts
from tests.faults.certificates import OPENSSL, Certificate
from tests.faults.scripted import Scripted, answer

PASSWORD = "pa:ss/S3KRIT"
QUOTED = "pa%3Ass%2FS3KRIT"

# Each row: variables, a host with scheme and port, and the proxy on the way to it.
WAYS: list[tuple[dict[str, str], tuple[str, str, int], str]] = [
    ({}, ("https", "s3.example", 443), ""),
    ({"HTTPS_PROXY": "http://p:1"}, ("https", "s3.example", 443), "http://p:1"),
    ({"HTTPS_PROXY": "http://p:1"}, ("http", "s3.example", 80), ""),
    ({"HTTP_PROXY": "http://p:1"}, ("http", "s3.example", 80), "http://p:1"),
    ({"HTTP_PROXY": "http://p:1"}, ("https", "s3.example", 443), ""),
    ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, ("https", "s3.example", 443), "http://low:1"),
    ({"HTTPS_PROXY": "p:3128"}, ("https", "s3.example", 443), "http://p:3128"),
    ({"HTTPS_PROXY": "http://p"}, ("https", "s3.example", 443), "http://p:80"),
    ({"HTTPS_PROXY": "https://p/"}, ("https", "s3.example", 443), "https://p:443"),
    ({"HTTPS_PROXY": ""}, ("https", "s3.example", 443), ""),
    # A header of a request to a CGI program arrives under this name.
    ({"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"}, ("http", "s3.example", 80), ""),
    ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, ("http", "s3.example", 80), "http://p:1"),
]
# Each row: NO_PROXY, host, port, and whether it is about the host.
EXCEPTIONS: list[tuple[str, str, int, bool]] = [
    ("*", "s3.example", 443, True),
    ("s3.example", "s3.example", 443, True),
    ("S3.Example", "s3.example", 443, True),
    ("example", "s3.example", 443, True),
    (".example", "s3.example", 443, True),
    ("*.example", "s3.example", 443, True),
    (".example", "example", 443, True),
    ("ample", "s3.example", 443, False),
    ("s3.example", "other.example", 443, False),
    ("s3.example.com", "s3.example", 443, False),
    ("a, b ,s3.example", "s3.example", 443, True),
    ("a b s3.example", "s3.example", 443, True),
    ("s3.example:443", "s3.example", 443, True),
    ("s3.example:8443", "s3.example", 443, False),
    ("10.0.0.0/8", "10.1.2.3", 80, True),
    ("10.0.0.0/8", "11.1.2.3", 80, False),
    ("10.0.0.0/8", "ten.example", 80, False),
    ("fd00::/8", "fd00::1", 80, True),
    ("[::1]", "::1", 80, True),
    ("[::1]:80", "::1", 80, True),
    ("[::1]:81", "::1", 80, False),
    ("::1", "::1", 80, True),
    ("127.0.0.1", "127.0.0.1", 9000, True),
    ("", "s3.example", 443, False),
    (",, ,", "s3.example", 443, False),
    (".", "s3.example", 443, False),
]


@pytest.mark.parametrize(("environment", "target", "expected"), WAYS)
def test_the_proxy_of_a_request(environment: dict[str, str], target: tuple[str, str, int], expected: str) -> None:
    """Each scheme has a proxy of its own; lower-case variables go first; a CGI program is not fooled."""
    proxy = network_of(environment).proxy_for(*target)
    assert expected == ("" if proxy is None else str(proxy))


@pytest.mark.parametrize(("names", "host", "port", "expected"), EXCEPTIONS)
def test_hosts_without_a_proxy(names: str, host: str, port: int, expected: bool) -> None:
    """NO_PROXY knows names with what is below them, addresses, networks, ports, and everything."""
    network = network_of({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1", "NO_PROXY": names})
    assert expected == (network.proxy_for("http", host, port) is None)


@given(st.text(), st.text(st.characters(min_codepoint=33, max_codepoint=126)), st.integers(1, 65535))
def test_no_text_in_no_proxy_is_an_error(names: str, host: str, port: int) -> None:
    """Whatever stands in NO_PROXY, the question is answered."""
    network = network_of({"HTTP_PROXY": "http://p:1", "NO_PROXY": names})
    assert network.proxy_for("http", host, port) in {None, Proxy("http", "p", 1)}


@pytest.mark.parametrize(
    "url", ["http://", "http://u:S3KRIT@", "socks5://S3KRIT@p:1", "http://p:0", "http://p:99999", "p q"]
)
def test_a_proxy_that_is_none(url: str) -> None:
    """It is named by its variable, and not quoted."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        with pytest.raises(ValueError, match=name) as caught:
            network_of({name: url})
        assert "S3KRIT" not in str(caught.value)


def test_the_password_of_a_proxy_is_in_its_header_only() -> None:
    """It is decoded for the header, and neither repr nor str shows it."""
    network = network_of({"HTTPS_PROXY": f"http://me:{QUOTED}@p:1", "HTTP_PROXY": "http://only:me@q:1"})
    assert network.https_proxy is not None
    assert f"Basic {b64encode(f'me:{PASSWORD}'.encode()).decode()}" == network.https_proxy.authorization
    for text in (repr(network), str(network), repr(network.https_proxy), f"{network.https_proxy}"):
        assert "S3KRIT" not in text
        assert network.https_proxy.authorization not in text


def test_certificates(tmp_path: Path) -> None:
    """AWS's own setting goes before REQUESTS_CA_BUNDLE; a path that is not there is an error at once."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    mine, theirs = str(tmp_path / "a"), str(tmp_path / "b")
    assert Network(mine) == network_of({"REQUESTS_CA_BUNDLE": theirs}, mine)
    assert Network(theirs) == network_of({"REQUESTS_CA_BUNDLE": theirs})
    assert DIRECT is network_of({})
    with pytest.raises(ValueError, match=r"nowhere.*are not there"):
        network_of({}, str(tmp_path / "nowhere"))


class ProxyServer:
    """A proxy on loopback: forwards plain http, opens tunnels, asks for a password, and keeps what it was told."""

    def __init__(self, authorization: str = "", context: ssl.SSLContext | None = None) -> None:
        """context: speak TLS to clients."""
        self.authorization = authorization
        self._context = context
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        if self._context is not None:
            client = self._context.wrap_socket(client, server_side=True)
            self._open.append(client)
        with client:
            data = b""
            while b"\r\n\r\n" not in data:
                block = client.recv(65536)
                if not block:
                    return
                data += block
            self.heads.append(data)
            head = data.partition(b"\r\n\r\n")[0]
            line = head.split(b"\r\n")[0].decode().split(" ")
            if self.authorization and f"proxy-authorization: {self.authorization}".lower() not in head.decode().lower():
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                return
            if line[0] == "CONNECT":
                host, _, port = line[1].rpartition(":")
                upstream = socket.create_connection((host, int(port)))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                _, _, address = line[1].partition("://")
                authority, _, path = address.partition("/")
                host, _, port = authority.rpartition(":")
                upstream = socket.create_connection((host, int(port)))
                upstream.sendall(data.replace(f"{line[1]} ".encode(), f"/{path} ".encode(), 1))
            self._open.append(upstream)
            with upstream:
                self._shovel(client, upstream)

    def _shovel(self, client: socket.socket, upstream: socket.socket) -> None:
        while True:
            for ready in select.select([client, upstream], [], [])[0]:
                try:
                    block = ready.recv(65536)
                    while getattr(ready, "pending", int)():
                        block += ready.recv(65536)
                    if not block:
                        return
                    if ready is client and b" http://" in block:
                        self.heads.append(block)
                        line = block.split(b"\r\n")[0].split(b" ")
                        block = block.replace(line[1], b"/" + line[1].split(b"/", 3)[3], 1)
                    (upstream if ready is client else client).sendall(block)
                except OSError:
                    return


@pytest.fixture
def store() -> Iterator[Scripted]:
    with Scripted(always=answer(200, b"body")) as scripted:
        yield scripted


def get(origin: str) -> Request:
    return Request("GET", origin, "/a//b", "x=1", {"host": origin.partition("://")[2], "authorization": "signature"})


def test_plain_http_is_forwarded(store: Scripted) -> None:
    """The proxy is told the whole address, and the connection to it is kept; the key stays exactly as it is."""
    with ProxyServer() as proxy:
        pool = Pool(network=network_of({"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}))
        assert [b"body", b"body"] == [pool(get(store.url)).read() for _ in range(2)]
        pool.close()
    assert 2 == len(proxy.heads)
    for head in proxy.heads:
        assert head.startswith(f"GET {store.url}/a//b?x=1 HTTP/1.1\r\nhost: 127.0.0.1:{store.port}\r\n".encode())
        assert b"proxy-authorization" not in head


def test_a_proxy_with_a_password(store: Scripted) -> None:
    """The header is sent to the proxy with each request; without the password its refusal is the answer."""
    expected = f"Basic {b64encode(f'me:{PASSWORD}'.encode()).decode()}"
    with ProxyServer(expected) as proxy:
        pool = Pool(network=network_of({"HTTP_PROXY": f"http://me:{QUOTED}@127.0.0.1:{proxy.port}"}))
        request = get(store.url)
        assert b"body" == pool(request).read()
        assert "proxy-authorization" not in request.headers
        pool.close()
        other = Pool(network=network_of({"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}))
        assert 407 == other(get(store.url)).status
        other.close()


def test_no_proxy_is_the_direct_way(store: Scripted) -> None:
    """What NO_PROXY names does not go through the proxy, which is not even there."""
    pool = Pool(network=network_of({"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.0/8"}))
    assert b"body" == pool(get(store.url)).read()
    pool.close()


def test_a_proxy_that_is_away(store: Scripted) -> None:
    """The error names the store and the proxy, and not the password."""
    pool = Pool(network=network_of({"HTTP_PROXY": f"http://me:{QUOTED}@127.0.0.1:1"}))
    with pytest.raises(ConnectError, match=f"{store.url} through the proxy http://127.0.0.1:1: ") as caught:
        pool(get(store.url))
    assert "S3KRIT" not in repr(caught.value)
    assert QUOTED not in repr(caught.value)


if OPENSSL is None:
    # A program that is missing is a skip which CI does not allow.
    assert "CI" not in os.environ, "openssl is missing"
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the openssl program is missing")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for this machine."""
    return Certificate.make(tmp_path_factory.mktemp("certificates"), "loopback", "IP:127.0.0.1,DNS:localhost")


@pytest.fixture
def tls_store(certificate: Certificate) -> Iterator[Scripted]:
    with Scripted(always=answer(200, b"body"), context=certificate.server_context()) as scripted:
        yield scripted


@needs_openssl
def test_a_certificate_of_one_s_own(tls_store: Scripted, certificate: Certificate, tmp_path: Path) -> None:
    """A store with a private certificate is believed where the bundle says so, as a file or as a folder, and nowhere else."""
    import subprocess

    folder = tmp_path / "folder"
    folder.mkdir()
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(certificate.certificate)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (folder / f"{name}.0").write_bytes(certificate.certificate.read_bytes())
    for bundle in (str(certificate.certificate), str(folder)):
        pool = Pool(network=Network(bundle))
        assert b"body" == pool(get(tls_store.url)).read()
        pool.close()
    with pytest.raises(ConnectError, match="certificate verify failed"):
        Pool()(get(tls_store.url))
    damaged = tmp_path / "damaged"
    damaged.write_text("no certificate")
    with pytest.raises(ConnectError, match="no connection to"):
        Pool(network=Network(str(damaged)))(get(tls_store.url))


@needs_openssl
def test_https_goes_through_a_tunnel(tls_store: Scripted, certificate: Certificate) -> None:
    """The proxy is asked for the host and sees nothing of the request; the certificate is the store's."""
    expected = f"Basic {b64encode(f'me:{PASSWORD}'.encode()).decode()}"
    with ProxyServer(expected) as proxy:
        variables = {"HTTPS_PROXY": f"http://me:{QUOTED}@127.0.0.1:{proxy.port}"}
        pool = Pool(network=network_of(variables, str(certificate.certificate)))
        assert [b"body", b"body"] == [pool(get(tls_store.url)).read() for _ in range(2)]
        pool.close()
        [head] = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{tls_store.port} HTTP/1.".encode())
        assert b"signature" not in head
        other = Pool(Timeouts(connect=5), network=network_of({"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}))
        with pytest.raises(
            ConnectError, match=f"{tls_store.url} through the proxy .*407 Proxy Authentication Required"
        ):
            other(get(tls_store.url))


@needs_openssl
def test_a_proxy_that_speaks_tls(tls_store: Scripted, store: Scripted, certificate: Certificate) -> None:
    """What goes to the proxy is encrypted as well: a tunnel inside of TLS, and plain http forwarded through it."""
    with ProxyServer(context=certificate.server_context()) as proxy:
        address = f"https://127.0.0.1:{proxy.port}"
        network = network_of({"HTTPS_PROXY": address, "HTTP_PROXY": address}, str(certificate.certificate))
        pool = Pool(Timeouts(connect=5, read=5), network=network)
        assert [b"body", b"body"] == [pool(get(tls_store.url)).read() for _ in range(2)]
        assert [b"body", b"body"] == [pool(get(store.url)).read() for _ in range(2)]
        pool.close()
    assert ["CONNECT", "GET", "GET"] == [head.split(b" ")[0].decode() for head in proxy.heads]
