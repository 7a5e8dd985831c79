//! featherm, the feature-learning thermometer: samples the Gibbs posterior of one-hidden-layer networks at temperature T and holds the
//! samples against the statistical-mechanics theory of the proportional limit (Corti, Pacelli, Rotondo & Gherardi, arXiv 2508.20989).
//!
//! Data flows one way:
//!
//! ```text
//! config ─▶ data ─▶ model::Problem ─┬─▶ theory ───────────────┐
//!                                   └─▶ sampler ─▶ observables ┴─▶ compare ─▶ report, store
//!                                         │ drives
//!                                       backend
//! ```
//!
//! | module | room for | knows nothing of |
//! |---|---|---|
//! | [`config`] | `Experiment`: the validated, resolved description of a run | files, devices |
//! | [`data`] | sources, class selection, standardisation, split | networks |
//! | [`model`] | activations with their Gaussian averages; `Problem`, the rotated, rank-reduced data | sampling, GPUs |
//! | [`theory`] | order parameters and what follows from them, the measure of one unit, in float64 | samples |
//! | [`sampler`] | warm-up, adaptation, draws, replica exchange | the device it drives |
//! | [`backend`] | `trait Backend` and the devices that implement it, stage by stage | experiments, files (but for measured tilings) |
//! | [`memory`] | what this machine can give | what it is for |
//! | [`noise`] | counter-based random numbers, the same on every device | what they are for |
//! | [`observables`] | the table of observables: name, measurement, theory value | devices |
//! | [`stats`] | ESS, R̂, nested R̂, MCSE, E-BFMI, drift | networks |
//! | [`compare`] | sampled ± MCSE beside each theory; the sampled evidence; the signatures and their confidence | plots |
//! | [`report`] | the document of a run, the verdict on its temperatures, its table, its figures and its page | devices |
//! | [`store`] | the run directory, its lock, its checkpoint | plots |
//! | [`run`] | the whole job, from `Experiment` to `Document` | the command line |
//! | [`bias`] | unadjusted samplers against an adjusted one | devices |
//! | [`descent`] | noiseless gradient descent from prior draws, beside equilibrium | devices |
//! | [`scaling`] | one experiment at many widths, and what is left of each theory's error | devices |
//! | [`cli`] | raw arguments, messages, exit codes | formulas |

pub mod backend;
pub mod bias;
pub mod cli;
pub mod compare;
pub mod config;
pub mod data;
mod decompose;
pub mod descent;
pub mod memory;
pub mod model;
pub mod noise;
pub mod observables;
pub mod report;
pub mod run;
pub mod sampler;
pub mod scaling;
mod simd;
pub mod speed;
pub mod stats;
pub mod store;
pub mod theory;
