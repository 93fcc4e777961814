//! The vSphere side of a run: the client, the library, and how both log in.

use std::time::Duration;

use tokio::runtime::Handle;
use vddk::{ConnectParams, Library};

use super::{error::Error, hot_add::HotAdd};
use crate::{
    secret::Secret,
    vsphere::{self, Client, Moref, TaskInfo, TaskRef, Vm},
};

/// Everything needed to reach one VM.
#[derive(Debug)]
pub struct Site {
    /// The logged-in SOAP client.
    pub client: Client,
    /// VixDiskLib, started.
    pub library: Library,
    /// Keeps the library's clean-up and disks open by HotAdd apart.
    pub hot_add: HotAdd,
    /// Where async calls run.
    pub runtime: Handle,
    /// The user's name, for VDDK's own logins.
    pub user: String,
    /// The password, for VDDK's own logins.
    pub password: Secret,
    /// The longest that a task may take.
    pub task_time_out: Duration,
}

impl Site {
    /// Login data for VDDK. It wants the SHA-1 thumbprint of the very certificate we speak to.
    ///
    /// # Errors
    /// [`vddk::Error::Argument`] when a text cannot be passed to C.
    pub fn connect_params(&self, vm: &Moref) -> Result<ConnectParams, vddk::Error> {
        ConnectParams::builder()
            .server(self.client.server().host())
            .port(self.client.server().port())
            .thumbprint(self.client.thumbprints().sha1.to_string())
            .user(
                &self.user,
                vddk::Secret::new(self.password.expose().to_owned()),
            )
            .vm_moref(&vm.id)
            .build()
    }

    /// Waits for a task to its end. It is not cut short by a signal: what the task makes must be
    /// known so that it can be undone.
    ///
    /// # Errors
    /// The task's fault, or that it did not end in time.
    pub fn wait(&self, task: &TaskRef) -> Result<TaskInfo, vsphere::Error> {
        let mut progress = |_| {};
        self.runtime.block_on(self.client.wait_task(
            task,
            self.task_time_out,
            &mut progress,
            &|| false,
        ))
    }

    /// The name of the server, under which ledgers, locks and the repository keep the VM: the instance
    /// UUID of a vCenter. A bare host has none and goes by the UUID of its hardware, for its address may
    /// be typed in several ways; only where that is not told, by the address.
    ///
    /// # Errors
    /// When the host cannot be asked.
    pub fn server_name(&self, vm: &Vm) -> Result<String, Error> {
        if let Some(uuid) = &self.client.about().instance_uuid {
            return Ok(uuid.clone());
        }
        let address = || self.client.server().host().to_owned();
        let Some(host) = &vm.host else {
            return Ok(address());
        };
        let hosts = self.client.hosts(std::slice::from_ref(host));
        match self.runtime.block_on(hosts) {
            Ok(mut found) => {
                let uuid = found.pop().and_then(|(_, host)| host.uuid);
                Ok(uuid.unwrap_or_else(address))
            }
            Err(error) if error.fault_type() == Some("NoPermission") => Ok(address()),
            // With the address in its place the same host would go by two names.
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Site::ask`]; `None` when the call takes longer.
    ///
    /// # Errors
    /// Those of the call.
    pub fn ask_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, vsphere::Error>>,
    ) -> Result<Option<T>, Error> {
        let within = async { tokio::time::timeout(limit, call).await };
        match self.runtime.block_on(within) {
            Ok(answer) => Ok(Some(answer?)),
            Err(_) => Ok(None),
        }
    }

    /// Runs an async call of the client.
    ///
    /// # Errors
    /// Those of the call.
    pub fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, vsphere::Error>>,
    ) -> Result<T, Error> {
        Ok(self.runtime.block_on(call)?)
    }
}
