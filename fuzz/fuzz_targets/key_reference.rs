//! References of keys: what is displayed of a file or a variable is read again as the same. URLs are
//! displayed without what may be secret in them; keys in providers in a normal form.
#![no_main]

use sealmark_kms::KeyRef;

const SEEDS: [&[u8]; 16] = [
    b"cosign.key",
    b"env://COSIGN_KEY",
    b"https://example.com/cosign.pub",
    b"http://127.0.0.1:8080/cosign.pub",
    b"file:///etc/keys/cosign.pub",
    b"./C:\\keys\\cosign.pub",
    b"awskms://localhost:4566/alias/release",
    b"arn:aws:kms:us-west-2:562077019569:key/61c124fb-bf47-4f95-a805-65dda7cd08ae",
    b"https://my-vault.vault.azure.net/keys/release/0123456789abcdef0123456789abcdef",
    b"azurekms://my-vault/release",
    b"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/2",
    b"hashivault://transit/keys/release",
    b"openbao://release?version=2",
    b"vault://team/transit/release",
    b"pkcs11:token=t;object=k;id=%01%02?module-path=/m.so&pin-value=1234",
    b"pkcs11:slot-id=3;object=a%20b?pin-source=/run/pin",
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Some(reference) = sealmark_fuzz::read(KeyRef::parse(text)) else {
        return false;
    };
    // Other paths have no text that is theirs alone.
    let in_text = match &reference {
        KeyRef::File(path) => path.to_str().is_some(),
        KeyRef::Env(_) => true,
        KeyRef::Url(_) => false,
        // Secrets are left out of what is displayed, and it is the normal form of itself.
        _ => {
            let shown = reference.to_string();
            let again = KeyRef::parse(&shown).map(|key| key.to_string());
            assert_eq!(again.ok(), Some(shown));
            false
        }
    };
    if in_text {
        sealmark_fuzz::same(&reference, KeyRef::parse(&reference.to_string()));
    }
    true
});
