//! Classes and their pairs.

/// Pairs a < b in the order (0,1), (0,2), …, (1,2), ….
pub fn class_pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |a| (a + 1..classes).map(move |b| (a, b)))
}
