//! What a run says: the machine-readable document, the terminal table, the figures and the page; knows nothing of devices.

mod document;
pub mod figure;
pub mod findings;
pub mod inversion;
pub mod page;
mod table;
mod terminal;
pub mod verdict;

pub use document::{
    DataSummary, Document, Field, LogEvidenceReport, ObservableReport, OrderParameters, QuantileReport, RhatKind,
    SCHEMA, SamplerReport, Signatures, TemperatureReport, Timing, UnitReport,
};
pub use table::{aligned, short, table, with_error};
pub use terminal::plots;
