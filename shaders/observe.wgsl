// Stage observe, twin of src/backend/cpu/observe.rs: the primitive statistics of every chain where
// it stands. `centroids` averages the features over each class, `measure` sums over units, one
// workgroup per chain.

// With TEST the points are the test points, whose features the TEST variant of forward.wgsl left.

// Squared norms and centroids of a chain in scratch: [class][unit], the centroid in the first half
// of SCRATCH_CLASSES, the mean of φ² in the second.

// Four units of one class.
@compute @workgroup_size(LANES)
fn centroids(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let units = group.x * LANES + lane;
    let category = group.z;
    if units >= NV {
        return;
    }
    var mean = vec4<f32>(0.0);
    var square = vec4<f32>(0.0);
    let points = select(POINTS, TEST_POINTS, TEST);
    let shares = select(DATA_CLASSES, DATA_TEST_CLASSES, TEST);
    let first = chain * CHAIN_FEATURES + select(0u, TEST_FEATURES, TEST);
    for (var point = 0u; point < points; point++) {
        let share = scalar(shares, category * points + point);
        if share > 0.0 {
            let phi = load_feature(first + point * NV + units);
            mean += share * phi;
            square += share * phi * phi;
        }
    }
    let at = chain * CHAIN_SCRATCH + SCRATCH_CLASSES + 4u * (category * NV + units);
    for (var i = 0u; i < 4u; i++) {
        scratch[at + i] = mean[i];
        scratch[at + 4u * CLASSES * NV + i] = square[i];
    }
}

// The sum over units is divided by their number and written by one invocation.
fn record(lane: u32, at: u32, sum: vec2<f32>, count: f32) {
    let total = reduce(lane, sum);
    if lane == 0u {
        results[at] = (total.x + total.y) / count;
    }
}

fn plus(sum: vec2<f32>, term: f32) -> vec2<f32> {
    return add(sum, vec2<f32>(term, 0.0));
}

// The posterior of an odd σ is blind to the sign of a unit; a random one, fresh for every
// measurement, is the exact symmetry move.
fn sign_of(chain: u32, unit: u32) -> f32 {
    if !ODD {
        return 1.0;
    }
    let normal = normal_block(unit / 4u, address(chain, call.trajectory, 0u, SIGN))[unit % 4u];
    return select(1.0, -1.0, normal < 0.0);
}

@compute @workgroup_size(LANES)
fn measure(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let current = base(CURRENT, chain);
    let direction = DATA_PROJECTION_AXES + temperature_of(chain) * RV;
    var v_sum = vec2<f32>(0.0);
    var v_square = vec2<f32>(0.0);
    var along = vec2<f32>(0.0);
    var along_square = vec2<f32>(0.0);
    var v_fourth = vec2<f32>(0.0);
    var along_fourth = vec2<f32>(0.0);
    var square = vec2<f32>(0.0);
    for (var unit = lane; unit < UNITS; unit += LANES) {
        let v = state[current + UNITS * RV + unit / 4u][unit % 4u];
        var w_u = vec2<f32>(0.0);
        for (var j = 0u; j < RV; j++) {
            let w = state[current + unit * RV + j];
            w_u = plus(w_u, dot(w, data[direction + j]));
            square = plus(square, dot(w, w));
        }
        let w_u_rounded = w_u.x + w_u.y;
        v_sum = plus(v_sum, sign_of(chain, unit) * v);
        v_square = plus(v_square, v * v);
        along = plus(along, v * w_u_rounded);
        let w_u_square = w_u_rounded * w_u_rounded;
        along_square = plus(along_square, w_u_square);
        v_fourth = plus(v_fourth, v * v * v * v);
        along_fourth = plus(along_fourth, w_u_square * w_u_square);
    }
    let at = result_of(chain) + RESULT_MEASUREMENT;
    if lane == 0u {
        let loss = state[current + CHAIN_BODY];
        results[at + MEASURED_LOSS_HIGH] = loss.x;
        results[at + MEASURED_LOSS_LOW] = loss.y;
        results[at + MEASURED_LOST] = state[base(GRADIENT, chain) + CHAIN_BODY].x;
    }
    let units = f32(UNITS);
    record(lane, at + MEASURED_READOUT_MEAN, v_sum, units);
    record(lane, at + MEASURED_READOUT_SECOND_MOMENT, v_square, units);
    record(lane, at + MEASURED_READOUT_WEIGHT_ALONG_U, along, units);
    record(lane, at + MEASURED_WEIGHT_ALONG_U_SQUARED, along_square, units);
    record(lane, at + MEASURED_WEIGHT_SECOND_MOMENT, square, units * f32(RANK));
    record(lane, at + MEASURED_READOUT_FOURTH_MOMENT, v_fourth, units);
    record(lane, at + MEASURED_WEIGHT_ALONG_U_FOURTH, along_fourth, units);
    record_manifolds(lane, chain, at + RESULT_NORMS);
}

// The same of the test points, from what `centroids` left of them.
@compute @workgroup_size(LANES)
fn measure_test(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    record_manifolds(lane, group.y, result_of(group.y) + RESULT_MEASUREMENT + RESULT_TEST_NORMS);
}

// The mean squared norm of every class, then the Gram matrix of the centroids.
fn record_manifolds(lane: u32, chain: u32, at: u32) {
    let units = f32(UNITS);
    let classes = chain * CHAIN_SCRATCH + SCRATCH_CLASSES;
    for (var a = 0u; a < CLASSES; a++) {
        var norm = vec2<f32>(0.0);
        for (var unit = lane; unit < UNITS; unit += LANES) {
            norm = plus(norm, scratch[classes + 4u * (CLASSES + a) * NV + unit]);
        }
        record(lane, at + a, norm, units);
        for (var b = 0u; b <= a; b++) {
            var product = vec2<f32>(0.0);
            for (var unit = lane; unit < UNITS; unit += LANES) {
                product = plus(product, scratch[classes + 4u * a * NV + unit] * scratch[classes + 4u * b * NV + unit]);
            }
            record(lane, at + CLASSES + a * CLASSES + b, product, units);
        }
    }
}
