//! What the host is made of, and what its resource pool has of it.

use lab::Site;

use super::entity::status;
use crate::value::{DataObject, MoRef, Value};

const VENDOR: &str = "Stand-in";
const MODEL: &str = "Lab host";
const PACKAGES: i16 = 2;
const CORES: i16 = 16;
const THREADS: i16 = 32;
const MHZ: i32 = 2400;
const MEMORY_BYTES: i64 = 256 << 30;
const MIB: i64 = 1 << 20;

/// `HostSystem.hardware`.
pub(super) fn host_hardware(site: &Site) -> DataObject {
    let system = DataObject::new("HostSystemInfo")
        .text("vendor", VENDOR)
        .text("model", MODEL)
        .text("uuid", uuid(site));
    let cpu = DataObject::new("HostCpuInfo")
        .with("numCpuPackages", Value::short(PACKAGES))
        .with("numCpuCores", Value::short(CORES))
        .with("numCpuThreads", Value::short(THREADS))
        .with("hz", Value::long(i64::from(MHZ) * 1_000_000));
    DataObject::new("HostHardwareInfo")
        .part("systemInfo", system)
        .part("cpuInfo", cpu)
        .with("memorySize", Value::long(MEMORY_BYTES))
        .with("smcPresent", Value::boolean(false))
}

/// `HostSystem.summary.hardware`.
pub(super) fn host_summary(site: &Site) -> DataObject {
    DataObject::new("HostHardwareSummary")
        .text("vendor", VENDOR)
        .text("model", MODEL)
        .text("uuid", uuid(site))
        .with("memorySize", Value::long(MEMORY_BYTES))
        .text("cpuModel", "Stand-in CPU @ 2.40GHz")
        .with("cpuMhz", Value::int(MHZ))
        .with("numCpuPkgs", Value::short(PACKAGES))
        .with("numCpuCores", Value::short(CORES))
        .with("numCpuThreads", Value::short(THREADS))
        .with("numNics", Value::int(1))
        .with("numHBAs", Value::int(1))
}

/// `ComputeResource.summary`.
pub(super) fn compute_summary() -> DataObject {
    DataObject::new("ComputeResourceSummary")
        .with("totalCpu", Value::int(total_mhz()))
        .with("totalMemory", Value::long(MEMORY_BYTES))
        .with("numCpuCores", Value::short(CORES))
        .with("numCpuThreads", Value::short(THREADS))
        .with("effectiveCpu", Value::int(total_mhz()))
        .with("effectiveMemory", Value::long(MEMORY_BYTES / MIB))
        .with("numHosts", Value::int(1))
        .with("numEffectiveHosts", Value::int(1))
        .with("overallStatus", status("green"))
}

/// `ResourcePool.summary`.
pub(super) fn pool_summary(site: &Site) -> DataObject {
    DataObject::new("ResourcePoolSummary")
        .text("name", &site.pool.name)
        .part("config", pool_config(site))
        .part("runtime", pool_runtime())
}

/// `ResourcePool.runtime`.
pub(super) fn pool_runtime() -> DataObject {
    let usage = |limit: i64| {
        DataObject::new("ResourcePoolResourceUsage")
            .with("reservationUsed", Value::long(0))
            .with("reservationUsedForVm", Value::long(0))
            .with("unreservedForPool", Value::long(limit))
            .with("unreservedForVm", Value::long(limit))
            .with("overallUsage", Value::long(0))
            .with("maxUsage", Value::long(limit))
    };
    DataObject::new("ResourcePoolRuntimeInfo")
        .part("memory", usage(MEMORY_BYTES))
        .part("cpu", usage(i64::from(total_mhz())))
        .with("overallStatus", status("green"))
}

/// `ResourcePool.config`.
pub(super) fn pool_config(site: &Site) -> DataObject {
    let allocation = |limit: i64| {
        let shares = DataObject::new("SharesInfo")
            .with("shares", Value::int(4000))
            .with("level", Value::Enum("SharesLevel", "normal".into()));
        DataObject::new("ResourceAllocationInfo")
            .with("reservation", Value::long(limit))
            .with("expandableReservation", Value::boolean(true))
            .with("limit", Value::long(limit))
            .part("shares", shares)
    };
    let pool = MoRef::new("ResourcePool", &site.pool.moref);
    DataObject::new("ResourceConfigSpec")
        .with("entity", Value::Reference(pool))
        .part("cpuAllocation", allocation(i64::from(total_mhz())))
        .part("memoryAllocation", allocation(MEMORY_BYTES / MIB))
}

fn total_mhz() -> i32 {
    MHZ * i32::from(CORES)
}

/// The host's own UUID: that of the site with another beginning.
fn uuid(site: &Site) -> String {
    format!(
        "4c4c4544{}",
        site.instance_uuid.get(8..).unwrap_or_default()
    )
}
