//! The VMs that are meant, page by page.

use std::collections::HashMap;

use super::VmSummary;
use super::entity::Entity;
use super::places::{MAX_CANDIDATES, Places};
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::near::near;
use crate::vsphere::property::{Found, Pager};
use crate::vsphere::selector::{Rule, Selector, VmSelection, one_form, uuid_digits};
use crate::vsphere::vm::unescape_name;

/// The VMs of a [`VmSelection`], in the order of the server, a page at a time: a large
/// inventory is never in memory at once.
#[must_use = "nothing is asked before the first page is"]
pub struct VmPages {
    pager: Pager<Entity>,
    pick: Pick,
}

impl std::fmt::Debug for VmPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VmPages").finish_non_exhaustive()
    }
}

impl VmPages {
    pub(super) fn new(pager: Pager<Entity>, pick: Pick) -> Self {
        Self { pager, pick }
    }

    /// The next VMs that are meant; nothing at the end. Whether each selector means as many as
    /// it should is known at the end only.
    ///
    /// # Errors
    ///
    /// At the end [`Error::VmNotFound`] with names that are near, [`Error::VmAmbiguous`] if
    /// several VMs answer to the name of one, [`Error::NothingSelected`] for a group without
    /// VMs; any failure of the calls.
    pub async fn next(&mut self) -> Result<Option<Vec<VmSummary>>, Error> {
        while let Some(page) = self.pager.next().await? {
            let picked = self.pick.page(page);
            if !picked.is_empty() {
                return Ok(Some(picked));
            }
        }
        self.pick.finish()?;
        Ok(None)
    }

    /// Ends the list before its end.
    pub async fn close(self) {
        self.pager.close().await;
    }
}

/// Decides which VMs are meant.
#[derive(Debug)]
pub(super) struct Pick {
    places: Places,
    include: Vec<Wanted>,
    exclude: Vec<Wanted>,
}

/// A selector while VMs are compared with it.
#[derive(Debug)]
struct Wanted {
    selector: Selector,
    /// For a selector by place: these.
    targets: Vec<Moref>,
    /// For one by attribute: its number.
    attribute: Option<i32>,
    hits: usize,
    /// The first ones that answered.
    candidates: Vec<String>,
    /// Names much like it, while nothing answers.
    near: Vec<String>,
}

impl Pick {
    /// Looks the places of the selectors up. `attributes` are the custom attributes by name.
    ///
    /// # Errors
    ///
    /// [`Error::PlaceNotFound`], [`Error::PlaceAmbiguous`], [`Error::NoSuchAttribute`].
    pub(super) fn new(
        places: Places,
        selection: &VmSelection,
        attributes: &HashMap<String, i32>,
    ) -> Result<Self, Error> {
        let resolve = |selectors: &[Selector]| {
            let wanted = |selector| Wanted::new(selector, &places, attributes);
            selectors.iter().map(wanted).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            include: resolve(&selection.include)?,
            exclude: resolve(&selection.exclude)?,
            places,
        })
    }

    /// The VMs of a page that are meant.
    pub(super) fn page(&mut self, page: Vec<Found<Entity>>) -> Vec<VmSummary> {
        let is_vm = |found: &Found<Entity>| found.moref.kind == "VirtualMachine";
        let vms = page.into_iter().filter(is_vm);
        vms.filter_map(|found| self.vm(&found)).collect()
    }

    fn vm(&mut self, found: &Found<Entity>) -> Option<VmSummary> {
        let places = &self.places;
        let path = places.vm_path(&found.properties);
        let name = unescape_name(&found.properties.name);
        let candidate = Candidate {
            vm: found,
            name: &name,
            path: &path,
        };
        let mut is_meant = self.include.is_empty();
        for wanted in &mut self.include {
            is_meant |= wanted.take(&candidate, places);
        }
        let is_left_out = |wanted: &Wanted| wanted.matches(&candidate, places);
        if !is_meant || self.exclude.iter().any(is_left_out) {
            return None;
        }
        Some(summary(found, name, path, places))
    }

    /// Whether each selector meant as many as it should.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        for wanted in &mut self.include {
            let text = wanted.selector.as_str().to_owned();
            match (wanted.hits, wanted.selector.means_one()) {
                (0, true) => {
                    let near = std::mem::take(&mut wanted.near);
                    return Err(Error::VmNotFound { wanted: text, near });
                }
                (0, false) => return Err(Error::NothingSelected { wanted: text }),
                (2.., true) => {
                    let mut candidates = std::mem::take(&mut wanted.candidates);
                    candidates.sort();
                    let left = wanted.hits - candidates.len();
                    if left > 0 {
                        candidates.push(format!("and {left} more"));
                    }
                    return Err(Error::VmAmbiguous {
                        wanted: text,
                        candidates,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A VM that may be meant.
struct Candidate<'c> {
    vm: &'c Found<Entity>,
    name: &'c str,
    path: &'c str,
}

impl Wanted {
    fn new(
        selector: &Selector,
        places: &Places,
        attributes: &HashMap<String, i32>,
    ) -> Result<Self, Error> {
        let targets = match &selector.rule {
            Rule::Below(kind, target) => places.find(*kind, target)?,
            _ => Vec::new(),
        };
        let attribute = match &selector.rule {
            Rule::Attribute(name, _) => {
                let key = attributes.get(name).ok_or_else(|| Error::NoSuchAttribute {
                    wanted: name.clone(),
                    near: near(name, attributes.keys().map(String::as_str)),
                })?;
                Some(*key)
            }
            _ => None,
        };
        Ok(Self {
            selector: selector.clone(),
            targets,
            attribute,
            hits: 0,
            candidates: Vec::new(),
            near: Vec::new(),
        })
    }

    /// True if it means the VM, which is then counted.
    fn take(&mut self, candidate: &Candidate<'_>, places: &Places) -> bool {
        if self.matches(candidate, places) {
            self.hits += 1;
            if self.candidates.len() < MAX_CANDIDATES && self.selector.means_one() {
                let id = &candidate.vm.moref.id;
                self.candidates.push(format!("{} ({id})", candidate.path));
            }
            return true;
        }
        if self.hits == 0 && self.selector.means_one() {
            let text = self.selector.as_str().trim_start_matches('/');
            let known = self.near.iter().map(String::as_str);
            let names = known.chain([candidate.name, candidate.path]);
            self.near = near(text, names);
        }
        false
    }

    fn matches(&self, candidate: &Candidate<'_>, places: &Places) -> bool {
        let vm = &candidate.vm.properties;
        let id = &candidate.vm.moref.id;
        let has_uuid = |digits: &str| {
            let uuids = vm.instance_uuid.iter().chain(&vm.bios_uuid);
            let mut uuids = uuids.filter_map(|uuid| uuid_digits(uuid));
            uuids.any(|uuid| uuid == digits)
        };
        match &self.selector.rule {
            Rule::Word(word) => {
                id == word
                    || candidate.name == word
                    || (word.contains('/') && candidate.path == one_form(word))
                    || candidate.path == word
                    || uuid_digits(word).is_some_and(|digits| has_uuid(&digits))
            }
            Rule::Name(name) => candidate.name == name,
            Rule::Path(path) => candidate.path == path,
            Rule::Id(wanted) => id == wanted,
            Rule::Uuid(digits) => has_uuid(digits),
            Rule::Names(pattern) => pattern.matches(candidate.name),
            Rule::Paths(pattern) => pattern.matches(&format!("/{}", candidate.path)),
            Rule::Below(kind, _) => places.is_below(*kind, vm, &self.targets),
            Rule::Attribute(_, pattern) => {
                let mut values = vm.attributes.iter();
                values.any(|(key, value)| Some(*key) == self.attribute && pattern.matches(value))
            }
        }
    }
}

fn summary(found: &Found<Entity>, name: String, path: String, places: &Places) -> VmSummary {
    let vm = &found.properties;
    let named = |place: &Option<Moref>| place.as_ref().and_then(|place| places.name(place));
    let path_of = |place: &Moref| Some(places.path(place)).filter(|path| !path.is_empty());
    let datastores = vm.datastores.iter();
    VmSummary {
        moref: found.moref.clone(),
        name,
        path,
        folder: places.path_to_vm(vm),
        host: named(&vm.host),
        cluster: places.cluster(vm).and_then(|cluster| places.name(cluster)),
        pool: vm.pool.as_ref().and_then(path_of),
        vapp: places.vapp(vm).and_then(|vapp| places.name(vapp)),
        datastores: datastores.filter_map(|place| places.name(place)).collect(),
        power_state: vm.power_state.clone(),
        connection_state: vm.connection_state.clone(),
        bios_uuid: vm.bios_uuid.clone(),
        instance_uuid: vm.instance_uuid.clone(),
        is_template: vm.is_template,
        change_tracking_enabled: vm.change_tracking_enabled,
    }
}
