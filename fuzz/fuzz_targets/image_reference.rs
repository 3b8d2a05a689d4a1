//! References of images and repositories: what is displayed is read again as the same reference.
#![no_main]

use sealmark_oci::{Reference, Repository};

const SEEDS: [&[u8]; 6] = [
    b"alpine",
    b"localhost:5000/team/app:v1.2",
    b"ghcr.io/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"[::1]:5000/a__b-c.d/e:tag",
    b"docker.io/library/alpine:3",
    b"127.0.0.1/x:1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    if let Some(repository) = sealmark_fuzz::read(text.parse::<Repository>()) {
        sealmark_fuzz::same(&repository, repository.to_string().parse());
    }
    let Some(reference) = sealmark_fuzz::read(text.parse::<Reference>()) else {
        return false;
    };
    sealmark_fuzz::same(&reference, reference.to_string().parse());
    let repository = reference.in_repository();
    sealmark_fuzz::same(&repository, repository.to_string().parse());
    sealmark_fuzz::same(
        &repository.to_string(),
        repository
            .at(&reference.identifier())
            .parse()
            .map(|r: Reference| r.in_repository().to_string()),
    );
    true
});
