//! The signatures that are more than one number of a draw, in tables: the displaced Gram matrix,
//! the predictor, the weights and how the theories of one unit were solved.

use super::html::table;
use crate::compare::Measured;
use crate::report::figure::Numbers;
use crate::results::{Document, TemperatureReport, short, with_error};
use crate::theory::TheoryKind;
use crate::theory::unit::Method;

/// The tables, each with a line on how to read it; empty where a run has nothing of the kind.
pub fn tables(run: &Document) -> String {
    let all: [(&str, &str, [&str; 5], Row); 3] = [
        (
            "The Gram matrix",
            "‖⟨G⟩ − K‖ without the Monte Carlo error of its entries. Below: ‖⟨G⟩ − theory‖/‖⟨G⟩ − K‖, of which Monte Carlo error alone makes what stands in brackets, and the \
             correlation of the entries of the two displacements.",
            ["T", "‖⟨G⟩ − K‖/‖K‖", "yᵀ(⟨G⟩ − K)y/(yᵀy)²", "alignment with yyᵀ", "against theory"],
            gram,
        ),
        (
            "The predictor at the test points",
            "Coverage is the fraction of labels in the central 90 % of a Gaussian of mean ⟨f*⟩ and variance Var f* + T. Below: what the theory says, and root mean square over the points \
             of sampled ⟨f*⟩ − theory, in brackets in units of its error.",
            ["T", "bias²", "variance", "coverage, 90 %", "f* − theory"],
            predictor,
        ),
        (
            "The weights",
            "⟨v⁴⟩/⟨v²⟩² is 3 where v is Gaussian. Below: the theory's, the largest difference of the distribution functions (Kolmogorov and Smirnov), and how the unit was solved: share of \
             the draws that is effective, residual and, of adaptive, effective parameters per hidden unit.",
            ["T", "⟨v⟩", "⟨v⁴⟩/⟨v²⟩²", "densities of v and w·û", "theories of one unit"],
            weights,
        ),
    ];
    let mut text = String::new();
    for (title, note, header, row) in all {
        let rows: Vec<Vec<String>> =
            run.temperatures.iter().filter_map(|at| row(at, run.config.network.width)).collect();
        if rows.is_empty() {
            continue;
        }
        let numbers = Numbers { header: header.map(String::from).to_vec(), rows };
        text +=
            &format!("<h3>{title}</h3>\n<div class=\"box\">{}<p class=\"soft\">{note}</p></div>\n", table(&numbers));
    }
    text
}

/// The cells of one temperature of networks of N1 units; the first line of each is sampled.
type Row = fn(&TemperatureReport, Option<usize>) -> Option<Vec<String>>;

const NONE: &str = "–";

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.into(), |x| format!("{x:.digits$}"))
}

fn measured(found: Measured) -> String {
    if found.value.is_some() { with_error(found.value, found.error) } else { NONE.into() }
}

/// A cell whose further lines are one for every theory that `says` something.
fn by_theory(first: String, says: impl Fn(TheoryKind) -> Option<String>) -> String {
    let line = |kind: TheoryKind| Some(format!("\n{} {}", kind.name(), says(kind)?));
    first + &TheoryKind::ALL.into_iter().filter_map(line).collect::<String>()
}

fn gram(at: &TemperatureReport, _: Option<usize>) -> Option<Vec<String>> {
    let found = at.signatures.gram.as_ref()?;
    let of = |kind: TheoryKind| found.theory.get(kind.name());
    let moved = |kind: TheoryKind| of(kind).filter(|_| kind != TheoryKind::Nngp);
    Some(vec![
        short(at.temperature),
        measured(found.relative_displacement),
        by_theory(measured(found.along_labels), |kind| Some(number(moved(kind)?.along_labels, 5))),
        by_theory(measured(found.alignment), |kind| Some(number(of(kind)?.alignment, 4))),
        by_theory("relative error, correlation".into(), |kind| {
            let theory = moved(kind)?;
            let [error, floor, correlation] = [theory.relative_error?, theory.noise_floor?, theory.correlation?];
            Some(format!("{error:.3} ({floor:.3}), {correlation:.4}"))
        }),
    ])
}

fn predictor(at: &TemperatureReport, _: Option<usize>) -> Option<Vec<String>> {
    let found = at.signatures.predictor.as_ref()?;
    let of = |kind: TheoryKind| found.theory.get(kind.name());
    let coverage = |who: &str| found.coverage.get("0.9")?.get(who).map(|c| format!("{:.3}", c.with_noise));
    Some(vec![
        short(at.temperature),
        by_theory(measured(found.bias_squared), |kind| Some(number(Some(of(kind)?.bias_squared?), 4))),
        by_theory(measured(found.variance), |kind| Some(number(Some(of(kind)?.variance?), 4))),
        by_theory(coverage("sampled").unwrap_or_else(|| NONE.into()), |kind| coverage(kind.name())),
        by_theory("rms (in errors)".into(), |kind| {
            let theory = of(kind)?;
            Some(format!("{:.4} ({:.1})", theory.rms_difference?, theory.rms_z?))
        }),
    ])
}

fn weights(at: &TemperatureReport, units: Option<usize>) -> Option<Vec<String>> {
    let scalar = |name: &str| {
        let found = at.observables.get(name)?;
        Some((found.mean.scalar()?, found.mcse.scalar()))
    };
    let predicted = |name: &str, kind: TheoryKind| at.observables.get(name)?.theory.get(kind.name())?.scalar();
    let (second, fourth) = (scalar("readout_second_moment")?, scalar("readout_fourth_moment")?);
    let distance = |kind: TheoryKind| {
        let found = &at.signatures.densities.as_ref()?.distance;
        let [v, along] = [&found.readout, &found.weight_along_u]
            .map(|all| number(all.get(kind.name()).and_then(|d| d.kolmogorov_smirnov), 4));
        Some(format!("{v}, {along}"))
    };
    let mean = scalar("readout_mean");
    Some(vec![
        short(at.temperature),
        by_theory(mean.map_or_else(|| NONE.into(), |(value, error)| with_error(Some(value), error)), |kind| {
            predicted("readout_mean", kind).map(|x| format!("{x:.4}"))
        }),
        by_theory(number(Some(fourth.0 / second.0.powi(2)), 3), |kind| {
            let (fourth, second) =
                (predicted("readout_fourth_moment", kind)?, predicted("readout_second_moment", kind)?);
            Some(format!("{:.3}", fourth / second.powi(2)))
        }),
        by_theory("KS of v, of w·û".into(), distance),
        by_theory("solved by".into(), |kind| {
            let unit = at.units.get(kind.name())?;
            let method = match unit.method {
                Method::Importance => "prior draws",
                Method::Chain => "chains",
            };
            let per_unit = unit.effective_parameters.zip(units).map_or_else(String::new, |(parameters, units)| {
                format!(", {:.2} per unit", parameters.value / units as f64)
            });
            let residual =
                if unit.iterations > 0 { format!(", residual {:.0e}", unit.residual) } else { String::new() };
            Some(format!("{method}, {:.2} effective{residual}{per_unit}", unit.effective_fraction))
        }),
    ])
}
