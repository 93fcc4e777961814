//! One simulated vSphere site in a folder: datastores, VMs, disks, snapshots, change tracking, faults.
