//! What the fuzz target of saved states calls: a run of the smallest size takes up whatever bytes
//! it is given.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Session;
use super::checkpoint::resume;
use crate::backend::{BackendChoice, SelectedDevice};
use crate::config::{Setup, preset};
use crate::data;
use crate::model::Network;
use crate::observables::{self, Recorder, TestSet};
use crate::sampler::SamplerPlan;

struct Small {
    opened: SelectedDevice,
    plan: SamplerPlan,
    observables: Vec<observables::Observable>,
    shape: (usize, usize),
    network: Network,
}

impl Small {
    fn new() -> Self {
        let mut settings = preset("quick").expect("the preset is built in");
        (settings.data.train, settings.data.test, settings.network.width) = (Some(6), Some(2), Some(3));
        settings.temperature.range = None;
        settings.temperature.values = Some(vec![1.0]);
        let sampler = &mut settings.sampler;
        (sampler.chains, sampler.warmup, sampler.draws) = (Some(2), Some(4), Some(20));
        sampler.backend = Some(BackendChoice::Cpu);
        let setup = Setup::resolve(settings).expect("the settings are possible");
        let experiment = setup.experiment();
        let problem = data::load(setup.data(), 1).expect("the digits are built in");
        let session = Session::new(experiment, Arc::new(problem)).expect("the kernel of six digits is small");
        let job = session.solve(|_| ControlFlow::Continue(())).expect("nobody stops the theory");
        let opened = job.open(setup.device()).expect("the CPU is always there");
        let plan = job.plan(opened.backend.integrates_readout()).expect("the plan is possible");
        let problem = &job.solved().problem;
        let entries = observables::entries(&problem.class_names, TestSet::of(problem));
        let observables = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        let shape = (problem.points(), problem.rank());
        Self { opened, plan, observables, shape, network: *experiment.network() }
    }
}

thread_local!(static SMALL: RefCell<Small> = RefCell::new(Small::new()));

pub fn state(bytes: &[u8]) {
    SMALL.with_borrow_mut(|small| {
        let mut recorder = Recorder::new(small.observables.clone(), small.shape, small.network, small.plan.betas.len());
        let _ = resume(bytes, small.opened.backend.as_mut(), &small.plan, &mut recorder);
    });
}
