//! Addresses of repositories as templates and `url.map` write them: which ones there may be, and how they are shown.

/// Whether this is a URL a repository may have.
pub(super) fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://", "file:///"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| text.starts_with("file:") || !rest.is_empty() && !rest.starts_with('/'))
}

/// An address for people: without user name and password. Where it is no address that can be told apart, everything up to
/// the last `@` may be one of them.
pub(super) fn shown_address(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        (_, None) => text.to_owned(),
    }
}
