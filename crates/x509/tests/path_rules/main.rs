//! The rules of path validation (RFC 5280, section 6), one by one: what is accepted, what is refused, and why.
//!
//! The classes of cases are those of the public suite x509-limbo, as far as they concern certificates of signers; every
//! certificate here is made by the test. `sealmark-x509-limbo` runs the suite itself.
//!
//! # Where we differ from RFC 5280, or from what that suite expects
//!
//! | Case | RFC 5280 | Here | Why |
//! |---|---|---|---|
//! | purpose missing in the signer's certificate, or only `anyExtendedKeyUsage` | any purpose | refused | Sigstore's clients demand `codeSigning` |
//! | `anyExtendedKeyUsage` in a CA | CAs have no purposes | serves any | as Go, Windows and the suite nest purposes |
//! | the trust anchor's validity, purposes, path length | not looked at | obeyed | an expired root is not to be believed (GHSA-wfqv-66vq-46rm) |
//! | limits of e-mail addresses, URIs, directory names | by their rules | every name of the kind is refused | not supported by the path builder, and it must not be passed over |
//! | minimum or maximum in a limit | must not be there | refused | |
//! | names of issuers and subjects | compared after preparation (section 7.1) | compared byte by byte | as Go and webpki; CAs copy the bytes |
//! | key ids (AKI, SKI) that are missing or do not match | must be there | accepted | a hint for finding paths; the signature decides |
//! | `basicConstraints`, `nameConstraints` not critical in a CA | must be critical | obeyed all the same | roots in use have them so |
//! | `keyUsage` missing in a CA | must be there | accepted | as every implementation |
//! | serial number 0 | must be positive, "SHOULD be prepared" | accepted | old roots have it |
//! | serial number of 21 octets, the first of them 0 | at most 20 | accepted | 20 random octets with the highest bit set |
//! | times before 1970 | as they are | refused | no signature is as old |
//! | `cA` FALSE written out | DER leaves defaults out | accepted | it is read as the same |
//! | times before 2050 as GeneralizedTime | must be UTCTime | accepted | it is read as the same time |
//! | SAN not critical where the subject is empty | must be critical | accepted | private CAs, and it is always read here |
//! | no SAN | where the subject is empty, must be there | accepted | it is nobody's identity then, and the policy refuses it |
//! | `issuerUniqueID`, `subjectUniqueID` | must not be issued, must be read | refused | nobody has them |
//! | more than 6 intermediates, 100 signatures | no limit | refused | a stranger gives the certificates |
//! | path lengths over 255 | any integer | refused | no path is as long |
//! | revocation | CRLs, OCSP | not looked at | certificates live for minutes; logs and trusted roots take the place |
//! | certificate policies, critical | processed | refused, in an anchor passed over | nobody asks for a policy |

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../issuing/mod.rs"]
mod issuing;

mod building;
mod draft;
mod encoding;
mod extensions;
mod keys;
mod name_constraints;
