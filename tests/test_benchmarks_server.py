"""The parts of the server's benchmark that compute, and its load, which must not count what it did not get."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import s3func.testing
from benchmarks import __main__ as program
from benchmarks import server, server_load, server_rigs
from benchmarks.server_load import SMALL, WrongAnswer


def sample(name: str, task: str, number: int, *, wall: float = 1.0, calls: int = 100) -> server.Sample:
    return server.Sample(name, task, number, calls, 100, calls * 1024, wall, 0.25, 0.5, 3 << 20)


def test_quantities_are_what_their_columns_say() -> None:
    """Calls by wall time, bytes by wall time, CPU by all calls (those of the warming up too), the load's share."""
    one = sample("s3func, os", "put", 0, wall=2.0, calls=400)
    assert 200.0 == server.rate(one)
    assert 400 * 1024 / 2**30 / 2 == server.speed(one)
    assert 1000.0 == server.cpu_us(one)
    assert 12.5 == server.load_busy(one)
    assert 3.0 == server.peak_mib(one)


def test_a_ratio_is_taken_within_a_round() -> None:
    """Twice the calls of a neighbour is 2.00, also where the machine was slow for both, and a lonely round is not used."""
    samples = [
        sample("s3func, os", "put", 0, calls=200),
        sample("moto_server", "put", 0, calls=100),
        sample("s3func, os", "put", 1, calls=20),
        sample("moto_server", "put", 1, calls=10),
        sample("moto_server", "put", 2, calls=1),
    ]
    found = server.ratio(samples, "s3func, os", "moto_server", "put", server.rate)
    assert found is not None
    assert (2.0, 2.0, 2.0) == (found.median, found.low, found.high)
    assert "| s3func, os ÷ moto_server | 2.00 | – | – | – |" in server.ratio_table(samples).splitlines()


def test_who_was_left_out_is_named() -> None:
    """A report without a server says why, and has no row of it."""
    text = server.markdown([sample("s3func, os", "put", 0)], {}, {"nginx": "not here"}, server.QUICK, "about")
    assert "Left out: nginx: not here" in text
    assert "| nginx |" not in text


def test_a_peer_without_its_script_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """It is told which script was looked for, and where."""
    monkeypatch.setattr(server_rigs, "SCRIPTS", tmp_path)
    rig = server_rigs.ROSTER[3]
    with pytest.raises(server_rigs.ServerUnavailable, match=r"moto\.sh"), server_rigs.Server(rig, tmp_path):
        pass


def test_unknown_servers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks server --servers` names the word that it does not know."""
    with pytest.raises(SystemExit):
        program.main(["server", "--servers", "nginx; minio"])
    assert "unknown: minio" in capsys.readouterr().err


@pytest.fixture
def order() -> Iterator[dict[str, Any]]:
    """The load's order for a server of ours."""
    with s3func.testing.server() as running:
        yield {
            "port": int(running.endpoint_url.rpartition(":")[2]),
            "access_key_id": running.access_key_id,
            "secret_access_key": running.secret_access_key,
            "seconds": 0.1,
            "warm_up_seconds": 0.05,
            "bulk_size": 9 << 20,
        }


def test_the_load_is_understood(
    order: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every task succeeds on our server, which verifies signatures and hashes, and counts what it did."""
    readings = {}
    monkeypatch.setattr(server_load, "NEW_KEYS", 20)
    for task in ("make bucket", "put", "get", "upload", "download"):
        monkeypatch.setattr("sys.argv", ["load", json.dumps(order | {"task": task})])
        assert 0 == server_load.main()
        readings[task] = json.loads(capsys.readouterr().out)
    assert 8 * 20 >= readings["put"]["calls"] > 0
    assert 8 * server_load.READ_KEYS == readings["put"]["warm_up_calls"]
    assert readings["get"]["calls"] > 0
    assert (1, 9 << 20) == (readings["upload"]["calls"], readings["upload"]["bytes"])
    assert (1, 9 << 20) == (readings["download"]["calls"], readings["download"]["bytes"])


def test_the_load_notices_a_refusal(order: dict[str, Any]) -> None:
    """A bucket that is not there, a wrong secret and an object of another length end the measurement."""
    with pytest.raises(WrongAnswer, match="NoSuchBucket"):
        server_load.small_calls(order, "PUT")
    server_load.make_bucket(order)
    server_load.upload(order)
    with pytest.raises(WrongAnswer, match="NoSuchKey"):
        server_load.small_calls(order, "GET")
    with pytest.raises(WrongAnswer):
        server_load.download(order | {"bulk_size": 1})
    with pytest.raises(WrongAnswer, match="403"):
        server_load.upload(order | {"secret_access_key": "wrong", "bulk_size": 1})


@pytest.mark.parametrize("ending", ["HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"])
def test_a_server_that_ends_connections_is_connected_to_again(ending: str) -> None:
    """Answers that end the connection count like others, each byte by byte."""
    answer = f"{ending}Content-Length: {len(SMALL)}\r\n\r\n".encode() + SMALL
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with connection:
                if connection.recv(4096):
                    connection.sendall(answer[:30])
                    connection.sendall(answer[30:])

    thread = threading.Thread(target=serve)
    thread.start()
    client = server_load.Client(listener.getsockname()[1], itertools.repeat(b"GET", 2), reads=True)
    reading = server_load._run({client.socket.fileno(): client}, 60)
    client.socket.close()
    thread.join()
    listener.close()
    assert 2 == reading.calls
