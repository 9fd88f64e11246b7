"""Certificates for loopback servers, made by the openssl program."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

OPENSSL = shutil.which("openssl")

# Its own configuration, so that nothing depends on the machine's; strict verifiers want all of these.
_CONFIGURATION = """
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = {name}
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = {names}
"""


class Certificate(NamedTuple):
    """A self-signed certificate, which is its own authority, and the key to it."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str, names: str) -> Certificate:
        """A certificate for these names, such as "IP:127.0.0.1,DNS:localhost", good for a day."""
        assert OPENSSL is not None
        made = cls(folder / f"{name}.pem", folder / f"{name}.key")
        configuration = folder / f"{name}.cnf"
        configuration.write_text(_CONFIGURATION.format(name=name, names=names))
        subprocess.run(
            [
                *(OPENSSL, "req", "-x509", "-nodes", "-days", "1", "-config", str(configuration)),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-keyout", str(made.key), "-out", str(made.certificate)),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        return made

    def server_context(self) -> ssl.SSLContext:
        """For a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context
