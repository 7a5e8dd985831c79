//! Why a device does not do what is asked of it.

use thiserror::Error;

use crate::host::stop::Stopped;
use crate::remedy::{Remedies, Remedy, Setting};

const MIB: f64 = 1048576.0;

/// Why a device does not do what is asked of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// There is no such graphics device.
    #[error("{wanted}: no Vulkan, Metal or DirectX 12 driver answers; install one (mesa-vulkan-drivers on Debian)")]
    NoDriver {
        /// What was looked for.
        wanted: String,
    },
    /// There are other graphics devices.
    #[error("{wanted}; there are: {}", found.join(", "))]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// The devices that there are.
        found: Vec<String>,
    },
    /// The device, or this build, cannot do it.
    #[error("{reason}")]
    Unsupported {
        /// What it lacks.
        reason: String,
        /// What to ask for instead.
        remedies: Vec<Remedy>,
    },
    /// A buffer would be larger than a kernel may see.
    #[error(
        "{what} {:.1} MiB, but this device lets a kernel see {:.1} MiB of a buffer",
        *.needed as f64 / MIB, *.available as f64 / MIB
    )]
    TooLarge {
        /// What needs it, as the beginning of the sentence.
        what: String,
        /// Bytes.
        needed: u64,
        /// Bytes.
        available: u64,
        /// What to make smaller.
        remedies: Vec<Remedy>,
    },
    /// The device has no memory left.
    #[error("GPU {device} failed while {action}: out of memory")]
    OutOfMemory {
        /// Its name.
        device: String,
        /// What it was doing.
        action: String,
    },
    /// The device did not come back in time.
    #[error("GPU {device} did not answer for {seconds} s")]
    TimedOut {
        /// Its name.
        device: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A driver refused, crashed or lost its device.
    #[error("GPU {device} {problem}")]
    Driver {
        /// The name of the device.
        device: String,
        /// What happened, as the end of the sentence.
        problem: String,
    },
    /// The graphics stack crashed before any device was chosen.
    #[error("a graphics driver crashed while it was asked for its devices ({problem})")]
    Drivers {
        /// What it said.
        problem: String,
    },
    /// A kernel was refused by its compiler.
    #[error("{origin}: {source}")]
    Kernel {
        /// The shader's file and line.
        origin: String,
        /// What the compiler said.
        source: Box<BackendError>,
    },
    /// What was asked for does not belong to the ensemble, or has no meaning.
    #[error("{0}")]
    Invalid(String),
    /// A state cannot be written as bytes.
    #[error("the state of the chains cannot be encoded: {source}")]
    Encoding {
        /// Why.
        source: postcard::Error,
    },
    /// A request to stop was heeded; the state is of no use until it is restored.
    #[error("stopped on request")]
    Stopped,
}

impl BackendError {
    /// What a device or this build lacks, and that the CPU has it.
    pub(crate) fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported { reason: reason.into(), remedies: vec![on_the_cpu()] }
    }
}

impl From<Stopped> for BackendError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

fn on_the_cpu() -> Remedy {
    Remedy::set(Setting::Backend, "cpu")
}

impl Remedies for BackendError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoDriver { .. } | Self::Drivers { .. } => vec![on_the_cpu()],
            Self::NotFound { found, .. } => {
                let named = found.first().map(|name| Remedy::set(Setting::Adapter, format!("'{name}'")));
                named.into_iter().chain([on_the_cpu()]).collect()
            }
            Self::Unsupported { remedies, .. } => remedies.clone(),
            Self::TooLarge { remedies, .. } => remedies.iter().cloned().chain([on_the_cpu()]).collect(),
            Self::OutOfMemory { .. } => {
                vec![Remedy::lower(Setting::Chains), Remedy::lower(Setting::Width), on_the_cpu()]
            }
            Self::TimedOut { .. } => vec![Remedy::lower(Setting::Chains), on_the_cpu()],
            Self::Kernel { source, .. } => source.remedies(),
            Self::Driver { .. } | Self::Invalid(_) | Self::Encoding { .. } | Self::Stopped => Vec::new(),
        }
    }
}
