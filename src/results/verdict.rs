//! Whether the numbers of a temperature can be trusted, by stated thresholds, and what to change
//! where they cannot.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Document, RhatKind, TemperatureReport, short};
use crate::config::SamplerSettings;
use crate::remedy::{Remedies, Remedy, Setting, in_words};

/// R̂ at and above which chains are called unmixed (Vehtari et al. 2021): of the nested R̂ where
/// chains started in superchains, since many short chains push the split R̂ up even when they are
/// exactly stationary; of the split R̂ otherwise.
pub const MAX_RHAT: f64 = 1.01;

/// Bulk and tail ESS, pooled over all chains, below which estimates and their errors are called
/// unreliable (Vehtari et al. 2021).
pub const MIN_ESS: f64 = 400.0;

/// Fraction of diverged trajectories above which a part of the posterior is called unexplored.
pub const MAX_DIVERGENCE_RATE: f64 = 0.001;

/// E-BFMI of all chains together below which momentum refreshment is called too timid (Betancourt
/// 2016).
pub const MIN_BFMI: f64 = 0.3;

/// Standard errors by which the halves of the draws differ when a longer warm-up is asked for. Some
/// hundred comparisons are made in a run.
const MAX_DRIFT: f64 = 5.0;

/// Times the draws beyond which more draws alone are no advice.
const MANY_TIMES: f64 = 10.0;

/// Acceptance rate below which chains hardly move.
const MIN_ACCEPTANCE: f64 = 0.1;

/// Acceptance rate of exchanges below which a gap in the ladder keeps states from travelling.
const MIN_EXCHANGE: f64 = 0.05;

/// A convergence diagnostic that an observable does not pass.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FailedDiagnostic {
    /// R̂ of an observable is [`MAX_RHAT`] or more.
    Rhat {
        /// Which R̂.
        kind: RhatKind,
        /// Name of the observable.
        observable: String,
        /// R̂.
        rhat: f64,
    },
    /// The bulk ESS of an observable is below [`MIN_ESS`].
    BulkEss {
        /// Name of the observable.
        observable: String,
        /// Its ESS.
        ess: f64,
    },
    /// The tail ESS of an observable is below [`MIN_ESS`].
    TailEss {
        /// Name of the observable.
        observable: String,
        /// Its ESS.
        ess: f64,
    },
}

impl FailedDiagnostic {
    /// About how many times the draws would pass it.
    fn draws_factor(&self) -> f64 {
        match self {
            // Of chains that have forgotten their start R̂² − 1 falls as one over the draws.
            Self::Rhat { rhat, .. } => (rhat * rhat - 1.0) / (MAX_RHAT * MAX_RHAT - 1.0),
            Self::BulkEss { ess, .. } | Self::TailEss { ess, .. } => MIN_ESS / ess.max(1.0),
        }
    }
}

impl fmt::Display for FailedDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rhat { kind: RhatKind::Nested, observable, rhat } => {
                write!(f, "nested R-hat of {observable} is {rhat:.3}")
            }
            Self::Rhat { kind: RhatKind::Split, observable, rhat } => {
                write!(f, "split R-hat of {observable} is {rhat:.3}")
            }
            Self::BulkEss { observable, ess } => write!(f, "bulk ESS of {observable} is {ess:.0}"),
            Self::TailEss { observable, ess } => write!(f, "tail ESS of {observable} is {ess:.0}"),
        }
    }
}

/// Why a temperature has not converged.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Chains ran away and were left out.
    LostChains {
        /// How many.
        lost: usize,
        /// Of how many.
        chains: usize,
    },
    /// More trajectories diverged than [`MAX_DIVERGENCE_RATE`].
    Divergences {
        /// Fraction of the trajectories.
        rate: f64,
    },
    /// There are too few chains for an R̂.
    NoRhat,
    /// The first half of an observable's draws differs from the second.
    Drift {
        /// What it does not pass therefore.
        failed: FailedDiagnostic,
        /// Name of the observable.
        observable: String,
        /// The difference in standard errors.
        z: f64,
    },
    /// Hardly any trajectory is accepted.
    LowAcceptance {
        /// What it does not pass therefore.
        failed: FailedDiagnostic,
        /// Acceptance rate.
        rate: f64,
    },
    /// More draws would do.
    FewDraws {
        /// The diagnostic that needs most of them.
        failed: FailedDiagnostic,
        /// About how many times the draws it needs.
        factor: f64,
    },
    /// E-BFMI is below [`MIN_BFMI`].
    LowBfmi {
        /// E-BFMI of all chains together.
        bfmi: f64,
    },
    /// Two temperatures hardly exchange states.
    RareExchange(ExchangeGap),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostChains { lost, chains } => {
                write!(
                    f,
                    "{lost} of {chains} chains ran away and were left out, which biases what remains: smaller step"
                )
            }
            Self::Divergences { rate } => {
                write!(f, "{:.2} % of the trajectories diverged: smaller step", 100.0 * rate)
            }
            Self::NoRhat => f.write_str("whether chains agree cannot be said"),
            Self::Drift { failed, observable, z } => write!(
                f,
                "{failed}, and {observable} still settles (its two halves differ by {:.0} standard errors): longer warm-up",
                z.abs()
            ),
            Self::LowAcceptance { failed, rate } => {
                let percent = 100.0 * rate;
                write!(f, "{failed}, and only {percent:.1} % of the trajectories were accepted: smaller step")
            }
            Self::FewDraws { failed, factor } => {
                write!(f, "{failed}: needs about {factor:.1} times the draws")?;
                if *factor > MANY_TIMES { f.write_str(", fewer after a longer warm-up") } else { Ok(()) }
            }
            Self::LowBfmi { bfmi } => write!(
                f,
                "E-BFMI is {bfmi:.2}: fresh momenta do not reach the tails of the energy: longer trajectories"
            ),
            Self::RareExchange(gap) => gap.fmt(f),
        }
    }
}

/// Two neighbouring temperatures that hardly exchange states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExchangeGap {
    /// The hotter temperature.
    pub hot: f64,
    /// The colder one.
    pub cold: f64,
    /// Acceptance rate of exchanges between them.
    pub rate: f64,
}

impl ExchangeGap {
    /// The temperature to insert: the geometric mean.
    pub fn between(&self) -> f64 {
        (self.hot * self.cold).sqrt()
    }
}

impl fmt::Display for ExchangeGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hot, cold, between, percent) =
            (short(self.hot), short(self.cold), short(self.between()), 100.0 * self.rate);
        write!(
            f,
            "T = {hot} and {cold} exchange {percent:.1} % of the time, so cold chains get no help from hot ones: \
             insert temperature {between}"
        )
    }
}

/// Why a temperature has not converged, and what to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// What was found.
    pub cause: Cause,
    remedies: Vec<Remedy>,
}

impl Complaint {
    /// A cause with the changes that may mend it, the best first.
    pub fn new(cause: Cause, remedies: impl Into<Vec<Remedy>>) -> Self {
        Self { cause, remedies: remedies.into() }
    }

    /// Returns cause and remedies in one line, with settings named as a front end names them.
    pub fn in_words(&self, name: impl Fn(Setting) -> String) -> String {
        let remedies = in_words(&self.remedies, name);
        if remedies.is_empty() { self.cause.to_string() } else { format!("{}: {remedies}", self.cause) }
    }
}

impl Remedies for Complaint {
    fn remedies(&self) -> Vec<Remedy> {
        self.remedies.clone()
    }
}

/// As one line of text.
impl Serialize for Complaint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(|setting| setting.name().into()))
    }
}

/// Holds the numbers of a temperature against every threshold. `asked` are the sampler's settings,
/// and `hotter` is the next hotter temperature: both only shape the remedies.
///
/// Returns the complaints, the gravest first; the temperature has converged if there are none.
pub fn diagnose(at: &TemperatureReport, asked: &SamplerSettings, hotter: Option<f64>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |cause, remedies: Vec<Remedy>| complaints.push(Complaint::new(cause, remedies));
    let s = &at.sampler;
    let longer_warmup = Remedy::raise(Setting::Warmup).to(2 * asked.warmup.unwrap_or(0).max(100));
    // A step length that was given is to be changed by hand; an adapted one by a longer warm-up
    // first.
    let half_step = short(0.5 * s.step_size);
    let smaller_step = match asked.step_size {
        Some(_) => vec![Remedy::lower(Setting::StepSize).to(half_step)],
        None => vec![longer_warmup.clone(), Remedy::set(Setting::StepSize, half_step)],
    };
    if s.diverged_chains > 0 {
        complain(Cause::LostChains { lost: s.diverged_chains, chains: s.chains }, smaller_step.clone());
    }
    let rate = s.divergences as f64 / (s.chains * s.draws) as f64;
    if rate > MAX_DIVERGENCE_RATE {
        complain(Cause::Divergences { rate }, smaller_step.clone());
    }

    let mut failed = Vec::new();
    match at.worst_rhat() {
        None => complain(Cause::NoRhat, vec![Remedy::raise(Setting::Chains).to(4)]),
        Some((kind, name, rhat)) if rhat >= MAX_RHAT => {
            failed.push(FailedDiagnostic::Rhat { kind, observable: name.into(), rhat });
        }
        Some(_) => {}
    }
    let too_small =
        |found: Option<(&str, f64)>| found.filter(|(_, ess)| *ess < MIN_ESS).map(|(name, ess)| (name.to_string(), ess));
    let bulk = too_small(at.least_ess_bulk());
    failed.extend(bulk.map(|(observable, ess)| FailedDiagnostic::BulkEss { observable, ess }));
    let tail = too_small(at.least_ess_tail());
    failed.extend(tail.map(|(observable, ess)| FailedDiagnostic::TailEss { observable, ess }));
    // What falls furthest short decides how many draws are needed; the others are met on the way.
    // Of equals the first.
    let worst = failed.into_iter().rev().max_by(|a, b| a.draws_factor().total_cmp(&b.draws_factor()));
    if let Some(failed) = worst {
        let drift = at.largest(|report| &report.drift, f64::abs).filter(|(_, z)| z.abs() > MAX_DRIFT);
        if let Some((name, z)) = drift {
            complain(Cause::Drift { failed, observable: name.into(), z }, vec![longer_warmup]);
        } else if s.acceptance_rate < MIN_ACCEPTANCE {
            complain(Cause::LowAcceptance { failed, rate: s.acceptance_rate }, smaller_step);
        } else {
            let factor = failed.draws_factor();
            let mut remedies = vec![Remedy::raise(Setting::Draws).to(rounded_up(factor * s.draws as f64))];
            remedies.extend((factor > MANY_TIMES).then_some(longer_warmup));
            complain(Cause::FewDraws { failed, factor }, remedies);
        }
    }
    if let Some(bfmi) = s.e_bfmi.filter(|&bfmi| bfmi < MIN_BFMI) {
        complain(Cause::LowBfmi { bfmi }, vec![Remedy::raise(Setting::Steps).to(2 * s.steps)]);
    }
    if let (Some(rate), Some(hot), false) = (s.exchange_hotter, hotter, complaints.is_empty())
        && rate < MIN_EXCHANGE
    {
        // The temperature to insert is a part of the cause: the whole ladder is no remedy to be
        // read.
        complaints.push(Complaint::new(Cause::RareExchange(ExchangeGap { hot, cold: at.temperature, rate }), []));
    }
    complaints
}

impl Document {
    /// Returns the complaints about temperature `index` of the ladder; none if it has converged.
    ///
    /// They follow from the numbers of the document, which itself holds their text as
    /// [`advice`](TemperatureReport::advice).
    pub fn complaints(&self, index: usize) -> Vec<Complaint> {
        let temperature = |index: usize| Some(self.temperatures.get(index)?.temperature);
        let Some(at) = self.temperatures.get(index).filter(|at| !at.converged) else { return Vec::new() };
        diagnose(at, &self.config.sampler, index.checked_sub(1).and_then(temperature))
    }
}

/// Two digits, upwards.
fn rounded_up(draws: f64) -> usize {
    let unit = 10f64.powi((draws.log10().floor() as i32 - 1).max(0));
    ((draws / unit).ceil() * unit) as usize
}

/// What the whole run should be known for, beside its temperatures that have not converged;
/// `adjusted` samplers are not biased.
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
        if let Some(rate) = pair[1].sampler.exchange_hotter.filter(|&rate| rate < MIN_EXCHANGE) {
            let gap = ExchangeGap { hot: pair[0].temperature, cold: pair[1].temperature, rate };
            warnings.push(gap.to_string());
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
    use crate::config::preset;
    use crate::results::{Field, ObservableReport, SamplerReport};
    use crate::sampler::Readout;

    fn asked() -> SamplerSettings {
        SamplerSettings { step_size: None, warmup: Some(150), ..preset("quick").unwrap().sampler }
    }

    /// The complaints as the command line words them.
    fn advice(at: &TemperatureReport, hotter: Option<f64>) -> Vec<String> {
        let complaints = diagnose(at, &asked(), hotter);
        complaints.iter().map(|complaint| complaint.in_words(|setting| format!("--{}", setting.name()))).collect()
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
        assert_eq!(advice(&at(1.0), Some(10.0)), Vec::<String>::new());
    }

    /// Every threshold, crossed alone, is a complaint with the number that mends it.
    #[test]
    fn every_threshold_is_named_with_what_to_change() {
        type Case = (fn(&mut TemperatureReport), &'static [&'static str]);
        let cases: [Case; 9] = [
            (
                |at| observable(at).nested_rhat = Field::Scalar(Some(1.0317)),
                &["nested R-hat", "3.2 times", "--draws to 650"],
            ),
            (
                |at| observable(at).ess = Field::Scalar(Some(125.0)),
                &["bulk ESS of train_loss is 125", "3.2 times", "--draws to 640"],
            ),
            (
                |at| observable(at).ess_tail = Field::Array(vec![Some(900.0), Some(200.0)]),
                &["tail ESS", "2.0 times", "--draws to 400"],
            ),
            (
                |at| at.sampler.divergences = 3,
                &["0.15 %", "smaller step", "--warmup to 300", "set --step_size to 0.06"],
            ),
            (|at| at.sampler.diverged_chains = 1, &["1 of 10 chains", "smaller step"]),
            (|at| at.sampler.e_bfmi = Some(0.29), &["E-BFMI is 0.29", "--steps to 10"]),
            (
                |at| {
                    observable(at).nested_rhat = Field::Scalar(Some(1.05));
                    observable(at).drift = Field::Scalar(Some(-6.0));
                },
                &["longer warm-up", "--warmup to 300"],
            ),
            (|at| observable(at).nested_rhat = Field::Scalar(Some(1.2)), &["--draws to 4400", "--warmup to 300"]),
            (
                |at| {
                    observable(at).nested_rhat = Field::Scalar(None);
                    observable(at).rhat = Field::Scalar(None);
                },
                &["cannot be said", "raise --chains to 4"],
            ),
        ];
        for (spoil, wanted) in cases {
            let mut spoiled = at(1.0);
            spoil(&mut spoiled);
            let found = advice(&spoiled, Some(10.0));
            assert_eq!(found.len(), 1, "{found:?}");
            for part in wanted {
                assert!(found[0].contains(part), "{part} is not in {found:?}");
            }
        }
    }

    #[test]
    fn without_superchains_the_split_rhat_judges() {
        let mut alone = at(1.0);
        observable(&mut alone).nested_rhat = Field::Scalar(None);
        let found = advice(&alone, None);
        assert!(found[0].contains("split R-hat of train_loss is 1.200"), "{found:?}");
        observable(&mut alone).rhat = Field::Scalar(Some(1.009));
        assert!(advice(&alone, None).is_empty());
    }

    #[test]
    fn a_starved_gap_names_the_temperature_to_insert() {
        let mut starved = at(0.01);
        starved.sampler.exchange_hotter = Some(0.001);
        assert!(advice(&starved, Some(1.0)).is_empty(), "what has converged needs no help");
        let run = [at(1.0), starved.clone()];
        assert!(warnings(&run, true)[0].contains("insert temperature 0.1"));
        observable(&mut starved).ess = Field::Scalar(Some(100.0));
        let found = advice(&starved, Some(1.0));
        assert!(found.len() == 2 && found[1].contains("insert temperature 0.1"), "{found:?}");
        starved.converged = false;
        let warnings = warnings(&[at(1.0), starved], true);
        assert!(warnings.len() == 1 && warnings[0].contains("not converged at T = 0.01"), "{warnings:?}");
    }
}
