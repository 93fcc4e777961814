//! The forms in which servers write the same answer.

/// How answers are written. Real servers and simulators differ in this; a client must read
/// all of it ("vSphere Web Services API" 1.5, 1.8, 1.10, 1.15). The default is the form of
/// recorded answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Form {
    /// The namespace of `xsi:type` has another prefix.
    pub other_prefix: bool,
    /// `xsi:type` stands before the attribute `type` of a reference.
    pub type_first: bool,
    /// Empty elements are written as `<a/>`.
    pub short_empty: bool,
    /// How a fault is written.
    pub fault: FaultForm,
}

/// How a fault is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultForm {
    /// As recorded: in `urn:vim25`, with a text.
    #[default]
    Plain,
    /// With a `faultMessage` that holds the text again.
    Message,
    /// The detail is in no namespace, and there is no text.
    Unqualified,
    /// The detail is in `urn:internalvim25`.
    Internal,
}
