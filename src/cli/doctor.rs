//! `featherm doctor`: every device against the CPU in float64, stage by stage.

use super::{Failure, print};
use crate::backend::cpu::Cpu;
use crate::backend::doctor::{Check, doctor as examine};
use crate::backend::{Backend, BackendError, Ensemble};

/// Examines the CPU in float32 and every graphics device.
pub fn doctor() -> Result<(), Failure> {
    let mut ill = Vec::new();
    let mut report = |name: String, result: Result<Vec<Check>, BackendError>| {
        print(&format!("{name}\n"));
        match result {
            Ok(checks) => {
                print(&lines(&checks));
                if !checks.iter().all(Check::passed) {
                    ill.push(name);
                }
            }
            Err(error) => {
                print(&format!("   failed: {error}\n"));
                ill.push(name);
            }
        }
    };
    report(
        "CPU, float32".into(),
        examine(|ensemble: Ensemble| Ok(Box::new(Cpu::<f32>::new(ensemble)) as Box<dyn Backend>)),
    );
    #[cfg(feature = "gpu")]
    for adapter in crate::backend::gpu::adapters() {
        use crate::backend::gpu::{AdapterChoice, Gpu, GpuOptions};

        let start = |ensemble: Ensemble| {
            let gpu = Gpu::new(&AdapterChoice::Index(adapter.index), ensemble, GpuOptions::default())?;
            Ok(Box::new(gpu) as Box<dyn Backend>)
        };
        report(adapter.to_string(), examine(start));
    }
    if ill.is_empty() {
        print("every stage of every device agrees with float64 on the CPU\n");
        return Ok(());
    }
    Err(Failure::Failed(format!("these disagree with float64 on the CPU: {}; do not trust their runs", ill.join("; "))))
}

fn lines(checks: &[Check]) -> String {
    let line = |c: &Check| {
        let verdict = if c.passed() { "ok" } else { "DIFFERS" };
        format!("   {:24} deviation {:9.2e}, tolerance {:9.2e}  {verdict}\n", c.stage, c.deviation, c.tolerance)
    };
    checks.iter().map(line).collect()
}
