//! Who may do what: one table, read by pages and API alike. Pure.
//!
//! The rights of a visitor are a floor: whoever signs in keeps them. A right after the stroke
//! holds only for what lies in the scope of the grant (an enterprise's own records, a verifier's
//! assignments).

use miyun_store::{Grant, Role};

/// A part of the platform, a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Area {
    Home,
    Map,
    Quality,
    Sources,
    Carbon,
    Nature,
    Risk,
    Cases,
    Report,
    Articles,
    Rules,
    Data,
    Desk,
    Admin,
}

/// Something to do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Read what is published.
    Read,
    /// Read what is not published.
    ReadInternal,
    /// Write: enter, import, run, annotate, edit.
    Write,
    /// Ask for what a second person decides.
    Propose,
    /// Decide what somebody else proposed.
    Decide,
    /// Like.
    Like,
    /// Keep users, keys, layers, the audit log, jobs.
    Manage,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::ReadInternal,
        Self::Write,
        Self::Propose,
        Self::Decide,
        Self::Like,
        Self::Manage,
    ];

    fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::ReadInternal => 'i',
            Self::Write => 'w',
            Self::Propose => 'p',
            Self::Decide => 'd',
            Self::Like => 'l',
            Self::Manage => 'm',
        }
    }

    /// The scope that an API key must hold. What a second person decides needs the person: no key
    /// does it.
    #[must_use]
    pub fn key_scope(self) -> Option<&'static str> {
        match self {
            Self::Read | Self::ReadInternal => Some("read"),
            Self::Write | Self::Propose | Self::Like => Some("write"),
            Self::Manage => Some("manage"),
            Self::Decide => None,
        }
    }
}

/// Scopes of API keys.
pub const KEY_SCOPES: [&str; 3] = ["read", "write", "manage"];

/// Rights by area: visitor, officer, enterprise, verifier, exchange, admin.
const TABLE: [(Area, [&str; 6]); 14] = [
    (Area::Home, ["r", "ri", "r", "r", "r", "r"]),
    (Area::Map, ["r", "ri", "r/i", "r", "r", "r"]),
    (Area::Quality, ["r", "riwpd", "r/i", "r", "r", "r"]),
    (Area::Sources, ["r", "riw", "r/iw", "r/i", "r", "r"]),
    (Area::Carbon, ["r", "riw", "r/iw", "r/iw", "riw", "r"]),
    (Area::Nature, ["r", "riw", "r", "r", "r", "r"]),
    (Area::Risk, ["r", "riw", "r/iw", "r", "r", "r"]),
    (Area::Cases, ["r", "riw", "r/iw", "r", "r", "r"]),
    (Area::Report, ["rw", "rw", "rw", "rw", "rw", "rw"]),
    (Area::Articles, ["rl", "rliwpd", "rl", "rl", "rl", "rliwpd"]),
    (Area::Rules, ["r", "rp", "r", "r", "r", "rd"]),
    (Area::Data, ["r", "riw", "r/i", "r", "r", "rm"]),
    (Area::Desk, ["", "r", "r", "r", "r", "r"]),
    (Area::Admin, ["", "", "", "", "", "rmpd"]),
];

fn cell(area: Area, role: Option<Role>) -> &'static str {
    let column = match role {
        None => 0,
        Some(Role::Officer) => 1,
        Some(Role::Enterprise) => 2,
        Some(Role::Verifier) => 3,
        Some(Role::Exchange) => 4,
        Some(Role::Admin) => 5,
    };
    TABLE
        .iter()
        .find(|(a, _)| *a == area)
        .map_or("", |(_, cells)| cells[column])
}

/// True if somebody with these grants may do `op` in `area`, to something owned by `owner` (the
/// enterprise or assignment that a scope names; `None` for what belongs to nobody in particular).
#[must_use]
pub fn may(grants: &[Grant], op: Op, area: Area, owner: Option<&str>) -> bool {
    let allows = |cell: &str, scope: Option<&str>| {
        let (always, own) = cell.split_once('/').unwrap_or((cell, ""));
        always.contains(op.letter())
            || (own.contains(op.letter())
                && matches!((owner, scope), (Some(o), Some(s)) if !s.is_empty() && o == s))
    };
    allows(cell(area, None), None)
        || grants
            .iter()
            .any(|g| allows(cell(area, Some(g.role)), Some(&g.scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(role: Role, scope: &str) -> Grant {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Grant {
            id: miyun_store::GrantId::new(at),
            role,
            scope: scope.into(),
            valid_from: at,
            valid_until: None,
            recorded_at: at,
            recorded_by: String::new(),
            superseded_at: None,
        }
    }

    /// What the design says in words, typed a second time and by itself: who, where, what, whose,
    /// and whether it is allowed.
    const EXPECTED: &str = "
        visitor     Home      Read          -    yes
        visitor     Home      ReadInternal  -    no
        visitor     Quality   Read          -    yes
        visitor     Quality   Write         -    no
        visitor     Quality   ReadInternal  -    no
        visitor     Sources   ReadInternal  own  no
        visitor     Carbon    Read          -    yes
        visitor     Carbon    Write         own  no
        visitor     Report    Write         -    yes
        visitor     Articles  Read          -    yes
        visitor     Articles  Like          -    yes
        visitor     Articles  Write         -    no
        visitor     Articles  Decide        -    no
        visitor     Rules     Propose       -    no
        visitor     Desk      Read          -    no
        visitor     Admin     Read          -    no
        visitor     Admin     Manage        -    no
        officer     Home      ReadInternal  -    yes
        officer     Quality   Write         -    yes
        officer     Quality   Propose       -    yes
        officer     Quality   Decide        -    yes
        officer     Sources   Write         -    yes
        officer     Carbon    Write         -    yes
        officer     Cases     Write         -    yes
        officer     Articles  Write         -    yes
        officer     Articles  Propose       -    yes
        officer     Articles  Decide        -    yes
        officer     Rules     Propose       -    yes
        officer     Rules     Decide        -    no
        officer     Data      Write         -    yes
        officer     Data      Manage        -    no
        officer     Admin     Read          -    no
        officer     Admin     Manage        -    no
        enterprise  Home      ReadInternal  -    no
        enterprise  Map       ReadInternal  own  yes
        enterprise  Map       ReadInternal  else no
        enterprise  Sources   Write         own  yes
        enterprise  Sources   Write         else no
        enterprise  Sources   Write         -    no
        enterprise  Carbon    Write         own  yes
        enterprise  Carbon    Write         else no
        enterprise  Cases     Write         own  yes
        enterprise  Cases     ReadInternal  else no
        enterprise  Risk      Write         own  yes
        enterprise  Nature    Write         own  no
        enterprise  Quality   Write         own  no
        enterprise  Articles  Write         -    no
        enterprise  Articles  Like          -    yes
        enterprise  Desk      Read          -    yes
        enterprise  Admin     Manage        own  no
        verifier    Sources   ReadInternal  own  yes
        verifier    Sources   ReadInternal  else no
        verifier    Sources   Write         own  no
        verifier    Carbon    Write         own  yes
        verifier    Carbon    Write         else no
        verifier    Cases     Write         own  no
        verifier    Admin     Read          -    no
        exchange    Carbon    Write         -    yes
        exchange    Sources   ReadInternal  -    no
        exchange    Articles  Write         -    no
        exchange    Admin     Manage        -    no
        admin       Admin     Manage        -    yes
        admin       Admin     Decide        -    yes
        admin       Data      Manage        -    yes
        admin       Rules     Decide        -    yes
        admin       Rules     Propose       -    no
        admin       Articles  Write         -    yes
        admin       Articles  Decide        -    yes
        admin       Quality   Write         -    no
        admin       Carbon    Write         -    no
        admin       Sources   Write         -    no
        admin       Cases     Write         -    no
    ";

    #[test]
    fn the_table_says_what_the_design_says() {
        let areas: Vec<Area> = TABLE.iter().map(|(a, _)| *a).collect();
        let mut rows = 0;
        for line in EXPECTED.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let grants: Vec<Grant> = match words[0] {
                "visitor" => Vec::new(),
                role => vec![grant(role.parse().unwrap(), "party/own")],
            };
            let area = *areas.iter().find(|a| format!("{a:?}") == words[1]).unwrap();
            let op = Op::ALL
                .into_iter()
                .find(|o| format!("{o:?}") == words[2])
                .unwrap();
            let owner = match words[3] {
                "own" => Some("party/own"),
                "else" => Some("party/else"),
                _ => None,
            };
            assert_eq!(may(&grants, op, area, owner), words[4] == "yes", "{line}");
            rows += 1;
        }
        assert!(rows > 60);
    }

    #[test]
    fn a_visitors_rights_are_a_floor() {
        for (area, _) in TABLE {
            for op in Op::ALL {
                if may(&[], op, area, None) {
                    for role in Role::ALL {
                        assert!(
                            may(&[grant(role, "x")], op, area, None),
                            "{role} {area:?} {op:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_scope_owns_nothing() {
        let g = [grant(Role::Enterprise, "")];
        assert!(!may(&g, Op::Write, Area::Sources, Some("")));
        assert!(!may(&g, Op::Write, Area::Sources, None));
    }

    #[test]
    fn no_key_decides() {
        assert_eq!(Op::Decide.key_scope(), None);
        assert!(
            Op::ALL
                .iter()
                .filter_map(|o| o.key_scope())
                .all(|s| KEY_SCOPES.contains(&s))
        );
    }
}
