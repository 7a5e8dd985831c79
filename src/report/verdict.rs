//! Whether the numbers of a run can be trusted, and what to change where they cannot.

use super::{Field, TemperatureReport, short};
use crate::config::SamplerKind;
use crate::sampler::ExchangeReport;

/// Bulk ESS below which an estimate is called unreliable (Vehtari et al. 2021 ask for 400).
const LEAST_ESS: f64 = 400.0;

/// Nested R̂ above which chains are called unmixed. With many short chains the split R̂ is biased upwards, so it does not judge.
const MOST_NESTED_RHAT: f64 = 1.01;

/// Fraction of diverged trajectories worth a warning.
const MANY_DIVERGENCES: f64 = 0.01;

/// Acceptance rate below which chains hardly move.
const LEAST_ACCEPTANCE: f64 = 0.1;

/// Acceptance rate of exchanges below which a gap in the ladder keeps states from travelling.
const LEAST_EXCHANGE: f64 = 0.05;

/// A line for every gap in the ladder that starves the exchange, with the temperature to insert: the geometric mean of its ends.
pub fn ladder_warnings(temperatures: &[TemperatureReport], exchange: Option<&ExchangeReport>) -> Vec<String> {
    let rates = exchange.map_or(&[][..], |report| &report.rates);
    let gaps = temperatures.windows(2).zip(rates).filter(|(_, rate)| **rate < LEAST_EXCHANGE);
    gaps.map(|(ends, rate)| {
        let (hot, cold) = (ends[0].temperature, ends[1].temperature);
        format!(
            "T = {} and {} exchange {:.1} % of the time, so cold chains get no help from hot ones; insert T = {}",
            short(hot),
            short(cold),
            100.0 * rate,
            short((hot * cold).sqrt())
        )
    })
    .collect()
}

/// One line per complaint, most serious first within a temperature.
pub fn warnings(temperatures: &[TemperatureReport], kind: SamplerKind) -> Vec<String> {
    let mut warnings = Vec::new();
    if !kind.adjusted() {
        warnings.push(
            "draws of an unadjusted sampler are biased by the step length; use malt for numbers to be held against a theory"
                .to_string(),
        );
    }
    for at in temperatures {
        let t = at.temperature;
        let extreme = |field: &dyn Fn(&super::ObservableReport) -> &Field, sign: f64| {
            at.observables
                .iter()
                .filter(|(name, _)| !name.starts_with("predictive_"))
                .flat_map(|(name, report)| field(report).values().iter().flatten().map(move |&value| (name, value)))
                .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
        };
        if at.sampler.diverged_chains > 0 {
            warnings.push(format!(
                "T = {t}: {} of {} chains left the finite numbers and were left out, which biases what remains; lower --step-size",
                at.sampler.diverged_chains, at.sampler.chains
            ));
        }
        if at.sampler.acceptance_rate < LEAST_ACCEPTANCE {
            let percent = 100.0 * at.sampler.acceptance_rate;
            warnings.push(format!(
                "T = {t}: only {percent:.1} % of the trajectories were accepted; lower --step-size or raise --warmup"
            ));
        }
        // Too few chains for superchains are judged by the split R̂.
        let nested = extreme(&|report| &report.nested_rhat, 1.0).map(|found| ("nested R-hat", found));
        let worst = nested.or_else(|| extreme(&|report| &report.rhat, 1.0).map(|found| ("R-hat", found)));
        match worst {
            Some((measure, (name, rhat))) if rhat > MOST_NESTED_RHAT => warnings.push(format!(
                "T = {t}: chains have not mixed, {measure} of {name} is {rhat:.3}; raise --draws, or --warmup if that does not help"
            )),
            None => warnings.push(format!("T = {t}: whether chains have mixed cannot be said; take more --chains")),
            Some(_) => {}
        }
        if let Some((name, ess)) = extreme(&|report| &report.ess, -1.0)
            && ess < LEAST_ESS
        {
            let factor = (LEAST_ESS / ess.max(1.0)).ceil();
            warnings.push(format!(
                "T = {t}: {name} has a bulk ESS of only {ess:.0}; take about {factor} times the --draws or --chains"
            ));
        }
        let trajectories = (at.sampler.chains * at.sampler.draws) as f64;
        if at.sampler.divergences as f64 > MANY_DIVERGENCES * trajectories {
            let percent = 100.0 * at.sampler.divergences as f64 / trajectories;
            warnings.push(format!(
                "T = {t}: {percent:.1} % of the trajectories diverged; lower --step-size or raise --warmup"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::SamplerReport;

    fn at(temperature: f64) -> TemperatureReport {
        let sampler = SamplerReport {
            step_size: 0.1,
            steps: 5,
            friction: 2.0,
            acceptance_rate: 0.8,
            energy_error: 0.5,
            chains: 8,
            draws: 100,
            diverged_chains: 0,
            divergences: 0,
        };
        TemperatureReport { temperature, sampler, observables: BTreeMap::new(), theory: BTreeMap::new() }
    }

    #[test]
    fn a_starved_gap_names_the_temperature_to_insert() {
        let exchange = ExchangeReport { rates: vec![0.3, 0.001], round_trips: 0 };
        let warnings = ladder_warnings(&[at(4.0), at(1.0), at(0.01)], Some(&exchange));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("insert T = 0.1"), "{warnings:?}");
        assert!(ladder_warnings(&[at(4.0), at(1.0)], None).is_empty());
    }
}
