"""Authorities and the certificates that they issue, made anew for each test."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from funnel.net.clock import now

DAY = timedelta(days=1)
HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    @property
    def serial(self) -> int:
        return x509.load_pem_x509_certificate(self.certificate).serial_number

    def written(self, directory: Path, name: str = "server") -> tuple[Path, Path]:
        """Put there file by file, as `mv` would."""
        directory.mkdir(exist_ok=True)
        paths = directory / f"{name}.pem", directory / f"{name}.key"
        for path, content in zip(paths, (self.certificate, self.key), strict=True):
            part = path.with_name(f"{path.name}.part")
            part.write_bytes(content)
            part.replace(path)
        return paths


class Authority:
    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        built = (
            _dated(x509.CertificateBuilder(), DAY)
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, SHA256())
        )
        self.certificate = built.public_bytes(Encoding.PEM)

    def issue(
        self,
        names: Sequence[str] = HERE,
        lasts: timedelta = DAY,
        password: bytes = b"",
    ) -> Issued:
        """`names` are DNS names or addresses; one that lasts for less than nothing is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = (
            _dated(x509.CertificateBuilder(), lasts)
            .subject_name(_name(names[0]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
            .sign(self._key, SHA256())
        )
        how: KeySerializationEncryption = (
            BestAvailableEncryption(password) if password else NoEncryption()
        )
        return Issued(
            built.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how),
        )

    def trusted(self) -> ssl.SSLContext:
        """For a client that believes this authority and no other."""
        return ssl.create_default_context(cadata=self.certificate.decode())


def _dated(builder: x509.CertificateBuilder, lasts: timedelta) -> x509.CertificateBuilder:
    start = now()
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(min(start, start + lasts) - DAY)
        .not_valid_after(start + lasts)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
