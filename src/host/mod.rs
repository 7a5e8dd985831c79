//! What this machine has to give; knows nothing of what it is for.

pub mod memory;
