// Draws every chain from the prior, W′ ~ N(0, 1/λ0) and v ~ N(0, 1/λ1).

@compute @workgroup_size(LANES)
fn prior(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let offset = group.x * LANES + lane;
    if offset >= CHAIN_BODY {
        return;
    }
    var index = 4u * (offset - UNITS * RV);
    var mask = below(index, UNITS);
    var part = 1u;
    if offset < UNITS * RV {
        let first = 4u * (offset % RV);
        index = offset / RV * RANK + first;
        mask = below(first, RANK);
        part = 0u;
    }
    let noise = normals(index, address(chain, 0u, 1u - part, PRIOR));
    state[base(CURRENT, chain) + offset] = mask * noise * PRIOR_DEVIATION[part];
}
