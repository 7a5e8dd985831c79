//! `featherm scaling`: one problem at many widths.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::args::ScalingArgs;
use super::progress::Display;
use super::remedies::flag;
use super::{Failure, print, print_json, with_remedies};
use crate::results::short;
use crate::studies::scaling::{Scaling, ScalingError, ScalingRow, Verdict, measure};

pub fn scaling(arguments: &ScalingArgs) -> Result<(), Failure> {
    let setup = arguments.experiment.setup()?;
    let mut display = Display::bar();
    let found = measure(&setup, arguments.hold, &arguments.widths, |event| display.update(event));
    display.finish();
    let found = found?;
    if arguments.json {
        return print_json("featherm.scaling/1", &found);
    }
    print(&table(&found));
    Ok(())
}

impl From<ScalingError> for Failure {
    fn from(error: ScalingError) -> Self {
        match error {
            ScalingError::Study(error) => error.into(),
            error if error.is_bad_input() => Self::BadInput(with_remedies(&error)),
            error => Self::Failed(with_remedies(&error)),
        }
    }
}

fn table(scaling: &Scaling) -> String {
    let mut text = block("relative deviation, sampled/theory − 1, in per cent", scaling, &scaling.rows);
    if !scaling.displacements.is_empty() {
        let title = "\nthe same of displacements, (sampled − nngp)/(theory − nngp) − 1, in per cent";
        text += &block(title, scaling, &scaling.displacements);
    }
    text + &doubts(scaling)
}

/// What the reader should know before trusting a number, as below the table of a run: what has not
/// converged and what to change, and every warning once with its widths.
fn doubts(scaling: &Scaling) -> String {
    let mut text = String::new();
    let mut open = false;
    for size in &scaling.sizes {
        for at in size.temperatures.iter().filter(|at| !at.converged) {
            open = true;
            let lines: Vec<String> = at.complaints.iter().map(|complaint| complaint.in_words(flag)).collect();
            let (width, advice) = (size.width, lines.join("; "));
            // write! to a String cannot fail.
            let _ =
                writeln!(text, "warning: N1 = {width} has not converged at T = {}: {advice}", short(at.temperature));
        }
    }
    if open {
        text.insert_str(0, "* not converged, and left out of the line to N1 = ∞, which takes three widths\n");
    }
    let mut widths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for size in &scaling.sizes {
        for warning in &size.warnings {
            widths.entry(warning).or_default().push(size.width.to_string());
        }
    }
    for (warning, widths) in widths {
        let _ = writeln!(text, "warning: N1 = {}: {warning}", widths.join(", "));
    }
    text
}

fn block(title: &str, scaling: &Scaling, rows: &[ScalingRow]) -> String {
    let mut text = format!("{title}\n");
    let sizes: String =
        scaling.sizes.iter().map(|s| format!(" {:>16} ", format!("{},{},{}", s.width, s.train, s.dimension))).collect();
    // write! to a String cannot fail.
    let _ = writeln!(text, "{:>9} {:36} {:11}{sizes} {:>16} {:>6}  limit", "T", "", "N1,P,N0", "N1 = ∞", "χ²/df");
    for row in rows {
        let element = row.element.map_or_else(String::new, |k| format!(" {k}"));
        let _ =
            write!(text, "{:>9.4} {:36} {:11}", row.temperature, format!("{}{element}", row.observable), row.theory);
        for ((deviation, error), converged) in row.deviation.iter().zip(&row.error).zip(&row.converged) {
            let mark = if *converged || deviation.is_none() { ' ' } else { '*' };
            let _ = write!(text, " {:>16}{mark}", per_cent(deviation.zip(*error)));
        }
        let limit = row.line.map(|line| (line.limit, line.limit_error));
        let _ = write!(text, " {:>16}", per_cent(limit));
        let _ = match row.line.zip(row.verdict) {
            Some((line, verdict)) => {
                let verdict = match verdict {
                    Verdict::Zero => "zero".into(),
                    Verdict::NotZero => format!("not zero ({:+.0} errors)", line.z()),
                    Verdict::Undetermined => "undetermined".into(),
                };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::{Remedy, Setting};
    use crate::results::verdict::{Cause, Complaint};
    use crate::studies::scaling::{Convergence, FixedQuantity, Line, Size};

    fn scaling(converged: bool, verdict: Verdict) -> Scaling {
        let size = |width, converged| Size {
            width,
            train: 20,
            dimension: 5,
            temperatures: vec![Convergence {
                temperature: 0.5,
                converged,
                complaints: if converged {
                    vec![]
                } else {
                    vec![Complaint::new(Cause::NoRhat, [Remedy::raise(Setting::Chains).to(4)])]
                },
            }],
            warnings: vec!["the branch is lost".into()],
        };
        let line = Line { limit: -0.1, limit_error: 0.02, slope: 1.0, slope_error: 0.1, chi_square: 1.0, degrees: 1 };
        let row = ScalingRow {
            temperature: 0.5,
            observable: "centroid_distance_sq".into(),
            element: None,
            theory: "saddle".into(),
            deviation: vec![Some(0.3), None, Some(0.1), Some(0.05)],
            error: vec![Some(0.01), None, Some(0.01), Some(0.01)],
            converged: vec![converged, true, true, true],
            line: Some(line),
            verdict: Some(verdict),
        };
        let sizes = vec![size(10, converged), size(20, true), size(40, true), size(80, true)];
        Scaling { hold: FixedQuantity::Train, sizes, rows: vec![row], displacements: vec![] }
    }

    #[test]
    fn what_has_not_converged_is_marked_and_said_with_its_advice() {
        let text = table(&scaling(false, Verdict::Zero));
        assert!(text.contains("30.00 ± 1.00*") && text.contains("10.00 ± 1.00 "), "{text}");
        assert_eq!(text.matches('*').count(), 2, "the point and what the mark means: {text}");
        assert!(text.contains("warning: N1 = 10 has not converged at T = 0.5: whether chains agree cannot be said: raise --chains to 4\n"), "{text}");
        let control = table(&scaling(true, Verdict::Zero));
        assert!(!control.contains('*') && !control.contains("converged"), "{control}");
    }

    #[test]
    fn a_warning_is_said_once_with_its_widths() {
        let text = table(&scaling(true, Verdict::Zero));
        assert_eq!(text.matches("the branch is lost").count(), 1, "{text}");
        assert!(text.ends_with("warning: N1 = 10, 20, 40, 80: the branch is lost\n"), "{text}");
    }

    #[test]
    fn a_verdict_has_three_values() {
        for (verdict, said) in [
            (Verdict::Zero, "  zero\n"),
            (Verdict::NotZero, "  not zero (-5 errors)\n"),
            (Verdict::Undetermined, "  undetermined\n"),
        ] {
            let text = table(&scaling(true, verdict));
            assert!(text.contains(said), "{text}");
        }
    }
}
