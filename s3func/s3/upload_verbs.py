"""UploadVerbs: what stands between the arguments of an upload and the engine: every one checked, all in one Put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from s3func.errors import S3FuncError
from s3func.results import PutResult
from s3func.s3 import operations
from s3func.s3.base import S3Base
from s3func.s3.headers import check_key, etag_value
from s3func.s3.payload import CHECKSUMS
from s3func.session import PutOptions
from s3func.transport.transfer import Progress, ProgressCount, TransferConfig, checked_transfer

if TYPE_CHECKING:
    import os

    from s3func.s3.upload_parts import Put
    from s3func.session import UploadStream
    from s3func.transport.body import BodySource

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

    def _store(
        self,
        key: str,
        body: BodySource,
        fields: dict[str, str],
        checksum: str | None,
        conditions: tuple[str | None, str | None],
        multipart: bool | None,
        transfer: TransferConfig | None,
        progress: Progress | None,
        bucket: str | None,
    ) -> PutResult:
        """put_object for everything but small bytes."""
        from s3func.s3.upload import store

        return store(self._put(key, fields, checksum, conditions, multipart, transfer, progress, bucket), body)

    def _put(
        self,
        key: str,
        fields: dict[str, str],
        checksum: str | None,
        conditions: tuple[str | None, str | None],
        multipart: bool | None,
        transfer: TransferConfig | None,
        progress: Progress | None,
        bucket: str | None,
        *,
        is_call: bool = True,
    ) -> Put:
        """What a call asks for, checked. is_call: the session's total time is that of the whole call."""
        from s3func.s3.upload_parts import Put

        chosen = self._checksum if checksum is None else checksum
        if not isinstance(chosen, str) or chosen not in CHECKSUMS:
            raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {chosen!r}")
        if multipart is not None and not isinstance(multipart, bool):
            raise TypeError(f"multipart must be a bool or None, not {type(multipart).__name__}")
        if_match, if_none_match = conditions
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
            options.get("checksum"),
            (options.get("if_match"), options.get("if_none_match")),
            options.get("multipart"),
            options.get("transfer"),
            options.get("progress"),
            options.get("bucket"),
            is_call=is_call,
        )

    def _upload_stream(self, key: str, **options: Unpack[PutOptions]) -> UploadStream:
        from s3func.s3.upload_stream import S3UploadStream, SpooledStream

        put = self._put_of(key, options, is_call=False)
        return SpooledStream(put) if put.multipart is False else S3UploadStream(put)

    def _resume_upload(self, path: os.PathLike[str], key: str, options: PutOptions) -> PutResult:
        from s3func.s3.upload_resume import resume

        put = self._put_of(key, options, is_call=True)
        result, is_resumed = resume(put, path)
        return self._as_asked(put, result, options) if is_resumed else result

    def _as_asked(self, put: Put, result: PutResult, options: PutOptions) -> PutResult:
        """The object of a resumed upload, with the headers of this call, whatever it was begun with."""
        from s3func.s3.upload_resume import is_as_asked

        bucket = options.get("bucket")
        # The class that has all the verbs stands above this one.
        verbs: Any = self
        try:
            head = verbs.head_object(put.key, result.version_id, headers=put.repeated, bucket=bucket)
            if is_as_asked(put, head):
                return result
            asked: dict[str, Any] = {name: options.get(name) for name in _HEADERS}
            # An empty mapping means none, where None would mean those of the source.
            asked["metadata"] = asked["metadata"] or {}
            if "x-amz-tagging-count" in head.headers:
                asked["tagging"] = asked["tagging"] or {}
            customer = {
                name.replace("x-amz-", "x-amz-copy-source-", 1): value
                for name, value in put.repeated.items()
                if "-customer-" in name
            }
            asked["headers"] = {**(asked["headers"] or {}), **customer}
            copy = verbs.copy_object(
                put.key,
                put.key,
                result.version_id,
                source_bucket=put.authorizer.bucket,
                dest_bucket=bucket,
                source_if_match=result.etag,
                **asked,
            )
        except S3FuncError as error:
            error.add_note(
                f"the upload of {put.key!r} was resumed and completed; whether its metadata and headers are those of "
                "this call is not known"
            )
            raise
        return PutResult(copy.status, {**copy.headers, "etag": f'"{copy.etag}"'})
