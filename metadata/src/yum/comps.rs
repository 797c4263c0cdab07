//! `comps.xml`: the groups of packages that a yum repository offers (`@core`), and the environments, which are groups of
//! groups. Names and descriptions for people are passed over.

use super::XmlError;
use super::xml::{Element, Token, Xml};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

/// Groups and environments together. Fedora has 230.
const GROUPS: usize = 10_000;

/// Packages of all groups together. Fedora has 5,000.
const MEMBERS: usize = 1_000_000;

/// Why bytes are not `comps.xml`.
#[derive(Debug, thiserror::Error)]
pub enum CompsError {
    /// Not the XML we take.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The outermost element is another.
    #[error("the groups do not begin with `<comps>`")]
    Root,
    /// A group or environment without an id.
    #[error("group number {number} has no id")]
    NoId {
        /// Counted from 1.
        number: usize,
    },
    /// More than a distribution can mean.
    #[error("the repository has too many groups or members of groups")]
    TooMany,
}

/// The groups of one repository, or of several together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comps {
    /// By id: `core`, `web-server`.
    pub groups: BTreeMap<String, Group>,
    /// By id: `minimal-environment`.
    pub environments: BTreeMap<String, Environment>,
}

/// One group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What the group cannot be without.
    pub mandatory: BTreeSet<String>,
    /// What comes with it unless somebody says otherwise.
    pub default: BTreeSet<String>,
    /// What comes only where somebody asks.
    pub optional: BTreeSet<String>,
    /// What comes where another package is there: names, and the package each looks at.
    pub conditional: BTreeMap<String, String>,
}

/// One environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Ids of its groups.
    pub groups: BTreeSet<String>,
    /// Ids of groups that come only where somebody asks.
    pub optional: BTreeSet<String>,
}

impl Comps {
    /// Adds what another repository says: a group that both have holds the packages of both, as in dnf.
    pub fn merge(&mut self, other: Self) {
        for (id, group) in other.groups {
            let known = self.groups.entry(id).or_default();
            known.mandatory.extend(group.mandatory);
            known.default.extend(group.default);
            known.optional.extend(group.optional);
            known.conditional.extend(group.conditional);
        }
        for (id, environment) in other.environments {
            let known = self.environments.entry(id).or_default();
            known.groups.extend(environment.groups);
            known.optional.extend(environment.optional);
        }
    }

    /// The groups that `id` means, one group or those of an environment; `None` if there is nothing of that id.
    pub fn groups_of(&self, id: &str) -> Option<Vec<&Group>> {
        if let Some(environment) = self.environments.get(id) {
            let groups = environment.groups.iter();
            return Some(groups.filter_map(|id| self.groups.get(id)).collect());
        }
        self.groups.get(id).map(|group| vec![group])
    }
}

/// Reads `comps.xml`.
///
/// # Errors
/// [`CompsError`] says what is wrong with the bytes.
pub fn parse(reader: impl BufRead) -> Result<Comps, CompsError> {
    let mut xml = Xml::new(reader).with_document_type();
    match xml.next()? {
        Token::Open(element) if element.name() == "comps" => {}
        _ => return Err(CompsError::Root),
    }
    let mut read = Reading::default();
    loop {
        let kind = match xml.next()? {
            Token::Open(element) => Kind::of(element.name()),
            Token::Close | Token::End => return Ok(read.comps),
        };
        match kind {
            Some(kind) => read.one(&mut xml, kind)?,
            None => xml.skip()?,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Group,
    Environment,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "group" => Some(Self::Group),
            "environment" => Some(Self::Environment),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Reading {
    comps: Comps,
    number: usize,
    members: usize,
}

/// What stands in a list: a package of some type, or the id of a group.
enum Member {
    Package { kind: String, requires: String },
    Id,
}

impl Reading {
    /// One group or environment, whose element was opened.
    fn one(&mut self, xml: &mut Xml<impl BufRead>, kind: Kind) -> Result<(), CompsError> {
        self.number = self.number.saturating_add(1);
        if self.number > GROUPS {
            return Err(CompsError::TooMany);
        }
        let mut id = String::new();
        let (mut group, mut environment) = (Group::default(), Environment::default());
        while let Token::Open(element) = xml.next()? {
            let name = element.name().to_owned();
            match (kind, name.as_str()) {
                (_, "id") if id.is_empty() => xml.text_into(&mut id)?,
                (Kind::Group, "packagelist") => self.list(xml, &mut |member, name| {
                    if let Member::Package { kind, requires } = member {
                        group.add(&kind, requires, name);
                    }
                })?,
                (Kind::Environment, "grouplist") => self.list(xml, &mut |_, id| {
                    environment.groups.insert(id);
                })?,
                (Kind::Environment, "optionlist") => self.list(xml, &mut |_, id| {
                    environment.optional.insert(id);
                })?,
                _ => xml.skip()?,
            }
        }
        let id = id.trim().to_owned();
        if id.is_empty() {
            return Err(CompsError::NoId {
                number: self.number,
            });
        }
        let mut found = Comps::default();
        match kind {
            Kind::Group => drop(found.groups.insert(id, group)),
            Kind::Environment => drop(found.environments.insert(id, environment)),
        }
        self.comps.merge(found);
        Ok(())
    }

    /// The members of a list, whose element was opened.
    fn list(
        &mut self,
        xml: &mut Xml<impl BufRead>,
        visit: &mut dyn FnMut(Member, String),
    ) -> Result<(), CompsError> {
        loop {
            let member = match xml.next()? {
                Token::Open(element) => member(&element)?,
                Token::Close | Token::End => return Ok(()),
            };
            let Some(member) = member else {
                xml.skip()?;
                continue;
            };
            let mut name = String::new();
            xml.text_into(&mut name)?;
            self.members = self.members.saturating_add(1);
            if self.members > MEMBERS {
                return Err(CompsError::TooMany);
            }
            let name = name.trim();
            if !name.is_empty() {
                visit(member, name.to_owned());
            }
        }
    }
}

fn member(element: &Element<'_>) -> Result<Option<Member>, XmlError> {
    let text = |attribute: &str| {
        let found = element.attribute(attribute)?;
        Ok::<_, XmlError>(found.map_or_else(String::new, std::borrow::Cow::into_owned))
    };
    Ok(match element.name() {
        "packagereq" => Some(Member::Package {
            kind: text("type")?,
            requires: text("requires")?,
        }),
        "groupid" => Some(Member::Id),
        _ => None,
    })
}

impl Group {
    /// A type that nobody knows is taken for `mandatory`, as libcomps does.
    fn add(&mut self, kind: &str, requires: String, name: String) {
        match kind {
            "default" => drop(self.default.insert(name)),
            "optional" => drop(self.optional.insert(name)),
            "conditional" => drop(self.conditional.insert(name, requires)),
            _ => drop(self.mandatory.insert(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE comps PUBLIC '-//x//DTD Comps//EN' 'comps.dtd'>\n<comps>
        <group><id>core</id><name>Core</name><name xml:lang=\"de\">Kern</name>
          <packagelist>
            <packagereq type=\"mandatory\">bash</packagereq>
            <packagereq type=\"default\">dnf</packagereq>
            <packagereq type=\"optional\">tcsh</packagereq>
            <packagereq type=\"conditional\" requires=\"dnf\">dnf-plugins</packagereq>
            <packagereq>filesystem</packagereq>
          </packagelist></group>
        <group><id>empty</id><packagelist/></group>
        <category><id>base</id><grouplist><groupid>core</groupid></grouplist></category>
        <environment><id>minimal</id>
          <grouplist><groupid>core</groupid><groupid>absent</groupid></grouplist>
          <optionlist><groupid default=\"true\">empty</groupid></optionlist></environment>
        </comps>";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn groups_and_environments_are_read() {
        let comps = parse(TEXT.as_bytes()).unwrap();
        let core = &comps.groups["core"];
        assert_eq!(core.mandatory, set(&["bash", "filesystem"]));
        assert_eq!(core.default, set(&["dnf"]));
        assert_eq!(core.optional, set(&["tcsh"]));
        assert_eq!(core.conditional["dnf-plugins"], "dnf");
        assert_eq!(comps.groups.len(), 2);
        assert_eq!(comps.environments["minimal"].optional, set(&["empty"]));
        // A group that does not exist is no part of an environment.
        assert_eq!(comps.groups_of("minimal"), Some(vec![core]));
        assert_eq!(comps.groups_of("core"), Some(vec![core]));
        assert_eq!(comps.groups_of("absent"), None);
    }

    #[test]
    fn groups_of_several_repositories_are_one() {
        let mut comps = parse(TEXT.as_bytes()).unwrap();
        let other = "<comps><group><id>core</id><packagelist>
            <packagereq type=\"default\">zsh</packagereq></packagelist></group></comps>";
        comps.merge(parse(other.as_bytes()).unwrap());
        assert_eq!(comps.groups["core"].default, set(&["dnf", "zsh"]));
        assert_eq!(comps.groups["core"].mandatory, set(&["bash", "filesystem"]));
    }

    #[test]
    fn what_is_no_comps_is_refused() {
        for text in [
            "",
            "<x/>",
            "<comps><group>",
            "<comps><group><name>x</name></group></comps>",
            "<comps><group><id> </id></group></comps>",
            "<comps><group><id>a<b/></id></group></comps>",
            "<!DOCTYPE comps [<!ENTITY a \"b\">]><comps/>",
            "<comps><!DOCTYPE comps><group><id>a</id></group></comps>",
            "<!DOCTYPE comps SYSTEM 'x'><comps><group><id>&a;</id></group></comps>",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = format!(
            "<comps>{}</comps>",
            "<group><id>a</id></group>".repeat(GROUPS + 1)
        );
        assert!(matches!(parse(many.as_bytes()), Err(CompsError::TooMany)));
    }
}
