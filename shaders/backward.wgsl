// Stage backward, twin of src/backend/cpu/backward.rs: ∂/∂W′ = g Z with g = ∂/∂H made on the fly,
// and the next move of the integrator in its epilogue. Rows of the product are units, columns are
// directions. What g is, force_loss.wgsl or force_marginal.wgsl says: aim(chain) where it lies
// left(group, depth) g but for a factor of its row, as the product wants it row_factor(chain, i)
// that factor

fn input(group: u32, point: u32) -> vec4<f32> {
    return data[DATA_TRAIN + min(point, POINTS - 1u) * RV + min(group, RV - 1u)];
}

fn right(group: u32, k: u32) -> mat4x4<f32> {
    let point = 4u * k;
    return mat4x4<f32>(input(group, point), input(group, point + 1u), input(group, point + 2u), input(group, point + 3u));
}

@compute @workgroup_size(PRODUCT_LANES)
fn backward(at: Invocation) {
    let chain = at.group.y;
    if idle(chain) {
        return;
    }
    aim(chain);
    locate(at.group.x, at.lane, RANK);
    var block = multiply(at, PV);

    // A copy that is indexed at run time, so that the long code of a move exists once; `block`
    // itself must stay in registers.
    var gradient: array<vec4<f32>, 4u * ROW_GROUPS * COLUMN_GROUPS>;
    for (var row = 0u; row < 4u * passes(ROW_GROUPS); row++) {
        for (var h = 0u; h < COLUMN_GROUPS; h++) {
            gradient[row * COLUMN_GROUPS + h] = block[row / 4u * COLUMN_GROUPS + h][row % 4u];
        }
    }
    let integrator = integrator_of(chain);
    var work = 0.0;
    // Compilers unroll a loop whose end they know.
    for (var i = 0u; i < 4u * ROW_GROUPS * COLUMN_GROUPS + call.zero; i++) {
        let row = i / COLUMN_GROUPS;
        let unit = 4u * row_group(row / 4u) + row % 4u;
        let directions = column_group(i % COLUMN_GROUPS);
        if unit < UNITS && directions < RV {
            let place = weight_place(chain, unit, directions);
            work += advance(chain, unit * RV + directions, row_factor(chain, unit) * gradient[i], integrator, place);
        }
    }
    add_work(chain, WEIGHT_SLOT + at.group.x * PRODUCT_LANES + at.lane, work);
}
