//! What a sync would find new, asked of the servers without changing anything here.

use super::Mirrors;
use super::asked::{self, Answer, Asked, New};
use super::config::MirrorConfig;
use super::error::MirrorError;
use super::record::{Checked, Refs, Root, State};
use crate::transport::Stop;
use vzpkg_metadata::MirrorName;

/// What there is new for one mirror.
type Found = Result<Vec<News>, MirrorError>;

/// A root that upstream has and the newest state has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// As upstream has it now; it was verified.
    pub root: Root,
    /// That of the newest state for the same suite or repository.
    pub known: Option<Root>,
}

impl Mirrors {
    /// Asks the upstreams of mirrors, several at once, and gives each result to `done` as it comes, on the caller's thread;
    /// nothing where there is nothing new. Costs a round trip for each suite. A folder that was imported has no upstream,
    /// and never news.
    pub fn news(&self, names: &[MirrorName], done: &mut dyn FnMut(&MirrorName, Found)) {
        self.several(names, Self::news_of, done);
    }

    fn news_of(&self, name: &MirrorName) -> Found {
        let home = self.home(name)?;
        let config = MirrorConfig::read(&home)?;
        let newest = Refs::read(&home)?.newest;
        let known = newest.map(|newest| State::read(&home, &newest));
        let known = known.transpose()?.map(|state| state.roots);
        let stop = &Stop::new(&self.context.options.cancel);
        let work = self.work(&home, stop);
        let asked = asked::ask(&work, &config, &Checked::read(&home, newest))?;
        let known = known.unwrap_or_default();
        asked::check_dates(&asked, &known, self.context.options.now)?;
        let new = asked.into_iter().filter_map(|Asked { part, of }| match of {
            Answer::New(new) => Some(Asked::<New> { part, of: *new }.root()),
            Answer::Same(_) => None,
        });
        let news = new.map(|root| {
            let mut known = known.iter();
            let known = known.find(|known| known.part == root.part && known.suite == root.suite);
            News {
                known: known.cloned(),
                root,
            }
        });
        // What a validator did not tell, the signed file does.
        let really = news
            .filter(|news| news.known.as_ref().map(|known| known.digest) != Some(news.root.digest));
        Ok(really.collect())
    }
}
