//! VMDK descriptors, extents, grain tables and child links, read and write.
