// Stage backward, twin of src/backend/cpu/backward.rs: ∂L/∂W′ = g Z with g_iμ = e_μ v_i σ′(h_iμ)/√N1 made on the fly, and the next move
// of the integrator in its epilogue. Rows of the product are units, columns are directions.

var<private> slopes_at: u32;
var<private> residual_at: u32;

fn slope(group: u32, point: u32) -> vec4<f32> {
    // The residual is zero in the padding.
    return scratch[residual_at + point] * load_feature(slopes_at + min(point, POINTS - 1u) * NV + min(group, NV - 1u));
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * k;
    return transpose(mat4x4<f32>(slope(group, point), slope(group, point + 1u), slope(group, point + 2u), slope(group, point + 3u)));
}

fn input(group: u32, point: u32) -> vec4<f32> {
    return data[DATA_TRAIN + min(point, POINTS - 1u) * RV + min(group, RV - 1u)];
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * k;
    return mat4x4<f32>(input(group, point), input(group, point + 1u), input(group, point + 2u), input(group, point + 3u));
}

@compute @workgroup_size(PRODUCT_LANES)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    slopes_at = chain * CHAIN_FEATURES + POINTS * NV;
    residual_at = chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL;
    locate(group.x, lane, RANK);
    multiply(lane, PV);

    let motion = motion_of(chain);
    var work = 0.0;
    for (var g = 0u; g < GROUPS; g++) {
        for (var b = 0u; b < 4u; b++) {
            let unit = 4u * row_group(g) + b;
            if unit < UNITS {
                let v = state[base(PROPOSAL, chain) + UNITS * RV + unit / 4u][b] * OUTPUT_SCALE;
                for (var h = 0u; h < GROUPS; h++) {
                    let directions = column_group(h);
                    if directions < RV {
                        let gradient = v * block[g * GROUPS + h][b];
                        work += advance(chain, unit * RV + directions, gradient, motion, weight_place(chain, unit, directions));
                    }
                }
            }
        }
    }
    add_work(chain, WEIGHT_SLOT + group.x * PRODUCT_LANES + lane, work);
}
