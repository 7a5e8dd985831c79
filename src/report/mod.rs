//! What a run says: the machine-readable document, the terminal table; knows nothing of devices.

mod document;
mod table;
pub mod verdict;

pub use document::{
    DataSummary, Document, Field, LogEvidenceReport, ObservableReport, OrderParameters, QuantileReport, RhatKind,
    SCHEMA, SamplerReport, Signatures, TemperatureReport, Timing, UnitReport,
};
pub use table::table;

use table::short;
