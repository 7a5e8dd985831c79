//! A Zarr v3 store as xarray and ArviZ open it: groups one level deep, named dimensions, all
//! metadata once more in the root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use zarrs::array::codec::GzipCodec;
use zarrs::array::{ArrayBuilder, ArrayMetadataOptions, DataType, FillValue};
use zarrs::group::Group;
use zarrs::metadata::GroupMetadata;
use zarrs::metadata::v3::{AdditionalFieldV3, AdditionalFieldsV3, GroupMetadataV3};
use zarrs::storage::store::MemoryStore;
use zarrs::storage::{ListableStorageTraits, ReadableStorageTraits};

/// Attributes of a group or an array.
pub type Attributes = Map<String, Value>;

/// Level of gzip. Draws are noise: a higher one takes twice the time and saves one per cent.
const GZIP_LEVEL: u32 = 3;

/// Most elements of a chunk, 8 MiB of float64. A chunk holds all chains, so that a store has as
/// many files as variables and not as chains.
const CHUNK: usize = 1 << 20;

/// What an array holds, row-major.
pub enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Flag(Vec<bool>),
    Text(Vec<String>),
}

/// An array with its named dimensions.
pub struct Variable<'a> {
    pub name: &'a str,
    pub dimensions: &'a [(&'a str, usize)],
    pub values: Values,
    pub attributes: Attributes,
}

/// A store that is being written. It is whole only after [`Writer::finish`].
pub struct Writer {
    root: PathBuf,
    /// Metadata of every group and array, by path.
    metadata: Map<String, Value>,
}

impl Writer {
    /// Begins a store in the directory `path`, which must not be there.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        Ok(Self { root: path.into(), metadata: Map::new() })
    }

    /// Adds a group, before its arrays.
    pub fn group(&mut self, name: &str, attributes: Attributes) -> io::Result<()> {
        let metadata = GroupMetadataV3::new().with_attributes(attributes);
        self.note(name, &metadata)?;
        self.write_group(&format!("/{name}"), metadata)
    }

    /// Adds an array to a group.
    pub fn array(&mut self, group: &str, variable: Variable) -> io::Result<()> {
        let Variable { name, dimensions, values, attributes } = variable;
        let shape: Vec<u64> = dimensions.iter().map(|&(_, size)| size as u64).collect();
        let kind = match &values {
            Values::Float(_) => DataType::Float64,
            Values::Integer(_) => DataType::Int64,
            Values::Flag(_) => DataType::Bool,
            Values::Text(_) => DataType::String,
        };
        let fill = match &values {
            Values::Float(_) => FillValue::from(f64::NAN),
            Values::Integer(_) => FillValue::from(0i64),
            Values::Flag(_) => FillValue::from(false),
            Values::Text(_) => FillValue::from(""),
        };
        let encoded = Arc::new(MemoryStore::new());
        let gzip = GzipCodec::new(GZIP_LEVEL).map_err(io::Error::other)?;
        let array = ArrayBuilder::new(shape, chunk(dimensions).as_slice(), kind, fill)
            .bytes_to_bytes_codecs(vec![Arc::new(gzip)])
            .dimension_names(Some(dimensions.iter().map(|&(name, _)| name)))
            .attributes(attributes)
            .build(Arc::clone(&encoded), &format!("/{group}/{name}"))
            .map_err(io::Error::other)?;
        // Which library wrote it is no news for the user.
        let options = ArrayMetadataOptions::default().with_include_zarrs_metadata(false);
        array.store_metadata_opt(&options).map_err(io::Error::other)?;
        self.note(&format!("{group}/{name}"), &array.metadata_opt(&options))?;
        let all = array.subset_all();
        match &values {
            Values::Float(values) => array.store_array_subset_elements(&all, values),
            Values::Integer(values) => array.store_array_subset_elements(&all, values),
            Values::Flag(values) => array.store_array_subset_elements(&all, values),
            Values::Text(values) => array.store_array_subset_elements(&all, values),
        }
        .map_err(io::Error::other)?;
        self.write(&encoded)
    }

    /// Writes the root, without which there is no store.
    pub fn finish(self, attributes: Attributes) -> io::Result<()> {
        // In the order of writing: zarrs would gather it from the disk in an order that changes
        // from run to run.
        let consolidated = json!({"kind": "inline", "metadata": self.metadata});
        let field = AdditionalFieldV3::new(consolidated, false);
        let fields = AdditionalFieldsV3::from([("consolidated_metadata".to_string(), field)]);
        let metadata = GroupMetadataV3::new().with_attributes(attributes).with_additional_fields(fields);
        self.write_group("/", metadata)
    }

    fn note(&mut self, path: &str, metadata: &impl Serialize) -> io::Result<()> {
        self.metadata.insert(path.into(), serde_json::to_value(metadata)?);
        Ok(())
    }

    fn write_group(&self, path: &str, metadata: GroupMetadataV3) -> io::Result<()> {
        let encoded = Arc::new(MemoryStore::new());
        let group = Group::new_with_metadata(Arc::clone(&encoded), path, GroupMetadata::V3(metadata));
        group.map_err(io::Error::other)?.store_metadata().map_err(io::Error::other)?;
        self.write(&encoded)
    }

    /// Writes the files of one group or array. The store of zarrs on disk would wait for the disk
    /// after every file.
    fn write(&self, encoded: &MemoryStore) -> io::Result<()> {
        for key in encoded.list().map_err(io::Error::other)? {
            let path = self.root.join(key.as_str());
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            if let Some(bytes) = encoded.get(&key).map_err(io::Error::other)? {
                fs::write(path, bytes)?;
            }
        }
        Ok(())
    }
}

/// The shape of a chunk: everything but the draws whole, and of these as many as go into [`CHUNK`].
fn chunk(dimensions: &[(&str, usize)]) -> Vec<u64> {
    let others: usize = dimensions.iter().filter(|(name, _)| *name != "draw").map(|(_, size)| size).product();
    let draws = (CHUNK / others.max(1)).max(1);
    dimensions.iter().map(|&(name, size)| if name == "draw" { size.min(draws) } else { size }.max(1) as u64).collect()
}
