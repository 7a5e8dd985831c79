// The force of the loss L for backward.wgsl: g_iμ = e_μ v_i σ′(h_iμ)/√N1.

var<private> slopes_at: u32;
var<private> residual_at: u32;

fn aim(chain: u32) {
    slopes_at = chain * CHAIN_FEATURES + POINTS * NV;
    residual_at = chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL;
}

fn slope(group: u32, point: u32) -> vec4<f32> {
    // The residual is zero in the padding.
    return scratch[residual_at + point] * load_feature(slopes_at + min(point, POINTS - 1u) * NV + min(group, NV - 1u));
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * k;
    return transpose(mat4x4<f32>(slope(group, point), slope(group, point + 1u), slope(group, point + 2u), slope(group, point + 3u)));
}

fn row_factor(chain: u32, unit: u32) -> f32 {
    let v = state[base(call.section, chain) + UNITS * RV + unit / 4u][unit % 4u];
    return OUTPUT_SCALE * v;
}
