//! Checkpoint files: magic, length, checksum, origin.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::store::fuzz_checkpoint(bytes));
