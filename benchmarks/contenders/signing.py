"""SigV4 as short as it can be written, for the contenders that bring no signer of their own.

It is not s3func's: the floor that we are compared with must not move when we do.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import zlib

from benchmarks.contenders import ACCESS_KEY_ID, CHUNK, REGION, SECRET_ACCESS_KEY

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"


class Signer:
    """Signs requests to one host; the signing key is derived once a day."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._second = 0
        self._date = ""
        self._scope = ""
        self._key = b""

    def header_lines(self, method: str, path: str, payload_hash: str = EMPTY_SHA256, checksum: str = "") -> str:
        """The signed headers as they stand on the wire; path is percent-encoded already.

        checksum: one more header line, `x-amz-checksum-…:value` without a space, in front of the others.
        """
        second = int(time.time())
        if second != self._second:
            self._renew(second)
        date = self._date
        names = "host;x-amz-content-sha256;x-amz-date"
        if checksum:
            # Between the two in the order of the alphabet, as the canonical request wants it.
            names = f"host;{checksum.partition(':')[0]};x-amz-content-sha256;x-amz-date"
            checksum += "\n"
        canonical = (
            f"{method}\n{path}\n\nhost:{self._host}\n{checksum}x-amz-content-sha256:{payload_hash}\n"
            f"x-amz-date:{date}\n\n{names}\n{payload_hash}"
        )
        text = f"AWS4-HMAC-SHA256\n{date}\n{self._scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        return (
            f"host: {self._host}\n{checksum}x-amz-content-sha256: {payload_hash}\nx-amz-date: {date}\n"
            f"authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{self._scope},"
            f"SignedHeaders={names},Signature={signature}\n"
        ).replace("\n", "\r\n")

    def _renew(self, second: int) -> None:
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        if date[:8] != self._date[:8]:
            self._scope = f"{date[:8]}/{REGION}/s3/aws4_request"
            key = f"AWS4{SECRET_ACCESS_KEY}".encode()
            for part in self._scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = key
        self._date = date
        self._second = second


def crc32_line(crc: int) -> str:
    """The checksum header for `header_lines`."""
    return f"x-amz-checksum-crc32:{base64.b64encode(crc.to_bytes(4, 'big')).decode()}"


def crc32_file(path: str) -> int:
    """Its bytes are read a chunk at a time, as a client with bounded memory has to."""
    crc = 0
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            crc = zlib.crc32(view[:count], crc)
    return crc
