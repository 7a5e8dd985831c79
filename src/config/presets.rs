//! Settings files: the reader, and the presets, each a TOML file beside this one.

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

impl Settings {
    /// Reads a TOML file's text; `origin` names it in messages.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] for anything that is not TOML of the documented keys and types.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or_else(String::new, |span| {
                let before = &text[..span.start.min(text.len())];
                let number = before.matches('\n').count();
                let content = text.lines().nth(number).unwrap_or_default().trim();
                let content = match content.char_indices().nth(LONGEST_EXCERPT) {
                    Some((end, _)) => format!("{}…", &content[..end]),
                    None => content.into(),
                };
                format!(" line {} ({content})", number + 1)
            });
            // The parser's own message may run over several lines; the first says what is wrong.
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            ConfigError::Syntax { origin: format!("{origin}{line}"), message }
        })
    }
}

/// Most characters of a refused line that a message repeats.
const LONGEST_EXCERPT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setup;

    #[test]
    fn every_preset_resolves() {
        for (name, _) in PRESETS {
            let settings = preset(name).unwrap();
            let cases: Vec<_> = settings.cases().unwrap().into_iter().map(|case| case.settings).collect();
            for settings in if cases.is_empty() { vec![settings] } else { cases } {
                assert!(Setup::resolve(settings).is_ok(), "{name}");
            }
        }
        assert!(preset("no-such").unwrap_err().to_string().contains("quick"));
    }
}
