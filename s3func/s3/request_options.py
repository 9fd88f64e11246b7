"""What every request of a session is told beside its own arguments: who pays, whose bucket it must be, which key encrypts.

They are headers of nearly all operations, so they are set once, by `session.with_options(…)`, and an authorizer adds them
where they belong. A header that a call names itself stays as it is.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5
from typing import TYPE_CHECKING, Any, NamedTuple

from s3func.s3.auth import SigV4Authorizer
from s3func.wire.encoding import encode_query, header_value

if TYPE_CHECKING:
    from s3func.message import Request

_SSE = "x-amz-server-side-encryption"
_CUSTOMER = f"{_SSE}-customer-"
_COPY_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"
_KEY_BYTES = 32
# What a request pays for, of those that are about no object.
_PAID_LISTINGS = frozenset({"list-type", "versions", "uploads", "delete", "prefix", "marker"})
# Sub-resources of the requests that read or write an object's bytes.
_BYTES = frozenset({"partNumber", "uploadId", "uploads", "versionId", "attributes", "select", "select-type"})


class Encryption:
    """How the store encrypts what it keeps: `Encryption.s3()`, `Encryption.kms(key_id)` or `Encryption.customer(key)`.

    A customer's key is sent with every request about the object, over https only, and is never shown or pickled.
    """

    __slots__ = ("_written", "is_customer", "kind")

    def __init__(self, kind: str, written: Mapping[str, str]) -> None:
        """Take the headers of a write; use one of the three class methods."""
        self.kind = kind
        self.is_customer = kind == "customer"
        self._written = dict(written)

    @classmethod
    def s3(cls) -> Encryption:
        """With keys of the store's own: SSE-S3."""
        return cls("s3", {_SSE: "AES256"})

    @classmethod
    def kms(
        cls,
        key_id: str | None = None,
        *,
        context: Mapping[str, str] | None = None,
        bucket_key: bool | None = None,
        dual_layer: bool = False,
    ) -> Encryption:
        """With a key of AWS KMS, the account's default one for None.

        context: what has to be said again to decrypt, text to text. bucket_key: fewer calls of KMS, None: as the bucket
        is set. dual_layer: DSSE-KMS.
        """
        headers = {_SSE: "aws:kms:dsse" if dual_layer else "aws:kms"}
        if key_id is not None:
            headers[f"{_SSE}-aws-kms-key-id"] = header_value("key_id", key_id)
        if context is not None:
            if not isinstance(context, Mapping) or not all(
                isinstance(text, str) for pair in context.items() for text in pair
            ):
                raise TypeError("context must map str to str")
            document = json.dumps(dict(context), separators=(",", ":"), sort_keys=True)
            headers[f"{_SSE}-context"] = b64encode(document.encode()).decode()
        if bucket_key is not None:
            headers[f"{_SSE}-bucket-key-enabled"] = "true" if bucket_key else "false"
        return cls("kms", headers)

    @classmethod
    def customer(cls, key: bytes) -> Encryption:
        """With 32 bytes that the store does not keep (SSE-C): whoever loses them loses the objects."""
        if not isinstance(key, bytes | bytearray):
            raise TypeError(f"key must be bytes, not {type(key).__name__}")
        if len(key) != _KEY_BYTES:
            raise ValueError(f"key must have {_KEY_BYTES} bytes, not {len(key)}")
        digest = b64encode(md5(key, usedforsecurity=False).digest()).decode()
        encoded = b64encode(key).decode()
        return cls(
            "customer",
            {f"{_CUSTOMER}algorithm": "AES256", f"{_CUSTOMER}key": encoded, f"{_CUSTOMER}key-md5": digest},
        )

    def headers(self, *, is_write: bool, is_copy: bool) -> dict[str, str]:
        """What a request has to carry that writes an object, copies one, or neither."""
        if not self.is_customer:
            return self._written if is_write else {}
        if is_copy:
            return self._written | {
                name.replace(_CUSTOMER, _COPY_CUSTOMER): text for name, text in self._written.items()
            }
        return self._written

    def __repr__(self) -> str:
        return f"<Encryption {self.kind}>"

    def __reduce__(self) -> Any:
        if self.is_customer:
            raise TypeError("an Encryption with a customer's key holds a secret, and is not pickled")
        return (Encryption, (self.kind, self._written))


class RequestOptions(NamedTuple):
    """The options of a session. request_payer: whoever asks pays. expected_bucket_owner: an account id of 12 digits."""

    request_payer: bool = False
    expected_bucket_owner: str | None = None
    encryption: Encryption | None = None

    def checked(self, origin: str, *, is_private: bool) -> RequestOptions:
        """Itself; TypeError or ValueError names what cannot be. is_private: nobody can listen on the way."""
        if not isinstance(self.request_payer, bool):
            raise TypeError(f"request_payer must be a bool, not {type(self.request_payer).__name__}")
        owner = self.expected_bucket_owner
        if owner is not None:
            if not isinstance(owner, str):
                raise TypeError(f"expected_bucket_owner must be a str, not {type(owner).__name__}")
            if re.fullmatch(r"[0-9]{12}|[A-Za-z0-9]{1,64}", owner) is None:
                raise ValueError(f"expected_bucket_owner must be an account id, not {owner!r}")
        if self.encryption is not None and not isinstance(self.encryption, Encryption):
            raise TypeError(f"encryption must be an Encryption, not {type(self.encryption).__name__}")
        if self.encryption is not None and self.encryption.is_customer and not is_private:
            raise ValueError(f"encryption: a customer's key is not sent over plain http, to {origin}")
        return self

    def add_to(self, request: Request, prefix: str) -> None:
        """Add the headers that belong to this request; `prefix`: of the paths of the bucket's objects."""
        headers, method = request.headers, request.method
        is_object = len(request.path) > len(prefix)
        names = {pair.partition("=")[0] for pair in request.query.split("&")} if request.query else set()
        if self.request_payer and (is_object or names & _PAID_LISTINGS):
            headers.setdefault("x-amz-request-payer", "requester")
        if self.expected_bucket_owner is not None and (is_object or names or method != "PUT"):
            headers.setdefault("x-amz-expected-bucket-owner", self.expected_bucket_owner)
        encryption = self.encryption
        if encryption is None or not is_object or names - _BYTES or method == "DELETE":
            return
        is_copy = "x-amz-copy-source" in headers
        is_begun = (method == "PUT" and not names) or (method == "POST" and "uploads" in names)
        is_list = method == "GET" and "uploadId" in names
        if not is_list and not any(name.startswith(_SSE) for name in headers):
            headers.update(encryption.headers(is_write=is_begun, is_copy=is_copy))


class ToldAuthorizer(SigV4Authorizer):
    """A SigV4Authorizer that adds the session's options to every request before it signs it."""

    __slots__ = ("options",)

    def __init__(self, *arguments: Any, options: RequestOptions, **more: Any) -> None:
        """The arguments of a SigV4Authorizer, and what it adds."""
        super().__init__(*arguments, **more)
        self.options = options

    def authorize(self, request: Request) -> None:
        """Add and sign."""
        self.options.add_to(request, self.place.prefix)
        super().authorize(request)

    def presign(self, request: Request, expires_seconds: int) -> str:
        """As usual; who pays stands in the query, since whoever has the URL sends nothing else."""
        if self.options.request_payer:
            request.query = "&".join(
                filter(None, (request.query, encode_query([("x-amz-request-payer", "requester")])))
            )
        return super().presign(request, expires_seconds)
