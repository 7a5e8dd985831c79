//! Arrays with a name and named dimensions: what files and front ends take of a run.

use ndarray::{Array, ArrayD, Dimension};

/// Names of dimensions.
pub mod dims {
    /// Chains at one temperature.
    pub const CHAIN: &str = "chain";
    /// Draws of a chain.
    pub const DRAW: &str = "draw";
    /// The temperature ladder, from hot to cold.
    pub const TEMPERATURE: &str = "temperature";
    /// The classes.
    pub const CLASS: &str = "class";
    /// The training points.
    pub const TRAIN_POINT: &str = "train_point";
    /// The training points again, of a matrix over pairs of them.
    pub const OTHER_TRAIN_POINT: &str = "other_train_point";
    /// The test points.
    pub const TEST_POINT: &str = "test_point";
    /// The components of an input, N0.
    pub const INPUT: &str = "input";
    /// The principal directions of the training inputs, r.
    pub const DIRECTION: &str = "direction";
    /// The cells of a histogram.
    pub const CELL: &str = "cell";
    /// The theories.
    pub const THEORY: &str = "theory";
}

/// Numbers of an array, row-major.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Numbers {
    /// Real numbers; NaN stands for what is not known.
    Float(ArrayD<f64>),
    /// Whole numbers.
    Integer(ArrayD<i64>),
    /// Truth values.
    Boolean(ArrayD<bool>),
}

impl Numbers {
    /// Returns the size along every dimension.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(values) => values.shape(),
            Self::Integer(values) => values.shape(),
            Self::Boolean(values) => values.shape(),
        }
    }
}

impl<D: Dimension> From<Array<f64, D>> for Numbers {
    fn from(values: Array<f64, D>) -> Self {
        Self::Float(values.into_dyn())
    }
}

impl<D: Dimension> From<Array<i64, D>> for Numbers {
    fn from(values: Array<i64, D>) -> Self {
        Self::Integer(values.into_dyn())
    }
}

impl<D: Dimension> From<Array<bool, D>> for Numbers {
    fn from(values: Array<bool, D>) -> Self {
        Self::Boolean(values.into_dyn())
    }
}

/// An array with its name and a name for each of its dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    /// The machine-readable name, the same in every output.
    pub name: String,
    /// The symbol in formulas, where there is one.
    pub long_name: Option<&'static str>,
    /// Names of the dimensions from [`dims`], in the order of the shape.
    pub dims: Vec<&'static str>,
    /// The numbers.
    pub data: Numbers,
}

impl NamedArray {
    /// An array without a symbol; `dims` has a name for every dimension of `data`.
    pub fn new(name: impl Into<String>, dims: &[&'static str], data: impl Into<Numbers>) -> Self {
        let data = data.into();
        debug_assert_eq!(dims.len(), data.shape().len());
        Self { name: name.into(), long_name: None, dims: dims.to_vec(), data }
    }

    /// Returns name and size of every dimension.
    pub fn dimensions(&self) -> Vec<(&'static str, usize)> {
        self.dims.iter().copied().zip(self.data.shape().iter().copied()).collect()
    }
}
