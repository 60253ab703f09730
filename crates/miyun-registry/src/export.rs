//! What leaves the registry: movements, balances, and the CAD Trust data model.

use miyun_ledger::AccountKind;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::model::{CREDIT, Model};
use crate::service::Registry;
use crate::time;

/// A movement with names instead of numbers: one row of the public export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    /// Record in the journal.
    pub record: u64,
    /// Number in the record.
    pub step: u32,
    /// When.
    pub at: String,
    /// Request id.
    pub request: String,
    /// What.
    pub what: String,
    /// Asset.
    pub asset: String,
    /// Account it left.
    pub debit: u64,
    /// Account it reached.
    pub credit: u64,
    /// Whose account it left.
    pub from: String,
    /// Kind of that account.
    pub from_kind: String,
    /// Whose account it reached.
    pub to: String,
    /// Kind of that account.
    pub to_kind: String,
    /// Units.
    pub amount: u64,
    /// Serials.
    pub serials: String,
    /// The rulebook row.
    pub rule: String,
    /// True once posted.
    pub posted: bool,
    /// True if the registry is simulated.
    pub simulated: bool,
}

/// Every movement, oldest first.
#[must_use]
pub fn movements(model: &Model) -> Vec<Movement> {
    model
        .lines()
        .iter()
        .map(|l| {
            let side = |id| {
                model.account_key(id).map_or_else(Default::default, |k| {
                    (k.party.clone(), k.kind.name().to_owned(), k.asset.clone())
                })
            };
            let (from, from_kind, asset) = side(l.debit);
            let (to, to_kind, _) = side(l.credit);
            Movement {
                record: l.record,
                step: l.step,
                at: time::text(l.at),
                request: l.request.clone(),
                what: l.what.clone(),
                asset,
                debit: l.debit.0,
                credit: l.credit.0,
                from,
                from_kind,
                to,
                to_kind,
                amount: l.amount,
                serials: l
                    .serials
                    .iter()
                    .map(|[a, b]| format!("{a}-{b}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                rule: l.rule.clone(),
                posted: l.posted,
                simulated: model.simulated(),
            }
        })
        .collect()
}

/// Rows as CSV with a header.
///
/// # Errors
/// [`Error::Storage`] if a row cannot be written.
pub fn csv<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    let failed = |e: String| Error::Storage {
        what: "csv".into(),
        reason: e,
    };
    let mut w = csv::Writer::from_writer(Vec::new());
    for r in rows {
        w.serialize(r).map_err(|e| failed(e.to_string()))?;
    }
    let bytes = w.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}

/// An id of the CAD Trust model: UUID-shaped, derived from what it names, so that an export made
/// twice is the same export.
fn uuid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for p in parts {
        hash.update(p.as_bytes());
        hash.update([0]);
    }
    let h = hex::encode(&hash.finalize()[..16]);
    format!(
        "{}-{}-8{}-a{}-{}",
        &h[..8],
        &h[8..12],
        &h[13..16],
        &h[17..20],
        &h[20..32]
    )
}

/// Projects, issuances and units in the data model of the Climate Action Data Trust (version 1:
/// field names and picklist words of its public schema).
///
/// # Errors
/// [`Error::Journal`] if the ledger cannot be read.
pub fn cad_trust(registry: &Registry) -> Result<Value, Error> {
    let (projects, assets, simulated, market) = {
        let m = registry.model();
        (
            m.projects().cloned().collect::<Vec<_>>(),
            m.assets()
                .filter(|a| a.class == CREDIT)
                .cloned()
                .collect::<Vec<_>>(),
            m.simulated(),
            m.market().to_owned(),
        )
    };
    let name = if simulated {
        "Miyun (SIMULATED)"
    } else {
        "Miyun"
    };
    let mut units = Vec::new();
    let mut issuances = Vec::new();
    for asset in &assets {
        let Some((project, period)) = &asset.project else {
            continue;
        };
        let issuance = uuid(&["issuance", &asset.name]);
        let monitoring = projects
            .iter()
            .find(|p| p.life.id == *project)
            .and_then(|p| p.life.monitoring.get(*period as usize));
        let day = |d: Option<miyun_core::Date>| d.map(|d| d.to_string());
        issuances.push(json!({
            "id": issuance,
            "warehouseProjectId": uuid(&["project", project]),
            "startDate": monitoring.and_then(|m| day(m.period.from)),
            "endDate": monitoring.and_then(|m| day(m.period.until)),
            "verificationBody": monitoring.and_then(|m| m.verified.as_ref()).map(|v| v.by.clone()),
        }));
        for b in registry.blocks(&asset.name)? {
            let kind = AccountKind::from_name(&b.kind);
            let (status, reason) = match kind {
                Some(AccountKind::Retired) => ("Retired", None),
                Some(AccountKind::Surrendered) => ("Retired", Some("compliance")),
                Some(AccountKind::Cancelled) => ("Cancelled", None),
                Some(AccountKind::Exported) => ("Exported", None),
                Some(AccountKind::Buffer) => ("Buffer", None),
                _ => ("Held", None),
            };
            // The host decides on each block; "unknown" is never written for a known state.
            let (declaration, state) = match b.adjustment.as_str() {
                "applied" => ("Committed", "Completed"),
                "authorised" => ("Committed", "Pending"),
                _ => ("Not Required", "Not Started"),
            };
            units.push(json!({
                "warehouseUnitId": uuid(&["unit", &b.serial]),
                "issuanceId": issuance,
                "unitOwner": b.holder,
                "countryJurisdictionOfOwner": market,
                "serialNumberBlock": b.serial,
                "unitBlockStart": b.first.to_string(),
                "unitBlockEnd": b.last.to_string(),
                "unitCount": b.last - b.first + 1,
                "vintageYear": asset.vintage,
                "unitType": if projects.iter().any(|p| p.life.id == *project && p.life.reversible) { "Removal - nature" } else { "Reduction - technical" },
                "unitStatus": status,
                "unitStatusReason": reason,
                "correspondingAdjustmentDeclaration": declaration,
                "correspondingAdjustmentStatus": state,
                "unitRegistryLink": format!("/en/registry/credit/{}", asset.name),
            }));
        }
    }
    let projects: Vec<Value> = projects
        .iter()
        .map(|p| {
            json!({
                "warehouseProjectId": uuid(&["project", &p.life.id]),
                "currentRegistry": name,
                "registryOfOrigin": name,
                "projectId": p.life.id,
                "originProjectId": p.life.id,
                "projectName": p.name.en,
                "projectDeveloper": p.owner,
                "methodology": p.life.methodology,
                "projectStatus": match p.life.stage {
                    miyun_carbon::project::Stage::Proposed => "Listed",
                    miyun_carbon::project::Stage::Validated => "Validated",
                    miyun_carbon::project::Stage::Registered => "Registered",
                },
                "unitMetric": "tCO2e",
                "validationBody": p.life.validator,
                "projectLink": format!("/en/registry/project/{}", p.life.id),
                "coveredByNDC": "Unknown",
            })
        })
        .collect();
    Ok(json!({
        "simulated": simulated,
        "project": projects,
        "issuance": issuances,
        "unit": units,
    }))
}
