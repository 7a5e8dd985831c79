//! Single NumPy arrays.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::data::fuzz::npy(bytes));
