//! In the proportional limit the saddle point is right and infinite width is not.

use std::ops::ControlFlow;

use featherm::backend::BackendChoice;
use featherm::config::{DataSettings, Settings, Setup, preset};
use featherm::studies::scaling::{FixedQuantity, Line, Scaling, Verdict, measure};

use crate::common::rotation;

fn setup() -> Setup {
    let mut settings = Settings { data: DataSettings::default(), ..preset("quick").unwrap() };
    (settings.data.source, settings.data.classes) = (Some("teacher:linear".into()), None);
    (settings.data.train, settings.data.teacher_dimension, settings.network.width) = (Some(20), Some(20), Some(10));
    settings.temperature.range = None;
    settings.temperature.values = Some(vec![0.5]);
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(16), Some(80), Some(250));
    (sampler.backend, sampler.seed) = (Some(BackendChoice::Cpu), Some(1 + rotation()));
    Setup::resolve(settings).unwrap()
}

fn line(scaling: &Scaling, observable: &str, theory: &str) -> (Line, Verdict) {
    let row = scaling.rows.iter().find(|row| row.observable == observable && row.theory == theory);
    row.and_then(|row| row.line.zip(row.verdict)).unwrap_or_else(|| panic!("no line for {observable} of {theory}"))
}

#[test]
#[ignore = "slow: statistical, four widths"]
fn at_fixed_load_the_saddle_point_is_the_limit_and_infinite_width_is_not() {
    let scaling =
        measure(&setup(), FixedQuantity::LoadAndDimension, &[10, 20, 40, 80], |_| ControlFlow::Continue(())).unwrap();
    let sizes: Vec<_> = scaling.sizes.iter().map(|s| (s.width, s.train, s.dimension)).collect();
    assert_eq!(sizes, [(10, 20, 20), (20, 40, 40), (40, 80, 80), (80, 160, 160)]);
    let open: Vec<_> = scaling.sizes.iter().filter(|size| !size.temperatures.iter().all(|at| at.converged)).collect();
    assert!(open.is_empty(), "what has not converged has no part in the lines: {open:?}");
    for observable in ["centroid_distance_sq", "weight_second_moment_along_u"] {
        let (saddle, _) = line(&scaling, observable, "saddle");
        assert!(saddle.limit.abs() < 3.5 * saddle.limit_error && saddle.limit_error < 0.05, "{observable}: {saddle:?}");
        let (nngp, verdict) = line(&scaling, observable, "nngp");
        assert_eq!(verdict, Verdict::NotZero, "{observable}: {nngp:?}");
        assert!(nngp.limit.abs() > 3.5 * nngp.limit_error && nngp.limit.abs() > 0.1, "{observable}: {nngp:?}");
    }
}
