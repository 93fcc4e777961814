//! What a store said, in one line.

use std::fmt;
use std::sync::Arc;

/// What a store said.
///
/// `object_store` repeats every cause in the text of the error above it, and whole XML answers with it.
/// So this shows the outermost text only, and of an answer its code; it names no causes of its own.
#[derive(Clone, Debug)]
pub struct StoreSaid(Arc<object_store::Error>);

impl StoreSaid {
    /// The error itself.
    pub fn get(&self) -> &object_store::Error {
        &self.0
    }
}

impl From<object_store::Error> for StoreSaid {
    fn from(error: object_store::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl std::error::Error for StoreSaid {}

impl fmt::Display for StoreSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let answer = text.find("<?xml").or_else(|| text.find("<Error>"));
        match (answer, between(&text, "<Code>", "</Code>")) {
            (Some(start), Some(code)) => write!(f, "{}{code}", &text[..start]),
            _ => f.write_str(&text),
        }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::StoreSaid;

    fn said(text: &str) -> String {
        let error = object_store::Error::Generic {
            store: "S3",
            source: text.into(),
        };
        StoreSaid::from(error).to_string()
    }

    #[test]
    fn of_an_answer_the_code_is_shown() {
        let text = "404 Not Found: <?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><RequestId>x</RequestId></Error>";
        assert_eq!(said(text), "Generic S3 error: 404 Not Found: NoSuchBucket");
        assert_eq!(said("odd <Code>"), "Generic S3 error: odd <Code>");
    }
}
