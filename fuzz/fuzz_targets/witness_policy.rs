//! Policies of witnesses, verifier keys, and requests to witnesses: what was read has one meaning, and keys and requests are
//! exactly what is written when they are displayed.
#![no_main]

use sealmark_tlog::note::VerifierKey;
use sealmark_tlog::policy::Policy;
use sealmark_tlog::witness::AddCheckpoint;

const SEEDS: [&[u8]; 3] = [
    b"# a comment\nlog PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW https://log.example\nquorum none\n",
    b"witness W PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\ngroup g any W\ngroup h 1 g\nquorum h\n",
    b"old 5\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nlog\n6\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
];

sealmark_fuzz::target!(SEEDS, |data| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = text.parse::<VerifierKey>() {
            sealmark_fuzz::same(&key, key.to_string().parse());
        }
        if let Ok(request) = AddCheckpoint::parse(text) {
            sealmark_fuzz::same(&request, AddCheckpoint::parse(&request.to_string()));
            return true;
        }
    }
    let Some(policy) = sealmark_fuzz::read(Policy::parse(data)) else {
        return false;
    };
    // All that there are must be enough, and more can never be less.
    assert!(policy.is_satisfied(|_| true));
    assert_eq!(policy.is_satisfied(|_| false), !policy.wants_witnesses());
    true
});
