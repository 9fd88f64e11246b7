"""Checksums of objects that are uploaded in parts: what an upload asks for, and what its parts give together.

Rule 1: COMPOSITE is the checksum of the parts' checksums, written with "-N" behind it; FULL_OBJECT is the checksum of
        all bytes, which those of the parts can be combined to only with a CRC.
Rule 2: what is computed is compared with what the client claims before the object becomes visible.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from s3func.errors import ServiceError, service_error
from s3func.server.backend import Part
from s3func.wire import checksum

COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"

# The kinds that each algorithm can be asked for, the usual one first.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "crc32": (COMPOSITE, FULL_OBJECT),
    "crc32c": (COMPOSITE, FULL_OBJECT),
    "crc64nvme": (FULL_OBJECT,),
    "sha1": (COMPOSITE,),
    "sha256": (COMPOSITE,),
}


class UploadChecksum(NamedTuple):
    """The checksum that an upload is to end with: its algorithm in lower case, and COMPOSITE or FULL_OBJECT."""

    algorithm: str
    kind: str

    @classmethod
    def of_text(cls, text: str | None) -> UploadChecksum | None:
        """Read what `str` wrote; None for nothing."""
        return cls(*text.split(" ")) if text else None

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kind}"


def requested_algorithm(headers: Mapping[str, str]) -> str:
    """x-amz-checksum-algorithm in lower case, "" without one."""
    algorithm = headers.get("x-amz-checksum-algorithm", "").lower()
    if algorithm and algorithm not in _KINDS:
        raise _invalid("Checksum algorithm provided is unsupported. Please try again with any of the valid types.")
    return algorithm


def requested_checksum(headers: Mapping[str, str]) -> UploadChecksum | None:
    """What the headers of CreateMultipartUpload ask for."""
    algorithm = requested_algorithm(headers)
    kind = headers.get("x-amz-checksum-type", "").upper()
    if not algorithm:
        if kind:
            raise _invalid("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
        return None
    kinds = _KINDS[algorithm]
    if kind and kind not in kinds:
        raise _invalid(f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.")
    return UploadChecksum(algorithm, kind or kinds[0])


def checksum_type(checksums: Mapping[str, str]) -> str | None:
    """What the checksums of an object cover, None where it has none: "-" is no character of base64."""
    if not checksums:
        return None
    return COMPOSITE if any("-" in value for value in checksums.values()) else FULL_OBJECT


def check_part_algorithm(upload: UploadChecksum | None, algorithm: str) -> None:
    """InvalidRequest where a part comes with another checksum than the upload was begun with."""
    if upload is not None and algorithm and algorithm != upload.algorithm:
        raise _mismatch(upload.algorithm, algorithm)


def claimed_checksum(
    upload: UploadChecksum | None, declared: Mapping[str, str], parts: Sequence[Part]
) -> UploadChecksum | None:
    """The checksum that the object is to get: the upload's, else the one in the head of CompleteMultipartUpload."""
    for algorithm, value in declared.items():
        if upload is None and all(algorithm in part.checksums for part in parts):
            kind = COMPOSITE if "-" in value or FULL_OBJECT not in _KINDS[algorithm] else FULL_OBJECT
            return UploadChecksum(algorithm, kind)
        if upload is None or algorithm != upload.algorithm:
            raise _mismatch("null" if upload is None else upload.algorithm, algorithm)
    return upload


def object_checksum(claimed: UploadChecksum, parts: Sequence[Part]) -> str:
    """The checksum of the object that is made of these parts, each of which has one of that algorithm."""
    digests = [b64decode(part.checksums[claimed.algorithm]) for part in parts]
    if claimed.kind == COMPOSITE:
        hasher = checksum.hasher(claimed.algorithm)
        hasher.update(b"".join(digests))
        return f"{hasher.base64()}-{len(parts)}"
    whole = digests[0]
    for digest, part in zip(digests[1:], parts[1:], strict=True):
        whole = checksum.combine(claimed.algorithm, whole, digest, part.size)
    return checksum.encode(whole)


def bad_digest(algorithm: str) -> ServiceError:
    """The refusal of a checksum that the object does not have."""
    return service_error("BadDigest", f"The {algorithm.upper()} you specified did not match the calculated checksum.")


def _mismatch(expected: str, actual: str) -> ServiceError:
    return _invalid(
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
    )


def _invalid(message: str) -> ServiceError:
    return service_error("InvalidRequest", message)
