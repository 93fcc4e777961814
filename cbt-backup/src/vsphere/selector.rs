//! Selectors: how a person says which VMs are meant.
//!
//! ```text
//! app01                     name, path, id or UUID of one VM
//! /DC0/vm/Prod/app01        its path in the inventory
//! name:  path:  moref:  uuid:               the same, said clearly
//! glob:app*  re:^app\d+$                    names by pattern; paths where the pattern has a slash
//! folder:  pool:  vapp:  cluster:  host:  datastore:    all below a place, by its name, path or id
//! attr:Backup=daily         by a custom attribute; the value may be a pattern
//! ```
//!
//! Names may hold `/`, `\` and `%`. In paths these are written `%2f`, `%5c` and `%25`, as the
//! API does and as lists of this program show them ("vsphere-api.md" 1.7).

mod pattern;

use std::fmt;
use std::str::FromStr;

pub(super) use pattern::Pattern;

use super::error::Error;
use super::vm::{escape_name, unescape_name};

/// Places that hold VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaceKind {
    /// A folder or a datacenter.
    Folder,
    /// A resource pool.
    Pool,
    /// A vApp.
    Vapp,
    /// A cluster, or a host that stands alone.
    Cluster,
    /// A host.
    Host,
    /// A datastore, or a cluster of them.
    Datastore,
}

impl fmt::Display for PlaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "folder",
            Self::Pool => "resource pool",
            Self::Vapp => "vApp",
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::Datastore => "datastore",
        })
    }
}

/// What a selector asks for.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Name, path, id or UUID of one VM.
    Word(String),
    /// The name of one VM.
    Name(String),
    /// The path of one VM, in its one form, without the first slash.
    Path(String),
    /// The id of one VM.
    Id(String),
    /// The BIOS or instance UUID of one VM, 32 digits.
    Uuid(String),
    /// Names that follow a pattern.
    Names(Pattern),
    /// Paths that follow a pattern.
    Paths(Pattern),
    /// All below a place.
    Below(PlaceKind, Target),
    /// A custom attribute and its value.
    Attribute(String, Pattern),
}

/// Which place is meant.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// The one with this name, path or id.
    Word(String),
    /// All whose name follows the pattern.
    Names(Pattern),
    /// All whose path follows the pattern.
    Paths(Pattern),
}

/// Which VMs are meant, in the words of a person.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    pub(super) rule: Rule,
}

impl Selector {
    /// The text it was made from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if one VM is meant, not a group: several are then an error.
    pub fn means_one(&self) -> bool {
        matches!(
            self.rule,
            Rule::Word(_) | Rule::Name(_) | Rule::Path(_) | Rule::Id(_) | Rule::Uuid(_)
        )
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Selector {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::BadSelector`] for a pattern or UUID that is none, or an empty text.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::BadSelector {
            given: text.to_owned(),
            why,
        };
        let rule = match text.split_once(':') {
            Some((prefix, rest)) => prefixed(prefix, rest).map_err(bad)?,
            None => None,
        };
        let rule = rule.unwrap_or_else(|| match text.strip_prefix('/') {
            Some(path) => Rule::Path(one_form(path)),
            None => Rule::Word(text.to_owned()),
        });
        let is_empty = match &rule {
            Rule::Word(text) | Rule::Name(text) | Rule::Path(text) | Rule::Id(text) => {
                text.is_empty()
            }
            Rule::Below(_, Target::Word(text)) => text.is_empty(),
            _ => false,
        };
        if is_empty {
            return Err(bad("it says nothing".to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            rule,
        })
    }
}

/// The rule behind a known prefix. A colon may also just stand in a name.
fn prefixed(prefix: &str, rest: &str) -> Result<Option<Rule>, String> {
    let below = |kind| Ok(Some(Rule::Below(kind, target(rest)?)));
    match prefix {
        "name" => Ok(Some(Rule::Name(rest.to_owned()))),
        "path" => Ok(Some(Rule::Path(one_form(rest)))),
        "moref" => Ok(Some(Rule::Id(id(rest, "VirtualMachine").to_owned()))),
        "uuid" => match uuid_digits(rest) {
            Some(digits) => Ok(Some(Rule::Uuid(digits))),
            None => Err("a UUID has 32 hexadecimal digits".to_owned()),
        },
        "glob" if rest.contains('/') => Ok(Some(Rule::Paths(Pattern::path_glob(rest)?))),
        "glob" => Ok(Some(Rule::Names(Pattern::glob(rest)?))),
        "re" if rest.contains('/') => Ok(Some(Rule::Paths(Pattern::regex(rest)?))),
        "re" => Ok(Some(Rule::Names(Pattern::regex(rest)?))),
        "folder" => below(PlaceKind::Folder),
        "pool" => below(PlaceKind::Pool),
        "vapp" => below(PlaceKind::Vapp),
        "cluster" => below(PlaceKind::Cluster),
        "host" => below(PlaceKind::Host),
        "datastore" => below(PlaceKind::Datastore),
        "attr" => match rest.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Some(Rule::Attribute(
                name.to_owned(),
                Pattern::glob(value)?,
            ))),
            _ => Err("attr:NAME=VALUE is expected".to_owned()),
        },
        _ => Ok(None),
    }
}

fn target(text: &str) -> Result<Target, String> {
    match (text.contains(['*', '?']), text.contains('/')) {
        (true, true) => Ok(Target::Paths(Pattern::path_glob(text)?)),
        (true, false) => Ok(Target::Names(Pattern::glob(text)?)),
        (false, _) => Ok(Target::Word(text.to_owned())),
    }
}

/// An id that may come with its type before it.
fn id<'t>(text: &'t str, kind: &str) -> &'t str {
    let rest = text
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix(':'));
    rest.unwrap_or(text)
}

/// A path as it is compared: names escaped as the API does it, without slashes around it.
pub(super) fn one_form(path: &str) -> String {
    let names = path.split('/').filter(|name| !name.is_empty());
    let names: Vec<String> = names
        .map(|name| escape_name(&unescape_name(name)))
        .collect();
    names.join("/")
}

/// The digits of a UUID in lower case, whatever stands between them.
pub(super) fn uuid_digits(text: &str) -> Option<String> {
    let text = text.trim_matches(['{', '}']);
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let is_uuid = digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_uuid.then_some(digits)
}

/// Which VMs a command works on.
#[derive(Debug, Clone, Default)]
pub struct VmSelection {
    /// The wanted ones; all if there is no selector.
    pub include: Vec<Selector>,
    /// Those of them that are left out.
    pub exclude: Vec<Selector>,
}

impl VmSelection {
    /// All VMs.
    pub fn all() -> Self {
        Self::default()
    }

    /// What the texts say.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`] for a text that is no selector.
    pub fn parse(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        let all = |texts: &[String]| -> Result<Vec<Selector>, Error> {
            texts.iter().map(|text| text.parse()).collect()
        };
        Ok(Self {
            include: all(include)?,
            exclude: all(exclude)?,
        })
    }

    /// True if a custom attribute matters.
    pub(super) fn wants_attributes(&self) -> bool {
        let mut all = self.include.iter().chain(&self.exclude);
        all.any(|selector| matches!(selector.rule, Rule::Attribute(..)))
    }
}

#[cfg(test)]
mod tests {
    use super::{PlaceKind, Rule, Selector, Target, one_form, uuid_digits};

    fn rule(text: &str) -> Rule {
        text.parse::<Selector>().unwrap().rule
    }

    #[test]
    fn every_form_of_the_grammar_is_told_apart() {
        assert!(matches!(rule("app01"), Rule::Word(word) if word == "app01"));
        assert!(matches!(rule("/DC0/vm/a%2Fb/"), Rule::Path(path) if path == "DC0/vm/a%2fb"));
        assert!(matches!(rule("path:DC0/vm/x"), Rule::Path(path) if path == "DC0/vm/x"));
        assert!(matches!(rule("name:host:a"), Rule::Name(name) if name == "host:a"));
        assert!(matches!(rule("moref:vm-21"), Rule::Id(id) if id == "vm-21"));
        assert!(matches!(rule("moref:VirtualMachine:vm-21"), Rule::Id(id) if id == "vm-21"));
        assert!(matches!(
            rule("uuid:50201F05-b37c-db69-fda5-fb077e87af04"),
            Rule::Uuid(_)
        ));
        assert!(matches!(rule("glob:app*"), Rule::Names(_)));
        assert!(matches!(rule("glob:/DC0/vm/**"), Rule::Paths(_)));
        assert!(matches!(rule(r"re:^app\d+$"), Rule::Names(_)));
        assert!(matches!(rule("re:^/DC0/vm/Prod/"), Rule::Paths(_)));
        for (text, kind) in [
            ("folder:Prod", PlaceKind::Folder),
            ("pool:Gold", PlaceKind::Pool),
            ("vapp:Shop", PlaceKind::Vapp),
            ("cluster:C1", PlaceKind::Cluster),
            ("host:esx1.example.test", PlaceKind::Host),
            ("datastore:ds 1", PlaceKind::Datastore),
        ] {
            let Rule::Below(found, Target::Word(_)) = rule(text) else {
                panic!("{text}");
            };
            assert_eq!(found, kind);
        }
        assert!(matches!(
            rule("host:esx*"),
            Rule::Below(_, Target::Names(_))
        ));
        assert!(matches!(
            rule("folder:/DC?/vm"),
            Rule::Below(_, Target::Paths(_))
        ));
        assert!(matches!(rule("attr:Backup=daily"), Rule::Attribute(name, _) if name == "Backup"));
        // A colon that is part of a name.
        assert!(matches!(rule("site:app01"), Rule::Word(_)));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "nothing"),
            ("/", "nothing"),
            ("folder:", "nothing"),
            ("uuid:12", "32"),
            ("re:(", "pattern"),
            ("glob:[a", "["),
            ("attr:daily", "NAME=VALUE"),
            ("attr:=daily", "NAME=VALUE"),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn only_names_of_one_vm_are_exact() {
        for (text, one) in [
            ("app01", true),
            ("/DC0/vm/app01", true),
            ("uuid:50201f05-b37c-db69-fda5-fb077e87af04", true),
            ("moref:vm-1", true),
            ("name:a", true),
            ("glob:a", false),
            ("re:a", false),
            ("host:a", false),
            ("attr:a=b", false),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().means_one(), one, "{text}");
        }
    }

    #[test]
    fn paths_and_uuids_have_one_form() {
        assert_eq!(one_form("//DC0//vm/a%2Fb%25"), "DC0/vm/a%2fb%25");
        assert_eq!(one_form("DC0/100%"), "DC0/100%25");
        let digits = "50201f05b37cdb69fda5fb077e87af04";
        for text in [
            "50201F05-B37C-DB69-FDA5-FB077E87AF04",
            "{50201f05-b37c-db69-fda5-fb077e87af04}",
            "50 20 1f 05 b3 7c db 69-fd a5 fb 07 7e 87 af 04",
        ] {
            assert_eq!(uuid_digits(text).as_deref(), Some(digits));
        }
        assert_eq!(uuid_digits("app01"), None);
    }
}
