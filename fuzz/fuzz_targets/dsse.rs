//! DSSE envelopes: what is read is written and read again as the same envelope, and its encoding before the signature
//! ends with the payload.
#![no_main]

use sealmark_formats::dsse::Envelope;

sealmark_fuzz::target!([], |data| {
    let Some(envelope) = sealmark_fuzz::read(Envelope::parse(data)) else {
        return false;
    };
    let written = serde_json::to_vec(&envelope).expect("envelopes serialise");
    sealmark_fuzz::same(&envelope, Envelope::parse(&written));
    assert!(envelope.pae().ends_with(&envelope.payload));
    true
});
