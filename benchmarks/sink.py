"""The store that everybody is measured against: nginx on a free loopback port, its data in memory.

It checks no signature and keeps nothing that is sent to it, but it reads every body to the end before it answers, it
refuses a small object that is not exactly `SMALL_SIZE` bytes, and it counts the bytes of every large upload. So a
client that sends too little is found out, and one that is told "200" has really been served.

    PUT      /bench/small/KEY            200, ETag, and the checksum header that was sent, as AWS echoes it
    GET HEAD /bench/small/KEY            SMALL_SIZE bytes; x-amz-checksum-crc32 where x-amz-checksum-mode asks for it
    PUT GET  /bench/bulk/KEY             the same for one large object
    POST     /bench/bulk/KEY?uploads, PUT ?partNumber=, POST ?uploadId=         a multipart upload
    GET      /bench?list-type=2&prefix=  a page of 1,000 keys, in two shapes: prefix plain/ and prefix lake/
    GET      /received                   bytes of bodies sent to /bench/bulk/ since the last time somebody asked
"""

from __future__ import annotations

import base64
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.page import LAKE_PREFIX, PLAIN_PREFIX, list_page

BUCKET = "bench"
ETAG = "9bb58f26192e4ba00f01e2e7b136bbd8"
"""What every upload is answered with, in one piece or in parts."""
SMALL_SIZE = 1024
PACKAGES = "nginx-light libnginx-mod-http-lua"


class SinkUnavailable(Exception):
    """nginx, or its Lua module, is not installed."""


def small_body() -> bytes:
    """The object of every small call."""
    return bytes(range(256)) * (SMALL_SIZE // 256)


def bulk_block() -> bytes:
    """1 MiB; the large object repeats it. It is not constant, so that nothing can be compressed or shared."""
    block = bytearray()
    word = 1
    while len(block) < 1 << 20:
        word = word * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        block += word.to_bytes(8, "little")
    return bytes(block)


def _crc32_text(blocks: list[bytes]) -> str:
    crc = 0
    for block in blocks:
        crc = zlib.crc32(block, crc)
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


_CONFIG = """\
daemon off;
%(user)s
pid %(data)s/nginx.pid;
error_log %(data)s/error.log warn;
worker_processes %(workers)d;
load_module %(modules)s/ndk_http_module.so;
load_module %(modules)s/ngx_http_lua_module.so;
events { worker_connections 1000; }
http {
  access_log off; server_tokens off; default_type application/octet-stream;
  sendfile on; sendfile_max_chunk 2m; tcp_nodelay on; open_file_cache max=16; open_file_cache_valid 600s;
  keepalive_requests 100000000; keepalive_timeout 300s; lingering_close off; reset_timedout_connection on;
  client_max_body_size 0; client_body_buffer_size 256k; merge_slashes off;
  client_body_temp_path %(data)s/tmp; proxy_temp_path %(data)s/tmp; fastcgi_temp_path %(data)s/tmp;
  uwsgi_temp_path %(data)s/tmp; scgi_temp_path %(data)s/tmp;
  lua_shared_dict received 64k;
  init_by_lua_block {
    pages = {}
    for _, name in ipairs({"plain", "lake"}) do
      for _, ending in ipairs({"", "-url"}) do
        local file = io.open("%(data)s/" .. name .. ending .. ".xml", "rb")
        pages[name .. ending] = file:read("*a")
        file:close()
      end
    end
  }
  map $http_x_amz_checksum_mode $small_crc { default ""; ENABLED "%(small_crc)s"; }
  map $http_x_amz_checksum_mode $bulk_crc { default ""; ENABLED "%(bulk_crc)s"; }
  map $http_x_amz_checksum_mode $checksum_type { default ""; ENABLED "FULL_OBJECT"; }
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    root %(data)s;
    add_header x-amz-id-2 "eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran0123456789abc=";
    add_header x-amz-request-id "318BC8BC148832E5";
    add_header x-amz-server-side-encryption "AES256";
    location /bench/small/ {
      if ($request_method = PUT) { rewrite ^ /put/small last; }
      add_header x-amz-id-2 "eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran0123456789abc=";
      add_header x-amz-request-id "318BC8BC148832E5";
      add_header x-amz-server-side-encryption "AES256";
      add_header x-amz-checksum-crc32 $small_crc;
      add_header x-amz-checksum-type $checksum_type;
      try_files /small =404;
    }
    location /bench/bulk/ {
      if ($request_method = PUT) { rewrite ^ /put/bulk last; }
      if ($request_method = POST) { rewrite ^ /post/bulk last; }
      add_header x-amz-request-id "318BC8BC148832E5";
      add_header x-amz-checksum-crc32 $bulk_crc;
      add_header x-amz-checksum-type $checksum_type;
      try_files /bulk =404;
    }
    location = /put/small {
      internal;
      content_by_lua_block {
        ngx.req.read_body()
        if ngx.var.content_length ~= "%(small_size)d" then return ngx.exit(400) end
        ngx.header["ETag"] = '"%(etag)s"'
        ngx.header["x-amz-checksum-crc32"] = ngx.var.http_x_amz_checksum_crc32
        ngx.header["Content-Length"] = 0
        return ngx.exit(200)
      }
    }
    location = /put/bulk {
      internal;
      lua_socket_buffer_size 128k;
      content_by_lua_block {
        local count, socket = 0, nil
        if ngx.var.content_length then socket = ngx.req.socket() end
        if socket then
          local left = tonumber(ngx.var.content_length)
          while left > 0 do
            local block = socket:receiveany(131072)
            if not block then break end
            left, count = left - #block, count + #block
          end
        else
          ngx.req.read_body()
          local name = ngx.req.get_body_file()
          if name then
            local file = io.open(name, "rb")
            count = file:seek("end")
            file:close()
          else
            count = #(ngx.req.get_body_data() or "")
          end
        end
        ngx.shared.received:incr("bytes", count, 0)
        ngx.header["ETag"] = '"%(etag)s"'
        ngx.header["x-amz-checksum-crc32"] = ngx.var.http_x_amz_checksum_crc32
        ngx.header["Content-Length"] = 0
        return ngx.exit(200)
      }
    }
    location = /post/bulk {
      internal;
      content_by_lua_block {
        ngx.req.read_body()
        ngx.header["Content-Type"] = "application/xml"
        local start = '<?xml version="1.0" encoding="UTF-8"?>'
        local space = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        local about = "<Bucket>%(bucket)s</Bucket><Key>bulk/object</Key>"
        if ngx.var.args:find("uploadId=", 1, true) then
          ngx.print(start, "<CompleteMultipartUploadResult", space, "<Location>here</Location>", about,
            "<ETag>&quot;%(etag)s&quot;</ETag></CompleteMultipartUploadResult>")
        else
          ngx.print(start, "<InitiateMultipartUploadResult", space, about,
            "<UploadId>sink</UploadId></InitiateMultipartUploadResult>")
        end
      }
    }
    location = /received {
      content_by_lua_block {
        ngx.print(tostring(ngx.shared.received:get("bytes") or 0))
        ngx.shared.received:set("bytes", 0)
      }
    }
    location ~ ^/bench/?$ {
      default_type application/xml;
      content_by_lua_block {
        local name = (ngx.var.arg_prefix or ""):find("^lake") and "lake" or "plain"
        local ending = ngx.var.args:find("encoding-type=url", 1, true) and "-url" or ""
        ngx.print(pages[name .. ending])
      }
    }
  }
}
"""


class Sink:
    """A running nginx; a context manager that ends it, by its process id, however the block is left."""

    def __init__(self, bulk_size: int) -> None:
        """bulk_size: bytes of the large object, whole MiB."""
        self._nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self._modules = _modules_folder(self._nginx)
        self._bulk_size = bulk_size
        self._process: subprocess.Popen[bytes] | None = None
        self._data = Path()
        self.port = 0
        self.workers = max(1, (os.cpu_count() or 1) // 4)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bulk_path(self) -> str:
        """The large object as a file, for uploads: on the same memory file system."""
        return str(self._data / "bulk")

    @property
    def home(self) -> str:
        """An empty folder for HOME, so that no configuration of the user takes part."""
        return str(self._data / "home")

    def __enter__(self) -> Self:
        shared = "/dev/shm"
        self._data = Path(tempfile.mkdtemp(prefix="s3func-sink-", dir=shared if os.access(shared, os.W_OK) else None))
        try:
            self._write_data()
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop()

    def worker_pids(self) -> list[int]:
        """The processes whose CPU time is the sink's."""
        assert self._process is not None
        listing = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        try:
            return [int(word) for word in Path(listing).read_text().split()]
        except OSError:
            return []

    def version(self) -> str:
        answer = subprocess.run([self._nginx, "-v"], capture_output=True, text=True, check=True)
        return answer.stderr.partition(": ")[2].strip()

    def _write_data(self) -> None:
        (self._data / "tmp").mkdir()
        (self._data / "home").mkdir()
        (self._data / "small").write_bytes(small_body())
        block = bulk_block()
        with (self._data / "bulk").open("wb") as file:
            for _ in range(self._bulk_size >> 20):
                file.write(block)
        for name, prefix in (("plain", PLAIN_PREFIX), ("lake", LAKE_PREFIX)):
            for ending in ("", "-url"):
                (self._data / f"{name}{ending}.xml").write_bytes(list_page(BUCKET, prefix, url_encoded=bool(ending)))

    def _config(self) -> str:
        root = os.geteuid() == 0
        return _CONFIG % {
            "user": f"user {pwd.getpwuid(0).pw_name};" if root else "",
            "data": self._data,
            "modules": self._modules,
            "port": self.port,
            "workers": self.workers,
            "small_size": SMALL_SIZE,
            "small_crc": _crc32_text([small_body()]),
            "bulk_crc": _crc32_text([bulk_block()] * (self._bulk_size >> 20)),
            "etag": ETAG,
            "bucket": BUCKET,
        }

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = self._data / "nginx.conf"
        config.write_text(self._config())
        # A session of its own: Ctrl-C must reach us alone, so that nginx outlives the last request and we end it.
        self._process = subprocess.Popen(
            [self._nginx, "-p", str(self._data), "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(200):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                said = self._process.stderr.read().decode(errors="replace").strip()
                raise SinkUnavailable(f"nginx ended at once (apt-get install {PACKAGES}):\n{said}")
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SinkUnavailable("nginx does not accept connections")

    def _stop(self) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stderr is not None:
                process.stderr.close()
            self._process = None
        shutil.rmtree(self._data, ignore_errors=True)


def _modules_folder(nginx: str) -> str:
    try:
        told = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError) as error:
        raise SinkUnavailable(f"the benchmarks need nginx: apt-get install {PACKAGES}") from error
    found = re.search(r"--modules-path=(\S+)", told)
    folder = Path(found[1]) if found else Path("/usr/lib/nginx/modules")
    if not (folder / "ngx_http_lua_module.so").exists():
        raise SinkUnavailable(f"the benchmarks need nginx's Lua module: apt-get install {PACKAGES}")
    return str(folder)
