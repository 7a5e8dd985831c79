//! The state inside a checkpoint, which a run takes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::session::fuzz::state(bytes));
