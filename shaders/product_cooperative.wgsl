// A matrix product by cooperative matrices: operands in float16, sums in float32, left in scratch
// (SCRATCH_STAGE, ROWS × COLUMNS) for the kernel that goes on from it, which finds it there by
// product_staged.wgsl. A workgroup treats a tile of 64 × 64, a subgroup of it pieces of 32 × 32 in
// turn: subgroups of any size up to LANES divide the work. The twin in plain float32 is
// product_emulated.wgsl.

@group(0) @binding(8) var<storage, read_write> operands: array<f16>;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;

var<workgroup> waits: u32;

@compute @workgroup_size(LANES)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let chain = group.y;
    // Cooperative matrices want all invocations together: a workgroup is seen to leave as one.
    if lane == 0u {
        waits = u32(idle(chain));
    }
    if workgroupUniformLoad(&waits) != 0u {
        return;
    }
    // Strides, and where a product is stored, must have a name: the SPIR-V writer takes no
    // expression there.
    let depth = DEPTH;
    let columns = COLUMNS;
    let across = (COLUMNS + 63u) / 64u;
    let stage = chain * CHAIN_SCRATCH + SCRATCH_STAGE;
    for (var piece = subgroup; piece < 4u; piece += subgroups) {
        let row = group.x / across * 64u + piece / 2u * 32u;
        let column = group.x % across * 64u + piece % 2u * 32u;
        if row >= ROWS || column >= COLUMNS {
            continue;
        }
        // At an edge the second block is the first one again, which is then made and stored twice.
        let row1 = min(row + 16u, ROWS - 16u);
        let column1 = min(column + 16u, COLUMNS - 16u);
        let left0 = left_start(chain) + row * depth;
        let left1 = left_start(chain) + row1 * depth;
        let right0 = right_start(chain) + column;
        let right1 = right_start(chain) + column1;
        var sum00 = Sum();
        var sum01 = Sum();
        var sum10 = Sum();
        var sum11 = Sum();
        for (var k = 0u; k < DEPTH; k += 16u) {
            let rows0 = coopLoadT<Left>(&operands[left0 + k], depth);
            let rows1 = coopLoadT<Left>(&operands[left1 + k], depth);
            let columns0 = coopLoadT<Right>(&operands[right0 + k * columns], columns);
            let columns1 = coopLoadT<Right>(&operands[right1 + k * columns], columns);
            sum00 = coopMultiplyAdd(rows0, columns0, sum00);
            sum01 = coopMultiplyAdd(rows0, columns1, sum01);
            sum10 = coopMultiplyAdd(rows1, columns0, sum10);
            sum11 = coopMultiplyAdd(rows1, columns1, sum11);
        }
        let at00 = stage + row * columns + column;
        let at01 = stage + row * columns + column1;
        let at10 = stage + row1 * columns + column;
        let at11 = stage + row1 * columns + column1;
        coopStoreT(sum00, &scratch[at00], columns);
        coopStoreT(sum01, &scratch[at01], columns);
        coopStoreT(sum10, &scratch[at10], columns);
        coopStoreT(sum11, &scratch[at11], columns);
    }
}
