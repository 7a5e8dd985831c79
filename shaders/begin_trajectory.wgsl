// Start of a trajectory: a full refreshment of the momentum, the energy without its loss, and the
// first step up to where its gradient is taken. An invocation treats LAUNCH vectors of one chain.

@compute @workgroup_size(LANES)
fn launch(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    if idle(chain) {
        return;
    }
    let integrator = integrator_of(chain);
    var energy = vec2<f32>(0.0);
    var work = 0.0;
    // Compilers unroll a loop whose end they know; this one is long.
    for (var i = 0u; i < LAUNCH + call.zero; i++) {
        let offset = (group.x * LAUNCH + i) * LANES + lane;
        if offset < CHAIN_BODY {
            var place = readout_place(integrator, offset - UNITS * RV);
            if offset < UNITS * RV {
                place = weight_place(chain, offset / RV, offset % RV);
            }
            let x = state[base(CURRENT, chain) + offset];
            if integrator.scheme == MARGINAL && place.part == 1u {
                // It has no part in the energy, and stays until it is drawn.
                state[base(PROPOSAL, chain) + offset] = x;
                state[base(MOMENTUM, chain) + offset] = vec4<f32>(0.0);
                continue;
            }
            var p = vec4<f32>(0.0);
            if symmetric(integrator) || integrator.scheme == BAOAB {
                p = place.root * noise_at(chain, place, REFRESH, 0u);
            }
            energy = add(energy, vec2<f32>(0.5 * (dot(p * p, place.inverse) + LAMBDA[place.part] * dot(x, x)), 0.0));
            let g = state[base(GRADIENT, chain) + offset];
            var noise = vec4<f32>(0.0);
            if thermal(integrator) && !symmetric(integrator) {
                noise = noise_at(chain, place, FRICTION, friction_slot(integrator, 0u));
            }
            let moved = begin_step(Particle(x, p, 0.0), g, integrator, place, noise);
            work += moved.work;
            state[base(PROPOSAL, chain) + offset] = moved.x;
            state[base(MOMENTUM, chain) + offset] = moved.p;
        }
    }
    let slot = group.x * LANES + lane;
    add_work(chain, LAUNCH_SLOT + slot, work);
    let at = chain * CHAIN_SCRATCH + SCRATCH_ENERGY + 2u * slot;
    scratch[at] = energy.x;
    scratch[at + 1u] = energy.y;
}
