//! The envelope of an answer: the result inside it, or the fault.

use super::error::Error;
use super::fault::Fault;
use super::xml::{Reader, Space, Tag, XmlError};

/// How to read one `<Method>Response` element.
pub(super) type Parse<T> = fn(&mut Reader<'_>, &Tag) -> Result<T, XmlError>;

/// What stood in the body.
enum Content<T> {
    Result(T),
    Fault(Fault),
}

/// Reads the answer to `method`.
///
/// # Errors
///
/// [`Error::Fault`] if the server refused; [`Error::Xml`], [`Error::NotXml`] and
/// [`Error::BadAnswer`] for what no server should send.
pub(super) fn read_answer<T>(
    method: &'static str,
    body: &[u8],
    parse: Parse<T>,
) -> Result<T, Error> {
    let mut content = None;
    let mut stranger = None;
    let walked = Reader::from_bytes(body).and_then(|mut reader| {
        reader.document(|r, root| {
            if root.name != "Envelope" || root.space != Space::Soap {
                stranger = Some(describe(root));
                return Ok(());
            }
            r.children(root, |r, part| {
                if part.name != "Body" || part.space != Space::Soap {
                    return Ok(());
                }
                r.children(part, |r, tag| {
                    if content.is_some() {
                        return Ok(());
                    }
                    if tag.name == "Fault" && tag.space == Space::Soap {
                        content = Some(Content::Fault(Fault::read_soap(r, tag)?));
                    } else if tag.name.strip_suffix("Response") == Some(method)
                        && matches!(tag.space, Space::Vim | Space::None)
                    {
                        content = Some(Content::Result(parse(r, tag)?));
                    } else {
                        stranger = Some(describe(tag));
                    }
                    Ok(())
                })
            })
        })
    });
    match (walked, content, stranger) {
        (Ok(()), Some(Content::Result(result)), _) => Ok(result),
        (Ok(()), Some(Content::Fault(fault)), _) => Err(Error::Fault {
            method,
            fault: Box::new(fault),
        }),
        (Ok(()), None, Some(name)) => Err(Error::BadAnswer {
            method,
            what: format!("an element {name} where the answer belongs"),
        }),
        (Ok(()), None, None) => Err(Error::BadAnswer {
            method,
            what: "nothing where the answer belongs".to_owned(),
        }),
        // A web page is rarely well-formed: say what it is, not which tag is open.
        (Err(_), _, Some(name)) if name.eq_ignore_ascii_case("html") => {
            Err(Error::not_xml(method, None, body))
        }
        (Err(XmlError::DocType), ..) if looks_like_html(body) => {
            Err(Error::not_xml(method, None, body))
        }
        (Err(source), ..) => Err(Error::Xml { method, source }),
    }
}

/// The name of what stands in the way.
fn describe(tag: &Tag) -> String {
    let name: String = tag.name.chars().take(80).collect();
    match tag.space {
        Space::Other => format!("{name} of a foreign namespace"),
        Space::None if tag.name == "Envelope" => format!("{name} without its namespace"),
        _ => name,
    }
}

fn looks_like_html(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let head = start.get(..14).unwrap_or_default();
    head.eq_ignore_ascii_case(b"<!doctype html")
}

/// Reads the one `<returnval>` of an answer with `read`; absent is `None`.
pub(super) fn result<'x, T>(
    r: &mut Reader<'x>,
    response: &Tag,
    mut read: impl FnMut(&mut Reader<'x>, &Tag) -> Result<T, XmlError>,
) -> Result<Option<T>, XmlError> {
    let mut out = None;
    r.children(response, |r, tag| {
        if tag.name == "returnval" && tag.space != Space::Other && out.is_none() {
            out = Some(read(r, tag)?);
        }
        Ok(())
    })?;
    Ok(out)
}

/// The same for a method that always has a result.
pub(super) fn required<'x, T>(
    r: &mut Reader<'x>,
    response: &Tag,
    read: impl FnMut(&mut Reader<'x>, &Tag) -> Result<T, XmlError>,
) -> Result<T, XmlError> {
    result(r, response, read)?.ok_or(XmlError::Missing {
        element: "returnval",
        inside: "the answer",
    })
}

/// Parses an answer without a result.
#[expect(clippy::unnecessary_wraps, reason = "it is one of many parsers")]
pub(super) fn nothing(_: &mut Reader<'_>, _: &Tag) -> Result<(), XmlError> {
    Ok(())
}

/// Parses an answer that is one reference.
pub(super) fn reference(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<super::moref::Moref, XmlError> {
    required(r, response, Reader::moref)
}

#[cfg(test)]
mod tests {
    use super::{nothing, read_answer, reference};
    use crate::vsphere::error::Error;

    fn envelope(body: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Header><x/></e:Header><e:Body>{body}</e:Body></e:Envelope>"
        )
    }

    #[test]
    fn a_reference_is_found_and_its_absence_noticed() {
        let good = envelope("<AResponse><returnval type='Task'>task-1</returnval></AResponse>");
        let task = read_answer("A", good.as_bytes(), reference).unwrap();
        assert_eq!(task.to_string(), "Task:task-1");
        let empty = envelope("<AResponse/>");
        let error = read_answer("A", empty.as_bytes(), reference).unwrap_err();
        assert!(matches!(error, Error::Xml { .. }), "{error}");
    }

    #[test]
    fn a_fault_is_an_error_with_its_type() {
        let fault = envelope("<e:Fault><faultstring/><detail><NoFault/></detail></e:Fault>");
        let error = read_answer("A", fault.as_bytes(), nothing).unwrap_err();
        assert_eq!(error.fault_type(), Some("No"));
    }

    #[test]
    fn answers_to_another_question_are_refused() {
        for body in [
            envelope("<BResponse/>"),
            envelope(""),
            "<other/>".to_owned(),
        ] {
            let error = read_answer("A", body.as_bytes(), nothing).unwrap_err();
            assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
        }
    }

    #[test]
    fn foreign_namespaces_are_refused_by_name() {
        let soap = "http://schemas.xmlsoap.org/soap/envelope/";
        let answer = |envelope: &str, body: &str| {
            let text = format!(
                "<e:Envelope xmlns:e='{envelope}'><e:Body><AResponse xmlns='{body}'><returnval type='T'>1</returnval></AResponse></e:Body></e:Envelope>"
            );
            read_answer("A", text.as_bytes(), reference)
        };
        assert!(answer(soap, "urn:vim25").is_ok());
        assert!(answer(soap, "urn:internalvim25").is_ok());
        let newer = "http://www.w3.org/2003/05/soap-envelope";
        for (envelope, body, named) in [
            (newer, "urn:vim25", "Envelope of a foreign namespace"),
            (soap, "urn:pbm", "AResponse of a foreign namespace"),
        ] {
            let error = answer(envelope, body).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let foreign = envelope(
            "<AResponse><p:returnval xmlns:p='urn:p' type='T'>1</p:returnval></AResponse>",
        );
        assert!(read_answer("A", foreign.as_bytes(), reference).is_err());
        let bare = read_answer("A", b"<Envelope><Body/></Envelope>", nothing).unwrap_err();
        assert!(bare.to_string().contains("without its namespace"), "{bare}");
    }

    #[test]
    fn web_pages_are_named_as_such() {
        for page in [
            "<!DOCTYPE html><html><body>Bad<br></body></html>",
            "<html><p>no</html>",
        ] {
            let error = read_answer("A", page.as_bytes(), nothing).unwrap_err();
            assert!(matches!(error, Error::NotXml { .. }), "{error}");
        }
    }

    #[test]
    fn a_cut_answer_is_worth_a_second_try() {
        let good = envelope("<AResponse><returnval type='Task'>task-1</returnval></AResponse>");
        let error = read_answer("A", &good.as_bytes()[..good.len() - 9], reference).unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}
