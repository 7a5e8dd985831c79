//! `featherm devices`: the graphics devices of this machine.

use super::{Failure, print};

#[cfg(feature = "gpu")]
pub fn devices() -> Result<(), Failure> {
    use crate::backend::gpu::adapters;

    const MIB: f64 = 1048576.0;
    let found = adapters();
    if found.is_empty() {
        print("no graphics device: no Vulkan, Metal or DirectX 12 driver answers; chains run on the CPU\n");
    }
    for a in found {
        print(&format!(
            "{a}\n   largest binding {:.0} MiB, largest buffer {:.0} MiB, workgroups of up to {} invocations and {} bytes; timestamps {}\n",
            a.max_binding_bytes as f64 / MIB,
            a.max_buffer_bytes as f64 / MIB,
            a.max_workgroup_invocations,
            a.max_workgroup_bytes,
            if a.timestamps { "yes" } else { "no" },
        ));
    }
    Ok(())
}

#[cfg(not(feature = "gpu"))]
pub fn devices() -> Result<(), Failure> {
    print("this featherm was built without GPU support; chains run on the CPU\n");
    Ok(())
}
