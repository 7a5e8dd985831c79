//! What must change no bit: neighbours, shards, cuts, a restart, kept gradients, optional features;
//! and the noise, which is the CPU's.

use std::sync::atomic::{AtomicUsize, Ordering};

use featherm::backend::gpu::GpuOptions;
use featherm::backend::gpu::schedule::Schedule;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::{Backend, Ensemble, Observation};
use featherm::numerics::noise::{Purpose, philox4x32};
use libtest_mimic::Failed;

use super::{
    BASE, Case, INTEGRATED, MALT, REGISTER_4, SHARED_4, SUBGROUP, all_pass, bits, checks, exchanging, moves, played,
};
use crate::common::gpu::{info, on_device};
use crate::{Group, Test};

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    group.slow("chains_do_not_depend_on_their_neighbours", neighbours);
    group.slow("shards_change_nothing", shards);
    group.fast("calls_of_run_can_be_cut_anywhere", cut_runs);
    group.slow("a_restored_ensemble_goes_on_to_the_same_bits", restored);
    #[cfg(unix)]
    group.slow("a_killed_run_goes_on_to_the_same_bits", killed);
    group.slow("kept_gradients_are_those_made_anew", kept_gradients);
    group.fast("optional_features_can_be_left_out", core_features);
    group.fast("philox_words_are_the_cpus_bit_for_bit", philox_words);
}

fn neighbours() -> Test {
    let few = Case { temperatures: 2, replicas: 3, ..BASE };
    let many = Case { temperatures: 3, replicas: 41, ..BASE };
    for (tiling, scheme) in [(REGISTER_4, MALT), (SHARED_4, MALT), (REGISTER_4, INTEGRATED), (SHARED_4, INTEGRATED)] {
        let (few, many) = (Case { tiling, ..few }, Case { tiling, ..many });
        let (_, alone) = played(few, scheme, few.options())?;
        let (_, crowd) = played(many, scheme, many.options())?;
        for (chain, bits) in alone.iter().enumerate() {
            let twin = chain / few.replicas * many.replicas + chain % few.replicas;
            assert_eq!(bits, &crowd[twin], "chain {chain} with {tiling:?} and {scheme:?}");
        }
        assert_ne!(crowd[0], crowd[1], "other chains are other");
    }
    Ok(())
}

fn shards() -> Test {
    let case = Case { temperatures: 3, replicas: 23, ..BASE };
    let small = GpuOptions { binding_bytes: Some(1 << 14), ..case.options() };
    assert_eq!(played(case, INTEGRATED, case.options())?.1, played(case, INTEGRATED, small)?.1);
    let (whole, one) = played(case, MALT, case.options())?;
    let (split, many) = played(case, MALT, small)?;
    assert_eq!(whole.plan().shards, 1);
    assert!(split.plan().shards > 2 && split.plan().gram_buffers > 1, "{}", split.plan());
    assert_eq!(one, many);
    let (a, b) = (whole.accumulated()?.gram, split.accumulated()?.gram);
    let pairs = a.iter().flatten().flatten().zip(b.iter().flatten().flatten());
    let worst = pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-12, "Gram sums differ by {worst}");
    // Moves between temperatures stay within a shard; moments and states are gathered from all.
    all_pass(&checks(case, small)?)
}

fn cut_runs() -> Test {
    for scheme in [MALT, INTEGRATED] {
        let ensemble = BASE.ensemble();
        let moves = moves(&ensemble, scheme, 0.4);
        let rounds = exchanging(&ensemble);
        let mut at_once = on_device(ensemble.clone(), BASE.options())?;
        let mut in_parts = on_device(ensemble, BASE.options())?;
        let whole = at_once.run(&moves, &rounds)?;
        let mut parts = Vec::new();
        for part in [&rounds[..1], &rounds[1..6], &[], &rounds[6..]] {
            parts.extend(in_parts.run(&moves, part)?);
        }
        assert_eq!(bits(&at_once, &whole)?, bits(&in_parts, &parts)?);
        let accepted: usize = whole.iter().map(|o| o.exchanged.iter().filter(|&&e| e).count()).sum();
        assert!(accepted > 0, "some exchange was accepted");
    }
    Ok(())
}

fn restored() -> Test {
    // The second in several shards, of which the last is smaller.
    for (scheme, replicas, count, binding_bytes) in [(INTEGRATED, 4, 4, None), (MALT, 23, 3, Some(1 << 14))] {
        let case = Case { replicas, ..BASE };
        let ensemble = case.ensemble();
        let other = Case { replicas: replicas + 1, ..BASE }.ensemble();
        let new = |ensemble: &Ensemble| {
            let options = GpuOptions { binding_bytes, ..case.options() };
            on_device(ensemble.clone(), options).expect("the device was there before")
        };
        assert_eq!(new(&ensemble).plan().shards > 1, binding_bytes.is_some());
        let (moves, mut rounds) = (moves(&ensemble, scheme, 0.4), exchanging(&ensemble));
        rounds.truncate(count);
        for round in &mut rounds {
            round.observe = Some(Observation {
                batch: Some(round.trajectory as usize % ensemble.batches),
                gram: true,
                weights: true,
            });
        }
        crate::common::restore::assert_goes_on(
            &|| Box::new(new(&ensemble)),
            &|| Box::new(new(&other)),
            &moves,
            &rounds,
        );
        let mut gpu = new(&ensemble);
        gpu.run(&moves, &rounds)?;
        crate::common::restore::assert_merges(&mut gpu);
    }
    Ok(())
}

/// The whole program on this device, killed at some moments.
#[cfg(unix)]
fn killed() -> Test {
    use crate::common::resume::{completed, result, survive, with};

    let index = info().ok_or("no device")?.index.to_string();
    let run = [("--backend", "gpu"), ("--adapter", &index), ("--warmup", "60"), ("--draws", "100"), ("--chains", "4")];
    let arguments = with(&run);
    let reference = result(completed(&arguments).path());
    let killed = survive(&arguments, 4, 1500, 7, &reference);
    assert!(killed > 0, "it was never killed");
    Ok(())
}

/// V and its gradient have the same bits whether they were kept from the last trajectory or taken
/// anew before the next.
fn kept_gradients() -> Test {
    const FITS: &str = "|| all(state[base(GRADIENT, chain) + CHAIN_BODY].yz == energy_of(chain))";
    let anew: fn(Kernel, &mut String) = |_, text| {
        assert!(text.contains(FITS));
        *text = text.replace(FITS, "");
    };
    let never: fn(Kernel, &mut String) = |_, text| *text = text.replace(FITS, "|| call.round > 0u");
    let ensemble = BASE.ensemble();
    let result = |edit| -> Result<Vec<Vec<u64>>, Failed> {
        let mut gpu = on_device(ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let outcomes = gpu.run(&moves(&ensemble, INTEGRATED, 0.4), &exchanging(&ensemble))?;
        bits(&gpu, &outcomes)
    };
    let kept = result(None)?;
    assert_eq!(kept, result(Some(anew))?);
    assert_ne!(kept, result(Some(never))?, "a gradient of another temperature's energy must show");
    Ok(())
}

/// What every WebGPU device has is enough, and gives the same bits where the tiling is the same.
fn core_features() -> Test {
    let core = GpuOptions { core: true, ..BASE.options() };
    all_pass(&checks(BASE, core)?)?;
    assert_eq!(played(BASE, MALT, core)?.1, played(BASE, MALT, BASE.options())?.1);
    let refused = on_device(BASE.ensemble(), GpuOptions { tiling: SUBGROUP, ..core });
    let error = refused.err().ok_or("subgroups were used without the feature")?.to_string();
    assert!(error.contains("subgroups of 8 invocations"), "{error}");
    Ok(())
}

/// The integers that the generator makes on the device, through the one buffer that holds integers:
/// features packed as halves.
fn philox_words() -> Test {
    /// Numbers of a chain in the buffer, which no constant of the kernel tells.
    static CHAIN_FEATURES: AtomicUsize = AtomicUsize::new(0);
    fn exposed(kernel: Kernel, text: &mut String) {
        if kernel == Kernel::Prior {
            let size = CHAIN_FEATURES.load(Ordering::Relaxed);
            let friction = Purpose::Friction as u32;
            let exposed = format!(
                "if 2u * offset + 1u < {size}u {{
                    let place = address(chain, 4000000000u + chain, 1234567u, {friction}u);
                    let words = philox(vec4<u32>(offset * 2654435761u, place));
                    features[chain * {size}u + 2u * offset] = words.xy;
                    features[chain * {size}u + 2u * offset + 1u] = words.zw;
                }}
                let noise = normals("
            );
            *text = text.replace("let noise = normals(", &exposed);
        }
    }
    fn spoiled(kernel: Kernel, text: &mut String) {
        // A bit of a half that matters only through a carry, once in 10⁵ products or so.
        *text = text.replace("(cross & 0xffffu)", "(cross & 0xfffeu)");
        exposed(kernel, text);
    }
    let case = Case { half: true, units: 400, points: 30, dimension: 25, temperatures: 3, replicas: 7, ..BASE };
    let plain = on_device(case.ensemble(), case.options())?;
    CHAIN_FEATURES.store(plain.plan().layout.chain_features(), Ordering::Relaxed);
    // Blocks compared and blocks of them that differ.
    let differing = |edit: fn(Kernel, &mut String)| -> Result<(usize, usize), Failed> {
        let ensemble = case.ensemble();
        let gpu = on_device(ensemble.clone(), GpuOptions { edit: Some(edit), ..case.options() })?;
        let mut schedule = Schedule::new(gpu.plan());
        schedule.start(true);
        let prior: Vec<_> = schedule.commands.into_iter().filter(|c| c.kernel == Kernel::Prior).collect();
        gpu.engine().run(&prior)?;
        let layout = &gpu.plan().layout;
        let blocks = layout.chain_body().min(layout.chain_features() / 2);
        let buffer = &gpu.engine().features;
        let words: Vec<u32> = gpu.engine().device.read(buffer, buffer.size())?.iter().map(|x| x.to_bits()).collect();
        let key = [ensemble.seed as u32, (ensemble.seed >> 32) as u32];
        let mut different = 0;
        for (chain, words) in words.chunks_exact(2 * layout.chain_features()).enumerate() {
            let id = Ensemble::chain_id(chain / case.replicas, chain % case.replicas);
            for (block, found) in words.chunks_exact(4).take(blocks).enumerate() {
                let purpose = (Purpose::Friction as u32) << 24 | 1_234_567;
                let counter = [(block as u32).wrapping_mul(2_654_435_761), 4_000_000_000 + chain as u32, id, purpose];
                different += usize::from(found != philox4x32(counter, key));
            }
        }
        Ok((blocks * ensemble.chains(), different))
    };
    let (compared, different) = differing(exposed)?;
    println!("{compared} blocks compared");
    assert!(compared > 50_000 && different == 0, "{different} of {compared} blocks differ");
    let (_, different) = differing(spoiled)?;
    assert!(different > 0, "a lost bit was not noticed");
    Ok(())
}
