//! What this machine has to give: memory, directories, files that last; and how work on it is
//! stopped. Knows nothing of what it is for.

pub mod directories;
pub mod files;
pub mod memory;
pub mod numpy;
pub mod stop;
