//! The people of the configuration: which user of the operating system is which person, and what that
//! person's roles allow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person does at the firm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Trades.
    Trader,
    /// Sets limits.
    Risk,
    /// Surveils, and answers to the authorities.
    Compliance,
    /// Runs the system.
    Administrator,
    /// Reads for an authority.
    Examiner,
    /// Reads.
    ReadOnly,
}

/// What a request needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// To read the counters.
    Watch,
    /// To read the log, and to have the access recorded.
    Read,
    /// To submit as one of the configured publishers.
    Publish,
    /// To engage a kill switch, to pause a strategy, to cancel an order.
    StopTrading,
    /// To release a kill switch.
    AllowTrading,
    /// To let a strategy go on, or to change its parameters.
    RunStrategies,
    /// To propose, approve and set limits and allotments.
    SetLimits,
    /// To place and release holds, and to handle alerts.
    KeepRecords,
    /// To record what is done to files and keys of the trail.
    Administer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Trader, Self::Risk, Self::Compliance, Self::Administrator, Self::Examiner, Self::ReadOnly];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trader => "trader",
            Self::Risk => "risk",
            Self::Compliance => "compliance",
            Self::Administrator => "administrator",
            Self::Examiner => "examiner",
            Self::ReadOnly => "read-only",
        }
    }

    /// What the role allows.
    pub fn permissions(self) -> &'static [Permission] {
        use Permission::{
            Administer, AllowTrading, KeepRecords, Publish, Read, RunStrategies, SetLimits, StopTrading,
            Watch,
        };
        match self {
            Self::Trader => &[Watch, Read, Publish, StopTrading, RunStrategies],
            Self::Risk => &[Watch, Read, StopTrading, AllowTrading, RunStrategies, SetLimits],
            Self::Compliance => &[Watch, Read, StopTrading, AllowTrading, KeepRecords],
            Self::Administrator => &[Watch, Read, Publish, StopTrading, Administer],
            Self::Examiner | Self::ReadOnly => &[Watch, Read],
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Watch => "read the counters",
            Self::Read => "read the log",
            Self::Publish => "publish",
            Self::StopTrading => "stop trading",
            Self::AllowTrading => "release a kill switch",
            Self::RunStrategies => "resume or change a strategy",
            Self::SetLimits => "change limits",
            Self::KeepRecords => "change holds and handle alerts",
            Self::Administer => "administer the trail",
        })
    }
}

/// A person, with the user that the operating system knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The number in events, a party of the log; not 0.
    pub number: u32,
    /// A short name or code.
    pub code: String,
    /// The user number of the operating system.
    pub user: u32,
    /// What the person does.
    pub roles: Vec<Role>,
}

impl Person {
    /// Whether one of the roles allows it.
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.iter().any(|role| role.permissions().contains(&permission))
    }
}

/// The people of a configuration. Numbers and users are unique, so two people are two users.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct People {
    people: Vec<Person>,
}

/// Why the people of a configuration contradict each other.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeopleError {
    /// A person has the number 0.
    #[error("person `{0}` has the number 0, which means no person")]
    Zero(String),
    /// Two people have the same number.
    #[error("`{0}` and `{1}` have the same number")]
    SameNumber(String, String),
    /// Two people have the same user: then one could approve as the other.
    #[error("`{0}` and `{1}` have the same user of the operating system")]
    SameUser(String, String),
    /// A person has no role.
    #[error("person `{0}` has no role")]
    NoRole(String),
}

impl People {
    /// Checks the people of a configuration.
    ///
    /// # Errors
    /// [`PeopleError`].
    pub fn new(people: Vec<Person>) -> Result<Self, PeopleError> {
        for (index, person) in people.iter().enumerate() {
            let code = || person.code.clone();
            if person.number == 0 {
                return Err(PeopleError::Zero(code()));
            }
            if person.roles.is_empty() {
                return Err(PeopleError::NoRole(code()));
            }
            for other in &people[..index] {
                if other.number == person.number {
                    return Err(PeopleError::SameNumber(other.code.clone(), code()));
                }
                if other.user == person.user {
                    return Err(PeopleError::SameUser(other.code.clone(), code()));
                }
            }
        }
        Ok(Self { people })
    }

    /// Whether the configuration has no people: then no number of a person is verified.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The person with this user of the operating system.
    pub fn of_user(&self, user: u32) -> Option<&Person> {
        self.people.iter().find(|person| person.user == user)
    }

    /// The person with this number.
    pub fn numbered(&self, number: u32) -> Option<&Person> {
        self.people.iter().find(|person| person.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: u32, user: u32, role: Role) -> Person {
        Person { number, code: format!("p{number}"), user, roles: vec![role] }
    }

    #[test]
    fn two_people_have_two_numbers_and_two_users() {
        let people = |list: &[(u32, u32)]| {
            let list = list.iter().map(|(number, user)| person(*number, *user, Role::Risk));
            People::new(list.collect())
        };
        let found = people(&[(1, 1000), (2, 1001)]).unwrap();
        assert_eq!(found.of_user(1001).unwrap().number, 2);
        assert_eq!((found.of_user(0), found.numbered(3)), (None, None));
        assert_eq!(people(&[(0, 1)]), Err(PeopleError::Zero("p0".into())));
        let same_user = people(&[(1, 1000), (2, 1000)]).unwrap_err();
        assert_eq!(same_user, PeopleError::SameUser("p1".into(), "p2".into()));
        let same_number = people(&[(1, 1000), (1, 1001)]).unwrap_err();
        assert_eq!(same_number, PeopleError::SameNumber("p1".into(), "p1".into()));
        let idle = Person { roles: vec![], ..person(1, 1, Role::Risk) };
        assert_eq!(People::new(vec![idle]), Err(PeopleError::NoRole("p1".into())));
    }

    #[test]
    fn readers_change_nothing_and_limits_are_risks_alone() {
        for role in Role::ALL {
            assert!(role.permissions().contains(&Permission::Read), "{}", role.name());
            assert_eq!(role.permissions().contains(&Permission::SetLimits), role == Role::Risk);
        }
        for role in [Role::Examiner, Role::ReadOnly] {
            assert_eq!(role.permissions(), [Permission::Watch, Permission::Read]);
        }
        let both = Person { roles: vec![Role::ReadOnly, Role::Trader], ..person(1, 1, Role::Risk) };
        assert!(both.may(Permission::StopTrading) && !both.may(Permission::AllowTrading));
    }
}
