//! Counter-based random numbers: every draw is a pure function of (seed, chain, step, purpose,
//! index).
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011, the Random123 generator) keyed by the seed.
//! Because nothing is carried from draw to draw, a chain sees the same noise whether it runs alone
//! or with a thousand others, on any number of threads.

use std::convert::Infallible;

use rand::rand_core::TryRng;
use rand::rand_core::block::{BlockRng, Generator};

use crate::numerics::simd::{fused, mul_add, polynomial};

/// What a random number is for: distinct purposes never share a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights, drawn from the prior.
    Prior = 0,
    /// Momentum refreshment at the start of a trajectory.
    Momentum = 1,
    /// The partial refreshments (friction) inside a trajectory, and the noise of the unadjusted
    /// samplers.
    Friction = 2,
    /// The uniform of the accept/reject step.
    Accept = 3,
    /// The part of the test points outside the span of the training inputs.
    Complement = 4,
    /// Bootstrap resampling of chains, by [`Address::rng`].
    Bootstrap = 6,
    /// Synthetic data and the random choice of points, by [`Address::rng`].
    Data = 7,
    /// The uniform of an exchange between two temperatures.
    Exchange = 8,
    /// The signs under which a unit of an odd activation is measured.
    Sign = 9,
    /// The draw of the readout given the weights.
    Readout = 10,
    /// Draws of one hidden unit for the single-unit theories.
    Unit = 11,
    /// The part of saved weights outside the span of the training inputs.
    Outside = 12,
}

/// The address of a block of random numbers: one chain, one trajectory, one step inside it, one
/// purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub seed: u64,
    pub chain: u32,
    pub trajectory: u32,
    /// Step inside the trajectory, below 2²⁴.
    pub step: u32,
    pub purpose: Purpose,
}

impl Address {
    #[inline(always)]
    fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// Philox counter of block `block`; element i of the stream is word i mod 4 of block i / 4.
    #[inline(always)]
    fn counter(&self, block: u32) -> [u32; 4] {
        [block, self.trajectory, self.chain, ((self.purpose as u32) << 24) | (self.step & 0x00ff_ffff)]
    }

    /// The first uniform of the block, in (0, 1) with 52 bits: one more and the largest would round
    /// to 1.
    pub fn uniform(&self) -> f64 {
        let [a, b, ..] = philox4x32(self.counter(0), self.key());
        let bits = ((u64::from(a) << 32) | u64::from(b)) >> 12;
        (bits as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Fills `out` with standard normals of float32 accuracy: Box–Muller on uniforms (⌊x/2⁹⌋ +
    /// ½)/2²³.
    pub fn normals<S: From<f32> + Copy>(&self, out: &mut [S]) {
        fused!(FMA => fill_normals::<FMA, S>(self, out));
    }

    /// Returns a generator of the words at this address, for the distributions of `rand` and
    /// `rand_distr`.
    pub fn rng(&self) -> PhiloxRng {
        PhiloxRng(BlockRng::new(Blocks { counter: self.counter(0), key: self.key() }))
    }
}

/// The words of an [`Address`] one after the other: those of its blocks 0, 1, 2, …, each
/// [`philox4x32`] of the block's counter. It begins again after 2³⁴ words.
///
/// Chains take their noise from the address itself. This is for what the host draws beside them:
/// shuffles, synthetic data, resampling, draws of the theories.
///
/// ```
/// use featherm::numerics::noise::{Address, Purpose};
/// use rand::RngExt;
///
/// let address = Address { seed: 1, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data };
/// assert_eq!(address.rng().random::<u64>(), address.rng().random::<u64>());
/// ```
#[derive(Debug, Clone)]
pub struct PhiloxRng(BlockRng<Blocks>);

#[derive(Debug, Clone)]
struct Blocks {
    /// Counter of the next block.
    counter: [u32; 4],
    key: [u32; 2],
}

impl Generator for Blocks {
    type Output = [u32; 4];

    fn generate(&mut self, words: &mut [u32; 4]) {
        *words = philox4x32(self.counter, self.key);
        self.counter[0] = self.counter[0].wrapping_add(1);
    }
}

impl TryRng for PhiloxRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64_from_u32())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32 with ten rounds.
///
/// The words travel in 64 bits with whatever a product left above the lower 32: the product takes
/// the lower ones alone, and so needs no shuffle in vector registers.
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let product = |multiplier: u32, word: u64| u64::from(multiplier) * u64::from(word as u32);
    let mut c = counter.map(u64::from);
    for _ in 0..10 {
        let (p0, p1) = (product(MULTIPLIER[0], c[0]), product(MULTIPLIER[1], c[2]));
        c = [(p1 >> 32) ^ c[1] ^ u64::from(key[0]), p1, (p0 >> 32) ^ c[3] ^ u64::from(key[1]), p0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    c.map(|word| word as u32)
}

/// One block after another, each written as if alone: the compiler spreads consecutive blocks over
/// the lanes of a register.
#[inline(always)]
fn fill_normals<const FMA: bool, S: From<f32> + Copy>(address: &Address, out: &mut [S]) {
    let (first, key) = (address.counter(0), address.key());
    let (blocks, rest) = out.as_chunks_mut::<4>();
    let next = blocks.len() as u32;
    for (i, block) in blocks.iter_mut().enumerate() {
        *block = normal_block::<FMA, S>(i as u32, first, key);
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&normal_block::<FMA, S>(next, first, key)[..rest.len()]);
    }
}

/// The four normals of one block: words 0 and 2 are radii, 1 and 3 the angles. Of the counter only
/// its first word differs by block.
#[inline(always)]
fn normal_block<const FMA: bool, S: From<f32>>(block: u32, [_, c1, c2, c3]: [u32; 4], key: [u32; 2]) -> [S; 4] {
    let words = philox4x32([block, c1, c2, c3], key);
    let (a, b) = box_muller::<FMA>(words[0], words[1]);
    let (c, d) = box_muller::<FMA>(words[2], words[3]);
    [S::from(a), S::from(b), S::from(c), S::from(d)]
}

/// Two independent normals.
#[inline(always)]
fn box_muller<const FMA: bool>(radius: u32, angle: u32) -> (f32, f32) {
    let radius = (-2.0 * ln::<FMA>(uniform32(radius))).sqrt();
    let (sin, cos) = sin_cos_turn::<FMA>(angle);
    (radius * cos, radius * sin)
}

/// (⌊x/2⁹⌋ + ½)/2²³, strictly inside (0, 1) in float32.
#[inline(always)]
fn uniform32(x: u32) -> f32 {
    // Through i32: unsigned conversion has no vector instruction before AVX-512, and 23 bits fit.
    ((x >> 9) as i32 as f32 + 0.5) * (1.0 / 8_388_608.0)
}

/// Natural logarithm of a positive normal float32: ln(m·2ᵉ) = e ln 2 + 2 atanh((m−1)/(m+1)), m in
/// [1/√2, √2); the series of atanh to the ninth power leaves less than 1e-9.
#[inline(always)]
fn ln<const FMA: bool>(x: f32) -> f32 {
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    let bits = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (bits as i32 >> 23) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = polynomial::<FMA, 5>(z, [1.0, 1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0]);
    mul_add::<FMA>(exponent, std::f32::consts::LN_2, 2.0 * s * series)
}

/// (sin 2πu, cos 2πu) for u = (⌊x/2⁹⌋ + ½)/2²³: the nearest quarter turn is split off in the
/// integers, the rest is a Taylor polynomial on ±π/4.
#[inline(always)]
fn sin_cos_turn<const FMA: bool>(x: u32) -> (f32, f32) {
    // The nearest quarter turn is in the top two bits of x + ⅛ turn, the way from it in the 21
    // bits, signed, below those of x.
    let quarter = x.wrapping_add(1 << 29);
    let rest = ((x << 2) as i32 >> 11) as f32 + 0.5;
    let x = rest * (std::f32::consts::FRAC_PI_2 / 2_097_152.0);
    let z = x * x;
    let sin = x * polynomial::<FMA, 5>(-z, [1.0, 1.0 / 6.0, 1.0 / 120.0, 1.0 / 5040.0, 1.0 / 362_880.0]);
    let cos = polynomial::<FMA, 6>(-z, [1.0, 0.5, 1.0 / 24.0, 1.0 / 720.0, 1.0 / 40_320.0, 1.0 / 3_628_800.0]);
    let (a, b) = if quarter & (1 << 30) == 0 { (sin, cos) } else { (cos, sin) };
    // Quarter turns 2, 3 flip the sine; 1, 2 flip the cosine.
    const SIGN: u32 = 1 << 31;
    let sin_sign = (quarter & SIGN) ^ a.to_bits();
    let cos_sign = (quarter.wrapping_add(1 << 30) & SIGN) ^ b.to_bits();
    (f32::from_bits(sin_sign), f32::from_bits(cos_sign))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt};
    use rand_distr::StandardNormal;

    use super::*;

    /// Known answers of Random123 (kat_vectors, philox4x32 10).
    #[test]
    fn philox_matches_random123() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    fn address() -> Address {
        Address { seed: 7, chain: 3, trajectory: 11, step: 2, purpose: Purpose::Friction }
    }

    #[test]
    fn normals_are_the_documented_function_of_the_counter() {
        let mut out = vec![0f32; 1003];
        address().normals(&mut out);
        for (i, &normal) in out.iter().enumerate() {
            let words = philox4x32(address().counter(i as u32 / 4), address().key());
            let pair = (i % 4) / 2;
            let uniform = |x: u32| (f64::from(x >> 9) + 0.5) / 8_388_608.0;
            let radius = (-2.0 * uniform(words[2 * pair]).ln()).sqrt();
            let angle = std::f64::consts::TAU * uniform(words[2 * pair + 1]);
            let exact = radius * if i % 2 == 0 { angle.cos() } else { angle.sin() };
            assert!((f64::from(normal) - exact).abs() < 2e-6, "normal {i}: {normal} against {exact}");
        }
        let mut short = vec![0f32; 5];
        address().normals(&mut short);
        assert_eq!(short, out[..5], "a draw depends on its index alone");
    }

    #[test]
    fn normals_have_the_moments_of_a_gaussian_and_other_addresses_are_independent() {
        let n = 400_000;
        let (mut a, mut b) = (vec![0f32; n], vec![0f32; n]);
        address().normals(&mut a);
        Address { step: 3, ..address() }.normals(&mut b);
        let moment = |k: i32| a.iter().map(|&x| f64::from(x).powi(k)).sum::<f64>() / n as f64;
        let bound = |variance: f64| 4.5 * (variance / n as f64).sqrt();
        assert!(moment(1).abs() < bound(1.0));
        assert!((moment(2) - 1.0).abs() < bound(2.0));
        assert!(moment(3).abs() < bound(15.0));
        assert!((moment(4) - 3.0).abs() < bound(96.0));
        let correlation = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum::<f64>() / n as f64;
        assert!(correlation.abs() < bound(1.0));
    }

    /// Known answers of Random123 again, as the generator gives them.
    #[test]
    fn the_generator_matches_random123_block_after_block() {
        let from = |counter, key| PhiloxRng(BlockRng::new(Blocks { counter, key }));
        let words = |mut rng: PhiloxRng| [(); 4].map(|()| rng.next_u32());
        let zero = Address { seed: 0, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Prior };
        assert_eq!(words(zero.rng()), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(words(from([u32::MAX; 4], [u32::MAX; 2])), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            words(from([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0])),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn the_generator_gives_the_words_of_the_noise_that_it_stands_on() {
        let mut rng = address().rng();
        for block in 0..5 {
            let words = philox4x32(address().counter(block), address().key());
            assert_eq!([(); 4].map(|()| rng.next_u32()), words, "block {block}");
        }
        // Two words make 64 bits, the first of them the lower; the uniform takes the same words.
        let first = address().rng().next_u64();
        let bits = first.rotate_left(32) >> 12;
        assert_eq!((bits as f64 + 0.5) / 2f64.powi(52), address().uniform());
        let mut bytes = [0; 24];
        address().rng().fill_bytes(&mut bytes);
        assert_eq!(bytes[..8], first.to_le_bytes());
        let other = Address { step: 3, ..address() };
        assert_ne!(other.rng().next_u64(), first, "another address has other words");
    }

    #[test]
    fn distributions_on_the_generator_have_their_moments() {
        let n = 400_000;
        let normals: Vec<f64> = address().rng().sample_iter(StandardNormal).take(n).collect();
        let moment = |k: i32| normals.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        let bound = |variance: f64| 4.5 * (variance / n as f64).sqrt();
        assert!(moment(1).abs() < bound(1.0) && moment(3).abs() < bound(15.0));
        assert!((moment(2) - 1.0).abs() < bound(2.0) && (moment(4) - 3.0).abs() < bound(96.0));
        assert!((moment(2) - 1.03).abs() > bound(2.0), "a variance of 1.03 would be seen");
        let mut counts = [0.0; 7];
        let mut rng = address().rng();
        (0..70_000).for_each(|_| counts[rng.random_range(0..7)] += 1.0);
        for count in counts {
            assert!((count - 10_000.0f64).abs() < 4.5 * (10_000.0f64 * 6.0 / 7.0).sqrt());
        }
    }
}
