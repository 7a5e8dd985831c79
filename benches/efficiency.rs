//! Effective samples per second on a real problem, by sampler: the adaptive ones, with the readout
//! integrated out and sampled, beside the field's update (`ula`) with learning rate 1e-2, all in
//! one run and in turn.
//!
//! Fashion-MNIST classes 2 and 4, the first P = 100, N1 = 50, erf, λ = 1, T = 0.1; needs the data
//! set (Debian: dataset-fashion-mnist).

mod common;

use std::ops::ControlFlow;

use common::measuring;
use featherm::backend::BackendChoice;
use featherm::config::{DataSettings, NetworkSettings, SamplerSettings, Settings, Setup, TemperatureSettings};
use featherm::data::Order;
use featherm::sampler::{Readout, SamplerKind};
use featherm::studies::{StudyError, run};

const ROUNDS: u64 = 3;

/// N1.
const WIDTH: usize = 50;

/// Name in reports and in the table.
const OBSERVABLES: [(&str, &str); 3] =
    [("centroid_distance_sq", "D²"), ("readout_second_moment", "⟨v²⟩"), ("train_loss", "⟨L⟩")];

struct Contender {
    name: &'static str,
    sampler: SamplerSettings,
}

fn contenders() -> [Contender; 4] {
    let malt = |name, readout| Contender {
        name,
        sampler: SamplerSettings { kind: Some(SamplerKind::Malt), readout: Some(readout), ..base() },
    };
    [
        malt("malt, readout integrated", Readout::Integrated),
        malt("malt, readout sampled", Readout::Sampled),
        Contender {
            name: "hmc, readout integrated",
            sampler: SamplerSettings { kind: Some(SamplerKind::Hmc), ..base() },
        },
        Contender {
            name: "ula, learning rate 1e-2",
            sampler: SamplerSettings {
                kind: Some(SamplerKind::Ula),
                step_size: Some(1e-2),
                steps: Some(50),
                draws: Some(400),
                ..base()
            },
        },
    ]
}

fn base() -> SamplerSettings {
    SamplerSettings {
        chains: Some(64),
        warmup: Some(200),
        draws: Some(200),
        backend: Some(BackendChoice::Cpu),
        ..SamplerSettings::default()
    }
}

fn setup(sampler: SamplerSettings, seed: u64) -> Setup {
    let settings = Settings {
        data: DataSettings {
            source: Some("fashion-mnist".into()),
            classes: Some("2,4".into()),
            train: Some(100),
            order: Some(Order::File),
            ..DataSettings::default()
        },
        network: NetworkSettings { width: Some(WIDTH), ..NetworkSettings::default() },
        temperature: TemperatureSettings { values: Some(vec![0.1]), range: None },
        sampler: SamplerSettings { seed: Some(seed), ..sampler },
        ..Settings::default()
    };
    Setup::resolve(settings).expect("the settings above are possible")
}

/// What one run of a contender gave.
struct Figures {
    gradients_per_s: f64,
    warmup_s: f64,
    steps: u32,
    /// ESS/s and gradients per effective sample of every observable.
    efficiency: Vec<[f64; 2]>,
}

fn measure(contender: &Contender, seed: u64) -> Result<Figures, StudyError> {
    let document = run(&setup(contender.sampler.clone(), seed), |_| ControlFlow::Continue(()))?.document;
    let at = &document.temperatures[0];
    let seconds = document.timing.sampling_s;
    // As they were played: the lengths of hmc are jittered about the steps that it reports.
    let flops = 4.0 * (document.data.train_points * document.data.rank * WIDTH) as f64;
    let gradients = 1e9 * document.timing.gflops * seconds / flops;
    let ess = |name: &str| at.observables.get(name).and_then(|o| o.ess.scalar()).unwrap_or(f64::NAN);
    Ok(Figures {
        gradients_per_s: gradients / seconds,
        warmup_s: document.timing.warmup_s,
        steps: at.sampler.steps,
        efficiency: OBSERVABLES.iter().map(|(name, _)| [ess(name) / seconds, gradients / ess(name)]).collect(),
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if !measuring() {
        // A test of the benchmark: its settings resolve.
        contenders().into_iter().for_each(|c| drop(setup(c.sampler, 1)));
        return;
    }
    let contenders = contenders();
    let mut figures: Vec<Vec<Figures>> = contenders.iter().map(|_| Vec::new()).collect();
    for seed in 1..=ROUNDS {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            match measure(contender, seed) {
                Ok(measured) => figures.push(measured),
                Err(error) => {
                    println!("skipped: {}: {error}", contender.name);
                    return;
                }
            }
        }
    }
    println!("Fashion-MNIST 2/4, P = 100, N1 = 50, erf, T = 0.1, 64 chains: medians of {ROUNDS} rounds in turn");
    print!("{:26} {:>12} {:>6} {:>10}", "sampler", "gradients/s", "steps", "warm-up s");
    for (_, symbol) in OBSERVABLES {
        print!(" {:>9} {:>7}", format!("{symbol} ESS/s"), "grad");
    }
    println!();
    for (contender, figures) in contenders.iter().zip(&figures) {
        let gradients = median(figures.iter().map(|f| f.gradients_per_s));
        let warmup = median(figures.iter().map(|f| f.warmup_s));
        print!("{:26} {gradients:12.0} {:6} {warmup:10.2}", contender.name, figures[0].steps);
        for k in 0..OBSERVABLES.len() {
            let of = |column: usize| median(figures.iter().map(|f| f.efficiency[k][column]));
            print!(" {:9.0} {:7.1}", of(0), of(1));
        }
        println!();
    }
}
