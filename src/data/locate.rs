//! Finds the folder that holds a named data set.
//!
//! Search order for a name such as `fashion-mnist`:
//! 1. `$FEATHERM_DATA/fashion-mnist`, then `$FEATHERM_DATA` itself;
//! 2. `$XDG_DATA_HOME/featherm/fashion-mnist`, by default `~/.local/share/featherm/fashion-mnist`;
//! 3. for `fashion-mnist`, where Debian's package `dataset-fashion-mnist` puts it: `/usr/share/datasets/fashion-mnist`.
//!
//! The first folder that holds the training images is taken. `cifar-10` is also looked for in the subfolder
//! `cifar-10-batches-bin` of each, as its archive unpacks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{DataError, cifar, idx};

/// A data set known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Mnist,
    FashionMnist,
    Cifar10,
}

impl Named {
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Mnist, Self::FashionMnist, Self::Cifar10].into_iter().find(|named| named.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar-10",
        }
    }

    fn is_in(self, folder: &Path) -> bool {
        match self {
            Self::Mnist | Self::FashionMnist => idx::is_in(folder),
            Self::Cifar10 => cifar::is_in(folder),
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Mnist => "put the four MNIST files (train-images-idx3-ubyte.gz and so on) into one of these folders",
            Self::FashionMnist => {
                "install Debian's package dataset-fashion-mnist, or put its four files (train-images-idx3-ubyte.gz and so on) \
                 into one of these folders"
            }
            Self::Cifar10 => "unpack the binary version, cifar-10-binary.tar.gz, into one of these folders",
        }
    }
}

/// The variables that say where a user keeps data; empty ones count as unset.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    featherm_data: Option<OsString>,
    xdg_data_home: Option<OsString>,
    home: Option<OsString>,
}

impl Environment {
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            featherm_data: variable("FEATHERM_DATA"),
            xdg_data_home: variable("XDG_DATA_HOME"),
            home: variable("HOME"),
        }
    }

    /// Where a set goes that is fetched: `$FEATHERM_DATA/NAME`, else the XDG folder; nowhere without either and HOME.
    pub fn destination(&self, name: &str) -> Option<PathBuf> {
        let own = self.featherm_data.as_ref().map(|own| Path::new(own).join(name));
        own.or_else(|| self.data_home().map(|data_home| data_home.join("featherm").join(name)))
    }

    fn data_home(&self) -> Option<PathBuf> {
        // The XDG base directory specification has relative paths ignored.
        let xdg = self.xdg_data_home.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
        xdg.or_else(|| self.home.as_ref().map(|home| Path::new(home).join(".local/share")))
    }

    /// Every folder that may hold the data set, in search order.
    fn places(&self, named: Named) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(own) = self.featherm_data.as_ref().map(PathBuf::from) {
            places.push(own.join(named.name()));
            places.push(own);
        }
        if let Some(data_home) = self.data_home() {
            places.push(data_home.join("featherm").join(named.name()));
        }
        match named {
            Named::Mnist => {}
            Named::FashionMnist => places.push("/usr/share/datasets/fashion-mnist".into()),
            Named::Cifar10 => {
                places = places.into_iter().flat_map(|p| [p.join("cifar-10-batches-bin"), p]).collect();
            }
        }
        places
    }
}

/// The first folder of the search order that holds the data set's training images.
///
/// # Errors
/// [`DataError::NotFound`] with every place looked at.
pub(super) fn find(named: Named, environment: &Environment) -> Result<PathBuf, DataError> {
    let places = environment.places(named);
    match places.iter().find(|place| named.is_in(place)) {
        Some(place) => Ok(place.clone()),
        None => {
            let unset = if environment.featherm_data.is_none() {
                ", or set FEATHERM_DATA to the folder that holds them"
            } else {
                ""
            };
            let remedy = format!("{}{unset}", named.remedy());
            Err(DataError::NotFound { name: named.name().into(), places, remedy })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(root: &Path) -> Environment {
        Environment {
            featherm_data: Some(root.join("own").into()),
            xdg_data_home: Some(root.join("xdg").into()),
            home: Some(root.join("home").into()),
        }
    }

    fn put(folder: PathBuf, file: &str) -> PathBuf {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), b"").unwrap();
        folder
    }

    #[test]
    fn earlier_places_win() {
        let root = tempfile::tempdir().unwrap();
        let with = environment(root.path());
        let find = || find(Named::Mnist, &with).ok();
        assert_eq!(find(), None);
        let xdg = put(root.path().join("xdg/featherm/mnist"), "train-images.idx3-ubyte");
        assert_eq!(find(), Some(xdg));
        let own = put(root.path().join("own"), "train-images-idx3-ubyte");
        assert_eq!(find(), Some(own));
        let own_named = put(root.path().join("own/mnist"), "train-images-idx3-ubyte.gz");
        assert_eq!(find(), Some(own_named));
    }

    #[test]
    fn cifar_is_also_found_where_its_archive_unpacks() {
        let root = tempfile::tempdir().unwrap();
        let folder = put(root.path().join("own/cifar-10-batches-bin"), "data_batch_1.bin");
        assert_eq!(find(Named::Cifar10, &environment(root.path())).unwrap(), folder);
    }

    #[test]
    fn a_relative_or_missing_xdg_folder_means_the_default() {
        for xdg in [None, Some("relative".into())] {
            let with = Environment { featherm_data: None, xdg_data_home: xdg, home: Some("/home/ada".into()) };
            assert_eq!(with.places(Named::Mnist), [PathBuf::from("/home/ada/.local/share/featherm/mnist")]);
        }
    }

    #[test]
    fn not_found_lists_every_place_and_how_to_mend() {
        let root = tempfile::tempdir().unwrap();
        let message = find(Named::Cifar10, &environment(root.path())).unwrap_err().to_string();
        for place in [
            "own/cifar-10/cifar-10-batches-bin",
            "own/cifar-10,",
            "own/cifar-10-batches-bin,",
            "own,",
            "xdg/featherm/cifar-10;",
        ] {
            assert!(message.contains(place), "{message:?} does not list {place:?}");
        }
        assert!(message.contains("cifar-10-binary.tar.gz"));
        let debian = Environment::default().places(Named::FashionMnist);
        assert_eq!(debian, [PathBuf::from("/usr/share/datasets/fashion-mnist")]);
    }
}
