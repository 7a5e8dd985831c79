//! Into which batch a draw's test predictions go: a layout that depends on the draws taken so far
//! and not on how many are planned, so that a run that is extended, or interrupted, has the batches
//! of a run that was planned that long.
//!
//! Batches are as long as a power of two. When the last one is full and another draw comes,
//! neighbours are merged two by two and the length doubles.

/// Length of the batches that hold draw number `draw`, when there are at most `batches`.
fn length(draw: usize, batches: usize) -> usize {
    let mut length = 1;
    while length * batches <= draw {
        length *= 2;
    }
    length
}

/// The batch of draw number `draw`, counted from 0.
pub fn batch(draw: usize, batches: usize) -> usize {
    draw / length(draw, batches)
}

/// Whether neighbouring batches must be merged before draw number `draw` is taken.
pub fn merges(draw: usize, batches: usize) -> bool {
    draw > 0 && length(draw, batches) > length(draw - 1, batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws merged as asked for lie in order, in full batches but for the last.
    #[test]
    fn batches_are_consecutive_and_equally_long() {
        for most in [1, 2, 5, 10, 40] {
            let mut held: Vec<Vec<usize>> = Vec::new();
            for draw in 0..700 {
                if merges(draw, most) {
                    held = held.chunks(2).map(<[_]>::concat).collect();
                }
                let at = batch(draw, most);
                held.resize(held.len().max(at + 1), Vec::new());
                held[at].push(draw);
                assert!(held.len() <= most);
                assert_eq!(held.concat(), (0..=draw).collect::<Vec<_>>(), "at most {most} batches");
                let full = held[0].len();
                assert!(held[..held.len() - 1].iter().all(|batch| batch.len() == full));
            }
        }
    }
}
