//! `featherm devices`: the graphics devices of this machine.

use super::{Failure, print};

#[cfg(feature = "gpu")]
pub fn devices() -> Result<(), Failure> {
    use crate::backend::gpu::adapters;
    use crate::backend::gpu::tuning::Tilings;

    const MIB: f64 = 1048576.0;
    let (found, choices) = (adapters(), Tilings::in_cache(super::cache::directory().as_deref()).choices());
    if found.is_empty() {
        print("no graphics device: no Vulkan, Metal or DirectX 12 driver answers; chains run on the CPU\n");
    }
    for a in found {
        print(&format!(
            "{a}\n   limits: binding {:.0} MiB, buffer {:.0} MiB, workgroups of {} invocations and {} bytes\n   {}\n",
            a.max_binding_bytes as f64 / MIB,
            a.max_buffer_bytes as f64 / MIB,
            a.max_workgroup_invocations,
            a.max_workgroup_bytes,
            features(&a),
        ));
        for choice in choices.iter().filter(|choice| choice.shape.is_of(&a)) {
            print(&format!("   measured: tiles {} for {}\n", choice.tiling, choice.shape));
        }
    }
    Ok(())
}

/// The optional features of a device, and whether featherm uses them there. None is needed.
#[cfg(feature = "gpu")]
fn features(a: &crate::backend::gpu::AdapterInfo) -> String {
    use crate::backend::gpu::tiling::SUBGROUP_LANES;

    let timestamps = if a.timestamps { "yes, for profiling" } else { "no" };
    let subgroup = match a.subgroup {
        0 => "no".to_owned(),
        size if a.is_software() && size as usize >= SUBGROUP_LANES => {
            format!("yes, of {size} or more: matrix products")
        }
        size => format!("of {size} or more, not used here"),
    };
    let f16 = if a.f16 {
        "yes, used with cooperative matrices only: halves are packed without it"
    } else {
        "no, not needed: halves are packed without it"
    };
    let cooperative = if a.cooperative { "yes, for --precision f16-matrix" } else { "no" };
    format!("optional: timestamps {timestamps}; subgroups {subgroup}; f16 {f16}; cooperative matrices {cooperative}")
}

#[cfg(not(feature = "gpu"))]
pub fn devices() -> Result<(), Failure> {
    print("this featherm was built without GPU support; chains run on the CPU\n");
    Ok(())
}
