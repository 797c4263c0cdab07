//! This node: its store, its templates, and what a command may do to them.

use super::host;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::{Tone, duration};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vzpkg_cache::store::{
    Access, Guard, GuardName, GuardReporter, Holder, Layout, OpenError, Store, Wait,
};
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::{Template, TemplateArea, TemplateLocation, UrlMap};

/// Where the host keeps its apt sources.
pub(crate) const ETC_APT: &str = "/etc/apt";

/// The paths below the root.
pub(crate) fn layout(context: &Context) -> Layout {
    Layout::new(&context.settings.root)
}

/// For a verb that changes what lies below the root: refuses everybody but root.
///
/// # Errors
/// [`Kind::Environment`].
pub(crate) fn require_root() -> CommandResult {
    if !rustix::process::geteuid().is_root() {
        return Err(CommandError::message(
            Kind::Environment,
            "this verb changes the node and needs root",
        )
        .hint("run it with sudo; `list`, `info`, `history`, `search`, `diff` work without"));
    }
    // Files have the modes that are asked for, whatever the caller's shell says.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

/// For a verb that only looks, but at what only root may see: private areas, objects, the state of the OCI runtime.
///
/// # Errors
/// [`Kind::Environment`].
pub(crate) fn require_root_to_look() -> CommandResult {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let text = "this verb looks at what only root may see, and needs root";
    Err(CommandError::message(Kind::Environment, text).hint("run it with sudo"))
}

/// Opens the store for a command that changes something.
///
/// # Errors
/// [`Kind::Environment`] without root or where the store cannot be made.
pub(crate) fn store_for_writing(context: &Context) -> CommandResult<Store> {
    require_root()?;
    Ok(Store::open(&context.settings.root, Access::ReadWrite)?)
}

/// Opens the store for a reading command; `None` where there is none yet.
///
/// # Errors
/// [`Kind::Environment`] for a store that cannot be read.
pub(crate) fn store_for_reading(context: &Context) -> CommandResult<Option<Store>> {
    match Store::open(&context.settings.root, Access::ReadOnly) {
        Ok(store) => Ok(Some(store)),
        Err(OpenError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens the store for a reading command that is about something in it.
///
/// # Errors
/// [`Kind::Unmet`] where there is none yet.
pub(crate) fn existing_store(context: &Context) -> CommandResult<Store> {
    store_for_reading(context)?.ok_or_else(|| {
        CommandError::message(
            Kind::Unmet,
            format!(
                "there is no store below `{}` yet",
                context.settings.root.display()
            ),
        )
        .hint("build a first version: vzpkg create-cache debian-13-x86_64-minimal")
    })
}

/// The template area; a command that may write puts the shipped templates there first.
///
/// # Errors
/// [`Kind::Environment`] where they cannot be written.
pub(crate) fn templates(context: &Context) -> CommandResult<TemplateArea> {
    let area = TemplateArea::new(layout(context).templates());
    // The shipped ones are no state: a dry run on a fresh node needs them too.
    if rustix::process::geteuid().is_root() {
        area.install_shipped()?;
    }
    Ok(area)
}

/// The replacements of repository tokens: the administrator's `url.map`, else this host's own mirrors, else ours.
///
/// # Errors
/// [`Kind::Usage`] for an `url.map` that cannot be read.
pub(crate) fn url_map(area: &TemplateArea) -> CommandResult<UrlMap> {
    Ok(area
        .url_map()?
        .with_host_defaults(&host::apt_servers(Path::new(ETC_APT))))
}

/// Finds a template by what a user typed.
///
/// # Errors
/// [`Kind::Usage`] with near names.
pub(crate) fn locate(
    area: &TemplateArea,
    typed: &str,
) -> CommandResult<(TemplateName, TemplateLocation)> {
    let location = area.resolve(&TemplateName::from_user(typed)?)?;
    Ok((location.name()?, location))
}

/// Loads a template with this node's `url.map`.
///
/// # Errors
/// [`Kind::Usage`] for a template that cannot be used.
pub(crate) fn load(area: &TemplateArea, location: &TemplateLocation) -> CommandResult<Template> {
    Ok(area.load_at(location, &url_map(area)?)?)
}

/// Takes a guard, telling for whom it waits.
///
/// # Errors
/// [`Kind::Environment`] where somebody else holds it longer than `--wait`.
pub(crate) fn guard(context: &Context, store: &Store, name: GuardName) -> CommandResult<Guard> {
    let wait = Wait::AtMost(context.settings.wait);
    Ok(store.guard(name, wait, &Waiting::new(context))?)
}

/// The guards of all templates, which keep builds from beginning.
///
/// # Errors
/// As [`guard`].
pub(crate) fn guard_templates(context: &Context, store: &Store) -> CommandResult<Vec<Guard>> {
    let wait = Wait::AtMost(context.settings.wait);
    let there = TemplateArea::new(layout(context).templates()).list();
    let names = there.unwrap_or_default().into_iter();
    let names = names.filter_map(|place| place.name().ok()).collect();
    Ok(store.guard_templates(names, wait, &Waiting::new(context))?)
}

/// As [`guard`] for a verb that changes something; none in a dry run, which is a reader, and readers never wait.
///
/// # Errors
/// As [`guard`].
pub(crate) fn guard_to_change(
    context: &Context,
    store: &Store,
    name: GuardName,
) -> CommandResult<Option<Guard>> {
    if context.settings.dry_run {
        return Ok(None);
    }
    guard(context, store, name).map(Some)
}

/// Says for whom it waits: at once, after 1, 3, 7, 15… seconds, and every minute.
struct Waiting<'a> {
    context: &'a Context,
    /// Seconds of waiting after which it is said again.
    next: AtomicU64,
}

impl<'a> Waiting<'a> {
    const fn new(context: &'a Context) -> Self {
        let next = AtomicU64::new(0);
        Self { context, next }
    }
}

impl GuardReporter for Waiting<'_> {
    fn waiting(&self, guard: &GuardName, holder: Option<&Holder>, waited: Duration) {
        let seconds = waited.as_secs();
        if seconds < self.next.load(Ordering::Relaxed) {
            return;
        }
        let pause = (seconds + 1).min(60);
        self.next.store(seconds + pause, Ordering::Relaxed);
        let holder = holder.map_or_else(|| "another process".to_owned(), ToString::to_string);
        let (waited, limit) = (duration(waited), duration(self.context.settings.wait));
        let what = format!("for {guard}, in use by {holder} ({waited} of at most {limit})");
        self.context.printer.status(Tone::Warning, "Waiting", what);
    }

    fn is_cancelled(&self) -> bool {
        self.context.interrupted.load(Ordering::Relaxed)
    }
}

/// Who runs this command, for the history: the user behind sudo, if there is one.
pub(crate) fn who(context: &Context) -> String {
    let user = context
        .environment
        .get("SUDO_USER")
        .or_else(|| context.environment.get("USER"));
    user.map_or_else(
        || format!("uid {}", rustix::process::getuid().as_raw()),
        str::to_owned,
    )
}

/// Fails if the user asked to stop.
///
/// # Errors
/// [`Kind::Interrupted`].
pub(crate) fn check_interrupt(context: &Context) -> CommandResult {
    if context.interrupted.load(Ordering::Relaxed) {
        return Err(CommandError::message(
            Kind::Interrupted,
            "interrupted; nothing was changed",
        ));
    }
    Ok(())
}
