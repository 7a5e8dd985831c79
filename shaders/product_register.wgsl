// Matrix product in registers: an invocation computes a block of ROW_GROUPS × COLUMN_GROUPS groups
// of four and reads its operands straight from memory. The kernel supplies four-by-four pieces of
// them: left(group, depth) column b = row 4·group + b of the product, at the depths 4·depth …
// right(group, depth) column c = depth 4·depth + c, at the columns 4·group … of the product and
// finds in element COLUMN_GROUPS·g + h of the result column b = row b of row group g, at the
// columns of column group h.

alias Block = array<mat4x4<f32>, ROW_GROUPS * COLUMN_GROUPS>;

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

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
    return origin.y / COLUMN_GROUPS;
}

// Finds this invocation's block in a product of `columns` columns.
fn locate(group: u32, lane: u32, columns: u32) {
    let index = group * PRODUCT_LANES + lane;
    let across = (columns + 4u * COLUMN_GROUPS - 1u) / (4u * COLUMN_GROUPS);
    origin = vec2<u32>(index / across, index % across) * vec2<u32>(ROW_GROUPS, COLUMN_GROUPS);
}

// Whether a square product has nothing here on or below its diagonal.
fn above_diagonal() -> bool {
    return origin.y > origin.x;
}

// The end of a loop over a block: known to the compiler, which then keeps the block in registers.
fn passes(count: u32) -> u32 {
    return count;
}

// The block of the product, over `depth` groups of four depths.
fn multiply(at: Invocation, depth: u32) -> Block {
    var block = Block();
    for (var k = 0u; k < depth; k++) {
        var columns: array<mat4x4<f32>, COLUMN_GROUPS>;
        for (var h = 0u; h < COLUMN_GROUPS; h++) {
            columns[h] = right(column_group(h), k);
        }
        for (var g = 0u; g < ROW_GROUPS; g++) {
            let rows = left(row_group(g), k);
            for (var h = 0u; h < COLUMN_GROUPS; h++) {
                block[g * COLUMN_GROUPS + h] = block[g * COLUMN_GROUPS + h] + columns[h] * rows;
            }
        }
    }
    return block;
}
