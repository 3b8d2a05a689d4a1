//! What reflection shows: the services here, and their messages as far as they are read and written.
//!
//! A table instead of what a compiler made of the `.proto` files: no compiler is needed to build, and every line can be
//! read. A test with another implementation's messages keeps it true.

use super::descriptor::{
    EnumDescriptorProto, EnumValueDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    message, method,
};

/// A `.proto` file.
pub(super) struct File {
    pub(super) name: &'static str,
    package: &'static str,
    imports: &'static [&'static str],
    messages: &'static [(&'static str, &'static [Field])],
    enums: &'static [(&'static str, &'static [(&'static str, i32)])],
    services: &'static [(&'static str, &'static [Method])],
}

/// Number, name and type of a field: `string`, `repeated bytes`, `.package.Message`, `enum .package.Enum`; before it
/// `oneof NAME: ` if it is part of one.
pub(super) type Field = (i32, &'static str, &'static str);
/// Name, request, and answer; before a message that comes more than once `stream `.
pub(super) type Method = (&'static str, &'static str, &'static str);

pub(super) const FILES: [File; 10] = [
    File {
        name: "google/protobuf/empty.proto",
        package: "google.protobuf",
        imports: &[],
        messages: &[("Empty", &[])],
        enums: &[],
        services: &[],
    },
    File {
        name: "google/api/httpbody.proto",
        package: "google.api",
        imports: &[],
        messages: &[(
            "HttpBody",
            &[(1, "content_type", "string"), (2, "data", "bytes")],
        )],
        enums: &[],
        services: &[],
    },
    File {
        name: "sigstore_common.proto",
        package: "dev.sigstore.common.v1",
        imports: &[],
        messages: &[
            ("LogId", &[(1, "key_id", "bytes")]),
            ("X509Certificate", &[(1, "raw_bytes", "bytes")]),
        ],
        enums: &[(
            "PublicKeyDetails",
            &[
                ("PUBLIC_KEY_DETAILS_UNSPECIFIED", 0),
                ("PKIX_ECDSA_P256_SHA_256", 5),
                ("PKIX_ED25519_PH", 8),
                ("PKIX_RSA_PKCS1V15_2048_SHA256", 9),
                ("PKIX_RSA_PKCS1V15_3072_SHA256", 10),
                ("PKIX_RSA_PKCS1V15_4096_SHA256", 11),
                ("PKIX_ECDSA_P384_SHA_384", 12),
                ("PKIX_ECDSA_P521_SHA_512", 13),
            ],
        )],
        services: &[],
    },
    File {
        name: "sigstore_rekor.proto",
        package: "dev.sigstore.rekor.v1",
        imports: &["sigstore_common.proto"],
        messages: &[
            (
                "KindVersion",
                &[(1, "kind", "string"), (2, "version", "string")],
            ),
            ("Checkpoint", &[(1, "envelope", "string")]),
            (
                "InclusionProof",
                &[
                    (1, "log_index", "int64"),
                    (2, "root_hash", "bytes"),
                    (3, "tree_size", "int64"),
                    (4, "hashes", "repeated bytes"),
                    (5, "checkpoint", ".dev.sigstore.rekor.v1.Checkpoint"),
                ],
            ),
            (
                "InclusionPromise",
                &[(1, "signed_entry_timestamp", "bytes")],
            ),
            (
                "TransparencyLogEntry",
                &[
                    (1, "log_index", "int64"),
                    (2, "log_id", ".dev.sigstore.common.v1.LogId"),
                    (3, "kind_version", ".dev.sigstore.rekor.v1.KindVersion"),
                    (4, "integrated_time", "int64"),
                    (
                        5,
                        "inclusion_promise",
                        ".dev.sigstore.rekor.v1.InclusionPromise",
                    ),
                    (
                        6,
                        "inclusion_proof",
                        ".dev.sigstore.rekor.v1.InclusionProof",
                    ),
                    (7, "canonicalized_body", "bytes"),
                ],
            ),
        ],
        enums: &[],
        services: &[],
    },
    File {
        name: "rekor/v2/verifier.proto",
        package: "dev.sigstore.rekor.v2",
        imports: &["sigstore_common.proto"],
        messages: &[
            ("PublicKey", &[(1, "raw_bytes", "bytes")]),
            (
                "Verifier",
                &[
                    (
                        1,
                        "public_key",
                        "oneof verifier: .dev.sigstore.rekor.v2.PublicKey",
                    ),
                    (
                        2,
                        "x509_certificate",
                        "oneof verifier: .dev.sigstore.common.v1.X509Certificate",
                    ),
                    (
                        3,
                        "key_details",
                        "enum .dev.sigstore.common.v1.PublicKeyDetails",
                    ),
                ],
            ),
            (
                "Signature",
                &[
                    (1, "content", "bytes"),
                    (2, "verifier", ".dev.sigstore.rekor.v2.Verifier"),
                ],
            ),
        ],
        enums: &[],
        services: &[],
    },
    File {
        name: "rekor/v2/hashedrekord.proto",
        package: "dev.sigstore.rekor.v2",
        imports: &["rekor/v2/verifier.proto"],
        messages: &[(
            "HashedRekordRequestV002",
            &[
                (1, "digest", "bytes"),
                (2, "signature", ".dev.sigstore.rekor.v2.Signature"),
            ],
        )],
        enums: &[],
        services: &[],
    },
    File {
        name: "rekor/v2/entry.proto",
        package: "dev.sigstore.rekor.v2",
        imports: &["rekor/v2/hashedrekord.proto"],
        messages: &[(
            "CreateEntryRequest",
            &[(
                1,
                "hashed_rekord_request_v002",
                "oneof spec: .dev.sigstore.rekor.v2.HashedRekordRequestV002",
            )],
        )],
        enums: &[],
        services: &[],
    },
    File {
        name: "rekor/v2/rekor_service.proto",
        package: "dev.sigstore.rekor.v2",
        imports: &[
            "google/api/httpbody.proto",
            "google/protobuf/empty.proto",
            "sigstore_rekor.proto",
            "rekor/v2/entry.proto",
        ],
        messages: &[
            ("TileRequest", &[(1, "L", "uint32"), (2, "N", "string")]),
            ("EntryBundleRequest", &[(1, "N", "string")]),
        ],
        enums: &[],
        services: &[(
            "Rekor",
            &[
                (
                    "CreateEntry",
                    ".dev.sigstore.rekor.v2.CreateEntryRequest",
                    ".dev.sigstore.rekor.v1.TransparencyLogEntry",
                ),
                (
                    "GetTile",
                    ".dev.sigstore.rekor.v2.TileRequest",
                    ".google.api.HttpBody",
                ),
                (
                    "GetEntryBundle",
                    ".dev.sigstore.rekor.v2.EntryBundleRequest",
                    ".google.api.HttpBody",
                ),
                (
                    "GetCheckpoint",
                    ".google.protobuf.Empty",
                    ".google.api.HttpBody",
                ),
            ],
        )],
    },
    File {
        name: "fulcio.proto",
        package: "dev.sigstore.fulcio.v2",
        imports: &[],
        messages: &[
            (
                "CreateSigningCertificateRequest",
                &[
                    (1, "credentials", ".dev.sigstore.fulcio.v2.Credentials"),
                    (
                        2,
                        "public_key_request",
                        "oneof key: .dev.sigstore.fulcio.v2.PublicKeyRequest",
                    ),
                    (3, "certificate_signing_request", "oneof key: bytes"),
                ],
            ),
            (
                "Credentials",
                &[(1, "oidc_identity_token", "oneof credentials: string")],
            ),
            (
                "PublicKeyRequest",
                &[
                    (1, "public_key", ".dev.sigstore.fulcio.v2.PublicKey"),
                    (2, "proof_of_possession", "bytes"),
                ],
            ),
            (
                "PublicKey",
                &[
                    (
                        1,
                        "algorithm",
                        "enum .dev.sigstore.fulcio.v2.PublicKeyAlgorithm",
                    ),
                    (2, "content", "string"),
                ],
            ),
            (
                "SigningCertificate",
                &[
                    (
                        1,
                        "signed_certificate_detached_sct",
                        "oneof certificate: .dev.sigstore.fulcio.v2.SigningCertificateDetachedSCT",
                    ),
                    (
                        2,
                        "signed_certificate_embedded_sct",
                        "oneof certificate: .dev.sigstore.fulcio.v2.SigningCertificateEmbeddedSCT",
                    ),
                ],
            ),
            (
                "SigningCertificateDetachedSCT",
                &[
                    (1, "chain", ".dev.sigstore.fulcio.v2.CertificateChain"),
                    (2, "signed_certificate_timestamp", "bytes"),
                ],
            ),
            (
                "SigningCertificateEmbeddedSCT",
                &[(1, "chain", ".dev.sigstore.fulcio.v2.CertificateChain")],
            ),
            ("GetTrustBundleRequest", &[]),
            (
                "TrustBundle",
                &[(
                    1,
                    "chains",
                    "repeated .dev.sigstore.fulcio.v2.CertificateChain",
                )],
            ),
            (
                "CertificateChain",
                &[(1, "certificates", "repeated string")],
            ),
            ("GetConfigurationRequest", &[]),
            (
                "Configuration",
                &[(1, "issuers", "repeated .dev.sigstore.fulcio.v2.OIDCIssuer")],
            ),
            (
                "OIDCIssuer",
                &[
                    (1, "issuer_url", "oneof issuer: string"),
                    (2, "wildcard_issuer_url", "oneof issuer: string"),
                    (3, "audience", "string"),
                    (4, "challenge_claim", "string"),
                    (5, "spiffe_trust_domain", "string"),
                    (6, "issuer_type", "string"),
                    (7, "subject_domain", "string"),
                    (8, "skip_email_verification", "bool"),
                ],
            ),
        ],
        enums: &[(
            "PublicKeyAlgorithm",
            &[
                ("PUBLIC_KEY_ALGORITHM_UNSPECIFIED", 0),
                ("RSA_PSS", 1),
                ("ECDSA", 2),
                ("ED25519", 3),
            ],
        )],
        services: &[(
            "CA",
            &[
                (
                    "CreateSigningCertificate",
                    ".dev.sigstore.fulcio.v2.CreateSigningCertificateRequest",
                    ".dev.sigstore.fulcio.v2.SigningCertificate",
                ),
                (
                    "GetTrustBundle",
                    ".dev.sigstore.fulcio.v2.GetTrustBundleRequest",
                    ".dev.sigstore.fulcio.v2.TrustBundle",
                ),
                (
                    "GetConfiguration",
                    ".dev.sigstore.fulcio.v2.GetConfigurationRequest",
                    ".dev.sigstore.fulcio.v2.Configuration",
                ),
            ],
        )],
    },
    File {
        name: "grpc/health/v1/health.proto",
        package: "grpc.health.v1",
        imports: &[],
        messages: &[
            ("HealthCheckRequest", &[(1, "service", "string")]),
            (
                "HealthCheckResponse",
                &[(1, "status", "enum .grpc.health.v1.ServingStatus")],
            ),
        ],
        // In the original it is inside the response; on the wire that is the same.
        enums: &[(
            "ServingStatus",
            &[
                ("UNKNOWN", 0),
                ("SERVING", 1),
                ("NOT_SERVING", 2),
                ("SERVICE_UNKNOWN", 3),
            ],
        )],
        services: &[(
            "Health",
            &[
                (
                    "Check",
                    ".grpc.health.v1.HealthCheckRequest",
                    ".grpc.health.v1.HealthCheckResponse",
                ),
                (
                    "Watch",
                    ".grpc.health.v1.HealthCheckRequest",
                    "stream .grpc.health.v1.HealthCheckResponse",
                ),
            ],
        )],
    },
];

impl File {
    /// The full names of its services.
    pub(super) fn services(&self) -> impl Iterator<Item = String> {
        let services = self.services.iter();
        services.map(|(name, _)| format!("{}.{name}", self.package))
    }

    /// Whether a service, a method, a message or an enum with this full name is in it.
    pub(super) fn defines(&self, symbol: &str) -> bool {
        let Some(name) = symbol
            .strip_prefix(self.package)
            .and_then(|rest| rest.strip_prefix('.'))
        else {
            return false;
        };
        let method = |(service, methods): &(&str, &[Method])| {
            let method = name.strip_prefix(service);
            let method = method.and_then(|rest| rest.strip_prefix('.'));
            name == *service || methods.iter().any(|(known, ..)| Some(*known) == method)
        };
        self.messages.iter().any(|(known, _)| *known == name)
            || self.enums.iter().any(|(known, _)| *known == name)
            || self.services.iter().any(method)
    }

    pub(super) fn descriptor(&self) -> FileDescriptorProto {
        let owned = |text: &&str| (*text).to_owned();
        FileDescriptorProto {
            name: self.name.to_owned(),
            package: self.package.to_owned(),
            dependency: self.imports.iter().map(owned).collect(),
            message_type: self.messages.iter().map(message).collect(),
            enum_type: self
                .enums
                .iter()
                .map(|(name, values)| EnumDescriptorProto {
                    name: (*name).to_owned(),
                    value: values
                        .iter()
                        .map(|(name, number)| EnumValueDescriptorProto {
                            name: (*name).to_owned(),
                            number: *number,
                        })
                        .collect(),
                })
                .collect(),
            service: self
                .services
                .iter()
                .map(|(name, methods)| ServiceDescriptorProto {
                    name: (*name).to_owned(),
                    method: methods.iter().map(method).collect(),
                })
                .collect(),
            syntax: "proto3".to_owned(),
        }
    }
}
