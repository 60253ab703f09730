//! The simulated city's registry: what the simulator says happens is signed and submitted, under a
//! clock that the events move.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, bail};
use clap::Args;
use ed25519_dalek::SigningKey;
use miyun_carbon::retire::{Reason, Retirement};
use miyun_core::Text;
use miyun_ledger::Time;
use miyun_registry::request::{Amount, Envelope, Request, Role};
use miyun_registry::service::Registry;
use miyun_registry::time::{self, Zone};
use miyun_registry::{Answer, Ask};
use miyun_sim::registry::{Event, Market, Role as SimRole, Step, market};
use sha2::{Digest as _, Sha256};

use crate::out::line;

#[derive(Args)]
pub struct Demo {
    /// Folder of the registry; it must not hold one.
    dir: PathBuf,
    /// The seed: the same seed makes the same registry, byte for byte.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Units with a duty to surrender.
    #[arg(long, default_value_t = ENTERPRISES, value_parser = clap::value_parser!(u64).range(10..=5000))]
    enterprises: u64,
}

const ENTERPRISES: u64 = 300;
const AUTHORITY: &str = "linxi-bureau";
const PROGRAMME: &str = "LXA";

fn key(seed: u64, name: &str) -> SigningKey {
    let mut hash = Sha256::new();
    hash.update(b"simulated key");
    hash.update(seed.to_be_bytes());
    hash.update(name.as_bytes());
    SigningKey::from_bytes(&hash.finalize().into())
}

struct Stage<'r> {
    registry: &'r Registry,
    clock: &'r AtomicI64,
    zone: Zone,
    seed: u64,
    sent: u64,
    refused: Vec<String>,
}

impl Stage<'_> {
    fn request(&mut self, ask: Ask) -> Request {
        self.sent += 1;
        let mut hash = Sha256::new();
        hash.update(b"simulated request");
        hash.update(self.seed.to_be_bytes());
        hash.update(self.sent.to_be_bytes());
        let now = self.clock.load(Ordering::SeqCst);
        Request {
            id: hex::encode(&hash.finalize()[..16]),
            from: time::text(Time(now - 60_000)),
            until: time::text(Time(now + 3_600_000)),
            ask,
        }
    }

    fn send(&mut self, by: &str, ask: Ask) -> Result<Option<Answer>> {
        let request = self.request(ask);
        let signer = key(self.seed, by);
        let envelope = Envelope::sign(&self.registry.ledger(), by, &request, &signer)?;
        match self.registry.submit_envelope(&envelope) {
            Ok(a) => Ok(Some(a)),
            Err(e) if e.is_refusal() => {
                self.refused.push(format!("{by}: {} [{}]", e, e.code()));
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    fn authority(&mut self, ask: Ask) -> Result<Option<Answer>> {
        self.send(&format!("{AUTHORITY}:operator"), ask)
    }

    fn one(&mut self, party: &str, ask: Ask) -> Result<Option<Answer>> {
        self.send(&format!("{party}:first"), ask)
    }

    fn sell(
        &mut self,
        from: &str,
        asset: String,
        to: String,
        tonnes: u64,
        approved: bool,
    ) -> Result<()> {
        let ask = Ask::Transfer {
            asset,
            to,
            amount: Amount::from(tonnes),
            serials: None,
        };
        if let Some(a) = self.one(from, ask)?
            && approved
        {
            self.send(&format!("{from}:second"), Ask::Approve { transfer: a.id })?;
        }
        Ok(())
    }

    fn event(&mut self, e: &Event) -> Result<()> {
        let at = self.zone.instant(e.at);
        self.clock.store(at.0, Ordering::SeqCst);
        let t = Amount::from;
        let allowance = |vintage: &u16| format!("{PROGRAMME}-{vintage}");
        let credit = |project: &String, period: &u32| format!("{project}-P{period}");
        match &e.step {
            Step::Issue { vintage, tonnes } => {
                self.authority(Ask::IssueAllowances {
                    programme: PROGRAMME.into(),
                    vintage: *vintage,
                    amount: t(*tonnes),
                })?;
            }
            Step::Allocate {
                party,
                vintage,
                tonnes,
            } => {
                self.authority(Ask::Allocate {
                    asset: allowance(vintage),
                    to: party.clone(),
                    amount: t(*tonnes),
                })?;
            }
            Step::Report {
                party,
                year,
                tonnes,
            } => {
                self.one(
                    "verifier-1",
                    Ask::ReportEmissions {
                        party: party.clone(),
                        year: *year,
                        tonnes: t(*tonnes),
                    },
                )?;
            }
            Step::Surrender {
                party,
                vintage,
                year,
                tonnes,
            } => {
                // What credits have covered need not be surrendered again; and nobody can give
                // more than is left after sales.
                let used = self.registry.model().offsets(party, *year);
                let due = tonnes.saturating_sub(used.local + used.outside);
                let asset = allowance(vintage);
                let held: i128 = self
                    .registry
                    .accounts(party)?
                    .iter()
                    .filter(|a| a.key.asset == asset && a.key.year == 0)
                    .map(|a| a.available)
                    .sum();
                let amount = due.min(u64::try_from(held).unwrap_or(0));
                self.one(
                    party,
                    Ask::Surrender {
                        asset,
                        amount: t(amount),
                        year: *year,
                    },
                )?;
            }
            Step::Sell {
                from,
                to,
                vintage,
                tonnes,
                approved,
            } => {
                self.sell(from, allowance(vintage), to.clone(), *tonnes, *approved)?;
            }
            Step::Project {
                project,
                owner,
                name,
                methodology,
                started,
                outside,
                reversible,
            } => {
                self.one(
                    owner,
                    Ask::ProposeProject {
                        project: project.clone(),
                        name: name.clone(),
                        methodology: (*methodology).into(),
                        started: *started,
                        outside: *outside,
                        reversible: *reversible,
                    },
                )?;
                self.one(
                    "verifier-2",
                    Ask::ValidateProject {
                        project: project.clone(),
                    },
                )?;
                self.authority(Ask::RegisterProject {
                    project: project.clone(),
                })?;
            }
            Step::Credits {
                project,
                owner,
                period,
                from,
                until,
                tonnes,
            } => {
                self.one(
                    owner,
                    Ask::Monitor {
                        project: project.clone(),
                        from: *from,
                        until: *until,
                    },
                )?;
                self.one(
                    "verifier-1",
                    Ask::Verify {
                        project: project.clone(),
                        period: *period,
                        tonnes: t(*tonnes),
                    },
                )?;
                self.authority(Ask::IssueCredits {
                    project: project.clone(),
                    period: *period,
                    tonnes: t(*tonnes),
                })?;
            }
            Step::SellCredits {
                project,
                owner,
                period,
                to,
                tonnes,
            } => {
                self.sell(owner, credit(project, period), to.clone(), *tonnes, true)?;
            }
            Step::Offset {
                party,
                project,
                period,
                year,
                tonnes,
            } => {
                self.one(
                    party,
                    Ask::UseOffset {
                        asset: credit(project, period),
                        amount: t(*tonnes),
                        year: *year,
                    },
                )?;
            }
            Step::Retire {
                party,
                project,
                period,
                tonnes,
                beneficiary,
                event,
            } => {
                let retirement = Retirement {
                    beneficiary: beneficiary.clone(),
                    reason: if *event {
                        Reason::Event
                    } else {
                        Reason::Neutrality
                    },
                    jurisdiction: miyun_sim::JURISDICTION.into(),
                    note: "模拟 simulated".into(),
                };
                self.one(
                    party,
                    Ask::Retire {
                        asset: credit(project, period),
                        amount: t(*tonnes),
                        serials: None,
                        retirement,
                    },
                )?;
            }
            Step::Lose {
                project,
                period,
                tonnes,
            } => {
                self.authority(Ask::ReverseProject {
                    asset: credit(project, period),
                    tonnes: t(*tonnes),
                    reason: "林火（模拟）fire (simulated)".into(),
                })?;
            }
            Step::Freeze { party } => {
                self.authority(Ask::Freeze {
                    party: party.clone(),
                    frozen: true,
                    reason: "模拟 simulated".into(),
                })?;
            }
            Step::Carry { party, from, into } => {
                self.one(
                    party,
                    Ask::CarryOver {
                        asset: allowance(from),
                        into: allowance(into),
                    },
                )?;
            }
        }
        Ok(())
    }

    fn parties(&mut self, m: &Market) -> Result<()> {
        for p in &m.parties {
            let role = match p.role {
                SimRole::Compliance => Role::Compliance,
                SimRole::Institution => Role::Institution,
                SimRole::Developer => Role::Developer,
                SimRole::Verifier => Role::Verifier,
            };
            self.authority(Ask::RegisterParty {
                party: p.id.clone(),
                role,
                name: p.name.clone(),
                group: p.group.clone(),
                sector: Some(p.sector.into()),
            })?;
            for r in ["first", "second"] {
                let public = key(self.seed, &format!("{}:{r}", p.id))
                    .verifying_key()
                    .to_bytes();
                self.authority(Ask::AddRepresentative {
                    party: p.id.clone(),
                    representative: r.into(),
                    key: hex::encode(public),
                })?;
            }
        }
        Ok(())
    }
}

impl Demo {
    /// The market of a seed with a few hundred enterprises.
    pub fn of(dir: &std::path::Path, seed: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            seed,
            enterprises: ENTERPRISES,
        }
    }

    pub fn run(self) -> Result<()> {
        let started = std::time::Instant::now();
        let m = market(self.seed, usize::try_from(self.enterprises)?);
        let clock = Arc::new(AtomicI64::new(time::parse("2024-06-03T01:00:00Z")?.0));
        let shown = Arc::clone(&clock);
        let registry = super::found(
            &self.dir,
            key(self.seed, &format!("{AUTHORITY}:operator")),
            Arc::new(move || Time(shown.load(Ordering::SeqCst))),
            (
                miyun_sim::JURISDICTION,
                AUTHORITY,
                Text::new(
                    "临汐市生态环境局（模拟）",
                    "Linxi ecology bureau (simulated)",
                ),
            ),
            true,
        )?;
        let (_, zone) = registry.law(registry.now())?;
        let mut stage = Stage {
            registry: &registry,
            clock: &clock,
            zone,
            seed: self.seed,
            sent: 0,
            refused: Vec::new(),
        };
        stage.parties(&m)?;
        for e in &m.events {
            stage
                .event(e)
                .with_context(|| format!("{} {:?}", e.at, e.step))?;
        }
        clock.store(time::parse("2025-12-31T09:00:00Z")?.0, Ordering::SeqCst);
        registry.tick()?;
        let (sent, refused) = (stage.sent, std::mem::take(&mut stage.refused));
        for r in refused.iter().take(10) {
            eprintln!("refused, as such requests are: {r}");
        }
        let names: Vec<String> = registry.model().assets().map(|a| a.name.clone()).collect();
        for n in &names {
            let b = registry.balance(n)?;
            if !b.balanced || b.serials == Some(false) {
                bail!("{n} does not add up: {b:?}");
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let records = registry.model().records();
        line(&format!(
            "SIMULATED registry in {}: {} parties, {} assets that add up, {sent} requests ({} refused), {records} records, {seconds:.1} s\nstate {}\n",
            self.dir.display(),
            registry.model().parties().count(),
            names.len(),
            refused.len(),
            registry.look(|s| hex::encode(s.digest()))?,
        ))
    }
}
