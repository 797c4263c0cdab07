//! A plan that was kept: what an update of one template decided, as JSON, so that somebody else may read it, and exactly
//! that be carried out later.
//!
//! It names packages by hash, as a lock does, and no place to fetch them from: whoever carries it out looks the hashes up
//! in repositories that are trusted. It is good for one version only, the head it was made on.

use crate::digest::Digest;
use crate::lock::{Change, Ids, LockedPackage};
use crate::text::excerpt;
use crate::transaction::{Action, Reason};
use crate::{
    Arch, ByteSize, Family, PackageName, TemplateName, VersionName, VersionNumber, limits,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the first field says of files that this code writes.
const SCHEMA: &str = "vzpkg.saved-plan.1";

/// How files of later formats begin to differ.
const SCHEMA_OF_ANY: &str = "vzpkg.saved-plan.";

/// The command of a plan, in characters.
const WHY_CHARACTERS: usize = 4096;

/// A plan for one version of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// The version that it is for.
    pub head: VersionName,
    /// The digest of that version's tree.
    pub digest: Digest,
    /// The digest of the template as it was.
    pub template_digest: Digest,
    /// Whether the tree is built from nothing instead of on that version.
    pub from_nothing: bool,
    /// Times are clamped to this second since 1970.
    pub epoch: i64,
    /// User and group ids that a lock demands, by name.
    pub ids: BTreeMap<String, Ids>,
    /// The command that made the plan, for the history.
    pub why: String,
    /// Which package family.
    pub family: Family,
    /// What happens, in this order.
    pub steps: Vec<Change>,
}

/// Why a text is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// More than [`limits::PLAN_BYTES`].
    #[error("a plan of {0} bytes is too large")]
    TooLarge(usize),
    /// Of a later vzpkg.
    #[error("the plan has format `{0}`, which this vzpkg does not know")]
    Newer(String),
    /// It does not say that it is one.
    #[error("this is no plan that `vzpkg update --save-plan` wrote")]
    NotAPlan,
    /// A field is missing, unknown, given twice or of another kind.
    #[error("the plan is damaged: {0}")]
    Damaged(String),
    /// A field whose text is not what it must be.
    #[error("the plan is damaged: `{text}` is no {wanted}")]
    Word {
        /// As it stands there, shortened.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    template: String,
    head: VersionNumber,
    digest: Digest,
    template_digest: Digest,
    from_nothing: bool,
    epoch: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ids: BTreeMap<String, Ids>,
    why: String,
    family: Family,
    steps: Vec<Line>,
}

/// One step.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    package: PackageName,
    version: String,
    arch: Arch,
    sha256: Digest,
    size: ByteSize,
    reason: Reason,
}

/// Only what tells whether the rest may be read.
#[derive(Deserialize)]
struct Schema {
    schema: String,
}

impl SavedPlan {
    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`PlanError`] by what is wrong; nothing is guessed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.len() as u64 > limits::PLAN_BYTES {
            return Err(PlanError::TooLarge(bytes.len()));
        }
        match serde_json::from_slice::<Schema>(bytes) {
            Ok(found) if found.schema == SCHEMA => {}
            Ok(found) if found.schema.starts_with(SCHEMA_OF_ANY) => {
                return Err(PlanError::Newer(excerpt(&found.schema)));
            }
            _ => return Err(PlanError::NotAPlan),
        }
        let document = serde_json::from_slice::<Document>(bytes)
            .map_err(|error| PlanError::Damaged(excerpt(&error.to_string())))?;
        document.check()
    }
}

impl Document {
    fn check(self) -> Result<SavedPlan, PlanError> {
        let template = self.template.parse::<TemplateName>().ok();
        let template = template.ok_or_else(|| word(&self.template, "name of a template"))?;
        let is_printable = |text: &str| !text.chars().any(char::is_control);
        if !is_printable(&self.why) || self.why.chars().count() > WHY_CHARACTERS {
            return Err(word(&self.why, "command"));
        }
        let mut names = self.ids.keys();
        if let Some(name) = names
            .find(|name| name.is_empty() || name.contains([':', '/', ' ']) || !is_printable(name))
        {
            return Err(word(name, "user or group name"));
        }
        let steps = self.steps.into_iter().map(Line::check);
        Ok(SavedPlan {
            head: VersionName {
                template,
                number: self.head,
            },
            digest: self.digest,
            template_digest: self.template_digest,
            from_nothing: self.from_nothing,
            epoch: self.epoch,
            ids: self.ids,
            why: self.why,
            family: self.family,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }
}

impl Line {
    fn check(self) -> Result<Change, PlanError> {
        let versions = [Some(&self.version), self.from.as_ref()];
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        for version in versions.into_iter().flatten() {
            if version.is_empty() || !version.bytes().all(plain) {
                return Err(word(version, "version"));
            }
        }
        let action = match (self.action.as_str(), self.from) {
            ("install", None) => Action::Install,
            ("remove", None) => Action::Remove,
            ("upgrade", Some(from)) => Action::Upgrade { from },
            ("downgrade", Some(from)) => Action::Downgrade { from },
            _ => {
                return Err(word(
                    &self.action,
                    "action, or has a `from` that it should not",
                ));
            }
        };
        Ok(Change {
            action,
            package: LockedPackage {
                name: self.package,
                arch: self.arch,
                version: self.version,
                sha256: self.sha256,
                size: self.size,
                reason: self.reason,
            },
        })
    }

    fn of(change: &Change) -> Self {
        let (action, from) = match &change.action {
            Action::Install => ("install", None),
            Action::Remove => ("remove", None),
            Action::Upgrade { from } => ("upgrade", Some(from)),
            Action::Downgrade { from } => ("downgrade", Some(from)),
        };
        let package = change.package.clone();
        Self {
            action: action.to_owned(),
            from: from.cloned(),
            package: package.name,
            version: package.version,
            arch: package.arch,
            sha256: package.sha256,
            size: package.size,
            reason: package.reason,
        }
    }
}

impl fmt::Display for SavedPlan {
    /// The whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = Document {
            schema: SCHEMA.to_owned(),
            template: self.head.template.to_string(),
            head: self.head.number,
            digest: self.digest,
            template_digest: self.template_digest,
            from_nothing: self.from_nothing,
            epoch: self.epoch,
            ids: self.ids.clone(),
            why: self.why.clone(),
            family: self.family,
            steps: self.steps.iter().map(Line::of).collect(),
        };
        let text = serde_json::to_string_pretty(&document)
            .ok()
            .ok_or(fmt::Error)?;
        writeln!(f, "{text}")
    }
}

fn word(text: &str, wanted: &'static str) -> PlanError {
    PlanError::Word {
        text: excerpt(text),
        wanted,
    }
}

#[cfg(test)]
mod tests;
