// Double-single sums: a pair (high, low) stands for high + low and keeps twice the digits of
// float32.

// Hides a value from the compiler's algebra: under fast mathematics (Metal always) it would
// simplify rounding errors away.
fn opaque(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ call.zero);
}

// a + b and its rounding error (Knuth).
fn two_sum(a: f32, b: f32) -> vec2<f32> {
    let s = opaque(a + b);
    let t = opaque(s - a);
    return vec2<f32>(s, (a - opaque(s - t)) + (b - t));
}

fn add(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let s = two_sum(a.x, b.x);
    let low = s.y + (a.y + b.y);
    let high = opaque(s.x + low);
    return vec2<f32>(high, low - opaque(high - s.x));
}

// Four double-single sums.
struct Sums {
    high: vec4<f32>,
    low: vec4<f32>,
}

fn opaque_four(x: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4<u32>(call.zero));
}

// `add` of a single-precision term to each of four sums.
fn add_four(sums: Sums, terms: vec4<f32>) -> Sums {
    let s = opaque_four(sums.high + terms);
    let t = opaque_four(s - sums.high);
    let low = (sums.high - opaque_four(s - t)) + (terms - t) + sums.low;
    let high = opaque_four(s + low);
    return Sums(high, low - opaque_four(high - s));
}

var<workgroup> lanes: array<vec2<f32>, LANES>;

// Sum over the workgroup in a fixed tree; every invocation gets it.
fn reduce(lane: u32, value: vec2<f32>) -> vec2<f32> {
    lanes[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            lanes[lane] = add(lanes[lane], lanes[lane + half]);
        }
        workgroupBarrier();
    }
    let total = lanes[0];
    workgroupBarrier();
    return total;
}
