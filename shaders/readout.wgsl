// Stage readout, twin of src/backend/cpu/readout.rs: the readout integrated out given the features,
// and drawn from its exact conditional law. assemble.wgsl leaves the matrix; `factorize` takes its
// Cholesky factor, `solve` finds K, `evaluate` the mean v̄ of the readout, the residual e there and
// V; backward.wgsl takes its force from them. `draw_readout` draws v, once, at the end of a
// trajectory.

// The Cholesky factor of a block on the diagonal.
fn cholesky(c: mat4x4<f32>) -> mat4x4<f32> {
    let l00 = sqrt(c[0].x);
    let l0 = vec3<f32>(c[1].x, c[2].x, c[3].x) / l00;
    let l11 = sqrt(c[1].y - l0.x * l0.x);
    let l1 = (vec2<f32>(c[2].y, c[3].y) - l0.x * l0.yz) / l11;
    let l22 = sqrt(c[2].z - l0.y * l0.y - l1.x * l1.x);
    let l32 = (c[3].z - l0.z * l0.y - l1.y * l1.x) / l22;
    let l33 = sqrt(c[3].w - l0.z * l0.z - l1.y * l1.y - l32 * l32);
    return mat4x4<f32>(
        vec4<f32>(l00, 0.0, 0.0, 0.0),
        vec4<f32>(l0.x, l11, 0.0, 0.0),
        vec4<f32>(l0.y, l1.x, l22, 0.0),
        vec4<f32>(l0.z, l1.y, l32, l33),
    );
}

// L⁻¹ times four rows.
fn solve_lower(l: mat4x4<f32>, rows: mat4x4<f32>) -> mat4x4<f32> {
    let x = rows[0] / l[0].x;
    let y = (rows[1] - l[1].x * x) / l[1].y;
    let z = (rows[2] - l[2].x * x - l[2].y * y) / l[2].z;
    let w = (rows[3] - l[3].x * x - l[3].y * y - l[3].z * z) / l[3].w;
    return mat4x4<f32>(x, y, z, w);
}

// L⁻ᵀ times four rows.
fn solve_upper(l: mat4x4<f32>, rows: mat4x4<f32>) -> mat4x4<f32> {
    let w = rows[3] / l[3].w;
    let z = (rows[2] - l[3].z * w) / l[2].z;
    let y = (rows[1] - l[2].y * z - l[3].y * w) / l[1].y;
    let x = (rows[0] - l[1].x * y - l[2].x * z - l[3].x * w) / l[0].x;
    return mat4x4<f32>(x, y, z, w);
}

// One workgroup per chain, block column by block column; an invocation treats every LANES-th block
// of one.
@compute @workgroup_size(LANES)
fn factorize(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    let system = chain * CHAIN_SYSTEM;
    for (var column = 0u; column < OV; column++) {
        for (var row = column + lane; row < OV; row += LANES) {
            var block = factor_block(system, row, column);
            for (var k = 0u; k < column; k++) {
                block = block - transpose(factor_block(system, column, k)) * factor_block(system, row, k);
            }
            if row == column {
                block = cholesky(block);
            }
            store_factor(system, row, column, block);
        }
        storageBarrier();
        let diagonal = factor_block(system, column, column);
        for (var row = column + 1u + lane; row < OV; row += LANES) {
            store_factor(system, row, column, transpose(solve_lower(diagonal, transpose(factor_block(system, row, column)))));
        }
        storageBarrier();
    }
}

// K: an invocation solves for four columns, which nobody else touches.
@compute @workgroup_size(LANES)
fn solve(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let columns = group.x * LANES + lane;
    if idle(chain) || columns >= CV {
        return;
    }
    let system = chain * CHAIN_SYSTEM;
    for (var row = 0u; row < OV; row++) {
        var block = feature_block(chain, row, columns);
        for (var k = 0u; k < row; k++) {
            block = block - solved_block(system, k, columns) * factor_block(system, row, k);
        }
        store_solved(system, row, columns, solve_lower(factor_block(system, row, row), block));
    }
    for (var passed = 0u; passed < OV; passed++) {
        let row = OV - 1u - passed;
        var block = solved_block(system, row, columns);
        for (var k = row + 1u; k < OV; k++) {
            block = block - solved_block(system, k, columns) * transpose(factor_block(system, k, row));
        }
        store_solved(system, row, columns, solve_upper(factor_block(system, row, row), block));
    }
}

fn store_four(at: u32, group: u32, values: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        scratch[at + 4u * group + i] = values[i];
    }
}

// Σ_μ K_iμ x_μ for the units of a group, with x in SCRATCH_RESIDUAL.
fn project(chain: u32, group: u32) -> vec4<f32> {
    let system = chain * CHAIN_SYSTEM;
    let residual = chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL;
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < PV; k++) {
        if BY_UNITS {
            sum += four(residual, k) * solved_block(system, group, k);
        } else {
            sum += solved_block(system, k, group) * four(residual, k);
        }
    }
    return sum;
}

// (1/√N1) Σ_i v_i φ_iμ at a point, with v in SCRATCH_MEAN.
fn output(chain: u32, point: u32) -> f32 {
    var sum = 0.0;
    for (var group = 0u; group < NV; group++) {
        let v = four(chain * CHAIN_SCRATCH + SCRATCH_MEAN, group);
        sum += dot(v, load_feature(chain * CHAIN_FEATURES + point * NV + group));
    }
    return sum * OUTPUT_SCALE;
}

// Leaves e = f − y in SCRATCH_RESIDUAL; returns this invocation's part of L.
fn residual(chain: u32, lane: u32) -> vec2<f32> {
    var loss = vec2<f32>(0.0);
    for (var point = lane; point < 4u * PV; point += LANES) {
        var e = 0.0;
        if point < POINTS {
            e = output(chain, point) - scalar(DATA_LABELS, point);
            loss = add(loss, vec2<f32>(0.5 * e * e, 0.0));
        }
        scratch[chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL + point] = e;
    }
    return loss;
}

// ln x in double-single: of the exponent's ln 2 the first digits are exact.
fn logarithm(x: f32) -> vec2<f32> {
    let bits = bitcast<u32>(x);
    let exponent = f32(i32(bits >> 23u) - 127);
    let mantissa = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let rest = ln(vec2<f32>(mantissa)).x - exponent * 2.1219444e-4;
    return add(vec2<f32>(exponent * 0.693359375, 0.0), vec2<f32>(rest, 0.0));
}

// v̄, e and V = ½β‖e‖² + ½λ1‖v̄‖² + ½ ln det M, one workgroup per chain.
@compute @workgroup_size(LANES)
fn evaluate(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    let own = chain * CHAIN_SCRATCH;
    let beta = beta_of(chain);
    for (var k = lane; k < PV; k += LANES) {
        store_four(own + SCRATCH_RESIDUAL, k, data[DATA_LABELS + k]);
    }
    storageBarrier();
    var value = vec2<f32>(0.0);
    for (var units = lane; units < NV; units += LANES) {
        let mean = beta * READOUT_SCALE * project(chain, units);
        store_four(own + SCRATCH_MEAN, units, mean);
        value = add(value, vec2<f32>(0.5 * LAMBDA[1] * dot(mean, mean), 0.0));
    }
    storageBarrier();
    let loss = residual(chain, lane);
    value = add(value, vec2<f32>(beta * loss.x, beta * loss.y));
    for (var row = lane; row < ORDER; row += LANES) {
        let pivot = systems[chain * CHAIN_SYSTEM + FACTOR + row * OV + row / 4u][row % 4u];
        // Where the matrix has no factor there is no energy, and the trajectory is rejected.
        var volume = vec2<f32>(no_number(), 0.0);
        if finite(pivot) && pivot > 0.0 {
            volume = logarithm(pivot);
        }
        value = add(value, volume);
    }
    let total = reduce(lane, value);
    if lane == 0u {
        let note = base(call.section, chain) + CHAIN_BODY;
        // L stays that of the last readout drawn.
        state[note] = vec4<f32>(state[note].xy, total);
    }
}

// v = v0 + β/(λ1√N1) K (y − Φᵀv0/√N1 − ξ/√β) with v0 ~ N(0, 1/λ1) and ξ ~ N(0, 1) (Matheron), and
// its loss, where `evaluate` was last, one workgroup per chain.
@compute @workgroup_size(LANES)
fn draw_readout(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    let own = chain * CHAIN_SCRATCH;
    let beta = beta_of(chain);
    for (var units = lane; units < NV; units += LANES) {
        let noise = below(4u * units, UNITS) * normals(4u * units, address(chain, call.trajectory, 0u, READOUT));
        store_four(own + SCRATCH_MEAN, units, PRIOR_DEVIATION[1] * noise);
    }
    storageBarrier();
    for (var point = lane; point < 4u * PV; point += LANES) {
        var d = 0.0;
        if point < POINTS {
            let noise = normal_block(point / 4u, address(chain, call.trajectory, 1u, READOUT))[point % 4u];
            // β times the data's part, so that β = 0 draws from the prior.
            d = beta * (scalar(DATA_LABELS, point) - output(chain, point)) - sqrt(beta) * noise;
        }
        scratch[own + SCRATCH_RESIDUAL + point] = d;
    }
    storageBarrier();
    for (var units = lane; units < NV; units += LANES) {
        let v = four(own + SCRATCH_MEAN, units) + READOUT_SCALE * project(chain, units);
        store_four(own + SCRATCH_MEAN, units, v);
        state[base(PROPOSAL, chain) + UNITS * RV + units] = v;
    }
    storageBarrier();
    let loss = reduce(lane, residual(chain, lane));
    if lane == 0u {
        let note = base(PROPOSAL, chain) + CHAIN_BODY;
        state[note] = vec4<f32>(loss, state[note].zw);
    }
}
