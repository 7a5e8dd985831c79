// Matrix product in registers: an invocation computes a block of BLOCK × BLOCK and reads its operands straight from memory. The
// kernel supplies four-by-four pieces of them:
//   left(group, depth)   column b = row 4·group + b of the product, at the depths 4·depth …
//   right(group, depth)  column c = depth 4·depth + c, at the columns 4·group … of the product
// and finds in element GROUPS·g + h of the result column b = row b of row group g, at the columns of column group h.

const GROUPS = BLOCK / 4u;
alias Block = array<mat4x4<f32>, GROUPS * GROUPS>;
// First row group and first column group of this invocation.
var<private> origin: vec2<u32>;

fn row_group(g: u32) -> u32 {
    return origin.x + g;
}

fn column_group(h: u32) -> u32 {
    return origin.y + h;
}

// Number of this invocation's block along the columns.
fn column_slot() -> u32 {
    return origin.y / GROUPS;
}

// Finds this invocation's block in a product of `columns` columns.
fn locate(group: u32, lane: u32, columns: u32) {
    let index = group * PRODUCT_LANES + lane;
    let across = (columns + BLOCK - 1u) / BLOCK;
    origin = vec2<u32>(index / across, index % across) * GROUPS;
}

// Whether a square product has nothing here on or below its diagonal.
fn above_diagonal() -> bool {
    return origin.y > origin.x;
}

// The block of the product, over `depth` groups of four depths.
fn multiply(lane: u32, depth: u32) -> Block {
    var block = Block();
    for (var k = 0u; k < depth; k++) {
        var columns: array<mat4x4<f32>, GROUPS>;
        for (var h = 0u; h < GROUPS; h++) {
            columns[h] = right(column_group(h), k);
        }
        for (var g = 0u; g < GROUPS; g++) {
            let rows = left(row_group(g), k);
            for (var h = 0u; h < GROUPS; h++) {
                block[g * GROUPS + h] = block[g * GROUPS + h] + columns[h] * rows;
            }
        }
    }
    return block;
}
