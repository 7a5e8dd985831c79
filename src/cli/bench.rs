//! `featherm bench`: what the samplers cost and what they are worth.

use std::fmt::Write;

use serde_json::json;

use super::args::{BenchCommand, BiasArgs};
use super::progress::Display;
use super::{Failure, print, print_json};
use crate::bias::{BiasRow, measure};

pub fn bench(command: &BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Bias(arguments) => bias(arguments),
    }
}

fn bias(arguments: &BiasArgs) -> Result<(), Failure> {
    let experiment = arguments.experiment.experiment()?;
    let mut display = Display::bar();
    let rows = measure(&experiment, |state| display.update(state));
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
