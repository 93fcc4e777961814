//! What can be wrong with an answer before its meaning matters.

/// Why an answer could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The declaration names another encoding.
    #[error("encoding {name:?} is not supported")]
    Encoding {
        /// The name as declared.
        name: String,
    },
    /// The text ends inside an element or a tag.
    #[error("the text ends in the middle, after {length_bytes} bytes")]
    Truncated {
        /// What there was.
        length_bytes: u64,
    },
    /// The text breaks the rules of XML.
    #[error("malformed at byte {at_bytes}: {what}")]
    Malformed {
        /// Where.
        at_bytes: u64,
        /// What the parser said.
        what: String,
    },
    /// A document type declaration, the way entity bombs come in.
    #[error("a document type declaration is refused")]
    DocType,
    /// An entity beyond the five predefined ones.
    #[error("entity {name:?} is not known")]
    Entity {
        /// Its name.
        name: String,
    },
    /// Elements nested too deep.
    #[error("more than {limit} levels of elements")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// More of something than is believable.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// An element that must be there is not.
    #[error("{element} is missing in {inside}")]
    Missing {
        /// What.
        element: &'static str,
        /// Where.
        inside: &'static str,
    },
    /// An element that is something else than it must be.
    #[error("{element} is not {wanted}")]
    Value {
        /// Which.
        element: String,
        /// What it should be.
        wanted: &'static str,
    },
}
