//! `featherm descend`: gradient descent from prior draws.

use std::fmt::Write;

use super::args::DescendArgs;
use super::progress::Display;
use super::{Failure, print, print_json};
use crate::descent::{Descent, DescentError, Spread, Track, descend as follow};

pub fn descend(arguments: &DescendArgs) -> Result<(), Failure> {
    let experiment = arguments.experiment.experiment()?;
    let plan = arguments.plan()?;
    let mut display = Display::bar();
    let found = follow(&experiment, plan, |done| display.show("descent", "steps", done as usize, plan.steps as usize));
    display.finish();
    let found = found.map_err(|error| match error {
        DescentError::Run(error) => Failure::from(error),
        unstable @ DescentError::Unstable { .. } => Failure::Failed(unstable.to_string()),
    })?;
    if arguments.json {
        print_json("featherm.descent/1", &found)?;
    } else {
        print(&table(&found));
    }
    if found.interrupted {
        return Err(Failure::Interrupted("interrupted; the table ends where descent was stopped".into()));
    }
    Ok(())
}

/// Tracks in columns, records in lines; then the equilibrium of the theories.
fn table(found: &Descent) -> String {
    let mut text = format!(
        "gradient descent from {} draws of the prior, learning rate η = {:.3e}; mean ± standard deviation over the starts\n",
        found.starts, found.learning_rate
    );
    let heading = |track: &Track| {
        let element = track.element.map_or_else(String::new, |k| format!(" {k}"));
        format!("{}{element}", track.observable)
    };
    let columns: String = found.tracks.iter().map(|track| format!(" {:>24}", heading(track))).collect();
    // write! to a String cannot fail.
    let _ = writeln!(text, "{:>9} {:>11}{columns}", "step", "time η·step");
    for (k, (step, time)) in found.step.iter().zip(&found.time).enumerate() {
        let values: String = found.tracks.iter().map(|track| format!(" {:>24}", spread(&track.values[k]))).collect();
        let _ = writeln!(text, "{step:>9} {time:>11.4e}{values}");
    }
    let _ = writeln!(text, "\nin equilibrium\n{:>9} {:>11} {:>11}  D²", "T", "", "⟨L⟩/P");
    for point in &found.equilibrium {
        let distances: String = point.centroid_distance_sq.iter().map(|d| format!(" {d:>9.5}")).collect();
        let (t, theory, loss) = (point.temperature, point.theory, point.train_loss);
        let _ = writeln!(text, "{t:>9.4} {theory:>11} {loss:>11.6} {distances}");
    }
    text
}

fn spread(value: &Spread) -> String {
    match value.sd {
        Some(sd) => format!("{:.5} ± {:.5}", value.mean, sd),
        None => format!("{:.5}", value.mean),
    }
}
