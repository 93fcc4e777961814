//! What the host is made of, and what its resource pool has of it.

use lab::{ResourcePool, Site};

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
        .part("numaInfo", numa())
        .with("smcPresent", Value::boolean(false))
        .with(
            "cpuFeature",
            Value::objects("HostCpuIdInfo", [extended_features()]),
        )
}

/// Without nodes: the lab has no memory of its own to divide.
fn numa() -> DataObject {
    DataObject::new("HostNumaInfo")
        .text("type", "NUMA")
        .with("numNodes", Value::int(i32::from(PACKAGES)))
}

/// The one leaf of CPUID that is asked for: its bit 29 of `edx` tells a processor of 64 bits.
fn extended_features() -> DataObject {
    const EXTENDED: i32 = 1 | i32::MIN;
    const NOTHING: &str = "0000:0000:0000:0000:0000:0000:0000:0000";
    DataObject::new("HostCpuIdInfo")
        .with("level", Value::int(EXTENDED))
        .text("eax", NOTHING)
        .text("ebx", NOTHING)
        .text("ecx", NOTHING)
        .text("edx", "0010:1000:0001:0000:0000:1000:0000:0000")
}

/// `HostSystem.capability`, the little of it that is asked for.
pub(super) fn host_capability() -> DataObject {
    DataObject::new("HostCapability")
        .with("vmotionSupported", Value::boolean(true))
        .with("maxSupportedVMs", Value::int(1024))
        .with("maxRunningVMs", Value::int(1024))
        .with("maxSupportedVcpus", Value::int(768))
        .with("screenshotSupported", Value::boolean(false))
}

/// `HostSystem.config.network`: the name only.
pub(super) fn host_network(name: &str) -> DataObject {
    let (host, domain) = name.split_once('.').unwrap_or((name, ""));
    let names = DataObject::new("HostDnsConfig")
        .with("dhcp", Value::boolean(false))
        .text("hostName", host)
        .text("domainName", domain);
    DataObject::new("HostNetworkInfo").part("dnsConfig", names)
}

/// What a VM has of its pool: no more and no less than others. `shares` is its weight.
pub(super) fn vm_allocation(shares: i32) -> DataObject {
    allocation(0, false, -1, normal(shares))
}

fn normal(shares: i32) -> DataObject {
    DataObject::new("SharesInfo")
        .with("shares", Value::int(shares))
        .with("level", Value::Enum("SharesLevel", "normal".into()))
}

fn allocation(reservation: i64, expandable: bool, limit: i64, shares: DataObject) -> DataObject {
    DataObject::new("ResourceAllocationInfo")
        .with("reservation", Value::long(reservation))
        .with("expandableReservation", Value::boolean(expandable))
        .with("limit", Value::long(limit))
        .part("shares", shares)
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
pub(super) fn pool_summary(pool: &ResourcePool) -> DataObject {
    DataObject::new("ResourcePoolSummary")
        .text("name", &pool.name)
        .part("config", pool_config(pool))
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
pub(super) fn pool_config(pool: &ResourcePool) -> DataObject {
    let reference = MoRef::new("ResourcePool", &pool.moref);
    let kept = pool.settings.as_ref().and_then(DataObject::from_json);
    if let Some(kept) = kept {
        return kept.with("entity", Value::Reference(reference));
    }
    let all = |limit: i64| allocation(limit, true, limit, normal(4000));
    DataObject::new("ResourceConfigSpec")
        .with("entity", Value::Reference(reference))
        .part("cpuAllocation", all(i64::from(total_mhz())))
        .part("memoryAllocation", all(MEMORY_BYTES / MIB))
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
