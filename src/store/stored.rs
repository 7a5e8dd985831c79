//! One temperature of what `arrays.npz` holds, read without loading the others: the Gram matrices, and ⟨v w⟩ in input space.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::{ARRAYS, StoreError};
use crate::results::{GramAt, VectorAt};
use crate::theory::TheoryKind;

/// Reads the vectors at temperature `index` of a run whose inputs have `dimension` components.
///
/// # Errors
/// As [`read_gram`].
pub fn read_vector(dir: &Path, index: usize, dimension: usize) -> Result<VectorAt, StoreError> {
    let (path, mut zip) = archive(dir, dimension as u64)?;
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    let mut row = |name: &str| slice(&mut zip, name, Some(index), &[dimension]).map_err(&wrong);
    let required = |name: &str, found: Option<Vec<f64>>| found.ok_or_else(|| wrong(format!("it has no {name}")));
    let sampled = required("readout_weight_vector", row("readout_weight_vector")?)?;
    let mcse = required("readout_weight_vector_mcse", row("readout_weight_vector_mcse")?)?;
    let mut theories = Vec::new();
    for kind in [TheoryKind::Saddle, TheoryKind::SingleUnit, TheoryKind::Adaptive] {
        let found = row(&format!("readout_weight_vector_{}", kind.name().replace('-', "_")))?;
        // NaN marks temperatures where a theory has no solution.
        theories.extend(found.filter(|values| values.iter().all(|x| x.is_finite())).map(|values| (kind, values)));
    }
    Ok(VectorAt { index, sampled, mcse, theories })
}

/// Reads the matrices at temperature `index` of a run with `points` training points.
///
/// # Errors
/// [`StoreError::Unreadable`] when there is no such file, [`StoreError::NotArrays`] when it does not hold the matrices of such a run.
pub fn read_gram(dir: &Path, index: usize, points: usize) -> Result<GramAt, StoreError> {
    let (path, mut zip) = archive(dir, (points as u64).saturating_mul(points as u64))?;
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    let mut matrix = |name: &str, at: Option<usize>| slice(&mut zip, name, at, &[points, points]).map_err(&wrong);
    let required = |name: &str, found: Option<Vec<f64>>| found.ok_or_else(|| wrong(format!("it has no {name}")));
    let sampled = required("gram", matrix("gram", Some(index))?)?;
    let mcse = required("gram_mcse", matrix("gram_mcse", Some(index))?)?;
    let nngp = required("gram_nngp", matrix("gram_nngp", None)?)?;
    let mut theory = None;
    for kind in [TheoryKind::Adaptive, TheoryKind::SingleUnit, TheoryKind::Saddle] {
        if theory.is_none() {
            let found = matrix(&format!("gram_{}", kind.name().replace('-', "_")), Some(index))?;
            // NaN marks temperatures where a theory has no solution.
            theory = found.filter(|values| values.iter().all(|x| x.is_finite())).map(|values| (kind, values));
        }
    }
    let classes = classes(&mut zip, points).map_err(&wrong)?;
    Ok(GramAt { index, points, sampled, mcse, nngp, theory, classes })
}

type Archive = ZipArchive<BufReader<File>>;

/// The file, which is large enough for an array of `numbers` numbers: those are a claim of the report, and held against the file before anything is
/// allocated by them.
fn archive(dir: &Path, numbers: u64) -> Result<(PathBuf, Archive), StoreError> {
    let path = dir.join(ARRAYS);
    let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
    let file = File::open(&path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let wrong = |reason: String| StoreError::NotArrays { path: path.clone(), reason };
    if numbers == 0 || numbers.saturating_mul(8) > size.saturating_mul(1200) {
        return Err(wrong(format!("it is too small for arrays of {numbers} numbers")));
    }
    let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?;
    Ok((path, zip))
}

/// The array of `shape` under a name, or number `at` of a stack of such; `None` where the name is not there.
fn slice(zip: &mut Archive, name: &str, at: Option<usize>, shape: &[usize]) -> Result<Option<Vec<f64>>, String> {
    let Some((found, mut body)) = open(zip, name, "<f8")? else { return Ok(None) };
    let size = 8 * shape.iter().product::<usize>();
    let fits = match at {
        None => found == shape,
        Some(at) => found.split_first().is_some_and(|(&count, one)| at < count && one == shape),
    };
    if !fits {
        return Err(format!("{name} has shape {found:?}, which does not go with {shape:?} of the report"));
    }
    let damaged = |error: io::Error| format!("{name} is damaged: {error}");
    let before = (at.unwrap_or(0) as u64).saturating_mul(size as u64);
    io::copy(&mut body.by_ref().take(before), &mut io::sink()).map_err(damaged)?;
    let mut bytes = Vec::new();
    body.take(size as u64).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() != size {
        return Err(format!("{name} is cut short"));
    }
    let number = |bytes: &[u8; 8]| f64::from_le_bytes(*bytes);
    Ok(Some(bytes.as_chunks().0.iter().map(number).collect()))
}

fn classes(zip: &mut Archive, points: usize) -> Result<Option<Vec<usize>>, String> {
    let Some((shape, body)) = open(zip, "class_train", "<i8")? else { return Ok(None) };
    if shape != [points] {
        return Err(format!("class_train has shape {shape:?}, not ({points})"));
    }
    let mut bytes = Vec::new();
    body.take(points as u64 * 8).read_to_end(&mut bytes).map_err(|error| format!("class_train is damaged: {error}"))?;
    if bytes.len() != points * 8 {
        return Err("class_train is cut short".into());
    }
    let class = |bytes: &[u8; 8]| usize::try_from(i64::from_le_bytes(*bytes));
    let classes: Result<Vec<usize>, _> = bytes.as_chunks().0.iter().map(class).collect();
    classes.map(Some).map_err(|_| "class_train has a negative class".into())
}

/// Shape and body of one array of the type that [`super::write_arrays`] gives it.
fn open<'a>(zip: &'a mut Archive, name: &str, kind: &str) -> Result<Option<(Vec<usize>, impl Read + use<'a>)>, String> {
    let Some(entry) = zip.index_for_name(&format!("{name}.npy")) else { return Ok(None) };
    let mut body = zip.by_index(entry).map_err(|error| format!("{name} is damaged: {error}"))?;
    let shape = header(&mut body, kind).ok_or_else(|| format!("{name} is no array of type {kind} in C order"))?;
    Ok(Some((shape, body)))
}

/// The shape in the header of version 1 that is written here: magic, version, the length of a Python dictionary, and that.
fn header(body: &mut impl Read, kind: &str) -> Option<Vec<usize>> {
    let mut begin = [0; 10];
    body.read_exact(&mut begin).ok()?;
    if !begin.starts_with(b"\x93NUMPY\x01") {
        return None;
    }
    let mut text = vec![0; u16::from_le_bytes([begin[8], begin[9]]).into()];
    body.read_exact(&mut text).ok()?;
    let text: String = String::from_utf8(text).ok()?.split_whitespace().collect();
    if !text.contains(&format!("'descr':'{kind}'")) || !text.contains("'fortran_order':False") {
        return None;
    }
    let shape = text.split_once("'shape':(")?.1.split_once(')')?.0;
    shape.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
}
