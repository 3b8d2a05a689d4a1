"""Verifies timestamps with rfc3161-client: those that others asked for, and its own of every kind."""
import itertools
import json
import sys
import urllib.request

import rfc3161_client as tsp
from cryptography import x509

given = json.load(sys.stdin)
own = x509.load_pem_x509_certificate(given["own"].encode())
root = x509.load_pem_x509_certificate(given["root"].encode())
data, other = given["data"].encode(), given["other"].encode()


def check(builder, reply):
    verifier = builder.tsa_certificate(own).add_root_certificate(root).build()
    if not verifier.verify_message(reply, data):
        sys.exit("not verified")
    try:
        verifier.verify_message(reply, other)
    except tsp.VerificationError:
        return
    sys.exit("verified for other data")


count = 0
for name in given["replies"]:
    with open(name, "rb") as file:
        check(tsp.VerifierBuilder(intermediates=[], roots=[]), tsp.decode_timestamp_response(file.read()))
    count += 1
for algorithm, nonce, certificate in itertools.product(tsp.HashAlgorithm, [True, False], [True, False]):
    builder = tsp.TimestampRequestBuilder().data(data).hash_algorithm(algorithm)
    asked = builder.nonce(nonce=nonce).cert_request(cert_request=certificate).build()
    request = urllib.request.Request(given["url"], asked.as_bytes(), {"content-type": "application/timestamp-query"})
    reply = tsp.decode_timestamp_response(urllib.request.urlopen(request).read())
    if reply.tst_info.nonce != asked.nonce:
        sys.exit("another nonce than was sent")
    check(tsp.VerifierBuilder.from_request(asked), reply)
    count += 1
print(f"{count} timestamps are good")
