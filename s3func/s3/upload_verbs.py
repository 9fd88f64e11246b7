"""UploadVerbs: what stands between the arguments of an upload and the engine: every one checked, all in one Put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from s3func.s3 import operations
from s3func.s3.base import S3Base
from s3func.s3.headers import check_key, etag_value
from s3func.s3.payload import CHECKSUMS
from s3func.session import PutOptions
from s3func.transport.transfer import Progress, ProgressCount, TransferConfig, checked_transfer

if TYPE_CHECKING:
    from s3func.s3.upload_parts import Put
    from s3func.session import UploadStream

_HEADERS = (
    "metadata",
    "content_type",
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "expires",
    "storage_class",
    "acl",
    "tagging",
    "headers",
)


class UploadVerbs(S3Base):
    """The ways into the upload engine."""

    def _put(
        self,
        key: str,
        fields: dict[str, str],
        *,
        checksum: str | None,
        if_match: str | None,
        if_none_match: str | None,
        multipart: bool | None,
        transfer: TransferConfig | None,
        progress: Progress | None,
        bucket: str | None,
        is_call: bool = True,
    ) -> Put:
        """What a call asks for, checked. is_call: the session's total time is that of the whole call."""
        from s3func.s3.upload_parts import Put

        chosen = self._checksum if checksum is None else checksum
        if not isinstance(chosen, str) or chosen not in CHECKSUMS:
            raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {chosen!r}")
        if multipart is not None and not isinstance(multipart, bool):
            raise TypeError(f"multipart must be a bool or None, not {type(multipart).__name__}")
        if if_match is not None:
            etag_value("if_match", if_match)
        if if_none_match is not None:
            etag_value("if_none_match", if_none_match)
        settings = self._transfer if transfer is None else checked_transfer(transfer)
        total = self._client.total_seconds if is_call else None
        return Put(
            client=self._client,
            clock=self._clock,
            skew=self._skew,
            authorizer=self._at(bucket),
            key=key,
            path=check_key(key),
            fields=fields,
            checksum=chosen,
            if_match=if_match,
            if_none_match=if_none_match,
            transfer=settings,
            multipart=multipart,
            progress=ProgressCount(progress, None),
            watched=progress is not None or settings.bandwidth is not None,
            deadline=None if total is None else self._clock.monotonic() + total,
        )

    def _put_of(self, key: str, options: PutOptions, *, is_call: bool) -> Put:
        unknown = options.keys() - PutOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"put_object has no argument {min(unknown)!r}")
        # The names are those of the TypedDict, which a type checker does not follow through a loop.
        fields = operations.object_headers(**{name: options.get(name) for name in _HEADERS})  # type: ignore[arg-type]
        return self._put(
            key,
            fields,
            checksum=options.get("checksum"),
            if_match=options.get("if_match"),
            if_none_match=options.get("if_none_match"),
            multipart=options.get("multipart"),
            transfer=options.get("transfer"),
            progress=options.get("progress"),
            bucket=options.get("bucket"),
            is_call=is_call,
        )

    def _upload_stream(self, key: str, **options: Unpack[PutOptions]) -> UploadStream:
        from s3func.s3.upload_stream import S3UploadStream, SpooledStream

        put = self._put_of(key, options, is_call=False)
        return SpooledStream(put) if put.multipart is False else S3UploadStream(put)
