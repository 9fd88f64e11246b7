"""A service over a bucket: notes by name, with PUT, GET and DELETE. Usage: notes.py BUCKET [PORT]

One session serves all threads. Whoever edits a note says which state of it he has read (If-Match), so that of two edits
at the same time one is refused, and neither is lost without a word.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from s3func import RetryPolicy, S3Session, Timeouts
from s3func.errors import NotFound, PreconditionFailed, S3FuncError, Throttled

NOTE_BYTES_MAX = 1_000_000


class Notes(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def __init__(self, session: S3Session, *connection: Any) -> None:
        self.session = session
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Read a note; its ETag is what an edit has to bring along."""
        self._answer(self._read)

    def do_PUT(self) -> None:
        """Write a note: a new one, or with If-Match another state of the one that was read."""
        self._answer(self._write)

    def do_DELETE(self) -> None:
        """Delete a note."""
        self._answer(self._delete)

    @property
    def key(self) -> str:
        """Where the note is kept; a name cannot lead anywhere else, because a key is no path."""
        return "notes/" + unquote(self.path).removeprefix("/")

    def _read(self) -> None:
        note = self.session.get_object(self.key)
        self._send(200, note.data, note.etag)

    def _write(self) -> None:
        size = int(self.headers.get("Content-Length", -1))
        if not 0 <= size <= NOTE_BYTES_MAX:
            self._send(413, b"too large, or of unknown length\n")
            return
        body, seen = self.rfile.read(size), self.headers.get("If-Match")
        if seen:
            stored = self.session.put_object(self.key, body, if_match=seen)
        else:
            stored = self.session.put_object(self.key, body, if_none_match="*")
        self._send(201, b"", stored.etag)

    def _delete(self) -> None:
        self.session.delete_object(self.key)
        self._send(204, b"")

    def _answer(self, action: Callable[[], None]) -> None:
        try:
            action()
        except NotFound:
            self._send(404, b"no such note\n")
        except PreconditionFailed:
            self._send(412, b"somebody else was faster: read it again\n")
        except Throttled:
            self._send(503, b"try again later\n")
        except S3FuncError as error:
            # The text has bucket, key and request id, and no secret.
            self.log_error("%s: %s", type(error).__name__, error)
            self._send(502, b"the store failed\n")

    def _send(self, status: int, body: bytes, etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(bucket: str, port: int = 0) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    # A caller waits for the answer: better an error after five seconds than an answer after a minute.
    limits = Timeouts(connect=2, read=5, total=5)
    with S3Session(bucket=bucket, timeouts=limits, retries=RetryPolicy(attempts=3), max_connections=32) as session:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(Notes, session))
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
