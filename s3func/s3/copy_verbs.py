"""CopyVerbs: what stands between the arguments of copy_object and the work, and what move needs of S3 in particular."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3func.errors import NoSuchKey, NotImplementedByStore
from s3func.s3.base import S3Base
from s3func.s3.headers import check_key, etag_value, extra_headers
from s3func.s3.operations import version_query
from s3func.s3.payload import CHECKSUMS
from s3func.transport.transfer import checked_transfer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3func.results import CopyResult, HeadResult
    from s3func.transport.transfer import Progress, TransferConfig


class CopyVerbs(S3Base):
    """The way into copying.py."""

    def _copy(
        self,
        source: tuple[str | None, str, str | None, str | None],
        dest: tuple[str | None, str, str | None, str | None],
        fields: dict[str, str],
        *,
        replace_metadata: bool,
        replace_tagging: bool,
        checksum: str | None,
        transfer: TransferConfig | None,
        progress: Progress | None,
    ) -> CopyResult:
        """source: bucket, key, version and the ETag it must have. dest: bucket, key, if_match, if_none_match."""
        from s3func.s3.copying import Copy, Source, copy

        source_bucket, source_key, source_version_id, source_if_match = source
        dest_bucket, dest_key, if_match, if_none_match = dest
        self._check_copy(source_key, dest_key, source_version_id, source_bucket, dest_bucket)
        source_authorizer = self._at(source_bucket, "source_bucket")
        for name, etag in (("source_if_match", source_if_match), ("if_match", if_match)):
            if etag is not None:
                etag_value(name, etag)
        if if_none_match is not None:
            etag_value("if_none_match", if_none_match)
        if checksum is not None:
            if not isinstance(checksum, str) or checksum not in CHECKSUMS:
                raise ValueError(f"checksum must be one of {sorted(CHECKSUMS)}, not {checksum!r}")
            if checksum not in {"auto", "off"}:
                fields["x-amz-checksum-algorithm"] = checksum.upper()
        return copy(
            Copy(
                client=self._client,
                clock=self._clock,
                skew=self._skew,
                source=Source(
                    source_authorizer, source_authorizer.bucket or "", source_key, source_version_id, source_if_match
                ),
                authorizer=self._at(dest_bucket, "dest_bucket"),
                key=dest_key,
                fields=fields,
                # The caller may say it by a header of his own as well.
                replace_metadata=replace_metadata or _replaces(fields, "x-amz-metadata-directive"),
                replace_tagging=replace_tagging or _replaces(fields, "x-amz-tagging-directive"),
                if_match=if_match,
                if_none_match=if_none_match,
                transfer=None if transfer is None else checked_transfer(transfer),
                settings=self._transfer if transfer is None else transfer,
                progress=progress,
                store=self.endpoint_url,
            )
        )

    def _check_copy(
        self,
        source_key: str,
        dest_key: str,
        source_version_id: str | None,
        source_bucket: str | None,
        dest_bucket: str | None,
    ) -> None:
        self._at(source_bucket, "source_bucket")
        self._at(dest_bucket, "dest_bucket")
        check_key(source_key, "source_key")
        version_query(source_version_id, "source_version_id")
        check_key(dest_key, "dest_key")

    def _head_source(
        self, source_key: str, source_version_id: str | None, source_bucket: str | None, options: Mapping[str, Any]
    ) -> HeadResult:
        from s3func.s3.copying import headers_for_source

        fields = {} if options.get("headers") is None else headers_for_source(extra_headers(options["headers"]))
        # Conditions are for the copy to judge.
        fields = {name: value for name, value in fields.items() if not name.startswith("if-")}
        head: Any = self.head_object
        result: HeadResult = head(source_key, source_version_id, headers=fields, bucket=source_bucket)
        return result

    def _delete_exactly(self, key: str, copied: HeadResult, bucket: str | None) -> None:
        delete: Any = self.delete_object
        try:
            delete(key, if_match=copied.etag or None, bucket=bucket)
        except NoSuchKey:
            # Somebody else has deleted it meanwhile.
            return
        except NotImplementedByStore:
            self.delete_object(key, bucket=bucket)


def _replaces(fields: dict[str, str], directive: str) -> bool:
    return fields.get(directive, "").upper() == "REPLACE"
