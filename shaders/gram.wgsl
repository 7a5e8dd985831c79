// Stage gram, twin of src/backend/cpu/gram.rs: adds ΦᵀΦ/N1 of every chain, or W′ᵀW′/N1, to the
// double-single sum of its block of replicas. What its operands are is in gram_features.wgsl and
// gram_weights.wgsl; by symmetry only blocks on and below the diagonal are computed.

// First replica of a block: the inverse of `Ensemble::gram_block`.
fn first_of(block_index: u32) -> u32 {
    return (block_index * REPLICAS + GRAM_BLOCKS - 1u) / GRAM_BLOCKS;
}

// Pairs (temperature, block) start at `which`; of each block the replicas of part `step` are added,
// GRAM_CHAINS of them at most.
@compute @workgroup_size(PRODUCT_LANES)
fn gram(at: Invocation) {
    let pair = call.which + at.group.y;
    let temperature = pair / GRAM_BLOCKS;
    let first = max(first_of(pair % GRAM_BLOCKS), call.first_replica) + call.step * GRAM_CHAINS;
    let end = min(first + GRAM_CHAINS, min(first_of(pair % GRAM_BLOCKS + 1u), call.first_replica + call.replicas));
    locate(at.group.x, at.lane, ROWS);
    if above_diagonal() {
        return;
    }
    for (var replica = first; replica < end; replica++) {
        let chain = temperature * call.replicas + replica - call.first_replica;
        locate_operands(chain);
        let block = multiply(at, NV);
        // A lost chain stands at a finite state that must not count.
        let lost = state[base(GRADIENT, chain) + CHAIN_BODY].x != 0.0;
        let scale = select(1.0 / f32(UNITS), 0.0, lost);
        for (var g = 0u; g < passes(ROW_GROUPS); g++) {
            for (var b = 0u; b < 4u; b++) {
                let row = 4u * row_group(g) + b;
                for (var h = 0u; h < COLUMN_GROUPS; h++) {
                    if row < ROWS && column_group(h) < ROW_VECTORS {
                        accumulate((at.group.y * ROWS + row) * ROW_VECTORS + column_group(h), scale * block[g * COLUMN_GROUPS + h][b]);
                    }
                }
            }
        }
    }
}

// Adds to four sums, stored as their high parts and their low parts.
fn accumulate(index: u32, terms: vec4<f32>) {
    let sums = add_four(Sums(accumulators[2u * index], accumulators[2u * index + 1u]), terms);
    accumulators[2u * index] = sums.high;
    accumulators[2u * index + 1u] = sums.low;
}
