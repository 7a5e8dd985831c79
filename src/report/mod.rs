//! What a run says: the machine-readable document, the terminal table, the figures and the page;
//! knows nothing of devices.

pub mod figure;
pub mod inversion;
pub mod page;
pub mod summary;
mod table;
mod terminal;

pub use table::{Naming, aligned, table};
pub use terminal::plots;
