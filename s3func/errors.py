"""Every error that s3func raises, one tree, used by the client and by the server.

    S3FuncError
    ├── ServiceError                 the store answered, and the answer is a refusal
    │   ├── NotFound                 404 (on HEAD, where no body says which, this class itself)
    │   │   ├── NoSuchKey
    │   │   ├── NoSuchBucket
    │   │   ├── NoSuchUpload
    │   │   └── NoSuchVersion
    │   ├── AccessDenied             403
    │   │   ├── InvalidCredentials   unknown key id, wrong signature, expired token
    │   │   └── RequestTimeTooSkewed our clock and the store's differ by more than 15 minutes
    │   ├── PreconditionFailed       412: if_match, if_none_match, if_unmodified_since did not hold
    │   │   ├── ObjectChanged        the object was replaced while it was read; what was read is of the old one
    │   │   └── ObjectExists         it was to be created and is there already (also a FileExistsError)
    │   ├── NotModified              304: if_none_match, if_modified_since say that nothing is new
    │   ├── InvalidRange             416
    │   ├── Conflict                 409
    │   │   ├── BucketAlreadyExists
    │   │   └── BucketNotEmpty
    │   ├── InvalidRequest           400 and every other 4xx: the request itself is at fault
    │   ├── Redirected               the bucket lives in another region or at another endpoint
    │   ├── Throttled                429, SlowDown: ask again, later
    │   ├── NotImplementedByStore    501: this store does not offer the operation
    │   └── ServerError              5xx
    ├── TransportError               no usable answer arrived
    │   ├── ConnectError             no connection: nothing was sent
    │   ├── TimedOut                 a connect or idle-read limit ran out (also a TimeoutError)
    │   │   └── DeadlineExceeded     the total time of the call ran out
    │   └── ConnectionLost           the connection broke while the request or the answer was under way
    │       └── TruncatedBody        fewer bytes than Content-Length promised
    ├── ProtocolError                the answer is not S3: HTML with 200, broken XML, a page without its token
    ├── ChecksumMismatch             the bytes that arrived are not the bytes that were stored
    ├── DeleteFailed                 DeleteObjects answered, but not every key is gone; `.failures` says which
    ├── CredentialsError             no credentials, half a pair, or a profile that cannot be read
    ├── LockError                    a distributed lock could not do what it promises
    │   ├── LockLost                 the lease ran out or was broken: somebody else may hold the lock now
    │   ├── LockStoreError           the store failed too long, or is not one that a lock can stand on
    │   └── LockTimeout              `with session.lock(…, timeout=…)` did not get it in time (also a TimeoutError)
    ├── SourceChanged                the local file was written to while it was uploaded; nothing was published
    ├── SyncError                    files and folders could not be made to agree
    │   ├── SyncIncomplete           a scan could not show that it saw everything, so nothing was deleted
    │   ├── SafetyStop               the plan looks like an accident; nothing was changed
    │   │   ├── EmptySourceError     the source is empty, or is not there, and the target is not empty
    │   │   ├── RootChanged          the folder is not the one of last time: a disk that is not mounted
    │   │   └── TooManyDeletes       more than max_delete allows
    │   ├── UnsafeKey                a key that cannot be a path below the folder, or a name that cannot be a key
    │   ├── SyncConflict             both sides changed since they last agreed
    │   ├── HashMismatchError        a file's content is not what the store says (also a ChecksumMismatch)
    │   └── S3ObjectError            an object or a local file that an S3Object needs is not there, or is of the wrong kind
    └── NotSupported                 this session cannot do that, known before anything is sent

A mistake in an argument is a ValueError or TypeError that names the argument, raised before anything is sent.
No urllib3, socket, ssl or XML exception crosses the package border; it is chained as `__cause__`.
One warning, ChecksumRefused, tells of a store that takes no checksums.
`advice` is a sentence that names the fix, where there is one; it ends the error's text.
`maybe_applied` is True where the request was sent, the answer was lost, and so the store may have carried it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class S3FuncError(Exception):
    """The root: catching it catches everything that s3func raises on its own account."""

    bucket: str | None = None
    key: str | None = None
    attempts: int = 1
    maybe_applied: bool = False
    advice: str = ""
    """What cures it, where a setting can; the last words of the error's text."""

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}; {self.advice}" if self.advice else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments are rebuilt from the instance, so that errors cross process borders whole.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[S3FuncError], args: tuple[Any, ...], state: dict[str, Any]) -> S3FuncError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ServiceError(S3FuncError):
    """The store refused: `.status`, `.code`, `.message`, `.request_id` and `.host_id` are its own words.

    Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """

    default_status: ClassVar[int] = 400
    default_code: ClassVar[str] = "InvalidRequest"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str = "",
        host_id: str = "",
        bucket: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """`details` are the other elements of the error document, such as Region or BucketName."""
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.status = status or self.default_status
        self.request_id = request_id
        self.host_id = host_id
        self.bucket = bucket
        self.key = key
        self.headers: dict[str, str] = dict(headers or {})
        self.details: dict[str, str] = dict(details or {})

    def __str__(self) -> str:
        """One line: status, code, message, then what it was about."""
        about = [f"bucket={self.bucket!r}"] if self.bucket is not None else []
        if self.key is not None:
            about.append(f"key={self.key!r}")
        if self.request_id:
            about.append(f"request_id={self.request_id}")
        if self.attempts > 1:
            about.append(f"attempts={self.attempts}")
        if self.maybe_applied:
            about.append("an earlier attempt may have been applied")
        text = f"{self.status} {self.code}"
        if self.message:
            text += f": {self.message}"
        if about:
            text = f"{text} ({', '.join(about)})"
        return f"{text}; {self.advice}" if self.advice else text


class NotFound(ServiceError):
    """404."""

    default_status = 404
    default_code = "NotFound"


class NoSuchKey(NotFound):
    """The bucket has no object of this key."""

    default_code = "NoSuchKey"


class NoSuchBucket(NotFound):
    """There is no such bucket."""

    default_code = "NoSuchBucket"


class NoSuchUpload(NotFound):
    """The multipart upload does not exist: never begun, completed, or aborted."""

    default_code = "NoSuchUpload"


class NoSuchVersion(NotFound):
    """The object has no such version."""

    default_code = "NoSuchVersion"


class AccessDenied(ServiceError):
    """403: the credentials are understood and may not do this."""

    default_status = 403
    default_code = "AccessDenied"


class InvalidCredentials(AccessDenied):
    """The key id is unknown, the signature does not fit the secret, or the token is stale."""

    default_code = "SignatureDoesNotMatch"


class RequestTimeTooSkewed(AccessDenied):
    """The request's time is more than 15 minutes from the store's."""

    default_code = "RequestTimeTooSkewed"


class PreconditionFailed(ServiceError):
    """412: the object is not in the state that the request demanded."""

    default_status = 412
    default_code = "PreconditionFailed"


class ObjectChanged(PreconditionFailed):
    """The object was replaced, or deleted, while it was read: the rest cannot be had, and is never taken from another."""


class ObjectExists(PreconditionFailed, FileExistsError):
    """The object was to be created, and there is one of this key already."""


class NotModified(ServiceError):
    """304: the copy that the caller has is still the newest."""

    default_status = 304
    default_code = "NotModified"


class InvalidRange(ServiceError):
    """416: the range begins behind the end of the object."""

    default_status = 416
    default_code = "InvalidRange"


class Conflict(ServiceError):
    """409: something else happened to the same resource at the same time, or its state forbids this."""

    default_status = 409
    default_code = "OperationAborted"


class BucketAlreadyExists(Conflict):
    """The bucket's name is taken; `.code` says by whom (BucketAlreadyOwnedByYou or BucketAlreadyExists)."""

    default_code = "BucketAlreadyExists"


class BucketNotEmpty(Conflict):
    """A bucket must be empty before it can be deleted."""

    default_code = "BucketNotEmpty"


class InvalidRequest(ServiceError):
    """400 or another 4xx: the request cannot succeed as it stands."""


class Redirected(ServiceError):
    """301 or 307: the bucket is served elsewhere; `.details["Region"]` or the location header says where."""

    default_status = 301
    default_code = "PermanentRedirect"


class Throttled(ServiceError):
    """The store asks for fewer requests."""

    default_status = 503
    default_code = "SlowDown"


class NotImplementedByStore(ServiceError):
    """501: the store does not know this operation or header."""

    default_status = 501
    default_code = "NotImplemented"


class ServerError(ServiceError):
    """5xx: the store failed."""

    default_status = 500
    default_code = "InternalError"


class TransportError(S3FuncError):
    """No usable answer arrived."""

    stale_connection: bool = False
    """The connection had been idle before: its peer most likely closed it long ago, so another try is free."""


class ConnectError(TransportError, ConnectionError):
    """No connection could be made, so nothing was sent."""


class TimedOut(TransportError, TimeoutError):
    """A connect or idle-read limit ran out."""


class DeadlineExceeded(TimedOut):
    """The total time allowed for the call ran out; it covers all attempts and the waits between them."""


class ConnectionLost(TransportError, ConnectionError):
    """The connection broke in the middle of a request or an answer."""


class TruncatedBody(ConnectionLost):
    """The body ended before the length that the head of the answer promised."""


class ProtocolError(S3FuncError):
    """What arrived is not an S3 answer, so nothing in it can be believed."""


class ChecksumMismatch(S3FuncError):
    """The bytes that arrived do not have the checksum that the store holds for them."""


class DeleteFailed(S3FuncError):
    """Some keys of a DeleteObjects call were not deleted; the others were."""

    def __init__(self, message: str, failures: Sequence[tuple[str, str | None, str, str]] = ()) -> None:
        """`failures` holds (key, version_id, code, message), one row per key that is still there."""
        super().__init__(message)
        self.failures = list(failures)


class CredentialsError(S3FuncError):
    """Credentials are missing, incomplete or unreadable."""


class LockError(S3FuncError):
    """A distributed lock could not do what it promises."""


class LockLost(LockError):
    """The lease ran out, or somebody broke the lock: from some moment on, another one may have held it as well."""


class LockStoreError(LockError):
    """The store failed for too long while the lock was being acquired, or cannot carry a lock at all."""

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        """ambiguous: a ticket of ours may still stand in the queue, and blocks others until its lease ends."""
        super().__init__(message)
        self.ambiguous = ambiguous


class LockTimeout(LockError, TimeoutError):
    """The lock was not free in the time that a `with` statement was given."""


class SourceChanged(S3FuncError):
    """The local file changed while it was read, each time that it was tried; what was sent of it was thrown away."""


class SyncError(S3FuncError):
    """Files and folders could not be made to agree with a store."""


class SyncIncomplete(SyncError):
    """A scan could not show that it saw everything: what it did not see may exist, so nothing was deleted."""


class SafetyStop(SyncError):
    """What was asked for looks like an accident; nothing was changed."""


class EmptySourceError(SafetyStop):
    """The source is empty or not there, and the target is not empty: a mistyped name more often than a wish."""


class RootChanged(SafetyStop):
    """The local folder is not the one that was synced the last time: often a disk that is not mounted."""


class TooManyDeletes(SafetyStop):
    """The plan deletes more than max_delete allows."""


class UnsafeKey(SyncError):
    """A key that cannot be a path below the folder, or a file name that cannot be a key."""


class SyncConflict(SyncError):
    """Both sides changed since they last agreed, and nobody said who wins."""


class HashMismatchError(SyncError, ChecksumMismatch):
    """The content of a file is not what the store says it is."""


class S3ObjectError(SyncError):
    """What an S3Object needs, an object or a local file, is not there or is of the wrong kind."""


class NotSupported(S3FuncError):
    """The session's store cannot do this; nothing was sent."""


class ChecksumRefused(UserWarning):
    """The store refuses the checksum that is sent by default; the session goes on without one."""


# One row per code: what the client raises for it and what status the server sends with it.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
CODES: dict[str, tuple[type[ServiceError], int]] = {
    "AccessDenied": (AccessDenied, 403),
    "AccountProblem": (AccessDenied, 403),
    "AllAccessDisabled": (AccessDenied, 403),
    "AuthorizationHeaderMalformed": (InvalidRequest, 400),
    "AuthorizationQueryParametersError": (InvalidRequest, 400),
    "BadDigest": (InvalidRequest, 400),
    "BandwidthLimitExceeded": (Throttled, 503),
    "BucketAlreadyExists": (BucketAlreadyExists, 409),
    "BucketAlreadyOwnedByYou": (BucketAlreadyExists, 409),
    "BucketNotEmpty": (BucketNotEmpty, 409),
    "Busy": (Throttled, 503),
    "ConditionalRequestConflict": (Conflict, 409),
    "EntityTooLarge": (InvalidRequest, 400),
    "EntityTooSmall": (InvalidRequest, 400),
    "ExpiredToken": (InvalidCredentials, 400),
    "IllegalLocationConstraintException": (InvalidRequest, 400),
    "IncompleteBody": (InvalidRequest, 400),
    "InternalError": (ServerError, 500),
    "InternalErrors": (ServerError, 500),
    "InvalidAccessKeyId": (InvalidCredentials, 403),
    "InvalidArgument": (InvalidRequest, 400),
    "InvalidBucketName": (InvalidRequest, 400),
    "InvalidDigest": (InvalidRequest, 400),
    "InvalidLocationConstraint": (InvalidRequest, 400),
    "InvalidPart": (InvalidRequest, 400),
    "InvalidPartOrder": (InvalidRequest, 400),
    "InvalidRange": (InvalidRange, 416),
    "InvalidRequest": (InvalidRequest, 400),
    "InvalidSecurity": (AccessDenied, 403),
    "InvalidStorageClass": (InvalidRequest, 400),
    "InvalidTag": (InvalidRequest, 400),
    "InvalidToken": (InvalidCredentials, 400),
    "InvalidURI": (InvalidRequest, 400),
    "KeyTooLongError": (InvalidRequest, 400),
    "MalformedXML": (InvalidRequest, 400),
    "MetadataTooLarge": (InvalidRequest, 400),
    "MethodNotAllowed": (InvalidRequest, 405),
    "MissingContentLength": (InvalidRequest, 411),
    "MissingRequestBodyError": (InvalidRequest, 400),
    "NoSuchBucket": (NoSuchBucket, 404),
    "NoSuchKey": (NoSuchKey, 404),
    "NoSuchUpload": (NoSuchUpload, 404),
    "NoSuchVersion": (NoSuchVersion, 404),
    "NotFound": (NotFound, 404),
    "NotImplemented": (NotImplementedByStore, 501),
    "NotModified": (NotModified, 304),
    "OperationAborted": (Conflict, 409),
    "PermanentRedirect": (Redirected, 301),
    "PreconditionFailed": (PreconditionFailed, 412),
    "Redirect": (Redirected, 307),
    "RequestTimeTooSkewed": (RequestTimeTooSkewed, 403),
    "RequestTimeout": (ServerError, 400),
    "RequestLimitExceeded": (Throttled, 503),
    "ServiceUnavailable": (Throttled, 503),
    "SignatureDoesNotMatch": (InvalidCredentials, 403),
    "SlowDown": (Throttled, 503),
    "TemporaryRedirect": (Redirected, 307),
    "Throttling": (Throttled, 400),
    "ThrottlingException": (Throttled, 400),
    "TokenRefreshRequired": (InvalidCredentials, 400),
    "TooManyBuckets": (InvalidRequest, 400),
    "TooManyRequests": (Throttled, 429),
    "TooManyRequestsException": (Throttled, 429),
    "XAmzContentSHA256Mismatch": (InvalidRequest, 400),
}

# What a status alone says, for answers without a document (every HEAD, 304, most of what a proxy makes up).
STATUSES: dict[int, type[ServiceError]] = {
    301: Redirected,
    302: Redirected,
    303: Redirected,
    304: NotModified,
    307: Redirected,
    308: Redirected,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    416: InvalidRange,
    429: Throttled,
    501: NotImplementedByStore,
    503: Throttled,
}


def service_error(code: str, message: str = "", *, status: int | None = None, **about: Any) -> ServiceError:
    """Make the right ServiceError for a code; with an unknown code the status decides the class."""
    known = CODES.get(code)
    if known is not None:
        cls, usual_status = known
        return cls(message, code=code, status=status or usual_status, **about)
    cls = STATUSES.get(status or 400) or (ServerError if (status or 400) >= 500 else InvalidRequest)
    return cls(message, code=code, status=status, **about)
