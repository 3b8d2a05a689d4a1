"""What a user of Rekor v2 does over gRPC, with grpcio and with the messages that Sigstore publishes for Python.

Arguments: the address. Standard input: JSON with base64 of digest, signature, key (SPKI) and of a certificate-free
second digest and signature. Standard output: JSON with what the server answered; the test judges it.
"""

import base64
import json
import sys

import betterproto
import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from sigstore_protobuf_specs.dev.sigstore.common.v1 import PublicKeyDetails
from sigstore_protobuf_specs.dev.sigstore.rekor import v1, v2

# A `Verifier` without a key cannot be made, and yet is what betterproto compares with before it writes one.
betterproto.Message._validate_field_groups = classmethod(lambda cls, values: values)
REKOR = "dev.sigstore.rekor.v2.Rekor"
address, given = sys.argv[1], json.load(sys.stdin)
channel = grpc.insecure_channel(address)
said = {}


def raw(name):
    return base64.b64decode(given[name])


def request(digest, signature, details=PublicKeyDetails.PKIX_ECDSA_P256_SHA_256):
    verifier = v2.Verifier(public_key=v2.PublicKey(raw_bytes=raw("key")), key_details=details)
    return v2.CreateEntryRequest(
        hashed_rekord_request_v002=v2.HashedRekordRequestV002(
            digest=digest, signature=v2.Signature(content=signature, verifier=verifier)
        )
    )


def call(message, method="CreateEntry", **options):
    """The answer's bytes, or how the call failed."""
    unary = channel.unary_unary(f"/{REKOR}/{method}")
    try:
        return unary(bytes(message), timeout=options.pop("timeout", 30), **options)
    except grpc.RpcError as error:
        metadata = {key: value for key, value in error.trailing_metadata() or ()}
        return {"code": error.code().name, "message": error.details(), "index": metadata.get("x-log-index")}


good = request(raw("digest"), raw("signature"))
entry = v1.TransparencyLogEntry().parse(call(good))
said["entry"] = json.loads(entry.to_json(include_default_values=True))
said["again"] = call(good)
said["wrong signature"] = call(request(raw("other_digest"), raw("signature")))
said["wrong key"] = call(request(raw("digest"), raw("signature"), PublicKeyDetails.PKIX_ED25519))
said["empty"] = call(b"")
said["dsse"] = call(v2.CreateEntryRequest(dsse_request_v002=v2.DsseRequestV002()))
said["nonsense"] = call(b"\xff\xff\xff")
said["unknown method"] = call(b"", "Nothing")
said["too large"] = call(request(bytes(5 << 20), b""))
# Only what gets smaller is compressed.
said["compressed"] = call(request(bytes(100_000), b""), compression=grpc.Compression.Gzip)
second = v1.TransparencyLogEntry().parse(call(request(raw("other_digest"), raw("other_signature"))))
said["second"] = json.loads(second.to_json(include_default_values=True))

health = health_pb2_grpc.HealthStub(channel)
names = health_pb2.HealthCheckResponse.ServingStatus.Name
said["health"] = [
    names(health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status) for service in ("", REKOR)
]
try:
    health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=30)
except grpc.RpcError as error:
    said["health of nobody"] = error.code().name
watched = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
said["watched"] = names(next(watched).status)
watched.cancel()
unknown = health.Watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=30)
said["watched nobody"] = names(next(unknown).status)
unknown.cancel()

# What the server says of itself must be what others know of it.
database = ProtoReflectionDescriptorDatabase(channel)
said["services"] = sorted(database.get_services())
pool = descriptor_pool.DescriptorPool(database)
service = pool.FindServiceByName(REKOR)
said["methods"] = [method.name for method in service.methods]
pool.FindServiceByName("grpc.health.v1.Health")


def fields(descriptor, known):
    """Compares the messages of a descriptor, all the way down, with those that Sigstore publishes."""
    meta = {data.number: name for name, data in known._betterproto.meta_by_field_name.items()}
    for field in descriptor.fields:
        assert meta[field.number] == field.name, (descriptor.full_name, field.name, meta)
        kind = known._betterproto.meta_by_field_name[field.name].proto_type
        assert kind == {3: "int64", 9: "string", 11: "message", 12: "bytes", 14: "enum"}[field.type], field.full_name
        if field.message_type:
            fields(field.message_type, known._betterproto.cls_by_field[field.name])
        if field.enum_type:
            for value in field.enum_type.values:
                if value.number:
                    assert PublicKeyDetails[value.name] == value.number, value.name


create = service.methods_by_name["CreateEntry"]
fields(create.input_type, v2.CreateEntryRequest)
fields(create.output_type, v1.TransparencyLogEntry)


def read(method, **values):
    descriptor = service.methods_by_name[method]
    message = message_factory.GetMessageClass(descriptor.input_type)(**values).SerializeToString()
    answer = call(message, method)
    if isinstance(answer, dict):
        return answer
    body = message_factory.GetMessageClass(descriptor.output_type).FromString(answer)
    return {"type": body.content_type, "data": base64.b64encode(body.data).decode()}


said["checkpoint"] = read("GetCheckpoint")
said["tile"] = read("GetTile", L=0, N="000.p/2")
said["bundle"] = read("GetEntryBundle", N="000.p/2")
said["no tile"] = read("GetTile", L=0, N="001")
said["no path"] = read("GetEntryBundle", N="../../keys/v2.pem")
json.dump(said, sys.stdout)
