//! `featherm scaling`: one problem at many widths.

use std::fmt::Write;

use super::args::ScalingArgs;
use super::progress::Display;
use super::{Failure, print, print_json};
use crate::scaling::{Scaling, ScalingRow, measure};

/// Limits below this many errors are called zero.
const SIGNIFICANT: f64 = 3.0;

pub fn scaling(arguments: &ScalingArgs) -> Result<(), Failure> {
    let experiment = arguments.experiment.experiment()?;
    let mut display = Display::bar();
    let found = measure(&experiment, arguments.hold, &arguments.widths, |state| display.update(state));
    display.finish();
    let found = found?;
    if arguments.json {
        return print_json("featherm.scaling/1", &found);
    }
    print(&table(&found));
    Ok(())
}

fn table(scaling: &Scaling) -> String {
    let mut text = block("relative deviation, sampled/theory − 1, in per cent", scaling, &scaling.rows);
    if !scaling.displacements.is_empty() {
        let title = "\nthe same of displacements, (sampled − nngp)/(theory − nngp) − 1, in per cent";
        text += &block(title, scaling, &scaling.displacements);
    }
    text
}

fn block(title: &str, scaling: &Scaling, rows: &[ScalingRow]) -> String {
    let mut text = format!("{title}\n");
    let sizes: String =
        scaling.sizes.iter().map(|s| format!(" {:>16}", format!("{},{},{}", s.width, s.train, s.dimension))).collect();
    // write! to a String cannot fail.
    let _ = writeln!(text, "{:>9} {:36} {:11}{sizes} {:>16} {:>6}  limit", "T", "", "N1,P,N0", "N1 = ∞", "χ²/df");
    for row in rows {
        let element = row.element.map_or_else(String::new, |k| format!(" {k}"));
        let _ =
            write!(text, "{:>9.4} {:36} {:11}", row.temperature, format!("{}{element}", row.observable), row.theory);
        for (deviation, error) in row.deviation.iter().zip(&row.error) {
            let _ = write!(text, " {:>16}", per_cent(deviation.zip(*error)));
        }
        let limit = row.line.map(|line| (line.limit, line.limit_error));
        let _ = write!(text, " {:>16}", per_cent(limit));
        let _ = match row.line {
            Some(line) => {
                let z = line.limit / line.limit_error;
                let verdict = if z.abs() < SIGNIFICANT { "zero".into() } else { format!("{z:+.0} errors from zero") };
                writeln!(text, " {:>6.1}  {verdict}", line.chi_square / line.degrees.max(1) as f64)
            }
            None => writeln!(text, " {:>6}  -", "-"),
        };
    }
    text
}

fn per_cent(value: Option<(f64, f64)>) -> String {
    value.map_or_else(|| "-".into(), |(x, error)| format!("{:.2} ± {:.2}", 100.0 * x, 100.0 * error))
}
