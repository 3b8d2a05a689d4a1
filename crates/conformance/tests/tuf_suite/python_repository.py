"""A repository as the reference implementation writes it: `python_repository.py DIRECTORY`.

Its canonical JSON, key ids, file names and hash bins are its own; so are its Ed25519 signatures, made without compiled
code.
"""

import hashlib
import os
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from securesystemslib._vendor.ed25519 import ed25519
from securesystemslib.signer import Signature, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import CanonicalJSONSerializer

EXPIRES = datetime.now(timezone.utc) + timedelta(days=3)


class Signer:
    """A key whose secret is no secret."""

    def __init__(self, name):
        self.secret = hashlib.sha256(name.encode()).digest()
        self.public = ed25519.publickey_unsafe(self.secret)
        value = {"public": self.public.hex()}
        identity = CanonicalIdentity.of(value)
        self.key = SSlibKey(identity, "ed25519", "ed25519", value)

    def sign(self, payload):
        signature = ed25519.signature_unsafe(payload, self.secret, self.public)
        return Signature(self.key.keyid, signature.hex())


class CanonicalIdentity:
    """The id of a key, as the specification computes it."""

    @staticmethod
    def of(value):
        from securesystemslib.formats import encode_canonical

        key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": value}
        return hashlib.sha256(encode_canonical(key).encode()).hexdigest()


def write(directory, name, content):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def publish(directory, role, signed, signers):
    metadata = Metadata(signed)
    payload = CanonicalJSONSerializer().serialize(signed)
    for signer in signers:
        signature = signer.sign(payload)
        metadata.signatures[signature.keyid] = signature
    content = metadata.to_bytes()
    name = f"{quote(role, '')}.json"
    if role != "timestamp":
        name = f"{signed.version}.{name}"
    write(directory, f"metadata/{name}", content)
    return MetaFile.from_data(signed.version, content, ["sha256", "sha512"])


def target(directory, path, content):
    file = TargetFile.from_data(path, content, ["sha512", "sha256"])
    for name in file.get_prefixed_paths():
        write(directory, f"targets/{name}", content)
    return file


def main(directory):
    signers = {
        name: Signer(name)
        for name in ("root", "timestamp", "snapshot", "targets", "role", "bins")
    }
    for version in (1, 2, 3):
        root = Root(version, expires=EXPIRES, consistent_snapshot=True)
        root.unrecognized_fields["x-note"] = 'é "quoted" \\ and\ttabbed\n'
        for name in ("root", "timestamp", "snapshot", "targets"):
            root.add_key(signers[name].key, name)
        publish(directory, "root", root, [signers["root"]])
    snapshot = Snapshot(expires=EXPIRES)
    snapshot.meta.clear()
    bins = SuccinctRoles([signers["bins"].key.keyid], 1, 3, "bin")
    for index, name in enumerate(bins.get_roles()):
        body = Targets(index + 1, expires=EXPIRES)
        for path in (f"packages/{number}" for number in range(20)):
            if bins.get_role_for_target(path) == name:
                body.targets[path] = target(directory, path, path.encode())
        snapshot.meta[f"{name}.json"] = publish(directory, name, body, [signers["bins"]])
    name = "rôle/with \"quotes\""
    delegated = Targets(5, expires=EXPIRES)
    delegated.delegations = Delegations({}, succinct_roles=bins)
    delegated.delegations.keys[signers["bins"].key.keyid] = signers["bins"].key
    snapshot.meta[f"{name}.json"] = publish(directory, name, delegated, [signers["role"]])
    top = Targets(7, expires=EXPIRES)
    top.targets["a b/é"] = target(directory, "a b/é", b"content")
    role = DelegatedRole(name, [signers["role"].key.keyid], 1, True, ["packages/*"])
    keys = {signers["role"].key.keyid: signers["role"].key}
    top.delegations = Delegations(keys, {name: role})
    snapshot.meta["targets.json"] = publish(directory, "targets", top, [signers["targets"]])
    timestamp = Timestamp(expires=EXPIRES)
    timestamp.snapshot_meta = publish(directory, "snapshot", snapshot, [signers["snapshot"]])
    publish(directory, "timestamp", timestamp, [signers["timestamp"]])


main(sys.argv[1])
