//! Where the command line keeps what it measures on graphics devices.

use std::env;
use std::path::PathBuf;

use crate::config::Setup;

/// Returns `$XDG_CACHE_HOME/featherm`, by default `~/.cache/featherm`; `None` without HOME.
pub fn directory() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG base directory specification ignores relative paths.
    let xdg = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = xdg.or_else(|| variable("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("featherm"))
}

/// The run with the measurements of this user.
pub fn cached(setup: Setup) -> Setup {
    setup.with_cache(directory())
}
