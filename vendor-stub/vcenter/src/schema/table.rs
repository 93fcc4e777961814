//! Reads `types.txt`.

use std::collections::HashMap;

use super::Version;
use super::types::{Kind, Member, Method, Presence, Schema, Type, TypeRef};

/// A line of the table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
    #[error("type {name} has an unknown base or member type")]
    Dangling { name: &'static str },
}

/// One block as it stands in the text.
#[derive(Clone)]
struct Block {
    keyword: &'static str,
    name: &'static str,
    rest: Vec<&'static str>,
    since: Version,
    members: Vec<Member>,
}

/// Parses the parts of the table and flattens the members of derived types.
pub(super) fn parse(texts: &[&'static str]) -> Result<Schema, TableError> {
    let blocks = texts.iter().map(|text| blocks(text));
    let blocks: Vec<Block> = blocks.collect::<Result<Vec<_>, _>>()?.concat();
    let raw: HashMap<&'static str, &Block> = blocks
        .iter()
        .filter(|block| block.keyword != "method")
        .map(|block| (block.name, block))
        .collect();
    let mut schema = Schema {
        types: HashMap::new(),
        methods: HashMap::new(),
    };
    for block in &blocks {
        if block.keyword == "method" {
            schema.methods.insert(block.name, method(block)?);
        } else {
            schema.types.insert(block.name, flatten(block, &raw)?);
        }
    }
    check_names(&schema)?;
    Ok(schema)
}

fn blocks(text: &'static str) -> Result<Vec<Block>, TableError> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let problem = |problem| TableError::Line {
            line: index + 1,
            problem,
        };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let first = words.next().ok_or(problem("empty line"))?;
        let second = words.next().ok_or(problem("one word only"))?;
        let mut rest: Vec<_> = words.collect();
        let since = match rest.last().and_then(|word| word.strip_prefix('+')) {
            None => Version::default(),
            Some(version) => {
                rest.pop();
                Version::parse(version).ok_or(problem("no version"))?
            }
        };
        if line.starts_with(' ') {
            let block = blocks.last_mut().ok_or(problem("member without type"))?;
            let presence = match rest.as_slice() {
                [] => Presence::Required,
                ["?"] => Presence::Optional,
                ["*"] => Presence::List,
                _ => return Err(problem("unknown mark")),
            };
            block.members.push(Member {
                name: first,
                declared: type_ref(second),
                presence,
                since,
            });
        } else {
            blocks.push(Block {
                keyword: first,
                name: second,
                rest,
                since,
                members: Vec::new(),
            });
        }
    }
    Ok(blocks)
}

fn type_ref(word: &'static str) -> TypeRef {
    match word {
        "any" => TypeRef::Any,
        "opaque" => TypeRef::Opaque,
        "string" | "boolean" | "short" | "int" | "long" | "dateTime" => TypeRef::Simple(word),
        _ => match word.strip_prefix('@') {
            Some(target) => TypeRef::Reference(target),
            None => TypeRef::Named(word),
        },
    }
}

fn method(block: &Block) -> Result<Method, TableError> {
    let [receiver, privilege] = block.rest.as_slice() else {
        return Err(TableError::Dangling { name: block.name });
    };
    Ok(Method {
        name: block.name,
        receiver,
        privilege,
        since: block.since,
        parameters: block.members.clone(),
    })
}

fn flatten(block: &Block, raw: &HashMap<&'static str, &Block>) -> Result<Type, TableError> {
    let dangling = TableError::Dangling { name: block.name };
    let kind = match block.keyword {
        "data" => Kind::Data,
        "abstract" => Kind::Abstract,
        "enum" => Kind::Enum,
        "managed" => Kind::Managed,
        _ => return Err(dangling),
    };
    let base = base(block);
    let mut chain = vec![block];
    let mut next = base;
    while let Some(name) = next {
        let found = raw
            .get(name)
            .ok_or(TableError::Dangling { name: block.name })?;
        chain.push(found);
        if chain.len() > raw.len() {
            return Err(dangling);
        }
        next = self::base(found);
    }
    let members = chain
        .iter()
        .rev()
        .flat_map(|block| block.members.iter().copied())
        .collect();
    Ok(Type {
        base,
        kind,
        members,
    })
}

fn base(block: &Block) -> Option<&'static str> {
    match block.rest.as_slice() {
        [":", base] => Some(base),
        _ => None,
    }
}

/// Every named member type must exist; targets of references need not, for most
/// managers are known by name only.
fn check_names(schema: &Schema) -> Result<(), TableError> {
    let members = schema
        .types
        .iter()
        .map(|(name, found)| (*name, &found.members))
        .chain(
            schema
                .methods
                .values()
                .map(|found| (found.name, &found.parameters)),
        );
    for (name, members) in members {
        for member in members {
            if let TypeRef::Named(type_name) = member.declared
                && !schema.types.contains_key(type_name)
            {
                return Err(TableError::Dangling { name });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_program_parses() {
        let texts = [include_str!("types.txt"), include_str!("managed.txt")];
        let schema = parse(&texts).unwrap();
        assert!(schema.methods.contains_key("QueryChangedDiskAreas"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(
            parse(&["data A\n b C\n"]),
            Err(TableError::Dangling { name: "A" })
        ));
        assert!(matches!(
            parse(&["data A : A\n"]),
            Err(TableError::Dangling { name: "A" })
        ));
        assert!(matches!(
            parse(&[" b string\n"]),
            Err(TableError::Line { line: 1, .. })
        ));
    }
}
