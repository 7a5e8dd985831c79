//! Finite size: how far the samples of each width lie from each theory, and what is left of it at infinite width.

mod fit;

use std::ops::ControlFlow;

use serde::Serialize;

use crate::config::{ConfigError, Experiment};
use crate::report::{Document, Field, ObservableReport};
use crate::run::{RunError, load, whole};
use crate::sampler::Progress;
use crate::theory::Kind;

pub use fit::{Line, fit};

/// What stays as it is while N1 grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// P: the infinite-width limit.
    Train,
    /// α = P/N1, with N0 as it is.
    Load,
    /// α = P/N1 and N0/N1: the proportional limit, on teacher data.
    LoadAndDimension,
}

/// Widths that a line of two parameters can be judged by.
const LEAST_WIDTHS: usize = 3;

/// The experiment at another width: P and N0 are rescaled as `hold` says, to the nearest whole number.
///
/// # Errors
/// When P or N0 cannot be rescaled (an npz problem of given size; N0 of data that is not a teacher's) or would be zero.
fn at_width(experiment: &Experiment, width: usize, hold: Hold) -> Result<Experiment, ConfigError> {
    let mut scaled = experiment.clone();
    let rescale = |count: usize| ((count * width) as f64 / experiment.network.width as f64).round() as usize;
    let refuse = |value: &str, requirement: &str| ConfigError::Impossible {
        setting: "hold",
        value: value.into(),
        requirement: requirement.into(),
    };
    scaled.network.width = width;
    if hold != Hold::Train {
        let name = if hold == Hold::Load { "load" } else { "load-and-dimension" };
        let Some(train) = experiment.data.train.filter(|_| !experiment.data.source.ends_with(".npz")) else {
            return Err(refuse(name, "an npz problem has the points that it has; use --hold train"));
        };
        if hold == Hold::LoadAndDimension {
            if !experiment.data.source.starts_with("teacher:") {
                return Err(refuse(name, "only a teacher's inputs can grow; use --data teacher:…, or --hold load"));
            }
            scaled.data.teacher.dimension = rescale(experiment.data.teacher.dimension).max(1);
        }
        scaled.data.train = Some(rescale(train).max(1));
    }
    Ok(scaled)
}

/// One size of the ladder of widths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Size {
    pub width: usize,
    /// P and N0.
    pub train: usize,
    pub dimension: usize,
}

/// How one observable leaves one theory at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalingRow {
    pub temperature: f64,
    pub observable: String,
    /// Which element, of an observable that is an array.
    pub element: Option<usize>,
    pub theory: String,
    /// sampled/theory − 1 (or that of displacements) at every size, and its error: MCSE and the theory's own together, over the theory. `null` where the theory has no solution.
    pub deviation: Vec<Option<f64>>,
    pub error: Vec<Option<f64>>,
    /// The line deviation = limit + slope/N1 through them; `null` with fewer than three sizes.
    pub line: Option<Line>,
}

/// All widths, and what the deviations make of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    pub hold: Hold,
    pub sizes: Vec<Size>,
    pub rows: Vec<ScalingRow>,
    /// The same of displacements from infinite width, (sampled − nngp)/(theory − nngp) − 1, where nngp is not zero. At fixed P every theory has the limit of
    /// infinite width, and only this tells which of them has the way there right.
    pub displacements: Vec<ScalingRow>,
}

/// Runs the experiment at every width and fits, for every temperature, observable and theory, the relative deviation of the samples as a line in 1/N1.
///
/// A theory that is right in the limit that `hold` takes has a `limit` of zero within its error; its `slope` is then the size of its first correction.
/// P and N0 of the experiment belong to its own width. Observables that a theory puts at zero, and predictions at single test points, are left out.
///
/// # Errors
/// [`RunError`] as for a run, and when fewer than three different widths are given or the sizes cannot be had.
pub fn measure(
    experiment: &Experiment,
    hold: Hold,
    widths: &[usize],
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Scaling, RunError> {
    let mut widths = widths.to_vec();
    widths.sort_unstable();
    widths.dedup();
    if widths.len() < LEAST_WIDTHS || widths[0] == 0 {
        return Err(RunError::Config(ConfigError::Impossible {
            setting: "widths",
            value: widths.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
            requirement: "a line in 1/N1 needs at least three different widths, none of them zero".into(),
        }));
    }
    // All sizes are known to be possible, data and all, before the first is run.
    let experiments: Vec<Experiment> =
        widths.iter().map(|&width| at_width(experiment, width, hold)).collect::<Result<_, _>>()?;
    for one in &experiments {
        load(one)?;
    }
    let documents: Vec<Document> = experiments.iter().map(|one| whole(one, &mut progress)).collect::<Result<_, _>>()?;
    let sizes = (widths.iter().zip(&documents))
        .map(|(&width, d)| Size { width, train: d.data.train_points, dimension: d.data.dimension })
        .collect();
    let (rows, displacements) = (rows(&widths, &documents, deviation), rows(&widths, &documents, displacement));
    Ok(Scaling { hold, sizes, rows, displacements })
}

/// Every deviation, as `deviation` measures it, that all sizes can have.
fn rows(
    widths: &[usize],
    documents: &[Document],
    deviation: fn(&Deviating, &str) -> Option<[f64; 2]>,
) -> Vec<ScalingRow> {
    let Some(widest) = documents.last() else { return Vec::new() };
    let mut rows = Vec::new();
    for (t, report) in widest.temperatures.iter().enumerate() {
        let judged = report.observables.iter().filter(|(name, _)| !name.starts_with("predictive_"));
        for (name, observable) in judged {
            let elements = observable.mean.values().len();
            for (theory, element) in observable.theory.keys().flat_map(|k| (0..elements).map(move |e| (k, e))) {
                let at = |document: &Document| {
                    let observable = document.temperatures.get(t)?.observables.get(name)?;
                    deviation(&Deviating { observable, element }, theory).map(|[value, error]| (value, error))
                };
                let (deviation, error): (Vec<_>, Vec<_>) =
                    documents.iter().map(|document| at(document).unzip()).unzip();
                if deviation.iter().all(Option::is_none) {
                    continue;
                }
                let points: Vec<_> = (widths.iter().zip(&deviation).zip(&error))
                    .filter_map(|((&width, &d), &e)| Some((1.0 / width as f64, d?, e?)))
                    .collect();
                rows.push(ScalingRow {
                    temperature: report.temperature,
                    observable: name.clone(),
                    element: (elements > 1).then_some(element),
                    theory: theory.clone(),
                    deviation,
                    error,
                    line: fit(&points).filter(|_| points.len() >= LEAST_WIDTHS),
                });
            }
        }
    }
    rows
}

/// One number of a run, to be held against theories.
struct Deviating<'a> {
    observable: &'a ObservableReport,
    element: usize,
}

impl Deviating<'_> {
    fn number(&self, field: &Field) -> Option<f64> {
        field.values().get(self.element).copied().flatten()
    }

    /// (sampled − base)/(theory − base) − 1 and its error; the theory's own enters through the ratio.
    fn beyond(&self, base: f64, theory: &str) -> Option<[f64; 2]> {
        let of = self.observable;
        let predicted = Some(self.number(of.theory.get(theory)?)? - base).filter(|&x| x != 0.0)?;
        let own = of.theory_error.get(theory).and_then(|field| self.number(field)).unwrap_or(0.0);
        let ratio = (self.number(&of.mean)? - base) / predicted;
        Some([ratio - 1.0, self.number(&of.mcse)?.hypot(own * ratio) / predicted.abs()])
    }
}

/// sampled/theory − 1 and its error.
fn deviation(at: &Deviating, theory: &str) -> Option<[f64; 2]> {
    at.beyond(0.0, theory)
}

/// (sampled − nngp)/(theory − nngp) − 1 and its error; where nngp is zero that is the deviation itself, and left out.
fn displacement(at: &Deviating, theory: &str) -> Option<[f64; 2]> {
    let base = at.number(at.observable.theory.get(Kind::Nngp.name())?).filter(|&x| x != 0.0)?;
    at.beyond(base, theory).filter(|_| theory != Kind::Nngp.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    fn teacher() -> Experiment {
        let mut settings = preset("quick").unwrap();
        settings.data = crate::config::DataSettings {
            source: Some("teacher:linear".into()),
            train: Some(20),
            teacher_dimension: Some(40),
            ..Default::default()
        };
        settings.network.width = Some(10);
        Experiment::resolve(settings).unwrap()
    }

    #[test]
    fn what_is_held_stays_and_the_rest_grows() {
        let size = |hold| {
            let scaled = at_width(&teacher(), 25, hold).unwrap();
            (scaled.network.width, scaled.data.train, scaled.data.teacher.dimension)
        };
        assert_eq!(size(Hold::Train), (25, Some(20), 40));
        assert_eq!(size(Hold::Load), (25, Some(50), 40));
        assert_eq!(size(Hold::LoadAndDimension), (25, Some(50), 100));
    }

    #[test]
    fn sizes_that_cannot_be_had_are_refused_before_anything_runs() {
        let digits = Experiment::resolve(preset("quick").unwrap()).unwrap();
        assert!(at_width(&digits, 25, Hold::LoadAndDimension).unwrap_err().to_string().contains("teacher"));
        let ran = std::cell::Cell::new(false);
        let refused = |widths: &[usize]| {
            let result = measure(&teacher(), Hold::Train, widths, |_| {
                ran.set(true);
                ControlFlow::Continue(())
            });
            result.unwrap_err().is_bad_input()
        };
        assert!(refused(&[10, 20, 20]) && refused(&[0, 1, 2]) && !ran.get());
    }
}
