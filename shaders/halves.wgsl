// Operands of the products with float16 inputs: matrices row by row, their sides rounded up to
// whole blocks of 16 and filled up with zeros. First lies Z (POINT_PAD × RANK_PAD), which all
// chains share; then each chain has room for W′ᵀ (RANK_PAD × UNIT_PAD) and, once that has served, g
// (UNIT_PAD × POINT_PAD).

@group(0) @binding(8) var<storage, read_write> operands: array<vec2<u32>>;

// Four numbers as float16. One that is none, or that float16 cannot hold, becomes a NaN: what
// overflows is to end in a rejection, not in a mean.
fn halves(x: vec4<f32>) -> vec2<u32> {
    // 65504, by the bits.
    let broken = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x477fe000u);
    let mark = select(vec4<u32>(0u), vec4<u32>(0x7e00u, 0x7e000000u, 0x7e00u, 0x7e000000u), broken);
    return vec2<u32>(pack2x16float(x.xy) | mark.x | mark.y, pack2x16float(x.zw) | mark.z | mark.w);
}

// First group of four of a chain's operand.
fn operand_of(chain: u32) -> u32 {
    return (SHARED_OPERAND + chain * CHAIN_OPERAND) / 4u;
}
