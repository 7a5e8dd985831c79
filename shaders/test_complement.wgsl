// Part of stage observe: draws the weights outside the span of the training inputs, W⊥ ~ N(0,
// 1/λ0), into the room of the features, for the TEST variant of forward.wgsl. An invocation treats
// four directions of one unit.

@compute @workgroup_size(LANES)
fn complement(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let item = group.x * LANES + lane;
    if item >= UNITS * KV {
        return;
    }
    let first = 4u * (item % KV);
    let place = address(chain, call.trajectory, 0u, COMPLEMENT);
    let noise = below(first, COMPLEMENT_RANK) * normals(item / KV * COMPLEMENT_RANK + first, place);
    store_feature(chain * CHAIN_FEATURES + item, noise * PRIOR_DEVIATION[0]);
}
