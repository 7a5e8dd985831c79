//! NumPy's `.npz` archives: written array by array or part by part, read whole or one slice of a
//! large array.
//!
//! The format is NumPy's (`numpy.lib.format`); headers and elements are coded by `ndarray_npy`. Of
//! a header nothing is believed before it is held against the bytes that are there, and no memory
//! is taken by its word.

use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};

use ndarray::{ArrayD, ArrayRef, Dimension, IxDyn, ShapeBuilder};
use ndarray_npy::npy::header::{Header, Layout, ReadHeaderError};
use ndarray_npy::{ReadDataError, ReadableElement, WritableElement, WriteNpyExt};
use thiserror::Error;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// NumPy writes 118 bytes for an array of numbers; a long header can only nest deeper than the
/// parser's stack.
const LONGEST_HEADER: u32 = 1024;

/// Why an archive or an array in it cannot be read. `name` is the array's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NumpyError {
    /// The file is no zip archive, or its directory is damaged.
    #[error("is no npz archive: {source}")]
    Archive { source: ZipError },
    /// The archive cannot give this entry.
    #[error("{name}: {source}")]
    Entry { name: String, source: ZipError },
    /// The bytes of the array cannot be read.
    #[error("{name}: {source}")]
    Read { name: String, source: io::Error },
    /// The header is longer than that of any array of numbers.
    #[error("{name} has no NumPy header that can be read: it has {length} bytes")]
    LongHeader { name: String, length: u32 },
    /// The header is none of NumPy's.
    #[error("{name} has no NumPy header that can be read")]
    Header { name: String, source: ReadHeaderError },
    /// The elements have another type, or make no sense as that type.
    #[error("{name} is damaged or of another type than is wanted ({kind:?}): {source}")]
    Elements { name: String, kind: String, source: ReadDataError },
    /// The array has another number of bytes than its shape says.
    #[error("{name} has shape {shape:?} of {width}-byte numbers, but {bytes} bytes")]
    Size { name: String, shape: Vec<usize>, width: usize, bytes: u64 },
    /// A slice was asked for that the array does not have.
    #[error("{name} has shape {shape:?}, which does not go with {wanted:?}")]
    Shape { name: String, shape: Vec<usize>, wanted: Vec<usize> },
    /// A slice was asked for of an array in Fortran order.
    #[error("{name} is in Fortran order, and slices are read in C order only")]
    FortranOrder { name: String },
    /// The file ends within the array.
    #[error("{name} is cut short")]
    CutShort { name: String },
}

/// Writes an uncompressed archive.
#[derive(Debug)]
pub struct NpzWriter<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> NpzWriter<W> {
    /// Begins an archive.
    pub fn new(writer: W) -> Self {
        Self(ZipWriter::new(writer))
    }

    /// Adds a whole array, in the order (C or Fortran) that it has in memory.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn array<T: WritableElement, D: Dimension>(&mut self, name: &str, array: &ArrayRef<T, D>) -> io::Result<()> {
        self.begin::<T>(name, array.len())?;
        array.write_npy(BufWriter::new(&mut self.0)).map_err(io::Error::other)
    }

    /// Adds an array of `shape` in C order from consecutive parts, none of which is held longer
    /// than it takes to write it.
    ///
    /// # Errors
    /// When the disk refuses, or the parts together are not as many elements as the shape has.
    pub fn stream<T: WritableElement, P: AsRef<[T]>>(
        &mut self,
        name: &str,
        shape: &[usize],
        parts: impl IntoIterator<Item = P>,
    ) -> io::Result<()> {
        let length = shape.iter().product();
        self.begin::<T>(name, length)?;
        let mut out = BufWriter::new(&mut self.0);
        let header = Header { type_descriptor: T::type_descriptor(), layout: Layout::Standard, shape: shape.to_vec() };
        header.write(&mut out).map_err(io::Error::other)?;
        let mut written = 0;
        for part in parts {
            T::write_slice(part.as_ref(), &mut out).map_err(io::Error::other)?;
            written += part.as_ref().len();
        }
        if written != length {
            return Err(io::Error::other(format!("{written} numbers for {name} of shape {shape:?}")));
        }
        out.flush()
    }

    /// Begins the entry of an array of `length` elements.
    fn begin<T>(&mut self, name: &str, length: usize) -> io::Result<()> {
        // An entry beyond 4 GiB must say so before it begins.
        let bytes = (length as u64).saturating_mul(size_of::<T>() as u64) + u64::from(LONGEST_HEADER);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes > u64::from(u32::MAX));
        self.0.start_file(format!("{name}.npy"), options).map_err(io::Error::other)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.0.finish().map_err(io::Error::other)?;
        writer.flush()?;
        Ok(writer)
    }
}

/// Reads an archive, compressed or not.
#[derive(Debug)]
pub struct NpzReader<R>(ZipArchive<R>);

impl<R: Read + Seek> NpzReader<R> {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`NumpyError::Archive`].
    pub fn new(reader: R) -> Result<Self, NumpyError> {
        ZipArchive::new(reader).map(Self).map_err(|source| NumpyError::Archive { source })
    }

    /// Returns the names of the arrays.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.file_names().map(|name| name.trim_end_matches(".npy"))
    }

    /// Opens the array of a name; `None` where there is none.
    ///
    /// # Errors
    /// When the entry or its header cannot be read.
    pub fn open(&mut self, name: &str) -> Result<Option<Npy<impl Read>>, NumpyError> {
        let Some(index) = self.index(name) else { return Ok(None) };
        let entry = self.0.by_index(index).map_err(|source| NumpyError::Entry { name: name.into(), source })?;
        let size = entry.size();
        Npy::new(name, entry, size).map(Some)
    }

    /// Reads the array of `shape` under a name, or number `at` of a stack of such arrays; `None`
    /// where the name is not there. Of an uncompressed array only the slice itself is read.
    ///
    /// # Errors
    /// When the array is damaged, in Fortran order, or of another type or shape.
    pub fn slice<T: ReadableElement>(
        &mut self,
        name: &str,
        at: Option<usize>,
        shape: &[usize],
    ) -> Result<Option<Vec<T>>, NumpyError> {
        let Some(index) = self.index(name) else { return Ok(None) };
        let damaged = |source| NumpyError::Entry { name: name.into(), source };
        let entry = self.0.by_index(index).map_err(damaged)?;
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored {
            let pass = |entry: &mut _, bytes| io::copy(&mut Read::take(entry, bytes), &mut io::sink()).map(drop);
            return Npy::new(name, entry, size)?.slice(at, shape, pass).map(Some);
        }
        drop(entry);
        let entry = self.0.by_index_seek(index).map_err(damaged)?;
        let pass = |entry: &mut zip::read::ZipFileSeek<R>, bytes| {
            entry.seek(SeekFrom::Current(i64::try_from(bytes).map_err(io::Error::other)?)).map(drop)
        };
        Npy::new(name, entry, size)?.slice(at, shape, pass).map(Some)
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.0.index_for_name(&format!("{name}.npy")).or_else(|| self.0.index_for_name(name))
    }
}

/// An array whose header was read, and not yet its elements.
#[derive(Debug)]
pub struct Npy<R> {
    name: String,
    header: Header,
    body: R,
    /// Bytes that should follow the header.
    bytes: u64,
}

impl<R: Read> Npy<R> {
    /// Reads the header of a `.npy` file of `size` bytes. `name` is for messages.
    ///
    /// # Errors
    /// When there is none, or none that an array of numbers can have.
    pub fn new(name: &str, mut reader: R, size: u64) -> Result<Self, NumpyError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof => NumpyError::Header { name: name.into(), source: source.into() },
            _ => NumpyError::Read { name: name.into(), source },
        };
        // Magic (6 bytes), version (2), length of the header: two bytes in version 1, four after.
        let mut begin = [0; 12];
        let begin = &mut begin[..];
        reader.read_exact(&mut begin[..8]).map_err(failed)?;
        let start = if begin[6] == 1 { 10 } else { 12 };
        reader.read_exact(&mut begin[8..start]).map_err(failed)?;
        let length = begin[8..start].iter().rev().fold(0, |length, &byte| (length << 8) | u32::from(byte));
        if length > LONGEST_HEADER {
            return Err(NumpyError::LongHeader { name: name.into(), length });
        }
        let header = Header::from_reader(&mut begin[..start].chain(&mut reader));
        let header = header.map_err(|source| NumpyError::Header { name: name.into(), source })?;
        let bytes = size.saturating_sub(start as u64 + u64::from(length));
        Ok(Self { name: name.into(), header, body: reader, bytes })
    }

    /// Returns the shape of the header.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Returns NumPy's name of the type, such as `<f8`; empty for types with fields.
    pub fn kind(&self) -> &str {
        self.header.type_descriptor.as_string().map_or("", String::as_str)
    }

    /// Reads the whole array.
    ///
    /// # Errors
    /// When the elements are not of type `T`, or not as many as the shape says.
    pub fn read<T: ReadableElement>(mut self) -> Result<ArrayD<T>, NumpyError> {
        self.expect_type::<T>()?;
        let length = self.expect_size::<T>()?;
        let mut bytes = Vec::new();
        let within = self.bytes.saturating_add(1);
        let read = self.body.by_ref().take(within).read_to_end(&mut bytes);
        let read = read.map_err(|source| NumpyError::Read { name: self.name.clone(), source })?;
        if (read as u64) < self.bytes {
            return Err(NumpyError::CutShort { name: self.name });
        }
        let elements = self.elements(&bytes, length)?;
        let shape = IxDyn(self.shape()).set_f(self.header.layout.is_fortran());
        ArrayD::from_shape_vec(shape, elements).map_err(|_| self.wrong_size::<T>())
    }

    /// Reads the array, or number `at` along its first axis; `pass` goes over bytes.
    fn slice<T: ReadableElement>(
        mut self,
        at: Option<usize>,
        wanted: &[usize],
        pass: impl FnOnce(&mut R, u64) -> io::Result<()>,
    ) -> Result<Vec<T>, NumpyError> {
        self.expect_type::<T>()?;
        if self.header.layout.is_fortran() {
            return Err(NumpyError::FortranOrder { name: self.name });
        }
        let fits = match at {
            None => self.shape() == wanted,
            Some(at) => self.shape().split_first().is_some_and(|(&count, one)| at < count && one == wanted),
        };
        if !fits {
            let (name, shape) = (self.name, self.header.shape);
            return Err(NumpyError::Shape { name, shape, wanted: wanted.to_vec() });
        }
        self.expect_size::<T>()?;
        // The whole array has its size, so that its part has none that overflows.
        let length: usize = wanted.iter().product();
        let size = (length * size_of::<T>()) as u64;
        let mut bytes = Vec::new();
        let read = pass(&mut self.body, at.unwrap_or(0) as u64 * size)
            .and_then(|()| self.body.by_ref().take(size).read_to_end(&mut bytes));
        let read = read.map_err(|source| NumpyError::Read { name: self.name.clone(), source })?;
        if (read as u64) < size {
            return Err(NumpyError::CutShort { name: self.name });
        }
        self.elements(&bytes, length)
    }

    fn elements<T: ReadableElement>(&self, bytes: &[u8], length: usize) -> Result<Vec<T>, NumpyError> {
        T::read_to_end_exact_vec(Cursor::new(bytes), &self.header.type_descriptor, length)
            .map_err(|source| NumpyError::Elements { name: self.name.clone(), kind: self.kind().into(), source })
    }

    fn expect_type<T: ReadableElement>(&self) -> Result<(), NumpyError> {
        self.elements::<T>(&[], 0).map(drop)
    }

    /// The number of elements, if that many follow the header.
    fn expect_size<T>(&self) -> Result<usize, NumpyError> {
        let length = self.shape().iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let bytes = length.and_then(|length| length.checked_mul(size_of::<T>()));
        match (length, bytes) {
            (Some(length), Some(bytes)) if bytes as u64 == self.bytes => Ok(length),
            _ => Err(self.wrong_size::<T>()),
        }
    }

    fn wrong_size<T>(&self) -> NumpyError {
        let (name, shape) = (self.name.clone(), self.header.shape.clone());
        NumpyError::Size { name, shape, width: size_of::<T>(), bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests;
