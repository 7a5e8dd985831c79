// Operands of stage gram for ⟨G⟩: rows and columns are points, summed over units.

const ROWS = POINTS;
const ROW_VECTORS = PV;

var<private> features_at: u32;

fn locate_operands(chain: u32) {
    features_at = chain * CHAIN_FEATURES;
}

fn feature(point: u32, k: u32) -> vec4<f32> {
    return load_feature(features_at + min(point, POINTS - 1u) * NV + k);
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * group;
    return mat4x4<f32>(feature(point, k), feature(point + 1u, k), feature(point + 2u, k), feature(point + 3u, k));
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    return transpose(left(group, k));
}
