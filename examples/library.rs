//! The library in ten lines: the quick preset with another width, and where its D²(T) has its maximum.

use std::ops::ControlFlow;

use featherm::config::{Setup, preset};
use featherm::studies::run;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = preset("quick")?;
    settings.network.width = Some(60);
    settings.sampler.draws = Some(100);
    let setup = Setup::resolve(settings)?;
    let result = run(&setup, |_| ControlFlow::Continue(()))?;
    for at in &result.document.temperatures {
        let d2 = &at.observables["centroid_distance_sq"];
        println!("T = {:<8.3} D² = {:?} ± {:?}", at.temperature, d2.mean.scalar(), d2.mcse.scalar());
    }
    println!("{:#?}", result.document.signatures["centroid_distance_maximum"]);
    Ok(())
}
