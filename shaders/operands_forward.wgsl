// H = Z W′ᵀ with float16 operands: where these lie, in numbers, and their shape.

const ROWS = POINT_PAD;
const COLUMNS = UNIT_PAD;
const DEPTH = RANK_PAD;

fn left_start(chain: u32) -> u32 {
    return 0u;
}

fn right_start(chain: u32) -> u32 {
    return SHARED_OPERAND + chain * CHAIN_OPERAND;
}
