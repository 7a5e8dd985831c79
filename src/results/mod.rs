//! The results of a run and the verdict on them; knows nothing of files, figures or devices.

mod arrays;
mod document;
mod format;
mod matrices;
pub mod verdict;

pub use arrays::{NamedArray, Numbers, dims};
pub use document::{
    DataSummary, Document, Field, LogEvidenceReport, ObservableReport, OrderParameters, QuantileReport, RhatKind,
    SCHEMA, SamplerReport, Signatures, TemperatureReport, Timing, UnitReport,
};
pub use format::{short, with_error};
pub use matrices::{GramAt, VectorAt};
