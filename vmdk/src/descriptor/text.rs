//! Writes a descriptor.

use std::fmt::Write as _;

use super::Descriptor;

/// Whether a name or a value can stand in quotes.
pub(crate) fn fits(text: &str) -> bool {
    !text.contains('"') && !text.contains(char::is_control)
}

pub(super) fn to_text(descriptor: &Descriptor) -> String {
    let mut text = String::from("# Disk DescriptorFile\nversion=1\n");
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail, so there is nothing to report.
        let _ = text.write_fmt(arguments);
        text.push('\n');
    };
    line(format_args!("CID={:08x}", descriptor.cid));
    line(format_args!("parentCID={:08x}", descriptor.parent_cid));
    line(format_args!("createType=\"{}\"", descriptor.create_type));
    if let Some(hint) = &descriptor.parent_file_name_hint {
        line(format_args!("parentFileNameHint=\"{hint}\""));
    }
    for (key, value) in &descriptor.other {
        line(format_args!("{key}=\"{value}\""));
    }
    line(format_args!("\n# Extent description"));
    for extent in &descriptor.extents {
        line(format_args!("{extent}"));
    }
    line(format_args!("\n# The Disk Data Base\n#DDB\n"));
    for (key, value) in &descriptor.ddb {
        line(format_args!("ddb.{key} = \"{value}\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{CreateType, Descriptor, Extent, ExtentAccess, ExtentKind};

    #[test]
    fn text_has_the_customary_layout_and_reads_back() {
        let mut descriptor = Descriptor::new(CreateType::Vmfs, 0xfe);
        descriptor.parent_file_name_hint = Some("a.vmdk".to_owned());
        descriptor.parent_cid = 0x12;
        let other = ("encoding".to_owned(), "UTF-8".to_owned());
        descriptor.other.push(other);
        descriptor.extents.push(Extent {
            access: ExtentAccess::Rw,
            sectors: 9,
            kind: ExtentKind::Vmfs,
            file_name: Some("b-flat.vmdk".to_owned()),
            offset_sectors: 0,
        });
        descriptor.set_ddb("adapterType", "lsilogic");
        let text = descriptor.to_text();
        assert_eq!(
            text,
            "# Disk DescriptorFile\nversion=1\nCID=000000fe\nparentCID=00000012\n\
             createType=\"vmfs\"\nparentFileNameHint=\"a.vmdk\"\nencoding=\"UTF-8\"\n\n\
             # Extent description\nRW 9 VMFS \"b-flat.vmdk\"\n\n\
             # The Disk Data Base\n#DDB\n\nddb.adapterType = \"lsilogic\"\n"
        );
        assert_eq!(Descriptor::parse(&text), Ok(descriptor));
    }
}
