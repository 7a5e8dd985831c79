// ∂/∂W′ = g Z with float16 operands: where these lie, in numbers, and their shape.

const ROWS = UNIT_PAD;
const COLUMNS = RANK_PAD;
const DEPTH = POINT_PAD;

fn left_start(chain: u32) -> u32 {
    return SHARED_OPERAND + chain * CHAIN_OPERAND;
}

fn right_start(chain: u32) -> u32 {
    return 0u;
}
