//! Remedies in the words of the command line: settings are its flags.

use std::fmt::Display;

use crate::remedy::{Action, Remedies, Remedy, Setting};

/// The flag of a setting: `--step-size` for `step_size`.
pub fn flag(setting: Setting) -> String {
    format!("--{}", setting.name().replace('_', "-"))
}

/// A remedy as what to type: `use --train 80`.
fn words(remedy: &Remedy) -> String {
    let flag = flag(remedy.setting);
    match (remedy.action, &remedy.value) {
        (Action::Set, Some(value)) => format!("use {flag} {value}"),
        _ => remedy.in_words(|_| flag.clone()),
    }
}

/// The message of an error, and what to change.
pub fn with_remedies(error: &(impl Display + Remedies)) -> String {
    let remedies: Vec<String> = error.remedies().iter().map(words).collect();
    if remedies.is_empty() { error.to_string() } else { format!("{error}; {}", remedies.join(", or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn a_message_ends_with_what_to_type() {
        let error = ConfigError::Missing { setting: Setting::Width, meaning: "hidden units", example: "50" };
        assert_eq!(with_remedies(&error), "width is missing: hidden units; use --width 50");
        assert_eq!(words(&Remedy::lower(Setting::StepSize)), "lower --step-size");
        assert_eq!(words(&Remedy::omit(Setting::Readout)), "leave --readout out");
    }
}
