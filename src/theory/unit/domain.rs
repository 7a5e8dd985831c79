//! Where the adaptive theory is to be relied on: as long as there are not many more effective parameters than hidden units.
//!
//! Its expansion is in what one unit does to the field of all others, which is of the order of the effective number of parameters Σ_μ Var f_μ/T over N1. At P/N1 from ½ to 2 and T down to 0.01,
//! up to 1.1 of them per unit it was right to some two per cent (⟨L⟩ of ReLU to five), at 1.4 off by up to six and at 1.9 by up to 17: there one unit of a sampled network grows to |v| above √N1 and
//! fits the labels alone, which gives the others another field than the one that all units share in the theory (`docs/theory-errors.md`).

use super::UnitPrediction;

/// Effective parameters per unit beyond which the theory warns of itself.
const MOST_PER_UNIT: f64 = 1.2;

/// What is to be said of those `predictions` for networks of this `width` that go beyond it, if any do.
pub fn doubt<'a>(width: usize, predictions: impl IntoIterator<Item = &'a UnitPrediction>) -> Option<String> {
    let per_unit = |p: &UnitPrediction| Some((p.temperature, p.effective_parameters?.value / width as f64));
    let beyond: Vec<(f64, f64)> =
        predictions.into_iter().filter_map(per_unit).filter(|(_, per_unit)| *per_unit > MOST_PER_UNIT).collect();
    let listed = |values: &dyn Fn(&(f64, f64)) -> String| beyond.iter().map(values).collect::<Vec<_>>().join(", ");
    (!beyond.is_empty()).then(|| {
        format!(
            "do not rely on the adaptive theory at T = {}: the fit has {} effective parameters per hidden unit; up to 1.1 of them the theory was right to some 2 % where it was \
             tested, at 1.4 off by up to 6 % and at 1.9 by up to 17 %",
            listed(&|(temperature, _)| format!("{temperature:.4}").trim_end_matches('0').trim_end_matches('.').into()),
            listed(&|(_, per_unit)| format!("{per_unit:.2}")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::theory::tests::{network, problem};
    use crate::theory::unit::{Estimate, Params};
    use crate::theory::{Kind, Theory};

    #[test]
    fn only_predictions_with_more_parameters_than_units_are_doubted() {
        let theory = Theory::new(&problem(), &network(Activation::Erf)).unwrap();
        let params = Params { sets: 2, ..Params::default() };
        let found = theory.unit_ladder(Kind::Adaptive, &[1.0], &params).remove(0).unwrap();
        // No more than one per point, and in the end as many as the loss leaves room for.
        let parameters = found.effective_parameters.unwrap().value;
        assert!(parameters > 0.0 && parameters < 30.0, "{parameters}");
        let with = |temperature: f64, parameters: f64| UnitPrediction {
            temperature,
            effective_parameters: Some(Estimate::exact(parameters)),
            ..found.clone()
        };
        let ladder = [with(1.0, 3.0), with(0.3, 14.0), with(0.05, 15.0), with(0.005, 20.0)];
        let said = doubt(12, &ladder).unwrap();
        assert!(said.contains("at T = 0.05, 0.005:") && said.contains("1.25, 1.67 effective"), "{said}");
        assert_eq!(doubt(12, &ladder[..2]), None);
        let single = theory.unit_ladder(Kind::SingleUnit, &[1.0], &params).remove(0).unwrap();
        assert_eq!((single.effective_parameters, doubt(1, [&single])), (None, None));
    }
}
