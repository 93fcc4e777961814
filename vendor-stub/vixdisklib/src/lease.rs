//! What an open disk keeps from others, and gives back when it is closed.

use lab::{DiskHold, HotAdded, Lab, NfcLink};

use crate::error::Failure;
use crate::image::Image;
use crate::local_lock::LocalLock;
use crate::log;
use crate::va_list::Arg;

/// The lease of an open disk. It ends when it is dropped; [`Lease::end`] tells what failed. A
/// process that is killed ends nothing: a disk attached by HotAdd stays attached, a lock folder
/// stays, and a host may keep the link.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Keeps the links of a lab disk from being merged away, and from others who write.
    _hold: Option<DiskHold>,
    /// The link to the host, for NBD and NBDSSL.
    link: Option<NfcLink>,
    /// The device of the proxy, for HotAdd.
    attached: Attached,
    /// The lock of a local disk.
    _local: Option<LocalLock>,
    /// The disk of the lab that was opened for writing.
    written: Option<Written>,
}

/// A disk of the lab that is open for writing.
#[derive(Debug)]
struct Written {
    lab: Lab,
    vm: String,
    /// Datastore path of the link.
    file: String,
    /// Content id of the file when it was opened.
    content_id: u32,
}

impl Lease {
    /// The lease of a local disk.
    pub(crate) fn local(lock: Option<LocalLock>) -> Self {
        Self {
            _local: lock,
            ..Self::default()
        }
    }

    /// The lease of a disk of the lab.
    pub(crate) fn held(hold: DiskHold) -> Self {
        Self {
            _hold: Some(hold),
            ..Self::default()
        }
    }

    /// Adds a hold.
    pub(crate) fn with_hold(self, hold: DiskHold) -> Self {
        Self {
            _hold: Some(hold),
            ..self
        }
    }

    /// Adds the link to the host.
    pub(crate) fn with_link(mut self, link: NfcLink) -> Self {
        self.link = Some(link);
        self
    }

    /// Adds the device of the proxy.
    pub(crate) fn with_attached(mut self, attached: HotAdded) -> Self {
        self.attached = Attached(Some(attached));
        self
    }

    /// Notes that the disk can be written, and what its file is like before.
    pub(crate) fn with_writing(
        mut self,
        lab: &Lab,
        vm: &str,
        file: &str,
        disk: &vmdk::Disk,
    ) -> Self {
        self.written = Some(Written {
            lab: lab.clone(),
            vm: vm.to_owned(),
            file: file.to_owned(),
            content_id: disk.descriptor().cid,
        });
        self
    }

    /// The program used the disk: the host hears of it.
    pub(crate) fn heard(&self) {
        if let Some(link) = &self.link {
            link.heard();
        }
    }

    /// Ends the lease: tells the lab of writes, and detaches the disk from the proxy.
    ///
    /// # Errors
    ///
    /// What the lab answers; the lease is over all the same, but for a disk that cannot be
    /// detached.
    pub(crate) fn end(mut self, image: &Image) -> Result<(), Failure> {
        let told = self.tell_writes(image);
        let detached = self.attached.detach();
        told.and(detached)
    }

    fn tell_writes(&mut self, image: &Image) -> Result<(), Failure> {
        let Some(written) = self.written.take() else {
            return Ok(());
        };
        let now = image.with(|disk| Ok(disk.descriptor().cid))?;
        if now != written.content_id {
            written.lab.disk_written(&written.vm, &written.file)?;
        }
        Ok(())
    }
}

/// A disk on the proxy, detached when it is dropped.
#[derive(Debug, Default)]
struct Attached(Option<HotAdded>);

impl Attached {
    fn detach(&mut self) -> Result<(), Failure> {
        match self.0.take() {
            Some(attached) => Ok(attached.detach()?),
            None => Ok(()),
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Err(failure) = self.detach() {
            let message = log::c_text(&failure.message);
            log::warn(
                c"VixDiskLib: the disk stays attached: %s\n",
                &[Arg::Text(&message)],
            );
        }
    }
}
