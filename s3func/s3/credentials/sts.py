"""STS: the two calls that turn one identity into another, and the hosts of AWS's own services.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from s3func.errors import CredentialsError, ProtocolError, TransportError
from s3func.message import Request
from s3func.s3.config import configured_endpoint
from s3func.s3.credentials import Credentials
from s3func.s3.credentials.http import SERVICE_SECONDS, Answer, Client, Url, end_of, split_url
from s3func.s3.endpoints import partition_of
from s3func.wire import sigv4
from s3func.wire.encoding import amz_date, encode_query
from s3func.wire.xmltree import decode_document, parse_tree

if TYPE_CHECKING:
    from s3func.s3.config import Settings
    from s3func.s3.credentials.chain import Surroundings

_VERSION = "2011-06-15"
# Beside amazonaws.com, which has no IPv6. The commercial partition and GovCloud share theirs.
_DUALSTACK_DOMAINS = {
    "aws-cn": "api.amazonwebservices.com.cn",
    "aws-eusc": "api.amazonwebservices.eu",
    "aws-iso": "api.aws.ic.gov",
    "aws-iso-b": "api.aws.scloud",
    "aws-iso-e": "api.cloud-aws.adc-e.uk",
    "aws-iso-f": "api.aws.hci.ic.gov",
}
# What usually helps, by the code of the refusal.
_HINTS = {
    "AccessDenied": "the trust policy of the role must name who assumes it, and its own policies must allow it",
    "ExpiredToken": "the credentials that assume the role have ended",
    "ExpiredTokenException": "the platform should have replaced the token in its file",
    "InvalidClientTokenId": "the keys that assume the role are unknown or no longer active",
    "InvalidIdentityToken": "the issuer of the token must be an identity provider of the account",
    "RegionDisabledException": "set AWS_REGION to a region in which STS is switched on",
    "SignatureDoesNotMatch": "the secret is not the one of the key id, or this machine's clock is wrong",
    "ValidationError": "check role_arn, external_id, role_session_name and duration_seconds",
}
_CONTENT_TYPE = "application/x-www-form-urlencoded"


def service_host(service: str, region: str, settings: Settings) -> str:
    """The host of a service in a region, FIPS and dual-stack as the settings ask for."""
    partition = partition_of(region)
    domain = partition.domain
    if settings.use_dualstack_endpoint:
        domain = _DUALSTACK_DOMAINS.get(partition.name, "api.aws")
    return f"{service}{'-fips' * settings.use_fips_endpoint}.{region}.{domain}"


def call(surroundings: Surroundings, parameters: dict[str, str], signer: Credentials | None, what: str) -> Credentials:
    """Ask STS; `what` says in an error what was asked for. Without a signer the request is not signed."""
    region = surroundings.settings.region or surroundings.region
    configured = configured_endpoint("sts", surroundings.environment, surroundings.profile, surroundings.files)
    if configured.value is not None:
        url = split_url(configured.value, f"{configured.source}, the endpoint of STS,")
    elif region is None:
        url = split_url("https://sts.amazonaws.com/", "")
    else:
        url = split_url(f"https://{service_host('sts', region, surroundings.settings)}/", f"the region {region[:60]!r}")
    body = encode_query([("Version", _VERSION), *parameters.items()]).encode()
    client = Client(surroundings, SERVICE_SECONDS)
    try:
        answer = client.send(
            lambda now: _request(url, body, region or "us-east-1", signer, now),
            again=lambda answer: answer.status == 400 and b"<Code>IDPCommunicationError<" in answer.body,
        )
    except TransportError as error:
        raise CredentialsError(
            f"{what}: no answer from STS at {url.origin}: {error}; check the network, HTTPS_PROXY and AWS_ENDPOINT_URL_STS"
        ) from error
    if answer.status != 200:
        raise CredentialsError(f"{what}: STS at {url.origin} refuses: {_reason(answer, signer)}")
    return _credentials(answer, f"{what}: STS at {url.origin}")


def _request(url: Url, body: bytes, region: str, signer: Credentials | None, now: float) -> Request:
    headers = {"content-type": _CONTENT_TYPE, "host": url.authority}
    if signer is not None:
        date = amz_date(now)
        headers["x-amz-date"] = date
        if signer.session_token is not None:
            headers["x-amz-security-token"] = signer.session_token
        names = sorted(headers)
        canonical = sigv4.canonical_request(
            "POST", url.path, sigv4.canonical_query(url.query), headers, names, sha256(body).hexdigest()
        )
        scope = sigv4.credential_scope(date[:8], region, "sts")
        key = sigv4.signing_key(signer.secret_access_key, date[:8], region, "sts")
        signed = sigv4.signature(key, sigv4.string_to_sign(date, scope, canonical))
        headers["authorization"] = sigv4.authorization_header(signer.access_key_id, scope, names, signed)
    return Request("POST", url.origin, url.path, url.query, headers, body)


def _reason(answer: Answer, signer: Credentials | None) -> str:
    """Code and message of the error document, less the token that it may repeat."""
    try:
        error = parse_tree(decode_document(answer.body)).child("Error")
    except ProtocolError:
        error = None
    if error is None:
        return f"status {answer.status}"
    code = error.value("Code") or str(answer.status)
    text = f"{code}: {error.value('Message') or ''}"
    if signer is not None and signer.session_token is not None:
        text = text.replace(signer.session_token, "***")
    text = "".join(character if character.isprintable() else " " for character in text)[:500]
    hint = _HINTS.get(code)
    return text if hint is None else f"{text} ({hint})"


def _credentials(answer: Answer, who: str) -> Credentials:
    try:
        root = parse_tree(decode_document(answer.body))
    except ProtocolError:
        raise CredentialsError(f"{who} answered with {len(answer.body)} bytes that are no XML document") from None
    result = next((child for child in root.children if child.name.endswith("Result")), None)
    found = None if result is None else result.child("Credentials")
    if found is None:
        raise CredentialsError(f"{who} answered without credentials")
    try:
        return Credentials(
            found.value("AccessKeyId") or "",
            found.value("SecretAccessKey") or "",
            found.value("SessionToken"),
            end_of(found.value("Expiration"), answer.skew, who),
        )
    except ValueError as error:
        raise CredentialsError(f"{who} answered with credentials that are none: {error}") from None
