//! The network, its activation and the rotated, rank-reduced data; knows nothing of sampling or GPUs.

mod activation;
mod classes;
mod problem;
mod task;

pub use activation::Activation;
pub use classes::{Classes, class_pairs};
pub use problem::{Network, Problem, ProblemError};
pub use task::Task;
