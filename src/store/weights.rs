//! `weights.npz`: networks of some draws, in the basis of the inputs.

use std::io::{self, Seek, Write};

use faer::Mat;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{RunDir, StoreError, WEIGHTS};
use crate::backend::Ensemble;
use crate::model::Problem;
use crate::numerics::noise::{Address, Purpose};
use crate::sampler::Snapshot;
use crate::session::Run;

/// Writes the snapshots that were asked for; nothing where none were. At n temperatures, C chains and S snapshots: `v` (n, C, S, N1) and `w` (n, C, S, N1, N0)
/// in float32; `temperature` (n), `chain` (C) and `draw` (S) as in `draws.zarr`; `lost` (n, C), 1 for chains that must not be used; the inputs on
/// which these networks act, standardised as the run had them, `x_train` (P, N0) and `x_test` (P*, N0), with `y_train` and `y_test`.
///
/// f(x) = (1/√N1) Σ_i v_i σ(w_i·x/√N0). The sampler moves W′ = W V in the span of the training inputs alone (see [`Problem`]). What W has outside of it keeps its
/// prior N(0, 1/λ0) whatever the data are, so it is drawn from that here: w = V w′ + (1 − V Vᵀ) g. On training points it has no part; on others it
/// is needed, and f there is a draw from the posterior (another one than the sampler's own, whose test points had other noise).
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
    let integers = |values: &mut dyn Iterator<Item = usize>| -> Vec<u8> {
        values.flat_map(|n| (n as i64).to_le_bytes()).collect()
    };
    dir.write(WEIGHTS, |file| {
        let mut npz = Npz(ZipWriter::new(file));
        let ladder = run.document.temperatures.iter().flat_map(|at| at.temperature.to_le_bytes());
        npz.whole("temperature", "<f8", &shape[..1], &ladder.collect::<Vec<u8>>())?;
        npz.whole("chain", "<i8", &shape[1..2], &integers(&mut (0..chains)))?;
        npz.whole("draw", "<i8", &shape[2..3], &integers(&mut snapshots.iter().map(|s| s.draws - 1)))?;
        let lost: Vec<u8> = run.recorded.lost.iter().map(|&lost| u8::from(lost)).collect();
        npz.whole("lost", "|b1", &shape[..2], &lost)?;
        for (name, x, y) in [("train", &problem.x_train, &problem.y_train), ("test", &problem.x_test, &problem.y_test)]
        {
            let rows = (0..x.nrows()).flat_map(|i| (0..x.ncols()).flat_map(move |j| x[(i, j)].to_le_bytes()));
            npz.whole(&format!("x_{name}"), "<f8", &[x.nrows(), x.ncols()], &rows.collect::<Vec<u8>>())?;
            let labels: Vec<u8> = y.iter().flat_map(|y| y.to_le_bytes()).collect();
            npz.whole(&format!("y_{name}"), "<f8", &[y.len()], &labels)?;
        }
        npz.begin("v", "<f4", &shape[..4])?;
        for (t, replica) in of_chains() {
            for snapshot in &snapshots {
                npz.floats(&snapshot.chains[t * chains + replica].0)?;
            }
        }
        // One chain after the other: all of them together may be more than the memory holds.
        npz.begin("w", "<f4", &shape)?;
        for (t, replica) in of_chains() {
            for snapshot in &snapshots {
                let name = (seed, Ensemble::chain_id(t, replica));
                npz.floats(&in_input_space(snapshot, t * chains + replica, problem, lambda0, name))?;
            }
        }
        npz.0.finish().map(drop).map_err(io::Error::other)
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

/// Arrays in an npz file, which are written as they come.
struct Npz<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> Npz<W> {
    /// The header of version 1.0: a Python dictionary, padded so that the numbers begin at a multiple of 64 bytes.
    fn begin(&mut self, name: &str, kind: &str, shape: &[usize]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(true);
        self.0.start_file(format!("{name}.npy"), options).map_err(io::Error::other)?;
        let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        self.0.write_all(b"\x93NUMPY\x01\x00")?;
        self.0.write_all(&(header.len() as u16).to_le_bytes())?;
        self.0.write_all(header.as_bytes())
    }

    fn floats(&mut self, values: &[f32]) -> io::Result<()> {
        self.0.write_all(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
    }

    fn whole(&mut self, name: &str, kind: &str, shape: &[usize], bytes: &[u8]) -> io::Result<()> {
        self.begin(name, kind, shape)?;
        self.0.write_all(bytes)
    }
}
