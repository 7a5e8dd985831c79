// A matrix product that is there already: product_cooperative.wgsl left it in scratch. Same
// contract as product_register.wgsl and the same blocks as product_tiled.wgsl, by which the float32
// products of such a layout are divided; operands are not read.

const GROUPS = ROW_GROUPS;
alias Block = array<mat4x4<f32>, GROUPS * GROUPS>;
var<private> origin: vec2<u32>;

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

const TILE_GROUPS = SIDE * GROUPS;

fn row_group(g: u32) -> u32 {
    return origin.x + g * SIDE;
}

fn column_group(h: u32) -> u32 {
    return origin.y + h * SIDE;
}

fn column_slot() -> u32 {
    return origin.y / TILE_GROUPS * SIDE + origin.y % SIDE;
}

fn locate(group: u32, lane: u32, columns: u32) {
    let across = (columns + 4u * TILE_GROUPS - 1u) / (4u * TILE_GROUPS);
    origin = vec2<u32>(group / across, group % across) * TILE_GROUPS + vec2<u32>(lane / SIDE, lane % SIDE);
}

fn passes(count: u32) -> u32 {
    return count;
}

fn staged(at: u32) -> vec4<f32> {
    return vec4<f32>(scratch[at], scratch[at + 1u], scratch[at + 2u], scratch[at + 3u]);
}

fn multiply(at: Invocation, depth: u32) -> Block {
    let stage = at.group.y * CHAIN_SCRATCH + SCRATCH_STAGE;
    var block = Block();
    for (var g = 0u; g < GROUPS; g++) {
        // Beyond the edge, what is read is not used.
        let rows = stage + min(4u * row_group(g), ROWS - 4u) * COLUMNS;
        for (var h = 0u; h < GROUPS; h++) {
            let first = rows + min(4u * column_group(h), COLUMNS - 4u);
            block[g * GROUPS + h] =
                mat4x4<f32>(staged(first), staged(first + COLUMNS), staged(first + 2u * COLUMNS), staged(first + 3u * COLUMNS));
        }
    }
    return block;
}
