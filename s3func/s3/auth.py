"""SigV4Authorizer: signs the requests to one bucket, and mends what a refusal says is wrong.

One per bucket and session. It knows where the bucket is, keeps the day's signing key, and learns from the store's
answers: its region from a redirect, its clock from a RequestTimeTooSkewed, and that it takes no checksums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from s3func.errors import (
    ConnectError,
    InvalidCredentials,
    Redirected,
    RequestTimeTooSkewed,
    S3FuncError,
    ServiceError,
    TransportError,
    service_error,
)
from s3func.s3.credentials import Credentials
from s3func.s3.endpoints import S3EXPRESS, Endpoint, is_region
from s3func.s3.payload import leave_out_checksum
from s3func.wire import sigv4
from s3func.wire.encoding import amz_date, decode_component, parse_amz_date, parse_http_date

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.clock import Clock
    from s3func.message import Request, Response
    from s3func.s3.endpoints import Place

CredentialsSource: TypeAlias = "Callable[[], Credentials | None]"
RegionSource: TypeAlias = "Callable[[SigV4Authorizer], str]"
ERROR_DOCUMENT_MAX = 1024 * 1024
# The same in hexadecimal as what stands beside it in the answer to a wrong signature.
_REPEATED_AS_BYTES = frozenset({"CanonicalRequestBytes", "StringToSignBytes"})
# S3 tolerates 15 minutes; a difference of less than this cannot be why a HEAD was refused.
_SKEW_SECONDS = 300.0
_MINUTE = 60.0
# Answers that a program may expect, about which there is nothing to advise.
_USUAL = frozenset(
    {"NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NotModified", "PreconditionFailed", "InvalidRange", "SlowDown"}
)
# What these refuse is the region, whether they say the right one or not.
_WRONG_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "IllegalLocationConstraintException"}
)


class Skew:
    """How far the store's clock is ahead of ours, in seconds; shared by all authorizers of a session."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


class _Stamp:
    """What all signatures of one second have in common."""

    __slots__ = ("credentials", "date", "scope", "second", "signer")

    def __init__(
        self, second: int, date: str, scope: str, signer: sigv4.Signer, credentials: Credentials | None
    ) -> None:
        self.second = second
        self.date = date
        self.scope = scope
        self.signer = signer
        self.credentials = credentials


_NO_SIGNER = sigv4.Signer(b"")
_NO_STAMP = _Stamp(-1, "", "", _NO_SIGNER, None)


class SigV4Authorizer:
    """Implements transport.client.Authorizer for one bucket (or, with None, for the service itself)."""

    __slots__ = (
        "_clock",
        "_credentials",
        "_discover",
        "_on_checksum_refused",
        "_signer",
        "_skew",
        "_stamp",
        "_token_header",
        "bucket",
        "endpoint",
        "place",
        "plain",
    )

    def __init__(
        self,
        credentials: CredentialsSource,
        endpoint: Endpoint,
        bucket: str | None,
        clock: Clock,
        skew: Skew,
        on_checksum_refused: Callable[[ServiceError], None] | None = None,
        *,
        place: Place | None = None,
        discover: RegionSource | None = None,
    ) -> None:
        """`credentials` is asked once per second of use; None from it means anonymous.

        on_checksum_refused: told when the store refuses the checksum that is sent by default. place: another one than
        the endpoint says. discover: asked once where a bucket is, when the store says only that it is elsewhere.
        """
        self._credentials = credentials
        self._discover = discover
        self.endpoint = endpoint
        self._clock = clock
        self._skew = skew
        self._on_checksum_refused = on_checksum_refused
        self._stamp = _NO_STAMP
        self._signer = (("", "", ""), _NO_SIGNER)
        self.bucket = bucket
        self.place = endpoint.place(bucket) if place is None else place
        self._token_header = "x-amz-s3session-token" if self.place.scheme == S3EXPRESS else "x-amz-security-token"
        self.plain = self
        """Signs with the account's own credentials what a directory bucket's session is not for: copies."""

    def authorize(self, request: Request) -> None:
        """Sign the request as it stands, for now; a signature of an earlier attempt is replaced."""
        second = int(self._clock.now() + self._skew.seconds)
        stamp = self._stamp
        if stamp.second != second:
            stamp = self._new_stamp(second)
        credentials = stamp.credentials
        if credentials is None:
            return
        headers = request.headers
        if headers.pop("authorization", None) is not None:
            # An attempt before this one may have had a token where these credentials have none.
            headers.pop(self._token_header, None)
        headers["x-amz-date"] = stamp.date
        if credentials.session_token is not None:
            headers[self._token_header] = credentials.session_token
        if sigv4.NEVER_SIGNED.isdisjoint(headers):
            names = sorted(headers)
        else:
            names = sigv4.signed_header_names(headers)
        canonical = sigv4.canonical_request(
            request.method, request.path, request.query, headers, names, headers["x-amz-content-sha256"]
        )
        signed = stamp.signer.signature(sigv4.string_to_sign(stamp.date, stamp.scope, canonical))
        headers["authorization"] = sigv4.authorization_header(credentials.access_key_id, stamp.scope, names, signed)

    def presign(self, request: Request, expires_seconds: int) -> str:
        """The URL that carries out this request for whoever has it; its headers other than host must be sent, too."""
        stamp = self._new_stamp(int(self._clock.now() + self._skew.seconds))
        credentials = stamp.credentials
        if credentials is None:
            return f"{request.origin}{request.target}"
        names = sigv4.signed_header_names(request.headers)
        query = sigv4.presigned_query(
            request.query,
            access_key_id=credentials.access_key_id,
            scope=stamp.scope,
            date=stamp.date,
            expires_seconds=expires_seconds,
            signed_headers=names,
            session_token=credentials.session_token,
            parameter="X-Amz-S3session-Token" if self.place.scheme == S3EXPRESS else "X-Amz-Security-Token",
        )
        canonical = sigv4.canonical_request(
            request.method, request.path, query, request.headers, names, sigv4.UNSIGNED_PAYLOAD
        )
        signed = stamp.signer.signature(sigv4.string_to_sign(stamp.date, stamp.scope, canonical))
        return f"{request.origin}{request.path}?{query}&X-Amz-Signature={signed}"

    def credentials_now(self) -> tuple[Credentials | None, float]:
        """Credentials, and the store's time in seconds, of this moment: for what is signed and is no request."""
        return self._credentials(), self._clock.now() + self._skew.seconds

    def _new_stamp(self, second: int) -> _Stamp:
        credentials = self._credentials()
        date = amz_date(second)
        if credentials is None:
            stamp = _Stamp(second, date, "", _NO_SIGNER, None)
        else:
            place = self.place
            day, region, service = date[:8], place.region, place.service
            wanted = (credentials.secret_access_key, day, region)
            known, signer = self._signer
            if known != wanted:
                # Four HMACs, 4 µs: cached for the day, or until the secret or the region changes.
                signer = sigv4.Signer(sigv4.signing_key(credentials.secret_access_key, day, region, service))
                self._signer = (wanted, signer)
            stamp = _Stamp(second, date, sigv4.credential_scope(day, region, service), signer, credentials)
            self._stamp = stamp
            if self.place is not place:
                # Another thread has learned the region meanwhile, and its reset must not be undone.
                self._stamp = _NO_STAMP
            return stamp
        self._stamp = stamp
        return stamp

    def refusal(self, request: Request, response: Response) -> S3FuncError:
        """The typed error of a response that is no success; its body is read, at most 1 MiB of it."""
        from s3func.wire.s3xml import parse_error

        try:
            body = response.read(ERROR_DOCUMENT_MAX)
        except TransportError:
            # The status alone says enough, and the connection is gone already.
            body = b""
        headers = response.headers
        document = parse_error(body) if body else None
        if document is None:
            error = service_error(
                _code_of_status(response.status), _plain_reason(request, response, body), status=response.status
            )
        else:
            error = service_error(
                document.code,
                _without_secrets(document.message, request),
                status=response.status,
                request_id=document.request_id,
                host_id=document.host_id,
                details={
                    name: _without_secrets(text, request)
                    for name, text in document.details.items()
                    if name not in _REPEATED_AS_BYTES
                },
            )
        error.headers = headers
        if error.code not in _USUAL:
            from s3func.s3.advice import ADVISED, advise

            if document is None or error.code in ADVISED:
                error.advice = advise(error, request, self, b"" if document else body)
        error.request_id = error.request_id or headers.get("x-amz-request-id", "")
        error.host_id = error.host_id or headers.get("x-amz-id-2", "")
        return error

    def about(self, request: Request) -> tuple[str | None, str | None]:
        """The bucket, and the key if there is one in the path."""
        try:
            return self.bucket, decode_component(request.path[len(self.place.prefix) :]) or None
        except ValueError:
            return self.bucket, None

    def operation(self, request: Request) -> str:
        """What AWS calls it, for whoever counts."""
        from s3func.s3.operation_names import operation_of

        bucket, key = self.about(request)
        return operation_of(request, bucket, key)

    def renew(self, request: Request, error: S3FuncError) -> bool:
        """Mend the clock, the region or the credentials, or leave the checksum out, if that is what the error is about."""
        if not isinstance(error, ServiceError):
            if isinstance(error, ConnectError):
                from s3func.s3.advice import advise_connection

                error.advice = advise_connection(error, self)
            return False
        if leave_out_checksum(request, error):
            if self._on_checksum_refused is not None:
                self._on_checksum_refused(error)
            return True
        # A HEAD has no body to say what a 400 or 403 is about, so each of the three is considered.
        bare = request.method == "HEAD" and error.status in {400, 403}
        if self._mend_clock(request, error):
            return True
        if (isinstance(error, InvalidCredentials) and error.code != "SignatureDoesNotMatch") or bare:
            if self._mend_credentials(request, is_certain=not bare):
                return True
        if self._mend_region(request, error):
            return True
        # Some stores refuse the question for a checksum, and an answer to HEAD cannot say that it is about that.
        return bare and error.status == 400 and request.headers.pop("x-amz-checksum-mode", None) is not None

    def _mend_clock(self, request: Request, error: ServiceError) -> bool:
        # Not every store calls it RequestTimeTooSkewed.
        too_skewed = isinstance(error, RequestTimeTooSkewed)
        if not too_skewed and error.status not in {400, 403}:
            return False
        try:
            theirs = parse_http_date(error.headers.get("date", "")).timestamp()
            signed = parse_amz_date(request.headers.get("x-amz-date", ""))
        except ValueError:
            return False
        limit = _MINUTE if too_skewed else _SKEW_SECONDS
        ours = self._clock.now()
        if abs(theirs - ours - self._skew.seconds) >= limit:
            self._skew.seconds = theirs - ours
            self._stamp = _NO_STAMP
            return True
        # The clock is right by now. This request goes again only if it was signed before another one mended the clock.
        return abs(theirs - signed) >= limit and (too_skewed or abs(ours - signed) < abs(theirs - signed))

    def _mend_credentials(self, request: Request, *, is_certain: bool) -> bool:
        """Ask for the credentials again; whether they are others than those that this request was signed with.

        is_certain: the store has said that it is about them.
        """
        self._stamp = _NO_STAMP
        headers = request.headers
        refused = headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        token = headers.get(self._token_header)
        renewed = getattr(self._credentials, "renewed", None)
        fresh = self._credentials() if renewed is None else renewed(refused, token, is_certain=is_certain)
        if fresh is None:
            return False
        return refused != fresh.access_key_id or token != fresh.session_token

    def _mend_region(self, request: Request, error: ServiceError) -> bool:
        is_about_region = isinstance(error, Redirected) or error.code in _WRONG_REGION
        if self.bucket is None or not (is_about_region or error.status == 400 or request.method == "HEAD"):
            return False
        region = error.headers.get("x-amz-bucket-region") or error.details.get("Region", "")
        if not region and (is_about_region or error.status in {301, 307, 400}):
            region = self._discovered(request)
        if not region or not is_region(region):
            return False
        if region != self.place.region:
            place = self.endpoint.place(self.bucket, region)
            if place == self.place:
                # An access point or a directory bucket: its own name says where it is.
                return False
            self.place = place
        elif request.origin == self.place.origin and f"/{region}/{self.place.service}/" in request.headers.get(
            "authorization", ""
        ):
            # This very region was refused. (Otherwise another thread learned the region while we were under way: after
            # this request was addressed, or after it was signed.)
            return False
        self._stamp = _NO_STAMP
        request.origin = self.place.origin
        request.headers["host"] = self.place.host
        return True

    def _discovered(self, request: Request) -> str:
        """Where the bucket is, asked for once: its region is told to anybody, or it is in the answer to a GET."""
        discover = self._discover
        if discover is None or not (self.endpoint.tells_region or request.method == "HEAD"):
            return ""
        self._discover = None
        return discover(self)

    def move(self, region: str) -> None:
        """The bucket is known to be in this region."""
        if self.bucket is not None and is_region(region) and region != self.place.region:
            self.place = self.endpoint.place(self.bucket, region)
            self._stamp = _NO_STAMP


def _without_secrets(text: str, request: Request) -> str:
    """What a store says, less the signature and the session token that it may repeat: errors are logged and pickled."""
    headers = request.headers
    signature = headers.get("authorization", "").rpartition("Signature=")[2]
    for secret in (signature, headers.get("x-amz-security-token"), headers.get("x-amz-s3session-token")):
        if secret:
            text = text.replace(secret, "***")
    return text


def _code_of_status(status: int) -> str:
    # HEAD has no body to name a code, so the usual ones are named after the status.
    return {
        301: "PermanentRedirect",
        304: "NotModified",
        307: "TemporaryRedirect",
        400: "BadRequest",
        403: "AccessDenied",
        404: "NotFound",
        405: "MethodNotAllowed",
        409: "Conflict",
        412: "PreconditionFailed",
        416: "InvalidRange",
        429: "TooManyRequests",
        500: "InternalError",
        501: "NotImplemented",
        503: "ServiceUnavailable",
    }.get(status, f"HTTP{status}")


def _plain_reason(request: Request, response: Response, body: bytes) -> str:
    if not body:
        return f"the answer to {request.method} has no body"
    kind = response.headers.get("content-type", "unknown type")
    return f"the answer is no S3 error document ({kind}, {len(body)} bytes)"
