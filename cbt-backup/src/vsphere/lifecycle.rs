//! A VM made, registered, changed, started, and taken away again; files and disks on datastores.
//!
//! Each call here is made once. After a failure of the transport, look whether it took effect
//! ("vSphere API reference, 1.14").

use super::client::Client;
use super::config_spec::ConfigSpec;
use super::envelope::{nothing, reference};
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::property::Properties;
use super::task::TaskRef;
use super::xml::{Reader, Tag, XmlError};

/// A question that keeps a VM from going on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmQuestion {
    /// Its id, for the answer.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Keys and texts of the answers.
    pub choices: Vec<(String, String)>,
}

/// How the space of a new disk is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provisioning {
    /// When it is written.
    Thin,
    /// At once, zeroed when it is first used.
    Thick,
    /// At once, zeroed at once.
    EagerZeroedThick,
}

impl Provisioning {
    fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Thick => "preallocated",
            Self::EagerZeroedThick => "eagerZeroedThick",
        }
    }
}

impl Client {
    /// Starts making a VM in `folder`. The finished task's result is its reference.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "CreateVM_Task")]
    pub async fn create_vm(
        &self,
        folder: &Moref,
        config: &ConfigSpec,
        pool: &Moref,
        host: Option<&Moref>,
    ) -> Result<TaskRef, Error> {
        let operation = create_vm_operation(folder, config, pool, host);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts registering the VM whose configuration is the file `path`.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "RegisterVM_Task")]
    pub async fn register_vm(
        &self,
        folder: &Moref,
        path: &str,
        name: Option<&str>,
        pool: &Moref,
        host: Option<&Moref>,
    ) -> Result<TaskRef, Error> {
        let operation = register_operation(folder, path, name, pool, host);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts changing a VM. Fields that the spec has not stay as they are.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "ReconfigVM_Task")]
    pub async fn reconfigure(&self, vm: &Moref, spec: &ConfigSpec) -> Result<TaskRef, Error> {
        let operation = reconfigure_operation(vm, spec);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Forgets a VM that is off. Its files stay.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "UnregisterVM")]
    pub async fn unregister_vm(&self, vm: &Moref) -> Result<(), Error> {
        self.write(&Operation::new("UnregisterVM", vm), nothing)
            .await
    }

    /// Starts deleting a VM **with all its files and disks**.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "Destroy_Task")]
    pub async fn destroy_vm(&self, vm: &Moref) -> Result<TaskRef, Error> {
        let operation = Operation::new("Destroy_Task", vm);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts powering a VM on. The task may end before the VM runs: look at its power state.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "PowerOnVM_Task")]
    pub async fn power_on(&self, vm: &Moref) -> Result<TaskRef, Error> {
        let operation = Operation::new("PowerOnVM_Task", vm);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts powering a VM off, as by its switch: the guest is not asked.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "PowerOffVM_Task")]
    pub async fn power_off(&self, vm: &Moref) -> Result<TaskRef, Error> {
        let operation = Operation::new("PowerOffVM_Task", vm);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// The question that a VM waits with, such as whether it was moved or copied.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    pub async fn question(&self, vm: &Moref) -> Result<Option<VmQuestion>, Error> {
        let read: Pending = self.properties(vm, &["runtime.question"]).await?;
        Ok(read.question)
    }

    /// Answers a question by the key of a choice.
    ///
    /// # Errors
    ///
    /// Any failure of the call; a fault `ConcurrentAccess` if it was answered meanwhile.
    #[doc(alias = "AnswerVM")]
    pub async fn answer(&self, vm: &Moref, question_id: &str, choice: &str) -> Result<(), Error> {
        let operation = answer_operation(vm, question_id, choice);
        self.write(&operation, nothing).await
    }

    /// Makes a folder on a datastore, `[datastore] folder`, with those above it. A vCenter wants
    /// the datacenter.
    ///
    /// # Errors
    ///
    /// A fault `FileAlreadyExists`; any failure of the call.
    #[doc(alias = "MakeDirectory")]
    pub async fn make_directory(
        &self,
        path: &str,
        datacenter: Option<&Moref>,
    ) -> Result<(), Error> {
        let manager = self.manager(self.inner.content.file_manager.as_ref(), "MakeDirectory")?;
        let operation = make_directory_operation(manager, path, datacenter);
        self.write(&operation, nothing).await
    }

    /// Starts making a disk that belongs to no VM.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "CreateVirtualDisk_Task")]
    pub async fn create_virtual_disk(
        &self,
        path: &str,
        datacenter: Option<&Moref>,
        provisioning: Provisioning,
        capacity_bytes: u64,
    ) -> Result<TaskRef, Error> {
        let manager = self.inner.content.virtual_disk_manager.as_ref();
        let manager = self.manager(manager, "CreateVirtualDisk_Task")?;
        let kib = capacity_bytes.div_ceil(1024);
        let operation = create_disk_operation(manager, path, datacenter, provisioning, kib);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts deleting a disk, descriptor and extents.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "DeleteVirtualDisk_Task")]
    pub async fn delete_virtual_disk(
        &self,
        path: &str,
        datacenter: Option<&Moref>,
    ) -> Result<TaskRef, Error> {
        let manager = self.inner.content.virtual_disk_manager.as_ref();
        let manager = self.manager(manager, "DeleteVirtualDisk_Task")?;
        let operation = named("DeleteVirtualDisk_Task", manager, path, datacenter);
        self.write(&operation, reference).await.map(TaskRef)
    }

    /// Starts deleting a file, or a folder **with all in it**. Never for one file of a disk.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "DeleteDatastoreFile_Task")]
    pub async fn delete_file(
        &self,
        path: &str,
        datacenter: Option<&Moref>,
    ) -> Result<TaskRef, Error> {
        let manager = self.inner.content.file_manager.as_ref();
        let manager = self.manager(manager, "DeleteDatastoreFile_Task")?;
        let operation = named("DeleteDatastoreFile_Task", manager, path, datacenter);
        self.write(&operation, reference).await.map(TaskRef)
    }

    #[expect(clippy::unused_self, reason = "it reads better at the calls")]
    fn manager<'m>(
        &self,
        manager: Option<&'m Moref>,
        method: &'static str,
    ) -> Result<&'m Moref, Error> {
        manager.ok_or_else(|| Error::BadAnswer {
            method,
            what: "the server has no manager for it".to_owned(),
        })
    }
}

/// The call; the order of its parameters is the schema's.
pub(super) fn create_vm_operation(
    folder: &Moref,
    config: &ConfigSpec,
    pool: &Moref,
    host: Option<&Moref>,
) -> Operation {
    let operation = Operation::new("CreateVM_Task", folder)
        .nodes("config", config.fields())
        .moref("pool", pool);
    with_host(operation, host)
}

/// The call; the order of its parameters is the schema's.
pub(super) fn register_operation(
    folder: &Moref,
    path: &str,
    name: Option<&str>,
    pool: &Moref,
    host: Option<&Moref>,
) -> Operation {
    let operation = Operation::new("RegisterVM_Task", folder).text("path", path);
    let operation = match name {
        Some(name) => operation.text("name", name),
        None => operation,
    };
    let operation = operation.boolean("asTemplate", false).moref("pool", pool);
    with_host(operation, host)
}

fn with_host(operation: Operation, host: Option<&Moref>) -> Operation {
    match host {
        Some(host) => operation.moref("host", host),
        None => operation,
    }
}

/// The call that changes a VM.
pub(super) fn reconfigure_operation(vm: &Moref, spec: &ConfigSpec) -> Operation {
    Operation::new("ReconfigVM_Task", vm).nodes("spec", spec.fields())
}

/// The call that answers a question.
pub(super) fn answer_operation(vm: &Moref, question_id: &str, choice: &str) -> Operation {
    Operation::new("AnswerVM", vm)
        .text("questionId", question_id)
        .text("answerChoice", choice)
}

/// The call; the order of its parameters is the schema's.
pub(super) fn make_directory_operation(
    manager: &Moref,
    path: &str,
    datacenter: Option<&Moref>,
) -> Operation {
    named("MakeDirectory", manager, path, datacenter).boolean("createParentDirectories", true)
}

/// The call; the order of its parameters is the schema's.
pub(super) fn create_disk_operation(
    manager: &Moref,
    path: &str,
    datacenter: Option<&Moref>,
    provisioning: Provisioning,
    capacity_kib: u64,
) -> Operation {
    named("CreateVirtualDisk_Task", manager, path, datacenter)
        .open_typed("spec", "FileBackedVirtualDiskSpec")
        .text("diskType", provisioning.as_str())
        .text("adapterType", "lsiLogic")
        .number(
            "capacityKb",
            i64::try_from(capacity_kib).unwrap_or(i64::MAX),
        )
        .close("spec")
}

/// A call of a manager on one path.
pub(super) fn named(
    method: &'static str,
    manager: &Moref,
    path: &str,
    datacenter: Option<&Moref>,
) -> Operation {
    let operation = Operation::new(method, manager).text("name", path);
    match datacenter {
        Some(datacenter) => operation.moref("datacenter", datacenter),
        None => operation,
    }
}

/// `runtime.question`.
#[derive(Debug, Default)]
pub(super) struct Pending {
    question: Option<VmQuestion>,
}

impl Properties for Pending {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "runtime.question" {
            self.question = Some(read_question(r, value)?);
        }
        Ok(())
    }
}

fn read_question(r: &mut Reader<'_>, tag: &Tag) -> Result<VmQuestion, XmlError> {
    let mut question = VmQuestion::default();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "id" => question.id = r.text(tag)?,
            "text" => question.text = r.text(tag)?,
            "choice" => r.children(tag, |r, tag| {
                if tag.name == "choiceInfo" {
                    let choice = r.node(tag)?;
                    let text = |name: &str| choice.child_text(name).unwrap_or_default().to_owned();
                    question.choices.push((text("key"), text("label")));
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(question)
}
