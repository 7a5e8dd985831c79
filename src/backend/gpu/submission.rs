//! Cutting a list of dispatches into submissions of about 50 ms: long ones make drivers reset the
//! device, short ones leave it idle in between.

use super::layout::Call;
use super::schedule::Command;

/// What a submission should take.
const SECONDS: f64 = 0.05;
/// Operations per second that are assumed before anything was measured.
const FIRST_RATE: f64 = 2e9;
/// Operations to which the fixed cost of a dispatch is reckoned equal.
const DISPATCH_COST: f64 = 2e5;
/// Doublings from the first of several submissions in a row to one that takes what it should.
const DOUBLINGS: u32 = 6;
/// Different arguments in one submission.
pub const CALLS: usize = 4096;
/// Distance of arguments in their buffer: the strictest alignment that WebGPU allows.
pub const CALL_STRIDE: usize = 256;

/// How fast a device has shown itself to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubmissionBudget {
    /// Operations per second.
    rate: f64,
}

impl Default for SubmissionBudget {
    fn default() -> Self {
        Self { rate: FIRST_RATE }
    }
}

impl SubmissionBudget {
    /// Operations of submission `n` of those in a row. The first are short: a device that is done
    /// with everything in 50 ms would otherwise wait until all of it is written down, where it can
    /// begin while the host still writes.
    pub fn operations(self, n: usize) -> f64 {
        let doublings = DOUBLINGS - DOUBLINGS.min(u32::try_from(n).unwrap_or(DOUBLINGS));
        self.rate * SECONDS / f64::from(1u32 << doublings)
    }

    /// Operations of a submission that takes what it should.
    pub fn full_operations(self) -> f64 {
        self.rate * SECONDS
    }

    /// The budget after a submission of `cost` operations that took `seconds`.
    pub fn after(self, cost: f64, seconds: f64) -> Self {
        let measured = cost / seconds.max(1e-6);
        // A short one may be mostly latency: that is no sign of a slow device.
        let measured = if seconds < SECONDS / 4.0 { measured.max(self.rate) } else { measured };
        // One slow submission, as the first of a new program is, must not make the next ones tiny.
        Self { rate: measured.clamp(self.rate / 2.0, self.rate * 4.0) }
    }
}

/// The commands of one submission.
pub struct CommandChunk<'a> {
    pub commands: &'a [Command],
    /// For each command the place of its arguments.
    pub calls: Vec<usize>,
    /// The arguments, one every [`CALL_STRIDE`] bytes.
    pub arguments: Vec<u8>,
    pub cost: f64,
}

impl<'a> CommandChunk<'a> {
    /// As many of `commands` as the budget allows, one at least.
    pub fn cut(commands: &'a [Command], budget: f64) -> Self {
        let mut chunk = Self { commands: &[], calls: Vec::new(), arguments: Vec::new(), cost: 0.0 };
        let mut last: Option<Call> = None;
        for command in commands {
            if last != Some(command.call) {
                if chunk.arguments.len() == CALLS * CALL_STRIDE {
                    break;
                }
                let start = chunk.arguments.len();
                chunk.arguments.extend_from_slice(bytemuck::bytes_of(&command.call));
                chunk.arguments.resize(start + CALL_STRIDE, 0);
                last = Some(command.call);
            }
            chunk.calls.push(chunk.arguments.len() / CALL_STRIDE - 1);
            chunk.cost += command.cost + DISPATCH_COST;
            if chunk.cost > budget {
                break;
            }
        }
        chunk.commands = &commands[..chunk.calls.len()];
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::shader::Kernel;

    fn command(step: u32, cost: f64) -> Command {
        let call = Call { step, ..Call::default() };
        Command { kernel: Kernel::Forward, shard: 0, gram_buffer: 0, groups: [1; 3], call, cost }
    }

    /// Seconds of every submission of `commands` on a device that makes `rate(n)` operations per
    /// second in submission n.
    fn durations(commands: &[Command], rate: impl Fn(usize) -> f64) -> Vec<f64> {
        let (mut budget, mut rest, mut seconds) = (SubmissionBudget::default(), commands, Vec::new());
        while !rest.is_empty() {
            let chunk = CommandChunk::cut(rest, budget.operations(seconds.len()));
            assert!(!chunk.commands.is_empty() && chunk.calls.len() == chunk.commands.len());
            rest = &rest[chunk.commands.len()..];
            let took = chunk.cost / rate(seconds.len());
            budget = budget.after(chunk.cost, took);
            seconds.push(took);
        }
        seconds
    }

    #[test]
    fn submissions_settle_at_fifty_milliseconds_on_any_device() {
        // A device of 2e7 operations per second is no longer given more than it can chew after the
        // sixth halving.
        for rate in [2e7, 1e9, 2e9, 1e11, 1e13] {
            let cost = rate / 1e3;
            let commands: Vec<_> = (0..4000).map(|step| command(step % 50, cost)).collect();
            let took = durations(&commands, |_| rate);
            assert!(took.len() > 12, "{rate:e}: {} submissions", took.len());
            // The last is what is left over.
            for seconds in &took[9..took.len() - 1] {
                assert!((0.04..0.07).contains(seconds), "{rate:e}: a submission of {seconds} s");
            }
        }
    }

    #[test]
    fn the_first_submission_is_short_even_on_a_device_ten_times_slower_than_assumed() {
        let commands: Vec<_> = (0..400).map(|step| command(step, 1e6)).collect();
        assert!(durations(&commands, |_| FIRST_RATE / 10.0)[0] < 0.6);
    }

    #[test]
    fn one_slow_submission_does_not_make_the_next_ones_tiny() {
        let commands: Vec<_> = (0..4000).map(|step| command(step, 1e6)).collect();
        // The sixth takes a hundred times as long, as when a program is compiled.
        let took = durations(&commands, |n| if n == 5 { 2e7 } else { 2e9 });
        assert!(took[5] > 1.0);
        assert!(took[6] > 0.02, "the next one takes {} s", took[6]);
        assert!((0.04..0.07).contains(&took[10]), "{took:?}");
        // Without the limit the next one would take a hundredth.
        assert!(
            SubmissionBudget::default().after(1e8, 5.0).full_operations()
                > 0.4 * SubmissionBudget::default().full_operations()
        );
    }

    #[test]
    fn latency_does_not_slow_the_pace() {
        let budget = SubmissionBudget::default();
        // What is left over at the end of a call: little work, and as long on its way as anything.
        assert_eq!(budget.after(1e3, 1e-4), budget);
        assert_ne!(budget.after(1e3, 0.02), budget);
    }

    /// The share of the time in which the device waits, when every command takes the host `write`
    /// and then the device `run` seconds. The next submission is handed over while one runs, as in
    /// `Engine::run`.
    fn idle(commands: &[Command], budget: impl Fn(usize) -> f64, [write, run]: [f64; 2]) -> f64 {
        let (mut rest, mut host, mut waited) = (commands, 0.0f64, 0.0);
        // When each submission ends.
        let mut ends = vec![0.0f64];
        while !rest.is_empty() {
            let chunk = CommandChunk::cut(rest, budget(ends.len() - 1));
            rest = &rest[chunk.commands.len()..];
            host += write * chunk.commands.len() as f64;
            let last = ends[ends.len() - 1];
            let start = host.max(last);
            waited += start - last;
            ends.push(start + run * chunk.commands.len() as f64);
            host = host.max(last);
        }
        waited / ends[ends.len() - 1]
    }

    #[test]
    fn a_fast_device_begins_while_the_host_still_writes() {
        // Eight draws of ten steps: 560 commands of 12 µs, written down in 3 µs each; then a
        // hundred times as many.
        let times = [3e-6, 12e-6];
        let cost = 1e7;
        let budget = SubmissionBudget { rate: (cost + DISPATCH_COST) / times[1] };
        for draws in [560, 56_000] {
            let commands: Vec<_> = (0..draws).map(|step| command(step, cost)).collect();
            let waits = idle(&commands, |n| budget.operations(n), times);
            assert!(waits < 0.05, "{draws} commands: the device waits {waits} of the time");
        }
        // The control: with full submissions from the first.
        let commands: Vec<_> = (0..560).map(|step| command(step, cost)).collect();
        let waits = idle(&commands, |_| budget.full_operations(), times);
        assert!(waits > 0.15, "{waits}");
    }

    #[test]
    fn a_dispatch_that_is_too_long_goes_alone() {
        let commands = [command(0, 1e6), command(1, 1e15), command(2, 1e6), command(3, 1e6)];
        assert_eq!(CommandChunk::cut(&commands[1..], SubmissionBudget::default().full_operations()).commands.len(), 1);
        assert_eq!(CommandChunk::cut(&commands, SubmissionBudget::default().full_operations()).commands.len(), 2);
    }

    #[test]
    fn equal_arguments_are_sent_once_and_never_more_than_there_is_room_for() {
        let pairs: Vec<_> = (0..20_000).map(|n| command(n / 2, 0.0)).collect();
        let chunk = CommandChunk::cut(&pairs, f64::INFINITY);
        assert_eq!((chunk.commands.len(), chunk.arguments.len()), (2 * CALLS, CALLS * CALL_STRIDE));
        assert_eq!(chunk.calls[..4], [0, 0, 1, 1]);
    }
}
