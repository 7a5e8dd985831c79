//! What this machine has to give, and how work on it is stopped; knows nothing of what it is for.

pub mod memory;
pub mod stop;
