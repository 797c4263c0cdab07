//! The package managers' variables in repository lines: `$(ARCH)` of apt; `$releasever`, `$basearch` and `$YUM0` to `$YUM9`
//! of yum.

use super::Context;
use crate::Family;
use crate::template::error::LineProblem;
use std::collections::BTreeMap;

/// Replaces the package manager's variables; a `$word` that is none of them is refused.
pub(super) fn replace_variables(text: &str, context: &Context<'_>) -> Result<String, LineProblem> {
    let values = variables(context);
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let (name, behind) = split_word(after);
        if let Some(value) = values.get(name) {
            result.push_str(value);
        } else if is_yum_variable(name) {
            return Err(LineProblem::UnsetVariable(format!("${name}")));
        } else {
            let token = format!("${name}");
            return Err(LineProblem::UnresolvedWord { token });
        }
        rest = behind;
    }
    result.push_str(rest);
    Ok(result)
}

/// The name after a `$`, and what follows. `$(ARCH)` and `${basearch}` lose their brackets.
fn split_word(text: &str) -> (&str, &str) {
    for (open, close) in [('(', ')'), ('{', '}')] {
        if let Some((name, rest)) = text
            .strip_prefix(open)
            .and_then(|inside| inside.split_once(close))
        {
            return (name, rest);
        }
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn variables(context: &Context<'_>) -> BTreeMap<&'static str, String> {
    let packages = context.arch.in_family(context.family).to_string();
    let mut values = BTreeMap::new();
    match context.family {
        Family::Deb => {
            values.insert("ARCH", packages);
        }
        Family::Rpm => {
            values.insert("releasever", context.version.to_owned());
            // rpm packages of 32-bit x86 say i686, their repositories i386.
            let base = if packages == "i686" {
                "i386"
            } else {
                &packages
            };
            values.insert("basearch", base.to_owned());
            values.insert("arch", packages);
            for name in YUM_VARIABLES {
                let value = context.environment.iter().find(|(key, _)| key == name);
                if let Some((_, value)) = value {
                    values.insert(name, value.clone());
                }
            }
        }
    }
    values
}

const YUM_VARIABLES: [&str; 10] = [
    "YUM0", "YUM1", "YUM2", "YUM3", "YUM4", "YUM5", "YUM6", "YUM7", "YUM8", "YUM9",
];

fn is_yum_variable(name: &str) -> bool {
    YUM_VARIABLES.contains(&name)
}
