//! The error of every theory against samples over a grid of problems that was fixed beforehand.
//!
//!     cargo run --release --example theory_errors -- sample [WORD] > docs/theory-errors.csv   (most of an hour on two cores; only problems whose lines
//!                                                          begin with WORD, without the line of headings)
//!     cargo run --release --example theory_errors -- theory FILE [WORD]                  (FILE with `adaptive` where it is NaN there, solved anew; only
//!                                                          problems whose line begins with WORD, the others as they stand)
//!     cargo run --release --example theory_errors -- table docs/theory-errors.csv   (the tables of docs/theory-errors.md)
//!
//! Needs Fashion-MNIST (Debian: dataset-fashion-mnist). Data: Fashion-MNIST 2/4 and 0/6, digits 3/8
//! (which has 357 points: 350 stand for the 400 of its largest problem); erf, relu, tanh; N1 = 25,
//! 50, 100, 200; P = N1/2 and 2 N1; T = 10, 1, 0.5, 0.1.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;

use featherm::backend::BackendChoice;
use featherm::config::{
    DataSettings, NetworkSettings, SamplerSettings, Settings, Setup, TemperatureSettings, TheorySettings,
};
use featherm::model::Activation;
use featherm::numerics::estimate::Estimate;
use featherm::results::{Document, Field};
use featherm::sampler::SamplerKind;
use featherm::session::solve;
use featherm::studies::{load as load_data, run};
use featherm::theory::{Prediction, TheoryKind};

const DATA: [(&str, &str); 3] = [("fashion-mnist", "2,4"), ("fashion-mnist", "0,6"), ("digits", "3,8")];
const ACTIVATIONS: [Activation; 3] = [Activation::Erf, Activation::Relu, Activation::Tanh];
const WIDTHS: [usize; 4] = [25, 50, 100, 200];
const LOADS: [f64; 2] = [0.5, 2.0];
const TEMPERATURES: [f64; 4] = [10.0, 1.0, 0.5, 0.1];

/// Name in reports, and symbol.
const OBSERVABLES: [(&str, &str); 5] = [
    ("centroid_distance_sq", "D²"),
    ("readout_second_moment", "⟨v²⟩"),
    ("readout_weight_correlation_norm", "⟨v w·û⟩"),
    ("weight_second_moment_along_u", "⟨(w·û)²⟩"),
    ("train_loss", "⟨L⟩"),
];

fn setup(
    (source, classes): (&str, &str),
    activation: Activation,
    width: usize,
    load: f64,
) -> Result<Setup, Box<dyn Error>> {
    let most = if source == "digits" { 350 } else { usize::MAX };
    let points = ((width as f64 * load).round() as usize).min(most);
    let settings = Settings {
        data: DataSettings {
            source: Some(source.into()),
            classes: Some(classes.into()),
            train: Some(points),
            ..DataSettings::default()
        },
        network: NetworkSettings { width: Some(width), activation: Some(activation), ..NetworkSettings::default() },
        temperature: TemperatureSettings { values: Some(TEMPERATURES.to_vec()), range: None },
        theory: TheorySettings { kinds: Some(TheoryKind::ALL.to_vec()) },
        sampler: SamplerSettings {
            kind: Some(SamplerKind::Hmc),
            chains: Some(24),
            warmup: Some(100),
            draws: Some(150),
            tempering: Some(false),
            backend: Some(BackendChoice::Cpu),
            ..SamplerSettings::default()
        },
        ..Settings::default()
    };
    Ok(Setup::resolve(settings)?)
}

fn sample(word: &str) -> Result<(), Box<dyn Error>> {
    if word.is_empty() {
        println!("data,activation,width,points,temperature,observable,mean,mcse,rhat,theory,predicted,error");
    }
    for width in WIDTHS {
        for load in LOADS {
            for data in DATA {
                for activation in ACTIVATIONS {
                    let setup = setup(data, activation, width, load)?;
                    let points = setup.data().train.unwrap_or(0);
                    let name = format!("{} {},{activation:?}", data.0, data.1.replace(',', "/")).to_lowercase();
                    if format!("{name},{width},{points}").starts_with(word) {
                        print(&run(&setup, |_| ControlFlow::Continue(()))?.document, &name);
                    }
                }
            }
        }
    }
    Ok(())
}

fn print(document: &Document, name: &str) {
    let (width, points) = (document.config.network.width.unwrap_or(0), document.data.train_points);
    for report in &document.temperatures {
        let rhat = report.worst_rhat().map_or(f64::NAN, |(_, _, rhat)| rhat);
        for (observable, _) in OBSERVABLES {
            let Some(found) = report.observables.get(observable) else { continue };
            let number = |field: Option<&Field>| field.and_then(Field::scalar).unwrap_or(f64::NAN);
            let (mean, mcse) = (number(Some(&found.mean)), number(Some(&found.mcse)));
            for kind in TheoryKind::ALL {
                let predicted = number(found.theory.get(kind.name()));
                let error = found.theory_error.get(kind.name()).map_or(0.0, |field| number(Some(field)));
                let t = report.temperature;
                println!(
                    "{name},{width},{points},{t},{observable},{mean:.6e},{mcse:.2e},{rhat:.4},{},{predicted:.6e},{error:.2e}",
                    kind.name()
                );
            }
        }
    }
}

/// The lines of `path` with what `adaptive` says now of the problems where it said nothing.
fn theory(path: &str, word: &str) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    println!("{}", lines.next().unwrap_or_default());
    let problem = |line: &str| line.split(',').take(4).collect::<Vec<_>>().join(",");
    let silent = |line: &str| line.contains(",adaptive,NaN,");
    let missing: std::collections::BTreeSet<String> =
        text.lines().filter(|line| silent(line) && line.starts_with(word)).map(problem).collect();
    let mut solved: BTreeMap<String, Vec<Prediction>> = BTreeMap::new();
    for line in lines {
        let name = problem(line);
        if !(silent(line) && missing.contains(&name)) {
            println!("{line}");
            continue;
        }
        if !solved.contains_key(&name) {
            let start = std::time::Instant::now();
            let found = adaptive(&name)?;
            eprintln!("{name}: {} temperatures in {:.0?}", found.len(), start.elapsed());
            solved.insert(name.clone(), found);
        }
        let cells: Vec<&str> = line.split(',').collect();
        let temperature: f64 = cells[4].parse()?;
        let found = solved[&name].iter().find(|p| p.temperature == temperature).and_then(|p| estimate(p, cells[5]));
        match found {
            Some(Estimate { value, error }) => println!("{},{value:.6e},{error:.2e}", cells[..10].join(",")),
            None => println!("{line}"),
        }
    }
    Ok(())
}

/// `adaptive` at all temperatures at which it has a solution, of the problem that the first four
/// cells of a line name.
fn adaptive(name: &str) -> Result<Vec<Prediction>, Box<dyn Error>> {
    let cells: Vec<&str> = name.split(',').collect();
    let (width, points): (usize, usize) = (cells[2].parse()?, cells[3].parse()?);
    let data = DATA.into_iter().find(|data| format!("{} {}", data.0, data.1.replace(',', "/")) == cells[0]);
    let activation = ACTIVATIONS.into_iter().find(|activation| format!("{activation:?}").to_lowercase() == cells[1]);
    let (Some(data), Some(activation)) = (data, activation) else { return Err(format!("no problem {name}").into()) };
    let load = if points < width { LOADS[0] } else { LOADS[1] };
    let setup = setup(data, activation, width, load)?;
    let (problem, network) = (load_data(&setup)?, setup.experiment().network());
    let found = solve(&problem, network, &[TheoryKind::Adaptive], &TEMPERATURES, |_| ControlFlow::Continue(()))?;
    found.warnings.iter().for_each(|warning| eprintln!("{name}: {warning}"));
    Ok(found.predictions.into_iter().flatten().collect())
}

fn estimate(p: &Prediction, observable: &str) -> Option<Estimate> {
    match observable {
        "centroid_distance_sq" => p.centroid_distance_sq.first().copied(),
        "readout_second_moment" => Some(p.readout_second_moment),
        "readout_weight_correlation_norm" => p.readout_weight_correlation,
        "weight_second_moment_along_u" => p.weight_second_moment_along_u,
        "train_loss" => p.train_loss,
        _ => None,
    }
}

/// One prediction beside its samples.
struct Case {
    problem: String,
    load: f64,
    temperature: f64,
    observable: String,
    theory: String,
    /// predicted/sampled − 1, and the error of both together; NaN where there is no prediction.
    deviation: f64,
    error: f64,
}

fn read(path: &str) -> Result<Vec<Case>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let case = |line: &str| -> Result<Case, Box<dyn Error>> {
        let cells: Vec<&str> = line.split(',').collect();
        let [data, activation, width, points, temperature, observable, mean, mcse, _, theory, predicted, own] =
            cells[..]
        else {
            return Err(format!("not twelve cells: {line}").into());
        };
        let (mean, predicted): (f64, f64) = (mean.parse()?, predicted.parse()?);
        let (mcse, own): (f64, f64) = (mcse.parse()?, own.parse()?);
        let load = points.parse::<f64>()? / width.parse::<f64>()?;
        Ok(Case {
            problem: format!("{data},{activation},{width},{points},{temperature},{observable}"),
            load: if load < 1.0 { 0.5 } else { 2.0 },
            temperature: temperature.parse()?,
            observable: observable.into(),
            theory: theory.into(),
            deviation: predicted / mean - 1.0,
            error: (own / mean).hypot(mcse * predicted / mean.powi(2)),
        })
    };
    text.lines().skip(1).map(case).collect()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Median |deviation| in per cent by theory for every observable, load and temperature, then how
/// often each theory is good enough, and the closest.
fn table(path: &str) -> Result<(), Box<dyn Error>> {
    let cases = read(path)?;
    let names = TheoryKind::ALL.map(TheoryKind::name);
    println!(
        "Median over data, activations and widths of |predicted/sampled − 1| in per cent, of the predictions that there are (in brackets"
    );
    println!("how many of how many); infinite width predicts no correlation.\n");
    println!("| | α | T | median error of a sample | {} |", names.join(" | "));
    println!("|---|---|---|---|---|---|---|---|");
    for (observable, symbol) in OBSERVABLES {
        for load in LOADS {
            for temperature in TEMPERATURES {
                let here = |c: &&Case| c.observable == observable && c.load == load && c.temperature == temperature;
                let cells = names.map(|theory| {
                    let all: Vec<&Case> = cases.iter().filter(here).filter(|c| c.theory == theory).collect();
                    let mut found: Vec<f64> =
                        all.iter().map(|c| 100.0 * c.deviation.abs()).filter(|x| x.is_finite()).collect();
                    let (n, of) = (found.len(), all.len());
                    median(&mut found).map_or_else(|| "-".into(), |x| format!("{x:.2} ({n}/{of})"))
                });
                let mut errors: Vec<f64> = cases
                    .iter()
                    .filter(here)
                    .filter(|c| c.theory == "nngp" || c.theory == "saddle")
                    .map(|c| 100.0 * c.error)
                    .filter(|x| x.is_finite())
                    .collect();
                let error = median(&mut errors).map_or_else(|| "-".into(), |x| format!("{x:.2}"));
                println!("| {symbol} | {load} | {temperature} | {error} | {} |", cells.join(" | "));
            }
        }
    }
    let mut problems: BTreeMap<&str, BTreeMap<&str, &Case>> = BTreeMap::new();
    for case in &cases {
        problems.entry(&case.problem).or_default().insert(&case.theory, case);
    }
    let good = |case: &Case| case.deviation.abs() < 0.01 || case.deviation.abs() < 3.0 * case.error;
    println!("\nOf all {} pairs of a problem and an observable:\n", problems.len());
    println!("| theory | has a prediction | within 1 % or 3 combined errors | closer than saddle |");
    println!("|---|---|---|---|");
    for theory in names {
        let predicted: Vec<_> = problems
            .values()
            .filter_map(|by| Some((by.get(theory)?, by.get("saddle")?)))
            .filter(|(case, _)| case.deviation.is_finite())
            .collect();
        let within = predicted.iter().filter(|(case, _)| good(case)).count();
        let closer = predicted.iter().filter(|(case, saddle)| case.deviation.abs() < saddle.deviation.abs()).count();
        println!("| {theory} | {} | {within} | {closer} |", predicted.len());
    }
    cold(&cases);
    println!("\nWhere adaptive has a prediction and misses (more than 1 % and 3 combined errors), largest first:\n");
    println!("| data, σ, N1, P, T, observable | adaptive, per cent | saddle, per cent |\n|---|---|---|");
    let mut misses: Vec<_> = problems
        .iter()
        .filter_map(|(problem, by)| Some((problem, by.get("adaptive")?, by.get("saddle")?)))
        .filter(|(_, case, _)| case.deviation.is_finite() && !good(case))
        .collect();
    misses.sort_by(|a, b| b.1.deviation.abs().total_cmp(&a.1.deviation.abs()));
    for (problem, case, saddle) in misses {
        let text = |case: &Case| format!("{:+.2} ± {:.2}", 100.0 * case.deviation, 100.0 * case.error);
        println!("| {} | {} | {} |", problem.replace(',', ", "), text(case), text(saddle));
    }
    Ok(())
}

/// Of every problem with P = 2 N1 at T = 0.1 the deviations of adaptive, with errors, and of
/// saddle.
fn cold(cases: &[Case]) {
    println!("\nAt P = 2 N1, T = 0.1, per cent: adaptive, and saddle in brackets.\n");
    println!("| data, σ, N1, P, T | {} |", OBSERVABLES.map(|(_, symbol)| symbol).join(" | "));
    println!("|---|---|---|---|---|---|");
    let here = |c: &&Case| c.load == 2.0 && c.temperature == 0.1 && c.theory == "adaptive";
    for first in cases.iter().filter(here).filter(|c| c.observable == OBSERVABLES[0].0) {
        let problem = first.problem.trim_end_matches(&format!(",{}", first.observable));
        let cells = OBSERVABLES.map(|(observable, _)| {
            let of = |theory: &str| {
                let name = format!("{problem},{observable}");
                cases.iter().find(|c| c.problem == name && c.theory == theory).map(|c| (c.deviation, c.error))
            };
            let (Some((deviation, error)), Some((saddle, _))) = (of("adaptive"), of("saddle")) else {
                return "-".into();
            };
            let found = if deviation.is_finite() {
                format!("{:+.1} ± {:.1}", 100.0 * deviation, 100.0 * error)
            } else {
                "-".to_string()
            };
            format!("{found} ({:+.1})", 100.0 * saddle)
        });
        println!("| {} | {} |", problem.replace(',', ", "), cells.join(" | "));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sample"] => sample(""),
        ["sample", word] => sample(word),
        ["theory", path] => theory(path, ""),
        ["theory", path, word] => theory(path, word),
        ["table", path] => table(path),
        _ => Err("say `sample`, `theory FILE` or `table FILE`".into()),
    }
}
