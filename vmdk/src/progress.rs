//! How far long work has come.

/// Is told what is done, and how much there is, in sectors. The same figures may come again; the last
/// call says that all is done.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;
