// Stage readout, twin of `ReadoutScratch::solve` in src/backend/cpu/readout.rs: the matrix M = 1 +
// cΦΦᵀ or A = 1 + cΦᵀΦ, on and below its diagonal. The rest of the stage is in readout.wgsl.

var<private> chain: u32;

fn left(group: u32, k: u32) -> mat4x4<f32> {
    return feature_block(chain, group, k);
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    return transpose(left(group, k));
}

@compute @workgroup_size(PRODUCT_LANES)
fn assemble(at: Invocation) {
    chain = at.group.y;
    if idle(at.group.y) {
        return;
    }
    locate(at.group.x, at.lane, ORDER);
    if above_diagonal() {
        return;
    }
    let block = multiply(at, CV);
    let coupling = beta_of(chain) * COUPLING;
    for (var g = 0u; g < passes(ROW_GROUPS); g++) {
        for (var b = 0u; b < 4u; b++) {
            let row = 4u * row_group(g) + b;
            for (var h = 0u; h < COLUMN_GROUPS; h++) {
                let columns = column_group(h);
                if row < 4u * OV && columns < OV {
                    let first = 4u * columns;
                    let one = vec4<u32>(first, first + 1u, first + 2u, first + 3u) == vec4<u32>(row);
                    systems[chain * CHAIN_SYSTEM + FACTOR + row * OV + columns] =
                        coupling * block[g * COLUMN_GROUPS + h][b] + select(vec4<f32>(0.0), vec4<f32>(1.0), one);
                }
            }
        }
    }
}
