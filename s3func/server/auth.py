"""Who sent a request, and whether it arrived as it was signed: Signature Version 4 or 2, in the header or in the query.

Rule 1: everything is checked before any of the body is read; what the body must hash to is handed on in the Grant.
Rule 2: a signature is good for this service, this region, its own day and 15 minutes, or for the life of a URL.
Rule 3: signatures are compared in constant time, and no secret is part of an error or of a repr.
Rule 4: version 2 covers neither the body nor the region; its presigned URLs live as long as they say.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from s3func.clock import Clock
from s3func.errors import ServiceError, service_error
from s3func.message import Request
from s3func.server.addressing import bucket_of_host
from s3func.server.users import User, Users
from s3func.wire import sigv2, sigv4
from s3func.wire.aws_chunked import FORMS, UNSIGNED_TRAILER, ChunkSigner
from s3func.wire.encoding import (
    amz_date,
    decode_component,
    encode_path,
    encode_query,
    iso8601,
    parse_amz_date,
    parse_http_date,
)

SKEW_SECONDS = 15 * 60
SERVICE = "s3"

_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_PRESIGNING = frozenset({"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm"})
_READ_MAX = 1000
_SIGNATURE_LENGTH = 64
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_QUERY_PARAMETERS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
# Lists what may be listed without it, in another form.
_HARMLESS_UNSIGNED = frozenset({"list-type"})
# Its value is a line of the canonical request itself, so a client that leaves it out of SignedHeaders has signed it.
_SIGNED_ANYWAY = "x-amz-content-sha256"


@dataclass(frozen=True, slots=True)
class Grant:
    """What authentication found out.

    user: None is everybody. payload_sha256: the hash, in lower-case hexadecimal, that the body must have; None leaves
    it unchecked. payload_form: which aws-chunked form the body has, one of `aws_chunked.FORMS`, "" for none.
    chunk_signer: checks the chunks of a signed form; None where signatures are not asked for.
    """

    user: User | None
    payload_sha256: str | None
    payload_form: str = ""
    chunk_signer: ChunkSigner | None = None


class _Claim(NamedTuple):
    """What a request says about its own signature, header and query brought into one form."""

    authorization: sigv4.Authorization
    date: str
    payload_hashes: tuple[str, ...]
    query: str


class Authenticator:
    """Checks requests against the secrets of the users; safe from many threads at once."""

    def __init__(
        self, users: Users, *, region: str, clock: Clock, no_auth: bool, domains: tuple[str, ...] = ("localhost",)
    ) -> None:
        """With `no_auth`, every request is the first user's, whatever signature it carries. domains: see addressing."""
        self._users = users
        self._domains = domains
        self._everybody = next(iter(users)) if no_auth else None
        self._region = region
        self._clock = clock
        self._keys: dict[tuple[str, str], bytes] = {}
        # What a client's Authorization headers of one day have in common, all but the signature, and the date that came
        # last: reading them again for every request cost 5 of the 12 µs that a verification takes.
        self._read: dict[str, sigv4.Authorization] = {}
        self._moment = ("", 0.0)

    def authenticate(self, request: Request, parameters: Sequence[tuple[str, str]]) -> Grant:
        """Find out who sent the request; `parameters` is its query, decoded.

        A request without a signature is everybody's. Raises AccessDenied, InvalidCredentials, RequestTimeTooSkewed,
        InvalidRequest, and NotImplementedByStore for bodies that are signed with SigV4A.
        """
        headers = request.headers
        if self._everybody is not None:
            return Grant(self._everybody, *_payload(headers))
        authorization = headers.get("authorization")
        presigned = bool(parameters) and any(name in _PRESIGNING for name, _ in parameters)
        version_2 = None
        if parameters or (authorization is not None and authorization.startswith("AWS ")):
            version_2 = self._version_2(authorization, parameters)
        if (authorization is not None) + presigned + (version_2 is not None and version_2.expires is not None) > 1:
            raise service_error("InvalidArgument", "Only one authentication mechanism is allowed in a request.")
        if version_2 is not None:
            return self._grant_version_2(request, parameters, version_2)
        if authorization is not None:
            claim = self._claim_of_header(authorization, headers, request.query)
        elif presigned:
            claim = self._claim_of_query(parameters, headers, request.query)
        else:
            payload_sha256, form = _payload(headers)
            if form not in {"", UNSIGNED_TRAILER}:
                raise service_error("InvalidRequest", "The chunks of the body are signed, but the request is not.")
            # What everybody may do is for access.py to say.
            return Grant(None, payload_sha256, form)
        user = self._verify(request, parameters, claim)
        _refuse_token(headers, parameters)
        payload_sha256, form = _payload(headers)
        signer = None if form in {"", UNSIGNED_TRAILER} else self._chunk_signer(user, claim)
        return Grant(user, payload_sha256, form, signer)

    def _chunk_signer(self, user: User, claim: _Claim) -> ChunkSigner:
        """What goes on signing where the signature of the head ends."""
        authorization = claim.authorization
        scope = sigv4.credential_scope(authorization.date8, authorization.region, authorization.service)
        key = self._signing_key(user, authorization.date8)
        return ChunkSigner(key, claim.date, scope, authorization.signature)

    def _claim_of_header(self, header: str, headers: Mapping[str, str], query: str) -> _Claim:
        if not header.startswith(sigv4.ALGORITHM):
            if header.startswith("AWS4-"):
                raise _unsupported_mechanism()
            raise service_error("InvalidArgument", "Unsupported Authorization Type")
        authorization = self._authorization(header)
        payload_hash = headers.get("x-amz-content-sha256")
        if payload_hash is None:
            raise service_error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        date = headers.get("x-amz-date", "")
        known, moment = self._moment
        if date != known or not date:
            date, moment = _signing_time(headers)
            self._moment = (date, moment)
        self._check_scope("AuthorizationHeaderMalformed", authorization, date)
        self._check_skew(date, moment)
        return _Claim(authorization, date, (payload_hash,), query)

    def _authorization(self, header: str) -> sigv4.Authorization:
        """The header taken apart."""
        beginning, signature = header[:-_SIGNATURE_LENGTH], header[-_SIGNATURE_LENGTH:]
        known = self._read.get(beginning)
        if known is not None and _SIGNATURE.fullmatch(signature) is not None:
            return sigv4.Authorization(*known[:5], signature)
        try:
            authorization = sigv4.parse_authorization(header)
        except ValueError as error:
            raise service_error(
                "AuthorizationHeaderMalformed", f"The authorization header is malformed: {error}."
            ) from error
        if authorization.signature == signature and beginning.endswith("Signature="):
            if len(self._read) >= _READ_MAX:
                self._read.clear()
            self._read[beginning] = authorization
        return authorization

    def _check_skew(self, date: str, moment: float) -> None:
        now = self._clock.now()
        if abs(now - moment) > SKEW_SECONDS:
            raise service_error(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                details={
                    "RequestTime": date,
                    "ServerTime": iso8601(now),
                    "MaxAllowedSkewMilliseconds": str(SKEW_SECONDS * 1000),
                },
            )

    def _claim_of_query(self, parameters: Sequence[tuple[str, str]], headers: Mapping[str, str], query: str) -> _Claim:
        given = {
            name.removeprefix("X-Amz-"): value for name, value in reversed(parameters) if name.startswith("X-Amz-")
        }
        for name in _QUERY_PARAMETERS:
            if sum(each == f"X-Amz-{name}" for each, _ in parameters) != 1:
                raise _query_error(
                    f"Query-string authentication version 4 requires the X-Amz-{name} parameter exactly once."
                )
        if given["Algorithm"] != sigv4.ALGORITHM:
            raise _query_error(f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}"')
        parts = given["Credential"].rsplit("/", 4)
        if len(parts) != 5 or parts[4] != "aws4_request":
            raise _query_error("X-Amz-Credential is not ID/DATE/REGION/SERVICE/aws4_request.")
        key_id, date8, region, service = parts[:4]
        names = tuple(given["SignedHeaders"].split(";"))
        authorization = sigv4.Authorization(key_id, date8, region, service, names, given["Signature"])
        date = given["Date"]
        try:
            moment = parse_amz_date(date)
        except ValueError:
            raise _query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None
        self._check_scope("AuthorizationQueryParametersError", authorization, date)
        self._check_lifetime(moment, given["Expires"])
        # The body of a presigned request is unsigned. Signers whose URL binds the hash of a body, as a signed header,
        # differ in whether they also write it here; the body is compared with that header in any case.
        payload_hashes: tuple[str, ...] = (sigv4.UNSIGNED_PAYLOAD,)
        if _SIGNED_ANYWAY in names and _SIGNED_ANYWAY in headers:
            payload_hashes = (headers[_SIGNED_ANYWAY], sigv4.UNSIGNED_PAYLOAD)
        unsigned = "&".join([pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")])
        return _Claim(authorization, date, payload_hashes, unsigned)

    def _check_lifetime(self, moment: float, expires: str) -> None:
        if re.fullmatch(r"[0-9]{1,7}", expires, re.ASCII) is None or not 1 <= int(expires) <= sigv4.EXPIRES_MAX_SECONDS:
            raise _query_error(f"X-Amz-Expires must be a number from 1 to {sigv4.EXPIRES_MAX_SECONDS}.", status=403)
        now = self._clock.now()
        if moment - now > SKEW_SECONDS:
            raise service_error("AccessDenied", "Request is not valid yet.", details={"ServerTime": iso8601(now)})
        end = moment + int(expires)
        if now > end:
            raise service_error(
                "AccessDenied",
                "Request has expired",
                details={"X-Amz-Expires": expires, "Expires": iso8601(end), "ServerTime": iso8601(now)},
            )

    def _check_scope(self, code: str, authorization: sigv4.Authorization, date: str) -> None:
        if authorization.date8 != date[:8]:
            raise service_error(
                code, f"The credential is scoped to {authorization.date8}, the request is of {date[:8]}."
            )
        if authorization.region != self._region:
            raise service_error(
                code,
                f"The region '{authorization.region}' is wrong; expecting '{self._region}'",
                details={"Region": self._region},
            )
        if authorization.service != SERVICE:
            raise service_error(code, f"The service '{authorization.service}' is wrong; this endpoint is '{SERVICE}'.")

    def _verify(self, request: Request, parameters: Sequence[tuple[str, str]], claim: _Claim) -> User:
        authorization = claim.authorization
        user = self.user_of(authorization.access_key_id)
        headers = _signed_headers(request, authorization.signed_headers)
        scope = sigv4.credential_scope(authorization.date8, authorization.region, authorization.service)
        key = self._signing_key(user, authorization.date8)
        signature = authorization.signature.encode()
        text = canonical = ""
        for path, query in _canonical_forms(request.path, claim.query, parameters):
            for payload_hash in claim.payload_hashes:
                canonical = sigv4.canonical_request(
                    request.method, path, query, headers, authorization.signed_headers, payload_hash
                )
                text = sigv4.string_to_sign(claim.date, scope, canonical)
                if hmac.compare_digest(sigv4.signature(key, text).encode(), signature):
                    return user
        raise service_error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            details={
                "AWSAccessKeyId": user.access_key_id,
                "StringToSign": text,
                "SignatureProvided": authorization.signature,
                "CanonicalRequest": canonical,
            },
        )

    def user_of(self, access_key_id: str) -> User:
        """Who signs with this key; InvalidCredentials (InvalidAccessKeyId) where nobody does."""
        user = self._users.with_key(access_key_id)
        if user is None:
            raise service_error(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                details={"AWSAccessKeyId": access_key_id},
            )
        return user

    def _version_2(self, header: str | None, parameters: Sequence[tuple[str, str]]) -> sigv2.Authorization | None:
        """What a request says about a signature of version 2, None where it has none."""
        try:
            in_query = sigv2.parse_query(parameters)
        except ValueError as error:
            raise service_error("AccessDenied", f"Query-string authentication version 2: {error}.") from error
        if in_query is not None or header is None or not header.startswith("AWS "):
            return in_query
        try:
            return sigv2.parse_authorization(header)
        except ValueError as error:
            raise service_error(
                "InvalidArgument", 'AWS authorization header is invalid.  Expected "AWS AccessKeyId:signature"'
            ) from error

    def _grant_version_2(
        self, request: Request, parameters: Sequence[tuple[str, str]], claim: sigv2.Authorization
    ) -> Grant:
        headers = request.headers
        if claim.expires is None:
            self._check_skew(*_time_of_version_2(headers))
        elif int(claim.expires) < self._clock.now():
            raise service_error(
                "AccessDenied",
                "Request has expired",
                details={"Expires": claim.expires, "ServerTime": iso8601(self._clock.now())},
            )
        _check_operation_is_signed(parameters, claim)
        user = self.user_of(claim.access_key_id)
        bucket = bucket_of_host(headers.get("host") or request.origin.partition("://")[2], self._domains)
        path = f"/{bucket}{request.path}" if bucket else request.path
        # botocore signs a bucket with a slash behind it, and leaves it out when it sends the bucket in the path.
        texts = [
            sigv2.string_to_sign(request.method, each, parameters, headers, expires=claim.expires)
            for each in ([path, f"{path}/"] if path.count("/") == 1 and path != "/" else [path])
        ]
        signatures = [sigv2.signature(user.secret_access_key, text).encode() for text in texts]
        if not any(hmac.compare_digest(each, claim.signature.encode()) for each in signatures):
            raise service_error(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
                details={
                    "AWSAccessKeyId": user.access_key_id,
                    "StringToSign": texts[0],
                    "SignatureProvided": claim.signature,
                },
            )
        _refuse_token(headers, parameters)
        payload_sha256, form = _payload(headers)
        if form not in {"", UNSIGNED_TRAILER}:
            raise service_error(
                "InvalidRequest", "The chunks of the body are signed with version 4, but not the request."
            )
        return Grant(user, payload_sha256, form)

    def _signing_key(self, user: User, date8: str) -> bytes:
        known = (user.access_key_id, date8)
        key = self._keys.get(known)
        if key is None:
            key = sigv4.signing_key(user.secret_access_key, date8, self._region, SERVICE)
            if len(self._keys) >= 10 * len(self._users):
                # A key serves for one day; what may still be signed today, presigned URLs included, spans nine.
                self._keys.clear()
            self._keys[known] = key
        return key


def _signing_time(headers: Mapping[str, str]) -> tuple[str, float]:
    """The x-amz-date that was signed, with its time; the date header stands in for it."""
    text = headers.get("x-amz-date")
    try:
        if text is not None:
            return text, parse_amz_date(text)
        moment = _http_time(headers["date"])
    except (KeyError, ValueError, OverflowError):
        raise service_error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header") from None
    return amz_date(moment), moment


def _signed_headers(request: Request, names: Sequence[str]) -> Mapping[str, str]:
    """The headers, once it is sure that all that matter are signed and all that are signed are there."""
    headers = request.headers
    if "host" not in headers:
        # A transport may leave the host to the origin; on the wire they are the same.
        headers = {**headers, "host": request.origin.partition("://")[2]}
    signed = set(names)
    if "host" not in signed or not signed.issubset(headers):
        missing = sorted(({"host"} - signed) | (signed - headers.keys()))
        raise service_error("AccessDenied", f"These headers must be signed and sent: {', '.join(missing)}")
    unsigned = [name for name in headers if name not in signed and name.startswith("x-amz-") and name != _SIGNED_ANYWAY]
    if unsigned:
        raise service_error(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            details={"HeadersNotSigned": ", ".join(unsigned)},
        )
    return headers


def _canonical_forms(path: str, query: str, parameters: Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Path and query as a client may have signed them: as they were sent, and encoded once more by the rules.

    Some clients sign what they send, others sign the canonical encoding and send something equivalent, such as `(` for
    `%28`. Both name the same key, so both may be accepted.
    """
    sent = (path, sigv4.canonical_query(query))
    yield sent
    by_the_rules = (
        encode_path(decode_component(path)),
        encode_query((name, value) for name, value in parameters if name != "X-Amz-Signature"),
    )
    if by_the_rules != sent:
        yield by_the_rules


def _payload(headers: Mapping[str, str]) -> tuple[str | None, str]:
    """What x-amz-content-sha256 demands of the body: its hash, or one of the aws-chunked forms."""
    value = headers.get("x-amz-content-sha256")
    if value is None or value == sigv4.UNSIGNED_PAYLOAD:
        return None, ""
    if _SHA256.fullmatch(value) is not None:
        return value.lower(), ""
    if value in FORMS:
        return None, value
    if value.startswith("STREAMING-AWS4-ECDSA-"):
        raise service_error("NotImplemented", "Bodies that are signed in chunks with SigV4A are not implemented.")
    raise service_error(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a SHA-256 in hexadecimal.",
        details={"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value},
    )


def _time_of_version_2(headers: Mapping[str, str]) -> tuple[str, float]:
    """The date that was signed, with its time: x-amz-date, or the date header in its place."""
    text = headers.get("x-amz-date", headers.get("date", ""))
    try:
        moment = _http_time(text)
    except (ValueError, OverflowError):
        try:
            moment = parse_amz_date(text)
        except ValueError:
            moment = -1
    if moment < 0:
        raise service_error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    return text, moment


def _check_operation_is_signed(parameters: Sequence[tuple[str, str]], claim: sigv2.Authorization) -> None:
    """Refuse a URL that was given away for one operation, and got another one by a parameter that version 2 does not sign."""
    from s3func.server.routing import subresources

    if claim.expires is not None:
        unsigned = set(subresources(parameters)) - sigv2.SUB_RESOURCES - _HARMLESS_UNSIGNED
        if unsigned:
            names = ", ".join(sorted(unsigned))[:200]
            raise service_error(
                "AccessDenied", f"Signature Version 2 does not sign these parameters of the URL: {names}"
            )


def _http_time(text: str) -> float:
    # botocore writes the date as mail does, with the time zone as a number.
    return parse_http_date(re.sub(r" [+-]0000$", " GMT", text)).timestamp()


def _refuse_token(headers: Mapping[str, str], parameters: Sequence[tuple[str, str]]) -> None:
    if "x-amz-security-token" in headers or (
        parameters and any(name.lower() == "x-amz-security-token" for name, _ in parameters)
    ):
        raise service_error("InvalidToken", "The keys of this server are used without a session token.")


def _unsupported_mechanism() -> ServiceError:
    return service_error(
        "InvalidRequest",
        f"The authorization mechanism you have provided is not supported. Please use {sigv4.ALGORITHM}.",
    )


def _query_error(message: str, status: int = 400) -> ServiceError:
    return service_error("AuthorizationQueryParametersError", message, status=status)
