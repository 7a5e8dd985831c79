//! The samples against independent ones on real data: Fashion-MNIST classes 2 and 4.

use std::ops::ControlFlow;

use featherm::config::{DataSettings, Settings, Setup, preset};
use featherm::data::Order;
use featherm::studies::run;

use crate::common::rotation;

/// Name, sampled value and its error.
type Checked = (&'static str, f64, f64);

/// For every T the name, mean and error of an observable, from an independent Metropolis-adjusted
/// float64 sampler: P = 100, N1 = 50, erf, λ = 1. NaN where none was recorded.
const CHECKED: [(f64, [Checked; 3]); 3] = [
    (
        10.0,
        [
            ("centroid_distance_sq", 0.03208, 0.00007),
            ("readout_second_moment", 0.9655, 0.0023),
            ("train_loss", f64::NAN, 0.0),
        ],
    ),
    (
        1.0,
        [
            ("centroid_distance_sq", 0.04109, 0.00007),
            ("readout_second_moment", 1.0909, 0.0023),
            ("train_loss", 0.30827, 0.00044),
        ],
    ),
    (
        0.1,
        [
            ("centroid_distance_sq", 0.06097, 0.00012),
            ("readout_second_moment", 2.051, 0.003),
            ("train_loss", 0.06447, 0.00012),
        ],
    ),
];

pub fn samples_meet_the_checked_numbers() {
    let mut settings = preset("quick").unwrap();
    settings.override_with(Settings {
        data: DataSettings {
            source: Some("fashion-mnist".into()),
            classes: Some("2,4".into()),
            train: Some(100),
            order: Some(Order::File),
            ..DataSettings::default()
        },
        ..Settings::default()
    });
    settings.network.width = Some(50);
    // Longer than the preset, so that the reference's own error is the larger one.
    settings.sampler.draws = Some(1000);
    settings.sampler.seed = Some(1 + rotation());
    settings.temperature.range = None;
    settings.temperature.values = Some(vec![10.0, 1.0, 0.1]);
    let result = run(&Setup::resolve(settings).unwrap(), |_| ControlFlow::Continue(())).unwrap();
    for (at, (temperature, checked)) in result.document.temperatures.iter().zip(CHECKED) {
        assert_eq!(at.temperature, temperature);
        for (name, mean, error) in checked.into_iter().filter(|(_, mean, _)| mean.is_finite()) {
            let found = &at.observables[name];
            let (sampled, mcse) = (found.mean.scalar().unwrap(), found.mcse.scalar().unwrap());
            let z = (sampled - mean) / mcse.hypot(error);
            assert!(
                z.abs() < 3.0,
                "T = {temperature}, {name}: {sampled} ± {mcse} against {mean} ± {error}, z = {z:.1}"
            );
            assert!(found.ess.scalar().unwrap() >= 400.0, "T = {temperature}, {name}");
            // The leading theory is off by several errors here, so the comparison can fail.
            let saddle = found.theory["saddle"].scalar().unwrap();
            let off = (saddle - mean) / mcse.hypot(error);
            assert!(temperature > 0.5 || off.abs() > 5.0, "T = {temperature}, {name}: {off:.1}");
        }
    }
}
