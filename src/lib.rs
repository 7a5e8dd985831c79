//! featherm, the feature-learning thermometer: samples the Gibbs posterior of one-hidden-layer
//! networks at temperature T and holds the samples against the statistical-mechanics theory of the
//! proportional limit (Corti, Pacelli, Rotondo & Gherardi, arXiv 2508.20989).
//!
//! Types and results lie at the bottom, settings, files and flags at the top, and imports go up
//! this list never:
//!
//! ```text
//! remedy, host, numerics, stats ─▶ model ─┬─▶ data
//!                                         ├─▶ theory ─▶ backend ─▶ sampler ─▶ config
//!                                         └─▶ observables ─▶ compare ─▶ results ─▶ session ─▶ studies ─▶ report, store ─▶ cli
//! ```
//!
//! | module | room for | knows nothing of |
//! |---|---|---|
//! | [`remedy`] | settings by name, and what to change in them, as data | their types and values |
//! | [`host`] | this machine and its files: memory, directories, NumPy archives, temporary files; requests to stop | what they are for |
//! | [`numerics`] | wide loops, linear algebra, counter-based noise, histograms, numbers with errors | networks |
//! | [`stats`] | ESS, R̂, nested R̂, MCSE, E-BFMI, drift | networks |
//! | [`model`] | activations with their Gaussian averages; `Problem`, the rotated, rank-reduced data; classes | where data come from |
//! | [`data`] | sources, class selection, standardisation, split | networks' training |
//! | [`theory`] | order parameters and what follows from them, the measure of one unit, in float64 | samples |
//! | [`backend`] | `trait Backend` and the devices that implement it, stage by stage | experiments, files (but for measured tilings) |
//! | [`sampler`] | warm-up, adaptation, draws, replica exchange | the device it drives |
//! | [`config`] | every setting once; `Experiment`, what is sampled and compared, and `Setup`, with data, device and output | what becomes of it |
//! | [`observables`] | the table of observables: name, measurement, theory value | devices |
//! | [`compare`] | sampled ± MCSE beside each theory; the sampled evidence; the signatures and their confidence | plots |
//! | [`results`] | the document of a run, named arrays, and the verdict on its temperatures with its remedies | figures, files |
//! | [`session`] | an `Experiment` on a `Problem`: theory, samples, comparison, with events and a request to stop | data sources, directories |
//! | [`studies`] | runs from their `Setup`, and several that answer one question: scaling, descent, bias, speed | drawing |
//! | [`report`] | the table, the figures and the page of a run | devices |
//! | [`store`] | the run directory, its lock, its checkpoint | the loop |
//! | [`cli`] | raw arguments, messages, exit codes | formulas |

pub mod backend;
#[cfg(feature = "cli")]
pub mod cli;
pub mod compare;
pub mod config;
pub mod data;
pub mod host;
pub mod model;
pub mod numerics;
pub mod observables;
pub mod remedy;
#[cfg(feature = "report")]
pub mod report;
pub mod results;
pub mod sampler;
pub mod session;
pub mod stats;
pub mod store;
pub mod studies;
pub mod theory;
