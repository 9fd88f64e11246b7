"""S3Base: what every verb of an S3Session stands on: settings, credentials, one client, an authorizer per bucket.

The verbs are in files of their own by what they are about (objects.py, listings.py, buckets.py …), each a class over
this one; `session.py` puts them together. A verb is one check, build, send, parse.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self, Unpack

from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import NotSupported, S3FuncError, ServiceError
from s3func.s3.auth import SigV4Authorizer, Skew
from s3func.s3.endpoints import SIGV4, SIGV4A, check_bucket
from s3func.s3.options import IN_PROCESS_URL, Options, one_secret
from s3func.s3.payload import CHECKSUMS, ChecksumChoice
from s3func.session import Session
from s3func.transport.client import Client, observed_by
from s3func.transport.settings import checked_count, checked_policy, checked_timeouts
from s3func.transport.transfer import DEFAULT_TRANSFER, TransferConfig, checked_transfer

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3func.message import Transport
    from s3func.s3.auth import CredentialsSource
    from s3func.s3.config import Settings
    from s3func.s3.credentials import Credentials
    from s3func.s3.endpoints import Endpoint, Place
    from s3func.s3.request_options import Encryption, RequestOptions
    from s3func.s3.session_keywords import SessionKeywords
    from s3func.transport.retry import RetryPolicy
    from s3func.transport.timeouts import Timeouts


_STANDARD_ATTEMPTS = 3


class S3Base(Session):
    """The settings of a session, checked, and the way of its requests."""

    _options: RequestOptions | None = None

    def __init__(
        self,
        access_key_id: str | None = None,
        access_key: str | None = None,
        bucket: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        *,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        profile: str | None = None,
        credentials: Credentials | Callable[[], Credentials] | None = None,
        anonymous: bool = False,
        addressing_style: str = "auto",
        stream: bool = True,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | int | None = None,
        max_connections: int = 10,
        checksum: str = "auto",
        verify_downloads: bool | None = None,
        transfer: TransferConfig | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        max_pool_connections: int | None = None,
        max_attempts: int | None = None,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        retry_mode: str | None = None,
        **more: Unpack[SessionKeywords],
    ) -> None:
        """Check and keep the settings; nothing is sent.

        access_key: the secret (`secret_access_key` is its other name). addressing_style: "auto", "path" or "virtual"
        (a bucket whose name cannot be part of a host name is addressed by path in any case). stream: False makes
        get_object read every body at once. timeouts: seconds, see Timeouts. retries: a RetryPolicy, or how many attempts.
        max_connections: kept idle per host; more may be open at a time. checksum: of every upload: "auto" (CRC32; a store
        that refuses it is asked without, ChecksumRefused warns once), "crc32", "crc32c", "crc64nvme", "sha1", "sha256" or
        "off". verify_downloads: compare whole objects with the checksum that the store keeps (None: unless environment
        or profile say when_required). transfer: see TransferConfig. transport: moves the requests in place of the
        network. max_pool_connections … retry_mode: names of the seed's release; retry_mode has no effect. more: see
        SessionKeywords (store, use_dualstack, on_attempt …).
        """
        _check_choices(checksum, retry_mode)
        options = Options(
            os.environ,
            access_key_id=access_key_id,
            secret_access_key=one_secret(access_key, secret_access_key),
            session_token=session_token,
            profile=profile,
            credentials=credentials,
            anonymous=anonymous,
            endpoint_url=IN_PROCESS_URL if endpoint_url is None and transport is not None else endpoint_url,
            region=region,
        )
        settings, self._clock = options.settings, clock or SYSTEM_CLOCK
        self._credentials, self._is_anonymous = options.credentials_source(self._clock), anonymous
        self._endpoint = options.endpoint(addressing_style, more)
        self._skew, self._stream = Skew(), stream
        limits = checked_timeouts(timeouts, connect_timeout, read_timeout)
        self._transfer = DEFAULT_TRANSFER if transfer is None else checked_transfer(transfer)
        self._direct_below = self._transfer.direct_below
        kept = _kept(max_connections, max_pool_connections, transfer)
        moving = observed_by(_checked_transport(transport, limits, kept, settings.ca_bundle), more.get("on_attempt"))
        policy = checked_policy(retries, _attempts(settings, retries, max_attempts, retry_mode))
        self._client = Client(moving, policy, total_seconds=limits.total, clock=self._clock)
        self._authorizers: dict[str | None, SigV4Authorizer] = {}
        checksum, self._verify = _integrity(settings, checksum, verify_downloads, self._endpoint)
        self._checksum_choice = ChecksumChoice(checksum, self._endpoint.url)
        # What cannot be a place is said now and not at the first call.
        self.bucket: str | None = None if bucket is None else self._at(bucket).bucket

    @property
    def _checksum(self) -> str:
        """What uploads carry that choose nothing else."""
        return self._checksum_choice.algorithm

    @property
    def region(self) -> str:
        """The region of the session; a bucket found elsewhere is asked there, without changing this."""
        return self._endpoint.region

    @property
    def endpoint_url(self) -> str:
        """Where the store is."""
        return self._endpoint.url

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} bucket={self.bucket!r} endpoint_url={self.endpoint_url!r} region={self.region!r}>"

    def close(self) -> None:
        """Close the idle connections. The session may be used again; it then opens new ones."""
        self._client.close()

    def _at(self, bucket: str | None, argument: str = "bucket") -> SigV4Authorizer:
        """The authorizer of a bucket, which also knows its place; the session's own bucket for None."""
        name = self.bucket if bucket is None else bucket
        authorizer = self._authorizers.get(name) if isinstance(name, str) else None
        if authorizer is None:
            checked = check_bucket(name, argument)
            try:
                fresh = self._new_authorizer(checked)
            except ValueError as error:
                if argument == "bucket":
                    raise
                raise ValueError(f"{argument}: {error}") from error
            # Of two threads that come at once, one's is kept: it learns for both.
            authorizer = self._authorizers.setdefault(checked, fresh)
        return authorizer

    def _at_control(self, bucket: str | None) -> SigV4Authorizer:
        """The authorizer for making, deleting and configuring a bucket, which directory buckets have another host for."""
        authorizer = self._at(bucket)
        name = authorizer.bucket or ""
        if authorizer.place.service == "s3" and not name.startswith("arn:"):
            return authorizer
        place = self._endpoint.control_place(name)
        return self._authorizer(self._credentials, name, place)

    def _at_service(self) -> SigV4Authorizer:
        authorizer = self._authorizers.get(None)
        if authorizer is None:
            authorizer = self._authorizers[None] = self._new_authorizer(None)
        return authorizer

    def with_options(
        self,
        *,
        request_payer: bool | None = None,
        expected_bucket_owner: str | None = None,
        encryption: Encryption | None = None,
    ) -> Self:
        """This session with the same connections, all of whose requests say more; None: as this session does.

        request_payer: True in a bucket where whoever asks pays. expected_bucket_owner: AccessDenied unless the bucket
        belongs to this account. encryption: how what is written is encrypted, and the customer's key of what is read:
        `session.with_options(encryption=Encryption.kms("alias/data"))`.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        from s3func.s3.endpoints import is_loopback
        from s3func.s3.request_options import RequestOptions

        now = self._options or RequestOptions()
        options = RequestOptions(
            now.request_payer if request_payer is None else request_payer,
            now.expected_bucket_owner if expected_bucket_owner is None else expected_bucket_owner,
            now.encryption if encryption is None else encryption,
        )
        origin = self._endpoint.url
        options.checked(origin, is_private=origin.startswith("https://") or is_loopback(origin))
        return self._twin(_authorizers={}, _options=options)

    def _new_authorizer(self, bucket: str | None) -> SigV4Authorizer:
        authorizer = self._authorizer(self._credentials, bucket)
        place = authorizer.place
        if place.scheme == SIGV4 or self._is_anonymous:
            return authorizer
        if place.scheme == SIGV4A:
            raise NotSupported(
                f"bucket {bucket!r} is a multi-region access point, whose requests need SigV4A signatures: give one of its "
                "buckets, or an access point of one region, in its place"
            )
        from s3func.s3.express import session_credentials

        plain = self._authorizer(self._credentials, bucket, place._replace(scheme=SIGV4))
        session = self._authorizer(session_credentials(plain, self._client, self._clock), bucket)
        session.plain = plain
        return session

    def _authorizer(
        self, credentials: CredentialsSource, bucket: str | None, place: Place | None = None
    ) -> SigV4Authorizer:
        parts = (credentials, self._endpoint, bucket, self._clock, self._skew, self._checksum_choice.refused)
        if self._options is None or bucket is None:
            return SigV4Authorizer(*parts, place=place, discover=self._ask_for_region)
        from s3func.s3.request_options import ToldAuthorizer

        return ToldAuthorizer(*parts, place=place, discover=self._ask_for_region, options=self._options)

    def _ask_for_region(self, authorizer: SigV4Authorizer) -> str:
        """Where a store says a bucket is; "" where it does not.

        AWS says it in every answer to a HEAD of the bucket, also to one that is not signed. Others say it in the document
        that refuses a signature for another region, which an answer to HEAD does not have.
        """
        from s3func.s3.operations import on_bucket

        try:
            if self._endpoint.tells_region:
                response = self._client.transport(on_bucket("HEAD", authorizer.place))
                response.close()
                return response.headers.get("x-amz-bucket-region", "")
            request = on_bucket("GET", authorizer.place, "location=")
            authorizer.authorize(request)
            response = self._client.transport(request)
            if response.status < 300:
                response.close()
                return ""
            error = authorizer.refusal(request, response)
        except S3FuncError:
            return ""
        return error.details.get("Region", "") if isinstance(error, ServiceError) else ""


def _checked_transport(transport: Transport | None, limits: Timeouts, kept: int, ca_bundle: str | None) -> Transport:
    if transport is None:
        from s3func.transport.network import network_of
        from s3func.transport.pool import Pool

        return Pool(limits, max_connections=kept, network=network_of(os.environ, ca_bundle))
    if not callable(transport):
        raise TypeError(f"transport must be callable, not {type(transport).__name__}")
    return transport


def _kept(max_connections: int, max_pool_connections: int | None, transfer: TransferConfig | None) -> int:
    """How many idle connections are kept: as many as a transfer uses at least."""
    kept = checked_count("max_connections", max_connections)
    if max_pool_connections is not None:
        kept = checked_count("max_pool_connections", max_pool_connections)
    return kept if transfer is None else max(kept, checked_transfer(transfer).concurrency)


def _attempts(
    settings: Settings, retries: RetryPolicy | int | None, max_attempts: int | None, retry_mode: str | None
) -> int | None:
    """How often a call is tried where `retries` does not say; None where environment and profile do not say either."""
    if retries is not None or max_attempts is not None:
        return max_attempts
    if settings.max_attempts is None and retry_mode is None and settings.retry_mode in {"standard", "adaptive"}:
        # What these modes mean to other SDKs; ours is one policy with all that they have.
        return _STANDARD_ATTEMPTS
    return settings.max_attempts


def _integrity(
    settings: Settings, checksum: str, verify_downloads: bool | None, endpoint: Endpoint
) -> tuple[str, bool]:
    """The checksum of uploads and whether downloads are verified.

    Where nobody has said so, environment and profile speak, and what is known of the store.
    """
    if checksum == "auto":
        refused = endpoint.store is not None and not endpoint.store.checksums
        if refused or settings.request_checksum_calculation == "when_required":
            checksum = "off"
    if verify_downloads is None:
        verify_downloads = endpoint.verifies and settings.response_checksum_validation != "when_required"
    return checksum, verify_downloads


def _check_choices(checksum: str, retry_mode: str | None) -> None:
    if not isinstance(checksum, str) or checksum not in CHECKSUMS:
        raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {checksum!r}")
    if retry_mode not in (None, "legacy", "standard", "adaptive"):
        raise ValueError(f"retry_mode is unknown: {retry_mode!r}")
