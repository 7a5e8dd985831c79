//! Whether the numbers of a temperature can be trusted, by stated thresholds, and what to change where they cannot.

use super::{RhatKind, TemperatureReport, short};
use crate::config::SamplerConfig;

/// R̂ at and above which chains are called unmixed (Vehtari et al. 2021): of the nested R̂ where chains started in superchains, since many short
/// chains push the split R̂ up even when they are exactly stationary; of the split R̂ otherwise.
pub const MOST_RHAT: f64 = 1.01;

/// Bulk and tail ESS, pooled over all chains, below which estimates and their errors are called unreliable (Vehtari et al. 2021).
pub const LEAST_ESS: f64 = 400.0;

/// Fraction of diverged trajectories above which a part of the posterior is called unexplored.
pub const MOST_DIVERGENCES: f64 = 0.001;

/// E-BFMI of all chains together below which momentum refreshment is called too timid (Betancourt 2016).
pub const LEAST_BFMI: f64 = 0.3;

/// Standard errors by which the halves of the draws differ when a longer warm-up is asked for. Some hundred comparisons are made in a run.
const MOST_DRIFT: f64 = 5.0;

/// Times the draws beyond which more draws alone are no advice.
const MANY_TIMES: f64 = 10.0;

/// Acceptance rate below which chains hardly move.
const LEAST_ACCEPTANCE: f64 = 0.1;

/// Acceptance rate of exchanges below which a gap in the ladder keeps states from travelling.
const LEAST_EXCHANGE: f64 = 0.05;

/// Judges a temperature by its numbers. `asked` is the sampler's configuration, `hotter` the next hotter temperature: both only shape the advice.
///
/// Returns what to change, one complaint with its remedy per line and the gravest first: the temperature has converged if there is none.
pub fn judge(at: &TemperatureReport, asked: &SamplerConfig, hotter: Option<f64>) -> Vec<String> {
    let mut advice = Vec::new();
    let s = &at.sampler;
    let trajectories = (s.chains * s.draws) as f64;
    let longer = 2 * asked.warmup.max(100);
    // A step length that was given is to be changed by hand; an adapted one by a longer warm-up first.
    let smaller = match asked.step_size {
        Some(_) => format!("--step-size {}", short(0.5 * s.step_size)),
        None => format!("--warmup {longer}, or --step-size {}", short(0.5 * s.step_size)),
    };
    if s.diverged_chains > 0 {
        advice.push(format!(
            "{} of {} chains ran away and were left out, which biases what remains: smaller step ({smaller})",
            s.diverged_chains, s.chains
        ));
    }
    if s.divergences as f64 > MOST_DIVERGENCES * trajectories {
        let percent = 100.0 * s.divergences as f64 / trajectories;
        advice.push(format!("{percent:.2} % of the trajectories diverged: smaller step ({smaller})"));
    }

    // What falls furthest short decides how many draws are needed; the others are met on the way.
    let mut short_fall: Option<(f64, String)> = None;
    let mut fall_short = |reason: String, times: f64| {
        if short_fall.as_ref().is_none_or(|(most, _)| times > *most) {
            short_fall = Some((times, reason));
        }
    };
    match at.worst_rhat() {
        None => advice.push("whether chains agree cannot be said: take at least 4 --chains".into()),
        Some((kind, name, rhat)) if rhat >= MOST_RHAT => {
            // Of chains that have forgotten their start R̂² − 1 falls as one over the draws.
            let times = (rhat * rhat - 1.0) / (MOST_RHAT * MOST_RHAT - 1.0);
            fall_short(format!("{} of {name} is {rhat:.3}", rhat_name(kind)), times);
        }
        Some(_) => {}
    }
    for (measure, found) in [("bulk", at.least_ess_bulk()), ("tail", at.least_ess_tail())] {
        if let Some((name, ess)) = found
            && ess < LEAST_ESS
        {
            fall_short(format!("{measure} ESS of {name} is {ess:.0}"), LEAST_ESS / ess.max(1.0));
        }
    }
    if let Some((factor, reason)) = short_fall {
        let drift = at.most(|report| &report.drift, f64::abs).filter(|(_, z)| z.abs() > MOST_DRIFT);
        if let Some((name, z)) = drift {
            advice.push(format!(
                "{reason}, and {name} still settles (its two halves differ by {:.0} standard errors): longer warm-up, --warmup {longer}",
                z.abs()
            ));
        } else if s.acceptance_rate < LEAST_ACCEPTANCE {
            let percent = 100.0 * s.acceptance_rate;
            advice.push(format!(
                "{reason}, and only {percent:.1} % of the trajectories were accepted: smaller step ({smaller})"
            ));
        } else {
            let draws = rounded_up(factor * s.draws as f64);
            let besides =
                if factor > MANY_TIMES { format!(", and longer warm-up, --warmup {longer}") } else { String::new() };
            advice.push(format!("{reason}: needs about {factor:.1} times the draws, --draws {draws}{besides}"));
        }
    }
    if let Some(bfmi) = s.e_bfmi.filter(|&bfmi| bfmi < LEAST_BFMI) {
        advice.push(format!(
            "E-BFMI is {bfmi:.2}: fresh momenta do not reach the tails of the energy: longer trajectories, --steps {}",
            2 * s.steps
        ));
    }
    if let (Some(rate), Some(hotter), false) = (s.exchange_hotter, hotter, advice.is_empty())
        && rate < LEAST_EXCHANGE
    {
        advice.push(starved(hotter, at.temperature, rate));
    }
    advice
}

/// As plain text, for JSON and logs.
fn rhat_name(kind: RhatKind) -> &'static str {
    match kind {
        RhatKind::Nested => "nested R-hat",
        RhatKind::Split => "split R-hat",
    }
}

/// Two digits, upwards.
fn rounded_up(draws: f64) -> usize {
    let unit = 10f64.powi((draws.log10().floor() as i32 - 1).max(0));
    ((draws / unit).ceil() * unit) as usize
}

fn starved(hot: f64, cold: f64, rate: f64) -> String {
    format!(
        "T = {} and {} exchange {:.1} % of the time, so cold chains get no help from hot ones: insert temperature {}",
        short(hot),
        short(cold),
        100.0 * rate,
        short((hot * cold).sqrt())
    )
}

/// What the whole run should be known for, beside its temperatures that have not converged; `adjusted` samplers are not biased.
pub fn warnings(temperatures: &[TemperatureReport], adjusted: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !adjusted {
        warnings.push(
            "draws of an unadjusted sampler are biased by the step length; use malt for numbers to be held against a theory"
                .to_string(),
        );
    }
    // A gap below which chains have not converged is named in their advice.
    for pair in temperatures.windows(2).filter(|pair| pair[1].converged) {
        if let Some(rate) = pair[1].sampler.exchange_hotter.filter(|&rate| rate < LEAST_EXCHANGE) {
            warnings.push(starved(pair[0].temperature, pair[1].temperature, rate));
        }
    }
    warnings.extend(unconverged(temperatures));
    warnings
}

/// The warning that names the temperatures which have not converged; their advice says the rest.
pub fn unconverged(temperatures: &[TemperatureReport]) -> Option<String> {
    let open: Vec<String> = temperatures.iter().filter(|at| !at.converged).map(|at| short(at.temperature)).collect();
    let named = format!("not converged at T = {}: the convergence table says what to change", open.join(", "));
    (!open.is_empty()).then_some(named)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Setup, preset};
    use crate::results::{Field, ObservableReport, SamplerReport};
    use crate::sampler::Readout;

    fn asked() -> SamplerConfig {
        Setup::resolve(preset("quick").unwrap()).unwrap().experiment().sampler().clone()
    }

    /// A temperature that meets every threshold with nothing to spare.
    fn at(temperature: f64) -> TemperatureReport {
        let number = |x: f64| Field::Scalar(Some(x));
        let observable = ObservableReport {
            mean: number(1.0),
            mcse: number(0.1),
            ess: number(400.0),
            ess_tail: number(400.0),
            rhat: number(1.2),
            nested_rhat: number(1.0099),
            drift: number(4.9),
            quantiles: BTreeMap::new(),
            theory: BTreeMap::new(),
            theory_error: BTreeMap::new(),
            z: BTreeMap::new(),
            relative_deviation: BTreeMap::new(),
        };
        let sampler = SamplerReport {
            step_size: 0.12,
            steps: 5,
            friction: 2.0,
            readout: Readout::Sampled,
            mass_range: [1.0, 2.0],
            acceptance_rate: 0.8,
            energy_error: 0.5,
            chains: 10,
            draws: 200,
            diverged_chains: 0,
            divergences: 2,
            superchains: 2,
            e_bfmi: Some(0.3),
            e_bfmi_min: Some(0.1),
            exchange_hotter: Some(0.05),
            exchange_colder: None,
        };
        TemperatureReport {
            temperature,
            converged: true,
            advice: Vec::new(),
            sampler,
            observables: BTreeMap::from([("train_loss".to_string(), observable)]),
            log_evidence: None,
            units: BTreeMap::new(),
            theory: BTreeMap::new(),
            signatures: Default::default(),
        }
    }

    fn observable(at: &mut TemperatureReport) -> &mut ObservableReport {
        at.observables.get_mut("train_loss").unwrap()
    }

    #[test]
    fn a_temperature_at_the_thresholds_has_converged() {
        assert_eq!(judge(&at(1.0), &asked(), Some(10.0)), Vec::<String>::new());
    }

    /// Every threshold, crossed alone, is a complaint with the number that mends it.
    #[test]
    fn every_threshold_is_named_with_what_to_change() {
        type Case = (fn(&mut TemperatureReport), &'static [&'static str]);
        let cases: [Case; 9] = [
            (
                |at| observable(at).nested_rhat = Field::Scalar(Some(1.0317)),
                &["nested R-hat", "3.2 times", "--draws 650"],
            ),
            (
                |at| observable(at).ess = Field::Scalar(Some(125.0)),
                &["bulk ESS of train_loss is 125", "3.2 times", "--draws 640"],
            ),
            (
                |at| observable(at).ess_tail = Field::Array(vec![Some(900.0), Some(200.0)]),
                &["tail ESS", "2.0 times", "--draws 400"],
            ),
            (|at| at.sampler.divergences = 3, &["0.15 %", "smaller step", "--warmup 300", "--step-size 0.06"]),
            (|at| at.sampler.diverged_chains = 1, &["1 of 10 chains", "smaller step"]),
            (|at| at.sampler.e_bfmi = Some(0.29), &["E-BFMI is 0.29", "--steps 10"]),
            (
                |at| {
                    observable(at).nested_rhat = Field::Scalar(Some(1.05));
                    observable(at).drift = Field::Scalar(Some(-6.0));
                },
                &["longer warm-up", "--warmup 300"],
            ),
            (|at| observable(at).nested_rhat = Field::Scalar(Some(1.2)), &["--draws 4400", "--warmup 300"]),
            (
                |at| {
                    observable(at).nested_rhat = Field::Scalar(None);
                    observable(at).rhat = Field::Scalar(None);
                },
                &["cannot be said"],
            ),
        ];
        for (spoil, wanted) in cases {
            let mut spoiled = at(1.0);
            spoil(&mut spoiled);
            let advice = judge(&spoiled, &asked(), Some(10.0));
            assert_eq!(advice.len(), 1, "{advice:?}");
            for part in wanted {
                assert!(advice[0].contains(part), "{part} is not in {advice:?}");
            }
        }
    }

    #[test]
    fn without_superchains_the_split_rhat_judges() {
        let mut alone = at(1.0);
        observable(&mut alone).nested_rhat = Field::Scalar(None);
        let advice = judge(&alone, &asked(), None);
        assert!(advice[0].contains("split R-hat of train_loss is 1.200"), "{advice:?}");
        observable(&mut alone).rhat = Field::Scalar(Some(1.009));
        assert!(judge(&alone, &asked(), None).is_empty());
    }

    #[test]
    fn a_starved_gap_names_the_temperature_to_insert() {
        let mut starved = at(0.01);
        starved.sampler.exchange_hotter = Some(0.001);
        assert!(judge(&starved, &asked(), Some(1.0)).is_empty(), "what has converged needs no help");
        let run = [at(1.0), starved.clone()];
        assert!(warnings(&run, true)[0].contains("insert temperature 0.1"));
        observable(&mut starved).ess = Field::Scalar(Some(100.0));
        let advice = judge(&starved, &asked(), Some(1.0));
        assert!(advice.len() == 2 && advice[1].contains("insert temperature 0.1"), "{advice:?}");
        starved.converged = false;
        let warnings = warnings(&[at(1.0), starved], true);
        assert!(warnings.len() == 1 && warnings[0].contains("not converged at T = 0.01"), "{warnings:?}");
    }
}
