"""Gets a certificate for each key and token, with a request that `cryptography` signs, and says what it reads in them."""
import base64
import hashlib
import json
import sys
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtensionOID

FULCIO = "1.3.6.1.4.1.57264.1."
# Before number 7 values are bare text, from 8 on a UTF8String.
LAST_BARE = 6


def new_key(kind):
    match kind:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
        case "p384":
            return ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()
        case "p521":
            return ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate(), None
        case "rsa2048" | "rsa3072" | "rsa4096":
            return rsa.generate_private_key(65537, int(kind[3:])), hashes.SHA256()
    sys.exit(f"no kind of key: {kind}")


def issue(url, token, kind):
    key, algorithm = new_key(kind)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    pem = request.public_bytes(serialization.Encoding.PEM)
    body = {
        "credentials": {"oidcIdentityToken": token},
        "certificateSigningRequest": base64.b64encode(pem).decode(),
    }
    request = urllib.request.Request(
        f"{url}/api/v2/signingCert", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        answer = json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        sys.exit(f"{kind}: {error.code} {error.read().decode()}")
    chain = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    if leaf.public_key() != key.public_key():
        sys.exit(f"{kind}: the certificate is for another key")
    return chain


def utf8(der):
    """A DER UTF8String that takes up all of it."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if der[0] != 0x0C or start + length != len(der):
        sys.exit(f"not a UTF8String: {der.hex()}")
    return der[start:].decode()


def name(general):
    if isinstance(general, x509.OtherName):
        return f"other {general.type_id.dotted_string} {utf8(general.value)}"
    kind = {x509.RFC822Name: "email", x509.UniformResourceIdentifier: "uri"}[type(general)]
    return f"{kind} {general.value}"


def key_id(key):
    """RFC 7093, section 2, method 1."""
    # The content of the bit string is the end of the encoding; where it begins, the other method shows.
    sha1 = x509.SubjectKeyIdentifier.from_public_key(key).digest
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    bits = next(spki[at:] for at in range(len(spki)) if hashlib.sha1(spki[at:]).digest() == sha1)
    return hashlib.sha256(bits).digest()[:20]


def facts(pem):
    certificate = x509.load_pem_x509_certificate(pem.encode())
    said = {
        "version": certificate.version.name,
        "subject": certificate.subject.rfc4514_string(),
        "serial_bits": certificate.serial_number.bit_length(),
        "minutes": (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() / 60,
        "signature": certificate.signature_algorithm_oid._name,
        "critical": [],
        "other": [],
        "fulcio": {},
    }
    for extension in certificate.extensions:
        oid, value = extension.oid.dotted_string, extension.value
        if extension.critical:
            said["critical"].append(oid)
        match value:
            case x509.SubjectAlternativeName():
                said["names"] = [name(general) for general in value]
            case x509.KeyUsage():
                usages = ("digital_signature", "key_cert_sign", "crl_sign", "key_encipherment", "content_commitment")
                said["usage"] = [usage for usage in usages if getattr(value, usage)]
            case x509.ExtendedKeyUsage():
                said["extended"] = [usage.dotted_string for usage in value]
            case x509.BasicConstraints():
                said["ca"], said["path_length"] = value.ca, value.path_length
            case x509.SubjectKeyIdentifier():
                said["subject_key"] = value.digest.hex()
                said["of_its_key"] = value.digest == key_id(certificate.public_key())
            case x509.AuthorityKeyIdentifier():
                said["authority_key"] = value.key_identifier.hex()
            case x509.PrecertificateSignedCertificateTimestamps():
                said["scts"] = [str(sct.version) for sct in value]
            case _ if oid.startswith(FULCIO):
                number = int(oid.removeprefix(FULCIO))
                raw = value.value
                said["fulcio"][number] = raw.decode() if number <= LAST_BARE else utf8(raw)
            case _:
                said["other"].append(oid)
    return said


given = json.load(sys.stdin)
answer = []
for asked in given["asked"]:
    chain = issue(given["url"], asked["token"], asked["key"])
    certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain]
    for lower, upper in zip(certificates, certificates[1:] + certificates[-1:]):
        lower.verify_directly_issued_by(upper)
    answer.append({"chain": chain, "facts": facts(chain[0])})
services = [facts(pem) for pem in given["services"]]
print(json.dumps({"issued": answer, "services": services}))
