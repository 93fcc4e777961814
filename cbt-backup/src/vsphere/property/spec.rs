//! What the property collector is asked: which properties of which objects, and the way there.
//!
//! The collector starts at the objects of [`ObjectSpec`] and walks along references by
//! [`TraversalSpec`]. A [`Selection::Named`] stands for the traversal of that name anywhere in
//! the same filter, which is how a walk recurses ("vSphere API reference", 4.2).

use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;

/// The step from a folder to what it holds, which goes on along itself.
const FOLDER: &str = "folderTSpec";

/// Which properties of one managed type are wanted. A base type means its derived types too:
/// `ComputeResource` also matches clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySpec {
    /// The managed type.
    pub kind: String,
    /// Everything there is; very large for most types.
    pub all: bool,
    /// Paths such as `config.hardware.device`; none at all (without `all`) means bare
    /// references. A path can't go through a reference.
    pub paths: Vec<String>,
}

impl PropertySpec {
    /// The properties `paths` of objects of the type `kind`.
    pub fn new(kind: impl Into<String>, paths: &[&str]) -> Self {
        Self {
            kind: kind.into(),
            all: false,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }
    }
}

/// One step of the collector's walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The traversal of this name, defined elsewhere in the filter.
    Named(String),
    /// This traversal.
    Traversal(TraversalSpec),
}

impl From<TraversalSpec> for Selection {
    fn from(traversal: TraversalSpec) -> Self {
        Self::Traversal(traversal)
    }
}

/// From an object of one type along one of its properties to other objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraversalSpec {
    /// What a [`Selection::Named`] calls it.
    pub name: Option<String>,
    /// The managed type it leaves from.
    pub kind: String,
    /// The property that holds the references.
    pub path: String,
    /// Walk through the objects found, but do not report them.
    pub skip: bool,
    /// How it goes on from the objects found.
    pub select: Vec<Selection>,
}

impl TraversalSpec {
    /// The traversal `name` from objects of the type `kind` along `path`, whose objects are
    /// reported.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            kind: kind.into(),
            path: path.into(),
            skip: false,
            select: Vec::new(),
        }
    }

    /// The same, going on along the traversals of these names.
    #[must_use]
    pub fn then_named(mut self, names: &[&str]) -> Self {
        let named = names
            .iter()
            .map(|name| Selection::Named((*name).to_owned()));
        self.select.extend(named);
        self
    }

    /// The same, going on along `traversal`.
    #[must_use]
    pub fn then(mut self, traversal: Self) -> Self {
        self.select.push(traversal.into());
        self
    }
}

/// Where the collector starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSpec {
    /// The object.
    pub object: Moref,
    /// Start there, but do not report it.
    pub skip: bool,
    /// How it goes on from there.
    pub select: Vec<Selection>,
}

/// A whole question to the property collector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyFilterSpec {
    /// What is wanted of the objects met.
    pub properties: Vec<PropertySpec>,
    /// The objects to start from.
    pub objects: Vec<ObjectSpec>,
    /// Leave out (and, when waiting for changes, report) an object that is not there, instead
    /// of refusing the whole question. The server's default is to refuse.
    pub report_missing: Option<bool>,
}

impl PropertyFilterSpec {
    /// Properties of one object.
    pub fn of_object(object: &Moref, paths: &[&str]) -> Self {
        Self::of_objects(
            [object],
            vec![PropertySpec::new(object.kind.as_str(), paths)],
        )
    }

    /// Properties of several objects, without going on from them.
    pub fn of_objects<'a>(
        objects: impl IntoIterator<Item = &'a Moref>,
        properties: Vec<PropertySpec>,
    ) -> Self {
        let start = |object: &Moref| ObjectSpec {
            object: object.clone(),
            skip: false,
            select: Vec::new(),
        };
        Self {
            properties,
            objects: objects.into_iter().map(start).collect(),
            report_missing: None,
        }
    }

    /// Properties of all members of a container view ("vSphere API reference", 4.1).
    pub fn of_view(view: &Moref, properties: Vec<PropertySpec>) -> Self {
        let members = TraversalSpec::new("traverseEntities", "ContainerView", "view");
        Self {
            properties,
            objects: vec![ObjectSpec {
                object: view.clone(),
                skip: true,
                select: vec![members.into()],
            }],
            report_missing: None,
        }
    }

    /// Properties of everything below `container`, which may be anything that holds others, found
    /// by walking: what [`of_view`](Self::of_view) gives, where the server makes no views. A
    /// container in itself is not reported.
    pub fn of_walk(container: &Moref, properties: Vec<PropertySpec>) -> Self {
        Self {
            properties,
            objects: vec![ObjectSpec {
                object: container.clone(),
                skip: true,
                select: walk_from_anywhere().map(Selection::from).to_vec(),
            }],
            report_missing: None,
        }
    }

    /// Properties of everything below a folder, found by walking from it: the form that needs
    /// no view ("vSphere API reference", 4.2). The folder itself is reported too.
    pub fn of_tree(folder: &Moref, properties: Vec<PropertySpec>) -> Self {
        Self {
            properties,
            objects: vec![ObjectSpec {
                object: folder.clone(),
                skip: false,
                select: vec![folder_walk().into()],
            }],
            report_missing: None,
        }
    }
}

/// The steps of the walk side by side, so that it can begin at any of them. Each is defined before
/// it is named, which not every server wants.
fn walk_from_anywhere() -> [TraversalSpec; 10] {
    let step = TraversalSpec::new;
    let folders = |name, path| step(name, "Datacenter", path).then_named(&[FOLDER]);
    [
        step(FOLDER, "Folder", "childEntity").then_named(&[
            FOLDER,
            "dc2vmFolder",
            "dc2hostFolder",
            "dc2datastoreFolder",
            "dc2networkFolder",
            "cr2resourcePool",
            "cr2host",
            "rp2rp",
            "rp2vm",
            "vapp2vm",
        ]),
        folders("dc2vmFolder", "vmFolder"),
        folders("dc2hostFolder", "hostFolder"),
        folders("dc2datastoreFolder", "datastoreFolder"),
        folders("dc2networkFolder", "networkFolder"),
        step("cr2resourcePool", "ComputeResource", "resourcePool").then_named(&["rp2rp", "rp2vm"]),
        step("cr2host", "ComputeResource", "host"),
        step("rp2rp", "ResourcePool", "resourcePool").then_named(&["rp2rp", "rp2vm"]),
        step("rp2vm", "ResourcePool", "vm"),
        step("vapp2vm", "VirtualApp", "vm"),
    ]
}

/// The walk over folders, datacenters, compute resources, resource pools and vApps.
fn folder_walk() -> TraversalSpec {
    TraversalSpec::new(FOLDER, "Folder", "childEntity")
        .then_named(&[FOLDER])
        .then(TraversalSpec::new("dc2vmFolder", "Datacenter", "vmFolder").then_named(&[FOLDER]))
        .then(TraversalSpec::new("dc2hostFolder", "Datacenter", "hostFolder").then_named(&[FOLDER]))
        .then(
            TraversalSpec::new("cr2resourcePool", "ComputeResource", "resourcePool")
                .then_named(&["rp2rp", "rp2vm"]),
        )
        .then(TraversalSpec::new("cr2host", "ComputeResource", "host"))
        .then(
            TraversalSpec::new("rp2rp", "ResourcePool", "resourcePool")
                .then_named(&["rp2rp", "rp2vm"]),
        )
        .then(TraversalSpec::new("rp2vm", "ResourcePool", "vm"))
        .then(TraversalSpec::new("vapp2vm", "VirtualApp", "vm"))
}

/// Writes `spec` as the element `name`, in the order of the schema ("vSphere API reference",
/// 1.6).
pub(in crate::vsphere) fn write_filter_spec(
    mut operation: Operation,
    name: &str,
    spec: &PropertyFilterSpec,
) -> Operation {
    operation = operation.open(name);
    for wanted in &spec.properties {
        operation = operation
            .open("propSet")
            .text("type", &wanted.kind)
            .boolean("all", wanted.all);
        for path in &wanted.paths {
            operation = operation.text("pathSet", path);
        }
        operation = operation.close("propSet");
    }
    for start in &spec.objects {
        operation = operation
            .open("objectSet")
            .moref("obj", &start.object)
            .boolean("skip", start.skip);
        operation = write_selections(operation, &start.select).close("objectSet");
    }
    if let Some(report_missing) = spec.report_missing {
        operation = operation.boolean("reportMissingObjectsInResults", report_missing);
    }
    operation.close(name)
}

fn write_selections(operation: Operation, selections: &[Selection]) -> Operation {
    selections
        .iter()
        .fold(operation, |operation, selection| match selection {
            Selection::Named(name) => operation
                .open_typed("selectSet", "SelectionSpec")
                .text("name", name)
                .close("selectSet"),
            Selection::Traversal(traversal) => write_traversal(operation, traversal),
        })
}

fn write_traversal(mut operation: Operation, traversal: &TraversalSpec) -> Operation {
    operation = operation.open_typed("selectSet", "TraversalSpec");
    if let Some(name) = &traversal.name {
        operation = operation.text("name", name);
    }
    operation = operation
        .text("type", &traversal.kind)
        .text("path", &traversal.path)
        .boolean("skip", traversal.skip);
    write_selections(operation, &traversal.select).close("selectSet")
}
