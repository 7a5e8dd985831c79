// g = ∂/∂H but for a factor of its row, in float16: the left operand of ∂/∂W′ = g Z. What it is,
// force_loss.wgsl or force_marginal.wgsl says. An invocation treats four units at four points.

@compute @workgroup_size(LANES)
fn pack_force(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let across = POINT_PAD / 4u;
    let item = group.x * LANES + lane;
    if idle(chain) || item >= UNIT_PAD / 4u * across {
        return;
    }
    aim(chain);
    let units = item / across;
    let k = item % across;
    var block = mat4x4<f32>();
    if units < NV && k < PV {
        block = left(units, k);
    }
    for (var b = 0u; b < 4u; b++) {
        operands[operand_of(chain) + (4u * units + b) * across + k] = halves(block[b]);
    }
}
