//! Real data: Fashion-MNIST, from Debian's package `dataset-fashion-mnist`.

mod data;
#[cfg(feature = "fetch")]
mod fetch;
mod samples;
mod unit_theory;

use std::path::Path;

use crate::{Need, Test, Trials};

/// Adds the tests on Fashion-MNIST.
pub fn add(trials: &mut Trials) {
    let there = Path::new("/usr/share/datasets/fashion-mnist").is_dir();
    let what = "Fashion-MNIST of Debian's package dataset-fashion-mnist";
    let mut group = trials.group("fashion_mnist", &Need { what, variable: "FEATHERM_REQUIRE_FASHION_MNIST", there });
    // They panic like any test.
    let whole = |test: fn()| {
        move || -> Test {
            test();
            Ok(())
        }
    };
    group.fast("it_gives_the_known_centroid_distance", whole(data::fashion_mnist_gives_the_known_centroid_distance));
    #[cfg(feature = "fetch")]
    group.fast("it_is_fetched_and_found_by_its_name", whole(fetch::fashion_mnist_is_fetched_and_found_by_its_name));
    group.slow("samples_meet_the_checked_numbers", whole(samples::samples_meet_the_checked_numbers));
    for (name, test) in unit_theory::TESTS {
        group.slow(name, whole(test));
    }
    // Three minutes on one core.
    group.long("cold_networks_lose_the_single_unit_and_keep_the_adaptive_branch", whole(unit_theory::cold_networks));
}
