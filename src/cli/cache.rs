//! Where the command line keeps what it measures on graphics devices.

use std::path::PathBuf;

use crate::config::Setup;
use crate::host::directories;

/// Returns `featherm` in the user's directory of caches; `None` without a home directory.
pub fn directory() -> Option<PathBuf> {
    directories::cache().map(|cache| cache.join("featherm"))
}

/// The run with the measurements of this user.
pub fn cached(setup: Setup) -> Setup {
    setup.with_cache(directory())
}
