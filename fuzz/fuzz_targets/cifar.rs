//! CIFAR-10 binary batches.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| featherm::data::fuzz::cifar(bytes));
