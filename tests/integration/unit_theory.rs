//! The adaptive theory's predictor against whole networks on the embedded digits.

use std::ops::ControlFlow;

use featherm::config::{Setup, preset};
use featherm::data::Order;
use featherm::model::Activation;
use featherm::studies::run;
use featherm::theory::TheoryKind;

use crate::common::rotation;

/// Standard errors by which a number may miss.
const MOST_Z: f64 = 4.0;

/// Mean and variance of f at the test points, in networks of twenty units and by the theories.
///
/// At this width the theory puts the variance 2 % too low (1.3 to 2.1 % over four seeds of the
/// chains), which as many draws just do not resolve; the saddle point puts it 9 % too low.
#[test]
fn adaptive_predicts_the_test_points_of_whole_networks() {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test, settings.network.width) = (Some(40), Some(60), Some(20));
    settings.network.activation = Some(Activation::Relu);
    settings.data.order = Some(Order::File);
    (settings.temperature.values, settings.temperature.range) = (Some(vec![1.0, 0.3]), None);
    (settings.sampler.chains, settings.sampler.warmup, settings.sampler.draws) = (Some(24), Some(100), Some(800));
    settings.sampler.seed = Some(1 + rotation());
    settings.theory.kinds = Some(vec![TheoryKind::Saddle, TheoryKind::Adaptive]);
    let document = run(&Setup::resolve(settings).unwrap(), |_| ControlFlow::Continue(())).unwrap().document;
    let at = &document.temperatures[1];
    assert!(at.converged, "{:?}", at.advice);
    let rms_z = |kind: &str| at.signatures.predictor.as_ref().unwrap().theory[kind].rms_z.unwrap();
    let z = |name: &str, kind: &str| at.observables[name].z[kind].scalar().unwrap().abs();
    println!("rms z of f* {:.2}, saddle {:.2}", rms_z("adaptive"), rms_z("saddle"));
    // An error from eight sets is known to a quarter only, by which z of sixty points is 1.2 and
    // not 1.
    assert!(rms_z("adaptive") < 1.6, "{}", rms_z("adaptive"));
    assert!(rms_z("saddle") > 3.0, "the saddle point must fail this test, {}", rms_z("saddle"));
    for name in ["test_mse", "test_bias_squared", "test_variance"] {
        assert!(z(name, "adaptive") < MOST_Z, "{name}: {}", z(name, "adaptive"));
    }
    assert!(z("test_variance", "saddle") > 2.0 * MOST_Z, "{}", z("test_variance", "saddle"));
}
