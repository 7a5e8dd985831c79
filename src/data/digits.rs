//! The embedded 8×8 handwritten digits.
//!
//! E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
//! Repository 1998, doi 10.24432/C50P49, CC BY 4.0: 1797 images of 64 pixels from 0 to 16.

use std::io::Read;

use flate2::read::GzDecoder;

use super::DataError;
use super::select::{Images, Source};

static FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");

const DIMENSION: usize = 64;

/// All 1797 digits; test points are taken from those not trained on.
pub(super) fn load() -> Result<Source, DataError> {
    let malformed = |problem: String| DataError::Malformed {
        file: "data/digits.csv.gz".into(),
        problem,
        remedy: "the program was built from a damaged source tree: build it again".into(),
    };
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text).map_err(|cause| malformed(cause.to_string()))?;
    let mut images = Images::default();
    for (i, line) in text.lines().enumerate() {
        let numbers: Result<Vec<u8>, _> = line.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([pixels @ .., label]) if pixels.len() == DIMENSION => {
                images.pixels.extend_from_slice(pixels);
                images.labels.push(*label);
            }
            _ => {
                return Err(malformed(format!("line {} is not {DIMENSION} pixels and a label", i + 1)));
            }
        }
    }
    Ok(Source { name: "digits (built in)".into(), dimension: DIMENSION, train: images, test: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_repository() {
        let source = load().unwrap();
        let Images { pixels, labels } = &source.train;
        assert_eq!(labels.len(), 1797);
        assert_eq!(pixels.len(), 1797 * 64);
        assert_eq!(pixels.iter().max(), Some(&16));
        let counts: Vec<_> = (0..10).map(|d| labels.iter().filter(|&&l| l == d).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The first image, a zero, as scikit-learn's documentation prints it.
        assert_eq!(pixels[..16], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
        assert_eq!(labels[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), 561_718, "sum of all pixels");
    }
}
