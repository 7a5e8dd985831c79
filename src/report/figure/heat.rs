//! Heat maps of matrices in few enough cells, and in a palette that diverges from zero.

use std::fmt::Write;

use super::canvas::{Anchor, Canvas, TEXT, coordinate};
use super::scale::scientific;

/// Cells along one side, at most.
pub const MOST_CELLS: usize = 100;

/// Colours on either side of zero. Cells of one colour share a path, so this also bounds the size
/// of the text.
const SHADES: i32 = 12;

/// A square matrix reduced to `side`×`side` cells, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    pub side: usize,
    /// Rows of the matrix in one row of cells; the last has what remains.
    pub block: usize,
    pub values: Vec<f64>,
}

/// Averages over blocks of a square matrix with `order.len()` rows, taken in that order. Numbers
/// that are not finite do not enter; a cell without any is NaN and stays empty.
pub fn blocks(order: &[usize], value: impl Fn(usize, usize) -> f64) -> Cells {
    let points = order.len();
    // Blocks of one size: cells of unlike noise would look like structure.
    let block = points.div_ceil(MOST_CELLS).max(1);
    let side = points.div_ceil(block);
    let (mut sums, mut counts) = (vec![0.0; side * side], vec![0u32; side * side]);
    for (i, &row) in order.iter().enumerate() {
        for (j, &column) in order.iter().enumerate() {
            let value = value(row, column);
            if value.is_finite() {
                let cell = (i / block) * side + j / block;
                sums[cell] += value;
                counts[cell] += 1;
            }
        }
    }
    let values =
        sums.iter().zip(&counts).map(|(sum, &count)| if count > 0 { sum / f64::from(count) } else { f64::NAN });
    Cells { side, block, values: values.collect() }
}

/// The size below which 98 % of the values lie: the end of the palette. `None` where there are none
/// but zeros.
pub fn reach<'a>(values: impl IntoIterator<Item = &'a f64>) -> Option<f64> {
    let mut sizes: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).map(|x| x.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let size = *sizes.get((0.98 * sizes.len() as f64) as usize)?;
    let size = if size > 0.0 { size } else { *sizes.last()? };
    (size > 0.0).then_some(size)
}

impl Cells {
    /// Draws the cells into a square of `size` units at `corner`.
    pub fn draw(&self, canvas: &mut Canvas, [x, y]: [f64; 2], size: f64, reach: f64) {
        let mut paths = vec![String::new(); (2 * SHADES + 1) as usize];
        for (row, values) in self.values.chunks(self.side).enumerate() {
            let mut column = 0;
            while column < values.len() {
                let begin = column;
                let shade = shade(values[begin], reach);
                while column < values.len() && shade_eq(shade, values[column], reach) {
                    column += 1;
                }
                if let Some(shade) = shade {
                    // write! to a String cannot fail. A stroke of one unit is a row of cells.
                    let _ = write!(paths[(shade + SHADES) as usize], "M{begin} {row}.5h{}", column - begin);
                }
            }
        }
        let scale = size / self.side as f64;
        canvas.open(&format!(
            "transform=\"translate({} {}) scale({scale:.5})\" fill=\"none\" shape-rendering=\"crispEdges\"",
            coordinate(x),
            coordinate(y)
        ));
        for (k, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let colour = colour(f64::from(k as i32 - SHADES) / f64::from(SHADES));
            canvas.raw(&format!("<path stroke=\"{colour}\" stroke-width=\"1.02\" d=\"{path}\"/>"));
        }
        canvas.close();
        canvas.rectangle([x, y], [size, size], "class=\"axis\" fill=\"none\" stroke=\"#666\"");
    }
}

/// The palette as a bar with its ends written beside it.
pub fn bar(canvas: &mut Canvas, [x, y]: [f64; 2], width: f64, reach: f64) {
    let step = width / f64::from(2 * SHADES + 1);
    for k in -SHADES..=SHADES {
        let fill = format!("fill=\"{}\" shape-rendering=\"crispEdges\"", colour(f64::from(k) / f64::from(SHADES)));
        canvas.rectangle([x + step * f64::from(k + SHADES), y], [step + 0.3, 10.0], &fill);
    }
    canvas.rectangle([x, y], [width, 10.0], "class=\"axis\" fill=\"none\" stroke=\"#666\" stroke-width=\"0.6\"");
    let labels = [(x, scientific(-reach)), (x + 0.5 * width, "0".into()), (x + width, scientific(reach))];
    for (at, label) in labels {
        canvas.text(&label, [at, y + 23.0], Anchor::Middle, TEXT - 2.0, "");
    }
}

fn shade(value: f64, reach: f64) -> Option<i32> {
    value.is_finite().then(|| (value / reach).clamp(-1.0, 1.0) * f64::from(SHADES)).map(|x| x.round() as i32)
}

fn shade_eq(known: Option<i32>, value: f64, reach: f64) -> bool {
    shade(value, reach) == known
}

/// Blue over white to red, in even steps of lightness; `x` in [−1, 1].
fn colour(x: f64) -> String {
    let end = if x < 0.0 { [5.0, 75.0, 148.0] } else { [165.0, 15.0, 21.0] };
    let depth = x.abs().powf(0.8);
    let [r, g, b] = end.map(|channel: f64| (250.0 + depth * (channel - 250.0)).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_average_in_the_order_given() {
        let cells = blocks(&[1, 0], |i, j| (10 * i + j) as f64);
        assert_eq!(cells, Cells { side: 2, block: 1, values: vec![11.0, 10.0, 1.0, 0.0] });
        let order: Vec<usize> = (0..2 * MOST_CELLS).collect();
        let cells = blocks(&order, |i, j| if i == 0 && j == 0 { f64::NAN } else { (i + j) as f64 });
        assert_eq!((cells.side, cells.block), (MOST_CELLS, 2));
        assert_eq!(cells.values[0], 4.0 / 3.0, "the mean of 1, 1, 2 without the NaN");
        assert!(blocks(&order, |_, _| f64::NAN).values.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn the_palette_ends_where_most_values_do() {
        let mut values = vec![1.0; 99];
        values.push(-50.0);
        assert_eq!(reach(&values), Some(1.0));
        assert_eq!(reach(&[0.0, f64::NAN]), None);
        assert_eq!(
            (colour(0.0).as_str(), colour(1.0).as_str(), colour(-1.0).as_str()),
            ("#fafafa", "#a50f15", "#054b94")
        );
    }
}
