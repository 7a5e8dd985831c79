//! The directories in which the user keeps what programs leave: `$XDG_DATA_HOME` and
//! `$XDG_CACHE_HOME`, by default `~/.local/share` and `~/.cache`; the application folders of the
//! user on Windows.
//!
//! Only a front end asks: what needs a directory has it as a parameter.

use std::path::PathBuf;

use etcetera::{BaseStrategy, choose_base_strategy};

/// Returns the directory for data of the user; `None` without a home directory.
pub fn data() -> Option<PathBuf> {
    absolute(choose_base_strategy().ok()?.data_dir())
}

/// Returns the directory for what can be computed again; `None` without a home directory.
pub fn cache() -> Option<PathBuf> {
    absolute(choose_base_strategy().ok()?.cache_dir())
}

/// An empty HOME is no home: what is below it would lie wherever the process works.
fn absolute(path: PathBuf) -> Option<PathBuf> {
    Some(path).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_of_this_process_are_absolute_and_two() {
        let (data, cache) = (data(), cache());
        assert!([&data, &cache].into_iter().flatten().all(|path| path.is_absolute()));
        assert!(data.is_none() || data != cache);
        assert_eq!(absolute(".local/share".into()), None);
    }
}
