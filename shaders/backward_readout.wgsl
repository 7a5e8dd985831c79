// Stage backward, the readout's part: ∂L/∂v_i = (1/√N1) Σ_μ e_μ φ_iμ and the next move of v. It
// runs after the weights' part, which needs v as it was. An invocation treats four units.

@compute @workgroup_size(LANES)
fn backward_readout(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let units = group.x * LANES + lane;
    if idle(chain) || units >= NV {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var point = 0u; point < POINTS; point++) {
        let e = scratch[chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL + point];
        sum += e * load_feature(chain * CHAIN_FEATURES + point * NV + units);
    }
    let integrator = integrator_of(chain);
    let work = advance(chain, UNITS * RV + units, sum * OUTPUT_SCALE, integrator, readout_place(integrator, units));
    add_work(chain, READOUT_SLOT + units, work);
}
