// Stage forward, twin of src/backend/cpu/forward.rs: H = W′Zᵀ with σ, σ′ and the units' shares of
// the output in its epilogue. With TEST the points are the test points, whose inputs also have a
// part outside the span of the training inputs; of them the output is kept, and the features until
// their manifolds are measured. Rows of the product are points, columns are units.

// Features of a chain: Φ, then σ′(H), each (P, NV vectors); where test points are predicted, W⊥ (N,
// KV vectors) instead, then their Φ.

fn input(point: u32, k: u32) -> vec4<f32> {
    if TEST {
        return data[DATA_TEST + min(point, LAST_TEST_POINT) * (RV + KV) + k];
    }
    return data[DATA_TRAIN + min(point, POINTS - 1u) * RV + k];
}

fn left(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * group;
    return mat4x4<f32>(input(point, k), input(point + 1u, k), input(point + 2u, k), input(point + 3u, k));
}

var<private> weights_at: u32;
var<private> complement_at: u32;

fn weight(unit: u32, k: u32) -> vec4<f32> {
    let row = min(unit, UNITS - 1u);
    if TEST && k >= RV {
        return load_feature(complement_at + row * KV + k - RV);
    }
    return state[weights_at + row * RV + k];
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    let unit = 4u * group;
    return transpose(mat4x4<f32>(weight(unit, k), weight(unit + 1u, k), weight(unit + 2u, k), weight(unit + 3u, k)));
}

@compute @workgroup_size(PRODUCT_LANES)
fn forward(at: Invocation) {
    let chain = at.group.y;
    if idle(chain) {
        return;
    }
    weights_at = base(call.section, chain);
    complement_at = chain * CHAIN_FEATURES;
    let points = select(POINTS, TEST_POINTS, TEST);
    locate(at.group.x, at.lane, UNITS);
    var block = multiply(at, select(RV, RV + KV, TEST));

    let readout = base(call.section, chain) + UNITS * RV;
    let share = chain * CHAIN_SCRATCH + SCRATCH_SHARES + column_slot() * points;
    for (var g = 0u; g < passes(ROW_GROUPS); g++) {
        for (var b = 0u; b < 4u; b++) {
            let point = 4u * row_group(g) + b;
            if point < points {
                var sum = 0.0;
                for (var h = 0u; h < COLUMN_GROUPS; h++) {
                    let units = column_group(h);
                    if units < NV {
                        let activated = activate(block[g * COLUMN_GROUPS + h][b]);
                        // The readout is zero in the padding.
                        sum += dot(state[readout + units], activated.value);
                        if TEST {
                            // Behind W⊥, which other invocations still read.
                            if TEST_MANIFOLDS {
                                let at = chain * CHAIN_FEATURES + TEST_FEATURES + point * NV + units;
                                store_feature(at, below(4u * units, UNITS) * activated.value);
                            }
                        } else {
                            let first = chain * CHAIN_FEATURES + point * NV + units;
                            let mask = below(4u * units, UNITS);
                            store_feature(first, mask * activated.value);
                            store_feature(first + POINTS * NV, mask * activated.slope);
                        }
                    }
                }
                scratch[share + point] = sum;
            }
        }
    }
}
