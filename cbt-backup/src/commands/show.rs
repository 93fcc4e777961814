//! `show`: everything known of one point.

mod why;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Context, list::kind};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, printable},
    },
    engine::saved::CONFIG_FILE,
    repo::{DiskRecord, DiskState, FileRecord, Root, join_tags},
};

/// Show everything known of one point.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cbt-backup show 01JD --repo /backup/vms")]
pub struct Show {
    /// The point: its id, or as many characters of it as are needed
    point: String,
    /// Print the VM's configuration (XML as vSphere gave it) and nothing else; the same as --file config.xml
    #[arg(long)]
    vm_config: bool,
    /// Print a file that was saved with the VM and nothing else: config.xml, nvram, surroundings.json or disks.json
    #[arg(long, value_name = "NAME", conflicts_with = "vm_config")]
    file: Option<String>,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    /// 18 for an unknown point; those of reading the repository.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let wanted = match &self.file {
            Some(name) => Some(name.as_str()),
            None => self.vm_config.then_some(CONFIG_FILE),
        };
        let (root, content) = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let id = repository.resolve(&self.point).await?;
            let root = repository.point(&id).await?.root;
            let content = match wanted {
                Some(name) => Some(repository.file(find(&root, name)?).await?),
                None => None,
            };
            Ok::<_, Failure>((root, content))
        })?;
        if let Some(content) = content {
            context.output.bytes(&content);
        } else if context.output.json {
            let reasons: Vec<_> = root.disks.iter().map(why::why).collect();
            let mut root = serde_json::to_value(&root)
                .map_err(|error| Failure::new(ExitCode::Unexpected, error))?;
            let disks = root["disks"].as_array_mut().into_iter().flatten();
            for (disk, reasons) in disks.zip(reasons) {
                disk["why"] = json!(reasons);
            }
            context
                .output
                .document(&json!({"version": 1, "point": root}));
        } else {
            for line in lines(&root) {
                context.output.line(&line);
            }
        }
        Ok(ExitCode::Done)
    }
}

fn find<'r>(root: &'r Root, name: &str) -> Result<&'r FileRecord, Failure> {
    root.files
        .iter()
        .find(|file| file.name == name)
        .ok_or_else(|| {
            let what = anyhow!("point {} has no file {name:?}", root.point);
            let names: Vec<String> = root.files.iter().map(|f| printable(&f.name)).collect();
            let hint = format!("it has {}", names.join(", "));
            Failure::new(ExitCode::NotFound, what).with_hint(&hint)
        })
}

fn lines(root: &Root) -> Vec<String> {
    let mut lines = vec![
        format!("point        {}", root.point),
        format!(
            "vm           {} ({} at {})",
            printable(&root.vm.name),
            root.vm.moref,
            printable(&root.vm.vcenter)
        ),
        format!("time         {}", root.snapshot_time),
        format!(
            "kind         {}, {:?}-consistent",
            kind(root.kind),
            root.consistency
        )
        .to_lowercase(),
        format!(
            "parent       {}",
            root.parent
                .map_or("none".to_owned(), |parent| parent.to_string())
        ),
        format!("made by      {} on {}", root.program, printable(&root.host)),
    ];
    if let Some(origin) = root.origin {
        lines.push(format!(
            "copy of      {} of repository {}",
            origin.point, origin.repository
        ));
    }
    if !root.tags.is_empty() {
        lines.push(format!(
            "tags         {}",
            printable(&join_tags(&root.tags))
        ));
    }
    for file in &root.files {
        lines.push(format!(
            "file         {}, {} bytes",
            printable(&file.name),
            file.length_bytes
        ));
    }
    for disk in &root.disks {
        lines.push(String::new());
        lines.extend(disk_lines(disk));
    }
    for event in &root.events {
        lines.push(format!(
            "event        {}: {}",
            event.code,
            printable(&event.text)
        ));
    }
    lines
}

fn disk_lines(disk: &DiskRecord) -> Vec<String> {
    let identity = &disk.identity;
    let state = match &disk.state {
        DiskState::Complete => "complete".to_owned(),
        DiskState::Carried { from, reason } => format!("older state of point {from}: {reason}"),
        DiskState::Partial { covered_bytes } => {
            format!("partial: the run was not over; {covered_bytes} bytes are covered")
        }
        DiskState::Absent { reason } => format!("absent: {reason}"),
    };
    let coverage = &disk.coverage;
    let mut lines = vec![
        format!(
            "disk         {} (device key {})",
            printable(&identity.label),
            identity.device_key
        ),
        format!("  file       {}", printable(&identity.base_file)),
        format!(
            "  size       {} ({} bytes)",
            bytes(disk.capacity_bytes),
            disk.capacity_bytes
        ),
        format!("  state      {}", printable(&state)),
        format!(
            "  change id  {}",
            disk.change_id
                .as_deref()
                .map_or("none".to_owned(), printable)
        ),
        format!(
            "  coverage   {}: {} in {} areas on {} pages",
            coverage.method,
            bytes(coverage.area_bytes),
            coverage.areas,
            coverage.pages
        ),
        format!(
            "  blocks     {} new, {} unchanged, {} known, {} zero",
            disk.stats.new_blocks,
            disk.stats.unchanged_blocks,
            disk.stats.duplicate_blocks,
            disk.stats.hole_blocks
        ),
    ];
    if !coverage.kept.is_empty() {
        lines.push(format!(
            "  proof      kept as {}, digest {}",
            printable(&coverage.kept),
            printable(&coverage.digest)
        ));
    }
    if let Some(told) = &coverage.allocation {
        lines.push(format!(
            "  allocation {}: {} in {} areas",
            match told.method.as_str() {
                "query-allocated-blocks" => "told by VDDK".to_owned(),
                "query-changed-disk-areas" =>
                    format!("told by vSphere, asked with *, on {} pages", told.pages),
                other => printable(other),
            },
            bytes(told.area_bytes),
            told.areas
        ));
    }
    for reason in why::why(disk) {
        lines.push(format!("  why        {reason}"));
    }
    for range in &disk.unreadable {
        let (start, length) = (
            range.first << disk.block_shift,
            range.blocks << disk.block_shift,
        );
        lines.push(format!("  unreadable {length} bytes at {start}"));
    }
    lines
}
