//! A Markdown table that is printed row by row and counts the rows that did not come out as they
//! must.

/// Largest |z| of a right sampler, least largest |z| of a wrong one. Of the fifteen hundred
/// comparisons here, were all z normal, one run in a hundred would have one beyond.
pub const MAX_Z: f64 = 4.5;

/// Least probability of a right sampler's ranks, and greatest of a wrong one's.
pub const LEAST_P: f64 = 1e-6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler {
    Right,
    /// A control, which must be found out.
    Wrong,
}

pub struct Table {
    failures: usize,
}

impl Table {
    /// Prints the title, what was done and the head.
    pub fn new(title: &str, text: &str, columns: &[&str]) -> Self {
        println!("## {title}\n\n{text}\n");
        println!("| {} | |", columns.join(" | "));
        println!("|{}", "---|".repeat(columns.len() + 1));
        Self { failures: 0 }
    }

    /// Prints a row.
    pub fn row(&mut self, sampler: Sampler, cells: &[String], found: Found) {
        let right = match sampler {
            Sampler::Right => found == Found::Met,
            Sampler::Wrong => found == Found::Missed,
        };
        self.failures += usize::from(!right);
        let verdict = match (sampler, right) {
            (Sampler::Right, true) => "met",
            (Sampler::Wrong, true) => "control: found out",
            (Sampler::Right, false) => "**FAILS**",
            (Sampler::Wrong, false) => "**CONTROL PASSES**",
        };
        println!("| {} | {verdict} |", cells.join(" | "));
    }

    /// Ends the table; returns how many rows did not come out as they must.
    pub fn end(self) -> usize {
        println!();
        self.failures
    }
}

/// What the numbers of a row say of its sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// All are within the bounds.
    Met,
    /// Some are not.
    Missed,
    /// Some are no numbers, or rest on too few samples.
    Undecided,
}

impl Found {
    /// By z of every comparison.
    pub fn by_z(z: &[f64]) -> Self {
        Self::by(z, |z| z.abs() < MAX_Z)
    }

    /// By the probability of what was found.
    pub fn by_p(p: &[f64]) -> Self {
        Self::by(p, |p| p > LEAST_P)
    }

    fn by(values: &[f64], within: impl Fn(f64) -> bool) -> Self {
        if values.iter().any(|value| value.is_nan()) {
            return Self::Undecided;
        }
        if values.iter().all(|&value| within(value)) { Self::Met } else { Self::Missed }
    }

    /// What was met by too few samples is not met.
    pub fn if_enough(self, enough: bool) -> Self {
        if self == Self::Met && !enough { Self::Undecided } else { self }
    }
}
