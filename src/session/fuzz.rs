//! What the fuzz target of saved states calls: a run of the smallest size takes up whatever bytes it is given.

use std::cell::RefCell;

use super::{Job, prepare, resume};
use crate::backend::{BackendChoice, Opened};
use crate::config::{Experiment, preset};
use crate::model::Network;
use crate::observables::{self, Recorder, TestSet};
use crate::sampler::Plan;

struct Small {
    opened: Opened,
    plan: Plan,
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
        let experiment = Experiment::resolve(settings).expect("the settings are possible");
        let prepared = prepare(&experiment).expect("the digits are built in");
        let job = Job::new(&experiment, &prepared).expect("nobody stops the theory");
        let opened = job.open().expect("the CPU is always there");
        let plan = job.plan(opened.backend.integrates_readout()).expect("the plan is possible");
        let problem = &prepared.problem;
        let entries = observables::entries(&problem.class_names, TestSet::of(problem));
        let observables = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        let shape = (problem.points(), problem.rank());
        Self { opened, plan, observables, shape, network: experiment.network }
    }
}

thread_local!(static SMALL: RefCell<Small> = RefCell::new(Small::new()));

pub fn state(bytes: &[u8]) {
    SMALL.with_borrow_mut(|small| {
        let mut recorder = Recorder::new(small.observables.clone(), small.shape, small.network, small.plan.betas.len());
        let _ = resume(bytes, small.opened.backend.as_mut(), &small.plan, &mut recorder);
    });
}
