//! Whether an update would only make again what was rolled back: then there is nothing to do until something changes.

use crate::error::CommandResult;
use crate::output::clean;
use vzpkg_cache::store::{Store, VersionRecord, VersionRow, VersionState};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;

/// The newest version marked bad that has exactly the packages of `lock` and was made by this template as it is.
///
/// # Errors
/// Where the records of bad versions cannot be read.
pub(crate) fn find(
    store: &Store,
    template: &Template,
    lock: &Lock,
) -> CommandResult<Option<VersionRow>> {
    let wanted = || lock.packages.iter().map(|package| package.sha256);
    for row in store.db.versions(&template.name)?.into_iter().rev() {
        if row.state == VersionState::Good {
            continue;
        }
        let record = store.versions.read(&template.name, &row.digest)?;
        let found = record.lock.packages.iter().map(|package| package.sha256);
        if found.eq(wanted()) && record.template_digest == template.digest() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The packages after `transaction` was carried out on `base`, or on nothing.
pub(crate) fn lock_after(
    template: &Template,
    base: Option<&VersionRecord>,
    transaction: &Transaction,
) -> Lock {
    if let Some(base) = base {
        return base.lock.after(transaction);
    }
    let arch = template.arch.in_family(template.family);
    Lock::empty(template.family, arch).after(transaction)
}

/// `debian-13-x86_64@5, which was rolled back: nginx does not start`
pub(crate) fn describe(row: &VersionRow) -> String {
    let reason = match &row.state {
        VersionState::Bad(reason) if !reason.is_empty() => format!(": {}", clean(reason)),
        _ => String::new(),
    };
    format!("{}, which was rolled back{reason}", row.name)
}
