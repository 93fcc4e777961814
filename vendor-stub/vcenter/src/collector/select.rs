//! Which objects a filter selects: start objects and what traversal reaches from them.

use std::collections::{HashMap, HashSet};

use crate::schema::{Version, check_path, schema};
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

use super::asked::wanted;

/// An object reached, whether it is only passed through, and the steps from it.
type Reached<'a> = (MoRef, bool, &'a [Value]);

/// What a filter selects.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The objects in the order they are reached, each once.
    pub(super) objects: Vec<MoRef>,
    /// Start objects that do not exist.
    pub(super) missing: Vec<MoRef>,
}

/// Walks one `PropertyFilterSpec`.
pub(super) struct Selection<'a> {
    world: &'a World<'a>,
    /// Named traversals of the whole filter, since a name may be used before it is given.
    named: HashMap<&'a str, &'a DataObject>,
    /// Steps done: object and traversal. They end recursion.
    done: HashSet<(MoRef, *const DataObject)>,
    listed: HashSet<MoRef>,
    selected: Selected,
}

impl<'a> Selection<'a> {
    /// The objects of a filter.
    pub(super) fn of(world: &'a World<'a>, filter: &'a DataObject) -> Result<Selected, Fault> {
        let starts = filter.get_items("objectSet").iter();
        let starts: Vec<&DataObject> = starts.filter_map(Value::object).collect();
        let mut named = HashMap::new();
        for start in &starts {
            collect_names(world.dialect.version, start, &mut named)?;
        }
        let mut selection = Self {
            world,
            named,
            done: HashSet::new(),
            listed: HashSet::new(),
            selected: Selected::default(),
        };
        for start in starts {
            selection.start(start)?;
        }
        Ok(selection.selected)
    }

    fn start(&mut self, start: &'a DataObject) -> Result<(), Fault> {
        let Some(reference) = start.get_reference("obj") else {
            return Ok(());
        };
        let Some(object) = self.world.known(reference)? else {
            self.selected.missing.push(reference.clone());
            return Ok(());
        };
        self.visit(object, start.get_flag("skip"), start.get_items("selectSet"))
    }

    fn visit(&mut self, object: MoRef, skip: bool, steps: &'a [Value]) -> Result<(), Fault> {
        // A work list, not recursion: how deep it goes is the client's choice.
        let mut open = vec![(object, skip, steps)];
        while let Some((object, skip, steps)) = open.pop() {
            let mut next = Vec::new();
            for step in steps.iter().filter_map(Value::object) {
                let step = self.resolve(step)?;
                if self.applies(&object, step) {
                    next.extend(self.follow(&object, step)?);
                }
            }
            if !skip && self.listed.insert(object.clone()) {
                self.selected.objects.push(object);
            }
            open.extend(next.into_iter().rev());
        }
        Ok(())
    }

    fn resolve(&self, step: &'a DataObject) -> Result<&'a DataObject, Fault> {
        if step.type_name == "TraversalSpec" {
            return Ok(step);
        }
        let name = step.get_text("name").unwrap_or_default();
        self.named
            .get(name)
            .copied()
            .ok_or_else(|| Fault::invalid_argument("specSet.objectSet.selectSet.name"))
    }

    fn applies(&mut self, object: &MoRef, step: &'a DataObject) -> bool {
        let wanted = step.get_text("type").unwrap_or_default();
        schema().is_a(&object.type_name, wanted)
            && self.done.insert((object.clone(), std::ptr::from_ref(step)))
    }

    fn follow(&self, object: &MoRef, step: &'a DataObject) -> Result<Vec<Reached<'a>>, Fault> {
        let path = step.get_text("path").unwrap_or_default();
        let Some(object) = self.world.object_with(object, &wanted(&[path]))? else {
            return Ok(Vec::new());
        };
        let value = object
            .properties
            .at(path)
            .map_err(|_| Fault::invalid_property(path))?;
        let mut reached = Vec::new();
        for target in value.map(Value::targets).unwrap_or_default() {
            if let Some(object) = self.world.known(target)? {
                reached.push((object, step.get_flag("skip"), step.get_items("selectSet")));
            }
        }
        Ok(reached)
    }
}

/// Gathers named traversals and checks their types and paths on the way.
fn collect_names<'a>(
    version: Version,
    holder: &'a DataObject,
    named: &mut HashMap<&'a str, &'a DataObject>,
) -> Result<(), Fault> {
    for step in holder
        .get_items("selectSet")
        .iter()
        .filter_map(Value::object)
    {
        if step.type_name != "TraversalSpec" {
            continue;
        }
        let wanted = step.get_text("type").unwrap_or_default();
        let path = step.get_text("path").unwrap_or_default();
        if schema().named(wanted).is_none() {
            return Err(Fault::invalid_argument("specSet.objectSet.selectSet.type"));
        }
        check_path(version, wanted, path).map_err(|_| Fault::invalid_property(path))?;
        if let Some(name) = step.get_text("name") {
            named.insert(name, step);
        }
        collect_names(version, step, named)?;
    }
    Ok(())
}
