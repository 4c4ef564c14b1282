"""Certificates for tests: issued by an authority that only the test's clients trust."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

from gateway.config import TlsConfig


@dataclass(frozen=True)
class Identity:
    """A server's certificate in files, and a context that trusts it."""

    config: TlsConfig
    client: ssl.SSLContext
    certificate: bytes
    """What a client is shown, in DER."""


def issue(directory: Path, name: str = "server") -> Identity:
    """A new certificate for the loopback address, of a new authority, over whatever was in its files."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    client = ssl.create_default_context()
    authority.configure_trust(client)
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    return Identity(TlsConfig(str(certificate), str(key)), client, der)
