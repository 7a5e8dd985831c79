//! Samples of the device against NUTS posteriors and the exact linear network.

use featherm::backend::gpu::GpuOptions;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::{Backend, Ensemble};
use featherm::sampler::{Readout, SamplerKind};

use crate::common::gpu::on_device;
use crate::{Group, Test, common};

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    for case in common::posterior::Case::all() {
        for readout in [Readout::Sampled, Readout::Integrated] {
            let (name, activation, case) =
                (format!("law::{readout:?}::{}", case.activation), case.activation.clone(), case.clone());
            let test = move || posterior(&case, readout);
            // A software device takes half a minute for each. The parity tests hold every
            // activation against the CPU.
            match (readout, activation.as_str()) {
                (Readout::Sampled, "erf") | (Readout::Integrated, "relu") => group.slow(name, test),
                _ => group.long(name, test),
            }
        }
    }
    group.slow("law::a_wrong_integrated_readout_misses_the_reference_posterior", wrong);
    for readout in [Readout::Sampled, Readout::Integrated] {
        group.long(format!("law::a_tempered_linear_network_is_exact::{readout:?}"), move || tempered(readout));
    }
    group.slow("law::an_integrated_readout_leaves_a_linear_network_exact::3", || linear_network(3));
    group.long("law::an_integrated_readout_leaves_a_linear_network_exact::10", || linear_network(10));
}

fn posterior(case: &common::posterior::Case, readout: Readout) -> Test {
    let setting = common::Setting { readout, ..common::Setting::new(SamplerKind::Malt, &[case.temperature]) };
    common::assert_met(&case.activation, &case.sample(&setting, start));
    Ok(())
}

/// A draw of v with a fifth too little noise of the labels is seen.
fn wrong() -> Test {
    let case = &common::posterior::Case::all()[0];
    let setting = common::Setting {
        readout: Readout::Integrated,
        ..common::Setting::new(SamplerKind::Malt, &[case.temperature])
    };
    let narrow: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("sqrt(beta) * noise", "0.8 * sqrt(beta) * noise");
    let options = GpuOptions { edit: Some(narrow), ..GpuOptions::default() };
    let spoiled = |ensemble| -> Box<dyn Backend> {
        match on_device(ensemble, options) {
            Ok(gpu) => Box::new(gpu),
            Err(error) => panic!("{error}"),
        }
    };
    common::assert_missed("a readout with too little noise", &case.sample(&setting, spoiled));
    Ok(())
}

fn linear_network(width: usize) -> Test {
    use crate::common::linear_network::{TEMPERATURE, exact, network, problem, targets};

    let problem = problem();
    let setting =
        common::Setting { readout: Readout::Integrated, ..common::Setting::new(SamplerKind::Malt, &[TEMPERATURE]) };
    let met = targets(&problem, network(width), &setting, 0, &exact(&problem, width), start);
    common::assert_met(&format!("linear network, N1 = {width}"), &met);
    Ok(())
}

fn tempered(readout: Readout) -> Test {
    use crate::common::linear_network::{TEMPERATURE, exact, network, problem, targets};

    let problem = problem();
    let ladder = [3.0, 1.0, TEMPERATURE];
    let setting = common::Setting { tempering: true, readout, ..common::Setting::new(SamplerKind::Malt, &ladder) };
    let met = targets(&problem, network(10), &setting, 2, &exact(&problem, 10), start);
    common::assert_met("tempered linear network", &met);
    Ok(())
}

/// A backend on the device, for the bodies that all backends share; they panic like any test.
fn start(ensemble: Ensemble) -> Box<dyn Backend> {
    match on_device(ensemble, GpuOptions::default()) {
        Ok(gpu) => Box::new(gpu),
        Err(error) => panic!("{error}"),
    }
}
