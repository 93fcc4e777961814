//! Methods of HostDatastoreBrowser ("vSphere API reference", 2.12).

use lab::{FileEntry, FolderListing};

use super::datastore_name::datastore_of;
use super::disk_details::DiskDetails;
use super::dispatch::Call;
use super::snapshot::start_on;
use crate::model::browser_datastore;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};

const RESULTS: &str = "HostDatastoreBrowserSearchResults";

/// SearchDatastore_Task, or SearchDatastoreSubFolders_Task.
pub(super) fn search(call: &Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    let path = call.text("datastorePath").to_owned();
    let datastore = datastore_of(call.world, &path)?;
    let mine = browser_datastore(&call.this.id);
    if mine.is_some_and(|own| own != datastore.id) {
        return Err(Fault::invalid_argument("datastorePath"));
    }
    call.world.demand(&datastore, "Datastore.Browse")?;
    let below = method == "SearchDatastoreSubFolders_Task";
    let names = if below {
        (method, "HostDatastoreBrowser.searchSubFolders")
    } else {
        (method, "HostDatastoreBrowser.search")
    };
    let wanted = Search::of(call.args.get("searchSpec").and_then(Value::object));
    let site = call.world.site()?;
    let name = site.datastore_by_moref(&datastore.id);
    let name = name.map_or_else(String::new, |found| found.name.clone());
    start_on(call, datastore.clone(), &name, names, move |lab| {
        let listed = lab.list_datastore(&path, below)?;
        let results = listed
            .iter()
            .map(|folder| wanted.results(&datastore, folder));
        if below {
            return Ok(Some(Value::objects(RESULTS, results)));
        }
        Ok(results.map(Value::Object).next())
    })
}

/// What is looked for, and how much of it is told.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of the request"
)]
struct Search {
    patterns: Vec<String>,
    /// Types of queries; none = all files.
    queries: Vec<String>,
    ignore_case: bool,
    folders_first: bool,
    types: bool,
    sizes: bool,
    times: bool,
    owners: bool,
    /// What is told of disks.
    disks: DiskDetails,
}

impl Search {
    fn of(spec: Option<&DataObject>) -> Self {
        let Some(spec) = spec else {
            return Self::default();
        };
        let queries = spec.get_items("query").iter().filter_map(Value::object);
        let patterns = spec.get_items("matchPattern").iter();
        let patterns = patterns.filter_map(Value::text).map(str::to_owned);
        let details = spec.get("details").and_then(Value::object);
        let told = |name: &str| details.is_some_and(|details| details.get_flag(name));
        Self {
            patterns: patterns.collect(),
            queries: queries.map(|query| query.type_name.to_string()).collect(),
            ignore_case: spec.get_flag("searchCaseInsensitive"),
            folders_first: spec.get_flag("sortFoldersFirst"),
            types: told("fileType"),
            sizes: told("fileSize"),
            times: told("modification"),
            owners: told("fileOwner"),
            disks: DiskDetails::of(spec),
        }
    }

    fn results(&self, datastore: &MoRef, listing: &FolderListing) -> DataObject {
        let mut entries: Vec<&FileEntry> = listing.entries.iter().collect();
        if self.folders_first {
            entries.sort_by_key(|entry| !entry.is_folder);
        }
        let found = entries.into_iter().filter(|entry| self.wants(entry));
        let files = found.map(|entry| self.info(entry));
        DataObject::new(RESULTS)
            .with("datastore", Value::Reference(datastore.clone()))
            .text("folderPath", &listing.folder)
            .with("file", Value::objects("FileInfo", files))
    }

    fn wants(&self, entry: &FileEntry) -> bool {
        let name = self.folded(&entry.name);
        let fits = |pattern: &String| is_match(&self.folded(pattern), &name);
        if !self.patterns.is_empty() && !self.patterns.iter().any(fits) {
            return false;
        }
        let query = kind_of(entry).replace("FileInfo", "FileQuery");
        self.queries.is_empty()
            || self
                .queries
                .iter()
                .any(|wanted| *wanted == query || wanted == "FileQuery")
    }

    fn folded(&self, text: &str) -> String {
        if self.ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    }

    fn info(&self, entry: &FileEntry) -> DataObject {
        let typed = self.types || !self.queries.is_empty();
        let mut info = DataObject::new(if typed { kind_of(entry) } else { "FileInfo" });
        info = info.text("path", &entry.name);
        if self.sizes {
            info.set("fileSize", Value::long(shown_size(entry)));
        }
        if self.times {
            info.set("modification", Value::time(&entry.modified));
        }
        if self.owners {
            info.set("owner", Value::string("root"));
        }
        if info.type_name == "VmDiskFileInfo" {
            self.disks.tell(&mut info, &entry.path);
        }
        info
    }
}

/// The size of a disk is that of its data.
fn shown_size(entry: &FileEntry) -> u64 {
    let data = entry
        .path
        .to_str()
        .and_then(|path| path.strip_suffix(".vmdk"));
    let data = data.and_then(|stem| std::fs::metadata(format!("{stem}-flat.vmdk")).ok());
    data.map_or(entry.size_bytes, |data| data.len())
}

fn kind_of(entry: &FileEntry) -> &'static str {
    if entry.is_folder {
        return "FolderFileInfo";
    }
    let (stem, ending) = entry.name.rsplit_once('.').unwrap_or((&entry.name, ""));
    let is_part = ["-flat", "-delta", "-ctk", "-sesparse"]
        .iter()
        .any(|part| stem.ends_with(part));
    match ending {
        "vmdk" if !is_part => "VmDiskFileInfo",
        "vmx" => "VmConfigFileInfo",
        "vmtx" => "TemplateConfigFileInfo",
        "nvram" => "VmNvramFileInfo",
        "vmsn" | "vmsd" => "VmSnapshotFileInfo",
        "log" => "VmLogFileInfo",
        "iso" => "IsoImageFileInfo",
        "flp" => "FloppyImageFileInfo",
        _ => "FileInfo",
    }
}

/// Matches `*` and `?`.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and how much it takes up.
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    place = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a.vmdk", true),
            ("*.vmdk", "a.vmdk", true),
            ("*.vmdk", "a.vmdk.x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("abc", "abc", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
    }
}
