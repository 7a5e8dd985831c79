//! Arithmetic that knows nothing of networks: loops for wide vectors, linear algebra, noise,
//! histograms and numbers with errors.
//!
//! Noise has an address in place of a state, so that a draw depends on nothing that ran before it:
//!
//! ```
//! use featherm::numerics::noise::{Address, Purpose};
//!
//! let address = Address { seed: 1, chain: 0, trajectory: 3, step: 0, purpose: Purpose::Momentum };
//! let (mut once, mut again) = ([0f32; 8], [0f32; 8]);
//! address.normals(&mut once);
//! address.normals(&mut again);
//! assert_eq!(once, again);
//! ```

pub mod estimate;
pub mod histogram;
pub(crate) mod linalg;
pub mod noise;
pub(crate) mod simd;
