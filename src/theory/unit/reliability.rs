//! Where the adaptive theory is not to be relied on: where one unit of a network may fit the labels
//! alone, which leaves the others another field than the one that all units share.
//!
//! Nothing in a solution at one temperature says so; two things do, and were found to before any
//! observable was off by more than two or three per cent (⟨L⟩ of ReLU by five;
//! `docs/theory-errors.md`):
//!
//! * **many effective parameters per hidden unit**, Σ_μ Var f_μ/(T N1): what one unit does to the
//!   field of the others is of that order;
//! * **⟨v⁴⟩/⟨v²⟩² that falls as it cools**: that of networks rises, to its largest where one unit
//!   has grown to |v| of about √N1.

use crate::theory::Prediction;

/// Effective parameters per unit beyond which the theory warns of itself.
const MOST_PER_UNIT: f64 = 1.2;

/// ⟨v⁴⟩/⟨v²⟩² over the largest at any higher temperature below which it has fallen.
const FALLEN: f64 = 0.9;

/// What is to be said of the adaptive ones among `predictions`, in any order, for networks of this
/// `width`, where one of the two holds.
pub fn reliability_warning<'a>(width: usize, predictions: impl IntoIterator<Item = &'a Prediction>) -> Option<String> {
    let of_adaptive = |p: &'a Prediction| {
        let fourth = p.readout_fourth_moment?.value;
        Some((p, p.unit.as_ref()?.effective_parameters?.value / width as f64, fourth))
    };
    let mut ladder: Vec<_> = predictions.into_iter().filter_map(of_adaptive).collect();
    ladder.sort_by(|(a, ..), (b, ..)| b.temperature.total_cmp(&a.temperature));
    let mut largest = 0.0f64;
    let mut doubted = Vec::new();
    for (p, per_unit, fourth) in ladder {
        let kurtosis = fourth / p.readout_second_moment.value.powi(2);
        let mut reasons = Vec::new();
        if per_unit > MOST_PER_UNIT {
            reasons.push(format!("{per_unit:.2} effective parameters per hidden unit"));
        }
        if kurtosis < FALLEN * largest {
            reasons.push(format!("⟨v⁴⟩/⟨v²⟩² has fallen from {largest:.2} to {kurtosis:.2}"));
        }
        if !reasons.is_empty() {
            doubted.push(format!("{:.3e} ({})", p.temperature, reasons.join(", ")));
        }
        largest = largest.max(kurtosis);
    }
    (!doubted.is_empty()).then(|| {
        format!(
            "do not rely on the adaptive theory at T = {}: a unit of the network may fit the labels alone there, which the theory does not follow",
            doubted.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::numerics::estimate::Estimate;
    use crate::theory::tests::{network, problem};
    use crate::theory::unit::tests::solve;
    use crate::theory::unit::{Params, UnitDetails};
    use crate::theory::{Theory, TheoryKind};

    #[test]
    fn what_one_unit_may_take_over_is_doubted() {
        let theory = Theory::new(&problem(), &network(Activation::Erf)).unwrap();
        let params = Params { sets: 2, ..Params::default() };
        let found = solve(&theory, TheoryKind::Adaptive, 1.0, &params);
        let unit = found.unit.clone().unwrap();
        let parameters = unit.effective_parameters.unwrap().value;
        assert!(parameters > 0.0 && parameters < 30.0, "{parameters}");
        let with = |temperature: f64, parameters: f64, kurtosis: f64| Prediction {
            temperature,
            readout_second_moment: Estimate::exact(1.5),
            readout_fourth_moment: Some(Estimate::exact(kurtosis * 2.25)),
            unit: Some(UnitDetails { effective_parameters: Some(Estimate::exact(parameters)), ..unit.clone() }),
            ..found.clone()
        };
        // As at Fashion-MNIST 2/4 and 1/3, with twelve units.
        let many = [with(0.05, 15.0, 4.1), with(1.0, 3.0, 3.0), with(0.1, 13.0, 4.0)];
        let said = reliability_warning(12, &many).unwrap();
        assert!(said.contains("at T = 5.000e-2 (1.25 effective parameters per hidden unit):"), "{said}");
        assert_eq!(reliability_warning(12, &many[1..]), None);
        let falls = [with(0.057, 5.0, 3.3), with(0.027, 6.0, 5.1), with(0.013, 7.0, 4.2), with(0.003, 8.0, 3.1)];
        let said = reliability_warning(12, &falls).unwrap();
        assert!(said.contains("1.300e-2 (⟨v⁴⟩/⟨v²⟩² has fallen from 5.10 to 4.20), 3.000e-3 (⟨v"), "{said}");
        assert!(!said.contains("e-2 (1") && !said.contains("2.700e-2"), "{said}");
        // Controls: the same moments on the way up, and what is not of the adaptive theory.
        let rises: Vec<Prediction> =
            falls.iter().map(|p| Prediction { temperature: 1.0 / p.temperature, ..p.clone() }).skip(1).collect();
        assert_eq!(reliability_warning(12, &rises[..2]), None);
        let single = solve(&theory, TheoryKind::SingleUnit, 1.0, &params);
        let parameters = single.unit.as_ref().unwrap().effective_parameters;
        assert_eq!((parameters, reliability_warning(1, [&single])), (None, None));
    }
}
