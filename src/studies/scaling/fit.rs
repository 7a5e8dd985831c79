//! A straight line through points of known errors, and what it says of the limit.

use serde::Serialize;

/// y = limit + slope·x with standard errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    pub limit: f64,
    pub limit_error: f64,
    pub slope: f64,
    pub slope_error: f64,
    /// Σ ((y − line)/error)², and the number of points less two. Where χ² exceeds it, the points
    /// are not on a line within their errors (higher orders in x), and both errors above are
    /// enlarged by √(χ²/degrees).
    pub chi_square: f64,
    pub degrees: usize,
}

/// Errors from zero at which a limit is not zero.
const SIGNIFICANT: f64 = 3.0;

/// Part of the deviation at the narrowest width that may be left where it is said to go away.
const LEFT: f64 = 1.0 / 3.0;

/// Whether a theory extrapolates to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Zero,
    NotZero,
    /// Within its error of zero, and of more than may be left.
    Undetermined,
}

impl Line {
    /// The limit in errors from zero.
    pub fn z(&self) -> f64 {
        self.limit / self.limit_error
    }

    /// `narrowest` is the deviation and its error at the narrowest width that the line goes
    /// through, and `agreement` what may be left where a theory is called right.
    ///
    /// ```text
    /// not zero       |limit| ≥ 3 error
    /// zero           |limit| < 3 error  and  |limit| + 3 error ≤ max(agreement, |narrowest|/3)
    /// undetermined   otherwise
    /// ```
    ///
    /// So the limit is known to 3 errors on either side, and all of that is next to nothing where
    /// it is called zero. A deviation at the narrowest width that is itself within 3 of its errors
    /// is no scale.
    pub fn verdict(&self, narrowest: (f64, f64), agreement: f64) -> Verdict {
        let reach = SIGNIFICANT * self.limit_error;
        let (deviation, error) = narrowest;
        let shown = if deviation.abs() > SIGNIFICANT * error { deviation.abs() } else { 0.0 };
        if self.limit.abs() >= reach {
            Verdict::NotZero
        } else if self.limit.abs() + reach <= agreement.max(LEFT * shown) {
            Verdict::Zero
        } else {
            Verdict::Undetermined
        }
    }
}

/// Weighted least squares through points (x, y, error of y); `None` when they do not determine a
/// line.
pub fn fit(points: &[(f64, f64, f64)]) -> Option<Line> {
    let usable =
        |&&(x, y, error): &&(f64, f64, f64)| x.is_finite() && y.is_finite() && error.is_finite() && error > 0.0;
    let points: Vec<_> = points.iter().filter(usable).map(|&(x, y, error)| (x, y, error.powi(-2))).collect();
    let degrees = points.len().checked_sub(2)?;
    let total: f64 = points.iter().map(|p| p.2).sum();
    let mean = |value: fn(&(f64, f64, f64)) -> f64| points.iter().map(|p| p.2 * value(p)).sum::<f64>() / total;
    let (x0, y0) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| p.2 * (p.0 - x0).powi(2)).sum();
    if spread <= 0.0 {
        return None;
    }
    let slope = points.iter().map(|p| p.2 * (p.0 - x0) * (p.1 - y0)).sum::<f64>() / spread;
    let limit = y0 - slope * x0;
    let chi_square = points.iter().map(|p| p.2 * (p.1 - limit - slope * p.0).powi(2)).sum::<f64>();
    let enlarged = if degrees > 0 { (chi_square / degrees as f64).max(1.0).sqrt() } else { 1.0 };
    Some(Line {
        limit,
        limit_error: (1.0 / total + x0 * x0 / spread).sqrt() * enlarged,
        slope,
        slope_error: spread.recip().sqrt() * enlarged,
        chi_square,
        degrees,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    #[test]
    fn points_on_a_line_give_it_back() {
        let line = fit(&[1.0, 0.5, 0.25].map(|x| (x, 3.0 - 2.0 * x, 0.1 + x))).unwrap();
        assert!((line.limit - 3.0).abs() < 1e-12 && (line.slope + 2.0).abs() < 1e-12 && line.chi_square < 1e-20);
        assert!(fit(&[(1.0, 0.0, 0.1), (1.0, 1.0, 0.1)]).is_none(), "one place is no line");
        assert!(fit(&[(1.0, 0.0, 0.1), (2.0, 1.0, 0.0), (3.0, f64::NAN, 0.1)]).is_none(), "one usable point");
    }

    /// The limit scatters by its error over many draws of the points, and a curved set of points
    /// has larger errors than its points have.
    #[test]
    fn errors_are_those_of_the_limit() {
        let places = [0.04, 0.02, 0.01, 0.005];
        let mut scatter = 0.0;
        for trial in 0..400 {
            let mut z = [0.0f64; 4];
            Address { seed: 1, chain: trial, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut z);
            let points: Vec<_> = places.iter().zip(z).map(|(&x, z)| (x, 0.3 + 5.0 * x + 0.02 * z, 0.02)).collect();
            let line = fit(&points).unwrap();
            // The enlargement is left out: the errors themselves are under test.
            let enlarged = (line.chi_square / 2.0).max(1.0).sqrt();
            scatter += ((line.limit - 0.3) / (line.limit_error / enlarged)).powi(2) / 400.0;
        }
        assert!((scatter - 1.0).abs() < 0.2, "{scatter}");
        let curved = places.map(|x| (x, 400.0 * x * x, 0.01));
        let straight = places.map(|x| (x, 16.0 * x, 0.01));
        assert!(fit(&curved).unwrap().limit_error > 5.0 * fit(&straight).unwrap().limit_error);
    }

    #[test]
    fn a_limit_is_zero_only_where_its_error_leaves_next_to_nothing() {
        let verdict = |points: [(f64, f64, f64); 4]| fit(&points).unwrap().verdict((points[0].1, points[0].2), 0.01);
        let at = |value: &dyn Fn(f64) -> f64, error: f64| [0.04, 0.02, 0.01, 0.005].map(|x| (x, value(x), error));
        // It falls from 20 % with the width, and errors are small against that, or comparable with
        // it.
        assert_eq!(verdict(at(&|x| 5.0 * x, 0.01)), Verdict::Zero);
        assert_eq!(verdict(at(&|x| 5.0 * x, 0.05)), Verdict::Undetermined);
        // Two per cent at every width: seen or not.
        assert_eq!(verdict(at(&|_| 0.02, 0.001)), Verdict::NotZero);
        assert_eq!(verdict(at(&|_| 0.02, 0.01)), Verdict::Undetermined);
        // Nothing at any width, to well below one per cent or not.
        assert_eq!(verdict(at(&|_| 0.0, 0.002)), Verdict::Zero);
        assert_eq!(verdict(at(&|_| 0.0, 0.01)), Verdict::Undetermined);
        // As little as that is nothing where more may be left.
        let points = at(&|_| 0.0, 0.01);
        assert_eq!(fit(&points).unwrap().verdict((0.0, 0.01), 0.05), Verdict::Zero);
        // Well enough known, and yet perhaps more than one per cent.
        let half =
            |limit| Line { limit, limit_error: 0.002, slope: 0.0, slope_error: 1.0, chi_square: 1.0, degrees: 2 };
        assert_eq!(half(-0.0053).verdict((0.0, 0.01), 0.01), Verdict::Undetermined);
        assert_eq!(half(-0.0013).verdict((0.0, 0.01), 0.01), Verdict::Zero);
        // A limit of 103 ± 78 %.
        let wide =
            Line { limit: 1.0299, limit_error: 0.7760, slope: 0.0, slope_error: 1.0, chi_square: 1.0, degrees: 2 };
        assert_eq!(wide.verdict((1.5, 0.9), 0.01), Verdict::Undetermined);
        assert_eq!(wide.verdict((12.0, 8.0), 0.01), Verdict::Undetermined, "noise at the narrowest width is no scale");
        assert_eq!(wide.verdict((12.0, 1.0), 0.01), Verdict::Zero, "and what is not noise is one");
    }
}
