// Part of stage observe: predictions on the test points from the units' shares that the TEST
// variant of forward.wgsl left, and the running sums of f* and f*², one workgroup per chain.

@compute @workgroup_size(LANES)
fn predict(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let lost = state[base(GRADIENT, chain) + CHAIN_BODY].x != 0.0;
    var error = vec2<f32>(0.0);
    for (var point = lane; point < TEST_POINTS; point += LANES) {
        var f = 0.0;
        for (var slot = 0u; slot < UNIT_SLOTS; slot++) {
            f += scratch[chain * CHAIN_SCRATCH + SCRATCH_SHARES + slot * TEST_POINTS + point];
        }
        f *= OUTPUT_SCALE;
        let e = f - scalar(DATA_TEST_LABELS, point);
        error = add(error, vec2<f32>(e * e, 0.0));
        if !lost {
            let at = chain * CHAIN_SUMS + call.which * TEST_POINTS + point;
            let sums = accumulators[at];
            accumulators[at] = vec4<f32>(add(sums.xy, vec2<f32>(f, 0.0)), add(sums.zw, vec2<f32>(f * f, 0.0)));
        }
    }
    let total = reduce(lane, error);
    if lane == 0u {
        results[result_of(chain) + RESULT_MEASUREMENT + MEASURED_TEST_SQUARED_ERROR] = (total.x + total.y) / f32(TEST_POINTS);
    }
}
