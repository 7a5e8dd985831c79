// Stage accept, twin of src/backend/cpu/accept.rs: what becomes of a proposed trajectory. `accept` decides, one workgroup per chain;
// `settle` carries it out.

const NAN_BITS = 0x7fc00000u;

// Sum of `count` double-single slots of a chain.
fn gather(first: u32, count: u32, lane: u32) -> vec2<f32> {
    var sum = vec2<f32>(0.0);
    for (var slot = lane; slot < count; slot += LANES) {
        sum = add(sum, vec2<f32>(scratch[first + 2u * slot], scratch[first + 2u * slot + 1u]));
    }
    return reduce(lane, sum);
}

@compute @workgroup_size(LANES)
fn accept(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let own = chain * CHAIN_SCRATCH;
    let work = gather(own + SCRATCH_WORK, WORK_SLOTS, lane);
    let start = gather(own + SCRATCH_ENERGY, LAUNCH_SLOTS, lane);
    if lane != 0u {
        return;
    }
    let motion = motion_of(chain);
    let lost_at = base(GRADIENT, chain) + CHAIN_BODY;
    // A rest begins anew, from the prior or from given weights.
    var lost = motion.scheme != REST && state[lost_at].x != 0.0;
    // Also the bits of a NaN must come from memory: compilers reject or fold it as a constant.
    var energy = vec2<f32>(bitcast<f32>(NAN_BITS ^ call.zero), 0.0);
    var error = 0.0;
    var acceptance = 0.0;
    var accepted = false;
    var diverged = false;
    if !lost && steps_of(chain) > 0u {
        let behind = state[base(CURRENT, chain) + CHAIN_BODY].xy;
        let ahead = state[base(PROPOSAL, chain) + CHAIN_BODY].xy;
        if motion.scheme == OBABO || motion.scheme == BAOAB {
            let change = add(ahead, -behind);
            let total = add(work, vec2<f32>(motion.beta * change.x, motion.beta * change.y));
            error = total.x + total.y;
            energy = add(start, vec2<f32>(motion.beta * behind.x, motion.beta * behind.y));
        }
        if motion.metropolis {
            diverged = !finite(error) || error > DIVERGENCE;
            if !diverged {
                acceptance = select(exp(-error), 1.0, error <= 0.0);
                let u = uniform_at(address(chain, call.trajectory, 0u, ACCEPT));
                accepted = error <= 0.0 || u < acceptance;
            }
        } else {
            lost = motion.scheme != REST && !finite(ahead.x);
            acceptance = 1.0;
            accepted = !lost;
            diverged = lost || abs(error) > DIVERGENCE;
        }
    }
    state[lost_at] = vec4<f32>(f32(lost), 0.0, 0.0, 0.0);
    scratch[own + SCRATCH_FLAG] = f32(accepted);
    let result = result_of(chain);
    results[result] = acceptance;
    results[result + 1u] = error;
    results[result + 2u] = energy.x;
    results[result + 3u] = energy.y;
    results[result + 4u] = f32(diverged);
    results[result + 5u] = 0.0;
    results[result + 6u] = f32(lost);
}

// One vector of one chain: an accepted proposal becomes the position, and its gradient, kept in the momentum's room, the gradient.
@compute @workgroup_size(LANES)
fn settle(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let offset = group.x * LANES + lane;
    if offset >= CHAIN_STATE || scratch[chain * CHAIN_SCRATCH + SCRATCH_FLAG] == 0.0 {
        return;
    }
    state[base(CURRENT, chain) + offset] = state[base(PROPOSAL, chain) + offset];
    if offset < CHAIN_BODY {
        state[base(GRADIENT, chain) + offset] = state[base(MOMENTUM, chain) + offset];
    }
}
