// The force of V for backward.wgsl, where the readout is integrated out: g_iμ = β/√N1 σ′(h_iμ)
// (K_iμ/(λ1√N1) + v̄_i e_μ).

var<private> slopes_at: u32;
var<private> residual_at: u32;
var<private> mean_at: u32;
var<private> system: u32;
// β/√N1, left to the end: without it g is of order one at every temperature.
var<private> pull: f32;

fn aim(chain: u32) {
    slopes_at = chain * CHAIN_FEATURES + POINTS * NV;
    residual_at = chain * CHAIN_SCRATCH + SCRATCH_RESIDUAL;
    mean_at = chain * CHAIN_SCRATCH + SCRATCH_MEAN;
    system = chain * CHAIN_SYSTEM;
    pull = beta_of(chain) * OUTPUT_SCALE;
}

// σ′ at one point for the units of a group.
fn slope(group: u32, point: u32) -> vec4<f32> {
    return load_feature(slopes_at + min(point, POINTS - 1u) * NV + group);
}

// Column b: unit 4·group + b at the points 4·k …. K and e are zero in the padding.
fn left(group: u32, k: u32) -> mat4x4<f32> {
    let units = min(group, NV - 1u);
    let point = 4u * k;
    let slopes = mat4x4<f32>(slope(units, point), slope(units, point + 1u), slope(units, point + 2u), slope(units, point + 3u));
    let mean = four(mean_at, units);
    let residual = four(residual_at, k);
    if BY_UNITS {
        let solved = solved_block(system, units, k);
        let own = transpose(slopes);
        return mat4x4<f32>(
            own[0] * (READOUT_SCALE * solved[0] + mean.x * residual),
            own[1] * (READOUT_SCALE * solved[1] + mean.y * residual),
            own[2] * (READOUT_SCALE * solved[2] + mean.z * residual),
            own[3] * (READOUT_SCALE * solved[3] + mean.w * residual),
        );
    }
    let solved = solved_block(system, k, units);
    return transpose(mat4x4<f32>(
        slopes[0] * (READOUT_SCALE * solved[0] + residual.x * mean),
        slopes[1] * (READOUT_SCALE * solved[1] + residual.y * mean),
        slopes[2] * (READOUT_SCALE * solved[2] + residual.z * mean),
        slopes[3] * (READOUT_SCALE * solved[3] + residual.w * mean),
    ));
}

fn row_factor(chain: u32, unit: u32) -> f32 {
    return pull;
}
