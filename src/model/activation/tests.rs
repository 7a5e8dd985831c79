use super::*;
use crate::numerics::noise::{Address, Purpose};

const ALL: [Activation; 5] =
    [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu];

fn entry(activation: Activation, a: f64, b: f64, c: f64) -> f64 {
    activation.kernel(Mat::full(1, 1, c), &[a], &[b])[(0, 0)]
}

/// E[f(z)] over z ~ N(0, 1) by the trapezoidal rule: exponentially accurate for analytic f.
fn normal_average(step: f64, f: impl Fn(f64) -> f64) -> f64 {
    let n = (9.0 / step) as i32;
    let weight = step / SQRT_TAU;
    (-n..=n).map(|i| f64::from(i) * step).map(|z| weight * (-0.5 * z * z).exp() * f(z)).sum()
}

/// E[σ(x)σ(y)] by the tensor trapezoidal rule, independent of every closed form.
fn kernel_by_quadrature(activation: Activation, a: f64, b: f64, c: f64, step: f64) -> f64 {
    let (slope, rest) = (c / a.sqrt(), (b - c * c / a).max(0.0).sqrt());
    normal_average(step, |z| {
        let inner = if rest == 0.0 {
            activation.sigma(slope * z)
        } else {
            normal_average(step, |e| activation.sigma(slope * z + rest * e))
        };
        activation.sigma(a.sqrt() * z) * inner
    })
}

fn relative(x: f64, y: f64) -> f64 {
    (x / y - 1.0).abs()
}

#[test]
fn derivatives_are_the_slopes_of_the_activations() {
    for activation in ALL {
        for x in [-3.1, -0.7, -0.02, 0.3, 1.9, 4.0] {
            let h = 1e-5;
            let slope = (activation.sigma(x + h) - activation.sigma(x - h)) / (2.0 * h);
            assert!((slope - activation.sigma_prime(x)).abs() < 1e-9, "{activation:?}' at {x}");
        }
        let odd = (activation.sigma(1.3) + activation.sigma(-1.3)).abs() < 1e-15;
        assert_eq!(odd, activation.is_odd(), "{activation:?}");
        assert!(activation.sigma(f64::NAN).is_nan() && activation.sigma_prime(f64::NAN).is_nan());
    }
}

#[test]
fn smooth_kernels_match_two_dimensional_quadrature() {
    let cases = [
        (1.0, 1.0, 0.3, 0.1),
        (0.01, 0.02, -0.004, 0.1),
        (1.0, 2.5, 1.0, 0.1),
        (30.0, 20.0, -22.0, 0.02),
        (30.0, 1e-3, 0.1, 0.02),
        (1000.0, 900.0, 940.0, 0.0075),
        (1000.0, 1000.0, 1000.0, 0.0075),
        (2.0, 2.0, 2.0, 0.05),
        (2.0, 2.0, -2.0, 0.05),
    ];
    for activation in [Activation::Erf, Activation::Tanh, Activation::Gelu] {
        for (a, b, c, step) in cases {
            let exact = kernel_by_quadrature(activation, a, b, c, step);
            let error = relative(entry(activation, a, b, c), exact);
            assert!(error < 3e-11, "{activation:?} at {a}, {b}, {c}: {error:e}");
            let shifted = relative(entry(activation, a, b, c * (1.0 - 1e-5)), exact);
            assert!(shifted > 3e-11, "{activation:?}: a covariance off by 1e-5 must be seen");
        }
    }
}

#[test]
fn means_and_mean_derivatives_match_quadrature() {
    for activation in ALL {
        for variance in [1e-3_f64, 0.4, 1.0, 25.0] {
            let kinked = activation == Activation::Relu;
            let (step, tolerance) = if kinked { (1e-4, 1e-8) } else { (0.01, 1e-11) };
            let average = |f: &dyn Fn(f64) -> f64| normal_average(step, |z| f(variance.sqrt() * z));
            let mean = average(&|h| activation.sigma(h));
            let derivative = average(&|h| activation.sigma_prime(h) + if kinked && h == 0.0 { 0.5 } else { 0.0 });
            let second = average(&|h| activation.sigma(h).powi(2));
            assert!((activation.mean(variance) - mean).abs() < tolerance, "{activation:?} mean at {variance}");
            assert!((activation.mean_derivative(variance) - derivative).abs() < tolerance, "{activation:?} derivative");
            assert!((activation.second_moment(variance) - second).abs() < tolerance * (1.0 + second), "{activation:?}");
        }
    }
}

/// Gram matrices of random features meet every kernel, train and cross blocks; a kernel of another
/// variance does not.
#[test]
fn kernels_match_sampled_gram_matrices() {
    const DRAWS: usize = 400_000;
    let points = [[1.0, 0.2, -0.5], [0.3, -1.4, 0.1], [1.0, 0.2, -0.5], [-0.8, 0.9, 1.7], [0.0, 0.05, 0.02]];
    let dot = |i: usize, j: usize| -> f64 { points[i].iter().zip(&points[j]).map(|(x, y)| x * y).sum() };
    let address = Address { seed: 5, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Prior };
    let mut weights = vec![0f32; 3 * DRAWS];
    address.normals(&mut weights);
    let variances: Vec<f64> = (0..5).map(|i| dot(i, i)).collect();
    for activation in ALL {
        let mut sampled = Mat::<f64>::zeros(5, 3);
        for w in weights.chunks_exact(3) {
            let features = points.map(|x| activation.sigma(x.iter().zip(w).map(|(x, &w)| x * f64::from(w)).sum()));
            for j in 0..3 {
                for i in 0..5 {
                    sampled[(i, j)] += features[i] * features[j] / DRAWS as f64;
                }
            }
        }
        let errors = |scale: f64| {
            let covariance = Mat::from_fn(5, 3, |i, j| scale * dot(i, j));
            let scaled: Vec<f64> = variances.iter().map(|v| scale * v).collect();
            let kernel = activation.kernel(covariance, &scaled, &scaled[..3]);
            let difference = &kernel - &sampled;
            (difference.norm_l2() / kernel.norm_l2(), difference.norm_max())
        };
        let (relative, absolute) = errors(1.0);
        assert!(relative < 6e-3 && absolute < 1.2e-2, "{activation:?}: {relative:e}, {absolute:e}");
        let (relative, _) = errors(1.05);
        assert!(relative > 6e-3, "{activation:?}: a variance off by 5 % must be seen, {relative:e}");
    }
}

#[test]
fn extreme_variances_and_rounded_correlations_stay_finite() {
    for activation in ALL {
        for (a, b, c) in [
            (0.0, 0.0, 0.0),
            (0.0, 1.0, 0.0),
            (1e3, 1e3, 1e3 * (1.0 + 1e-15)),
            (1e6, 1e6, -1e6 * (1.0 + 1e-15)),
            (1e-12, 1e-12, 1e-12),
        ] {
            let k = entry(activation, a, b, c);
            assert!(k.is_finite() && (a > 0.0 || k == 0.0), "{activation:?} at {a}, {b}, {c}: {k}");
        }
        assert!(activation == Activation::Identity || entry(activation, 1.0, 1.0, f64::NAN).is_nan());
    }
}
