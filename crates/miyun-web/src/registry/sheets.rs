//! The tables of the registry's pages as files: the same queries, as known at the same moment.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use miyun_registry::export::movements;
use miyun_registry::model::Line;
use miyun_registry::statement::BlockView;
use miyun_registry::{Error, Registry, time};

use super::Desk;
use super::pages::{Shared, balances, serial_text};
use super::problem::{Problem, ProblemBody};
use super::tables::{retired, years};
use crate::api::{Cell, Rows, Sheet, SheetQuery, Table};
use crate::server::AsKnown;

type Params = HashMap<String, String>;

/// A whole number: as one if it fits 63 bits, else as text, so that no digit is lost.
fn whole(n: impl TryInto<i64> + std::fmt::Display + Copy) -> Cell {
    n.try_into().map_or_else(|_| Cell::text(n), Cell::Int)
}

fn opt<T: std::fmt::Display>(v: Option<T>) -> Cell {
    v.map_or(Cell::Null, Cell::text)
}

/// A table of a page, whole.
#[utoipa::path(get, path = "/api/registry/v1/tables/{name}", params(
    ("name" = String, Path, description = "`parties`, `accounts`, `transfers`, `statement`, `assets`, `blocks`, `asset-movements`, `movements`, `projects`, `monitoring`, `provenance`, `retirements`, `compliance`, `mirror-units` or `mirror-blocks`"),
    ("party" = Option<String>, Query, description = "Whose accounts or transfers"),
    ("account" = Option<u64>, Query, description = "Whose statement"),
    ("asset" = Option<String>, Query, description = "Whose blocks or movements"),
    ("project" = Option<String>, Query, description = "Whose monitoring periods or provenance"),
    ("year" = Option<i16>, Query, description = "Compliance year; the last one if not given"),
    ("q" = Option<String>, Query, description = "Words of retirements"),
    ("mirror" = Option<String>, Query, description = "Which mirror"),
    ("known" = Option<String>, Query, description = "Only what was known at this moment: a day or an RFC 3339 time"),
    SheetQuery),
    responses((status = 200, description = "The table", body = Rows), (status = 400, description = "A parameter cannot be understood", body = ProblemBody), (status = 404, description = "No such table or thing", body = ProblemBody)))]
pub(super) async fn sheet(
    State(desk): Shared,
    AsKnown(known): AsKnown,
    sheet: Sheet,
    Path(name): Path<String>,
    Query(q): Query<Params>,
) -> Result<Response, Problem> {
    let reg = desk.at(known.as_deref()).await?;
    let table = match name.as_str() {
        "retirements" => retirements(&desk, &reg, &q).await?,
        "mirror-units" | "mirror-blocks" => mirror(&desk, &name, &q)?,
        _ => tokio::task::spawn_blocking(move || table(&reg, &name, &q))
            .await
            .map_err(|e| Error::Storage {
                what: "table".into(),
                reason: e.to_string(),
            })??,
    };
    Ok(sheet
        .answer(&table)
        .unwrap_or_else(IntoResponse::into_response))
}

fn named<'q>(q: &'q Params, key: &str) -> Result<&'q str, Error> {
    q.get(key)
        .map(String::as_str)
        .filter(|v| !v.is_empty())
        .ok_or_else(|| Error::Malformed(format!("this table needs {key}=")))
}

fn table(reg: &Registry, name: &str, q: &Params) -> Result<Table, Error> {
    match name {
        "parties" => Ok(parties(reg)),
        "accounts" => accounts(reg, named(q, "party")?),
        "transfers" => Ok(transfers(reg, q.get("party").map(String::as_str))),
        "statement" => statement(reg, named(q, "account")?),
        "assets" => assets(reg),
        "blocks" => blocks(reg, named(q, "asset")?),
        "asset-movements" => asset_movements(reg, named(q, "asset")?),
        "movements" => Ok(all_movements(reg)),
        "projects" => Ok(projects(reg)),
        "monitoring" => monitoring(reg, named(q, "project")?),
        "provenance" => provenance(reg, named(q, "project")?),
        "compliance" => compliance(reg, q.get("year").map(String::as_str)),
        other => Err(Error::Unknown {
            kind: "table",
            id: other.chars().take(80).collect(),
        }),
    }
}

fn parties(reg: &Registry) -> Table {
    let m = reg.model();
    let rows = m.parties().map(|p| {
        vec![
            Cell::text(&p.id),
            Cell::text(&p.name.zh),
            Cell::text(&p.name.en),
            Cell::text(&p.role.text().en),
            Cell::text(&p.group),
            Cell::Bool(p.frozen),
        ]
    });
    Table::new(
        "parties",
        &["id", "name_zh", "name_en", "role", "group", "frozen"],
        rows.collect(),
    )
}

fn accounts(reg: &Registry, party: &str) -> Result<Table, Error> {
    let rows = reg
        .accounts(party)?
        .iter()
        .map(|a| {
            vec![
                whole(a.account),
                Cell::text(&a.key.party),
                Cell::text(&a.key.asset),
                Cell::text(a.key.kind.name()),
                if a.key.year > 0 {
                    whole(a.key.year)
                } else {
                    Cell::Null
                },
                whole(a.balance),
                whole(a.available),
                whole(a.arriving),
            ]
        })
        .collect();
    Ok(Table::new(
        "accounts",
        &[
            "account",
            "party",
            "asset",
            "kind",
            "year",
            "balance",
            "available",
            "arriving",
        ],
        rows,
    ))
}

fn transfers(reg: &Registry, party: Option<&str>) -> Table {
    let now = reg.now();
    let m = reg.model();
    let rows = m
        .transfers()
        .filter(|t| party.is_none_or(|p| t.from == p || t.to == p))
        .map(|t| {
            vec![
                Cell::text(&t.id),
                Cell::text(time::text(t.proposed_at)),
                Cell::text(&t.from),
                Cell::text(&t.to),
                Cell::text(&t.asset),
                whole(t.amount),
                Cell::text(t.state_at(now).word()),
                opt(t.effective.map(time::text)),
                Cell::text(&t.rule),
            ]
        });
    Table::new(
        "transfers",
        &[
            "id",
            "proposed_at",
            "from",
            "to",
            "asset",
            "tonnes",
            "state",
            "effective",
            "rule",
        ],
        rows.collect(),
    )
}

const LINE: [&str; 9] = [
    "record", "at", "what", "debit", "credit", "tonnes", "posted", "serials", "rule",
];

fn line(l: &Line) -> Vec<Cell> {
    vec![
        whole(l.record),
        Cell::text(time::text(l.at)),
        Cell::text(&l.what),
        whole(l.debit.0),
        whole(l.credit.0),
        whole(l.amount),
        Cell::Bool(l.posted),
        Cell::text(serial_text(&l.serials)),
        Cell::text(&l.rule),
    ]
}

fn statement(reg: &Registry, account: &str) -> Result<Table, Error> {
    let number = account
        .parse()
        .map_err(|_| Error::Malformed(format!("account={account:?}: write its number")))?;
    let (_, lines) = reg.statement(number)?;
    let rows = lines.iter().rev().map(line).collect();
    Ok(Table::new("statement", &LINE, rows))
}

fn asset_movements(reg: &Registry, asset: &str) -> Result<Table, Error> {
    let m = reg.model();
    m.asset(asset)?;
    let rows = m
        .lines()
        .iter()
        .rev()
        .filter(|l| m.account_key(l.debit).is_some_and(|k| k.asset == asset))
        .map(line)
        .collect();
    Ok(Table::new("asset-movements", &LINE, rows))
}

/// One row for each part of each asset.
fn assets(reg: &Registry) -> Result<Table, Error> {
    let mut rows = Vec::new();
    for b in balances(reg)? {
        for (part, tonnes) in &b.parts {
            rows.push(vec![
                Cell::text(&b.asset),
                whole(b.vintage),
                whole(b.issued),
                Cell::text(part),
                whole(*tonnes),
                Cell::Bool(b.balanced),
                b.serials.map_or(Cell::Null, Cell::Bool),
                whole(b.records),
            ]);
        }
    }
    Ok(Table::new(
        "assets",
        &[
            "asset",
            "vintage",
            "issued",
            "part",
            "tonnes",
            "adds_up",
            "serials_partition",
            "records",
        ],
        rows,
    ))
}

fn blocks(reg: &Registry, asset: &str) -> Result<Table, Error> {
    let row = |b: &BlockView| {
        vec![
            Cell::text(&b.serial),
            whole(b.first),
            whole(b.last),
            whole(b.account),
            Cell::text(&b.holder),
            Cell::text(&b.kind),
            Cell::Bool(b.locked),
            Cell::text(&b.adjustment),
        ]
    };
    let rows = reg.blocks(asset)?.iter().map(row).collect();
    Ok(Table::new(
        "blocks",
        &[
            "serial",
            "first",
            "last",
            "account",
            "holder",
            "kind",
            "locked",
            "adjustment",
        ],
        rows,
    ))
}

fn all_movements(reg: &Registry) -> Table {
    let rows = movements(&reg.model())
        .into_iter()
        .map(|m| {
            vec![
                whole(m.record),
                whole(m.step),
                Cell::Text(m.at),
                Cell::Text(m.request),
                Cell::Text(m.what),
                Cell::Text(m.asset),
                whole(m.debit),
                whole(m.credit),
                Cell::Text(m.from),
                Cell::Text(m.from_kind),
                Cell::Text(m.to),
                Cell::Text(m.to_kind),
                whole(m.amount),
                Cell::Text(m.serials),
                Cell::Text(m.rule),
                Cell::Bool(m.posted),
                Cell::Bool(m.simulated),
            ]
        })
        .collect();
    Table::new(
        "movements",
        &[
            "record",
            "step",
            "at",
            "request",
            "what",
            "asset",
            "debit",
            "credit",
            "from",
            "from_kind",
            "to",
            "to_kind",
            "tonnes",
            "serials",
            "rule",
            "posted",
            "simulated",
        ],
        rows,
    )
}

fn projects(reg: &Registry) -> Table {
    let m = reg.model();
    let rows = m.projects().map(|p| {
        let issued: u64 = p.life.monitoring.iter().map(|s| s.issued).sum();
        vec![
            Cell::text(&p.life.id),
            Cell::text(&p.name.zh),
            Cell::text(&p.name.en),
            Cell::text(&p.owner),
            Cell::text(&p.life.methodology),
            Cell::text(format!("{:?}", p.life.stage).to_lowercase()),
            whole(issued),
        ]
    });
    Table::new(
        "projects",
        &[
            "id",
            "name_zh",
            "name_en",
            "owner",
            "methodology",
            "stage",
            "issued",
        ],
        rows.collect(),
    )
}

fn monitoring(reg: &Registry, project: &str) -> Result<Table, Error> {
    let m = reg.model();
    let p = m.project(project)?;
    let rows = p
        .life
        .monitoring
        .iter()
        .enumerate()
        .map(|(n, s)| {
            let asset = format!("{project}-P{n}");
            vec![
                whole(n),
                Cell::text(s.period),
                opt(s.verified.as_ref().map(|x| &x.by)),
                s.verified.as_ref().map_or(Cell::Null, |x| whole(x.tonnes)),
                whole(s.issued),
                opt(m.asset(&asset).is_ok().then_some(asset)),
            ]
        })
        .collect();
    Ok(Table::new(
        "monitoring",
        &[
            "number", "period", "verifier", "verified", "issued", "asset",
        ],
        rows,
    ))
}

fn provenance(reg: &Registry, project: &str) -> Result<Table, Error> {
    let m = reg.model();
    let row = |s: &miyun_registry::model::Step| {
        vec![
            whole(s.record),
            Cell::text(time::text(s.at)),
            Cell::text(&s.what),
            Cell::text(&s.detail),
            Cell::text(&s.by),
        ]
    };
    let rows = m.project(project)?.history.iter().map(row).collect();
    Ok(Table::new(
        "provenance",
        &["record", "at", "what", "detail", "by"],
        rows,
    ))
}

fn compliance(reg: &Registry, year: Option<&str>) -> Result<Table, Error> {
    let asked = year
        .filter(|y| !y.is_empty())
        .map(|y| {
            y.parse()
                .map_err(|_| Error::Malformed(format!("year={y:?}: write a year such as 2025")))
        })
        .transpose()?;
    let columns = [
        "party",
        "name_zh",
        "name_en",
        "year",
        "allocated",
        "verified",
        "offsets",
        "surrendered",
        "missing",
        "deadline",
        "at_deadline",
        "now",
    ];
    let Some(year) = asked.or(years(reg).last().copied()) else {
        return Ok(Table::new("compliance", &columns, Vec::new()));
    };
    let rows = reg
        .compliance(year, reg.now())?
        .iter()
        .map(|r| {
            vec![
                Cell::text(&r.party),
                Cell::text(&r.name.zh),
                Cell::text(&r.name.en),
                whole(year),
                whole(r.allocated),
                r.verified.map_or(Cell::Null, whole),
                whole(r.offsets),
                whole(r.state.surrendered_now),
                whole(r.state.missing),
                Cell::text(r.state.deadline.value),
                opt(r.state.at_deadline.map(|c| c.letter())),
                Cell::text(r.state.now.letter()),
            ]
        })
        .collect();
    Ok(Table::new("compliance", &columns, rows))
}

/// Most retirements of a file.
const RETIREMENTS_MAX: u32 = 100_000;

async fn retirements(desk: &Desk, reg: &Registry, q: &Params) -> Result<Table, Error> {
    let words = q.get("q").map_or("", String::as_str);
    let (found, _) = retired(desk, reg, words, 0, RETIREMENTS_MAX).await?;
    let rows = found
        .into_iter()
        .map(|r| {
            vec![
                Cell::Text(r.id),
                Cell::Int(r.record),
                Cell::Text(r.at),
                Cell::Text(r.party),
                Cell::Text(r.asset),
                r.amount
                    .parse()
                    .map_or_else(|_| Cell::text(&r.amount), Cell::Int),
                Cell::Text(r.serials),
                Cell::Text(r.beneficiary),
                Cell::Text(r.reason),
                Cell::Text(r.jurisdiction),
            ]
        })
        .collect();
    Ok(Table::new(
        "retirements",
        &[
            "id",
            "record",
            "at",
            "party",
            "asset",
            "tonnes",
            "serials",
            "beneficiary",
            "reason",
            "jurisdiction",
        ],
        rows,
    ))
}

fn mirror(desk: &Desk, name: &str, q: &Params) -> Result<Table, Error> {
    let m = super::mirror::find(desk, named(q, "mirror")?)?;
    if name == "mirror-units" {
        let number = |n: Option<u64>| n.map_or(Cell::Null, whole);
        let rows = m.units.iter().map(|u| {
            vec![
                Cell::text(&u.id),
                whole(u.year),
                number(u.allocated),
                number(u.verified),
                number(u.cumulative_verified),
                whole(u.cumulative_surrendered),
                Cell::text(&u.published),
                Cell::text(u.computed.letter()),
                Cell::Bool(u.agrees()),
            ]
        });
        return Ok(Table::new(
            "mirror-units",
            &[
                "installation",
                "year",
                "allocated",
                "verified",
                "cumulative_verified",
                "cumulative_surrendered",
                "published",
                "now",
                "agrees",
            ],
            rows.collect(),
        ));
    }
    let rows = m.blocks.iter().map(|b| {
        vec![
            Cell::text(&b.registry),
            Cell::text(&b.project),
            Cell::text(&b.serial),
            whole(b.quantity),
            Cell::text(&b.vintage),
            Cell::text(&b.status),
        ]
    });
    Ok(Table::new(
        "mirror-blocks",
        &[
            "registry", "project", "serial", "quantity", "vintage", "status",
        ],
        rows.collect(),
    ))
}
