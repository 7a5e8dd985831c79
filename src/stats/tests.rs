//! Against ArviZ on fixed arrays, and against what the numbers are supposed to mean.

use serde_json::Value;

use super::rhat::scale_reduction;
use super::*;

/// Largest relative difference from ArviZ that passes; measured: 7e-12.
const TOLERANCE: f64 = 1e-10;

/// `tests/reference/arviz_reference.py` says how these are built, and why from additions only.
fn uniform(seed: u64, index: u64) -> f64 {
    let mut x = ((seed << 40).wrapping_add(index + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64 + 0.5 / (1u64 << 53) as f64
}

fn normal(seed: u64, index: u64) -> f64 {
    (0..12).fold(0.0, |sum, k| sum + uniform(seed, 12 * index + k)) - 6.0
}

/// Stationary autoregressive chains of unit variance, row-major.
fn ar(seed: u64, chains: usize, draws: usize, phi: f64) -> Vec<f64> {
    let mut x: Vec<f64> = (0..chains * draws).map(|i| normal(seed, i as u64)).collect();
    for chain in x.chunks_mut(draws) {
        for t in 1..draws {
            chain[t] = phi * chain[t - 1] + (1.0 - phi * phi).sqrt() * chain[t];
        }
    }
    x
}

fn array(kind: &str, seed: u64, chains: usize, draws: usize) -> Vec<f64> {
    let mut x = ar(seed, chains, draws, 0.0);
    match kind {
        "independent" => {}
        "ar(0.9)" => x = ar(seed, chains, draws, 0.9),
        "ar(-0.5)" => x = ar(seed, chains, draws, -0.5),
        "one chain shifted" => x[..draws].iter_mut().for_each(|x| *x += 1.0),
        "one chain wider" => x[..draws].iter_mut().for_each(|x| *x *= 3.0),
        "trend" => x.iter_mut().enumerate().for_each(|(i, x)| *x += 2.0 * (i % draws) as f64 / draws as f64),
        "heavy tails" => x.iter_mut().enumerate().for_each(|(i, x)| *x /= uniform(seed + 1, i as u64)),
        "ties" => x.iter_mut().for_each(|x| *x = (2.0 * *x).floor()),
        "far from zero" => x.iter_mut().for_each(|x| *x = 1024.0 + (1_048_576.0 * *x).floor() / 1_048_576.0),
        "constant" => x.fill(0.25),
        "each chain constant" => x.iter_mut().enumerate().for_each(|(i, x)| *x = (i / draws) as f64 / 4.0),
        "two values" => x.iter_mut().for_each(|x| *x = if *x < 0.0 { -1.0 } else { 1.0 }),
        unknown => panic!("unknown kind of array: {unknown}"),
    }
    x
}

struct Case {
    name: String,
    values: Vec<f64>,
    chains: usize,
    superchains: usize,
    answers: Value,
}

impl Case {
    fn answer(&self, name: &str) -> f64 {
        number(&self.answers[name])
    }
}

/// NaN and infinities are strings in the reference file.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
}

fn cases() -> Vec<Case> {
    let file: Value = serde_json::from_str(include_str!("../../tests/reference/arviz_reference.json")).unwrap();
    let case = |case: &Value| {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (kind, seed, chains, draws) = (case["kind"].as_str().unwrap(), size("seed"), size("chains"), size("draws"));
        Case {
            name: format!("{kind}, {chains} × {draws}"),
            values: array(kind, seed as u64, chains, draws),
            chains,
            superchains: size("superchains"),
            answers: case.clone(),
        }
    };
    file["cases"].as_array().unwrap().iter().map(case).collect()
}

/// Every public statistic under its name in the reference file.
fn statistics(chains: Chains, superchains: usize) -> Vec<(&'static str, f64)> {
    vec![
        ("rhat", rhat(chains)),
        ("nested_rhat", nested_rhat(chains, superchains)),
        ("ess_bulk", ess_bulk(chains)),
        ("ess_tail", ess_tail(chains)),
        ("ess_mean", ess_mean(chains)),
        ("ess_quantile(0.25)", ess_quantile(chains, 0.25)),
        ("mcse_mean", mcse_mean(chains)),
        ("mcse_sd", mcse_sd(chains)),
        ("mcse_quantile(0.05)", mcse_quantile(chains, 0.05)),
        ("mcse_quantile(0.5)", mcse_quantile(chains, 0.5)),
        ("mcse_quantile(0.95)", mcse_quantile(chains, 0.95)),
    ]
}

/// Relative difference; zero where both are NaN, and where one is infinite and the other too large
/// to be anything but rounding about it.
fn difference(ours: f64, theirs: f64) -> f64 {
    match (ours.is_nan(), theirs.is_nan()) {
        (true, true) => 0.0,
        (false, false) if ours == theirs || (ours.is_infinite() && theirs > 1e15) => 0.0,
        (false, false) => (ours - theirs).abs() / theirs.abs(),
        _ => f64::INFINITY,
    }
}

#[test]
fn agrees_with_arviz() {
    let mut worst = 0.0;
    for case in cases() {
        let chains = Chains::new(&case.values, case.chains).unwrap();
        let mut check = |name: &str, ours: f64, theirs: f64| {
            let difference = difference(ours, theirs);
            assert!(difference < TOLERANCE, "{name} of {}: {ours} here, {theirs} in ArviZ", case.name);
            worst = f64::max(worst, difference);
        };
        for (name, ours) in statistics(chains, case.superchains) {
            check(name, ours, case.answer(name));
        }
        for (ours, theirs) in bfmi(chains).into_iter().zip(case.answers["bfmi"].as_array().unwrap()) {
            check("bfmi", ours, number(theirs));
        }
        let summary = Summary::new(chains, case.superchains);
        check("mean", summary.mean, case.answer("mean"));
        check("sd", summary.sd, case.answer("sd"));
        check("mcse", summary.mcse, case.answer("mcse_mean"));
        check("ess_bulk", summary.ess_bulk, case.answer("ess_bulk"));
        check("ess_tail", summary.ess_tail, case.answer("ess_tail"));
        check("rhat", summary.rhat, case.answer("rhat"));
        check("nested_rhat", summary.nested_rhat, case.answer("nested_rhat"));
        // With fewer draws the summary gives no quantile, while NumPy does.
        if chains.draws() >= 4 {
            for (probability, quantile) in QUANTILES.into_iter().zip(summary.quantiles) {
                check("quantile", quantile.value, case.answer(&format!("quantile({probability})")));
                check("mcse_quantile", quantile.mcse, case.answer(&format!("mcse_quantile({probability})")));
            }
        }
    }
    println!("largest relative difference from ArviZ: {worst:e}");
}

/// Negative control: R̂ of whole chains without ranks is ArviZ's `identity`, and is told apart from
/// the rank-normalised split R̂.
#[test]
fn plain_rhat_is_told_apart() {
    let mut told = 0;
    for case in
        cases().iter().filter(|case| case.chains > 1 && case.answer("rhat").is_finite() && case.answer("rhat") < 1e3)
    {
        let chains = Chains::new(&case.values, case.chains).unwrap();
        let plain = scale_reduction(&chains.iter().map(moments).collect::<Vec<_>>(), chains.draws());
        assert!(difference(plain, case.answer("rhat_identity")) < 1e-8, "{}", case.name);
        assert!(difference(plain, case.answer("rhat")) > 1e3 * TOLERANCE, "{}", case.name);
        told += 1;
    }
    assert!(told > 40);
}

/// Negative control: one draw moved across the distribution changes every statistic by far more
/// than the tolerance; so does grouping other chains into a superchain for nested R̂.
#[test]
fn a_perturbed_array_is_seen() {
    let case = cases().into_iter().find(|case| case.name == "ar(0.9), 4 × 101").expect("the case is in the file");
    let mut values = case.values.clone();
    let low = (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
    values[low] = 2.0 + 0.5 * values.iter().copied().fold(0.0, f64::max);
    for (name, ours) in statistics(Chains::new(&values, 4).unwrap(), case.superchains) {
        assert!(difference(ours, case.answer(name)) > 1e3 * TOLERANCE, "{name} does not see a moved draw");
    }
    values.copy_from_slice(&case.values);
    values.rotate_left(101);
    let rotated = nested_rhat(Chains::new(&values, 4).unwrap(), case.superchains);
    assert!(difference(rotated, case.answer("nested_rhat")) > 1e3 * TOLERANCE);
}

/// One chain alone is pooled with itself; chains apart in energy have jumps that are small beside
/// the spread of them all.
#[test]
fn pooled_bfmi_sees_what_single_chains_miss() {
    let energies = ar(61, 4, 500, 0.0);
    let alone = Chains::new(&energies[..500], 1).unwrap();
    assert!(difference(bfmi_pooled(alone), bfmi(alone)[0]) < 1e-12);
    let chains = Chains::new(&energies, 4).unwrap();
    assert!((bfmi_pooled(chains) - 2.0).abs() < 0.15, "independent energies");
    let apart: Vec<f64> = energies.iter().enumerate().map(|(i, e)| e + 10.0 * (i / 500) as f64).collect();
    let apart = Chains::new(&apart, 4).unwrap();
    assert!(bfmi_pooled(apart) < 0.1 && bfmi(apart).iter().all(|&f| f > 1.5));
}

/// Under stationarity z is Student's t with 23 degrees of freedom: |z| > 2.807 in 1 % of
/// replications (2000 of them: standard error 0.22 %), whatever the autocorrelation. Chains that
/// start four standard deviations off and forget it over a tenth of the draws are seen.
#[test]
fn drift_has_its_level_and_power() {
    let beyond = |start: f64| {
        let one = |seed: u64| {
            let mut values = ar(7000 + seed, 24, 100, 0.9);
            values.iter_mut().enumerate().for_each(|(i, x)| *x += start * 0.9f64.powi((i % 100) as i32));
            drift(Chains::new(&values, 24).unwrap()).abs() > 2.807
        };
        (0..2000).filter(|&seed| one(seed)).count() as f64 / 2000.0
    };
    let (level, power) = (beyond(0.0), beyond(4.0));
    assert!((level - 0.01).abs() < 0.008, "{level} of stationary chains drift");
    assert!(power > 0.9, "{power} of settling chains are seen");
    assert!(drift(Chains::new(&ar(1, 3, 100, 0.0), 3).unwrap()).is_nan());
}

/// The many-chain trap: stationary chains, too short for the split R̂, are cleared by the nested
/// one.
#[test]
fn nested_rhat_clears_many_short_chains() {
    let stationary = ar(71, 2048, 100, 0.9);
    let chains = Chains::new(&stationary, 2048).unwrap();
    assert!((rhat(chains) - 1.19).abs() < 0.01);
    assert!((nested_rhat(chains, 16) - 1.0).abs() < 0.003);
    // Control: superchains that still remember where they started are not cleared.
    let mut started = stationary.clone();
    for (c, chain) in started.chunks_mut(100).enumerate() {
        let start = 3.0 * normal(72, (c / 128) as u64);
        chain.iter_mut().enumerate().for_each(|(t, x)| *x += start * 0.99f64.powi(t as i32));
    }
    let remembered = nested_rhat(Chains::new(&started, 2048).unwrap(), 16);
    assert!(remembered > 1.5, "{remembered}");
}

/// AR(φ) has τ = (1 + φ)/(1 − φ); at 8 × 4000 draws the estimate scatters by some 5 %, the bound is
/// 15 %.
#[test]
fn ess_of_autoregressive_chains_is_the_known_one() {
    for (seed, phi) in [(81, -0.5f64), (82, 0.0), (83, 0.5), (84, 0.9)] {
        let values = ar(seed, 8, 4000, phi);
        let chains = Chains::new(&values, 8).unwrap();
        let expected = 32_000.0 * (1.0 - phi) / (1.0 + phi);
        for ess in [ess_mean(chains), ess_bulk(chains)] {
            assert!((ess / expected - 1.0).abs() < 0.15, "φ = {phi}: ESS {ess}, expected {expected}");
            // Control: the time of a neighbouring φ is out of bounds.
            let other = 32_000.0 * (0.85 - phi) / (1.15 + phi);
            assert!((ess / other - 1.0).abs() > 0.15);
        }
    }
}

/// The mean of stationary chains lies within 1.96 MCSE of zero in 95 % of replications (2000 of
/// them: standard error 0.5 %); so do quantile and sd, whose errors are asymptotic, within 90–97 %.
#[test]
fn mcse_covers() {
    const REPLICATIONS: u64 = 2000;
    let mut covered = [0; 4];
    for seed in 0..REPLICATIONS {
        let values = ar(1000 + seed, 4, 250, 0.5);
        let chains = Chains::new(&values, 4).unwrap();
        let summary = Summary::new(chains, 2);
        let median = order::Order::new(chains).quantile(0.5);
        covered[0] += u32::from(summary.mean.abs() < 1.96 * summary.mcse);
        covered[1] += u32::from(median.abs() < 1.96 * mcse_quantile(chains, 0.5));
        covered[2] += u32::from((summary.sd - 1.0).abs() < 1.96 * mcse_sd(chains));
        // Control: the error of independent draws.
        covered[3] += u32::from(summary.mean.abs() < 1.96 * summary.sd / 1000f64.sqrt());
    }
    let [mean, median, sd, naive] = covered.map(|count| f64::from(count) / REPLICATIONS as f64);
    println!("coverage: mean {mean}, median {median}, sd {sd}; pretending independence {naive}");
    assert!((0.935..0.965).contains(&mean));
    assert!((0.9..0.97).contains(&median));
    assert!((0.9..0.97).contains(&sd));
    assert!(naive < 0.8);
}

#[test]
fn degenerate_input_has_the_documented_answer() {
    let all = |values: &[f64], chains: usize| statistics(Chains::new(values, chains).unwrap(), 2);
    for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut values = ar(91, 4, 20, 0.0);
        values[30] = poison;
        for (name, value) in all(&values, 4) {
            assert!(value.is_nan(), "{name} of {poison}");
        }
        let summary = Summary::new(Chains::new(&values, 4).unwrap(), 2);
        assert!(summary.mean.is_nan() && summary.sd.is_nan() && summary.mcse.is_nan() && summary.rhat.is_nan());
        let fractions = bfmi(Chains::new(&values, 4).unwrap());
        assert_eq!(fractions.iter().map(|f| f.is_nan()).collect::<Vec<_>>(), [false, true, false, false]);
    }
    for draws in 0..4 {
        let values = ar(92, 3, draws.max(1), 0.0);
        let chains = Chains::new(&values[..3 * draws], 3).unwrap();
        assert!(statistics(chains, 3).iter().all(|(_, value)| value.is_nan()));
        assert_eq!(Summary::new(chains, 3).mean.is_nan(), draws == 0);
        assert_eq!(bfmi(chains).iter().all(|f| f.is_nan()), draws < 2);
    }
    // 0.1 summed n times is not 0.1 n: a constant must still be seen as one.
    let constant = [0.1; 40];
    let chains = Chains::new(&constant, 4).unwrap();
    assert_eq!(bfmi(chains).iter().filter(|f| f.is_nan()).count(), 4);
    let summary = Summary::new(chains, 2);
    assert_eq!(
        (summary.mean, summary.sd, summary.mcse, summary.ess_bulk, summary.ess_tail),
        (0.1, 0.0, 0.0, 40.0, 40.0)
    );
    assert!(summary.rhat.is_nan() && summary.nested_rhat.is_nan());
    // Too large to square, too small to matter to an absolute bound.
    let unit = ar(93, 4, 50, 0.5);
    let scaled = |scale: f64| unit.iter().map(|x| scale * x).collect::<Vec<_>>();
    assert!(ess_mean(Chains::new(&scaled(1e200), 4).unwrap()).is_nan());
    assert!(
        difference(ess_mean(Chains::new(&scaled(1e-30), 4).unwrap()), ess_mean(Chains::new(&unit, 4).unwrap())) < 1e-10
    );
}

#[test]
fn arguments_out_of_range_have_the_documented_answer() {
    let values = ar(94, 4, 50, 0.0);
    let chains = Chains::new(&values, 4).unwrap();
    for superchains in [0, 1, 3, 8] {
        assert!(nested_rhat(chains, superchains).is_nan());
    }
    for superchains in [2, 4] {
        assert!(nested_rhat(chains, superchains).is_finite());
    }
    for probability in [-0.1, 1.1, f64::NAN] {
        assert!(ess_quantile(chains, probability).is_nan() && mcse_quantile(chains, probability).is_nan());
    }
    for probability in [0.0, 1.0] {
        assert!(ess_quantile(chains, probability) > 0.0 && mcse_quantile(chains, probability) >= 0.0);
    }
    assert_eq!(Chains::new(&values, 3).unwrap_err(), ShapeError { values: 200, chains: 3 });
    assert!(Chains::new(&values, 0).is_err());
}

/// Exact probabilities from scipy.stats.kstwo: samples that put the k-th of n draws at (k − ½)/n +
/// D − ½/n have that very D.
#[test]
fn ks_p_value_is_near_the_exact_one() {
    let p_value = |n: usize, distance: f64| {
        let sample: Vec<f64> = (0..n).map(|k| k as f64 / n as f64 + distance).collect();
        ks_p_value(&sample, |x| x.min(1.0))
    };
    for (n, distance, exact) in [
        (10, 0.409, 0.050_223_408),
        (20, 0.294, 0.050_093_946),
        (50, 0.1, 0.662_311_271),
        (100, 0.134, 0.050_076_26),
        (1000, 0.0428, 0.049_798_412),
        (1000, 0.02, 0.810_897_197),
    ] {
        let p = p_value(n, distance);
        assert!(
            (p - exact).abs() < if exact < 0.1 { 0.002 } else { 0.025 },
            "n = {n}, D = {distance}: {p}, exact {exact}"
        );
    }
    assert!((p_value(1000, 0.0290) - p_value(1000, 0.0291)).abs() < 0.01, "the two series meet");
    assert!(ks_p_value(&[], |x| x).is_nan() && ks_p_value(&[f64::NAN], |x| x).is_nan());
}

/// Under the null hypothesis p-values are uniform: 5 % fall below 0.05 (2000 samples of 100:
/// standard error 0.5 %). A shift of a third of a standard deviation of the uniform is found most
/// of the time.
#[test]
fn ks_test_has_its_level_and_power() {
    let rejected = |shift: f64| {
        let sample = |seed: u64| (0..100).map(|i| uniform(seed, i) + shift).collect::<Vec<_>>();
        let below = |&seed: &u64| ks_p_value(&sample(seed), |x| x.clamp(0.0, 1.0)) < 0.05;
        (5000..7000).filter(below).count() as f64 / 2000.0
    };
    let (level, power) = (rejected(0.0), rejected(0.1));
    assert!((level - 0.05).abs() < 0.015, "rejected {level} of true nulls");
    assert!(power > 0.7, "rejected {power} of shifted samples");
}
