//! featherm, the feature-learning thermometer.

pub mod backend;
pub mod config;
pub mod data;
pub mod model;
pub mod noise;
pub mod observables;
pub mod sampler;
pub mod stats;
pub mod theory;
