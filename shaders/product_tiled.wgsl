// Matrix product through workgroup memory: 8 × 8 invocations share tiles of 8 blocks of rows and
// columns. Same contract as product_register.wgsl, for square blocks.

const GROUPS = ROW_GROUPS;
alias Block = array<mat4x4<f32>, GROUPS * GROUPS>;
var<private> origin: vec2<u32>;

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

// SIDE × SIDE invocations share a tile. Groups of four rows in a tile, and groups of four depths,
// such that each invocation loads one piece of either operand.
const TILE_GROUPS = SIDE * GROUPS;
const TILE_DEPTH = SIDE * SIDE / TILE_GROUPS;
// Column c of the piece (group, depth) lies at (4·depth + c)·TILE_GROUPS + group: neighbours in
// memory for neighbouring invocations.
var<workgroup> left_tile: array<vec4<f32>, 4u * SIDE * SIDE>;
var<workgroup> right_tile: array<vec4<f32>, 4u * SIDE * SIDE>;

fn row_group(g: u32) -> u32 {
    return origin.x + g * SIDE;
}

fn column_group(h: u32) -> u32 {
    return origin.y + h * SIDE;
}

fn column_slot() -> u32 {
    return origin.y / TILE_GROUPS * SIDE + origin.y % SIDE;
}

fn tile_left(group: u32, k: u32) -> mat4x4<f32> {
    let at = 4u * k * TILE_GROUPS + group;
    return mat4x4<f32>(left_tile[at], left_tile[at + TILE_GROUPS], left_tile[at + 2u * TILE_GROUPS], left_tile[at + 3u * TILE_GROUPS]);
}

fn tile_right(group: u32, k: u32) -> mat4x4<f32> {
    let at = 4u * k * TILE_GROUPS + group;
    return mat4x4<f32>(right_tile[at], right_tile[at + TILE_GROUPS], right_tile[at + 2u * TILE_GROUPS], right_tile[at + 3u * TILE_GROUPS]);
}

fn locate(group: u32, lane: u32, columns: u32) {
    let across = (columns + 4u * TILE_GROUPS - 1u) / (4u * TILE_GROUPS);
    origin = vec2<u32>(group / across, group % across) * TILE_GROUPS + vec2<u32>(lane / SIDE, lane % SIDE);
}

fn above_diagonal() -> bool {
    return origin.y / TILE_GROUPS > origin.x / TILE_GROUPS;
}

// The end of a loop over a block: known to the compiler, which then keeps the block in registers.
fn passes(count: u32) -> u32 {
    return count;
}

fn multiply(at: Invocation, depth: u32) -> Block {
    let place = vec2<u32>(at.lane / SIDE, at.lane % SIDE);
    let tile = origin - place;
    var block = Block();
    let item = vec2<u32>(at.lane % TILE_GROUPS, at.lane / TILE_GROUPS);
    for (var start = 0u; start < depth; start += TILE_DEPTH) {
        var l = mat4x4<f32>();
        var r = mat4x4<f32>();
        if start + item.y < depth {
            l = left(tile.x + item.x, start + item.y);
            r = right(tile.y + item.x, start + item.y);
        }
        workgroupBarrier();
        for (var c = 0u; c < 4u; c++) {
            left_tile[(4u * item.y + c) * TILE_GROUPS + item.x] = l[c];
            right_tile[(4u * item.y + c) * TILE_GROUPS + item.x] = r[c];
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE_DEPTH; k++) {
            for (var g = 0u; g < GROUPS; g++) {
                let rows = tile_left(place.x + g * SIDE, k);
                for (var h = 0u; h < GROUPS; h++) {
                    block[g * GROUPS + h] = block[g * GROUPS + h] + tile_right(place.y + h * SIDE, k) * rows;
                }
            }
        }
    }
    return block;
}
