//! Picks the classes, the training points and the test points out of labelled images.

use ndarray::{Array1, Array2};

use super::DataError;
use super::draw::{Part, choose};
use super::labels::check_filled;
use crate::data::{ClassGroup, DataConfig};
use crate::model::Task;
use crate::remedy::{Remedy, Setting};

/// Images as a file holds them, one byte per pixel, row after row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Images {
    /// One image is `dimension` consecutive pixels.
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

/// A source of images.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub name: String,
    /// Input dimension N0.
    pub dimension: usize,
    pub train: Images,
    /// `None`: the test points are taken from those of `train` that are not trained on.
    pub test: Option<Images>,
}

/// Where a label goes.
#[derive(Debug, Clone, Copy)]
struct Class {
    label: u32,
    y: f64,
}

/// Selects classes and splits; pixels become float64 with their raw values (0 to 255, or 0 to 16
/// for the embedded digits).
///
/// Only points of the named classes count. Training points are P of them, test points P* of the
/// test images, or of the points that remain: the ones that follow in file order, or the next ones
/// of the same shuffle.
///
/// # Errors
/// [`DataError`] on classes that are missing, doubled or without a training point, and on more
/// points than there are.
pub(super) fn split(source: &Source, config: &DataConfig, seed: u64) -> Result<Task, DataError> {
    let name = || source.name.clone();
    let classes = classes(&config.classes, source)?;
    let asked = config.train.ok_or_else(|| DataError::TrainNotGiven { name: name() })?;
    if asked == 0 {
        return Err(DataError::ZeroTrain);
    }
    let asked_test = config.test.unwrap_or(0);
    let candidates = members(&source.train, &classes);
    let available = candidates.len();
    if asked > available {
        return Err(DataError::TooFewTrain { name: name(), asked, available });
    }
    let (train, test_images, test) = match &source.test {
        None => {
            let left = available - asked;
            if asked_test > left {
                return Err(DataError::TooFewTest { name: name(), asked: asked_test, available: left });
            }
            let mut chosen = choose(available, asked + asked_test, config.order, seed, Part::Train);
            let test = chosen.split_off(asked);
            (pick(&candidates, chosen), &source.train, pick(&candidates, test))
        }
        Some(images) => {
            let test_candidates = members(images, &classes);
            let available_test = test_candidates.len();
            if asked_test > available_test {
                return Err(DataError::TooFewTest { name: name(), asked: asked_test, available: available_test });
            }
            let train = choose(available, asked, config.order, seed, Part::Train);
            let test = choose(available_test, asked_test, config.order, seed, Part::Test);
            (pick(&candidates, train), images, pick(&test_candidates, test))
        }
    };
    let class_names: Vec<_> = classes.iter().map(|class| class.label.to_string()).collect();
    let indices = |points: &[(usize, usize)]| points.iter().map(|&(_, c)| c).collect::<Vec<_>>();
    let class_train = indices(&train);
    let remedies = [Remedy::raise(Setting::Train), Remedy::change(Setting::Order), Remedy::change(Setting::Seed)];
    check_filled(&source.name, &class_train, &class_names, &remedies)?;
    let labels = |points: &[(usize, usize)]| points.iter().map(|&(_, c)| classes[c].y).collect::<Array1<f64>>();
    Ok(Task {
        name: source.name.clone(),
        x_train: inputs(&source.train, &train, source.dimension),
        y_train: labels(&train),
        class_train,
        x_test: inputs(test_images, &test, source.dimension),
        y_test: labels(&test),
        class_test: indices(&test),
        class_names,
    })
}

/// The classes in the order named: the first group has y = +1, the second −1.
fn classes(groups: &[ClassGroup], source: &Source) -> Result<Vec<Class>, DataError> {
    let [ClassGroup(positive), ClassGroup(negative)] = groups else {
        return Err(DataError::ClassGroups { name: source.name.clone(), given: groups.len() });
    };
    if positive.is_empty() || negative.is_empty() {
        return Err(DataError::ClassGroups { name: source.name.clone(), given: 1 });
    }
    let sided = |group: &[u32], y| group.iter().map(|&label| Class { label, y }).collect::<Vec<_>>();
    let classes = [sided(positive, 1.0), sided(negative, -1.0)].concat();
    let mut present: Vec<u8> = source.train.labels.clone();
    present.sort_unstable();
    present.dedup();
    for (i, class) in classes.iter().enumerate() {
        if classes[..i].iter().any(|earlier| earlier.label == class.label) {
            return Err(DataError::DuplicateClass { class: class.label });
        }
        if !present.iter().any(|&label| u32::from(label) == class.label) {
            return Err(DataError::AbsentClass { name: source.name.clone(), class: class.label, present });
        }
    }
    Ok(classes)
}

/// The images of the classes, in file order: index of the image and of its class.
fn members(images: &Images, classes: &[Class]) -> Vec<(usize, usize)> {
    let class_of = |label: u8| classes.iter().position(|class| class.label == u32::from(label));
    images.labels.iter().enumerate().filter_map(|(i, &label)| Some((i, class_of(label)?))).collect()
}

/// The chosen candidates, in file order.
fn pick(candidates: &[(usize, usize)], mut chosen: Vec<usize>) -> Vec<(usize, usize)> {
    chosen.sort_unstable();
    chosen.into_iter().map(|i| candidates[i]).collect()
}

fn inputs(images: &Images, points: &[(usize, usize)], dimension: usize) -> Array2<f64> {
    Array2::from_shape_fn((points.len(), dimension), |(i, j)| f64::from(images.pixels[points[i].0 * dimension + j]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{classes as groups, config, worded};

    /// Twelve images of one pixel that is the image's index, labels 0 1 2 0 1 2 …
    fn source(separate_test: bool) -> Source {
        let images = |offset: u8| Images {
            pixels: (0..12).map(|i| i + offset).collect(),
            labels: (0..12).map(|i| i % 3).collect(),
        };
        Source { name: "twelve".into(), dimension: 1, train: images(0), test: separate_test.then(|| images(100)) }
    }

    fn file_order(train: usize, test: usize, named: &[&[u32]]) -> DataConfig {
        DataConfig { classes: groups(named), train: Some(train), test: Some(test), ..config("twelve") }
    }

    #[test]
    fn file_order_takes_the_first_points_and_tests_on_those_that_follow() {
        let task = split(&source(false), &file_order(3, 2, &[&[2], &[0]]), 1).unwrap();
        assert_eq!(task.x_train.as_slice().unwrap(), [0.0, 2.0, 3.0]);
        assert_eq!(task.y_train.as_slice().unwrap(), [-1.0, 1.0, -1.0]);
        assert_eq!(task.class_train, [1, 0, 1]);
        assert_eq!(task.x_test.as_slice().unwrap(), [5.0, 6.0]);
        assert_eq!(task.y_test.as_slice().unwrap(), [1.0, -1.0]);
        assert_eq!(task.class_names, ["2", "0"]);
    }

    #[test]
    fn groups_share_a_label_and_keep_their_classes() {
        let task = split(&source(false), &file_order(3, 0, &[&[2, 0], &[1]]), 1).unwrap();
        assert_eq!(task.y_train.as_slice().unwrap(), [1.0, -1.0, 1.0]);
        assert_eq!(task.class_train, [1, 2, 0]);
        assert_eq!(task.class_names, ["2", "0", "1"]);
    }

    #[test]
    fn test_points_come_from_the_test_file_where_there_is_one() {
        let task = split(&source(true), &file_order(8, 8, &[&[0], &[1]]), 1).unwrap();
        assert_eq!(task.x_test.as_slice().unwrap(), [100.0, 101.0, 103.0, 104.0, 106.0, 107.0, 109.0, 110.0]);
        assert_eq!(task.class_test, [0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_seeded_split_is_disjoint_reproducible_and_depends_on_the_seed() {
        let config = DataConfig { order: crate::data::Order::Seeded, ..file_order(5, 3, &[&[0], &[1]]) };
        let of = |seed| split(&source(false), &config, seed).unwrap();
        let first = of(1);
        let points: Vec<f64> = first.x_train.iter().chain(&first.x_test).copied().collect();
        for (i, x) in points.iter().enumerate() {
            assert!(!points[..i].contains(x), "{x} is drawn twice");
            assert!(*x as usize % 3 < 2, "{x} is of class 2");
        }
        assert_eq!(first.x_train, of(1).x_train);
        assert!((2..8).any(|seed| of(seed).x_train != first.x_train));
    }

    #[test]
    fn bad_requests_say_what_and_how_to_mend() {
        let refuse = |separate, config: DataConfig| worded(&split(&source(separate), &config, 1).unwrap_err());
        let two: &[&[u32]] = &[&[0], &[1]];
        let none = DataConfig { train: None, ..file_order(1, 0, two) };
        for (message, told) in [
            (refuse(false, file_order(0, 0, two)), "raise train to 1"),
            (refuse(false, none), "set train to 100"),
            (refuse(false, file_order(9, 0, two)), "has 8 points to train on but 9 were asked for"),
            (refuse(false, file_order(6, 3, two)), "has 2 points to test on but 3 were asked for"),
            (refuse(true, file_order(6, 9, two)), "has 8 points to test on but 9 were asked for"),
            (refuse(false, file_order(1, 0, two)), "class 1 has no training point among the 1"),
            (refuse(false, file_order(2, 0, &[&[0], &[7]])), "no class 7, only 0, 1, 2: change classes"),
            (refuse(false, file_order(2, 0, &[&[0], &[256]])), "no class 256"),
            (refuse(false, file_order(2, 0, &[&[0], &[1, 0]])), "class 0 is named twice"),
            (refuse(false, file_order(2, 0, &[&[1, 1], &[0]])), "class 1 is named twice"),
            (refuse(false, file_order(2, 0, &[&[1]])), "two groups of class labels"),
            (refuse(false, file_order(2, 0, &[&[1], &[]])), "two groups of class labels"),
        ] {
            assert!(message.contains(told) && !message.contains('\n'), "{message:?} does not say {told:?}");
        }
    }
}
