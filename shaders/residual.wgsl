// Stage residual, twin of src/backend/cpu/residual.rs: outputs from the units' shares, e = f − y
// and the loss, one workgroup per chain.

@compute @workgroup_size(LANES)
fn residual(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    let own = chain * CHAIN_SCRATCH;
    var loss = vec2<f32>(0.0);
    for (var point = lane; point < 4u * PV; point += LANES) {
        var e = 0.0;
        if point < POINTS {
            for (var slot = 0u; slot < UNIT_SLOTS; slot++) {
                e += scratch[own + SCRATCH_SHARES + slot * POINTS + point];
            }
            e = e * OUTPUT_SCALE - scalar(DATA_LABELS, point);
            loss = add(loss, vec2<f32>(0.5 * e * e, 0.0));
        }
        scratch[own + SCRATCH_RESIDUAL + point] = e;
    }
    let total = reduce(lane, loss);
    if lane == 0u {
        state[base(call.section, chain) + CHAIN_BODY] = vec4<f32>(total, 0.0, 0.0);
    }
}
