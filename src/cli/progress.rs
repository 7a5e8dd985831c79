//! Where a run stands, as a bar on a terminal or as lines of JSON; it also carries the wish to
//! stop.

use std::ops::ControlFlow;
use std::time::Instant;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use super::interrupt;
use crate::results::short;
use crate::session::{Event, Live, Phase};
use crate::store::Claim;

const SCHEMA: &str = "featherm.progress/1";

/// Temperatures on the line below the bar: those with the largest R̂.
const SHOWN: usize = 6;

/// How progress is told on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// A bar on a terminal; nothing when stderr is piped.
    #[default]
    Bar,
    /// One JSON object per line (schema featherm.progress/1), wherever stderr goes.
    Json,
}

impl Style {
    /// Says something beside the progress: a line of text, or an object with a `message`.
    pub fn say(self, message: &str) {
        match self {
            Self::Bar => eprintln!("{message}"),
            Self::Json => eprintln!("{}", json!({ "schema": SCHEMA, "message": message })),
        }
    }
}

/// Shows where a run stands and carries the wish to end it.
pub struct Display {
    style: Style,
    bar: ProgressBar,
    stretch: Option<Stretch>,
}

/// What goes under one label.
struct Stretch {
    label: &'static str,
    begun: Instant,
    first: Start,
}

/// Where a phase began in this process.
#[derive(Debug, Clone, Copy)]
struct Start {
    done: usize,
    total: usize,
    gradients: u64,
}

impl Start {
    fn of(event: &Event) -> Self {
        Self { done: event.done, total: event.total, gradients: event.gradients }
    }
}

/// A line of `--progress json`.
#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    phase: &'static str,
    done: usize,
    total: usize,
    /// Since this phase began in this process.
    elapsed_s: f64,
    /// Until this phase ends.
    eta_s: Option<f64>,
    /// Gradients of one chain, summed over chains, since the run began.
    gradients: u64,
    chain_steps_per_s: Option<f64>,
    centroid_distance_sq: &'a [Live],
}

impl Display {
    /// A bar, for work that has no run directory.
    pub fn bar() -> Self {
        Self::new(None, Style::Bar)
    }

    /// A display of the run that begins now; takes over the signals as [`interrupt::watch`].
    pub fn new(claim: Option<Claim>, style: Style) -> Self {
        interrupt::watch(claim, style);
        let bar = ProgressBar::no_length();
        if style == Style::Json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { style, bar, stretch: None }
    }

    /// Shows where a run stands, with the speed of its chains and what their draws say so far.
    pub fn update(&mut self, event: &Event) -> ControlFlow<()> {
        let label = event.phase.name();
        if self.stretch.as_ref().is_none_or(|stretch| stretch.label != label) {
            let units = if event.phase == Phase::Theory { "solutions" } else { "trajectories" };
            let below = if event.phase == Phase::Sampling { "\n{wide_msg}" } else { "" };
            let template = format!("{label:8} [{{bar:40}}] {{pos}}/{{len}} {units}, {{prefix}}{{eta}} left{below}");
            self.begin(label, Start::of(event), &template);
            self.bar.set_message("");
            self.bar.set_prefix("");
        }
        let Self { style, bar, stretch: Some(stretch), .. } = self else { return self.go_on() };
        bar.set_position(event.done as u64);
        if let Some(live) = &event.live {
            let line = stretch.line(event, Instant::now(), live);
            match style {
                Style::Json => eprintln!("{}", serde_json::to_value(&line).unwrap_or(Value::Null)),
                Style::Bar => {
                    bar.set_prefix(
                        line.chain_steps_per_s.map_or_else(String::new, |r| format!("{r:.2e} chain-steps/s, ")),
                    );
                    bar.set_message(summary(live));
                }
            }
        }
        self.go_on()
    }

    /// `done` of `total` `units` of what `label` names.
    pub fn show(&mut self, label: &'static str, units: &str, done: usize, total: usize) -> ControlFlow<()> {
        if self.stretch.as_ref().is_none_or(|stretch| stretch.label != label) {
            let first = Start { done, total, gradients: 0 };
            self.begin(label, first, &format!("{{msg}} [{{bar:40}}] {{pos}}/{{len}} {units}, {{eta}} left"));
            self.bar.set_message(label);
        }
        self.bar.set_position(done as u64);
        self.go_on()
    }

    fn begin(&mut self, label: &'static str, first: Start, template: &str) {
        self.stretch = Some(Stretch { label, begun: Instant::now(), first });
        self.bar.reset();
        self.bar.set_length(first.total as u64);
        // A malformed template would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn go_on(&self) -> ControlFlow<()> {
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Stretch {
    fn line<'a>(&self, state: &Event, now: Instant, found: &'a [Live]) -> Line<'a> {
        let elapsed_s = (now - self.begun).as_secs_f64();
        let done = state.done - self.first.done;
        Line {
            schema: SCHEMA,
            phase: self.label,
            done: state.done,
            total: state.total,
            elapsed_s,
            eta_s: (done > 0).then(|| elapsed_s / done as f64 * (state.total - state.done) as f64),
            gradients: state.gradients,
            chain_steps_per_s: (done > 0).then(|| (state.gradients - self.first.gradients) as f64 / elapsed_s),
            centroid_distance_sq: found,
        }
    }
}

/// R̂ and ESS of the temperatures that are worst, hottest first.
fn summary(found: &[Live]) -> String {
    let mut worst: Vec<&Live> = found.iter().filter(|live| live.decisive_rhat().is_finite()).collect();
    if worst.is_empty() {
        return String::new();
    }
    worst.sort_by(|a, b| b.decisive_rhat().total_cmp(&a.decisive_rhat()));
    worst.truncate(SHOWN);
    worst.sort_by(|a, b| b.temperature.total_cmp(&a.temperature));
    let one = |live: &&Live| format!("T={} {:.3} ({:.0})", short(live.temperature), live.decisive_rhat(), live.ess);
    format!("R̂ (ESS) of D²: {}", worst.iter().map(one).collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(temperature: f64, nested_rhat: f64, ess: f64) -> Live {
        Live { temperature, draws: 10, rhat: 3.0, nested_rhat, ess }
    }

    #[test]
    fn the_line_below_the_bar_shows_the_worst_hottest_first() {
        assert_eq!(
            summary(&[at(1.0, 1.01, 400.0), at(0.1, 1.2, 31.4)]),
            "R̂ (ESS) of D²: T=1 1.010 (400)  T=0.1 1.200 (31)"
        );
        let many: Vec<Live> = (1..=9).map(|t| at(f64::from(10 - t), 1.0 + 0.1 * f64::from(t), 5.0)).collect();
        let text = summary(&many);
        assert!(text.contains("T=6 ") && text.contains("T=1 ") && !text.contains("T=7 "), "{text}");
        assert!(text.find("T=6 ") < text.find("T=1 "));
        assert_eq!(summary(&[Live { rhat: f64::NAN, ..at(1.0, f64::NAN, f64::NAN) }]), "");
    }

    #[test]
    fn speed_and_time_left_are_those_of_this_process() {
        let now = Instant::now();
        let first = Start { done: 10, total: 50, gradients: 1000 };
        let stretch = Stretch { label: "sampling", begun: now - Duration::from_secs(2), first };
        let mut event = Event::default();
        (event.done, event.total, event.gradients) = (20, 50, 5000);
        let line = stretch.line(&event, now, &[]);
        assert_eq!((line.eta_s, line.chain_steps_per_s), (Some(6.0), Some(2000.0)));
        (event.done, event.gradients) = (10, 1000);
        let line = stretch.line(&event, now, &[]);
        assert_eq!((line.eta_s, line.chain_steps_per_s), (None, None));
    }
}
