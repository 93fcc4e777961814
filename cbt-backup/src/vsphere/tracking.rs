//! Changed block tracking of a VM: whether it is on, why not, and switching it.
//!
//! ```text
//! TrackingReport, TrackingState, TrackingCause   what holds now, and for what reason
//! Client::enable_tracking, disable_, reset_      the documented order, then a second look
//! QueryRefusal                                   why a query of changed areas was refused
//! TrackingEvent, Landmark                        what happened to a disk between two snapshots
//! browser_path, ManualWay                        the same by hand
//! ```

mod browser;
mod cause;
mod cycle;
mod error;
mod event;
mod manual;
mod refusal;
mod report;
mod switch;

pub use browser::browser_path;
pub use cause::TrackingCause;
pub use error::TrackingError;
pub use event::{Landmark, TrackingEvent, tracking_of};
pub use manual::ManualWay;
pub use refusal::QueryRefusal;
pub use report::{DiskReport, TrackingFacts, TrackingReport, TrackingState};
pub use switch::SwitchOptions;

use super::client::Client;
use super::envelope::reference;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::task::TaskRef;

/// The oldest hardware that can be tracked ("vSphere API reference, 5.1").
pub const MIN_TRACKED_HARDWARE: u32 = 7;

impl Client {
    /// Starts giving the VM newer hardware; `None` takes the newest that its host knows. The VM
    /// must be off, and there is no way back.
    ///
    /// # Errors
    ///
    /// Any failure of the call; a fault `AlreadyUpgraded` if it has that hardware.
    #[doc(alias = "UpgradeVM_Task")]
    pub async fn upgrade_hardware(
        &self,
        vm: &Moref,
        version: Option<u32>,
    ) -> Result<TaskRef, Error> {
        let operation = upgrade_operation(vm, version);
        self.write(&operation, reference).await.map(TaskRef)
    }
}

/// The call; without a version the newest is meant.
pub(super) fn upgrade_operation(vm: &Moref, version: Option<u32>) -> Operation {
    let operation = Operation::new("UpgradeVM_Task", vm);
    match version {
        Some(version) => operation.text("version", &format!("vmx-{version:02}")),
        None => operation,
    }
}
