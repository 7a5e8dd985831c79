//! From the `[data]` section to a complete [`DataConfig`].

use super::experiment::count;
use super::{ConfigError, DataSettings, parse};
use crate::data::{ClassGroup, DataConfig, Folders, Order, Standardize, Teacher, TeacherKind};
use crate::remedy::{Remedy, Setting};

impl DataSettings {
    /// Validates the section and fills the defaults in, of which the section is then a record: data
    /// are standardised globally and drawn by the seed, but an npz problem is taken as it stands.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or impossible.
    pub(super) fn complete(&mut self) -> Result<DataConfig, ConfigError> {
        let source = (self.source.clone().filter(|source| !source.trim().is_empty())).ok_or(ConfigError::Missing {
            setting: Setting::Data,
            meaning: "a data set, a path, or teacher:linear",
            example: "digits",
        })?;
        let is_npz = source.ends_with(".npz");
        let is_teacher = source.starts_with("teacher:");
        let classes = match (&self.classes, is_teacher || is_npz) {
            (Some(text), false) => parse::classes(text)?,
            (None, false) => {
                let meaning = "two original labels";
                return Err(ConfigError::Missing { setting: Setting::Classes, meaning, example: "2,4" });
            }
            (Some(text), true) => {
                let requirement = format!("{source} brings its own labels");
                let refusal = ConfigError::impossible(Setting::Classes, format!("\"{text}\""), requirement);
                return Err(refusal.or(Remedy::omit(Setting::Classes)));
            }
            (None, true) => Vec::new(),
        };
        let train = match (self.train, is_npz) {
            (None, true) => None,
            (None, false) => {
                let meaning = "how many training points";
                return Err(ConfigError::Missing { setting: Setting::Train, meaning, example: "100" });
            }
            (Some(train), _) => Some(count(Setting::Train, train, 1)?),
        };
        let noise = self.teacher_noise.unwrap_or(0.0);
        if noise.is_nan() || noise < 0.0 || noise.is_infinite() {
            let requirement = "it is a finite number, 0 or more";
            return Err(ConfigError::impossible(Setting::TeacherNoise, noise, requirement));
        }
        let teacher = Teacher {
            dimension: count(Setting::TeacherDimension, self.teacher_dimension.unwrap_or(100), 1)?,
            width: count(Setting::TeacherWidth, self.teacher_width.unwrap_or(10), 1)?,
            degree: count(Setting::TeacherDegree, self.teacher_degree.unwrap_or(2), 1)?,
            noise,
            kind: teacher_kind(&source)?,
        };
        if !is_npz {
            self.test.get_or_insert(0);
        }
        let default_standardize = if is_npz { Standardize::None } else { Standardize::Global };
        let data = DataConfig {
            classes,
            train,
            test: self.test.map(|test| count(Setting::Test, test, 0)).transpose()?,
            order: *self.order.get_or_insert(Order::Seeded),
            standardize: *self.standardize.get_or_insert(default_standardize),
            teacher,
            source,
            folders: Folders::default(),
        };
        self.classes = (!data.classes.is_empty()).then(|| classes_text(&data.classes));
        let Teacher { dimension, width, degree, noise, .. } = data.teacher;
        self.teacher_dimension = is_teacher.then_some(dimension);
        self.teacher_width = is_teacher.then_some(width);
        self.teacher_degree = is_teacher.then_some(degree);
        self.teacher_noise = is_teacher.then_some(noise);
        Ok(data)
    }
}

fn teacher_kind(source: &str) -> Result<TeacherKind, ConfigError> {
    Ok(match source.strip_prefix("teacher:") {
        None | Some("linear") => TeacherKind::Linear,
        Some("network") => TeacherKind::Network,
        Some("hermite") => TeacherKind::Hermite,
        Some("random") => TeacherKind::Random,
        Some(other) => {
            let requirement = "the teachers are linear, network, hermite and random";
            return Err(ConfigError::impossible(Setting::Data, format!("teacher:{other}"), requirement));
        }
    })
}

fn classes_text(groups: &[ClassGroup]) -> String {
    let list = |group: &ClassGroup| group.0.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    match groups {
        [ClassGroup(plus), ClassGroup(minus)] if plus.len() == 1 && minus.len() == 1 => {
            format!("{},{}", plus[0], minus[0])
        }
        _ => groups.iter().map(list).collect::<Vec<_>>().join("/"),
    }
}
