//! A user's own arrays: two rings of points in a plane, and the distance of their images in feature
//! space at three temperatures.

use std::ops::ControlFlow;

use featherm::backend::DeviceRequest;
use featherm::config::Experiment;
use featherm::model::{Activation, Classes, Network, Problem};
use featherm::session::Session;
use featherm::theory::TheoryKind;
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Points of radius 1 and 2 in turn, with the labels +1 and −1.
    let inner = |point: usize| point.is_multiple_of(2);
    let radius = |point| if inner(point) { 1.0 } else { 2.0 };
    let x = Array2::from_shape_fn((60, 2), |(point, k)| radius(point) * (2.4 * point as f64 + 1.57 * k as f64).cos());
    let y = Array2::from_shape_fn((60, 1), |(point, _)| if inner(point) { 1.0 } else { -1.0 });
    let problem = Problem::from_arrays(x.view(), y.view(), Classes::by_sign(y.view()))?;

    let network = Network { width: 50, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    let experiment = Experiment::builder(network)
        .temperatures([1.0, 0.1, 0.01])
        .theories([TheoryKind::Saddle])
        .draws(200)
        .build()?;
    let run = Session::new(&experiment, problem)?.run(&DeviceRequest::default(), |_| ControlFlow::Continue(()))?;

    for at in &run.document.temperatures {
        let distance = &at.observables["centroid_distance_sq"];
        let [mean, mcse] = [&distance.mean, &distance.mcse].map(|field| field.scalar().unwrap_or(f64::NAN));
        println!("T = {:<5} D² = {mean:.4} ± {mcse:.4}", at.temperature);
    }
    for array in run.arrays() {
        println!("{:32} {:?}", array.name, array.dimensions());
    }
    Ok(())
}
