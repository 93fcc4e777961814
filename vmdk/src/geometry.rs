//! Disk adapters and the drive geometry that goes with them.

/// The controller a disk was made for. It decides the geometry in the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// An IDE disk.
    Ide,
    /// A SCSI disk on a BusLogic controller.
    BusLogic,
    /// A SCSI disk on an LSI Logic controller; also what ESXi writes for SAS and paravirtual ones.
    LsiLogic,
}

/// Cylinders, heads and sectors as the disk reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) cylinders: u64,
    pub(crate) heads: u64,
    pub(crate) sectors: u64,
}

impl Adapter {
    /// The word in `ddb.adapterType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Adapter::Ide => "ide",
            Adapter::BusLogic => "buslogic",
            Adapter::LsiLogic => "lsilogic",
        }
    }

    /// The controller of this word in `ddb.adapterType`, whatever the case of its letters.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = [Self::Ide, Self::BusLogic, Self::LsiLogic];
        named
            .into_iter()
            .find(|adapter| adapter.as_str().eq_ignore_ascii_case(name))
    }

    /// The geometry a disk of this size has ("Virtual Disk Format 5.0", The Disk Database).
    pub(crate) fn geometry(self, capacity_sectors: u64) -> Geometry {
        const GIB_SECTORS: u64 = 1 << 21;
        let (heads, sectors, most_cylinders) = match self {
            Adapter::Ide => (16, 63, 16383),
            _ if capacity_sectors < GIB_SECTORS => (64, 32, u64::from(u16::MAX)),
            _ if capacity_sectors < 2 * GIB_SECTORS => (128, 32, u64::from(u16::MAX)),
            _ => (255, 63, u64::from(u16::MAX)),
        };
        let cylinders = (capacity_sectors / (heads * sectors)).clamp(1, most_cylinders);
        Geometry {
            cylinders,
            heads,
            sectors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_follows_adapter_and_size() {
        let of = |adapter: Adapter, sectors| {
            let g = adapter.geometry(sectors);
            (g.cylinders, g.heads, g.sectors)
        };
        assert_eq!(of(Adapter::Ide, 204_800), (203, 16, 63));
        assert_eq!(of(Adapter::LsiLogic, 1), (1, 64, 32));
        assert_eq!(of(Adapter::BusLogic, (1 << 21) - 1), (1023, 64, 32));
        assert_eq!(of(Adapter::LsiLogic, 1 << 21), (512, 128, 32));
        assert_eq!(of(Adapter::LsiLogic, 41_943_040), (2610, 255, 63));
        assert_eq!(of(Adapter::Ide, 1 << 37), (16383, 16, 63));
    }
}
