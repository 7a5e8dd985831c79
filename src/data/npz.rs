//! Problems in a NumPy `.npz` file.
//!
//! | array | shape | |
//! |---|---|---|
//! | `x_train`, `y_train` | (P, N0), (P) | inputs and labels, any real numbers |
//! | `x_test`, `y_test` | (P*, N0), (P*) | optional, both or neither |
//! | `class_train`, `class_test` | (P), (P*) | optional integers: the class of every point |
//!
//! Types are float64, float32 or integers, compressed or not. Classes are ordered by their number.
//! Without `class_train` the class is the sign of y: `+1` for y ≥ 0, `-1` for y < 0, as far as they
//! occur. With `class_train` but no `class_test`, a test point belongs to the class whose mean
//! training label is nearest to its own.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use ndarray::{Array, Array1, Array2, ArrayView1, Axis, Dimension};
use ndarray_npy::ReadableElement;

use super::DataError;
use super::draw::{Part, choose};
use super::labels::{Classes, Signs, check_filled, sign_classes};
use crate::data::{DataConfig, Order};
use crate::host::numpy::{Npy, NpzReader};
use crate::model::Task;
use crate::remedy::{Remedy, Setting};

/// What may bring a training point of a class.
fn other_points() -> [Remedy; 3] {
    [Remedy::raise(Setting::Train), Remedy::change(Setting::Order), Remedy::change(Setting::Seed)]
}

/// The longest axis (16 GiB of float64).
const LONGEST_AXIS: usize = 1 << 31;

/// Reads a problem as it stands, or the subset of it that `config.train` and `config.test` ask for.
///
/// # Errors
/// [`DataError`] naming the array that is missing, damaged, of another shape or not finite, or a
/// class without training point.
pub(super) fn load(file: &Path, config: &DataConfig, seed: u64) -> Result<Task, DataError> {
    let name = file.display().to_string();
    if !config.classes.is_empty() {
        return Err(DataError::ClassesNotWanted { name });
    }
    let opened = File::open(file).map_err(|source| DataError::Unreadable { file: file.into(), source })?;
    let whole = read(BufReader::new(opened), file)?;

    let train = subset(whole.y_train.len(), config.train, config.order, seed, Part::Train)
        .map_err(|(asked, available)| DataError::TooFewTrain { name: name.clone(), asked, available })?;
    if train.is_empty() {
        return Err(DataError::ZeroTrain);
    }
    let test = subset(whole.y_test.len(), config.test, config.order, seed, Part::Test)
        .map_err(|(asked, available)| DataError::TooFewTest { name: name.clone(), asked, available })?;
    let class_train: Vec<_> = train.iter().map(|&i| whole.class_train[i]).collect();
    check_filled(&name, &class_train, &whole.class_names, &other_points())?;
    Ok(Task {
        name,
        x_train: whole.x_train.select(Axis(0), &train),
        y_train: whole.y_train.select(Axis(0), &train),
        class_train,
        x_test: whole.x_test.select(Axis(0), &test),
        y_test: whole.y_test.select(Axis(0), &test),
        class_test: test.iter().map(|&i| whole.class_test[i]).collect(),
        class_names: whole.class_names,
    })
}

/// The points to keep, in file order; all where no number is asked for. The error is (asked,
/// available).
fn subset(
    available: usize,
    asked: Option<usize>,
    order: Order,
    seed: u64,
    part: Part,
) -> Result<Vec<usize>, (usize, usize)> {
    let count = asked.unwrap_or(available);
    if count > available {
        return Err((count, available));
    }
    let mut chosen = choose(available, count, order, seed, part);
    chosen.sort_unstable();
    Ok(chosen)
}

/// Everything the archive holds.
pub(super) fn read(archive: impl Read + Seek, file: &Path) -> Result<Task, DataError> {
    let name = file.display().to_string();
    let mut archive =
        Archive { npz: NpzReader::new(archive).map_err(|error| malformed(file, error.to_string()))?, file };
    let x_train: Array2<f64> = archive.required("x_train")?;
    let y_train: Array1<f64> = archive.required("y_train")?;
    let (points, dimension) = x_train.dim();
    if points == 0 || dimension == 0 {
        return Err(malformed(file, format!("x_train is empty: {points} rows of {dimension} columns")));
    }
    archive.same_length("y_train", y_train.len(), "x_train", points)?;
    let (x_test, y_test) = match (archive.optional("x_test")?, archive.optional("y_test")?) {
        (Some(x), Some(y)) => (x, y),
        (None, None) => (Array2::zeros((0, dimension)), Array1::zeros(0)),
        _ => return Err(malformed(file, "holds one of x_test and y_test without the other")),
    };
    archive.same_length("y_test", y_test.len(), "x_test", x_test.nrows())?;
    if x_test.ncols() != dimension {
        let problem = format!("x_test has {} columns, x_train {dimension}", x_test.ncols());
        return Err(malformed(file, problem));
    }
    let class_train = archive.classes("class_train", points)?;
    let class_test = archive.classes("class_test", y_test.len())?;
    let classes = match (class_train, class_test) {
        (Some(train), test) => numbered_classes(&train, test.as_deref(), y_train.view(), y_test.view()),
        (None, None) => sign_classes(&name, y_train.view(), y_test.view(), Signs::Occurring, &other_points())?,
        (None, Some(_)) => return Err(malformed(file, "holds class_test without class_train")),
    };
    Ok(Task {
        name,
        x_train,
        y_train,
        class_train: classes.train,
        x_test,
        y_test,
        class_test: classes.test,
        class_names: classes.names,
    })
}

/// Classes by number; test points without a number go to the class whose mean training label is
/// nearest.
fn numbered_classes(train: &[i64], test: Option<&[i64]>, y_train: ArrayView1<f64>, y_test: ArrayView1<f64>) -> Classes {
    let mut numbers: Vec<i64> = train.iter().chain(test.unwrap_or(&[])).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let index = |number: &i64| numbers.partition_point(|n| n < number);
    let train: Vec<usize> = train.iter().map(index).collect();
    let test = match test {
        Some(test) => test.iter().map(index).collect(),
        None => {
            let mut sums = vec![(0.0, 0.0); numbers.len()];
            for (&class, y) in train.iter().zip(y_train) {
                sums[class].0 += y;
                sums[class].1 += 1.0;
            }
            let distance = |class: usize, y: f64| (sums[class].0 / sums[class].1 - y).abs();
            let nearest = |&y: &f64| (0..numbers.len()).min_by(|&a, &b| distance(a, y).total_cmp(&distance(b, y)));
            y_test.iter().map(|y| nearest(y).unwrap_or(0)).collect()
        }
    };
    Classes { train, test, names: numbers.iter().map(i64::to_string).collect() }
}

fn malformed(file: &Path, problem: impl Into<String>) -> DataError {
    DataError::Malformed {
        file: file.into(),
        problem: problem.into(),
        remedy: "save it again with numpy.savez(file, x_train=…, y_train=…, …)".into(),
    }
}

struct Archive<'a, R> {
    npz: NpzReader<R>,
    file: &'a Path,
}

impl<R: Read + Seek> Archive<'_, R> {
    fn required<D: Dimension>(&mut self, name: &'static str) -> Result<Array<f64, D>, DataError> {
        let found = self.optional(name)?;
        found.ok_or_else(|| {
            let held: Vec<_> = self.npz.names().collect();
            malformed(self.file, format!("holds no {name} (but {held:?})"))
        })
    }

    /// The array of a name as float64, all finite.
    fn optional<D: Dimension>(&mut self, name: &'static str) -> Result<Option<Array<f64, D>>, DataError> {
        let wrong = |problem: String| malformed(self.file, problem);
        let Some(npy) = self.npz.open(name).map_err(|error| wrong(error.to_string()))? else { return Ok(None) };
        let array = decode(name, npy).map_err(wrong)?;
        super::check_finite(&self.file.display().to_string(), name, &array)?;
        Ok(Some(array))
    }

    fn classes(&mut self, name: &'static str, points: usize) -> Result<Option<Vec<i64>>, DataError> {
        let Some(numbers) = self.optional::<ndarray::Ix1>(name)? else {
            return Ok(None);
        };
        let inputs = if name == "class_train" { "x_train" } else { "x_test" };
        self.same_length(name, numbers.len(), inputs, points)?;
        match numbers.iter().find(|n| n.fract() != 0.0 || n.abs() > 2f64.powi(53)) {
            Some(number) => Err(malformed(self.file, format!("{name} holds {number}, which is no class number"))),
            None => Ok(Some(numbers.iter().map(|&n| n as i64).collect())),
        }
    }

    fn same_length(&self, a: &str, a_length: usize, b: &str, b_length: usize) -> Result<(), DataError> {
        if a_length == b_length {
            return Ok(());
        }
        Err(malformed(self.file, format!("{a} has {a_length} entries, {b} has {b_length} rows")))
    }
}

/// The numbers of an array as float64, of any type that has them; the error is about `name`.
///
/// Shape and size are held against what is wanted and what is there before anything is allocated by
/// them.
pub(super) fn decode<D: Dimension>(name: &str, npy: Npy<impl Read>) -> Result<Array<f64, D>, String> {
    let shape = npy.shape();
    if D::NDIM.is_some_and(|expected| shape.len() != expected) {
        let expected = if D::NDIM == Some(1) { "(P)" } else { "(P, N0)" };
        return Err(format!("{name} has shape {shape:?}, not {expected}"));
    }
    if shape.iter().any(|&n| n > LONGEST_AXIS) {
        return Err(format!("{name} has shape {shape:?}, beyond {LONGEST_AXIS} along an axis"));
    }
    match npy.kind().trim_start_matches(['<', '>', '|']) {
        "f8" => convert(npy, |x: f64| x),
        "f4" => convert(npy, |x: f32| x.into()),
        "i1" => convert(npy, |x: i8| x.into()),
        "i2" => convert(npy, |x: i16| x.into()),
        "i4" => convert(npy, |x: i32| x.into()),
        "i8" => convert(npy, |x: i64| x as f64),
        "u1" => convert(npy, |x: u8| x.into()),
        "u2" => convert(npy, |x: u16| x.into()),
        "u4" => convert(npy, |x: u32| x.into()),
        "u8" => convert(npy, |x: u64| x as f64),
        _ => Err(format!("{name} has type {:?}: only float64, float32 and integers are read", npy.kind())),
    }
}

fn convert<T: ReadableElement + Clone, D: Dimension>(
    npy: Npy<impl Read>,
    to: impl Fn(T) -> f64,
) -> Result<Array<f64, D>, String> {
    let array = npy.read::<T>().map_err(|error| error.to_string())?;
    array.mapv(to).into_dimensionality().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
