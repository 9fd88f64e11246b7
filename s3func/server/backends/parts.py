"""What completing a multipart upload means, in every store: which parts, under which ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from s3func.errors import InvalidRequest, NoSuchUpload, service_error
from s3func.server.backend import Part


def no_such_upload(bucket: str, key: str) -> NoSuchUpload:
    """What is raised for an upload id that is not this key's, or no longer."""
    return NoSuchUpload(
        "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might "
        "have been aborted or completed.",
        bucket=bucket,
        key=key,
    )


def check_parts(parts: Sequence[tuple[int, str]], known: Iterable[Part], bucket: str, key: str) -> list[Part]:
    """The known parts that a completion names: InvalidPartOrder, InvalidPart, InvalidRequest."""
    if not parts:
        raise InvalidRequest("You must specify at least one part", bucket=bucket, key=key)
    numbers = [number for number, _ in parts]
    if any(number <= before for before, number in pairwise(numbers)):
        raise service_error(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
            bucket=bucket,
            key=key,
        )
    by_number = {part.number: part for part in known}
    chosen = []
    for number, etag in parts:
        part = by_number.get(number)
        if part is None or part.etag != etag.strip('"'):
            raise service_error(
                "InvalidPart",
                "One or more of the specified parts could not be found. The part might not have been uploaded, or the "
                "specified entity tag might not have matched the part's entity tag.",
                bucket=bucket,
                key=key,
                details={"PartNumber": str(number), "ETag": etag},
            )
        chosen.append(part)
    return chosen


def multipart_etag(parts: Sequence[Part]) -> str:
    """The ETag of an object made of parts: the MD5 of their MD5s, and how many they are."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def parts_digest(parts: Sequence[tuple[int, str]]) -> str:
    """What a completion named, for telling whether the same is asked again."""
    text = ",".join(f"{number}:{etag.strip(chr(34))}" for number, etag in parts)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
