//! The network, its activation and the rotated, rank-reduced data; knows nothing of sampling or GPUs.

mod activation;
mod problem;

pub use activation::Activation;
pub use problem::{Network, Problem, ProblemError};
