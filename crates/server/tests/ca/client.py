"""What a user of Fulcio v2 does over gRPC, with grpcio, and with messages written down here from Fulcio's own fulcio.proto.

Arguments: the address. Standard input: JSON with a token, a key in PEM, base64 of a proof and of a certificate request.
Standard output: JSON with what the server answered; the test judges it.
"""

import base64
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "dev.sigstore.fulcio.v2"
CA = f"{PACKAGE}.CA"
# Number, name, type, and the oneof it is part of.
MESSAGES = {
    "CreateSigningCertificateRequest": [
        (1, "credentials", "Credentials", None),
        (2, "public_key_request", "PublicKeyRequest", "key"),
        (3, "certificate_signing_request", "bytes", "key"),
    ],
    "Credentials": [(1, "oidc_identity_token", "string", "credentials")],
    "PublicKeyRequest": [(1, "public_key", "PublicKey", None), (2, "proof_of_possession", "bytes", None)],
    "PublicKey": [(1, "algorithm", "enum PublicKeyAlgorithm", None), (2, "content", "string", None)],
    "SigningCertificate": [
        (1, "signed_certificate_detached_sct", "SigningCertificateDetachedSCT", "certificate"),
        (2, "signed_certificate_embedded_sct", "SigningCertificateEmbeddedSCT", "certificate"),
    ],
    "SigningCertificateDetachedSCT": [
        (1, "chain", "CertificateChain", None),
        (2, "signed_certificate_timestamp", "bytes", None),
    ],
    "SigningCertificateEmbeddedSCT": [(1, "chain", "CertificateChain", None)],
    "GetTrustBundleRequest": [],
    "TrustBundle": [(1, "chains", "repeated CertificateChain", None)],
    "CertificateChain": [(1, "certificates", "repeated string", None)],
    "GetConfigurationRequest": [],
    "Configuration": [(1, "issuers", "repeated OIDCIssuer", None)],
    "OIDCIssuer": [
        (1, "issuer_url", "string", "issuer"),
        (2, "wildcard_issuer_url", "string", "issuer"),
        (3, "audience", "string", None),
        (4, "challenge_claim", "string", None),
        (5, "spiffe_trust_domain", "string", None),
        (6, "issuer_type", "string", None),
        (7, "subject_domain", "string", None),
        (8, "skip_email_verification", "bool", None),
    ],
}
ALGORITHMS = ["PUBLIC_KEY_ALGORITHM_UNSPECIFIED", "RSA_PSS", "ECDSA", "ED25519"]
METHODS = {
    "CreateSigningCertificate": ("CreateSigningCertificateRequest", "SigningCertificate"),
    "GetTrustBundle": ("GetTrustBundleRequest", "TrustBundle"),
    "GetConfiguration": ("GetConfigurationRequest", "Configuration"),
}
SCALARS = {"bool": 8, "string": 9, "bytes": 12}


def described():
    file = descriptor_pb2.FileDescriptorProto(name="fulcio.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        oneofs = []
        for number, field, kind, oneof in fields:
            label = 3 if kind.startswith("repeated ") else 1
            kind = kind.removeprefix("repeated ")
            added = message.field.add(name=field, number=number, label=label)
            if kind in SCALARS:
                added.type = SCALARS[kind]
            else:
                added.type = 14 if kind.startswith("enum ") else 11
                added.type_name = f".{PACKAGE}.{kind.removeprefix('enum ')}"
            if oneof:
                if oneof not in oneofs:
                    oneofs.append(oneof)
                    message.oneof_decl.add(name=oneof)
                added.oneof_index = oneofs.index(oneof)
    enum = file.enum_type.add(name="PublicKeyAlgorithm")
    for number, name in enumerate(ALGORITHMS):
        enum.value.add(name=name, number=number)
    return file


pool = descriptor_pool.DescriptorPool()
pool.Add(described())


def message(name, **values):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))(**values)


address, given = sys.argv[1], json.load(sys.stdin)
channel = grpc.insecure_channel(address)
said = {}


def call(method, sent, **options):
    unary = channel.unary_unary(f"/{CA}/{method}")
    try:
        answer = unary(sent if isinstance(sent, bytes) else sent.SerializeToString(), timeout=30, **options)
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details()}
    answer = message(METHODS[method][1]).FromString(answer)
    return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def create(**options):
    token, key = options.pop("token", given["token"]), options.pop("key", given["key"])
    proof = options.pop("proof", given["proof"])
    sent = message("CreateSigningCertificateRequest")
    if token:
        sent.credentials.oidc_identity_token = token
    if request := options.pop("request", None):
        sent.certificate_signing_request = request
    else:
        sent.public_key_request.public_key.algorithm = 2
        sent.public_key_request.public_key.content = key
        sent.public_key_request.proof_of_possession = base64.b64decode(proof)
    return call("CreateSigningCertificate", sent, **options)


said["certificate"] = create()
said["by metadata"] = create(token="", metadata=(("authorization", f"Bearer {given['token']}"),))
said["by request"] = create(request=base64.b64decode(given["request"]))
said["no token"] = create(token="")
said["bad token"] = create(token="a.b.c")
said["no key"] = create(key="")
said["bad proof"] = create(proof=base64.b64encode(b"nonsense").decode())
said["bad request"] = create(request=b"nonsense")
said["empty"] = call("CreateSigningCertificate", b"")
said["nonsense"] = call("CreateSigningCertificate", b"\xff\xff\xff")
said["too large"] = create(key="x" * (5 << 20))
said["unknown method"] = call("Nothing", b"")
said["bundle"] = call("GetTrustBundle", message("GetTrustBundleRequest"))
said["configuration"] = call("GetConfiguration", message("GetConfigurationRequest"))

health = health_pb2_grpc.HealthStub(channel)
names = health_pb2.HealthCheckResponse.ServingStatus.Name
said["health"] = [
    names(health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status) for service in ("", CA)
]

# What the server says of itself must be what stands here.
database = ProtoReflectionDescriptorDatabase(channel)
said["services"] = sorted(database.get_services())
reflected = database.FindFileContainingSymbol(CA)
known = described()
for mine, theirs in zip(known.message_type, reflected.message_type, strict=True):
    # json_name is filled in by compilers, and says nothing.
    for field in theirs.field:
        field.ClearField("json_name")
    assert mine == theirs, (mine, theirs)
assert list(known.enum_type) == list(reflected.enum_type)
said["methods"] = {
    method.name: [method.input_type.rsplit(".")[-1], method.output_type.rsplit(".")[-1]]
    for method in reflected.service[0].method
}
assert said["methods"] == {name: list(kinds) for name, kinds in METHODS.items()}
json.dump(said, sys.stdout)
