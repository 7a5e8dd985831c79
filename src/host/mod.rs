//! What this machine has to give: memory, files that last; and how work on it is stopped. Knows
//! nothing of what it is for.

pub mod files;
pub mod memory;
pub mod numpy;
pub mod stop;
