//! The exact finite-width posterior of a linear network under every sampler, precision and backend.

use featherm::backend::{Backend, BackendChoice, BackendError, DeviceRequest, Ensemble, Precision, select};
use featherm::model::Problem;
use featherm::sampler::{Readout, SamplerKind};

use crate::common::linear_network::{Exact, TEMPERATURE, exact, network, problem, targets};
use crate::common::{MIN_ESS, SEED, Setting, Target, ensemble};
use crate::table::{Found, Sampler, Table};

const ADJUSTED: [SamplerKind; 3] = [SamplerKind::Malt, SamplerKind::Hmc, SamplerKind::Mala];
const READOUTS: [Readout; 2] = [Readout::Sampled, Readout::Integrated];
const WIDTH: usize = 10;
const LADDER: [f64; 3] = [3.0, 1.0, TEMPERATURE];

#[derive(Debug, Clone, Copy)]
enum On {
    F32,
    F64,
    Gpu,
}

impl On {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "CPU, f32",
            Self::F64 => "CPU, f64",
            Self::Gpu => "GPU",
        }
    }

    fn open(self, ensemble: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
        let (backend, precision) = match self {
            Self::F32 => (BackendChoice::Cpu, Precision::F32),
            Self::F64 => (BackendChoice::Cpu, Precision::F64),
            Self::Gpu => (BackendChoice::Gpu, Precision::F32),
        };
        let request = DeviceRequest { backend, precision, ..DeviceRequest::default() };
        select(&request, ensemble).map(|selected| selected.backend)
    }
}

/// A row: who samples what, and what the samples are held against.
struct Case<'a> {
    sampler: Sampler,
    name: String,
    on: On,
    width: usize,
    setting: Setting,
    exact: &'a Exact,
}

impl Case<'_> {
    fn play(&self, problem: &Problem, table: &mut Table) {
        let open = |ensemble: Ensemble| match self.on.open(&ensemble) {
            Ok(backend) => backend,
            Err(error) => panic!("{}: {error}", self.on.name()),
        };
        let coldest = self.setting.temperatures.len() - 1;
        let found = targets(problem, network(self.width), &self.setting, coldest, self.exact, open);
        let readout = match self.setting.readout {
            _ if !ADJUSTED.contains(&self.setting.kind) => "sampled",
            Readout::Integrated => "integrated",
            Readout::Sampled => "sampled",
        };
        let worst = found.iter().max_by(|a, b| a.z().abs().total_cmp(&b.z().abs()));
        let (worst, z) = worst.map_or(("", f64::NAN), |target| (target.name.as_str(), target.z()));
        let square = found.iter().map(|target| target.z().powi(2)).sum::<f64>() / found.len() as f64;
        let ess = found.iter().map(|target| target.sampled.ess_bulk).fold(f64::INFINITY, f64::min);
        // Batches and blocks are few and carry the least ESS as a stand-in: it is of the others
        // that the number speaks.
        let known = found.iter().map(|target| target.sampled.ess_bulk).filter(|&ess| ess != MIN_ESS);
        let cells = [
            self.name.clone(),
            readout.into(),
            if self.setting.tempering { format!("{LADDER:?}") } else { "-".into() },
            self.on.name().into(),
            self.width.to_string(),
            (self.setting.replicas * self.setting.draws).to_string(),
            found.len().to_string(),
            worst.into(),
            format!("{z:.2}"),
            format!("{:.2}", square.sqrt()),
            format!("{:.0}", known.fold(f64::INFINITY, f64::min)),
        ];
        let z: Vec<f64> = found.iter().map(Target::z).collect();
        table.row(self.sampler, &cells, Found::by_z(&z).if_enough(ess >= MIN_ESS));
    }
}

/// An adjusted sampler: `malt` and `hmc` in float32 at one temperature take ten times the draws of
/// the tests. A graphics device may be a software one, and takes fewer.
fn adjusted(kind: SamplerKind, readout: Readout, tempering: bool, on: On) -> Setting {
    let temperatures: &[f64] = if tempering { &LADDER } else { &[TEMPERATURE] };
    let replicas = match (on, tempering) {
        (On::F32, false) => 256,
        (On::Gpu, _) => 64,
        _ => 128,
    };
    let draws = match (kind, on) {
        (SamplerKind::Mala, On::Gpu) => 600,
        (SamplerKind::Mala, _) => 3000,
        (_, On::Gpu) => 150,
        _ => 625,
    };
    Setting { readout, tempering, draws, replicas, ..Setting::new(kind, temperatures) }
}

fn unadjusted(kind: SamplerKind, step_size: f64, draws: usize) -> Setting {
    Setting { step_size: Some(step_size), draws, replicas: 128, ..Setting::new(kind, &[TEMPERATURE]) }
}

pub fn linear_networks() -> usize {
    let text = format!(
        "Every observable of samples against the exact posterior, by quadrature over q = λ1‖v‖²/N1: draws of all chains, \
         number of observables, the worst of them, its z, the root mean square z and the least ESS. P = 9, four test points, N0 = 4, \
         T = {TEMPERATURE}; where there is a ladder, with replica exchange along it; seed {SEED}."
    );
    let columns =
        ["sampler", "readout", "ladder", "on", "N1", "draws", "observables", "worst", "its z", "RMS z", "least ESS"];
    let mut table = Table::new("Exact linear network", &text, &columns);
    let problem = problem();
    let [three, four, ten, fifty] = [3, 4, WIDTH, 50].map(|width| exact(&problem, width));
    let case = |on: On, setting: Setting| Case {
        sampler: Sampler::Right,
        name: format!("{:?}", setting.kind).to_lowercase(),
        on,
        width: WIDTH,
        setting,
        exact: &ten,
    };
    let grid = |on: On| {
        let row = move |tempering, readout, kind| case(on, adjusted(kind, readout, tempering, on));
        let kinds = move |tempering, readout| ADJUSTED.into_iter().map(move |kind| row(tempering, readout, kind));
        let readouts = move |tempering| READOUTS.into_iter().flat_map(move |readout| kinds(tempering, readout));
        [false, true].into_iter().flat_map(readouts)
    };
    let malt = |readout| adjusted(SamplerKind::Malt, readout, false, On::F32);

    let mut cases: Vec<Case> = grid(On::F32).chain(grid(On::F64)).collect();
    for (width, exact) in [(3, &three), (50, &fifty)] {
        cases.extend(READOUTS.map(|readout| Case { width, exact, ..case(On::F32, malt(readout)) }));
    }
    for (kind, short, long, draws) in [(SamplerKind::Baoab, 0.04, 0.28, 1000), (SamplerKind::Ula, 1e-3, 0.05, 4000)] {
        for (sampler, step, draws) in [(Sampler::Right, short, draws), (Sampler::Wrong, long, draws / 2)] {
            let row = case(On::F32, unadjusted(kind, step, draws));
            cases.push(Case { sampler, name: format!("{}, step {step}", row.name), ..row });
        }
    }
    for readout in READOUTS {
        let warmer = Setting { temperatures: vec![1.1 * TEMPERATURE], ..malt(readout) };
        let row = case(On::F32, warmer);
        cases.push(Case { sampler: Sampler::Wrong, name: "malt at β/1.1".into(), ..row });
        let row = case(On::F32, malt(readout));
        let name = "malt, against N1 = 4".into();
        cases.push(Case { sampler: Sampler::Wrong, name, width: 3, exact: &four, ..row });
    }
    let gpu = on_gpu(&problem);
    if gpu.is_ok() {
        cases.extend(grid(On::Gpu));
        let warmer = Setting {
            temperatures: vec![1.1 * TEMPERATURE],
            ..adjusted(SamplerKind::Malt, Readout::Integrated, false, On::Gpu)
        };
        cases.push(Case { sampler: Sampler::Wrong, name: "malt at β/1.1".into(), ..case(On::Gpu, warmer) });
    }
    cases.iter().for_each(|case| case.play(&problem, &mut table));
    let failures = table.end();
    match gpu {
        Ok(device) => println!("The GPU is {device}.\n"),
        Err(error) => println!("**The GPU rows were skipped**: {error}.\n"),
    }
    failures
}

/// Name of the graphics device, if there is one.
fn on_gpu(problem: &Problem) -> Result<String, BackendError> {
    let setting = Setting { replicas: 8, ..Setting::new(SamplerKind::Malt, &[TEMPERATURE]) };
    let ensemble = ensemble(problem, network(WIDTH), &setting, &[1.0, 0.0, 0.0, 0.0]);
    On::Gpu.open(&ensemble).map(|backend| backend.device().name)
}
