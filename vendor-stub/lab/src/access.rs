//! Logging in, and disabled methods.

use crate::{DisabledMethod, Error, Lab};

impl Lab {
    /// Checks a login.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLogin`] when user or password are wrong.
    pub fn check_login(&self, user: &str, password: &str) -> Result<(), Error> {
        let site = self.site()?;
        let known = site
            .users
            .iter()
            .any(|known| known.name == user && known.password == password);
        if known {
            Ok(())
        } else {
            Err(Error::InvalidLogin)
        }
    }

    /// Disables methods of a VM in the name of `source_id`. All or none.
    ///
    /// # Errors
    ///
    /// [`Error::MethodAlreadyDisabled`] with the source that did it, be it the same or another.
    pub fn disable_methods(
        &self,
        vm: &str,
        methods: &[&str],
        source_id: &str,
    ) -> Result<(), Error> {
        self.update_vm(vm, |vm| {
            for method in methods {
                if let Some(holder) = vm
                    .disabled_methods
                    .iter()
                    .find(|held| held.method == *method)
                {
                    return Err(Error::MethodAlreadyDisabled {
                        source_id: holder.source_id.clone(),
                    });
                }
            }
            vm.disabled_methods
                .extend(methods.iter().map(|method| DisabledMethod {
                    method: (*method).into(),
                    source_id: source_id.into(),
                }));
            Ok(())
        })
    }

    /// Enables methods again that `source_id` disabled. Others stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM.
    pub fn enable_methods(&self, vm: &str, methods: &[&str], source_id: &str) -> Result<(), Error> {
        self.update_vm(vm, |vm| {
            vm.disabled_methods.retain(|held| {
                held.source_id != source_id || !methods.contains(&held.method.as_str())
            });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Lab, SiteSpec, VmSpec};

    const METHOD: &str = "RelocateVM_Task";

    #[test]
    fn a_login_needs_the_right_user_and_password() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        lab.check_login("backup@vsphere.local", "stand-in").unwrap();
        for (user, password) in [
            ("backup@vsphere.local", "wrong"),
            ("other", "stand-in"),
            ("", ""),
        ] {
            assert!(matches!(
                lab.check_login(user, password),
                Err(Error::InvalidLogin)
            ));
        }
    }

    #[test]
    fn a_disabled_method_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let vm = lab
            .add_vm(VmSpec {
                name: "app01".into(),
                ..VmSpec::default()
            })
            .unwrap()
            .moref;
        lab.disable_methods(&vm, &[METHOD], "one").unwrap();
        for again in ["one", "two"] {
            let refused = lab.disable_methods(&vm, &[METHOD], again);
            assert!(
                matches!(refused, Err(Error::MethodAlreadyDisabled { source_id }) if source_id == "one")
            );
        }
        lab.enable_methods(&vm, &[METHOD], "two").unwrap();
        assert_eq!(lab.vm(&vm).unwrap().disabled_methods.len(), 1);
        lab.enable_methods(&vm, &[METHOD], "one").unwrap();
        assert!(lab.vm(&vm).unwrap().disabled_methods.is_empty());
    }
}
