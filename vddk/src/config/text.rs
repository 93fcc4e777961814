//! The form of the file: one `name=value` a line, values with blanks in double quotes.

use super::{
    Config, ConfigError,
    key::{NumberKey, SAN_ALLOW, SAN_DENY, TMP_DIRECTORY, is_known},
};

/// The SONAME's number from which on the SAN lists have their new names.
const NEW_SAN_NAMES_SINCE: u32 = 8;
/// A frequent misspelling, which VDDK ignores without a word (VDDK API reference, section 5).
const MISSPELT: &str = "vixDiskLib.nfcAio.Session.BufSizeIn64K";

/// Writes the settings for the library of that number; without one, for all.
pub(super) fn write(config: &Config, major: Option<u32>) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        lines.push_str(name);
        lines.push('=');
        if is_plain(value) {
            lines.push_str(value);
        } else {
            lines.extend(["\"", value, "\""]);
        }
        lines.push('\n');
    };
    if let Some(folder) = &config.tmp_directory {
        line(TMP_DIRECTORY, folder);
    }
    for (key, value) in &config.numbers {
        line(key.name(), &value.to_string());
    }
    for (names, devices) in [(SAN_DENY, &config.san_deny), (SAN_ALLOW, &config.san_allow)] {
        if devices.is_empty() {
            continue;
        }
        let names = match major {
            Some(major) if major >= NEW_SAN_NAMES_SINCE => &names[..1],
            Some(_) => &names[1..],
            None => &names[..],
        };
        for name in names {
            line(name, &devices.join(","));
        }
    }
    for (name, value) in &config.other {
        line(name, value);
    }
    lines
}

/// Checks every value that a program has set.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let refused = |key: &str, reason: Option<String>| match reason {
        Some(reason) => Err(ConfigError::Value {
            key: key.to_owned(),
            reason,
        }),
        None => Ok(()),
    };
    if let Some(folder) = &config.tmp_directory {
        refused(TMP_DIRECTORY, refuses_folder(folder))?;
    }
    for (key, value) in &config.numbers {
        refused(key.name(), key.refuses(*value))?;
    }
    for (names, devices) in [(SAN_DENY, &config.san_deny), (SAN_ALLOW, &config.san_allow)] {
        for device in devices {
            refused(names[0], refuses_device(device))?;
        }
    }
    for (index, (name, value)) in config.other.iter().enumerate() {
        if !is_name(name) {
            return Err(ConfigError::Name { name: name.clone() });
        }
        let twice = |(other, _): &(String, String)| other.eq_ignore_ascii_case(name);
        if config.other[..index].iter().any(twice) || is_known(name) {
            return Err(ConfigError::Twice { key: name.clone() });
        }
        refused(name, refuses_text(value))?;
    }
    Ok(())
}

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    let mut seen = std::collections::HashSet::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |reason: String| ConfigError::Line {
            line: index + 1,
            reason,
        };
        let Some((name, value)) = setting(line).map_err(wrong)? else {
            continue;
        };
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(ConfigError::Twice {
                key: name.to_owned(),
            });
        }
        take(&mut config, name, value).map_err(wrong)?;
    }
    config.checked()
}

/// The name and the value of a line; `None` for a comment or an empty one.
fn setting(line: &str) -> Result<Option<(&str, &str)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line
        .split_once('=')
        .ok_or_else(|| "there is no = in it".to_owned())?;
    let (name, value) = (name.trim_end(), value.trim_start());
    if !is_name(name) {
        return Err(format!("{name:?} is no name of a setting"));
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => {
            let (value, rest) = quoted
                .split_once('"')
                .ok_or_else(|| "the closing quote is missing".to_owned())?;
            let rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err("there is more behind the closing quote".to_owned());
            }
            value
        }
        None => value
            .split_once('#')
            .map_or(value, |(value, _)| value)
            .trim_end(),
    };
    refuses_text(value).map_or(Ok(Some((name, value))), Err)
}

/// Puts a value where it belongs.
fn take(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    if let Some(key) = NumberKey::by_name(name) {
        let number = value
            .parse()
            .map_err(|_| format!("{name} is not the number that it must be"))?;
        if let Some(reason) = key.refuses(number) {
            return Err(format!("{name}: {reason}"));
        }
        config.numbers.insert(key, number);
        return Ok(());
    }
    let is_one_of = |names: [&str; 2]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if name.eq_ignore_ascii_case(TMP_DIRECTORY) {
        if let Some(reason) = refuses_folder(value) {
            return Err(format!("{name}: {reason}"));
        }
        config.tmp_directory = Some(value.to_owned());
    } else if is_one_of(SAN_DENY) {
        add_devices(&mut config.san_deny, value)?;
    } else if is_one_of(SAN_ALLOW) {
        add_devices(&mut config.san_allow, value)?;
    } else {
        if name.eq_ignore_ascii_case(MISSPELT) {
            tracing::warn!("VDDK ignores {name}: its name is {MISSPELT}B");
        }
        config.other.push((name.to_owned(), value.to_owned()));
    }
    Ok(())
}

/// Adds devices that the list does not have yet: a file may give both names of a list.
fn add_devices(list: &mut Vec<String>, value: &str) -> Result<(), String> {
    for device in value
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
    {
        if let Some(reason) = refuses_device(device) {
            return Err(reason);
        }
        if !list.iter().any(|known| known == device) {
            list.push(device.to_owned());
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b'#' | b'"'))
}

/// Needs no quotes.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:,*?[]@+-".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

/// A value that would break the form of the file: there is no way to escape a quote.
fn refuses_text(value: &str) -> Option<String> {
    value
        .chars()
        .any(|c| c == '"' || c.is_control())
        .then(|| "a value cannot hold quotes, line breaks or other control characters".to_owned())
}

fn refuses_folder(value: &str) -> Option<String> {
    refuses_text(value)
        .or_else(|| (!value.starts_with('/')).then(|| format!("{value:?} is no absolute path")))
}

fn refuses_device(device: &str) -> Option<String> {
    refuses_text(device).or_else(|| {
        let trouble = device.is_empty() || device.contains(',') || device.trim() != device;
        trouble.then(|| format!("{device:?} cannot be a device in a list"))
    })
}
