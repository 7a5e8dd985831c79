// Stage accept, twin of src/backend/cpu/accept.rs: what becomes of a proposed trajectory. `accept`
// decides, one workgroup per chain; `settle` carries it out.

// Sum of `count` double-single slots of a chain.
fn gather(first: u32, count: u32, lane: u32) -> vec2<f32> {
    var sum = vec2<f32>(0.0);
    for (var slot = lane; slot < count; slot += LANES) {
        sum = add(sum, vec2<f32>(scratch[first + 2u * slot], scratch[first + 2u * slot + 1u]));
    }
    return reduce(lane, sum);
}

// L or V of a position.
fn energy_noted(section: u32, chain: u32, marginal: bool) -> vec2<f32> {
    let note = state[base(section, chain) + CHAIN_BODY];
    return select(note.xy, note.zw, marginal);
}

@compute @workgroup_size(LANES)
fn accept(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let own = chain * CHAIN_SCRATCH;
    let integrator = integrator_of(chain);
    let marginal = integrator.scheme == MARGINAL;
    // Where v does not move nobody writes the work done on it.
    let work = gather(own + SCRATCH_WORK, select(WORK_SLOTS, READOUT_SLOT, marginal), lane);
    let start = gather(own + SCRATCH_ENERGY, LAUNCH_SLOTS, lane);
    if lane != 0u {
        return;
    }
    let note_at = base(GRADIENT, chain) + CHAIN_BODY;
    let note = state[note_at];
    // A frozen chain begins anew, from the prior or from given weights.
    var lost = integrator.scheme != FROZEN && note.x != 0.0;
    var energy = vec2<f32>(no_number(), 0.0);
    var error = 0.0;
    var acceptance = 0.0;
    var accepted = false;
    var diverged = false;
    if !lost && steps_of(chain) > 0u {
        let ahead = state[base(PROPOSAL, chain) + CHAIN_BODY].xy;
        if symmetric(integrator) || integrator.scheme == BAOAB {
            // βL, or V.
            let scale = select(integrator.beta, 1.0, marginal);
            let behind = energy_noted(CURRENT, chain, marginal);
            let change = add(energy_noted(PROPOSAL, chain, marginal), -behind);
            let total = add(work, vec2<f32>(scale * change.x, scale * change.y));
            error = total.x + total.y;
            energy = add(start, vec2<f32>(scale * behind.x, scale * behind.y));
        }
        if integrator.metropolis {
            diverged = !finite(error) || error > DIVERGENCE;
            if !diverged {
                acceptance = select(exp(-error), 1.0, error <= 0.0);
                let u = uniform_at(address(chain, call.trajectory, 0u, ACCEPT));
                accepted = error <= 0.0 || u < acceptance;
            }
        } else {
            // The work is no number where a weight has run away.
            lost = integrator.scheme != FROZEN && !(finite(ahead.x) && finite(work.x));
            acceptance = 1.0;
            accepted = !lost;
            diverged = lost || abs(error) > DIVERGENCE;
        }
    }
    // Before a trajectory the gradient is made to fit, so that also a rejected one leaves one of
    // this move's energy.
    state[note_at] = vec4<f32>(f32(lost), select(note.yz, energy_of(chain), steps_of(chain) > 0u), 0.0);
    scratch[own + SCRATCH_FLAG] = f32(accepted);
    let result = result_of(chain);
    results[result + TRANSITION_ACCEPTANCE] = acceptance;
    results[result + TRANSITION_ENERGY_ERROR] = error;
    results[result + TRANSITION_ENERGY_HIGH] = energy.x;
    results[result + TRANSITION_ENERGY_LOW] = energy.y;
    results[result + TRANSITION_DIVERGED] = f32(diverged);
    results[result + TRANSITION_EXCHANGED] = 0.0;
}

// One vector of one chain: an accepted proposal becomes the position, and its gradient, kept in the
// momentum's room, the gradient.
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
