//! Ready-made runs, each a TOML file beside this one.

use super::{ConfigError, Settings};

const PRESETS: [(&str, &str); 3] = [
    ("quick", include_str!("presets/quick.toml")),
    ("paper", include_str!("presets/paper.toml")),
    ("speed", include_str!("presets/speed.toml")),
];

/// The settings of the preset `name`.
///
/// # Errors
/// [`ConfigError::UnknownPreset`] with the list of those there are.
pub fn preset(name: &str) -> Result<Settings, ConfigError> {
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let known = PRESETS.map(|(known, _)| known).join(", ");
        return Err(ConfigError::UnknownPreset { name: name.into(), known });
    };
    Settings::from_toml(text, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Experiment;

    #[test]
    fn every_preset_resolves() {
        for (name, _) in PRESETS {
            let settings = preset(name).unwrap();
            let cases: Vec<_> = settings.cases().unwrap().into_iter().map(|case| case.settings).collect();
            for settings in if cases.is_empty() { vec![settings] } else { cases } {
                assert!(Experiment::resolve(settings).is_ok(), "{name}");
            }
        }
        assert!(preset("no-such").unwrap_err().to_string().contains("quick"));
    }
}
