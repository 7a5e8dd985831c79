//! D²(T) as a small plot in characters, below the table.

use super::figure::ladder::Quantity;
use super::figure::ladder::vertical;
use super::figure::scale::Scale;
use super::figure::{distance_quantities, plot::Series};
use crate::results::{Document, short};
use crate::theory::TheoryKind;

/// Columns and rows inside the axes: with the labels no line is longer than 80.
const COLUMNS: usize = 66;
const ROWS: usize = 12;

/// Pairs of classes beyond which plots would be a scroll of their own.
const MOST_PAIRS: usize = 3;

/// The character of every theory's line.
fn sign(kind: TheoryKind) -> char {
    match kind {
        TheoryKind::Nngp => '·',
        TheoryKind::Saddle => '─',
        TheoryKind::SingleUnit => '╌',
        TheoryKind::Adaptive => '~',
    }
}

/// One plot for every pair of classes; nothing for more than three pairs, or with fewer than two
/// temperatures.
pub fn plots(document: &Document) -> String {
    let quantities = distance_quantities(document);
    if quantities.len() > MOST_PAIRS || document.temperatures.len() < 2 {
        return String::new();
    }
    quantities.iter().filter_map(|quantity| plot(document, quantity)).collect()
}

fn plot(document: &Document, quantity: &Quantity) -> Option<String> {
    let series: Vec<Series> = quantity.series(document);
    let axis = vertical(&quantity.symbol, &series);
    let range = axis.range?;
    let temperatures = || document.temperatures.iter().map(|at| at.temperature);
    let (low, high) = (temperatures().reduce(f64::min)?, temperatures().reduce(f64::max)?);
    let x = Scale::new(true, [low, high], [1.0, COLUMNS as f64 - 2.0]);
    let y = Scale::new(axis.log, range, [ROWS as f64 - 0.5, -0.5]);
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    let mut put = |row: f64, column: usize, sign: char| {
        if let Some(cell) = cells.get_mut(row as usize).and_then(|line| line.get_mut(column)) {
            *cell = sign;
        }
    };
    let row_of = |value: f64| y.at(value).map(f64::round).filter(|row| (0.0..ROWS as f64).contains(row));

    let mut legend = String::new();
    for kind in TheoryKind::ALL {
        let points: Vec<(f64, f64)> = (quantity.theory(document, kind).into_iter())
            .filter(|point| point.y.is_finite())
            .filter_map(|point| Some((x.at(point.x)?, y.at(point.y)?)))
            .collect();
        if points.is_empty() {
            continue;
        }
        legend += &format!("  {} {}", sign(kind), kind.name());
        for column in 0..COLUMNS {
            // Joined as in the figures: straight between neighbours in the units of the axes.
            let within = |pair: &&[(f64, f64)]| {
                let (a, b) = (pair[0].0.min(pair[1].0), pair[0].0.max(pair[1].0));
                (a - 0.5..=b + 0.5).contains(&(column as f64))
            };
            let Some(pair) = points.windows(2).find(within) else { continue };
            let along = ((column as f64 - pair[0].0) / (pair[1].0 - pair[0].0)).clamp(0.0, 1.0);
            let row = (pair[0].1 + along * (pair[1].1 - pair[0].1)).round();
            if (0.0..ROWS as f64).contains(&row) {
                put(row, column, sign(kind));
            }
        }
    }
    for point in quantity.sampled(document).iter().filter(|point| point.y.is_finite()) {
        let Some(column) = x.at(point.x).map(|column| column.round() as usize) else { continue };
        // Two errors up and down: one is rarely seen in rows as high as these.
        let [top, bottom] = [2.0, -2.0].map(|times| y.clamped(point.y + times * point.error));
        if let (Some(top), Some(bottom)) = (top, bottom) {
            for row in (top.round().max(0.0) as usize)..=(bottom.round().max(0.0) as usize).min(ROWS - 1) {
                put(row as f64, column, '│');
            }
        }
        if let Some(row) = row_of(point.y) {
            put(row, column, '●');
        }
    }

    let mut labels = vec![String::new(); ROWS];
    for tick in y.ticks(4) {
        if let (Some(row), Some(label)) = (row_of(tick.value), tick.label) {
            labels[row as usize] = label;
        }
    }
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n{}(T)   ● sampled, │ ± 2 MCSE{legend}\n", quantity.symbol);
    for (label, row) in labels.iter().zip(&cells) {
        let line: String = row.iter().collect();
        let edge = if label.is_empty() { '│' } else { '┤' };
        text += format!("{label:>width$} {edge}{}", line.trim_end()).trim_end();
        text.push('\n');
    }
    text += &format!("{:width$} └{}\n", "", "─".repeat(COLUMNS));
    text += format!("{:width$}  {}", "", foot(document, &x)).trim_end();
    text.push('\n');
    Some(text)
}

/// The temperatures of the ladder below their columns, as far as there is room.
fn foot(document: &Document, x: &Scale) -> String {
    let mut line = vec![' '; COLUMNS + 2];
    let mut places: Vec<(usize, String)> = (document.temperatures.iter())
        .filter_map(|at| Some((x.at(at.temperature)?.round() as usize, short(at.temperature))))
        .collect();
    places.sort();
    let mut free = 0;
    for (column, label) in places {
        let length = label.chars().count();
        let start = column.saturating_sub(length / 2).min(COLUMNS.saturating_sub(length));
        if start >= free && start + length <= line.len() {
            label.chars().enumerate().for_each(|(k, c)| line[start + k] = c);
            free = start + length + 1;
        }
    }
    let line: String = line.into_iter().collect();
    format!("{}  T", line.trim_end())
}
