//! How matrix products are divided among the invocations of a device.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Invocations along each side of a workgroup's tile (SIDE in shaders/product_tiled.wgsl).
pub(super) const SIDE: usize = 8;
/// Invocations of a workgroup whose operands are neither shared nor handed on.
const REGISTER_LANES: usize = 16;
/// Invocations that hand rows to one another in shaders/product_subgroup.wgsl: as few as the
/// smallest subgroup it is used with has.
pub const SUBGROUP_LANES: usize = 8;
/// Side of a cooperative matrix.
pub const MATRIX: usize = 16;
/// Side of what a workgroup computes with cooperative matrices (shaders/product_cooperative.wgsl).
pub const MATRIX_TILE: usize = 64;

/// How matrix products are divided among invocations. A tile fixes the order in which a network's
/// outputs are summed, so the same seed gives the same bits only with the same tiling. It follows
/// from the device and the shapes by rule, or from a measurement that was asked for
/// ([`super::tuning`]); a run that is gone on with keeps the one that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tiling {
    /// Every invocation reads its own operands, for a square block of side 4 or 8.
    Register(usize),
    /// A workgroup shares tiles in its memory; every invocation computes a square block of side 4
    /// or 8.
    Workgroup(usize),
    /// A subgroup's invocations read rows in turn and hand them to one another; each computes 32
    /// rows of 8 columns of its own.
    Subgroup,
    /// Within a trajectory forces come from products of float16 operands on cooperative matrices,
    /// which sum in float32; all else, its last force and the energies included, is as with
    /// [`Tiling::SINGLE`]. Only where it is asked for.
    Cooperative,
    /// The same from the same float16 operands without cooperative matrices, to check it anywhere.
    Emulated,
}

impl Tiling {
    /// That of the float32 products beside those of float16 operands.
    pub const SINGLE: Self = Self::Workgroup(8);

    /// Whether forces within a trajectory come from products of float16 operands.
    pub fn halved(self) -> bool {
        matches!(self, Self::Cooperative | Self::Emulated)
    }

    /// The tiling of float32 products.
    pub(super) fn single(self) -> Self {
        if self.halved() { Self::SINGLE } else { self }
    }

    /// Invocations of a workgroup.
    pub fn lanes(self) -> usize {
        match self.single() {
            Self::Register(_) => REGISTER_LANES,
            Self::Subgroup => SUBGROUP_LANES,
            _ => SIDE * SIDE,
        }
    }

    /// Rows and columns that one invocation computes.
    pub fn block(self) -> [usize; 2] {
        match self.single() {
            Self::Register(side) | Self::Workgroup(side) => [side, side],
            _ => [4 * SUBGROUP_LANES, 8],
        }
    }

    /// Bytes of workgroup memory of the two tiles.
    pub fn workgroup_bytes(self) -> usize {
        if matches!(self.single(), Self::Workgroup(_)) { 2 * 4 * 16 * SIDE * SIDE } else { 0 }
    }

    /// Rows and columns of a tile: what is computed together.
    pub fn tile(self) -> [usize; 2] {
        let [rows, columns] = self.block();
        match self.single() {
            Self::Register(_) => [rows, columns],
            Self::Subgroup => [rows, SUBGROUP_LANES * columns],
            _ => [SIDE * rows, SIDE * columns],
        }
    }

    /// Workgroups of a product of `rows` × `columns`.
    pub fn groups(self, rows: usize, columns: usize) -> usize {
        let tile = self.tile();
        let tiles = rows.div_ceil(tile[0]) * columns.div_ceil(tile[1]);
        // A workgroup computes one tile, or as many blocks as it has invocations.
        if matches!(self, Self::Register(_)) { tiles.div_ceil(self.lanes()) } else { tiles }
    }

    /// Blocks along `columns` columns.
    pub(super) fn column_slots(self, columns: usize) -> usize {
        columns.next_multiple_of(self.tile()[1]) / self.block()[1]
    }
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Register(side) => write!(f, "register {side}"),
            Self::Workgroup(side) => write!(f, "workgroup {side}"),
            Self::Subgroup => f.write_str("subgroup"),
            Self::Cooperative => f.write_str("cooperative matrices"),
            Self::Emulated => f.write_str("cooperative matrices, emulated"),
        }
    }
}
