// Stage activation, twin of src/backend/cpu/activation.rs: σ and σ′ by the same formulas and
// coefficients.

struct Activated {
    value: vec4<f32>,
    slope: vec4<f32>,
}

fn activate(h: vec4<f32>) -> Activated {
    switch ACTIVATION {
        case ERF: {
            return Activated(erf(h), 1.1283791670955126 * exponential(-h * h));
        }
        case RELU: {
            let on = h > vec4<f32>(0.0);
            // A NaN is not positive, yet must get through; so that compilers cannot lose it, it is
            // known by its bits.
            let broken = (bitcast<vec4<u32>>(h) & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u);
            return Activated(select(vec4<f32>(0.0), h, on | broken), select(vec4<f32>(0.0), vec4<f32>(1.0), on));
        }
        case TANH: {
            let t = hyperbolic_tangent(h);
            return Activated(t, 1.0 - t * t);
        }
        case GELU: {
            let cdf = 0.5 * (1.0 + erf(h * 0.7071067811865476));
            return Activated(h * cdf, cdf + h * 0.3989423 * exponential(-0.5 * h * h));
        }
        default: {
            return Activated(h, vec4<f32>(1.0));
        }
    }
}

// Limits the range but keeps a NaN, which the built-in clamp swallows.
fn limit(x: vec4<f32>, bound: f32) -> vec4<f32> {
    let upper = select(x, vec4<f32>(bound), x > vec4<f32>(bound));
    return select(upper, vec4<f32>(-bound), upper < vec4<f32>(-bound));
}

fn erf(argument: vec4<f32>) -> vec4<f32> {
    let x = limit(argument, 3.92);
    let z = x * x;
    let p = 1.1283791 + z * (0.19040523 + z * (0.05274855 + z * (0.0037655625 + z * (2.8488129e-4 + z * 2.0500932e-6))));
    let q = 1.0 + z * (0.502075 + z * (0.11410859 + z * (0.014969106 + z * (0.001162522 + z * 3.8091703e-5))));
    return x * p / q;
}

fn hyperbolic_tangent(argument: vec4<f32>) -> vec4<f32> {
    let x = limit(argument, 9.02);
    let z = x * x;
    let p = 1.0 + z * (0.13379718 + z * (0.0034940343 + z * (2.0583475e-5 + z * 1.3319064e-8)));
    let q = 1.0 + z * (0.46713033 + z * (0.025871072 + z * (3.2830923e-4 + z * 7.762016e-7)));
    return x * p / q;
}

// 2ⁿ eʳ with |r| ≤ ½ ln 2; 0 below −87. `round` is exact on every device, so the twins reduce
// alike.
fn exponential(x: vec4<f32>) -> vec4<f32> {
    let clamped = limit(x, 87.0);
    let n = round(clamped * 1.4426950408889634);
    let r = clamped - n * 0.6933594 + n * 2.1219444e-4;
    let poly = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)))))));
    let scale = bitcast<vec4<f32>>((vec4<i32>(n) + 127) << vec4<u32>(23u));
    return select(poly * scale, vec4<f32>(0.0), x < vec4<f32>(-87.0));
}
