// The linear system of each chain where the readout is integrated out. Its matrix, M = 1 + cΦΦᵀ or
// A = 1 + cΦᵀΦ, is the smaller of the two: its rows are units (BY_UNITS) or points, ORDER in
// number, and the columns of what is solved for the other. A chain holds K = M⁻¹Φ, or its transpose
// A⁻¹Φᵀ 4·OV rows of CV vectors the matrix, then its Cholesky factor 4·OV rows of OV vectors, of
// which those on and below the diagonal are used in blocks of four rows and four columns, held in
// mat4x4 with a row of the block in each column. In the padding the matrix is 1 and K is 0.

const FACTOR = 4u * OV * CV;

fn solved_block(system: u32, rows: u32, columns: u32) -> mat4x4<f32> {
    let at = system + 4u * rows * CV + columns;
    return mat4x4<f32>(systems[at], systems[at + CV], systems[at + 2u * CV], systems[at + 3u * CV]);
}

fn store_solved(system: u32, rows: u32, columns: u32, block: mat4x4<f32>) {
    let at = system + 4u * rows * CV + columns;
    systems[at] = block[0];
    systems[at + CV] = block[1];
    systems[at + 2u * CV] = block[2];
    systems[at + 3u * CV] = block[3];
}

fn factor_block(system: u32, rows: u32, columns: u32) -> mat4x4<f32> {
    let at = system + FACTOR + 4u * rows * OV + columns;
    return mat4x4<f32>(systems[at], systems[at + OV], systems[at + 2u * OV], systems[at + 3u * OV]);
}

fn store_factor(system: u32, rows: u32, columns: u32, block: mat4x4<f32>) {
    let at = system + FACTOR + 4u * rows * OV + columns;
    systems[at] = block[0];
    systems[at + OV] = block[1];
    systems[at + 2u * OV] = block[2];
    systems[at + 3u * OV] = block[3];
}

// Numbers 4·group … of one of the vectors in scratch.
fn four(at: u32, group: u32) -> vec4<f32> {
    let first = at + 4u * group;
    return vec4<f32>(scratch[first], scratch[first + 1u], scratch[first + 2u], scratch[first + 3u]);
}

// Φ of a chain at one point for the units of a group, zero beyond the last point.
fn feature(chain: u32, point: u32, group: u32) -> vec4<f32> {
    let found = load_feature(chain * CHAIN_FEATURES + min(point, POINTS - 1u) * NV + group);
    return select(vec4<f32>(0.0), found, point < POINTS);
}

// The block of Φ, or of Φᵀ, whose rows are those of the matrix.
fn feature_block(chain: u32, rows: u32, columns: u32) -> mat4x4<f32> {
    let group = min(select(columns, rows, BY_UNITS), NV - 1u);
    let point = 4u * select(rows, columns, BY_UNITS);
    let found = mat4x4<f32>(
        feature(chain, point, group),
        feature(chain, point + 1u, group),
        feature(chain, point + 2u, group),
        feature(chain, point + 3u, group),
    );
    if BY_UNITS {
        return transpose(found);
    }
    return found;
}
