//! The network, its activation and the rotated, rank-reduced data; knows nothing of sampling or
//! GPUs.
//!
//! ```
//! use featherm::model::Activation;
//!
//! // E[erf(h)²] for h ~ N(0, 1) is (2/π) arcsin(2/3).
//! let exact = std::f64::consts::FRAC_2_PI * (2f64 / 3.0).asin();
//! assert!((Activation::Erf.second_moment(1.0) - exact).abs() < 1e-12);
//! ```

mod activation;
mod classes;
mod problem;
mod task;

pub use activation::Activation;
pub use classes::{Classes, class_pairs};
pub use problem::{Network, Problem, ProblemError};
pub use task::Task;
