//! A disk of a point, to be read.

mod fetch;
mod reader;
mod salvage;
mod second_look;
mod walk;

pub(crate) use fetch::fetch_blocks;
pub use reader::Image;
pub use salvage::Salvaged;
pub(crate) use walk::PieceOrDamage;
pub use walk::{Piece, WalkOptions};
