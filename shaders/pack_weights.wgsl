// W′ᵀ in float16, the right operand of H = Z W′ᵀ. An invocation treats four directions of four
// units.

// Four directions of one unit; of none, zeros.
fn weight(chain: u32, unit: u32, k: u32) -> vec4<f32> {
    let w = state[base(call.section, chain) + min(unit, UNITS - 1u) * RV + min(k, RV - 1u)];
    return select(vec4<f32>(0.0), w, unit < UNITS && k < RV);
}

@compute @workgroup_size(LANES)
fn pack_weights(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let across = UNIT_PAD / 4u;
    let item = group.x * LANES + lane;
    if idle(chain) || item >= RANK_PAD / 4u * across {
        return;
    }
    let k = item / across;
    let unit = 4u * (item % across);
    let block = transpose(mat4x4<f32>(
        weight(chain, unit, k),
        weight(chain, unit + 1u, k),
        weight(chain, unit + 2u, k),
        weight(chain, unit + 3u, k),
    ));
    for (var c = 0u; c < 4u; c++) {
        operands[operand_of(chain) + (4u * k + c) * across + item % across] = halves(block[c]);
    }
}
