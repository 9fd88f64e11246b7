"""What to do about a refusal: one sentence that names the fix, for the errors that a setting can cure.

Pure, and imported when such an error has come; what a session mends by itself never gets here as a last word.
No key id, secret or token is ever part of a sentence.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3func.errors import ConnectError
from s3func.wire.encoding import parse_amz_date, parse_http_date

if TYPE_CHECKING:
    from s3func.errors import S3FuncError, ServiceError
    from s3func.message import Request
    from s3func.s3.auth import SigV4Authorizer

ADVISED = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "BadRequest",
        "ExpiredToken",
        "IllegalLocationConstraintException",
        "InvalidAccessKeyId",
        "InvalidToken",
        "MovedPermanently",
        "NoSuchBucket",
        "NotFound",
        "PermanentRedirect",
        "Redirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TemporaryRedirect",
        "TokenRefreshRequired",
    }
)
_TOKEN = {
    "ExpiredToken": "the session token has expired: get new credentials, or give the session what renews them "
    "(a profile, a role, credentials=a function) in place of a copy",
    "InvalidToken": "the session token does not belong to the key: one left over in AWS_SESSION_TOKEN is the usual reason",
}
_TOKEN["TokenRefreshRequired"] = _TOKEN["ExpiredToken"]
# What a policy has to allow, by method; https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}


def advise(error: ServiceError, request: Request, authorizer: SigV4Authorizer, body: bytes) -> str:
    """The sentence, or nothing where there is nothing to say. `body`: of an answer that is no S3 document, else empty."""
    if body:
        return _of_a_stranger(error, authorizer, body)
    code = error.code
    if code in _TOKEN:
        return _TOKEN[code]
    if code == "RequestTimeTooSkewed":
        return _of_the_clock(error, request)
    if code == "InvalidAccessKeyId":
        return (
            f"{authorizer.endpoint.url} does not know the key: keys of another store, of another partition of AWS or "
            "deleted ones look like this (access_key_id, profile, endpoint_url)"
        )
    if code == "SignatureDoesNotMatch":
        return (
            "the secret does not belong to the key, or something between changes requests: compare the secret character "
            "by character, and look for a proxy"
        )
    if code in {"NoSuchBucket", "NotFound"}:
        return _of_what_is_missing(error, request, authorizer)
    if code in {"AccessDenied", "AllAccessDisabled"}:
        return _of_who_may_not(request, authorizer)
    if code == "BadRequest":
        return "an answer to HEAD does not say what is wrong; the same GET does: the region, the clock or the token"
    return _of_the_region(error, authorizer)


def advise_connection(error: S3FuncError, authorizer: SigV4Authorizer) -> str:
    """The sentence for a connection that could not be made."""
    if not isinstance(error, ConnectError):
        return ""
    endpoint, text = authorizer.endpoint, str(error)
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text:
        return "there is no TLS at this port: endpoint_url has to begin with http://, or have another port"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the certificate is not trusted here: AWS_CA_BUNDLE (or ca_bundle in the profile) names the authority's"
    if "not known" in text or "nodename nor servname" in text or "No address" in text or "name resolution" in text:
        if endpoint.is_aws:
            return f"there is no such host: is {endpoint.region!r} a region, and is there a network?"
        return f"there is no such host: is endpoint_url {endpoint.url!r} right, and is there a network?"
    if "refused" in text:
        return f"nothing listens there: is endpoint_url {endpoint.url!r} right, and does the store run?"
    return ""


def _of_a_stranger(error: ServiceError, authorizer: SigV4Authorizer, body: bytes) -> str:
    text = body[:2000].lower()
    url = authorizer.endpoint.url
    if b"http request to an https server" in text or b"plain http request was sent to https port" in text:
        return f"there is TLS at this port: endpoint_url has to be https://{url.partition('://')[2]}"
    if b"<html" in text or b"<!doctype html" in text or "html" in error.headers.get("content-type", ""):
        return f"is {url} the store's S3 endpoint, and neither its web console nor a proxy?"
    return ""


def _of_the_clock(error: ServiceError, request: Request) -> str:
    try:
        theirs = parse_http_date(error.headers.get("date", "")).timestamp()
        ahead = parse_amz_date(request.headers.get("x-amz-date", "")) - theirs
    except ValueError:
        return "this machine's clock and the store's differ by more than 15 minutes: set it"
    return f"requests are dated {abs(ahead):.0f} seconds {'after' if ahead > 0 else 'before'} the store's time: set the clock"


def _of_what_is_missing(error: ServiceError, request: Request, authorizer: SigV4Authorizer) -> str:
    about_bucket = error.code == "NoSuchBucket" or not authorizer.about(request)[1]
    if authorizer.bucket is None or not about_bucket:
        return ""
    endpoint = authorizer.endpoint
    where = f"region {authorizer.place.region}" if endpoint.is_aws else endpoint.url
    return f"is the bucket's name right, and is it at this store ({where})? create_bucket() makes it"


def _of_who_may_not(request: Request, authorizer: SigV4Authorizer) -> str:
    if "authorization" not in request.headers and "X-Amz-Signature" not in request.query:
        return "the session is anonymous, and this is not public: give it credentials"
    if authorizer.bucket is None:
        return "a policy has to allow the credentials s3:ListAllMyBuckets"
    key = authorizer.about(request)[1]
    if key is None:
        action = "s3:ListBucket" if request.method in {"GET", "HEAD"} else "this"
        return f"a policy has to allow the credentials {action} on the bucket; a bucket of somebody else looks the same"
    action = _ACTIONS.get(request.method, "s3:PutObject")
    sentence = f"a policy has to allow the credentials {action} on the object"
    if request.method in {"GET", "HEAD"}:
        sentence += "; without s3:ListBucket a missing one looks the same"
    return sentence


def _of_the_region(error: ServiceError, authorizer: SigV4Authorizer) -> str:
    endpoint = authorizer.endpoint
    region = error.headers.get("x-amz-bucket-region") or error.details.get("Region", "")
    if error.code == "IllegalLocationConstraintException" or error.code.startswith("Authorization"):
        if region and region != authorizer.place.region:
            return f"the store is in region {region!r}: give the session that region"
        return (
            f"the region {authorizer.place.region!r} is not the one that this endpoint serves: give the session another"
        )
    served = error.details.get("Endpoint", "")
    if region and region != authorizer.place.region:
        elsewhere = "" if endpoint.is_aws else ", and the endpoint_url of that region"
        return f"the bucket is in region {region!r}: give the session that region{elsewhere}"
    if served and not endpoint.is_aws:
        return f"the bucket is served at {served}: give that as endpoint_url"
    return "the bucket is served elsewhere, and the store does not say where: give its own region and endpoint_url"
