"""The store of small B2 calls: nginx on a free loopback port, its data in memory, answering as B2 does.

It computes the SHA-1 of what it is sent, by the header or by the 40 digits at the end, and refuses what does not have it,
so a client that sends something else is found out. For large files there is b2_store.py, behind paced_sink.py.

    GET POST /b2api/…/b2_authorize_account, b2_list_buckets, b2_get_upload_url
    POST     /upload/small                 SMALL_SIZE bytes; the document of the file, with its SHA-1
    GET HEAD /file/bench/small/KEY         SMALL_SIZE bytes with the headers of B2
    POST     /b2api/…/b2_list_file_names   a page of 1,000 rows
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd

from benchmarks.b2_documents import (
    BUCKET_ID,
    TIMESTAMP,
    TOKEN,
    UPLOAD_TOKEN,
    authorization,
    buckets,
    file_id,
    file_row,
    names_page,
)
from benchmarks.page import PLAIN_PREFIX
from benchmarks.sink import BUCKET, SMALL_SIZE, Sink, small_body

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
  sendfile on; tcp_nodelay on; open_file_cache max=16; open_file_cache_valid 600s;
  keepalive_requests 100000000; keepalive_timeout 300s; lingering_close off; reset_timedout_connection on;
  client_max_body_size 1m; client_body_buffer_size 64k; merge_slashes off;
  client_body_temp_path %(data)s/tmp; proxy_temp_path %(data)s/tmp; fastcgi_temp_path %(data)s/tmp;
  uwsgi_temp_path %(data)s/tmp; scgi_temp_path %(data)s/tmp;
  init_by_lua_block {
    documents = {}
    for _, name in ipairs({"b2_authorize_account", "b2_list_buckets", "b2_get_upload_url", "b2_list_file_names", "before", "between", "behind"}) do
      local file = io.open("%(data)s/" .. name .. ".json", "rb")
      documents[name] = file:read("*a")
      file:close()
    end
    function refuse(status, code)
      ngx.status = status
      ngx.header["Content-Type"] = "application/json"
      ngx.print('{"status":' .. status .. ',"code":"' .. code .. '","message":"' .. code .. '"}')
      return ngx.exit(status)
    end
    function hex(bytes)
      return (bytes:gsub(".", function(byte) return string.format("%%02x", byte:byte()) end))
    end
  }
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    root %(data)s;
    location ~ ^/file/%(bucket)s/(?<name>small/.*)$ {
      if ($http_authorization != "%(token)s") { return 401; }
      add_header X-Bz-File-Name $name;
      add_header X-Bz-File-Id "%(file_id)s";
      add_header X-Bz-Content-Sha1 "%(sha1)s";
      add_header X-Bz-Upload-Timestamp "%(timestamp)d";
      add_header X-Bz-Info-src_last_modified_millis "%(timestamp)d";
      add_header Cache-Control "max-age=0, no-cache, no-store";
      try_files /small =404;
    }
    location = /upload/small {
      content_by_lua_block {
        ngx.req.read_body()
        local body, said = ngx.req.get_body_data() or "", ngx.var.http_x_bz_content_sha1
        local token = ngx.var.http_authorization
        if token ~= "%(upload_token)s" and token ~= "%(token)s" then return refuse(401, "bad_auth_token") end
        if said == "hex_digits_at_end" then
          said, body = body:sub(-40), body:sub(1, -41)
        end
        if #body ~= %(small_size)d or hex(ngx.sha1_bin(body)) ~= said then return refuse(400, "bad_request") end
        local name = ngx.unescape_uri(ngx.var.http_x_bz_file_name)
        local answer = documents["before"] .. said .. documents["between"] .. name .. documents["behind"]
        ngx.header["Content-Type"] = "application/json"
        ngx.header["Content-Length"] = #answer
        ngx.print(answer)
      }
    }
    location ~ ^/b2api/[^/]*/(?<call>b2_[a-z_]*)$ {
      content_by_lua_block {
        ngx.req.read_body()
        local call = ngx.var.call
        local answer = documents[call]
        if not answer then return refuse(400, "bad_request") end
        if call ~= "b2_authorize_account" and ngx.var.http_authorization ~= "%(token)s" then
          return refuse(401, "bad_auth_token")
        end
        ngx.header["Content-Type"] = "application/json"
        ngx.header["Content-Length"] = #answer
        ngx.print(answer)
      }
    }
  }
}
"""


class B2Sink(Sink):
    """A running nginx that answers as B2; a context manager that ends it."""

    def __init__(self) -> None:
        super().__init__(0)

    def _write_data(self) -> None:
        (self._data / "tmp").mkdir()
        (self._data / "home").mkdir()
        (self._data / "small").write_bytes(small_body())
        (self._data / "b2_list_file_names.json").write_bytes(names_page(PLAIN_PREFIX))
        # The row of what is uploaded, in pieces: its SHA-1 and its name are filled in.
        row = json.dumps(file_row("NAME", SMALL_SIZE, "0" * 40, file_id(1)), separators=(",", ":"))
        before, _, rest = row.partition("0" * 40)
        between, _, behind = rest.partition('"NAME"')
        for name, text in (("before", before), ("between", f'{between}"'), ("behind", f'"{behind}')):
            (self._data / f"{name}.json").write_text(text)

    def _config(self) -> str:
        realm = self.endpoint
        upload = {"bucketId": BUCKET_ID, "uploadUrl": f"{realm}/upload/small", "authorizationToken": UPLOAD_TOKEN}
        documents = {
            "b2_authorize_account": authorization(realm),
            "b2_list_buckets": buckets(),
            "b2_get_upload_url": upload,
        }
        for name, document in documents.items():
            (self._data / f"{name}.json").write_text(json.dumps(document))
        return _CONFIG % {
            "user": f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
            "data": self._data,
            "modules": self._modules,
            "port": self.port,
            "workers": self.workers,
            "bucket": BUCKET,
            "token": TOKEN,
            "upload_token": UPLOAD_TOKEN,
            "file_id": file_id(1),
            "sha1": hashlib.sha1(small_body(), usedforsecurity=False).hexdigest(),
            "timestamp": TIMESTAMP,
            "small_size": SMALL_SIZE,
        }
