//! The spectrum of ⟨w wᵀ⟩: its largest eigenvalues along the ladder, and all of them at one
//! temperature, beside the band of the prior.

use super::ink::Ink;
use super::ladder::horizontal;
use super::plot::{Axis, Look, Panel, Plot, Point, Series};
use super::{Figure, Numbers, shown_temperature};
use crate::compare::WeightSpectrum;
use crate::results::{Document, short, with_error};
use crate::theory::TheoryKind;

/// Height of one of the two panels.
const PANEL: f64 = 230.0;

pub fn figures(document: &Document) -> Vec<Figure> {
    let found: Vec<(f64, &WeightSpectrum)> = (document.temperatures.iter())
        .filter_map(|at| Some((at.temperature, at.signatures.weight_spectrum.as_ref()?)))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let shown = shown_temperature(document)
        .and_then(|index| document.temperatures.get(index))
        .and_then(|at| Some((at.temperature, at.signatures.weight_spectrum.as_ref()?)));
    let mut panels = vec![along_the_ladder(&found)];
    panels.extend(shown.map(|(temperature, spectrum)| whole(temperature, spectrum)));
    let title = "Spectrum of ⟨w wᵀ⟩ over hidden units";
    let plot = Plot { id: "weight_spectrum".into(), title: title.into(), panels, panel_height: PANEL };
    let caption = "Above: the three largest eigenvalues ± 1 standard error (jackknife over blocks of chains), and ⟨(w·û)²⟩ of the theories, which is \
                   the largest where one direction is learnt. Below: all of them at one temperature. Pale band: where the eigenvalues of as many \
                   independent samples of the prior lie (Marchenko–Pastur edges with their 99 % fluctuation; how many samples the draws amount to is \
                   read off from the spread between blocks of chains).";
    vec![Figure::plotted(&plot, caption.into(), numbers(&found))]
}

/// The band as a curve through its middle: a curve is drawn in a band of two errors.
fn band(points: impl Iterator<Item = (f64, Option<[f64; 2]>)>) -> Series {
    let point = |(x, band): (f64, Option<[f64; 2]>)| {
        let [low, high] = band.unwrap_or([f64::NAN; 2]);
        Point { x, y: 0.5 * (low + high), error: 0.25 * (high - low), note: String::new() }
    };
    let (ink, label) = (Ink::Theory(TheoryKind::Nngp), "prior, as many samples".into());
    Series { ink, label, look: Look::Curve, points: points.map(point).collect() }
}

fn along_the_ladder(found: &[(f64, &WeightSpectrum)]) -> Panel {
    let eigenvalues = |k: usize, look: Look, label: &str| {
        let point = |&(x, spectrum): &(f64, &WeightSpectrum)| {
            let measured = spectrum.leading.get(k).map(|leading| leading.eigenvalue).unwrap_or_default();
            let y = measured.value.filter(|y| y.is_finite()).unwrap_or(f64::NAN);
            let note =
                format!("T = {}: eigenvalue {} = {}", short(x), k + 1, with_error(measured.value, measured.error));
            Point { x, y, error: measured.error.filter(|e| e.is_finite()).unwrap_or(0.0), note }
        };
        Series { ink: Ink::Sampled, label: label.into(), look, points: found.iter().map(point).collect() }
    };
    let theory = |kind: TheoryKind| {
        let point = |&(x, spectrum): &(f64, &WeightSpectrum)| {
            let y = spectrum.theory.get(kind.name()).copied().filter(|y| y.is_finite()).unwrap_or(f64::NAN);
            Point { x, y, error: 0.0, note: format!("{}, T = {}: ⟨(w·û)²⟩ = {y:.4}", kind.name(), short(x)) }
        };
        let (ink, label) = (Ink::Theory(kind), kind.name().into());
        Series { ink, label, look: Look::Line, points: found.iter().map(point).collect() }
    };
    let mut series = vec![band(found.iter().map(|(x, spectrum)| (*x, spectrum.prior_band)))];
    // Infinite width keeps the prior, which the band is about.
    series.extend(TheoryKind::ALL.into_iter().filter(|&kind| kind != TheoryKind::Nngp).map(theory));
    series.push(eigenvalues(2, Look::Hollow, ""));
    series.push(eigenvalues(1, Look::Hollow, "second and third"));
    series.push(eigenvalues(0, Look::Dots, "largest eigenvalue"));
    series.retain(|series| series.points.iter().any(|point| point.y.is_finite()));
    let y = axis(&series);
    Panel { x: horizontal(), y, series, ..Panel::default() }
}

fn whole(temperature: f64, spectrum: &WeightSpectrum) -> Panel {
    let rank = spectrum.eigenvalues.len();
    let point = |(k, &y): (usize, &f64)| Point { x: (k + 1) as f64, y, error: 0.0, note: String::new() };
    let points: Vec<Point> = spectrum.eigenvalues.iter().enumerate().map(point).collect();
    let series = vec![
        band([1.0, rank as f64].into_iter().map(|x| (x, spectrum.prior_band))),
        Series { ink: Ink::Sampled, label: "all eigenvalues".into(), look: Look::Hollow, points },
    ];
    let x = Axis { label: "number of the eigenvalue".into(), log: rank > 20, range: None };
    let y = axis(&series);
    Panel { x, y, series, note: format!("T = {}", short(temperature)), ..Panel::default() }
}

/// Logarithmic where a decade is spanned.
fn axis(series: &[Series]) -> Axis {
    let shown = || series.iter().flat_map(|series| &series.points).map(|point| point.y).filter(|y| y.is_finite());
    let (low, high) = (shown().fold(f64::INFINITY, f64::min), shown().fold(0.0, f64::max));
    Axis { label: "eigenvalue of ⟨w wᵀ⟩".into(), log: low > 0.0 && high > 8.0 * low, range: None }
}

fn numbers(found: &[(f64, &WeightSpectrum)]) -> Numbers {
    let header = ["T", "1st", "share", "(e·û)²", "2nd", "3rd", "prior's band", "outside", "samples"];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let row = |&(temperature, spectrum): &(f64, &WeightSpectrum)| {
        let eigenvalue = |k: usize| {
            let leading = spectrum.leading.get(k);
            or_dash(leading.map(|at| with_error(at.eigenvalue.value, at.eigenvalue.error)))
        };
        let first = spectrum.leading.first();
        vec![
            short(temperature),
            eigenvalue(0),
            or_dash(first.map(|at| format!("{:.1} %", 100.0 * at.share))),
            or_dash(first.and_then(|at| at.overlap_with_u).map(|overlap| format!("{overlap:.3}"))),
            eigenvalue(1),
            eigenvalue(2),
            or_dash(spectrum.prior_band.map(|[low, high]| format!("{low:.3} to {high:.3}"))),
            or_dash(spectrum.above.zip(spectrum.below).map(|(above, below)| format!("{above} above, {below} below"))),
            or_dash(spectrum.effective_samples.map(|n| format!("{n:.0}"))),
        ]
    };
    Numbers { header: header.map(String::from).to_vec(), rows: found.iter().map(row).collect() }
}
