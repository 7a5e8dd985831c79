//! Right samplers are right and wrong ones are found out: the long versions of the statistical
//! tests, as tables.
//!
//!     cargo run --release --example correctness                 (all parts; the tables of docs/correctness.md)
//!     cargo run --release --example correctness -- geweke starts
//!
//! Exits with 1 if a right sampler fails its bound or a wrong one passes.

#[path = "../../tests/common/mod.rs"]
mod common;

mod joint;
mod linear;
mod starts;
mod table;

use std::process::ExitCode;
use std::time::Instant;

/// A part: plays all its rows and returns how many did not come out as they must.
type Part = (&'static str, fn() -> usize);

const PARTS: [Part; 4] = [
    ("geweke", joint::geweke),
    ("calibration", joint::calibration),
    ("linear", linear::linear_networks),
    ("starts", starts::two_starts),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        let known = PARTS.map(|(part, _)| part).join(", ");
        eprintln!("error: there is no part `{}`: name some of {known}, or none for all", unknown.escape_debug());
        return ExitCode::from(2);
    }
    let mut failures = 0;
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| part == name)) {
        let start = Instant::now();
        failures += part();
        eprintln!("{name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    if failures == 0 {
        println!("Everything came out as it must.");
        return ExitCode::SUCCESS;
    }
    println!("{failures} of the rows above did not come out as they must.");
    ExitCode::FAILURE
}
