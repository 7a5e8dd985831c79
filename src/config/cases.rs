//! Settings of several runs at once: what their cases are, each with settings of its own.

use super::settings::CaseSettings;
use super::{ConfigError, Settings};

/// One run of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Also the name of its directory.
    pub name: String,
    pub settings: Settings,
}

impl CaseSettings {
    /// Takes from `other` everything that it sets; `source` is where the data of a case comes from
    /// that names none.
    pub(super) fn override_with(&mut self, other: &Settings, source: Option<&String>) {
        if other.data.source.is_some() && self.data.source.is_none() {
            self.data.source = source.cloned();
        }
        let mut own = std::mem::take(self).settings();
        own.1.override_with(other.clone());
        let Settings { data, network, temperature, theory, sampler, .. } = own.1;
        *self = Self { name: own.0, data, network, temperature, theory, sampler };
    }

    fn settings(self) -> (String, Settings) {
        let Self { name, data, network, temperature, theory, sampler } = self;
        (name, Settings { data, network, temperature, theory, sampler, ..Settings::default() })
    }
}

impl Settings {
    /// The runs that these settings describe, in their order; none unless there are `[[case]]`
    /// tables. A case says more than the sections that all share, and is written into a directory
    /// of its name below the common one.
    ///
    /// # Errors
    /// [`ConfigError::CaseName`] for a name that is no name of a directory on every system, or is
    /// given twice.
    pub fn cases(&self) -> Result<Vec<Case>, ConfigError> {
        let shared = Self { case: Vec::new(), ..self.clone() };
        let mut cases: Vec<Case> = Vec::with_capacity(self.case.len());
        for case in &self.case {
            let (name, own) = case.clone().settings();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 60 || !name.chars().all(plain) {
                let requirement = "it is made of a-z, 0-9 and -, as it names a directory";
                return Err(ConfigError::CaseName { name, requirement });
            }
            if cases.iter().any(|known| known.name == name) {
                return Err(ConfigError::CaseName { name, requirement: "every case has its own" });
            }
            let mut settings = shared.clone();
            settings.override_with(own);
            settings.output.dir = shared.output.dir.as_ref().map(|dir| format!("{dir}/{name}"));
            cases.push(Case { name, settings });
        }
        Ok(cases)
    }

    /// The settings of one case.
    ///
    /// # Errors
    /// [`ConfigError::UnknownCase`] with the list of those there are; as [`Settings::cases`].
    pub fn only(&self, name: &str) -> Result<Self, ConfigError> {
        let mut cases = self.cases()?;
        let known: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
        let Some(place) = known.iter().position(|known| known == name) else {
            let known = if known.is_empty() { "these settings have none".into() } else { known.join(", ") };
            return Err(ConfigError::UnknownCase { name: name.into(), known });
        };
        let settings = cases.swap_remove(place).settings;
        Ok(Self { output: self.output.clone(), ..settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        [data]
        source = \"digits\"
        train = 20
        [network]
        width = 10
        [sampler]
        seed = 5
        [[case]]
        name = \"erf-3-8\"
        data.classes = \"3,8\"
        [[case]]
        name = \"relu-1-2\"
        data.classes = \"1,2\"
        network.activation = \"relu\"
        network.width = 30
    ";

    fn settings() -> Settings {
        Settings::from_toml(TEXT, "test").unwrap()
    }

    #[test]
    fn a_case_says_more_than_what_all_share_and_the_command_line_has_the_last_word() {
        let cases = settings().cases().unwrap();
        let width = |case: &Case| case.settings.network.width;
        assert_eq!(cases.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["erf-3-8", "relu-1-2"]);
        assert_eq!((width(&cases[0]), width(&cases[1])), (Some(10), Some(30)));
        assert!(cases.iter().all(|case| case.settings.case.is_empty() && case.settings.sampler.seed == Some(5)));

        let mut flags = Settings::default();
        (flags.network.width, flags.output.dir) = (Some(7), Some("out".into()));
        let mut both = settings();
        both.override_with(flags);
        let cases = both.cases().unwrap();
        assert_eq!((width(&cases[0]), width(&cases[1])), (Some(7), Some(7)));
        assert_eq!(cases[1].settings.data.classes.as_deref(), Some("1,2"));
        assert_eq!(cases[1].settings.output.dir.as_deref(), Some("out/relu-1-2"));
        // What is recorded is read back as the same runs.
        let record = toml::to_string(&both).unwrap();
        assert_eq!(Settings::from_toml(&record, "record").unwrap().cases().unwrap(), cases);
        assert_eq!(both.only("erf-3-8").unwrap().output.dir.as_deref(), Some("out"));
    }

    #[test]
    fn another_source_forgets_the_classes_of_the_cases_and_the_same_one_does_not() {
        let with = |source: &str| {
            let mut flags = Settings::default();
            flags.data.source = Some(source.into());
            let mut both = settings();
            both.override_with(flags);
            both.cases().unwrap()[0].settings.data.clone()
        };
        assert_eq!(with("digits").classes.as_deref(), Some("3,8"));
        let other = with("mnist");
        assert_eq!((other.source.as_deref(), other.classes), (Some("mnist"), None));
    }

    #[test]
    fn names_of_cases_are_names_of_directories() {
        for bad in ["", "..", "a/b", "A", "erf-3-8"] {
            let text = TEXT.replace("relu-1-2", bad);
            let message = Settings::from_toml(&text, "test").unwrap().cases().unwrap_err().to_string();
            assert!(message.contains(&format!("\"{bad}\"")), "{message}");
        }
        assert!(settings().only("tanh").unwrap_err().to_string().contains("erf-3-8, relu-1-2"));
    }
}
