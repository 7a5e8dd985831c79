//! What a run says: the machine-readable document, the terminal table; knows nothing of devices.

mod document;
mod table;
mod verdict;

pub use document::{
    DataSummary, Document, Field, ObservableReport, OrderParameters, SCHEMA, SamplerReport, TemperatureReport, Timing,
};
pub use table::table;
pub use verdict::{ladder_warnings, warnings};

use table::short;
