//! Tests that need nothing but the crate: the library from outside, and the program as a user meets
//! it.
//!
//! One program, for a link of every part takes long. `cargo test --release --test integration NAME`
//! runs the tests whose names hold `NAME`.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod cli;
mod cpu_backend;
#[cfg(feature = "fetch")]
mod data_fetch;
mod descent;
mod device_fault;
mod half_storage;
mod joint_distribution;
mod layers;
mod linear_network;
mod mutated_input;
mod page;
mod posterior;
mod prose;
mod regression;
#[cfg(unix)]
mod resume;
mod scaling;
#[cfg(feature = "gpu")]
mod shaders;
mod stop;
mod store;
#[cfg(unix)]
mod study;
//CUT mod theory_reference;
mod two_starts;
mod unit_theory;
mod warm_up;
