//! The command-line program.

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_device_selection();
    // A driver that crashes ends in one error message, printed at the end.
    #[cfg(feature = "gpu")]
    featherm::backend::gpu::panic_guard::silence_caught_panics();
    ExitCode::from(featherm::cli::main_from(std::env::args_os()))
}

/// Mesa's device-selection layer asks the display server for its favourite GPU. Where there is no
/// server, it writes an error to stderr at every look at the devices. featherm chooses devices by
/// their kind, so the layer is not missed.
fn quiet_device_selection() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the process has one thread here, so nobody reads the environment at the same
        // time.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
