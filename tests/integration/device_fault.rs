//! A device that fails in the middle of a run: one error, the last checkpoint stays good, and a
//! sound device ends the run as if nothing had been.

use std::ops::ControlFlow;
use std::time::Duration;

use featherm::backend::cpu::Cpu;
use featherm::backend::{
    Accumulated, Backend, BackendError, Device, Ensemble, IntegratorParams, Moments, Outcome, Round, StageTime, Weights,
};
use featherm::config::{Setup, preset};
use featherm::session::{Checkpoints, Run, RunError, Session};
use featherm::studies::load;

/// The processor's ensemble, whose device is lost after some calls.
struct Failing {
    cpu: Cpu<f32>,
    calls_left: u32,
    spoiled: bool,
}

impl Failing {
    fn new(ensemble: &Ensemble, calls: u32) -> Self {
        Self { cpu: Cpu::new(ensemble.clone()), calls_left: calls, spoiled: false }
    }
}

impl Backend for Failing {
    fn device(&self) -> Device {
        self.cpu.device()
    }

    fn integrates_readout(&self) -> bool {
        true
    }

    fn run(&mut self, moves: &[IntegratorParams], rounds: &[Round]) -> Result<Vec<Outcome>, BackendError> {
        self.calls_left = self.calls_left.checked_sub(1).ok_or_else(|| BackendError::Invalid("it was lost".into()))?;
        if self.spoiled {
            // As a device that computes on without a word.
            let weights = self.cpu.weights()?;
            self.cpu.set_weights(&weights)?;
            self.cpu.run(moves, rounds)?;
        }
        self.cpu.run(moves, rounds)
    }

    fn stages(&mut self, moves: &[IntegratorParams], round: &Round) -> Result<Vec<StageTime>, BackendError> {
        self.cpu.stages(moves, round)
    }

    fn moments(&self) -> Result<Vec<Moments>, BackendError> {
        self.cpu.moments()
    }

    fn merge_batches(&mut self) -> Result<(), BackendError> {
        self.cpu.merge_batches()
    }

    fn save(&self, saved: &mut Vec<u8>) -> Result<(), BackendError> {
        self.cpu.save(saved)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<bool, BackendError> {
        self.cpu.restore(saved)
    }

    fn accumulated(&self) -> Result<Accumulated, BackendError> {
        self.cpu.accumulated()
    }

    fn weights(&self) -> Result<Vec<Weights>, BackendError> {
        self.cpu.weights()
    }

    fn set_weights(&mut self, weights: &[Weights]) -> Result<(), BackendError> {
        self.cpu.set_weights(weights)
    }
}

fn setup() -> Setup {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(10), Some(4), Some(6));
    settings.temperature.range = None;
    settings.temperature.values = Some(vec![1.0, 0.3]);
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(30), Some(40));
    Setup::resolve(settings).unwrap()
}

/// Samples from a state or from the start; the states that were kept, and how it ended.
fn sample(from: Option<Vec<u8>>, device: impl FnOnce(&Ensemble) -> Failing) -> (Vec<Vec<u8>>, Result<Run, RunError>) {
    let setup = setup();
    let session = Session::new(setup.experiment(), load(&setup).unwrap()).unwrap();
    let job = session.solve(|_| ControlFlow::Continue(())).unwrap();
    let mut device = device(job.ensemble());
    let mut kept = Vec::new();
    let mut keep = |state: &[u8]| {
        kept.push(state.to_vec());
        Ok(())
    };
    let every = Duration::from_nanos(1);
    let checkpoints = Checkpoints { from, every, keep: &mut keep };
    let ended = job.sample(&mut device, |_| ControlFlow::Continue(()), Some(checkpoints));
    (kept, ended)
}

/// Every number of a run, as bits.
fn bits(run: &Run) -> Vec<u64> {
    let series = |at: &featherm::results::TemperatureReport| {
        let all = at.observables.values();
        all.flat_map(|o| [o.mean.scalar(), o.mcse.scalar(), o.ess.scalar()]).flatten().map(f64::to_bits).collect()
    };
    run.document.temperatures.iter().flat_map(|at| -> Vec<u64> { series(at) }).collect()
}

#[test]
fn a_lost_device_leaves_a_checkpoint_that_a_sound_one_ends() {
    let sound = |ensemble: &Ensemble| Failing::new(ensemble, u32::MAX);
    let (_, undisturbed) = sample(None, sound);
    let expected = bits(&undisturbed.unwrap());
    assert!(expected.len() > 20);
    // At once, in warm-up, and among the draws.
    for calls in [0, 3, 8, 12] {
        let (kept, ended) = sample(None, |ensemble| Failing::new(ensemble, calls));
        let Err(error) = ended else { panic!("{calls} calls are enough for the whole run") };
        assert_eq!(error.to_string(), "it was lost");
        assert_eq!(kept.is_empty(), calls == 0, "{calls}");
        let (_, ended) = sample(kept.last().cloned(), sound);
        assert_eq!(bits(&ended.unwrap()), expected, "lost after {calls} calls");
    }
    let (_, spoiled) = sample(None, |ensemble| Failing { spoiled: true, ..Failing::new(ensemble, u32::MAX) });
    assert_ne!(bits(&spoiled.unwrap()), expected, "another course of the chains was not seen");
}
