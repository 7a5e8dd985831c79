// Operands of stage gram for ⟨w wᵀ⟩: rows and columns are rotated directions, summed over units.

const ROWS = RANK;
const ROW_VECTORS = RV;

var<private> weights_at: u32;

fn locate_operands(chain: u32) {
    weights_at = base(CURRENT, chain);
}

// Four directions of one unit; of none, zeros.
fn weight(unit: u32, group: u32) -> vec4<f32> {
    let w = state[weights_at + min(unit, UNITS - 1u) * RV + min(group, RV - 1u)];
    return select(vec4<f32>(0.0), w, unit < UNITS);
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    let unit = 4u * k;
    return mat4x4<f32>(weight(unit, group), weight(unit + 1u, group), weight(unit + 2u, group), weight(unit + 3u, group));
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    return transpose(right(group, k));
}
