// Sums of the weights and of their squares over the units of one chain, per direction; the host
// pools chains. An invocation treats four directions, or after them the readout. The last number of
// a chain says whether it is lost.

@compute @workgroup_size(LANES)
fn moments(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let column = group.x * LANES + lane;
    if column > RV {
        return;
    }
    var sum = Sums();
    var square = Sums();
    let current = base(CURRENT, chain);
    // The readout is one column of NV vectors behind the weights.
    let readout = column == RV;
    let count = select(UNITS, NV, readout);
    let first = current + select(column, UNITS * RV, readout);
    let stride = select(RV, 1u, readout);
    for (var i = 0u; i < count; i++) {
        let w = state[first + i * stride];
        sum = add_four(sum, w);
        square = add_four(square, w * w);
    }
    let at = chain * CHAIN_MOMENTS + 8u * column;
    for (var i = 0u; i < 4u; i++) {
        scratch[at + i] = sum.high[i];
        scratch[at + 4u + i] = square.high[i];
    }
    if readout {
        scratch[at + 8u] = state[base(GRADIENT, chain) + CHAIN_BODY].x;
    }
}
