//! People: `[[person]]`, which user of the operating system is which party of the log.

use super::Config;
use super::page::Page;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use stele_door::{People, Person, Role};

/// The longest code of a person, in bytes.
const CODE_MAX: usize = 32;

/// A person: `[[person]]`. The configuration is recorded on the log, so a code and a number stand for the
/// name of a person and of a user.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonConfig {
    /// The party of the log.
    pub(crate) number: u32,
    pub(crate) code: String,
    pub(crate) user: OsUser,
    pub(crate) roles: Vec<Role>,
}

/// A user of the operating system, by number or by name.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(untagged, expecting = "expected the number or the name of a user")]
pub(crate) enum OsUser {
    Number(u32),
    Name(String),
}

impl PersonConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.list("person");
        page.key("number", u64::from(self.number), "the party in events");
        page.key("code", &self.code, "at most 32 bytes; not a name: the configuration is on the log");
        match &self.user {
            OsUser::Number(number) => page.key("user", u64::from(*number), "of the operating system"),
            OsUser::Name(name) => page.key("user", name, "of the operating system"),
        }
        let roles: Vec<String> = self.roles.iter().map(|role| format!("\"{}\"", role.name())).collect();
        let all = Role::ALL.map(Role::name).join(", ");
        let _ = writeln!(page.out, "roles = [{}]  # of {all}", roles.join(", "));
    }
}

impl Config {
    /// Replaces the names of users by their numbers, so that no name is recorded.
    ///
    /// # Errors
    /// [`Failure`]: the operating system does not know a user.
    pub(super) fn resolve_people(&mut self) -> Result<(), Failure> {
        let users = || fs::read_to_string("/etc/passwd").unwrap_or_default();
        for person in &mut self.person {
            if let OsUser::Name(name) = &person.user {
                let number = number_of(&users(), name).ok_or_else(|| {
                    Failure::usage(format!("[[person]] `{}`: there is no user `{name}`", person.code))
                        .help("give the number of the user; `id -u NAME` prints it")
                })?;
                person.user = OsUser::Number(number);
            }
        }
        Ok(())
    }

    /// The people, checked.
    ///
    /// # Errors
    /// [`Failure`]: they contradict each other.
    pub(crate) fn people(&self) -> Result<People, Failure> {
        let people = self.person.iter().map(|person| {
            let PersonConfig { number, code, user, roles } = person.clone();
            if code.is_empty() || code.len() > CODE_MAX {
                return Err(Failure::usage(format!("[[person]] {number} has the code `{code}`"))
                    .help(format!("give 1 to {CODE_MAX} bytes")));
            }
            let OsUser::Number(user) = user else { unreachable!("names were resolved when it was read") };
            Ok(Person { number, code, user, roles })
        });
        let people = people.collect::<Result<Vec<_>, _>>()?;
        People::new(people).map_err(|error| {
            Failure::usage(format!("[[person]]: {error}"))
                .help("each person has a number and a user of its own, and at least one role")
        })
    }
}

/// Returns the number of the user `name` in the text of a passwd file.
fn number_of(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_recorded_by_number_and_contradictions_are_refused() {
        let read = |text: &str| {
            let mut config: Config = toml::from_str(text).unwrap();
            config.resolve_people().map(|()| config)
        };
        let person = |number: u32, user: &str| {
            format!("[[person]]\nnumber = {number}\ncode = 'p{number}'\nuser = {user}\nroles = ['risk']\n")
        };
        let config = read(&person(12, "'root'")).unwrap();
        assert!(config.render().contains("user = 0 "), "{}", config.render());
        assert_eq!(toml::from_str::<Config>(&config.render()).unwrap(), config);
        assert_eq!(config.people().unwrap().of_user(0).unwrap().number, 12);
        let twice = read(&(person(1, "1000") + &person(2, "1000"))).unwrap();
        assert!(twice.people().unwrap_err().to_string().contains("the same user"));
        let missing = read(&person(1, "'there-is-no-such-user'")).unwrap_err().to_string();
        assert!(missing.contains("there is no user"), "{missing}");
        assert!(toml::from_str::<Config>("[[person]]\nnumber=1\ncode='a'\nuser=1\nroles=['boss']").is_err());
    }

    #[test]
    fn a_user_is_found_by_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!((number_of(users, "anna"), number_of(users, "x")), (Some(1000), None));
    }
}
