//! `Experiment`: the validated, fully resolved description of a run; knows nothing of files or devices.

mod data;

pub use data::{ClassGroup, DataConfig, Order, Standardize, Teacher, TeacherKind};
