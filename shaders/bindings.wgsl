// Bindings and addresses that every kernel shares. Names in capitals that no shader defines are
// constants which the host writes (`Layout::constants`): the sizes of one problem, and the places
// and numbers of src/backend/gpu/slots.rs. Four consecutive numbers travel as one vector.

// Arguments of one dispatch.
struct Call {
    // Number of the trajectory, part of every noise address.
    trajectory: u32,
    // Step inside the trajectory, or PREPARE.
    step: u32,
    // Round in the batch whose results are read back together.
    round: u32,
    // The replicas of every temperature that this shard holds.
    first_replica: u32,
    replicas: u32,
    // Section of the state that is looked at: CURRENT or PROPOSAL.
    section: u32,
    // Free argument: batch of predictions, first pair of temperatures or first Gram block, by
    // kernel.
    which: u32,
    // Always 0, which no compiler can know: see `opaque`.
    zero: u32,
}

@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> features: array<Feature>;
@group(0) @binding(4) var<storage, read_write> scratch: array<f32>;
@group(0) @binding(5) var<storage, read_write> accumulators: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> results: array<f32>;
// The linear systems of the integrated readout: see linear_system.wgsl.
@group(0) @binding(7) var<storage, read_write> systems: array<vec4<f32>>;
// Binding 8 holds operands in float16: see halves.wgsl.

// In each section of the state (`Section` in src/backend/gpu/slots.rs) a chain holds its
// first-layer values (N × RV vectors), its readout values (NV vectors) and one vector of notes: for
// positions L and V, each in double-single; for GRADIENT whether the chain is lost, then what
// energy the gradient is of (`energy_of`).

// PREPARE is the step before the first of a trajectory: it makes the gradient at the position that
// of the energy by which the chain is to move. After an exchange, or another kind of move, it is
// not.

fn base(section: u32, chain: u32) -> u32 {
    return (section * CHAINS + chain) * CHAIN_STATE;
}

fn temperature_of(chain: u32) -> u32 {
    return chain / call.replicas;
}

fn replica_of(chain: u32) -> u32 {
    return call.first_replica + chain % call.replicas;
}

// First result of a chain in the current round.
fn result_of(chain: u32) -> u32 {
    return ((call.round * TEMPERATURES + temperature_of(chain)) * REPLICAS + replica_of(chain)) * RESULTS;
}

fn scalar(first: u32, index: u32) -> f32 {
    return data[first + index / 4u][index % 4u];
}

fn steps_of(chain: u32) -> u32 {
    return u32(scalar(DATA_STEPS, call.round * TEMPERATURES + temperature_of(chain)));
}

// First vector of the integrator of a chain's temperature.
fn integrator_start(chain: u32) -> u32 {
    return DATA_INTEGRATORS + temperature_of(chain) * INTEGRATOR;
}

// 1/T.
fn beta_of(chain: u32) -> f32 {
    return scalar(integrator_start(chain), INTEGRATOR_BETA);
}

// By what energy a chain moves: (1, β) for V, which depends on β, (0, 0) for L.
fn energy_of(chain: u32) -> vec2<f32> {
    let marginal = u32(scalar(integrator_start(chain), INTEGRATOR_SCHEME)) == MARGINAL;
    return select(vec2<f32>(0.0), vec2<f32>(1.0, beta_of(chain)), marginal);
}

// A trajectory that has ended waits for those of other temperatures, and a gradient that fits needs
// no preparation. Where inner gradients come from float16 products, the last of a trajectory does
// not, and of two kernels for one stage INNER and LAST say which treats which.
fn idle(chain: u32) -> bool {
    if call.step == PREPARE {
        return steps_of(chain) == 0u || all(state[base(GRADIENT, chain) + CHAIN_BODY].yz == energy_of(chain));
    }
    if call.section == PROPOSAL {
        let steps = steps_of(chain);
        return call.step >= steps || !select(INNER, LAST, call.step + 1u == steps);
    }
    return false;
}

// Comparing with itself does not find a NaN under the compilers' fast mathematics; the bits do.
fn finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// NaN. Also its bits must come from memory: compilers reject or fold it as a constant.
fn no_number() -> f32 {
    return bitcast<f32>(0x7fc00000u ^ call.zero);
}

// 1 for those of four consecutive indices that are below `count`.
fn below(first: u32, count: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(first, first + 1u, first + 2u, first + 3u) < vec4<u32>(count));
}
