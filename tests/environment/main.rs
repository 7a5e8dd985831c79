//! Tests that need what a machine may lack: a graphics device, a browser, a Python with ArviZ, a
//! real data set.
//!
//! What is missing is reported as ignored, and left out where ignored tests are asked for.
//! `FEATHERM_REQUIRE_GPU=1`, `…_CHROMIUM`, `…_ARVIZ` and
//! `…_FASHION_MNIST` make it a failure.

mod arviz;
mod browser;
#[path = "../common/mod.rs"]
mod common;
//CUT mod fashion_mnist;
#[cfg(feature = "gpu")]
mod gpu;

use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

type Test = Result<(), Failed>;

fn main() {
    let mut trials = Trials { arguments: Arguments::from_args(), trials: Vec::new() };
    #[cfg(feature = "gpu")]
    gpu::add(&mut trials);
    //CUT fashion_mnist::add(&mut trials);
    arviz::add(&mut trials);
    browser::add(&mut trials);
    libtest_mimic::run(&trials.arguments, trials.trials).exit();
}

/// What a group of tests needs.
struct Need {
    what: &'static str,
    /// Set to 1 it makes a failure of what is missing.
    variable: &'static str,
    there: bool,
}

/// All tests, and what is asked of them.
struct Trials {
    arguments: Arguments,
    trials: Vec<Trial>,
}

impl Trials {
    /// Tests named `name::…` that all need the same.
    fn group(&mut self, name: &'static str, need: &Need) -> Group<'_> {
        let required = std::env::var(need.variable).is_ok_and(|value| value == "1");
        let there = if need.there {
            Presence::There
        } else if required {
            Presence::Required(format!("no {}, and {} is set", need.what, need.variable))
        } else {
            eprintln!("no {}: the tests `{name}::` are left out ({}=1 makes this a failure)", need.what, need.variable);
            Presence::Missing
        };
        Group { name, there, asked: self.arguments.include_ignored || self.arguments.ignored, trials: &mut self.trials }
    }
}

#[derive(Clone)]
enum Presence {
    There,
    Missing,
    Required(String),
}

/// Tests that need the same.
struct Group<'a> {
    name: &'static str,
    there: Presence,
    /// Whether tests that are ignored by default are asked for.
    asked: bool,
    trials: &'a mut Vec<Trial>,
}

impl Group<'_> {
    /// A test that runs by default.
    fn fast(&mut self, name: impl AsRef<str>, test: impl FnOnce() -> Test + Send + 'static) {
        self.add(name.as_ref(), false, test);
    }

    /// A test of more than some seconds, which runs with `--include-ignored`.
    fn slow(&mut self, name: impl AsRef<str>, test: impl FnOnce() -> Test + Send + 'static) {
        self.add(name.as_ref(), true, test);
    }

    /// A test that runs only with `FEATHERM_TEST_LONG=1` too.
    fn long(&mut self, name: impl AsRef<str>, test: impl FnOnce() -> Test + Send + 'static) {
        if common::long() {
            self.slow(name, test);
        }
    }

    fn add(&mut self, name: &str, slow: bool, test: impl FnOnce() -> Test + Send + 'static) {
        let name = format!("{}::{name}", self.name);
        let test = timed(name.clone(), test);
        let trial = match self.there.clone() {
            Presence::There => Trial::test(name, test).with_ignored_flag(slow),
            Presence::Required(missing) => Trial::test(name, move || Err(missing.into())),
            Presence::Missing if self.asked => return,
            Presence::Missing => Trial::test(name, test).with_ignored_flag(true),
        };
        self.trials.push(trial);
    }
}

/// Tells the seconds of a test where `FEATHERM_TEST_TIMES` is set, as `--report-time` does for
/// other tests.
fn timed(name: String, test: impl FnOnce() -> Test + Send + 'static) -> impl FnOnce() -> Test + Send + 'static {
    move || {
        let begun = Instant::now();
        let outcome = test();
        if std::env::var_os("FEATHERM_TEST_TIMES").is_some() {
            eprintln!("{:8.2} s {name}", begun.elapsed().as_secs_f64());
        }
        outcome
    }
}
