//! Which class every point belongs to.

use ndarray::ArrayView2;

/// Class of every point, by index into a list of names; no names stand for points without classes,
/// as in regression.
///
/// Classes define the manifolds whose centroid distances and gyration radii are measured. The
/// network does not see them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    names: Vec<String>,
    of_point: Vec<usize>,
}

impl Classes {
    /// Classes by name, and for every point the index of its class among them.
    ///
    /// [`Problem`](super::Problem) checks that the indices have names and that every class has a
    /// training point.
    pub fn new(names: Vec<String>, of_point: Vec<usize>) -> Self {
        Self { names, of_point }
    }

    /// No classes: a problem with them has no centroids and no radii.
    pub fn none() -> Self {
        Self::default()
    }

    /// Class `+1` of the points with y ≥ 0 and class `-1` of those with y < 0, as far as they
    /// occur; y is (P, 1).
    pub fn by_sign(y: ArrayView2<f64>) -> Self {
        let negative: Vec<bool> = y.rows().into_iter().map(|row| row.first().is_some_and(|&y| y < 0.0)).collect();
        let signs: Vec<bool> = [false, true].into_iter().filter(|sign| negative.contains(sign)).collect();
        Self {
            names: signs.iter().map(|&sign| if sign { "-1" } else { "+1" }.to_string()).collect(),
            of_point: negative.iter().map(|&own| usize::from(signs.len() > 1 && own)).collect(),
        }
    }

    /// Class of equal labels, in ascending order of the labels, and named by them.
    pub fn from_labels<L: Ord + ToString>(labels: &[L]) -> Self {
        let mut distinct: Vec<&L> = labels.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        Self {
            names: distinct.iter().map(|label| label.to_string()).collect(),
            of_point: labels.iter().map(|label| distinct.partition_point(|&other| other < label)).collect(),
        }
    }

    /// Name of every class.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Index of the class of every point.
    pub fn of_point(&self) -> &[usize] {
        &self.of_point
    }
}

/// Pairs a < b in the order (0,1), (0,2), …, (1,2), ….
pub fn class_pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |a| (a + 1..classes).map(move |b| (a, b)))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn signs_that_occur_are_classes_and_zero_is_positive() {
        let names = |classes: &Classes| classes.names().join(",");
        let both = Classes::by_sign(array![[-0.5], [0.0], [2.0]].view());
        assert_eq!((names(&both).as_str(), both.of_point()), ("+1,-1", &[1, 0, 0][..]));
        let one = Classes::by_sign(array![[-0.5], [-2.0]].view());
        assert_eq!((names(&one).as_str(), one.of_point()), ("-1", &[0, 0][..]));
    }

    #[test]
    fn labels_are_classes_in_ascending_order() {
        let numbers = Classes::from_labels(&[10, 2, 10, -1]);
        assert_eq!((numbers.names().join(",").as_str(), numbers.of_point()), ("-1,2,10", &[2, 1, 2, 0][..]));
        let words = Classes::from_labels(&["dog", "cat"]);
        assert_eq!((words.names().join(",").as_str(), words.of_point()), ("cat,dog", &[1, 0][..]));
        assert_eq!(Classes::from_labels::<u8>(&[]), Classes::none());
    }
}
