//! Signed requests: what a representative asks, under an id that makes repetition harmless, in a
//! window outside which it is void.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use miyun_carbon::retire::Retirement;
use miyun_core::{Date, Text};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;

/// Longest request in bytes.
pub const REQUEST_MAX: usize = 16 * 1024;
/// Longest window of a request in hours.
pub const WINDOW_HOURS_MAX: i64 = 24 * 14;

/// An amount as sent: text or a JSON number, judged by the ledger's own reader so that a sign, a
/// nought or an overflow gets its own code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(serde_json::Number),
        }
        Ok(Self(match Either::deserialize(d)? {
            Either::Text(t) => t,
            Either::Number(n) => n.to_string(),
        }))
    }
}

impl From<u64> for Amount {
    fn from(n: u64) -> Self {
        Self(n.to_string())
    }
}

impl Amount {
    /// The number.
    ///
    /// # Errors
    /// The ledger's code for negative, nought, too large or unreadable amounts.
    pub fn get(&self) -> Result<u64, Error> {
        miyun_ledger::parse_amount(&self.0).map_err(Error::Ledger)
    }
}

/// What a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the market.
    Authority,
    /// Has a duty to surrender.
    Compliance,
    /// Trades without a duty.
    Institution,
    /// Owns credit projects.
    Developer,
    /// Validates and verifies.
    Verifier,
}

impl Role {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Compliance => "compliance",
            Self::Institution => "institution",
            Self::Developer => "developer",
            Self::Verifier => "verifier",
        }
    }

    /// The word in both languages.
    #[must_use]
    pub fn text(self) -> Text {
        let zh = match self {
            Self::Authority => "主管部门",
            Self::Compliance => "重点碳排放单位",
            Self::Institution => "机构",
            Self::Developer => "项目业主",
            Self::Verifier => "核查机构",
        };
        Text::new(zh, self.word())
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// The first record: market, authority, its first representative.
    Found {
        /// Jurisdiction whose rules hold.
        market: String,
        /// Id of the authority.
        authority: String,
        /// Its name.
        name: Text,
        /// Its first representative.
        representative: String,
        /// Public key of the representative, hexadecimal.
        key: String,
        /// True if everything in this registry is simulated.
        simulated: bool,
    },
    /// A new party, by the authority.
    RegisterParty {
        /// Its id.
        party: String,
        /// What it is.
        role: Role,
        /// Its name.
        name: Text,
        /// Group of related parties, its own id if absent.
        #[serde(default)]
        group: Option<String>,
        /// Sector, for rules that differ by sector.
        #[serde(default)]
        sector: Option<String>,
    },
    /// A new representative, by the authority.
    AddRepresentative {
        /// For whom.
        party: String,
        /// Who.
        representative: String,
        /// Public key, hexadecimal.
        key: String,
    },
    /// A representative leaves, by the authority.
    RemoveRepresentative {
        /// For whom.
        party: String,
        /// Who.
        representative: String,
    },
    /// Puts a party on the own list of trusted accounts; counts after the delay.
    Trust {
        /// Whom.
        party: String,
    },
    /// Allowances of a vintage come into being, by the authority.
    IssueAllowances {
        /// Name before the vintage, for example `LXA`.
        programme: String,
        /// The year.
        vintage: u16,
        /// Tonnes.
        amount: Amount,
    },
    /// Allowances go to a unit, by the authority.
    Allocate {
        /// For example `LXA-2025`.
        asset: String,
        /// To whom.
        to: String,
        /// Tonnes.
        amount: Amount,
    },
    /// A transfer is proposed. It waits for a second representative and for the delay.
    Transfer {
        /// What.
        asset: String,
        /// To whom.
        to: String,
        /// Tonnes.
        amount: Amount,
        /// Which serials, for credits; the newest of the account if absent.
        #[serde(default)]
        serials: Option<[u64; 2]>,
    },
    /// A second representative approves.
    Approve {
        /// Request id of the proposal.
        transfer: String,
    },
    /// The proposer's party takes it back.
    Withdraw {
        /// Request id of the proposal.
        transfer: String,
    },
    /// The delay has passed: the transfer is posted. Anyone may ask.
    Settle {
        /// Request id of the proposal.
        transfer: String,
    },
    /// A project is written down, by its developer.
    ProposeProject {
        /// Its id, first part of its serials.
        project: String,
        /// Its name.
        name: Text,
        /// Methodology by its name in the rulebook.
        methodology: String,
        /// First day.
        started: Date,
        /// True if it lies outside the market's territory.
        outside: bool,
        /// True if what it stores can be lost.
        reversible: bool,
    },
    /// A validator confirms its design.
    ValidateProject {
        /// Which.
        project: String,
    },
    /// The authority registers it.
    RegisterProject {
        /// Which.
        project: String,
    },
    /// The developer reports a monitoring period.
    Monitor {
        /// Which.
        project: String,
        /// First day.
        from: Date,
        /// Last day.
        until: Date,
    },
    /// A verifier states what the period is worth.
    Verify {
        /// Which.
        project: String,
        /// Number of the period, from 0.
        period: u32,
        /// Tonnes.
        tonnes: Amount,
    },
    /// The authority issues credits for a verified period.
    IssueCredits {
        /// Which.
        project: String,
        /// Number of the period, from 0.
        period: u32,
        /// Tonnes.
        tonnes: Amount,
    },
    /// Stored carbon was lost: the buffer answers for it, by the authority.
    ReverseProject {
        /// Which credits.
        asset: String,
        /// Tonnes.
        tonnes: Amount,
        /// What happened.
        reason: String,
    },
    /// A verifier states the emissions of a unit.
    ReportEmissions {
        /// Whose.
        party: String,
        /// Of which year.
        year: i16,
        /// Tonnes.
        tonnes: Amount,
    },
    /// Allowances are given up for a year.
    Surrender {
        /// Which.
        asset: String,
        /// Tonnes.
        amount: Amount,
        /// For which year.
        year: i16,
    },
    /// Credits are given up for a year, within the caps.
    UseOffset {
        /// Which.
        asset: String,
        /// Tonnes.
        amount: Amount,
        /// For which year.
        year: i16,
    },
    /// What may be carried goes into the next vintage.
    CarryOver {
        /// Which.
        asset: String,
        /// Into which, for example `LXA-2025`.
        into: String,
    },
    /// Units are retired for someone.
    Retire {
        /// Which.
        asset: String,
        /// Tonnes.
        amount: Amount,
        /// Which serials.
        #[serde(default)]
        serials: Option<[u64; 2]>,
        /// For whom and why.
        retirement: Retirement,
    },
    /// Units are cancelled.
    Cancel {
        /// Which.
        asset: String,
        /// Tonnes.
        amount: Amount,
        /// Which serials.
        #[serde(default)]
        serials: Option<[u64; 2]>,
        /// Why.
        reason: String,
    },
    /// The authority authorises credits for use abroad, or applies the adjustment.
    Adjust {
        /// Which.
        asset: String,
        /// First serial.
        first: u64,
        /// Last serial.
        last: u64,
        /// `authorised` or `applied`.
        to: String,
    },
    /// Credits leave for another registry.
    Export {
        /// Which.
        asset: String,
        /// Tonnes.
        amount: Amount,
        /// Which serials.
        #[serde(default)]
        serials: Option<[u64; 2]>,
        /// Where to.
        registry: String,
    },
    /// Freezes or thaws a party, by the authority.
    Freeze {
        /// Whom.
        party: String,
        /// True to freeze.
        frozen: bool,
        /// Why.
        reason: String,
    },
    /// Compensates an earlier transfer, by the authority; nothing is deleted.
    Correct {
        /// Request id of the earlier one.
        request: String,
        /// Why.
        reason: String,
    },
}

/// A request before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Random 128 bits as 32 hexadecimal digits: the same request sent twice is one request.
    pub id: String,
    /// First instant at which it is good.
    pub from: String,
    /// First instant at which it no longer is.
    pub until: String,
    /// What is asked.
    pub ask: Ask,
}

impl Request {
    /// The id as a number.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless it is 32 hexadecimal digits and not nought.
    pub fn number(&self) -> Result<u128, Error> {
        number(&self.id)
    }
}

/// A request id as a number.
///
/// # Errors
/// [`Error::Malformed`] unless it is 32 hexadecimal digits and not nought.
pub fn number(id: &str) -> Result<u128, Error> {
    (id.len() == 32)
        .then(|| u128::from_str_radix(id, 16).ok())
        .flatten()
        .filter(|n| *n != 0)
        .ok_or_else(|| Error::Malformed(format!("id {id:?} is not 32 hexadecimal digits")))
}

/// A signed request. The text is kept as it was signed: its bytes are the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Who signs: party and representative, for example `linxi/heat-01:zhang`.
    pub by: String,
    /// The request as JSON text.
    pub request: String,
    /// Ed25519 signature over [`message`], hexadecimal.
    pub signature: String,
}

/// What is signed: the purpose, the ledger, the signer, the text. A signature for one ledger is
/// worth nothing on another.
#[must_use]
pub fn message(ledger: &[u8; 32], by: &str, request: &str) -> Vec<u8> {
    format!(
        "miyun registry request 1\n{}\n{by}\n{request}",
        hex::encode(ledger)
    )
    .into_bytes()
}

impl Envelope {
    /// Signs a request.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it does not serialise.
    pub fn sign(
        ledger: &[u8; 32],
        by: &str,
        request: &Request,
        key: &SigningKey,
    ) -> Result<Self, Error> {
        let text = serde_json::to_string(request).map_err(|e| Error::Malformed(e.to_string()))?;
        let signature = key.sign(&message(ledger, by, &text));
        Ok(Self {
            by: by.into(),
            request: text,
            signature: hex::encode(signature.to_bytes()),
        })
    }

    /// The request inside.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is too long or cannot be read.
    pub fn open(&self) -> Result<Request, Error> {
        if self.request.len() > REQUEST_MAX || self.by.len() > 500 {
            return Err(Error::Malformed(format!(
                "a request has at most {REQUEST_MAX} bytes"
            )));
        }
        serde_json::from_str(&self.request).map_err(|e| Error::Malformed(e.to_string()))
    }

    /// Party and representative.
    ///
    /// # Errors
    /// [`Error::Malformed`] without the colon between them.
    pub fn signer(&self) -> Result<(&str, &str), Error> {
        self.by
            .rsplit_once(':')
            .ok_or_else(|| Error::Malformed("by names PARTY:REPRESENTATIVE".into()))
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Error::WrongSigner`] if it is not that of `key`.
    pub fn check(&self, ledger: &[u8; 32], key: &[u8; 32]) -> Result<(), Error> {
        let wrong = || Error::WrongSigner(self.by.clone());
        let key = VerifyingKey::from_bytes(key).map_err(|_| wrong())?;
        let bytes: [u8; 64] = hex::decode(&self.signature)
            .ok()
            .and_then(|b| b.try_into().ok())
            .ok_or_else(wrong)?;
        key.verify_strict(
            &message(ledger, &self.by, &self.request),
            &Signature::from_bytes(&bytes),
        )
        .map_err(|_| wrong())
    }
}

/// A public key written in hexadecimal.
///
/// # Errors
/// [`Error::Malformed`] if it is no Ed25519 public key.
pub fn public_key(text: &str) -> Result<[u8; 32], Error> {
    let bytes: Option<[u8; 32]> = hex::decode(text).ok().and_then(|b| b.try_into().ok());
    bytes
        .filter(|b| VerifyingKey::from_bytes(b).is_ok_and(|k| !k.is_weak()))
        .ok_or_else(|| Error::Malformed(format!("{text:?} is no Ed25519 public key")))
}
