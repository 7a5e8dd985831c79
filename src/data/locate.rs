//! Finds the folder that holds a named data set.
//!
//! Search order for a name such as `fashion-mnist`, see [`Folders`]:
//! 1. `OWN/fashion-mnist`, then `OWN` itself;
//! 2. `SHARED/fashion-mnist`;
//! 3. for `fashion-mnist`, where Debian's package `dataset-fashion-mnist` puts it:
//!    `/usr/share/datasets/fashion-mnist`.
//!
//! The first folder that holds the training images is taken. `cifar-10` is also looked for in the
//! subfolder `cifar-10-batches-bin` of each, as its archive unpacks.

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

/// The folders in which data sets that are known by name are looked for. By default there are none.
///
/// The command line gives `$FEATHERM_DATA` and the folder `featherm` in the user's data directory,
/// [`directories::data`](crate::host::directories::data).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// A folder of data sets, or of the files of one.
    pub own: Option<PathBuf>,
    /// A folder of data sets, which is looked into after `own`.
    pub shared: Option<PathBuf>,
}

impl Folders {
    /// Returns the folder into which a set goes that is fetched: the first that it is looked for
    /// in.
    pub fn destination(&self, name: &str) -> Option<PathBuf> {
        self.own.as_ref().or(self.shared.as_ref()).map(|folder| folder.join(name))
    }

    /// Every folder that may hold the data set, in search order.
    fn places(&self, named: Named) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(own) = &self.own {
            places.extend([own.join(named.name()), own.clone()]);
        }
        places.extend(self.shared.as_ref().map(|shared| shared.join(named.name())));
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
pub(super) fn find(named: Named, folders: &Folders) -> Result<PathBuf, DataError> {
    let places = folders.places(named);
    match places.iter().find(|place| named.is_in(place)) {
        Some(place) => Ok(place.clone()),
        None => {
            let unset = if folders.own.is_none() { ", or set FEATHERM_DATA to the folder that holds them" } else { "" };
            let remedy = format!("{}{unset}", named.remedy());
            Err(DataError::NotFound { name: named.name().into(), places, remedy })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folders(root: &Path) -> Folders {
        Folders { own: Some(root.join("own")), shared: Some(root.join("shared")) }
    }

    fn put(folder: PathBuf, file: &str) -> PathBuf {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), b"").unwrap();
        folder
    }

    #[test]
    fn earlier_places_win() {
        let root = tempfile::tempdir().unwrap();
        let with = folders(root.path());
        let find = || find(Named::Mnist, &with).ok();
        assert_eq!(find(), None);
        let shared = put(root.path().join("shared/mnist"), "train-images.idx3-ubyte");
        assert_eq!(find(), Some(shared));
        let own = put(root.path().join("own"), "train-images-idx3-ubyte");
        assert_eq!(find(), Some(own));
        let own_named = put(root.path().join("own/mnist"), "train-images-idx3-ubyte.gz");
        assert_eq!(find(), Some(own_named));
    }

    #[test]
    fn cifar_is_also_found_where_its_archive_unpacks() {
        let root = tempfile::tempdir().unwrap();
        let folder = put(root.path().join("own/cifar-10-batches-bin"), "data_batch_1.bin");
        assert_eq!(find(Named::Cifar10, &folders(root.path())).unwrap(), folder);
    }

    #[test]
    fn what_is_fetched_goes_where_it_is_looked_for_first() {
        let with = folders(Path::new("/root"));
        assert_eq!(with.destination("mnist").as_ref(), with.places(Named::Mnist).first());
        let shared = Folders { own: None, ..with };
        assert_eq!(shared.destination("mnist"), Some("/root/shared/mnist".into()));
        assert_eq!(shared.places(Named::Mnist), [PathBuf::from("/root/shared/mnist")]);
        assert_eq!(Folders::default().destination("mnist"), None);
        let message = find(Named::Mnist, &Folders::default()).unwrap_err().to_string();
        assert!(message.contains("none is known") && message.contains("FEATHERM_DATA"), "{message}");
    }

    #[test]
    fn not_found_lists_every_place_and_how_to_mend() {
        let root = tempfile::tempdir().unwrap();
        let message = find(Named::Cifar10, &folders(root.path())).unwrap_err().to_string();
        for place in [
            "own/cifar-10/cifar-10-batches-bin",
            "own/cifar-10,",
            "own/cifar-10-batches-bin,",
            "own,",
            "shared/cifar-10;",
        ] {
            assert!(message.contains(place), "{message:?} does not list {place:?}");
        }
        assert!(message.contains("cifar-10-binary.tar.gz"));
        let debian = Folders::default().places(Named::FashionMnist);
        assert_eq!(debian, [PathBuf::from("/usr/share/datasets/fashion-mnist")]);
    }
}
