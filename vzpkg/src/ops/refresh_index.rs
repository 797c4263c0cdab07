//! From the repository lines of a template to mapped indexes.

use super::as_of::Judged;
use super::node;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::output::progress::Progress;
use std::sync::Arc;
use vzpkg_metadata::template::{RepositoryLine, Template};
use vzpkg_repo_client::{Bandwidth, Client, ClientOptions, Proxies, Refresh, Repository};

/// Where pinned keys are looked for besides the places a template names (DESIGN §9).
const KEYRINGS: [&str; 4] = [
    "/usr/share/keyrings",
    "/etc/apt/trusted.gpg.d",
    "/etc/pki/rpm-gpg",
    "/usr/share/distribution-gpg-keys",
];

/// A client with this run's settings, which reads what the node's mirrors publish as they judged it.
pub(crate) fn client(context: &Context, progress: &Arc<Progress>) -> Client {
    client_of_past(context, progress, Judged::new())
}

/// As [`client`], which also reads these past states.
pub(crate) fn client_of_past(
    context: &Context,
    progress: &Arc<Progress>,
    mut judged: Judged,
) -> Client {
    let mut options = options(context);
    let reporter = Arc::clone(progress) as Arc<dyn vzpkg_repo_client::FetchReporter>;
    let mirrors = Client::new(options.clone(), Arc::clone(&reporter));
    let mirrors = mirrors.mirrors(node::layout(context).mirrors());
    // What a damaged mirror publishes is judged by today.
    judged.extend(mirrors.judged().unwrap_or_default());
    options.judged = judged;
    Client::new(options, reporter)
}

/// This run's settings.
fn options(context: &Context) -> ClientOptions {
    let settings = &context.settings;
    let layout = node::layout(context);
    let variable = |name: &str| {
        let lower = context.environment.get(&name.to_ascii_lowercase());
        lower
            .or_else(|| context.environment.get(name))
            .map(str::to_owned)
    };
    let mut options = ClientOptions::new(layout.index(), layout.packages(), context.clock.now);
    options.offline = settings.offline;
    options.refresh = match (settings.offline, settings.refresh) {
        (true, _) => Refresh::Never,
        (false, true) => Refresh::Always,
        (false, false) => Refresh::IfExpired(settings.metadata_expire),
    };
    options.connections = settings.connections;
    let bandwidth = (settings.bandwidth > 0).then(|| Bandwidth::new(settings.bandwidth));
    options.bandwidth = bandwidth.map(Arc::new);
    options.keyring_dirs = KEYRINGS.iter().map(Into::into).collect();
    options.proxies = Proxies {
        http: settings.proxy.clone().or_else(|| variable("HTTP_PROXY")),
        https: settings.proxy.clone().or_else(|| variable("HTTPS_PROXY")),
        direct: variable("NO_PROXY"),
    };
    options.guard_wait = settings.wait;
    options.cancel = Arc::clone(&context.interrupted);
    options
}

/// Loads every repository of `template`, in parallel, in the template's order.
///
/// # Errors
/// The first repository that cannot be had or trusted.
pub(crate) fn load(client: &Client, template: &Template) -> CommandResult<Vec<Repository>> {
    let arch = template.arch.in_family(template.family);
    let with_keys = |line: &RepositoryLine| (line.clone(), template.keys_for(line.id()));
    let lines: Vec<_> = template.repositories.iter().map(with_keys).collect();
    Ok(client.load_all(&lines, &arch)?)
}
