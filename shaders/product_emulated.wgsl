// The product of product_cooperative.wgsl from the same operands to the same place in plain
// float32, in which a product of two float16 numbers is exact: what devices without cooperative
// matrices can check of the path. A tile of 64 × 64 per workgroup by product_tiled.wgsl.

@group(0) @binding(8) var<storage, read_write> operands: array<vec2<u32>>;

var<private> left_at: u32;
var<private> right_at: u32;

fn four_halves(at: u32) -> vec4<f32> {
    let packed = operands[at];
    return vec4<f32>(unpack2x16float(packed.x), unpack2x16float(packed.y));
}

fn left_row(row: u32, k: u32) -> vec4<f32> {
    return four_halves(left_at + min(row, ROWS - 1u) * (DEPTH / 4u) + k);
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    let row = 4u * group;
    return mat4x4<f32>(left_row(row, k), left_row(row + 1u, k), left_row(row + 2u, k), left_row(row + 3u, k));
}

fn right_row(depth: u32, group: u32) -> vec4<f32> {
    return four_halves(right_at + depth * (COLUMNS / 4u) + min(group, COLUMNS / 4u - 1u));
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    let depth = 4u * k;
    return mat4x4<f32>(right_row(depth, group), right_row(depth + 1u, group), right_row(depth + 2u, group), right_row(depth + 3u, group));
}

@compute @workgroup_size(PRODUCT_LANES)
fn product(at: Invocation) {
    let chain = at.group.y;
    if idle(chain) {
        return;
    }
    left_at = left_start(chain) / 4u;
    right_at = right_start(chain) / 4u;
    locate(at.group.x, at.lane, COLUMNS);
    let block = multiply(at, DEPTH / 4u);
    let stage = chain * CHAIN_SCRATCH + SCRATCH_STAGE;
    for (var row = 0u; row < 4u * passes(ROW_GROUPS); row++) {
        let found = 4u * row_group(row / 4u) + row % 4u;
        for (var h = 0u; h < COLUMN_GROUPS; h++) {
            let column = 4u * column_group(h);
            if found < ROWS && column < COLUMNS {
                for (var c = 0u; c < 4u; c++) {
                    scratch[stage + found * COLUMNS + column + c] = block[row / 4u * COLUMN_GROUPS + h][row % 4u][c];
                }
            }
        }
    }
}
