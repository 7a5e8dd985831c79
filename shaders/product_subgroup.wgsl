// Matrix product by subgroups: eight invocations share ROW_GROUPS = 8 groups of rows, of which each
// reads one and hands it to the others. Same contract as product_register.wgsl. It needs subgroups
// of eight invocations at least, and is the fastest where reading is what takes time: software
// devices read for one invocation after the other.

alias Block = array<mat4x4<f32>, ROW_GROUPS * COLUMN_GROUPS>;
var<private> origin: vec2<u32>;

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    // Rows are handed on by the number within the subgroup, which need not be that within the
    // workgroup.
    @builtin(subgroup_invocation_id) lane: u32,
}

fn row_group(g: u32) -> u32 {
    return origin.x + g;
}

fn column_group(h: u32) -> u32 {
    return origin.y + h;
}

fn column_slot() -> u32 {
    return origin.y / COLUMN_GROUPS;
}

const TILE_COLUMNS = PRODUCT_LANES * COLUMN_GROUPS;

fn locate(group: u32, lane: u32, columns: u32) {
    let across = (columns + 4u * TILE_COLUMNS - 1u) / (4u * TILE_COLUMNS);
    origin = vec2<u32>(group / across * ROW_GROUPS, group % across * TILE_COLUMNS + lane * COLUMN_GROUPS);
}

// Whether this invocation's whole tile is: rows can only be handed on by those who are there.
fn above_diagonal() -> bool {
    return origin.y / TILE_COLUMNS * TILE_COLUMNS >= origin.x + ROW_GROUPS;
}

// The end of a loop over a block: hidden from the compiler, for unrolled over so large a block a
// body takes seconds to compile.
fn passes(count: u32) -> u32 {
    return count + call.zero;
}

// Adds the products of four rows' and four columns' values at one depth.
fn grow(block: mat4x4<f32>, rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return block + mat4x4<f32>(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

fn multiply(at: Invocation, depth: u32) -> Block {
    var block = Block();
    for (var k = 0u; k < depth; k++) {
        var c0 = right(column_group(0u), k);
        var c1 = right(column_group(1u), k);
        var own = transpose(left(row_group(at.lane), k));
        for (var d = 0u; d < passes(4u); d++) {
            let rows = own[d];
            // The invocation from which a value comes must be a constant, so that no loop can run
            // over them.
            let r0 = subgroupBroadcast(rows, 0u);
            block[0] = grow(block[0], r0, c0[d]);
            block[1] = grow(block[1], r0, c1[d]);
            let r1 = subgroupBroadcast(rows, 1u);
            block[2] = grow(block[2], r1, c0[d]);
            block[3] = grow(block[3], r1, c1[d]);
            let r2 = subgroupBroadcast(rows, 2u);
            block[4] = grow(block[4], r2, c0[d]);
            block[5] = grow(block[5], r2, c1[d]);
            let r3 = subgroupBroadcast(rows, 3u);
            block[6] = grow(block[6], r3, c0[d]);
            block[7] = grow(block[7], r3, c1[d]);
            let r4 = subgroupBroadcast(rows, 4u);
            block[8] = grow(block[8], r4, c0[d]);
            block[9] = grow(block[9], r4, c1[d]);
            let r5 = subgroupBroadcast(rows, 5u);
            block[10] = grow(block[10], r5, c0[d]);
            block[11] = grow(block[11], r5, c1[d]);
            let r6 = subgroupBroadcast(rows, 6u);
            block[12] = grow(block[12], r6, c0[d]);
            block[13] = grow(block[13], r6, c1[d]);
            let r7 = subgroupBroadcast(rows, 7u);
            block[14] = grow(block[14], r7, c0[d]);
            block[15] = grow(block[15], r7, c1[d]);
        }
    }
    return block;
}
