// Part of stage observe: the running sums over the units of every chain, behind its predictions in
// the accumulators; the host's account of them is src/backend/histogram.rs. A lost chain adds
// nothing.

fn lost(chain: u32) -> bool {
    return state[base(GRADIENT, chain) + CHAIN_BODY].x != 0.0;
}

fn readout_of(chain: u32, unit: u32) -> f32 {
    return state[base(CURRENT, chain) + UNITS * RV + unit / 4u][unit % 4u];
}

// Σ (1/N1) Σ_i v_i W′_ij: an invocation treats four directions.
@compute @workgroup_size(LANES)
fn correlate(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let column = group.x * LANES + lane;
    if column >= RV || lost(chain) {
        return;
    }
    var sum = Sums();
    for (var unit = 0u; unit < UNITS; unit++) {
        sum = add_four(sum, readout_of(chain, unit) * state[base(CURRENT, chain) + unit * RV + column]);
    }
    let at = chain * CHAIN_SUMS + SUMS_CORRELATION + 2u * column;
    let sums = add_four(Sums(accumulators[at], accumulators[at + 1u]), sum.high / f32(UNITS));
    accumulators[at] = sums.high;
    accumulators[at + 1u] = sums.low;
}

var<workgroup> counts: array<atomic<u32>, 2u * HISTOGRAM_CELLS>;

// The cell of a value: below, CELLS of them, above.
fn cell(x: f32, cells_per_unit: f32) -> u32 {
    return u32(clamp(floor(x * cells_per_unit + f32(CELLS / 2u) + 1.5), 0.0, f32(CELLS + 1u)));
}

// Counts of v and of w·û, one workgroup per chain. Whole numbers may be added in any order.
@compute @workgroup_size(LANES)
fn count(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    for (var k = lane; k < 2u * HISTOGRAM_CELLS; k += LANES) {
        atomicStore(&counts[k], 0u);
    }
    workgroupBarrier();
    let per_unit = data[DATA_HISTOGRAM_RANGES + temperature_of(chain)];
    let direction = DATA_PROJECTION_AXES + temperature_of(chain) * RV;
    for (var unit = lane; unit < UNITS; unit += LANES) {
        var w_u = vec2<f32>(0.0);
        for (var j = 0u; j < RV; j++) {
            w_u = add(w_u, vec2<f32>(dot(state[base(CURRENT, chain) + unit * RV + j], data[direction + j]), 0.0));
        }
        atomicAdd(&counts[cell(readout_of(chain, unit), per_unit.x)], 1u);
        atomicAdd(&counts[HISTOGRAM_CELLS + cell(w_u.x + w_u.y, per_unit.y)], 1u);
    }
    workgroupBarrier();
    if lost(chain) {
        return;
    }
    for (var k = lane; k < HISTOGRAM_CELLS; k += LANES) {
        let at = chain * CHAIN_SUMS + SUMS_COUNTS + k;
        let sums = accumulators[at];
        let v = add(sums.xy, vec2<f32>(f32(atomicLoad(&counts[k])), 0.0));
        accumulators[at] = vec4<f32>(v, add(sums.zw, vec2<f32>(f32(atomicLoad(&counts[HISTOGRAM_CELLS + k])), 0.0)));
    }
}
