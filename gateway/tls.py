"""TLS of the public port: what is spoken, and the certificate, which can be replaced while it serves. Reads files."""

import ssl
from pathlib import Path
from typing import Final

import structlog

from gateway.config import TlsConfig
from runtime.errors import ConfigError

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else."""
PROTOCOL: Final = "http/1.1"
"""What is agreed on by ALPN; a browser would try HTTP/2 otherwise, which has another kind of WebSocket."""

log = structlog.get_logger("gateway")


class Certificates:
    """The certificate that is shown to whoever comes; open connections keep the one that they were shown."""

    def __init__(self, config: TlsConfig) -> None:
        """Load it. Raises ConfigError when it cannot be used."""
        self._config = config
        self.context = load_context(config)

    def reload(self) -> bool:
        """Read the files again; where they are of no use the one before stays, and it is said why."""
        try:
            self.context = load_context(self._config)
        except ConfigError as error:
            log.error("certificate.refused", reason=str(error))  # noqa: TRY400 - the message says it all
            return False
        log.info("certificate.loaded", certificate=self._config.certificate)
        return True


def load_context(config: TlsConfig) -> ssl.SSLContext:
    """What a server says and accepts. Raises ConfigError when the certificate or its key cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols([PROTOCOL])
    for name, path in (("certificate", config.certificate), ("key", config.key)):
        try:
            Path(path).read_bytes()
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"tls.{name}: expected a readable file, found {path!r}: {cause}") from None
    try:
        context.load_cert_chain(config.certificate, config.key, password=_no_passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        cause = (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
        raise ConfigError(
            "tls.certificate, tls.key: expected a certificate and the key that belongs to it, in PEM and without a "
            f"passphrase, found {config.certificate!r} and {config.key!r}: {cause}"
        ) from None
    return context


def _no_passphrase() -> str:
    """What OpenSSL is told instead of its asking at the terminal."""
    raise ValueError("a passphrase is asked for")
