//! Signing configurations: what is read is written and read again as the same configuration; choosing services from it
//! gives some of its services.
#![no_main]

use sealmark_formats::SigningConfig;

sealmark_fuzz::target!([], |data| {
    let Some(config) = sealmark_fuzz::read(SigningConfig::parse(data)) else {
        return false;
    };
    sealmark_fuzz::same(&config, SigningConfig::parse(&config.to_json()));
    for seconds in [0, 1_700_000_000, 253_402_207_200] {
        let now = jiff::Timestamp::from_second(seconds).expect("a time that jiff has");
        let _ = (config.ca(now, &[1]), config.oidc(now, &[1]));
        let lists = [
            (config.rekor(now, &[1, 2]), &config.rekor_tlog_urls),
            (config.tsa(now, &[1]), &config.tsa_urls),
        ];
        for (chosen, services) in lists {
            let chosen = chosen.unwrap_or_default();
            assert!(chosen.len() <= services.len());
            assert!(chosen.iter().all(|service| services.contains(service)));
        }
    }
    true
});
