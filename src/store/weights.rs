//! `weights.npz`: networks of some draws, in the basis of the inputs.

use faer::Mat;

use super::{RunDir, StoreError, WEIGHTS};
use crate::backend::Ensemble;
use crate::host::numpy::NpzWriter;
use crate::model::Problem;
use crate::numerics::noise::{Address, Purpose};
use crate::sampler::Snapshot;
use crate::session::Run;

/// Writes the snapshots that were asked for; nothing where none were. At n temperatures, C chains
/// and S snapshots: `v` (n, C, S, N1) and `w` (n, C, S, N1, N0) in float32; `temperature` (n),
/// `chain` (C) and `draw` (S) as in `draws.zarr`; `lost` (n, C), 1 for chains that must not be
/// used; the inputs on which these networks act, standardised as the run had them, `x_train` (P,
/// N0) and `x_test` (P*, N0), with `y_train` and `y_test`.
///
/// f(x) = (1/√N1) Σ_i v_i σ(w_i·x/√N0). The sampler moves W′ = W V in the span of the training
/// inputs alone (see [`Problem`]). What W has outside of it keeps its prior N(0, 1/λ0) whatever the
/// data are, so it is drawn from that here: w = V w′ + (1 − V Vᵀ) g. On training points it has no
/// part; on others it is needed, and f there is a draw from the posterior (another one than the
/// sampler's own, whose test points had other noise).
///
/// # Errors
/// When the disk refuses.
pub fn write_weights(dir: &RunDir, run: &Run) -> Result<(), StoreError> {
    let config = &run.document.config;
    let wanted = config.output.save_weights.unwrap_or(0);
    if wanted == 0 {
        return Ok(());
    }
    let problem = &*run.solved.problem;
    let snapshots = run.snapshots.chosen(wanted);
    let temperatures = run.document.temperatures.len();
    let chains = run.recorded.lost.len() / temperatures.max(1);
    let width = config.network.width.unwrap_or_default();
    let shape = [temperatures, chains, snapshots.len(), width, problem.dimension()];
    let lambda0 = config.network.lambda0.unwrap_or(1.0);
    let seed = config.sampler.seed.unwrap_or_default();
    let of_chains = || (0..temperatures).flat_map(|t| (0..chains).map(move |replica| (t, replica)));
    let integers = |values: &mut dyn Iterator<Item = usize>| -> Vec<i64> { values.map(|n| n as i64).collect() };
    dir.write(WEIGHTS, |file| {
        let mut npz = NpzWriter::new(file);
        let ladder: Vec<f64> = run.document.temperatures.iter().map(|at| at.temperature).collect();
        npz.stream("temperature", &shape[..1], [ladder])?;
        npz.stream("chain", &shape[1..2], [integers(&mut (0..chains))])?;
        npz.stream("draw", &shape[2..3], [integers(&mut snapshots.iter().map(|s| s.draws - 1))])?;
        npz.stream("lost", &shape[..2], [&run.recorded.lost])?;
        for (name, x, y) in [("train", &problem.x_train, &problem.y_train), ("test", &problem.x_test, &problem.y_test)]
        {
            let rows = (0..x.nrows()).map(|i| x.row(i).iter().copied().collect::<Vec<f64>>());
            npz.stream(&format!("x_{name}"), &[x.nrows(), x.ncols()], rows)?;
            npz.stream(&format!("y_{name}"), &[y.len()], [y])?;
        }
        let taken = || of_chains().flat_map(|at| snapshots.iter().map(move |snapshot| (at, snapshot)));
        npz.stream("v", &shape[..4], taken().map(|((t, replica), snapshot)| &snapshot.chains[t * chains + replica].0))?;
        // One chain after the other: all of them together may be more than the memory holds.
        let weights = taken().map(|((t, replica), snapshot)| {
            let name = (seed, Ensemble::chain_id(t, replica));
            in_input_space(snapshot, t * chains + replica, problem, lambda0, name)
        });
        npz.stream("w", &shape, weights)?;
        npz.finish().map(drop)
    })
}

/// W of one chain, (N1, N0) row-major.
fn in_input_space(snapshot: &Snapshot, chain: usize, problem: &Problem, lambda0: f64, name: (u64, u32)) -> Vec<f32> {
    let (rank, dimension) = (problem.rank(), problem.dimension());
    let (readout, rotated) = &snapshot.chains[chain];
    let width = readout.len();
    let mut inside = Mat::from_fn(width, rank, |i, j| f64::from(rotated[i * rank + j]));
    let mut outside = Mat::<f64>::zeros(width, dimension);
    if rank < dimension {
        let mut normals = vec![0.0f64; dimension];
        for i in 0..width {
            let (seed, chain) = name;
            let (trajectory, step) = (snapshot.draws as u32, i as u32);
            Address { seed, chain, trajectory, step, purpose: Purpose::Outside }.normals(&mut normals);
            (0..dimension).for_each(|k| outside[(i, k)] = normals[k] / lambda0.sqrt());
        }
        inside -= &outside * &problem.basis;
    }
    let weights = outside + inside * problem.basis.transpose();
    (0..width).flat_map(|i| (0..dimension).map(move |k| (i, k))).map(|at| weights[at] as f32).collect()
}
