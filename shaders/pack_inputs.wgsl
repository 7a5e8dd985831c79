// Z in float16, which every chain's products share. An invocation treats four directions of one
// point.

@compute @workgroup_size(LANES)
fn pack_inputs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let across = RANK_PAD / 4u;
    let item = group.x * LANES + lane;
    let point = item / across;
    let k = item % across;
    if point >= POINT_PAD {
        return;
    }
    let z = data[DATA_TRAIN + min(point, POINTS - 1u) * RV + min(k, RV - 1u)];
    operands[item] = halves(select(vec4<f32>(0.0), z, point < POINTS && k < RV));
}
