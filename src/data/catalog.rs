//! The data sets that can be fetched: their files as their authors published them, each with its
//! SHA-256.
//!
//! The sums of MNIST and CIFAR-10 are those of TensorFlow Datasets (`url_checksums/mnist.txt`,
//! `cifar10.txt`) and, independently, of torchvision-ruby (`datasets/mnist.rb`, `cifar10.rb`).
//! Those of Fashion-MNIST are in TensorFlow Datasets (`fashion_mnist.txt`) and in Flux.jl
//! (`src/data/fashion-mnist.jl`), and belong to files with the MD5 sums in its authors' README.

/// A file to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// A file inside an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Path inside the archive, `/` between its parts.
    pub path: &'static str,
    /// Name under which it is kept.
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
}

/// A data set that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// As in `--data`.
    pub name: &'static str,
    pub about: &'static str,
    pub citation: &'static str,
    /// Folder of a server that holds the files.
    pub mirror: &'static str,
    pub files: &'static [Remote],
    /// What the one file, a `.tar.gz`, is unpacked into; empty where the files are kept as they
    /// are.
    pub members: &'static [Member],
}

const IDX_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

const fn remote(name: &'static str, size: u64, sha256: &'static str) -> Remote {
    Remote { name, size, sha256 }
}

/// Ten thousand records of a label and 3072 pixels.
const BATCH: u64 = 10_000 * 3073;

macro_rules! batch {
    ($name:literal) => {
        Member { path: concat!("cifar-10-batches-bin/", $name), name: $name, size: BATCH }
    };
}

/// All of them.
pub const SETS: [Set; 3] = [
    Set {
        name: "mnist",
        about: "handwritten digits: 60000 + 10000 images of 28×28 pixels, ten classes",
        citation: "Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits",
        mirror: "https://storage.googleapis.com/cvdf-datasets/mnist/",
        files: &[
            remote(IDX_NAMES[0], 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            remote(IDX_NAMES[1], 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            remote(IDX_NAMES[2], 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            remote(IDX_NAMES[3], 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ],
        members: &[],
    },
    Set {
        name: "fashion-mnist",
        about: "articles of clothing: 60000 + 10000 images of 28×28 pixels, ten classes",
        citation: "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747 (MIT licence)",
        mirror: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: &[
            remote(IDX_NAMES[0], 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            remote(IDX_NAMES[1], 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            remote(IDX_NAMES[2], 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            remote(IDX_NAMES[3], 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ],
        members: &[],
    },
    Set {
        name: "cifar-10",
        about: "photographs: 50000 + 10000 images of 32×32 pixels in three colours, ten classes",
        citation: "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        mirror: "https://www.cs.toronto.edu/~kriz/",
        files: &[remote(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
        members: &[
            batch!("data_batch_1.bin"),
            batch!("data_batch_2.bin"),
            batch!("data_batch_3.bin"),
            batch!("data_batch_4.bin"),
            batch!("data_batch_5.bin"),
            batch!("test_batch.bin"),
        ],
    },
];

impl Set {
    /// The set of a name.
    pub fn of(name: &str) -> Option<&'static Self> {
        SETS.iter().find(|set| set.name == name)
    }

    /// Bytes to download.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Names of the files that are there once the set is.
    pub fn kept(&self) -> Vec<&'static str> {
        if self.members.is_empty() {
            self.files.iter().map(|file| file.name).collect()
        } else {
            self.members.iter().map(|member| member.name).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::Named;
    use super::*;

    #[test]
    fn every_set_is_one_that_is_looked_for_and_every_sum_is_one() {
        for set in &SETS {
            assert_eq!(Named::from_name(set.name).map(Named::name), Some(set.name));
            assert!(set.mirror.ends_with('/'));
            for file in set.files {
                let digits = file.sha256.chars().filter(|c| matches!(c, '0'..='9' | 'a'..='f')).count();
                assert_eq!((digits, file.sha256.len()), (64, 64), "{}", file.name);
            }
        }
    }
}
