//! featherm, the feature-learning thermometer.

pub mod backend;
pub mod cli;
pub mod compare;
pub mod config;
pub mod data;
pub mod model;
pub mod noise;
pub mod observables;
pub mod report;
pub mod run;
pub mod sampler;
mod simd;
pub mod stats;
pub mod store;
pub mod theory;
