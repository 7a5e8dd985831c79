//! `featherm bench`: what the samplers cost and what they are worth.

use std::fmt::Write;

use serde::Serialize;
use serde_json::json;

use super::args::{BenchArgs, BenchCommand, BiasArgs, SpeedArgs};
use super::progress::Display;
use super::{Failure, print, print_json};
use crate::backend::StageTime;
use crate::sampler::Readout;
use crate::session::tune;
use crate::studies::bias::{BiasRow, measure};
use crate::studies::load;
use crate::studies::speed::{StepSpeed, add_run, steps_of};

pub fn bench(arguments: &BenchArgs) -> Result<(), Failure> {
    match &arguments.command {
        Some(BenchCommand::Bias(arguments)) => bias(arguments),
        None => speed(&arguments.speed),
    }
}

fn speed(arguments: &SpeedArgs) -> Result<(), Failure> {
    let mut cases = Vec::new();
    let mut device = None;
    for (name, setup) in arguments.cases()? {
        if arguments.tune {
            let on_cpu = || Failure::BadInput("--tune is for a GPU: add --backend gpu, or --adapter".into());
            eprintln!("{}", tune(setup.experiment(), &load(&setup)?, setup.device())?.ok_or_else(on_cpu)?);
        }
        let (used, mut speeds) = steps_of(&setup, arguments.rounds.into())?;
        if !arguments.steps_only {
            let mut display = Display::bar();
            let run = add_run(&mut speeds, &setup, |event| display.update(event));
            display.finish();
            run?;
        }
        device = Some(used);
        if !arguments.json {
            if cases.is_empty() {
                print(SPEED_HEADER);
            }
            print(&speed_rows(&name, &speeds));
        }
        cases.extend(speeds.into_iter().map(|speed| Case { case: name.clone(), speed }));
    }
    if arguments.json {
        return print_json("featherm.bench/1", &json!({ "device": device, "cases": cases }));
    }
    let name = device.map_or_else(String::new, |device| format!("{} {}", device.backend, device.name));
    print(&format!("on {name}; flops at 4·P·r·N1 per chain-step; ESS/s of the temperature that has fewest\n"));
    Ok(())
}

/// A row of the document: a case has one for each way to treat the readout.
#[derive(Serialize)]
struct Case {
    case: String,
    #[serde(flatten)]
    speed: StepSpeed,
}

const SPEED_HEADER: &str = concat!(
    "case     readout        P    r   N1  chains  chain-steps/s  Gflop/s  matmul  fraction  stages, per cent of a step",
    "                                     MiB   D² ESS/s  ⟨v²⟩ ESS/s  ⟨L⟩ ESS/s\n"
);

fn speed_rows(name: &str, speeds: &[StepSpeed]) -> String {
    let mut text = String::new();
    for speed in speeds {
        let number = |value: Option<f64>, decimals: usize| value.map_or("-".into(), |x| format!("{x:.decimals$}"));
        let whole: f64 = speed.stages.iter().map(|stage| stage.seconds).sum();
        let share = |stage: &StageTime| format!("{} {:.0}", stage.stage, 100.0 * stage.seconds / whole);
        let stages = speed.stages.iter().map(share).collect::<Vec<_>>().join(", ");
        let ess = |name: &str| {
            let all = speed.run.as_ref().and_then(|run| run.ess_per_s.get(name));
            number(all.map(|ess| ess.iter().copied().fold(f64::INFINITY, f64::min)), 0)
        };
        // write! to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:8} {:10} {:5} {:4} {:4} {:>7} {:14.0} {:8.1} {:>7} {:>9}  {stages:62} {:>6} {:>10} {:>11} {:>10}",
            if speed.readout == Readout::Integrated { "integrated" } else { "sampled" },
            speed.p,
            speed.rank,
            speed.width,
            format!("{}×{}", speed.temperatures.len(), speed.chains),
            speed.chain_steps_per_s,
            speed.gflops,
            number(speed.matmul_gflops, 1),
            number(speed.fraction_of_matmul, 2),
            number(speed.peak_memory_mib, 0),
            ess("centroid_distance_sq"),
            ess("readout_second_moment"),
            ess("train_loss"),
        );
        if let Some(tiling) = &speed.tiling {
            let gaps = speed.gaps.map_or("unknown: no clock".into(), |gaps| format!("{:.1} %", 100.0 * gaps));
            let _ = writeln!(text, "{:8} tiles: {tiling}; gaps between dispatches: {gaps}", "");
        }
    }
    text
}

fn bias(arguments: &BiasArgs) -> Result<(), Failure> {
    let setup = arguments.experiment.setup()?;
    let mut display = Display::bar();
    let rows = measure(&setup, |event| display.update(event));
    display.finish();
    let rows = rows?;
    if arguments.json {
        return print_json("featherm.bias/1", &json!({ "rows": rows }));
    }
    print(&table(&rows));
    Ok(())
}

fn table(rows: &[BiasRow]) -> String {
    let mut text = format!(
        "{:>9} {:>6} {:32} {:>11} {:>10} {:>21} {:>13}\n",
        "T", "", "observable", "malt", "h or η", "bias", "order"
    );
    for row in rows {
        for step in &row.steps {
            let sampler = format!("{:?}", row.sampler).to_lowercase();
            let order = match (step.order, step.order_error) {
                (Some(order), Some(error)) => format!("{order:.2} ± {error:.2}"),
                _ => "-".into(),
            };
            // write! to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>9} {sampler:>6} {:32} {:>11.5} {:>10.3e} {:>10.5} ± {:>8.5} {order:>13}",
                row.temperature, row.observable, row.reference, step.step_size, step.bias, step.mcse
            );
        }
    }
    text
}
