"""B2Session: all verbs of the B2 native API in one class, under the names of S3.

The path of a call: the arguments become a Request (operations.py), the Client gives it address and token (auth.py, or
upload.py where something is uploaded) and sends it (transport/), the answer becomes a result or a typed error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.b2.buckets import BucketVerbs, KeyVerbs, ProtectionVerbs
from s3func.b2.config import PRESIGNED_MAX_SECONDS, check_key, check_number, check_text, key_path
from s3func.b2.deletion import DeletionVerbs
from s3func.b2.engines import EngineVerbs
from s3func.b2.multipart import MultipartVerbs
from s3func.errors import NotSupported
from s3func.wire.b2json import parse_download_authorization, parse_object
from s3func.wire.encoding import encode_query

if TYPE_CHECKING:
    from collections.abc import Mapping

# How S3 and B2 call the headers that a URL may ask for in place of those that are stored.
_RESPONSE_HEADERS = {
    "response-cache-control": "b2CacheControl",
    "response-content-disposition": "b2ContentDisposition",
    "response-content-encoding": "b2ContentEncoding",
    "response-content-language": "b2ContentLanguage",
    "response-content-type": "b2ContentType",
    "response-expires": "b2Expires",
}


class B2Session(DeletionVerbs, MultipartVerbs, BucketVerbs, ProtectionVerbs, KeyVerbs, EngineVerbs):
    """A handle on one Backblaze B2 account, usually bound to one bucket. Safe for threads and for fork.

    It speaks the B2 native API: `version_id` is B2's file id, every write keeps the versions before it, and
    delete_object hides. All sessions of a process with the same application key share one token and its upload URLs.
    Without a key it reads a public bucket. What B2 cannot do raises NotSupported before anything is sent.
    """

    def presigned_url(
        self,
        method: str,
        key: str,
        *,
        expires: int = 3600,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        bucket: str | None = None,
    ) -> str:
        """A URL that lets whoever has it read this object for `expires` seconds (1 to 604,800).

        B2 gives the right for all keys that begin with this one, reading is all that it gives, and it has to be asked
        (one call, for which the key needs shareFiles). query: headers of the answer, by S3's names
        ("response-content-type") or B2's ("b2ContentType").
        https://www.backblaze.com/apidocs/b2-get-download-authorization
        """
        if not isinstance(method, str) or method.upper() not in self.capabilities.presigned_methods:
            raise NotSupported(f"B2 makes URLs for reading only, not for {method!r}")
        if version_id is not None:
            raise NotSupported("B2 makes URLs for the newest version only")
        if headers:
            raise NotSupported("B2 signs no headers")
        check_number("expires", expires, 1, PRESIGNED_MAX_SECONDS)
        check_key(key)
        overridden: dict[str, str] = {}
        for name, value in (query or {}).items():
            known = _RESPONSE_HEADERS.get(name, name)
            if known not in _RESPONSE_HEADERS.values():
                raise NotSupported(f"B2 does not know {name!r} in a URL")
            overridden[known] = check_text(f"query[{name!r}]", value)
        name = self._name(bucket)
        fields: dict[str, Any] = {
            "bucketId": self._bucket_id(name),
            "fileNamePrefix": key,
            "validDurationInSeconds": expires,
            **overridden,
        }
        granted = self._call(
            "b2_get_download_authorization", fields, parse_download_authorization, bucket=name, key=key, reading=True
        )
        place = self._download_url or self._grant().download
        pairs = encode_query([("Authorization", granted.token), *overridden.items()])
        return f"{place.origin}{place.path}/file/{name}/{key_path(key)}?{pairs}"

    def request(self, call: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Any call of the API, by its name: `session.request("b2_list_buckets", {"accountId": …})`. Refusals raise."""
        if not isinstance(call, str) or not call.startswith("b2_") or not call.replace("_", "").isalnum():
            raise ValueError(f"call is no name of a B2 call: {call!r}")
        return self._call(call, fields or {}, parse_object)

    @property
    def account_id(self) -> str:
        """The id of the account, which some calls of the API want."""
        return self._grant().authorization.account_id

    @property
    def bucket_id(self) -> str:
        """The id of the session's bucket."""
        return self._bucket_id(self._name(None))

    @property
    def download_url(self) -> str:
        """Where downloads come from."""
        place = self._download_url or self._grant().download
        return place.origin + place.path
