//! `vzpkg mirror import NAME DIR`: a signed repository of a folder of packages, and how clients use it.

use super::sync;
use crate::cli::MirrorImport;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::{mirror_import, mirrors};
use crate::output::{Tone, counted};
use std::path::Path;
use vzpkg_metadata::Family;

pub(super) fn run(context: &Context, arguments: &MirrorImport) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    if context.settings.dry_run {
        let folder = mirror_import::read(context, &arguments.folder)?;
        let count = counted(folder.packages.len(), "package");
        let place = arguments.folder.display();
        let what = format_args!("{count} of {place} as mirror {name}");
        context.printer.status(Tone::Plain, "Would import", what);
        return Ok(());
    }
    let imported = mirror_import::run(context, &mirrors, &name, &arguments.folder)?;
    sync::tell(context, &name, &imported.synced);
    let published = mirrors.info(&name)?.directory;
    context.printer.note(client(imported.family, &published));
    Ok(())
}

/// How a client of this node uses it.
fn client(family: Family, published: &Path) -> String {
    let place = published.display();
    match family {
        Family::Deb => {
            format!("for apt: deb [signed-by={place}/key.asc] file://{place} stable main")
        }
        Family::Rpm => format!(
            "for dnf: baseurl=file://{place}, gpgkey=file://{place}/key.asc, repo_gpgcheck=1; gpgcheck=0 where the \
             packages themselves are not signed"
        ),
    }
}
