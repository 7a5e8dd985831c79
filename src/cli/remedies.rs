//! Settings and remedies in the words of the command line.

use crate::remedy::Setting;

/// The flag of a setting.
pub fn flag(setting: Setting) -> String {
    format!("--{}", setting.name().replace('_', "-"))
}
