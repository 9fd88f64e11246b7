"""B2Base: what every verb of a B2Session stands on: settings, the account, one client, the ids of buckets.

As on the S3 side, the verbs are in files of their own by what they are about, and `session.py` puts them together.
A verb is one check, build, send, parse; the bucket's id, which B2 wants in place of its name, is asked for once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from s3func.b2 import operations
from s3func.b2.auth import Account, AccountAuthorizer, PublicAuthorizer, account_of
from s3func.b2.config import (
    CAPABILITIES,
    CONNECTIONS,
    IN_PROCESS_URL,
    REALM,
    TRANSFER,
    Address,
    address,
    check_bucket,
)
from s3func.clock import SYSTEM_CLOCK, Clock
from s3func.errors import CredentialsError, NoSuchBucket, NoSuchKey, NotFound, NotSupported, S3FuncError
from s3func.session import Session
from s3func.transport.client import Client, observed_by
from s3func.transport.settings import checked_count, checked_policy, checked_timeouts
from s3func.transport.transfer import checked_transfer
from s3func.wire.b2json_account import parse_buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3func.b2.auth import Grant
    from s3func.message import Transport
    from s3func.models import Capabilities
    from s3func.transport.client import Authorizer
    from s3func.transport.observation import OnAttempt
    from s3func.transport.retry import RetryPolicy
    from s3func.transport.timeouts import Timeouts
    from s3func.transport.transfer import TransferConfig

Document = TypeVar("Document")


class B2Base(Session):
    """The settings of a session, checked, and the way of its requests."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES

    def __init__(
        self,
        access_key_id: str | None = None,
        access_key: str | None = None,
        bucket: str | None = None,
        max_connections: int = CONNECTIONS,
        max_attempts: int | None = None,
        read_timeout: float | None = None,
        download_url: str | None = None,
        stream: bool = True,
        *,
        realm: str | None = None,
        secret_access_key: str | None = None,
        anonymous: bool = False,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | int | None = None,
        connect_timeout: float | None = None,
        verify_downloads: bool = True,
        large_file_sha1: bool = True,
        transfer: TransferConfig | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        on_attempt: OnAttempt | None = None,
    ) -> None:
        """Check and keep the settings; nothing is sent.

        access_key_id, access_key: an application key and its secret (`secret_access_key` is its other name); else
        B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY. bucket: may be left out where the key is for one bucket only.
        realm: where accounts are authorized, in place of Backblaze. download_url: where downloads come from in place of what B2 says, a CDN in
        front of it, say; without a key, where a public bucket is read. stream: False makes get_object read every body
        at once. timeouts, retries, max_connections, transfer, transport: as for S3Session, but 16 parts at a time
        unless transfer says otherwise, because B2 limits the speed of each connection. verify_downloads: compare
        whole files with their SHA-1. large_file_sha1: read what is sent in parts once more, beforehand, so that B2 can
        keep the SHA-1 of the whole; without it a large file is not compared when it is downloaded. on_attempt: told of
        every attempt, see Attempt.
        """
        if realm is None:
            realm = REALM if transport is None else IN_PROCESS_URL
        self._realm = address(realm, "realm")
        self._download_url = None if download_url is None else address(download_url, "download_url")
        pair = _key_pair(access_key_id, access_key, secret_access_key, anonymous=anonymous)
        self.bucket = None if bucket is None else check_bucket(bucket)
        self._account: Account | None = None
        if pair is not None:
            # What is reached through a transport of the caller's own is no account that others could know, too.
            self._account = account_of(self._realm, *pair) if transport is None else Account(self._realm, *pair)
        elif self._download_url is None or self.bucket is None:
            raise CredentialsError(
                "no application key: pass access_key_id and access_key, or set B2_APPLICATION_KEY_ID and "
                "B2_APPLICATION_KEY; for a public bucket pass bucket and download_url"
            )
        limits = checked_timeouts(timeouts, connect_timeout, read_timeout)
        kept = checked_count("max_connections", max_connections)
        policy = checked_policy(retries, max_attempts)
        if transport is None:
            from s3func.transport.network import network_of
            from s3func.transport.pool import Pool

            transport = Pool(limits, max_connections=kept, network=network_of(os.environ))
        elif not callable(transport):
            raise TypeError(f"transport must be callable, not {type(transport).__name__}")
        self._clock = clock or SYSTEM_CLOCK
        self._client = Client(observed_by(transport, on_attempt), policy, total_seconds=limits.total, clock=self._clock)
        self._verify = verify_downloads
        self._stream = stream
        self._large_file_sha1 = large_file_sha1
        self._transfer = TRANSFER if transfer is None else checked_transfer(transfer)

    @property
    def realm(self) -> str:
        """Where accounts are authorized."""
        return self._realm.origin + self._realm.path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} bucket={self.bucket!r} realm={self.realm!r}>"

    def close(self) -> None:
        """Close the idle connections. The session may be used again; it then opens new ones."""
        self._client.close()

    def _grant(self) -> Grant:
        """The account's token and what came with it."""
        return self._known_account().grant(self._client, self._clock)

    def _known_account(self) -> Account:
        if self._account is None:
            raise NotSupported("without an application key a B2Session can only read a public bucket")
        return self._account

    def _name(self, bucket: str | None, argument: str = "bucket") -> str:
        """The bucket that a call is about; the key's only one where neither the call nor the session names it."""
        name = self.bucket if bucket is None else bucket
        if name is None and self._account is not None:
            allowed = self._grant().authorization.buckets
            if allowed is not None and len(allowed) == 1 and allowed[0].name is not None:
                self.bucket = name = check_bucket(allowed[0].name)
        return check_bucket(name, argument)

    def _bucket_id(self, name: str) -> str:
        """The id of a bucket. NoSuchBucket."""
        account = self._known_account()
        known = account.bucket_ids.get(name)
        if known is not None:
            return known
        account_id = self._grant().authorization.account_id
        known = account.bucket_ids.get(name)
        if known is not None:
            return known
        fields = {"accountId": account_id, "bucketName": name}
        for bucket in self._call("b2_list_buckets", fields, parse_buckets, bucket=name, reading=True):
            if bucket.name == name:
                account.bucket_ids[name] = bucket.id
                return bucket.id
        error = NoSuchBucket(f"there is no bucket {name!r}, or this key must not know of it")
        error.bucket = name
        raise error

    def _call(
        self,
        name: str,
        fields: Mapping[str, Any],
        parse: Callable[[bytes], Document],
        *,
        bucket: str | None = None,
        key: str | None = None,
        missing: type[NotFound] = NoSuchKey,
        reading: bool = False,
        once: bool = False,
        client: Client | None = None,
        deadline: float | None = None,
        dates: list[str] | None = None,
    ) -> Document:
        """One call of the JSON API.

        reading: it changes nothing, so that a lost answer leaves no doubt. once: it is not repeated after it may have
        been carried out. dates: gets the Date of the answer.
        """
        account = self._known_account()
        client = client or self._client
        request = operations.call(name, fields)
        request.deadline = deadline
        authorizer = AccountAuthorizer(account, client, self._clock, bucket, key, missing, once=once)
        try:
            return client.send(request, authorizer, operations.document(parse, dates))
        except S3FuncError as error:
            if reading:
                error.maybe_applied = False
            if isinstance(error, NoSuchBucket) and bucket is not None:
                # It may have been made again, with another id.
                account.bucket_ids.pop(bucket, None)
            raise

    def _reader(self, bucket: str, key: str, missing: type[NotFound]) -> Authorizer:
        """The authorizer of a download."""
        if self._account is None:
            if self._download_url is None:  # the constructor has seen to it
                raise NotSupported("without an application key a B2Session needs a download_url")
            return PublicAuthorizer(self._download_url, bucket, key, missing)
        place: Address | bool = self._download_url or True
        return AccountAuthorizer(self._account, self._client, self._clock, bucket, key, missing, download=place)


def _key_pair(
    access_key_id: str | None, access_key: str | None, secret_access_key: str | None, *, anonymous: bool
) -> tuple[str, str] | None:
    if access_key is not None and secret_access_key is not None and access_key != secret_access_key:
        raise ValueError("access_key and secret_access_key are two names of one argument and differ")
    secret = secret_access_key if access_key is None else access_key
    if anonymous:
        if access_key_id is not None or secret is not None:
            raise ValueError("access_key_id and anonymous exclude each other: who asks?")
        return None
    source = "the arguments"
    if access_key_id is None and secret is None:
        # An empty variable counts as unset.
        access_key_id = os.environ.get("B2_APPLICATION_KEY_ID") or None
        secret = os.environ.get("B2_APPLICATION_KEY") or None
        source = "the environment"
        if access_key_id is None and secret is None:
            return None
    if not access_key_id or not secret:
        missing = "the secret" if access_key_id else "the key id"
        raise CredentialsError(f"{source} have half of an application key: {missing} is missing")
    for name, value in (("access_key_id", access_key_id), ("access_key", secret)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError(f"{name} has characters that cannot stand in a header")
    if ":" in access_key_id:
        raise ValueError("access_key_id has a colon, which would end it")
    return access_key_id, secret
