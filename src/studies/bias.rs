//! The bias of the unadjusted samplers: what they sample at steps h, h/2 and h/4 beside what an
//! adjusted sampler samples.

use std::ops::ControlFlow;

use serde::Serialize;

use super::{StudyError, run_to_completion};
use crate::config::Setup;
use crate::results::{Document, TemperatureReport};
use crate::sampler::{Readout, SamplerKind};
use crate::session::{Event, ULA_STEPS};

/// The steps at which each sampler runs are the first, divided by these.
const DIVISORS: [usize; 3] = [1, 2, 4];

/// Biases below this many standard errors say nothing of the order.
const SIGNIFICANT: f64 = 3.0;

/// The bias of one observable of one sampler at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BiasRow {
    pub temperature: f64,
    pub sampler: SamplerKind,
    pub observable: String,
    /// Posterior mean by the adjusted sampler, and its error.
    pub reference: f64,
    pub reference_mcse: f64,
    pub steps: Vec<BiasAtStep>,
}

/// What one step length did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BiasAtStep {
    /// h, or the learning rate η of `ula`.
    pub step_size: f64,
    pub bias: f64,
    /// Of the bias: of both means together.
    pub mcse: f64,
    /// log₂ of the bias at twice the step over this one, where both are significant: 1 for `ula` in
    /// η, 2 for `baoab` in h.
    pub order: Option<f64>,
    pub order_error: Option<f64>,
}

/// Runs `malt`, then `baoab` at h, h/2, h/4 and `ula` at η = h²/2T, η/2, η/4, with more steps
/// between draws as these get shorter.
///
/// h is the experiment's step length, else the shortest that warm-up found for `malt` with the
/// readout sampled, at which trajectories begin to be rejected. Twice that, BAOAB is hardly ever
/// stable. The bias of BAOAB is of order h² (Leimkuhler & Matthews 2013), that of Euler–Maruyama of
/// order η.
///
/// # Errors
/// As [`crate::session::Session::run`].
pub fn measure(setup: &Setup, mut listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Vec<BiasRow>, StudyError> {
    let reference = setup.with(|settings| {
        let sampler = &mut settings.sampler;
        sampler.kind = Some(SamplerKind::Malt);
        (sampler.readout, sampler.step_size) = (Some(Readout::Sampled), None);
    })?;
    let reference = run_to_completion(&reference, &mut listener)?;
    let adapted = reference.temperatures.iter().map(|t| t.sampler.step_size).fold(f64::INFINITY, f64::min);
    let h = setup.experiment().sampler().step_size.unwrap_or(adapted);

    let mut rows = Vec::new();
    for (t, &temperature) in setup.experiment().temperatures().iter().enumerate() {
        for kind in [SamplerKind::Baoab, SamplerKind::Ula] {
            let mut runs = Vec::new();
            for divisor in DIVISORS {
                let longest = if kind == SamplerKind::Ula { 0.5 * h * h / temperature } else { h };
                let one = setup.with(|settings| {
                    // A ladder would share one step length; ula's is a learning rate, in other
                    // units at every temperature.
                    settings.temperature.values = Some(vec![temperature]);
                    let sampler = &mut settings.sampler;
                    (sampler.kind, sampler.readout) = (Some(kind), None);
                    sampler.step_size = Some(longest / divisor as f64);
                    if kind == SamplerKind::Ula {
                        sampler.steps = Some(ULA_STEPS * divisor);
                    }
                })?;
                let document = run_to_completion(&one, &mut listener)?;
                runs.push((longest / divisor as f64, document));
            }
            rows.extend(rows_of(temperature, kind, &reference.temperatures[t], &runs));
        }
    }
    Ok(rows)
}

/// Mean and error of a scalar observable.
fn estimate(report: &TemperatureReport, name: &str) -> Option<(f64, f64)> {
    let observable = report.observables.get(name)?;
    Some((observable.mean.scalar()?, observable.mcse.scalar()?))
}

fn rows_of(
    temperature: f64,
    sampler: SamplerKind,
    reference: &TemperatureReport,
    runs: &[(f64, Document)],
) -> Vec<BiasRow> {
    let row = |name: &String| {
        let (mean, mcse) = estimate(reference, name)?;
        let mut steps: Vec<BiasAtStep> = Vec::new();
        for (step_size, document) in runs {
            let (found, error) = estimate(&document.temperatures[0], name)?;
            let (bias, mcse) = (found - mean, error.hypot(mcse));
            let order = steps.last().and_then(|longer| order(longer, bias, mcse));
            steps.push(BiasAtStep {
                step_size: *step_size,
                bias,
                mcse,
                order: order.map(|(order, _)| order),
                order_error: order.map(|(_, error)| error),
            });
        }
        Some(BiasRow { temperature, sampler, observable: name.clone(), reference: mean, reference_mcse: mcse, steps })
    };
    reference.observables.keys().filter_map(row).collect()
}

/// Order of the bias between a step and its half, with its error by the delta method.
fn order(longer: &BiasAtStep, bias: f64, mcse: f64) -> Option<(f64, f64)> {
    let significant = |bias: f64, mcse: f64| bias.abs() > SIGNIFICANT * mcse;
    (significant(longer.bias, longer.mcse) && significant(bias, mcse) && longer.bias * bias > 0.0).then(|| {
        let order = (longer.bias / bias).log2();
        (order, (longer.mcse / longer.bias).hypot(mcse / bias) / std::f64::consts::LN_2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_power_law_is_its_exponent() {
        let at = |bias: f64, mcse: f64| BiasAtStep { step_size: 1.0, bias, mcse, order: None, order_error: None };
        let (found, error) = order(&at(0.4, 0.004), 0.1, 0.001).unwrap();
        assert!((found - 2.0).abs() < 1e-12 && (error - 0.01 * 2f64.sqrt() / 2f64.ln()).abs() < 1e-12);
        assert!(order(&at(0.4, 0.2), 0.1, 0.001).is_none(), "two standard errors say nothing");
        assert!(order(&at(0.4, 0.004), -0.1, 0.001).is_none(), "a bias that changes sign has no order");
    }
}
