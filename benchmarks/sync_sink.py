"""The store of the sync benchmark: nginx that lists as many keys as a scenario wants, and takes and gives small objects.

It keeps no bytes. Every key of `small/`, `noop/` and `plan/` is made of its number, so a page of a listing is computed from
its token; every object of a prefix has the same bytes. An upload is answered with the MD5 of what was sent, so that clients
that compare it are content, and is counted with its bytes; HEAD knows it until /stats is asked.

    GET  /many?prefix=small/     20,000 keys of 4 KiB    GET HEAD PUT /many/…    /stats: requests by kind since the last time
    GET  /many?prefix=noop/     200,000 keys of 16 bytes
    GET  /many?prefix=plan/   1,000,000 keys of 16 bytes, lists only
    GET  /many?prefix=empty/          none
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import urllib.request
from pathlib import Path

from benchmarks.sink import Sink

BUCKET = "many"
WRITTEN = 1_767_225_600
"""When every object was last modified, and the mtime of every file: seconds since 1970, 2026-01-01."""
_LAST_MODIFIED = "2026-01-01T00:00:00.000Z"

_CONFIG = """\
daemon off;
%(user)s
pid %(data)s/nginx.pid;
error_log %(data)s/error.log warn;
worker_processes 1;
load_module %(modules)s/ndk_http_module.so;
load_module %(modules)s/ngx_http_lua_module.so;
events { worker_connections 2000; }
http {
  access_log off; server_tokens off; default_type application/octet-stream; etag off;
  sendfile on; tcp_nodelay on; open_file_cache max=16; open_file_cache_valid 600s;
  keepalive_requests 100000000; keepalive_timeout 300s; lingering_close off; reset_timedout_connection on;
  client_max_body_size 1m; client_body_buffer_size 64k; merge_slashes off;
  client_body_temp_path %(data)s/tmp; proxy_temp_path %(data)s/tmp; fastcgi_temp_path %(data)s/tmp;
  uwsgi_temp_path %(data)s/tmp; scgi_temp_path %(data)s/tmp;
  lua_shared_dict stats 1m;
  lua_shared_dict taken 16m;
  init_by_lua_block {
    shelves = {%(shelves)s}
    for _, shelf in pairs(shelves) do
      local file = io.open("%(data)s/body-" .. shelf.size, "rb")
      shelf.body = file:read("*a")
      file:close()
    end
    function hex(bytes)
      return (bytes:gsub(".", function(byte) return string.format("%%02x", byte:byte()) end))
    end
    function count(kind, bytes)
      ngx.shared.stats:incr(kind, 1, 0)
      if bytes then ngx.shared.stats:incr("bytes", bytes, 0) end
    end
    function page(arguments)
      local prefix = arguments["prefix"] or ""
      local shelf = shelves[prefix] or {keys = 0, size = 0, etag = ""}
      local limit = math.min(tonumber(arguments["max-keys"]) or 1000, 1000)
      local place = arguments["continuation-token"] or arguments["start-after"] or arguments["marker"] or ""
      local first = (tonumber(place:match("(%%d+)$")) or -1) + 1
      local last = math.min(first + limit, shelf.keys)
      local rows = {}
      for number = first, last - 1 do
        rows[#rows + 1] = string.format(
          '<Contents><Key>%%sd%%05d/f%%07d</Key><LastModified>%(modified)s</LastModified><ETag>&quot;%%s&quot;</ETag><Size>%%d</Size><StorageClass>STANDARD</StorageClass></Contents>',
          prefix, math.floor(number / 100), number, shelf.etag, shelf.size)
      end
      local more = last < shelf.keys
      local head = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%(bucket)s</Name><Prefix>' .. prefix .. '</Prefix><KeyCount>' .. #rows .. '</KeyCount><MaxKeys>' .. limit .. '</MaxKeys>'
      if arguments["encoding-type"] then head = head .. '<EncodingType>url</EncodingType>' end
      head = head .. '<IsTruncated>' .. tostring(more) .. '</IsTruncated>'
      if more then
        local token = string.format("%%s%%d", arguments["list-type"] and "" or prefix .. "f", last - 1)
        head = head .. (arguments["list-type"] and '<NextContinuationToken>' .. token .. '</NextContinuationToken>' or '<NextMarker>' .. token .. '</NextMarker>')
      end
      return head .. table.concat(rows) .. '</ListBucketResult>'
    end
  }
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    root %(data)s;
    location = /stats {
      content_by_lua_block {
        local found = {}
        for _, name in ipairs({"list", "put", "get", "head", "other", "bytes"}) do
          found[#found + 1] = '"' .. name .. '":' .. (ngx.shared.stats:get(name) or 0)
        end
        ngx.shared.stats:flush_all()
        ngx.shared.taken:flush_all()
        ngx.print("{" .. table.concat(found, ",") .. "}")
      }
    }
    location ~ ^/%(bucket)s/?$ {
      content_by_lua_block {
        local method = ngx.req.get_method()
        if method ~= "GET" then
          count("other")
          return
        end
        local arguments = ngx.req.get_uri_args()
        if arguments["location"] then
          count("other")
          ngx.print('<?xml version="1.0"?><LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>')
          return
        end
        count("list")
        local answer = page(arguments)
        ngx.header["Content-Type"] = "application/xml"
        ngx.header["Content-Length"] = #answer
        ngx.print(answer)
      }
    }
    location ~ ^/%(bucket)s/(?<shelf>[a-z]+)/ {
      content_by_lua_block {
        local method = ngx.req.get_method()
        if method == "PUT" then
          -- nginx itself would make a 304 of the answer to "only if there is none".
          ngx.req.clear_header("If-None-Match")
          ngx.req.read_body()
          local body = ngx.req.get_body_data() or ""
          count("put", #body)
          local etag = hex(ngx.md5_bin(body))
          ngx.shared.taken:set(ngx.var.uri, etag .. #body)
          ngx.header["ETag"] = '"' .. etag .. '"'
          ngx.header["Content-Length"] = 0
          return
        end
        count(method == "HEAD" and "head" or "get")
        local shelf = shelves[ngx.var.shelf .. "/"]
        if not shelf or shelf.keys == 0 then
          local taken = ngx.shared.taken:get(ngx.var.uri)
          if method ~= "HEAD" or not taken then return ngx.exit(404) end
          ngx.header["ETag"] = '"' .. taken:sub(1, 32) .. '"'
          ngx.header["Last-Modified"] = ngx.http_time(%(written)d)
          ngx.header["Content-Length"] = taken:sub(33)
          return
        end
        ngx.header["ETag"] = '"' .. shelf.etag .. '"'
        ngx.header["Last-Modified"] = ngx.http_time(%(written)d)
        ngx.header["x-amz-meta-mtime"] = "%(written)d"
        ngx.header["Accept-Ranges"] = "bytes"
        ngx.header["Content-Length"] = shelf.size
        if method == "GET" then ngx.print(shelf.body) end
      }
    }
  }
}
"""


def content(size: int) -> bytes:
    """The bytes of every object of so many."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


class SyncSink(Sink):
    """A running nginx with shelves of keys: prefix → (how many, bytes of each)."""

    def __init__(self, shelves: dict[str, tuple[int, int]]) -> None:
        super().__init__(0)
        self.shelves = shelves

    def stats(self) -> dict[str, int]:
        """Requests since the last time: list, put, get, head, other; and the bytes that were put."""
        with urllib.request.urlopen(f"{self.endpoint}/stats") as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def _write_data(self) -> None:
        (self._data / "tmp").mkdir()
        (self._data / "home").mkdir()

    def _config(self) -> str:
        rows = []
        for prefix, (keys, size) in self.shelves.items():
            body = content(size)
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            (self._data / f"body-{size}").write_bytes(body)
            rows.append(f'["{prefix}"] = {{keys = {keys}, size = {size}, etag = "{etag}"}}')
        return _CONFIG % {
            "user": f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
            "data": self._data,
            "modules": self._modules,
            "port": self.port,
            "bucket": BUCKET,
            "shelves": ", ".join(rows),
            "modified": _LAST_MODIFIED,
            "written": WRITTEN,
        }


def make_tree(folder: Path, keys: int, size: int) -> None:
    """The files that a shelf of the sink is made of, with the same names, bytes and times."""
    body = content(size)
    for number in range(keys):
        if number % 100 == 0:
            place = folder / f"d{number // 100:05d}"
            place.mkdir(parents=True)
        path = place / f"f{number:07d}"
        with path.open("wb", buffering=0) as file:
            file.write(body)
        os.utime(path, (WRITTEN, WRITTEN))
