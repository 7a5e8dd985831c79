// Counter-based noise, twin of src/numerics/noise.rs: Philox4x32-10 and Box–Muller. The words are
// the CPU's bit for bit, the normals agree to rounding. What a number is for, PRIOR to READOUT, is
// `Purpose` there.

// Names a chain's noise: the temperature and replica, not the place in the batch.
fn chain_id(chain: u32) -> u32 {
    return (temperature_of(chain) << 20u) | replica_of(chain);
}

// The high and low words of a·b from products of 16-bit halves.
fn wide_product(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let cross = a1 * b0 + ((a0 * b0) >> 16u);
    let middle = a0 * b1 + (cross & 0xffffu);
    return vec2<u32>(a1 * b1 + (cross >> 16u) + (middle >> 16u), a * b);
}

fn philox(counter: vec4<u32>) -> vec4<u32> {
    var c = counter;
    var key = vec2<u32>(SEED_LOW, SEED_HIGH);
    for (var round = 0u; round < 10u; round++) {
        let p0 = wide_product(0xD2511F53u, c.x);
        let p1 = wide_product(0xCD9E8D57u, c.z);
        c = vec4<u32>(p1.x ^ c.y ^ key.x, p1.y, p0.x ^ c.w ^ key.y, p0.y);
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// Everything of a counter but its block.
fn address(chain: u32, trajectory: u32, step: u32, purpose: u32) -> vec3<u32> {
    return vec3<u32>(trajectory, chain_id(chain), (purpose << 24u) | (step & 0x00ffffffu));
}

// (⌊x/2⁹⌋ + ½)/2²³, strictly inside (0, 1).
fn uniforms(x: vec4<u32>) -> vec4<f32> {
    return (vec4<f32>(x >> vec4<u32>(9u)) + 0.5) * 1.1920928955078125e-7;
}

// A uniform in (0, 1] with the full relative precision of float32, from the 64 bits that the CPU
// uses.
fn uniform_at(place: vec3<u32>) -> f32 {
    let words = philox(vec4<u32>(0u, place));
    return (f32(words.x) + (f32(words.y) + 0.5) * 2.3283064365386963e-10) * 2.3283064365386963e-10;
}

// ln(m·2ᵉ) = e ln 2 + 2 atanh((m − 1)/(m + 1)), m in [1/√2, √2); the built-in loses 2 % near 1 on
// some devices.
fn ln(x: vec2<f32>) -> vec2<f32> {
    let root_half = vec2<u32>(0x3f3504f3u);
    let bits = bitcast<vec2<u32>>(x) - root_half;
    let exponent = vec2<f32>(bitcast<vec2<i32>>(bits) >> vec2<u32>(23u));
    let mantissa = bitcast<vec2<f32>>((bits & vec2<u32>(0x007fffffu)) + root_half);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    return exponent * 0.6931471805599453 + 2.0 * s * series;
}

// (cos 2πu, sin 2πu) of two turns at once, as (cos₀, sin₀, cos₁, sin₁).
fn cos_sin_turns(u: vec2<f32>) -> vec4<f32> {
    let quarters = vec2<i32>(4.0 * u + 0.5);
    let x = (4.0 * u - vec2<f32>(quarters)) * 1.5707963267948966;
    let z = x * x;
    let sine = x * (1.0 - z * (1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z * (1.0 / 362880.0)))));
    let cosine = 1.0 - z * (0.5 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z * (1.0 / 3628800.0)))));
    let turned = (quarters & vec2<i32>(1)) != vec2<i32>(0);
    // Quarter turns 2, 3 flip the sine; 1, 2 flip the cosine.
    let sine_sign = (bitcast<vec2<u32>>(quarters) & vec2<u32>(2u)) << vec2<u32>(30u);
    let cosine_sign = (bitcast<vec2<u32>>(quarters + 1) & vec2<u32>(2u)) << vec2<u32>(30u);
    let s = bitcast<vec2<f32>>(bitcast<vec2<u32>>(select(sine, cosine, turned)) ^ sine_sign);
    let c = bitcast<vec2<f32>>(bitcast<vec2<u32>>(select(cosine, sine, turned)) ^ cosine_sign);
    return vec4<f32>(c.x, s.x, c.y, s.y);
}

// The four normals of one block.
fn normal_block(block: u32, place: vec3<u32>) -> vec4<f32> {
    let u = uniforms(philox(vec4<u32>(block, place)));
    return sqrt(-2.0 * ln(u.xz)).xxyy * cos_sin_turns(u.yw);
}

// Normals index … index + 3 of a stream; they lie in one block or straddle two.
fn normals(index: u32, place: vec3<u32>) -> vec4<f32> {
    let shift = index % 4u;
    let last = index / 4u + select(1u, 0u, shift == 0u);
    var low = vec4<f32>(0.0);
    var high = vec4<f32>(0.0);
    for (var block = index / 4u; block <= last; block++) {
        low = high;
        high = normal_block(block, place);
    }
    switch shift {
        case 0u: { return high; }
        case 1u: { return vec4<f32>(low.yzw, high.x); }
        case 2u: { return vec4<f32>(low.zw, high.xy); }
        default: { return vec4<f32>(low.w, high.xyz); }
    }
}
