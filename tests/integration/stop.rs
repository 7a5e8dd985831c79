//! A listener stops a session in every phase, and what was measured until then is what a run that
//! had come just so far would have measured.

use std::ops::ControlFlow;

use featherm::backend::{BackendChoice, DeviceRequest};
use featherm::config::Experiment;
use featherm::model::{Activation, Classes, Network, Problem};
use featherm::session::{Event, Phase, Run, RunError, Session};
use featherm::theory::TheoryKind;
use ndarray::Array2;

/// So large that a round of trajectories takes a while.
fn run(theories: &[TheoryKind], listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Run, RunError> {
    let wave = |i: usize, j: usize| ((i * 37 + j * 11 + 3) as f64).sin();
    let x = Array2::from_shape_fn((120, 30), |(i, j)| wave(i, j));
    let y = Array2::from_shape_fn((120, 1), |(i, _)| if wave(i, 0) > 0.0 { 1.0 } else { -1.0 });
    let problem = Problem::from_arrays(x.view(), y.view(), Classes::by_sign(y.view())).unwrap();
    let network = Network { width: 150, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    let experiment = Experiment::builder(network)
        .temperatures([1.0, 0.1])
        .theories(theories)
        .chains(16)
        .warmup(6)
        .draws(40)
        .steps(40)
        .build()
        .unwrap();
    let cpu = DeviceRequest { backend: BackendChoice::Cpu, ..DeviceRequest::default() };
    Session::new(&experiment, problem).unwrap().run(&cpu, listener)
}

fn go_on_if(yes: bool) -> ControlFlow<()> {
    if yes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Everything that the temperatures report, as text with every bit.
fn bits(run: &Run) -> String {
    serde_json::to_string(&run.document.temperatures).unwrap()
}

#[test]
fn a_round_that_is_given_up_leaves_the_draws_before_it() {
    // An event that repeats the last comes from the midst of a round.
    let (mut last, mut given_up) = (Event::default(), false);
    let stopped = run(&[TheoryKind::Nngp], |event| {
        let repeated = (event.phase, event.done) == (last.phase, last.done);
        last = event.clone();
        given_up |= repeated && event.phase == Phase::Sampling && event.done >= 8;
        go_on_if(!given_up)
    })
    .unwrap();
    assert!(given_up && stopped.document.interrupted, "no round took long enough");
    let draws = stopped.document.temperatures[0].sampler.draws;
    assert_eq!(draws, last.done);
    let just_so_far = |draws| {
        let run = run(&[TheoryKind::Nngp], |event| go_on_if(event.phase != Phase::Sampling || event.done < draws));
        bits(&run.unwrap())
    };
    assert_eq!(bits(&stopped), just_so_far(draws));
    assert_ne!(bits(&stopped), just_so_far(draws + 1), "another number of draws must be seen");
}

#[test]
fn the_theory_is_not_waited_for() {
    let mut phases = Vec::new();
    let stopped = run(&TheoryKind::ALL, |event| {
        phases.push(event.phase);
        // After infinite width and the saddle point; what follows takes much longer.
        go_on_if(event.done < 4)
    });
    assert!(matches!(stopped, Err(RunError::Interrupted)));
    assert!(phases.iter().all(|&phase| phase == Phase::Theory), "{phases:?}");
}
