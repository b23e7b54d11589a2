"""The file that the tests of the download fetch, and the checks that all refusals have in common."""

import datetime
import gzip
import hashlib
import ipaddress
import ssl

import pytest
import requests  # noqa: F401 so that no test has to import it in the time it allows
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.base.errors import PipelineError
from pipeline.datasets.fetch import fetch
from pipeline.datasets.registry import File

GOOD = gzip.compress(hashlib.sha512(b"digits").digest() * 2 + bytes(range(256)), mtime=0)
FILE = File("tiny-images-idx3-ubyte.gz", len(GOOD), hashlib.sha256(GOOD).hexdigest())
FLIPPED = GOOD[:50] + bytes([GOOD[50] ^ 1]) + GOOD[51:]
HTML = b"<html><body>Sign in to the airport's network</body></html>"
HALF = len(GOOD) // 2
LENGTH = f"Content-Length: {len(GOOD)}"


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refusal(folder, mirrors, patience):
    """The message when every mirror fails; also checks that nothing, not even a temporary file, is left."""
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    with pytest.raises(PipelineError) as refused:
        fetch(FILE, folder, list(mirrors), patience)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before
    message = str(refused.value)
    assert "\n" not in message
    assert str(folder / FILE.name) in message
    assert FILE.sha256 in message
    assert str(FILE.bytes) in message
    return message


class Authority:
    """Signs certificates for 127.0.0.1, right and wrong ones."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of the tests")])
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(self.sign(self.name, self.key, authority=True).public_bytes(serialization.Encoding.PEM))

    def sign(self, name, key, authority=False, address="127.0.0.1", days=1, issuer=None):
        now, signer = datetime.datetime.now(datetime.UTC), key if issuer else self.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer or self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(x509.KeyUsage(not authority, *[False] * 4, authority, *[False] * 3), critical=True)
        )
        return builder.sign(signer, hashes.SHA256())

    def context(self, self_signed=False, **properties):
        """What a server needs to present such a certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Server of the tests")])
        certificate = self.sign(name, key, issuer=name if self_signed else None, **properties)
        path = self.folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
