//! The digest of a template: every field that can change a build, each with its name and length, in a fixed order.

use super::Template;
use crate::Digest;
use crate::digest::Hasher;

/// Changes when the meaning of the encoding does.
const FORMAT: &str = "vzpkg template 1";

pub(super) fn digest(template: &Template) -> Digest {
    let mut fields = Fields(Hasher::new());
    fields.add("format", &[FORMAT]);
    fields.add("name", &[template.name.as_str()]);
    fields.add("package_manager", &[template.package_manager.as_str()]);
    fields.add("packages", &template.packages);
    for group in &template.packages_0 {
        fields.add("packages_0", group);
    }
    fields.add("packages_1", &template.packages_1);
    if !template.modules.is_empty() {
        fields.add("modules", &template.modules);
    }
    fields.add("repositories", &template.repository_texts);
    for pin in &template.keys {
        fields.add("key", &[pin.origin.as_str(), pin.fingerprint.as_str()]);
    }
    for (key, value) in &template.environment {
        fields.add("environment", &[key, value]);
    }
    for script in template.scripts.iter() {
        fields.add_bytes(
            "script",
            &[script.kind.file_name().as_bytes(), &script.content],
        );
    }
    fields.add("distribution", &[template.distribution.as_str()]);
    fields.add("osrelease", &[template.osrelease.as_str()]);
    let multiarch = template.multiarch.map(|yes| yes.to_string());
    fields.add("multiarch", &[multiarch.unwrap_or_default()]);
    fields.add("no_pkg_actions", &[template.no_pkg_actions.to_string()]);
    fields.0.finish()
}

struct Fields(Hasher);

impl Fields {
    fn add(&mut self, name: &str, values: &[impl AsRef<str>]) {
        let values: Vec<&[u8]> = values.iter().map(|v| v.as_ref().as_bytes()).collect();
        self.add_bytes(name, &values);
    }

    fn add_bytes(&mut self, name: &str, values: &[&[u8]]) {
        self.0
            .update(format!("{name} {}\n", values.len()).as_bytes());
        for value in values {
            self.0.update(format!("{}:", value.len()).as_bytes());
            self.0.update(value);
            self.0.update(b"\n");
        }
    }
}
