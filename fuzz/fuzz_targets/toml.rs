//! Settings files: what is accepted reads back as itself.
#![no_main]

use featherm::config::{Experiment, Settings};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(settings) = Settings::from_toml(text, "fuzzed") else { return };
    let Ok(experiment) = Experiment::resolve(settings) else { return };
    let again = Experiment::resolve(experiment.settings()).expect("a resolved experiment is possible");
    assert_eq!(again.settings(), experiment.settings());
});
