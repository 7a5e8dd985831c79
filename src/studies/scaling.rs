//! Finite size: how far the samples of each width lie from each theory, and what is left of it at
//! infinite width.

mod fit;

use std::ops::ControlFlow;

use serde::Serialize;
use thiserror::Error;

use super::{StudyError, load, run_to_completion};
use crate::config::Setup;
use crate::remedy::{Remedies, Remedy, Setting};
use crate::results::verdict::{Complaint, unconverged};
use crate::results::{Document, Field, ObservableReport};
use crate::session::Event;
use crate::theory::TheoryKind;

pub use fit::{Line, Verdict, fit};

/// What stays as it is while N1 grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum FixedQuantity {
    /// P: the infinite-width limit.
    Train,
    /// α = P/N1, with N0 as it is.
    Load,
    /// α = P/N1 and N0/N1: the proportional limit, on teacher data.
    LoadAndDimension,
}

/// Widths that a line of two parameters can be judged by.
const LEAST_WIDTHS: usize = 3;

/// A deviation from a theory that is agreement with it.
const DEVIATION: f64 = 0.01;

/// The same of a displacement, which is a small part of the number that it is taken from and known
/// that much worse.
const DISPLACEMENT: f64 = 0.05;

impl FixedQuantity {
    /// The value of the setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Load => "load",
            Self::LoadAndDimension => "load-and-dimension",
        }
    }
}

/// Why there is no extrapolation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScalingError {
    /// A run at one of the widths failed.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The widths do not determine a line and its error.
    #[error(
        "widths = {} is impossible: a line in 1/N1 needs at least three different widths, none of them zero",
        widths.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    )]
    Widths {
        /// The different widths given, in ascending order.
        widths: Vec<usize>,
    },
    /// The number of training points cannot be chosen.
    #[error("hold = {} is impossible: the number of points of an npz problem is fixed", hold.name())]
    FixedPoints {
        /// What should have stayed.
        hold: FixedQuantity,
    },
    /// The input dimension cannot be chosen.
    #[error("hold = {} is impossible: only the dimension of a teacher's inputs can be chosen", hold.name())]
    FixedDimension {
        /// What should have stayed.
        hold: FixedQuantity,
    },
}

impl ScalingError {
    /// Whether the user's input is at fault, rather than a run.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Study(error) => error.is_bad_input(),
            Self::Widths { .. } | Self::FixedPoints { .. } | Self::FixedDimension { .. } => true,
        }
    }
}

impl Remedies for ScalingError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Study(error) => error.remedies(),
            Self::Widths { .. } => vec![Remedy::change(Setting::Widths)],
            Self::FixedPoints { .. } => vec![Remedy::set(Setting::Hold, FixedQuantity::Train.name())],
            Self::FixedDimension { .. } => vec![
                Remedy::set(Setting::Hold, FixedQuantity::Load.name()),
                Remedy::set(Setting::Data, "teacher:linear"),
            ],
        }
    }
}

/// The experiment at another width: P and N0 are rescaled as `hold` says, to the nearest whole
/// number.
///
/// # Errors
/// When P or N0 cannot be rescaled (an npz problem of given size; N0 of data that is not a
/// teacher's) or would be zero.
fn at_width(setup: &Setup, width: usize, hold: FixedQuantity) -> Result<Setup, ScalingError> {
    let (data, own) = (setup.data(), setup.experiment().network().width);
    let rescale = |count: usize| (((count * width) as f64 / own as f64).round() as usize).max(1);
    let (mut train, mut dimension) = (None, None);
    if hold != FixedQuantity::Train {
        let points = data.train.filter(|_| !data.source.ends_with(".npz"));
        train = Some(rescale(points.ok_or(ScalingError::FixedPoints { hold })?));
    }
    if hold == FixedQuantity::LoadAndDimension {
        if !data.source.starts_with("teacher:") {
            return Err(ScalingError::FixedDimension { hold });
        }
        dimension = Some(rescale(data.teacher.dimension));
    }
    let scaled = setup.with(|settings| {
        settings.network.width = Some(width);
        settings.data.train = train.or(settings.data.train);
        settings.data.teacher_dimension = dimension.or(settings.data.teacher_dimension);
    });
    Ok(scaled.map_err(StudyError::from)?)
}

/// One size of the ladder of widths, and whether its run can be believed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Size {
    pub width: usize,
    /// P and N0.
    pub train: usize,
    pub dimension: usize,
    /// From hot to cold.
    pub temperatures: Vec<Convergence>,
    /// Those of the run, but for the one that names what has not converged: theories without a
    /// solution first of all.
    pub warnings: Vec<String>,
}

/// Whether a run has converged at one of its temperatures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Convergence {
    pub temperature: f64,
    pub converged: bool,
    /// Why not; in JSON a line each.
    #[serde(rename = "advice")]
    pub complaints: Vec<Complaint>,
}

impl Size {
    fn new(width: usize, document: &Document) -> Self {
        let convergence = document.temperatures.iter().enumerate().map(|(index, at)| Convergence {
            temperature: at.temperature,
            converged: at.converged,
            complaints: document.complaints(index),
        });
        // It points to a table that is not shown here; the complaints are.
        let said = unconverged(&document.temperatures);
        let warnings = document.warnings.iter().filter(|&warning| Some(warning) != said.as_ref());
        Self {
            width,
            train: document.data.train_points,
            dimension: document.data.dimension,
            temperatures: convergence.collect(),
            warnings: warnings.cloned().collect(),
        }
    }
}

/// How one observable leaves one theory at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScalingRow {
    pub temperature: f64,
    pub observable: String,
    /// Which element, of an observable that is an array.
    pub element: Option<usize>,
    pub theory: String,
    /// sampled/theory − 1 (or that of displacements) at every size, and its error: MCSE and the
    /// theory's own together, over the theory. `null` where the theory has no solution.
    pub deviation: Vec<Option<f64>>,
    pub error: Vec<Option<f64>>,
    /// For every size, whether this temperature has converged there. What has not is no part of the
    /// line: its errors cannot be believed.
    pub converged: Vec<bool>,
    /// The line deviation = limit + slope/N1 through those that have; `null` with fewer than three
    /// of them.
    pub line: Option<Line>,
    /// Whether the limit is zero, as [`Line::verdict`] has it: deviations up to 1 %, and
    /// displacements up to 5 %, are agreement. `null` without a line.
    pub verdict: Option<Verdict>,
}

/// All widths, and what the deviations make of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    pub hold: FixedQuantity,
    pub sizes: Vec<Size>,
    pub rows: Vec<ScalingRow>,
    /// The same of displacements from infinite width, (sampled − nngp)/(theory − nngp) − 1, where
    /// nngp is not zero. At fixed P every theory has the limit of infinite width, and only this
    /// tells which of them has the way there right.
    pub displacements: Vec<ScalingRow>,
}

/// Runs the experiment at every width and fits, for every temperature, observable and theory, the
/// relative deviation of the samples as a line in 1/N1.
///
/// A theory that is right in the limit that `hold` takes has a `limit` of zero within its error;
/// its `slope` is then the size of its first correction. Temperatures that have not converged at
/// some width keep their deviation there, and are left out of the line. P and N0 of the experiment
/// belong to its own width. Observables that a theory puts at zero, and predictions at single test
/// points, are left out.
///
/// # Errors
/// [`ScalingError`] when a run fails, and when fewer than three different widths are given or the
/// sizes cannot be had.
pub fn measure(
    setup: &Setup,
    hold: FixedQuantity,
    widths: &[usize],
    mut listener: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<Scaling, ScalingError> {
    let mut widths = widths.to_vec();
    widths.sort_unstable();
    widths.dedup();
    if widths.len() < LEAST_WIDTHS || widths[0] == 0 {
        return Err(ScalingError::Widths { widths });
    }
    // All sizes are known to be possible, data and all, before the first is run.
    let setups: Vec<Setup> = widths.iter().map(|&width| at_width(setup, width, hold)).collect::<Result<_, _>>()?;
    for one in &setups {
        load(one)?;
    }
    let documents: Vec<Document> =
        setups.iter().map(|one| run_to_completion(one, &mut listener)).collect::<Result<_, _>>()?;
    Ok(assemble(hold, &widths, &documents))
}

/// What the runs at all widths say together.
fn assemble(hold: FixedQuantity, widths: &[usize], documents: &[Document]) -> Scaling {
    Scaling {
        hold,
        sizes: widths.iter().zip(documents).map(|(&width, document)| Size::new(width, document)).collect(),
        rows: rows(widths, documents, deviation, DEVIATION),
        displacements: rows(widths, documents, displacement, DISPLACEMENT),
    }
}

/// Every deviation, as `deviation` measures it, that all sizes can have; up to `agreement` its
/// limit is none.
fn rows(
    widths: &[usize],
    documents: &[Document],
    deviation: fn(&Deviating, &str) -> Option<[f64; 2]>,
    agreement: f64,
) -> Vec<ScalingRow> {
    let Some(widest) = documents.last() else { return Vec::new() };
    let mut rows = Vec::new();
    for (t, report) in widest.temperatures.iter().enumerate() {
        let converged: Vec<bool> =
            documents.iter().map(|document| document.temperatures.get(t).is_some_and(|at| at.converged)).collect();
        let scalars = report.observables.iter().filter(|(name, _)| !name.starts_with("predictive_"));
        for (name, observable) in scalars {
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
                let points: Vec<_> = (widths.iter().zip(&deviation).zip(&error).zip(&converged))
                    .filter(|(_, converged)| **converged)
                    .filter_map(|(((&width, &d), &e), _)| Some((1.0 / width as f64, d?, e?)))
                    .collect();
                let line = fit(&points).filter(|_| points.len() >= LEAST_WIDTHS);
                rows.push(ScalingRow {
                    temperature: report.temperature,
                    observable: name.clone(),
                    element: (elements > 1).then_some(element),
                    theory: theory.clone(),
                    deviation,
                    error,
                    converged: converged.clone(),
                    line,
                    // Widths ascend.
                    verdict: line.zip(points.first()).map(|(line, &(_, d, e))| line.verdict((d, e), agreement)),
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

    /// (sampled − base)/(theory − base) − 1 and its error; the theory's own enters through the
    /// ratio.
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

/// (sampled − nngp)/(theory − nngp) − 1 and its error; where nngp is zero that is the deviation
/// itself, and left out.
fn displacement(at: &Deviating, theory: &str) -> Option<[f64; 2]> {
    let base = at.number(at.observable.theory.get(TheoryKind::Nngp.name())?).filter(|&x| x != 0.0)?;
    at.beyond(base, theory).filter(|_| theory != TheoryKind::Nngp.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    fn teacher() -> Setup {
        let mut settings = preset("quick").unwrap();
        settings.data = crate::config::DataSettings {
            source: Some("teacher:linear".into()),
            train: Some(20),
            teacher_dimension: Some(40),
            ..Default::default()
        };
        settings.network.width = Some(10);
        Setup::resolve(settings).unwrap()
    }

    #[test]
    fn what_is_held_stays_and_the_rest_grows() {
        let size = |hold| {
            let scaled = at_width(&teacher(), 25, hold).unwrap();
            (scaled.experiment().network().width, scaled.data().train, scaled.data().teacher.dimension)
        };
        assert_eq!(size(FixedQuantity::Train), (25, Some(20), 40));
        assert_eq!(size(FixedQuantity::Load), (25, Some(50), 40));
        assert_eq!(size(FixedQuantity::LoadAndDimension), (25, Some(50), 100));
    }

    /// Four widths that differ in one number: what the narrowest says of D². As `converged` says,
    /// they enter the line or not.
    fn ladder(documents: &[Document; 4], converged: [bool; 4]) -> Scaling {
        let mut documents = documents.clone();
        for (document, converged) in documents.iter_mut().zip(converged) {
            let at = &mut document.temperatures[0];
            document.warnings.retain(|warning| !warning.starts_with("not converged"));
            at.converged = converged;
            if !converged {
                document.warnings.extend(unconverged(&document.temperatures));
            }
        }
        documents[0].warnings.push("the branch is lost".into());
        let observable = documents[0].temperatures[0].observables.get_mut("centroid_distance_sq").unwrap();
        observable.mean = Field::Scalar(observable.mean.scalar().map(|mean| 3.0 * mean));
        assemble(FixedQuantity::Train, &[10, 20, 40, 80], &documents)
    }

    #[test]
    fn what_has_not_converged_is_shown_and_marked_and_not_fitted() {
        let setup = teacher().with(|settings| {
            settings.temperature.values = Some(vec![1.0]);
            settings.theory.kinds = Some(vec![TheoryKind::Nngp, TheoryKind::Saddle]);
            let sampler = &mut settings.sampler;
            (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(20), Some(20));
            sampler.backend = Some(crate::backend::BackendChoice::Cpu);
        });
        let document = run_to_completion(&setup.unwrap(), |_| ControlFlow::Continue(())).unwrap();
        let documents = std::array::from_fn(|_| document.clone());
        let row = |scaling: &Scaling| {
            let of = |row: &&ScalingRow| row.observable == "centroid_distance_sq" && row.theory == "saddle";
            scaling.rows.iter().find(of).unwrap().clone()
        };
        let (all, three) = (ladder(&documents, [true; 4]), ladder(&documents, [false, true, true, true]));
        let (with, without) = (row(&all), row(&three));
        assert_eq!((&with.deviation, &with.error), (&without.deviation, &without.error), "both are shown");
        assert!(with.converged == [true; 4] && without.converged == [false, true, true, true]);
        let (with, without) = (with.line.unwrap(), without.line.unwrap());
        assert_eq!((with.degrees, without.degrees), (2, 1));
        // The other three agree, so that their line is flat; the control shows that the narrowest
        // would have bent it.
        assert!(without.slope.abs() < 1e-9 && with.slope > 1.0, "{without:?} {with:?}");
        let two = row(&ladder(&documents, [false, true, false, true]));
        assert_eq!((two.line, two.verdict), (None, None), "two points are no line to be judged");

        let narrowest = &three.sizes[0];
        assert_eq!(narrowest.warnings.iter().filter(|w| *w == "the branch is lost").count(), 1);
        assert!(!narrowest.warnings.iter().any(|w| w.starts_with("not converged")), "{:?}", narrowest.warnings);
        let [at] = &narrowest.temperatures[..] else { panic!("one temperature") };
        // Twenty draws of four chains are no 400.
        assert!(!at.converged && !at.complaints.is_empty(), "{at:?}");
        let next = &three.sizes[1];
        assert!(next.temperatures[0].converged && next.temperatures[0].complaints.is_empty());
        assert!(!next.warnings.contains(&"the branch is lost".into()));
    }

    #[test]
    fn sizes_that_cannot_be_had_are_refused_before_anything_runs() {
        let digits = Setup::resolve(preset("quick").unwrap()).unwrap();
        assert!(at_width(&digits, 25, FixedQuantity::LoadAndDimension).unwrap_err().to_string().contains("teacher"));
        let ran = std::cell::Cell::new(false);
        let refused = |widths: &[usize]| {
            let result = measure(&teacher(), FixedQuantity::Train, widths, |_| {
                ran.set(true);
                ControlFlow::Continue(())
            });
            result.unwrap_err().is_bad_input()
        };
        assert!(refused(&[10, 20, 20]) && refused(&[0, 1, 2]) && !ran.get());
    }
}
