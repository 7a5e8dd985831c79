//! Inverse distribution functions: of the normal, for rank normalisation, and of the Beta, for
//! errors of quantiles.

/// Φ⁻¹(p) to some 1e-15 relative: algorithm AS 241, PPND16 (Wichura, Appl. Statist. 37, 477, 1988).
/// Infinite at 0 and 1, NaN outside.
#[expect(clippy::excessive_precision, reason = "the published digits, some more than f64 holds")]
pub(super) fn normal_quantile(p: f64) -> f64 {
    const CENTRE: [[f64; 8]; 2] = [
        [
            3.3871328727963666080e0,
            1.3314166789178437745e2,
            1.9715909503065514427e3,
            1.3731693765509461125e4,
            4.5921953931549871457e4,
            6.7265770927008700853e4,
            3.3430575583588128105e4,
            2.5090809287301226727e3,
        ],
        [
            1.0,
            4.2313330701600911252e1,
            6.8718700749205790830e2,
            5.3941960214247511077e3,
            2.1213794301586595867e4,
            3.9307895800092710610e4,
            2.8729085735721942674e4,
            5.2264952788528545610e3,
        ],
    ];
    const FLANK: [[f64; 8]; 2] = [
        [
            1.42343711074968357734e0,
            4.63033784615654529590e0,
            5.76949722146069140550e0,
            3.64784832476320460504e0,
            1.27045825245236838258e0,
            2.41780725177450611770e-1,
            2.27238449892691845833e-2,
            7.74545014278341407640e-4,
        ],
        [
            1.0,
            2.05319162663775882187e0,
            1.67638483018380384940e0,
            6.89767334985100004550e-1,
            1.48103976427480074590e-1,
            1.51986665636164571966e-2,
            5.47593808499534494600e-4,
            1.05075007164441684324e-9,
        ],
    ];
    const TAIL: [[f64; 8]; 2] = [
        [
            6.65790464350110377720e0,
            5.46378491116411436990e0,
            1.78482653991729133580e0,
            2.96560571828504891230e-1,
            2.65321895265761230930e-2,
            1.24266094738807843860e-3,
            2.71155556874348757815e-5,
            2.01033439929228813265e-7,
        ],
        [
            1.0,
            5.99832206555887937690e-1,
            1.36929880922735805310e-1,
            1.48753612908506148525e-2,
            7.86869131145613259100e-4,
            1.84631831751005468180e-5,
            1.42151175831644588870e-7,
            2.04426310338993978564e-15,
        ],
    ];
    fn ratio([numerator, denominator]: &[[f64; 8]; 2], r: f64) -> f64 {
        let horner = |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * r + c);
        horner(numerator) / horner(denominator)
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&CENTRE, 0.180625 - q * q);
    }
    let tail = p.min(1.0 - p);
    if tail <= 0.0 {
        return if tail == 0.0 { f64::INFINITY.copysign(q) } else { f64::NAN };
    }
    let r = (-tail.ln()).sqrt();
    let x = if r <= 5.0 { ratio(&FLANK, r - 1.6) } else { ratio(&TAIL, r - 5.0) };
    x.copysign(q)
}

/// The x with I_x(a, b) = p, for p in (0, 1) and a, b ≥ 1: Newton's method, falling back on
/// bisection where it leaves the bracket.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..100 {
        let excess = incomplete_beta(a, b, x) - p;
        if excess > 0.0 {
            high = x
        } else {
            low = x
        }
        let density = (log_kernel(a, b, x) - x.ln() - (-x).ln_1p()).exp();
        let newton = x - excess / density;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = (next - x).abs();
        x = next;
        if step <= 4.0 * f64::EPSILON * x {
            break;
        }
    }
    x
}

/// ln of xᵃ (1 − x)ᵇ / B(a, b).
fn log_kernel(a: f64, b: f64, x: f64) -> f64 {
    libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p()
}

/// Regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22),
/// evaluated by the modified Lentz method, on the side of the mean where it converges in O(√(a +
/// b)) terms.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    const TINY: f64 = 1e-300;
    let guarded = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let mut c = 1.0;
    let mut fraction = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut last = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / guarded(1.0 + coefficient * d);
            c = guarded(1.0 + coefficient / c);
            last = c * d;
            fraction *= last;
        }
        if (last - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    log_kernel(a, b, x).exp() * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots of Φ(x) = p in 40-digit arithmetic (mpmath), p the double nearest to the literal; all
    /// three branches and both their seams.
    #[test]
    fn normal_quantile_matches_40_digit_values() {
        let known = [
            (0.6, 0.253_347_103_135_799_7),
            (0.9, 1.281_551_565_544_600_6),
            (0.975, 1.959_963_984_540_053_9),
            (0.999, 3.090_232_306_167_812_8),
            (0.076, -1.432_502_720_825_811_9),
            (0.074, -1.446_632_067_158_978_5),
            (1e-6, -4.753_424_308_822_899),
            (4e-11, -6.500_600_542_967_491),
            (3.7e-12, -6.849_709_702_092_939),
            (1e-12, -7.034_483_825_301_132),
            (1e-100, -21.273_453_560_965_324),
            (1e-300, -37.047_096_299_361_2),
        ];
        for (p, x) in known {
            let error = (normal_quantile(p) / x - 1.0).abs();
            assert!(error < 2e-15, "quantile of {p}: relative error {error:e}");
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(1.5).is_nan() && normal_quantile(f64::NAN).is_nan());
    }

    /// scipy.stats.beta.ppf (SciPy 1.18.1).
    #[test]
    fn beta_quantile_matches_scipy() {
        let known = [
            (2.0, 3.0, 0.158_655_3, 0.185_301_137_341_564_11),
            (1.0, 1.0, 0.3, 0.3),
            (51.0, 951.0, 0.158_655_3, 0.043_974_380_330_828_3),
            (51.0, 951.0, 0.841_344_7, 0.057_822_607_057_709_27),
            (500_001.0, 500_001.0, 0.841_344_7, 0.500_499_999_404_806_4),
            (1.5, 2000.0, 0.158_655_3, 0.000_208_425_024_309_888_1),
            (1.0, 40.0, 0.841_344_7, 0.044_982_423_411_452_62),
            (1001.0, 1.0, 0.158_655_3, 0.998_162_508_086_673_5),
        ];
        for (a, b, p, x) in known {
            let error = (beta_quantile(p, a, b) / x - 1.0).abs();
            assert!(error < 1e-12, "quantile {p} of Beta({a}, {b}): relative error {error:e}");
        }
    }
}
