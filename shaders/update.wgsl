// Stage update, twin of src/backend/cpu/update.rs and trajectory.rs: the elementary moves of an
// integrator on four coordinates, composed into the two halves of a step between which the gradient
// is taken.

// The integrator of one temperature: `IntegratorSlot` in src/backend/gpu/slots.rs, where the
// schemes are too. In the data follow, with RV vectors each, the inverse masses of W′, the roots of
// its masses and the flow of one step under the prior, 1 − cos ωh, sin(ωh)/(mω) and mω sin(ωh).
struct Integrator {
    scheme: u32,
    metropolis: bool,
    beta: f32,
    // Step length of a drift.
    time: f32,
    // Half a step times β, or half a step alone where V is the energy: what a half kick multiplies
    // the gradient by.
    force: f32,
    // Half a step times λ, of W′ and v; 0 where the prior turns W′.
    prior: vec2<f32>,
    // O: p ← keep·p + fresh·√m ξ.
    keep: f32,
    fresh: f32,
    // 1/m and √m of v.
    inverse: f32,
    root: f32,
    // ULA: θ ← shrink·θ − rate·g + amplitude·ξ.
    shrink: vec2<f32>,
    rate: f32,
    amplitude: f32,
}

fn integrator_of(chain: u32) -> Integrator {
    let at = integrator_start(chain);
    return Integrator(
        u32(scalar(at, INTEGRATOR_SCHEME)),
        scalar(at, INTEGRATOR_METROPOLIS) != 0.0,
        scalar(at, INTEGRATOR_BETA),
        scalar(at, INTEGRATOR_TIME),
        scalar(at, INTEGRATOR_FORCE),
        vec2<f32>(scalar(at, INTEGRATOR_WEIGHT_PRIOR), scalar(at, INTEGRATOR_READOUT_PRIOR)),
        scalar(at, INTEGRATOR_KEEP),
        scalar(at, INTEGRATOR_FRESH),
        scalar(at, INTEGRATOR_INVERSE),
        scalar(at, INTEGRATOR_ROOT),
        vec2<f32>(scalar(at, INTEGRATOR_WEIGHT_SHRINK), scalar(at, INTEGRATOR_READOUT_SHRINK)),
        scalar(at, INTEGRATOR_RATE),
        scalar(at, INTEGRATOR_AMPLITUDE),
    );
}

// Four coordinates under way.
struct Particle {
    x: vec4<f32>,
    p: vec4<f32>,
    // Energy that kicks and drifts brought in: the sum of differences, exact where a difference of
    // sums would cancel.
    work: f32,
}

// What belongs to the place of four coordinates in the network.
struct Place {
    // 0: W′, 1: v.
    part: u32,
    // First of their indices in the stream of noise.
    index: u32,
    // 1 for coordinates that exist, 0 for padding.
    mask: vec4<f32>,
    inverse: vec4<f32>,
    root: vec4<f32>,
    // Where the rotation of W′ lies in the data.
    turn: u32,
}

fn weight_place(chain: u32, unit: u32, group: u32) -> Place {
    let masses = integrator_start(chain) + INTEGRATOR_VECTORS + group;
    return Place(0u, unit * RANK + 4u * group, below(4u * group, RANK), data[masses], data[masses + RV], masses + 2u * RV);
}

fn readout_place(integrator: Integrator, group: u32) -> Place {
    return Place(1u, 4u * group, below(4u * group, UNITS), vec4<f32>(integrator.inverse), vec4<f32>(integrator.root), 0u);
}

// Normals of slot `slot`: those of v come first.
fn noise_at(chain: u32, place: Place, purpose: u32, slot: u32) -> vec4<f32> {
    return place.mask * normals(place.index, address(chain, call.trajectory, 2u * slot + 1u - place.part, purpose));
}

// B: p ← p − t (β ∂L + λ θ), for `halves` half steps.
fn kick(q: Particle, g: vec4<f32>, integrator: Integrator, place: Place, halves: f32) -> Particle {
    let p = q.p - (halves * integrator.force * g + halves * integrator.prior[place.part] * q.x);
    return Particle(q.x, p, q.work + 0.5 * dot((p - q.p) * (p + q.p), place.inverse));
}

// A: θ ← θ + t p/m.
fn drift(q: Particle, integrator: Integrator, place: Place) -> Particle {
    let x = q.x + integrator.time * (q.p * place.inverse);
    return Particle(x, q.p, q.work + 0.5 * LAMBDA[place.part] * dot(x - q.x, x + q.x));
}

// A beside the prior: θ and p turn about each other. The energy of both stays but for rounding,
// which is counted.
fn rotate(q: Particle, place: Place) -> Particle {
    let turn = data[place.turn];
    let x = q.x + (data[place.turn + RV] * q.p - turn * q.x);
    let p = q.p - (data[place.turn + 2u * RV] * q.x + turn * q.p);
    let change = LAMBDA[0] * ((x - q.x) * (x + q.x)) + place.inverse * ((p - q.p) * (p + q.p));
    return Particle(x, p, q.work + 0.5 * dot(change, vec4<f32>(1.0)));
}

// A for one step of a symmetric scheme.
fn glide(q: Particle, integrator: Integrator, place: Place) -> Particle {
    if integrator.scheme == MARGINAL {
        return rotate(q, place);
    }
    return drift(q, integrator, place);
}

// Whether a step is O–B–A–B–O.
fn symmetric(integrator: Integrator) -> bool {
    return integrator.scheme == OBABO || integrator.scheme == MARGINAL;
}

// O: p ← keep·p + √(1 − keep²) √m ξ.
fn refresh(q: Particle, integrator: Integrator, place: Place, noise: vec4<f32>) -> Particle {
    return Particle(q.x, integrator.keep * q.p + integrator.fresh * (place.root * noise), q.work);
}

// The number of the friction slot that acts between gradient `step` − 1 and gradient `step`; the
// first of a trajectory is 0.
fn friction_slot(integrator: Integrator, step: u32) -> u32 {
    // OBABO refreshes at the end of a step, the others within one or at its start.
    return select(step, step - 1u, symmetric(integrator));
}

// Whether noise acts between two gradients.
fn thermal(integrator: Integrator) -> bool {
    return integrator.fresh > 0.0 || integrator.scheme == ULA;
}

// From the start of a step to where its gradient is taken.
fn begin_step(q: Particle, g: vec4<f32>, integrator: Integrator, place: Place, noise: vec4<f32>) -> Particle {
    switch integrator.scheme {
        case OBABO, MARGINAL: {
            return glide(kick(q, g, integrator, place, 1.0), integrator, place);
        }
        case BAOAB: {
            let half = drift(kick(q, g, integrator, place, 1.0), integrator, place);
            return drift(refresh(half, integrator, place, noise), integrator, place);
        }
        case ULA: {
            return Particle(integrator.shrink[place.part] * q.x - integrator.rate * g + integrator.amplitude * noise, q.p, 0.0);
        }
        default: {
            return q;
        }
    }
}

// From the last gradient of a step to its end.
fn end_step(q: Particle, g: vec4<f32>, integrator: Integrator, place: Place) -> Particle {
    if symmetric(integrator) || integrator.scheme == BAOAB {
        return kick(q, g, integrator, place, 1.0);
    }
    return q;
}

// From the gradient of one step to that of the next.
fn next_step(q: Particle, g: vec4<f32>, integrator: Integrator, place: Place, noise: vec4<f32>) -> Particle {
    if symmetric(integrator) && !thermal(integrator) {
        // The two half kicks that meet are one.
        return glide(kick(q, g, integrator, place, 2.0), integrator, place);
    }
    var end = end_step(q, g, integrator, place);
    if symmetric(integrator) {
        end = refresh(end, integrator, place, noise);
    }
    return begin_step(end, g, integrator, place, noise);
}

// Moves four coordinates on when their gradient is known: to the next place where one is needed, or
// to the end. There the momentum has served and the gradient takes its room. Returns the work done;
// NaN where an unadjusted chain ends beyond RUNAWAY.
fn advance(chain: u32, offset: u32, g: vec4<f32>, integrator: Integrator, place: Place) -> f32 {
    if call.step == PREPARE {
        state[base(GRADIENT, chain) + offset] = g;
        return 0.0;
    }
    let position = base(PROPOSAL, chain) + offset;
    let momentum = base(MOMENTUM, chain) + offset;
    let q = Particle(state[position], state[momentum], 0.0);
    if call.step + 1u == steps_of(chain) {
        state[momentum] = g;
        // Where nothing rejects, the loss of a bounded activation would not show it.
        let runaway = !integrator.metropolis && any(abs(q.x) > vec4<f32>(RUNAWAY * PRIOR_DEVIATION[place.part]));
        return select(end_step(q, g, integrator, place).work, no_number(), runaway);
    }
    var noise = vec4<f32>(0.0);
    if thermal(integrator) {
        noise = noise_at(chain, place, FRICTION, friction_slot(integrator, call.step + 1u));
    }
    let moved = next_step(q, g, integrator, place, noise);
    state[position] = moved.x;
    state[momentum] = moved.p;
    return moved.work;
}

// Adds to one of the slots of a chain in which energy is summed over the steps. Each slot has one
// writer.
fn add_work(chain: u32, slot: u32, work: f32) {
    let at = chain * CHAIN_SCRATCH + SCRATCH_WORK + 2u * slot;
    var sum = vec2<f32>(work, 0.0);
    if call.step > 0u {
        sum = add(vec2<f32>(scratch[at], scratch[at + 1u]), sum);
    }
    scratch[at] = sum.x;
    scratch[at + 1u] = sum.y;
}
