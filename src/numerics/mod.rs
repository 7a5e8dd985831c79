//! Arithmetic that knows nothing of networks: loops for wide vectors, linear algebra, noise,
//! histograms and numbers with errors.

pub mod estimate;
pub mod histogram;
pub(crate) mod linalg;
pub mod noise;
pub(crate) mod simd;
