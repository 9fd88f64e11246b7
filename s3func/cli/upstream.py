"""The store behind a gateway, `--backend session`: settings become a session, and the session a backend.

It stands up here because a server knows no client: `SessionBackend` takes a session that somebody else has made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from s3func.server.backends.settings import Setting, SettingValue

if TYPE_CHECKING:
    from s3func.server import Backend

# Who says by these who signs does not mean the keys in the environment.
_SIGNERS = ("profile", "anonymous")
_OF_S3 = {"region", "profile", "session_token", "addressing_style"}


class UpstreamBackend:
    """What `--backend session` means: S3, or Backblaze B2 through its own API."""

    SETTINGS: ClassVar[tuple[Setting, ...]] = (
        Setting("provider", "What the store speaks", choices=("s3", "b2"), default="s3"),
        Setting(
            "endpoint_url",
            "Where the store is; of b2, where accounts are authorized",
            variable="S3FUNC_UPSTREAM_ENDPOINT_URL",
            default="AWS's variables and profiles, or the provider's own",
        ),
        Setting("region", "Its region"),
        Setting("profile", "The profile of ~/.aws with its keys"),
        Setting("bucket", "The only one of its buckets to serve"),
        Setting("access_key_id", "Its key", variable="S3FUNC_UPSTREAM_ACCESS_KEY_ID", unless=_SIGNERS),
        Setting(
            "secret_access_key",
            "The secret of that key",
            secret=True,
            variable="S3FUNC_UPSTREAM_SECRET_ACCESS_KEY",
            unless=_SIGNERS,
        ),
        Setting("session_token", "The token of a key for some hours", secret=True),
        Setting("addressing_style", "Where a bucket's name stands", choices=("auto", "path", "virtual")),
        Setting("anonymous", "Sign nothing, and read what is public", type=bool),
    )

    @classmethod
    def from_settings(cls, settings: Mapping[str, SettingValue]) -> Backend:
        """A gateway to that store; nothing is sent. ValueError, CredentialsError."""
        from s3func.server import SessionBackend

        options: dict[str, Any] = dict(settings)
        provider = options.pop("provider", "s3")
        pair = {"access_key_id", "secret_access_key"}
        if missing := pair - options.keys() if pair & options.keys() else None:
            raise ValueError(f"half a key pair: {missing.pop()} is missing")
        bucket = options.get("bucket")
        if provider == "s3":
            from s3func.s3 import S3Session

            return SessionBackend(S3Session(**options), bucket=bucket)
        for name in sorted(_OF_S3 & options.keys()):
            raise ValueError(f"{name} does not go with provider b2")
        from s3func.b2 import B2Session

        if (realm := options.pop("endpoint_url", None)) is not None:
            options["realm"] = realm
        return SessionBackend(B2Session(**options), bucket=bucket)

    @classmethod
    def place_of(cls, settings: Mapping[str, SettingValue]) -> str:
        """The store's address, and the bucket if there is only one."""
        place = settings.get("endpoint_url")
        if place is None:
            b2 = settings.get("provider") == "b2"
            place = "Backblaze B2" if b2 else "the store that the environment names"
        return f"{place}, bucket {settings['bucket']}" if "bucket" in settings else str(place)
