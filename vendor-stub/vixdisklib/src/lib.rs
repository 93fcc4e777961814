//! A stand-in libvixDiskLib.so over the lab.
