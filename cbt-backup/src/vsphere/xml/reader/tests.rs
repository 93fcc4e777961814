use super::{MAX_DEPTH, Reader, Space, Tag};
use crate::vsphere::xml::XmlError;

const XSI_DECL: &str = r#"xmlns:q="http://www.w3.org/2001/XMLSchema-instance""#;

/// Reads the root with `visit`.
fn read<'x, T>(
    xml: &'x str,
    mut visit: impl FnMut(&mut Reader<'x>, &Tag) -> Result<T, XmlError>,
) -> Result<T, XmlError> {
    let mut out = None;
    Reader::new(xml).document(|r, tag| {
        out = Some(visit(r, tag)?);
        Ok(())
    })?;
    Ok(out.expect("a document without error has a root"))
}

/// Reads everything and keeps nothing.
fn skim(xml: &str) -> Result<(), XmlError> {
    read(xml, |_, _| Ok(()))
}

#[test]
fn a_level_sees_its_own_children_only() {
    let xml = "<r><device><key>1</key><device>2000</device><device>2001</device></device>\
               <shares><shares>1000</shares><level>normal</level></shares></r>";
    let names = read(xml, |r, root| {
        let mut names = Vec::new();
        r.children(root, |r, tag| {
            names.push(tag.name.clone());
            if tag.name == "shares" {
                r.children(tag, |r, inner| {
                    names.push(format!("{}={}", inner.name, r.text(inner)?));
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(names)
    })
    .unwrap();
    assert_eq!(names, ["device", "shares", "shares=1000", "level=normal"]);
}

#[test]
fn a_second_look_at_a_read_element_finds_nothing() {
    let xml = "<r><a><b>1</b></a><c>2</c></r>";
    let seen = read(xml, |r, root| {
        let mut seen = Vec::new();
        r.children(root, |r, tag| {
            for _ in 0..2 {
                r.children(tag, |_, inner| {
                    seen.push(inner.name.clone());
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(seen)
    })
    .unwrap();
    assert_eq!(seen, ["b"]);
}

#[test]
fn type_and_xsi_type_are_told_apart_under_any_prefix() {
    let xml = format!(
        r#"<r {XSI_DECL} xmlns:z="urn:other"><v type="HostSystem" q:type="p:ManagedObjectReference" z:type="no">host-16</v></r>"#
    );
    read(&xml, |r, root| {
        r.children(root, |r, tag| {
            assert_eq!(tag.xsi_type.as_deref(), Some("ManagedObjectReference"));
            assert_eq!(tag.kind.as_deref(), Some("HostSystem"));
            assert_eq!(r.moref(tag)?.to_string(), "HostSystem:host-16");
            Ok(())
        })
    })
    .unwrap();
    let unbound = "<r><v xsi:type=\"xsd:string\">a</v></r>";
    read(unbound, |r, root| {
        r.children(root, |_, tag| {
            assert_eq!((&tag.xsi_type, &tag.kind), (&None, &None));
            Ok(())
        })
    })
    .unwrap();
}

#[test]
fn text_keeps_lines_entities_and_cdata() {
    let xml = "<r>a&amp;&lt;&#65;&#x42;\r\n {\"k\":\"&quot;\"} <!-- c --><![CDATA[<x>]]></r>";
    let text = read(xml, Reader::text).unwrap();
    assert_eq!(text, "a&<AB\n {\"k\":\"\"\"} <x>");
    assert_eq!(read("<r/>", Reader::text).unwrap(), "");
}

#[test]
fn values_are_checked() {
    assert!(read("<r>x</r>", Reader::number::<i64>).is_err());
    assert_eq!(read("<r> -7 </r>", Reader::number::<i64>), Ok(-7));
    assert!(read("<r>300</r>", Reader::number::<u8>).is_err());
    assert_eq!(read("<r>1</r>", Reader::boolean), Ok(true));
    assert!(read("<r>yes</r>", Reader::boolean).is_err());
    assert!(read("<r>vm-1</r>", Reader::moref).is_err());
    assert!(read("<r type='VirtualMachine'/>", Reader::moref).is_err());
    assert!(read("<r>a<b/></r>", Reader::text).is_err());
}

#[test]
fn entity_bombs_and_unknown_entities_are_refused() {
    let bomb = r#"<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>"#;
    assert_eq!(skim(bomb), Err(XmlError::DocType));
    assert!(matches!(
        skim("<r>&nbsp;</r>"),
        Err(XmlError::Entity { .. })
    ));
    assert!(matches!(skim("<r>&#0;</r>"), Err(XmlError::Entity { .. })));
}

#[test]
fn other_encodings_are_refused() {
    assert_eq!(
        Reader::from_bytes(b"<r>\xff</r>").err(),
        Some(XmlError::NotUtf8)
    );
    let latin = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r/>";
    assert!(matches!(skim(latin), Err(XmlError::Encoding { .. })));
    let utf8 = "\u{feff}<?xml version='1.0' encoding='UTF-8' ?><r/>";
    assert_eq!(skim(utf8), Ok(()));
}

#[test]
fn every_truncation_is_noticed() {
    let xml = r#"<?xml version="1.0"?><a b="1"><c>text &amp; more</c><d/></a>"#;
    assert_eq!(skim(xml), Ok(()));
    for end in 0..xml.len() {
        let cut = skim(&xml[..end]);
        assert!(cut.is_err(), "{}", &xml[..end]);
    }
    for cut in ["", "  ", "<a>", "<a><b></b>", "<a b=\"", "<a><![CDATA[x"] {
        assert!(
            matches!(skim(cut), Err(XmlError::Truncated { .. })),
            "{cut}"
        );
    }
}

#[test]
fn broken_documents_are_refused() {
    for xml in [
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "plain text",
        "<a b=1/>",
        "<a b='1' b='2'/>",
    ] {
        assert!(
            matches!(skim(xml), Err(XmlError::Malformed { .. })),
            "{xml}"
        );
    }
}

#[test]
fn depth_is_bounded() {
    let nest = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(skim(&nest(MAX_DEPTH)), Ok(()));
    assert_eq!(
        skim(&nest(MAX_DEPTH + 1)),
        Err(XmlError::TooDeep { limit: MAX_DEPTH })
    );
}

#[test]
fn attributes_are_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!(" a{n}='1'")).collect();
    assert!(matches!(
        skim(&format!("<a{}/>", many.concat())),
        Err(XmlError::TooMany { .. })
    ));
}

#[test]
fn bound_prefixes_are_bounded_as_they_are_nested() {
    let open = |level: usize| {
        let names: Vec<String> = (0..60)
            .map(|n| format!(" xmlns:p{level}_{n}='u'"))
            .collect();
        format!("<a{}>", names.concat())
    };
    let siblings = format!("{}</a>", open(0)).repeat(20);
    skim(&format!("<r>{siblings}</r>")).unwrap();
    let nested: Vec<String> = (0..5).map(open).collect();
    // The XML library sees to it: each lookup walks over all of them.
    let error = skim(&format!("{}{}", nested.concat(), "</a>".repeat(5))).unwrap_err();
    assert!(matches!(error, XmlError::Malformed { .. }), "{error}");
}

#[test]
fn what_raw_adds_is_bounded_for_the_whole_document() {
    let uri = "u".repeat(1 << 20);
    let document = |items: usize| format!("<r xmlns:p='{uri}'>{}</r>", "<a/>".repeat(items));
    let raw_bytes = |xml: &str| {
        let mut bytes = 0;
        Reader::new(xml).document(|r, root| {
            r.children(root, |r, tag| {
                bytes += r.raw(tag)?.len();
                Ok(())
            })
        })?;
        Ok(bytes)
    };
    assert!(raw_bytes(&document(60)).is_ok_and(|bytes| bytes > 60 << 20));
    assert!(matches!(
        raw_bytes(&document(64)),
        Err(XmlError::TooMany { .. })
    ));
}

#[test]
fn namespaces_are_told_apart() {
    let xml = "<s:a xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><b xmlns='urn:vim25'/><b/><i:b xmlns:i='urn:internalvim25'/><o:b xmlns:o='urn:pbm'/><x:b/></s:a>";
    let spaces = read(xml, |r, root| {
        let mut spaces = vec![root.space];
        r.children(root, |_, tag| {
            spaces.push(tag.space);
            Ok(())
        })?;
        Ok(spaces)
    });
    let expected = [
        Space::Soap,
        Space::Vim,
        Space::None,
        Space::Vim,
        Space::Other,
        Space::Other,
    ];
    assert_eq!(spaces.unwrap(), expected);
}

#[test]
fn raw_stands_alone_and_is_otherwise_as_received() {
    let xml = format!(
        "<s:e xmlns:s='urn:s'><p xmlns=\"urn:vim25\" {XSI_DECL}><val q:type=\"T\"><x>1 &amp; 2</x></val><after/></p></s:e>"
    );
    let raw = read(&xml, |r, root| {
        let mut raw = String::new();
        r.children(root, |r, p| {
            r.children(p, |r, tag| {
                if tag.name == "val" {
                    raw = r.raw(tag)?;
                }
                Ok(())
            })
        })?;
        Ok(raw)
    })
    .unwrap();
    assert!(
        raw.ends_with(" q:type=\"T\"><x>1 &amp; 2</x></val>"),
        "{raw}"
    );
    assert!(raw.contains("xmlns=\"urn:vim25\""), "{raw}");
    let kind = read(&raw, |_, tag| Ok(tag.xsi_type.clone())).unwrap();
    assert_eq!(kind.as_deref(), Some("T"));
}

#[test]
fn raw_of_an_empty_element_and_of_own_bindings() {
    let raw = read("<a xmlns='u'/>", Reader::raw).unwrap();
    assert_eq!(raw, "<a xmlns='u'/>");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in ".{0,200}") {
        drop(skim(&text));
    }

    #[test]
    fn any_markup_is_read_or_refused_without_a_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "<a>", "</a>", "<a/>", "<b x='", "'", "\"", ">", "&amp;", "&", ";", "<![CDATA[",
                "]]>", "<!--", "-->", "<?xml", "?>", "<!DOCTYPE", "text", " ", "xmlns:a='b'",
            ]),
            0..30,
        )
    ) {
        drop(skim(&parts.concat()));
    }
}
