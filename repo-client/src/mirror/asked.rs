//! The signed roots of a mirror as the servers have them now: all asked at once, whatever the family.

use super::apt::{self, Suite};
use super::config::{MirrorConfig, Part, Upstream};
use super::error::MirrorError;
use super::indexed::PackageIndex;
use super::list::ListWriter;
use super::record::{Checked, Root, Server};
use super::work::{Job, Work};
use super::yum::{self, Repo};
use crate::verify::freshness;
use std::collections::BTreeMap;
use std::thread;

/// A new root that counts, of a suite or of a yum repository.
#[derive(Debug)]
pub(super) enum New {
    Apt(Suite),
    Yum(Repo),
}

/// What came of asking for one root.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is what the last sync saw.
    Same(Server),
    /// It is another.
    New(Box<New>),
}

/// One root with the repository it belongs to.
#[derive(Debug)]
pub(super) struct Asked<'a, T> {
    pub(super) part: &'a Part,
    pub(super) of: T,
}

/// Asks for every root.
pub(super) fn ask<'a>(
    work: &Work<'_>,
    config: &'a MirrorConfig,
    checked: &Checked,
) -> Result<Vec<Asked<'a, Answer>>, MirrorError> {
    thread::scope(|scope| {
        let mut running = Vec::new();
        for part in &config.parts {
            match &part.upstream {
                Upstream::Apt(upstream) => {
                    running.extend(upstream.suites.iter().map(|suite| {
                        let ask = move || apt::ask(work, part, upstream, suite, checked);
                        (part, scope.spawn(ask))
                    }));
                }
                // It has no server: it is imported again.
                Upstream::Folder(_) => {}
                Upstream::Yum(upstream) => {
                    let ask = move || yum::ask(work, part, upstream, checked);
                    running.push((part, scope.spawn(ask)));
                }
            }
        }
        let joined = running.into_iter().map(|(part, thread)| {
            let answer = thread.join();
            let answer = answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            answer.map(|of| Asked { part, of })
        });
        joined.collect()
    })
}

/// Compares the dates of roots that are still what the last sync saw with `now`, as they were when they were new.
pub(super) fn check_dates(
    asked: &[Asked<'_, Answer>],
    roots: &[Root],
    now: i64,
) -> Result<(), MirrorError> {
    for asked in asked {
        let Answer::Same(server) = &asked.of else {
            continue;
        };
        let mut roots = roots.iter();
        let root = roots.find(|root| (&root.part, &root.suite) == (&server.part, &server.suite));
        let trust = &asked.part.trust;
        if let Some(root) = root.filter(|_| !trust.trusted && !trust.ignore_valid_until) {
            let checked = freshness::check_dates(root.date, root.valid_until, now);
            let name = [&root.part, &root.suite].map(String::as_str).join(" ");
            checked.map_err(|source| MirrorError::Expired {
                root: name.trim().to_owned(),
                source,
            })?;
        }
    }
    Ok(())
}

/// All roots as they are now, where some of them are new: a state is made of all.
pub(super) fn whole<'a>(
    work: &Work<'_>,
    config: &'a MirrorConfig,
    asked: Vec<Asked<'a, Answer>>,
) -> Result<Vec<Asked<'a, New>>, MirrorError> {
    let some_same = asked.iter().any(|asked| asked.of.is_same());
    let asked = if some_same {
        ask(work, config, &Checked::default())?
    } else {
        asked
    };
    let new = asked.into_iter().filter_map(|Asked { part, of }| match of {
        Answer::New(new) => Some(Asked { part, of: *new }),
        Answer::Same(_) => None,
    });
    Ok(new.collect())
}

/// The addresses of the yum repositories among them, by directory: their mirror lists say where packages are today.
pub(super) fn mirrors(roots: &[Asked<'_, New>]) -> BTreeMap<String, Vec<String>> {
    let yum = roots.iter().filter_map(|asked| match &asked.of {
        New::Yum(repo) => Some((asked.part.directory.clone(), repo.bases().to_vec())),
        New::Apt(_) => None,
    });
    yum.collect()
}

impl Answer {
    pub(super) const fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}

impl Asked<'_, New> {
    /// What the server is to be asked next time.
    pub(super) fn server(&self) -> Server {
        match &self.of {
            New::Apt(suite) => suite.server(self.part),
            New::Yum(repo) => repo.server(self.part),
        }
    }

    pub(super) fn root(&self) -> Root {
        match &self.of {
            New::Apt(suite) => suite.root(self.part),
            New::Yum(repo) => repo.root(self.part),
        }
    }

    /// Remembers that this root was seen.
    pub(super) fn remember(&self, work: &Work<'_>) -> Result<(), MirrorError> {
        match &self.of {
            New::Apt(suite) => suite.remember(work),
            New::Yum(repo) => repo.remember(work),
        }
    }

    /// Brings its metadata here and lists it; the indexes of its packages.
    pub(super) fn fetch(
        &self,
        work: &Work<'_>,
        list: &mut ListWriter,
    ) -> Result<Vec<PackageIndex>, MirrorError> {
        let job = Job {
            work,
            part: self.part,
        };
        match (&self.of, &self.part.upstream) {
            (New::Apt(suite), Upstream::Apt(upstream)) => suite.fetch(&job, upstream, list),
            (New::Yum(repo), _) => Ok(vec![repo.fetch(&job, list)?]),
            (New::Apt(_), Upstream::Yum(_) | Upstream::Folder(_)) => Ok(Vec::new()),
        }
    }
}
