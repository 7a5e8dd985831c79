// Replica exchange between neighbouring temperatures, twin of `exchange` in
// src/backend/cpu/accept.rs. `exchange` decides, one invocation per pair; `swap` carries it out.
// Pair i of replica s joins the temperatures which + 2i and which + 2i + 1.

fn pair_of(index: u32) -> vec2<u32> {
    let lower = (call.which + 2u * (index / call.replicas)) * call.replicas + index % call.replicas;
    return vec2<u32>(lower, lower + call.replicas);
}

fn pairs() -> u32 {
    return (TEMPERATURES - call.which) / 2u * call.replicas;
}

@compute @workgroup_size(LANES)
fn exchange(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = group.x * LANES + lane;
    if index >= pairs() {
        return;
    }
    let pair = pair_of(index);
    let loss = add(state[base(CURRENT, pair.x) + CHAIN_BODY].xy, -state[base(CURRENT, pair.y) + CHAIN_BODY].xy);
    let exponent = (integrator_of(pair.x).beta - integrator_of(pair.y).beta) * loss.x;
    let lost = state[base(GRADIENT, pair.x) + CHAIN_BODY].x + state[base(GRADIENT, pair.y) + CHAIN_BODY].x;
    let u = uniform_at(address(pair.x, call.trajectory, 0u, EXCHANGE));
    let accepted = lost == 0.0 && finite(exponent) && (exponent >= 0.0 || u < exp(exponent));
    scratch[pair.x * CHAIN_SCRATCH + SCRATCH_FLAG] = f32(accepted);
    results[result_of(pair.x) + TRANSITION_EXCHANGED] = f32(accepted);
}

fn exchange_vectors(a: u32, b: u32) {
    let kept = state[a];
    state[a] = state[b];
    state[b] = kept;
}

@compute @workgroup_size(LANES)
fn swap(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pair = pair_of(group.y);
    let offset = group.x * LANES + lane;
    if offset >= CHAIN_STATE || scratch[pair.x * CHAIN_SCRATCH + SCRATCH_FLAG] == 0.0 {
        return;
    }
    exchange_vectors(base(CURRENT, pair.x) + offset, base(CURRENT, pair.y) + offset);
    exchange_vectors(base(GRADIENT, pair.x) + offset, base(GRADIENT, pair.y) + offset);
}
