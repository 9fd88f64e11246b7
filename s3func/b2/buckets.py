"""The verbs about buckets, application keys, and the protection of versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s3func.b2.base import B2Base
from s3func.b2.config import check_bucket, check_key, check_number, check_text, check_version_id
from s3func.b2.headers import retention_document
from s3func.b2.results import FileHead
from s3func.errors import NoSuchBucket, NoSuchVersion, NotSupported, ProtocolError
from s3func.models import BucketEntry
from s3func.retention import ObjectLockConfiguration, ObjectLockVerbs, Retention, checked_default
from s3func.wire.b2json import parse_file, parse_object
from s3func.wire.b2json_account import parse_bucket, parse_buckets, parse_key, parse_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s3func.wire.b2json import StoredFile
    from s3func.wire.b2json_account import ApplicationKey, StoredBucket

_KEYS_PAGE_MAX = 1000
_KEY_SECONDS_MAX = 1000 * 24 * 3600 - 1


class BucketVerbs(ObjectLockVerbs, B2Base):
    """Buckets of an account."""

    def create_bucket(self, bucket: str | None = None, *, bucket_type: str = "allPrivate", **settings: Any) -> None:
        """Make a bucket. BucketAlreadyExists when the name is taken, by whomever.

        bucket_type: "allPrivate", or "allPublic" for everybody to read. settings: further fields of the call, such as
        fileLockEnabled=True. https://www.backblaze.com/apidocs/b2-create-bucket
        """
        name = self._name(bucket)
        account_id = self._grant().authorization.account_id
        fields = {"accountId": account_id, "bucketName": name, "bucketType": check_text("bucket_type", bucket_type)}
        made = self._call("b2_create_bucket", {**fields, **settings}, parse_bucket, bucket=name)
        self._known_account().bucket_ids[name] = made.id

    def delete_bucket(self, bucket: str | None = None) -> None:
        """Delete an empty bucket. BucketNotEmpty, NoSuchBucket."""
        name = self._name(bucket)
        fields = {"accountId": self._grant().authorization.account_id, "bucketId": self._bucket_id(name)}
        self._call("b2_delete_bucket", fields, parse_bucket, bucket=name)
        self._known_account().bucket_ids.pop(name, None)

    def head_bucket(self, bucket: str | None = None) -> FileHead:
        """Whether the bucket is there and may be used: NoSuchBucket, AccessDenied."""
        found = self.get_bucket(bucket)
        return FileHead(200, {"x-bz-bucket-id": found.id, "x-bz-bucket-type": found.type})

    def get_bucket(self, bucket: str | None = None) -> StoredBucket:
        """A bucket with all its settings, as B2 writes them. https://www.backblaze.com/apidocs/b2-list-buckets."""
        name = self._name(bucket)
        for found in self._buckets({"bucketName": name}, name):
            if found.name == name:
                self._known_account().bucket_ids[name] = found.id
                return found
        self._known_account().bucket_ids.pop(name, None)
        error = NoSuchBucket(f"there is no bucket {name!r}, or this key must not know of it")
        error.bucket = name
        raise error

    def update_bucket(
        self, bucket: str | None = None, *, if_revision: int | None = None, **settings: Any
    ) -> StoredBucket:
        """Change settings of a bucket: bucketType, bucketInfo, lifecycleRules, corsRules, fileLockEnabled …

        if_revision: Conflict when somebody has changed it since.
        https://www.backblaze.com/apidocs/b2-update-bucket
        """
        name = self._name(bucket)
        fields = {
            "accountId": self._grant().authorization.account_id,
            "bucketId": self._bucket_id(name),
            "ifRevisionIs": if_revision,
        }
        return self._call("b2_update_bucket", {**fields, **settings}, parse_bucket, bucket=name)

    def list_buckets(self) -> list[BucketEntry]:
        """All buckets that the key may know of; B2 does not tell when they were made."""
        authorization = self._grant().authorization
        allowed = authorization.buckets
        if allowed is None:
            rows = self._buckets({}, None)
        elif "listBuckets" not in authorization.capabilities:
            # The names that came with the token are all that such a key can know.
            return sorted((BucketEntry(one.name) for one in allowed if one.name), key=lambda entry: entry.name)
        else:
            # A key that is restricted has to say which bucket it asks for.
            rows = [row for one in allowed for row in self._buckets({"bucketId": one.id}, one.name)]
        known = self._known_account().bucket_ids
        known.update((row.name, row.id) for row in rows)
        return sorted((BucketEntry(row.name) for row in rows), key=lambda entry: entry.name)

    def _buckets(self, fields: dict[str, Any], name: str | None) -> list[StoredBucket]:
        fields = {"accountId": self._grant().authorization.account_id, **fields}
        return self._call("b2_list_buckets", fields, parse_buckets, bucket=name, reading=True)

    def get_object_lock_configuration(self, *, bucket: str | None = None) -> ObjectLockConfiguration:
        """Whether the bucket has object lock, and how long new versions are kept: B2's fileLockConfiguration.

        https://www.backblaze.com/apidocs/b2-list-buckets
        """
        settings = _value(self.get_bucket(bucket).settings.get("fileLockConfiguration"), "the object lock")
        settings = settings if isinstance(settings, dict) else {}
        default = settings.get("defaultRetention") or {}
        period = default.get("period") or {}
        spans = {period.get("unit"): period.get("duration")}
        mode = str(default.get("mode") or "").upper() or None
        return ObjectLockConfiguration(
            settings.get("isFileLockEnabled") is True, mode, spans.get("days"), spans.get("years")
        )

    def put_object_lock_configuration(
        self,
        mode: str | None = None,
        *,
        days: int | None = None,
        years: int | None = None,
        bucket: str | None = None,
    ) -> None:
        """Have object lock, and keep new versions for `days` or `years` in `mode` "GOVERNANCE" or "COMPLIANCE".

        Without a mode new versions are kept only if they ask for it. It cannot be switched off again.
        https://www.backblaze.com/apidocs/b2-update-bucket
        """
        default = checked_default(mode, days, years)
        settings: dict[str, Any] = {"fileLockEnabled": True}
        period = {"duration": days or years, "unit": "days" if days else "years"} if default.mode else None
        settings["defaultRetention"] = {"mode": default.mode and default.mode.lower(), "period": period}
        self.update_bucket(bucket, **settings)


class ProtectionVerbs(B2Base):
    """Legal hold and retention of versions, in buckets with object lock."""

    def get_object_legal_hold(self, key: str, version_id: str | None = None, *, bucket: str | None = None) -> bool:
        """Whether the version (the newest one without version_id) is under legal hold."""
        return bool(_value(self._version(key, version_id, bucket).legal_hold, "a legal hold") == "on")

    def put_object_legal_hold(
        self, key: str, hold: bool, version_id: str | None = None, *, bucket: str | None = None
    ) -> None:
        """Put a version under legal hold, or lift it. https://www.backblaze.com/apidocs/b2-update-file-legal-hold."""
        if not isinstance(hold, bool):
            raise TypeError(f"hold must be a bool, not {type(hold).__name__}")
        name = self._name(bucket)
        file_id = self._version_id(key, version_id, name)
        fields = {"fileName": key, "fileId": file_id, "legalHold": "on" if hold else "off"}
        self._call("b2_update_file_legal_hold", fields, parse_object, bucket=name, key=key, missing=NoSuchVersion)

    def get_object_retention(
        self, key: str, version_id: str | None = None, *, bucket: str | None = None
    ) -> Retention | None:
        """Until when the version is kept; None when it is not."""
        value = _value(self._version(key, version_id, bucket).retention, "a retention")
        if not isinstance(value, dict) or value.get("mode") is None:
            return None
        until = value.get("retainUntilTimestamp")
        if not isinstance(until, int):
            raise ProtocolError("the retention in the answer has no end")
        return Retention(str(value["mode"]).upper(), datetime.fromtimestamp(until / 1000, UTC))

    def put_object_retention(
        self,
        key: str,
        retention: Retention | None,
        version_id: str | None = None,
        *,
        bypass_governance: bool = False,
        bucket: str | None = None,
    ) -> None:
        """Keep a version until a moment; None lifts it, which for governance takes bypass_governance.

        https://www.backblaze.com/apidocs/b2-update-file-retention
        """
        document = retention_document(retention)
        name = self._name(bucket)
        file_id = self._version_id(key, version_id, name)
        fields = {
            "fileName": key,
            "fileId": file_id,
            "fileRetention": document,
            "bypassGovernance": bypass_governance or None,
        }
        self._call("b2_update_file_retention", fields, parse_object, bucket=name, key=key, missing=NoSuchVersion)

    def _version(self, key: str, version_id: str | None, bucket: str | None) -> StoredFile:
        name = self._name(bucket)
        fields = {"fileId": self._version_id(key, version_id, name)}
        file = self._call(
            "b2_get_file_info", fields, parse_file, bucket=name, key=key, missing=NoSuchVersion, reading=True
        )
        if file.file_name != key:
            raise NoSuchVersion(f"the version is one of another key than {key!r}")
        return file

    def _version_id(self, key: str, version_id: str | None, name: str) -> str:
        check_key(key)
        if version_id is not None:
            return check_version_id(version_id)
        newest = self.head_object(key, bucket=name).version_id
        if newest is None:
            raise ProtocolError("B2 does not say which version it has")
        return newest


class KeyVerbs(B2Base):
    """Application keys of an account."""

    def create_app_key(
        self,
        capabilities: Iterable[str],
        key_name: str,
        duration: int | None = None,
        bucket_id: str | None = None,
        prefix: str | None = None,
        *,
        buckets: Iterable[str] | None = None,
    ) -> ApplicationKey:
        """Make an application key; its `.application_key`, the secret, is told this once.

        capabilities: "readFiles", "writeFiles" … buckets: names of those that it is for (bucket_id: the id of one);
        all without. prefix: of the keys that it is for. duration: seconds until it ends, less than 1,000 days.
        https://www.backblaze.com/apidocs/b2-create-key
        """
        if isinstance(capabilities, str):
            raise TypeError("capabilities must be a list of names, not one name")
        names = [check_text("a capability", name) for name in capabilities]
        if not names:
            raise ValueError("capabilities is empty: the key could do nothing")
        if duration is not None:
            check_number("duration", duration, 1, _KEY_SECONDS_MAX)
        if bucket_id is not None and buckets is not None:
            raise ValueError("give either buckets or bucket_id")
        if isinstance(buckets, str):
            raise TypeError("buckets must be a list of names, not one name")
        ids = [bucket_id] if bucket_id is not None else None
        if buckets is not None:
            ids = [self._bucket_id(check_bucket(name, "buckets")) for name in buckets]
        fields = {
            "accountId": self._grant().authorization.account_id,
            "capabilities": names,
            "keyName": check_text("key_name", key_name),
            "validDurationInSeconds": duration,
            "bucketIds": ids,
            "namePrefix": None if prefix is None else check_text("prefix", prefix),
        }
        # Once: of a key whose answer was lost nobody knows the secret, and another one would only be one more.
        return self._call("b2_create_key", fields, parse_key, once=True)

    def list_app_keys(self) -> Iterator[ApplicationKey]:
        """The application keys of the account, without their secrets."""
        account_id = self._grant().authorization.account_id
        start: str | None = None
        while True:
            fields = {"accountId": account_id, "maxKeyCount": _KEYS_PAGE_MAX, "startApplicationKeyId": start}
            page = self._call("b2_list_keys", fields, parse_keys, reading=True)
            yield from page.keys
            if page.next_application_key_id is None:
                return
            if page.next_application_key_id == start:
                raise ProtocolError("the list of keys goes in a circle")
            start = page.next_application_key_id

    def delete_app_key(self, application_key_id: str) -> None:
        """Delete an application key; whoever uses it is refused from now on."""
        check_version_id(application_key_id, "application_key_id")
        self._call("b2_delete_key", {"applicationKeyId": application_key_id}, parse_key)


def _value(setting: Mapping[str, Any] | None, what: str) -> Any:
    """The value of a setting that the key may be forbidden to read."""
    if not isinstance(setting, dict):
        return None
    if setting.get("isClientAuthorizedToRead") is False:
        raise NotSupported(f"this application key must not read {what}")
    return setting.get("value")
