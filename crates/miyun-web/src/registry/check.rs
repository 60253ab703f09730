//! Records with their proofs, and the check of a certificate.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use miyun_registry::fold::Filing;
use miyun_registry::{Error, Registry, time};

use super::pages::{Params, Shared, Shown, body};
use crate::shell::View;

/// What a record says and its path to the root, recomputed.
fn proven(reg: &Registry, v: &View, number: u64) -> Result<Markup, Error> {
    let proof = reg.proof(number)?;
    let proved = proof
        .check(&reg.operator_key())
        .map_err(|e| Error::Record {
            record: number,
            reason: e.to_string(),
        })?;
    let filing = Filing::of(number, &proved.record.command)?;
    Ok(html! {
        p { span class="verdict good" { "✓ " (v.tr("从记录到已签名的树根，路径成立。", "The path from the record to the signed root holds.")) } }
        dl.pairs {
            dt { (v.tr("记录", "Record")) } dd { (number) }
            dt { (v.tr("时间", "Time")) } dd { (time::text(proved.header.time)) }
            @if let Some((f, moves)) = &filing {
                dt { (v.tr("签署人", "Signed by")) } dd.code { (f.envelope.by) }
                dt { (v.tr("依据", "Rule")) } dd { (super::pages::rule(v, &f.out.rule)) @for r in &f.out.also { br; (r) } }
                dt { (v.tr("划转数", "Movements")) } dd { (moves.len()) }
                dt { (v.tr("请求原文", "Request as signed")) } dd.code { (f.envelope.request) }
                dt { (v.tr("签名", "Signature")) } dd.code { (f.envelope.signature) }
            } @else { dt { (v.tr("内容", "Content")) } dd { (v.tr("定义，没有请求", "a definition, no request")) } }
            dt { (v.tr("批次", "Batch")) } dd { (proved.header.batch) " / " (proof.head.batches) }
            dt { (v.tr("树根", "Root")) } dd.code { (hex::encode(proof.head.root)) }
            dt { (v.tr("路径长度", "Path")) } dd { (proof.record_path.len()) " + " (proof.header_path.len()) " " (v.tr("个散列", "hashes")) }
        }
        p { a href=(format!("/api/registry/v1/proofs/{number}")) { "proof.json" } }
    })
}

/// A record.
pub async fn record(State(desk): Shared, v: View, Path((_, number)): Path<(String, u64)>) -> Shown {
    let title = format!("{} {number}", v.tr("记录", "Record"));
    body(&desk, v, &title, |reg, v| {
        let proven = proven(reg, v, number)?;
        Ok(html! { h1 { (title) } (proven) })
    })
    .await
}

fn form(v: &View, text: &str) -> Markup {
    html! {
        p { (v.tr("粘贴证书所附 proof.json；也可以用 miyun ledger proof --check 离线核对。", "Paste the proof.json attached to a certificate; or check it offline with miyun ledger proof --check.")) }
        form.editor method="post" {
            p { label for="proof" { "proof.json" } br; textarea id="proof" name="proof" rows="8" maxlength="100000" { (text) } }
            p { button { (v.tr("核对", "Check")) } }
        }
    }
}

/// The check: of what a QR code names, or of a proof that is pasted.
pub async fn page(State(desk): Shared, v: View, Query(q): Params) -> Shown {
    let title = v.tr("核对证书", "Check a certificate").to_owned();
    body(&desk, v, &title, |reg, v| {
        let named = q.get("record").and_then(|r| r.parse::<u64>().ok());
        let claim = q.get("root").cloned().unwrap_or_default();
        let found = named.map(|n| proven(reg, v, n)).transpose()?;
        // The certificate named the root of its day; the journal must still contain it unchanged,
        // which the pasted proof shows. Here the retirement must stand in the record it names.
        let retirement = q.get("retirement").map(|id| -> Result<Markup, Error> {
            let m = reg.model();
            let r = m.retirement(id)?;
            let same = Some(r.record) == named;
            Ok(html! { p { @if same { span class="verdict good" { "✓ " (v.tr("证书编号与记录相符", "the certificate is the one of this record")) } } @else { span class="verdict bad" { "× " (v.tr("证书编号与记录不符", "the certificate is not the one of this record")) } }
                " " a href=(v.link(&format!("/registry/retirement/{id}"))) { span lang="" { (r.retirement.beneficiary) } ", " (r.amount) " t " (r.asset) } } })
        }).transpose()?;
        Ok(html! {
            h1 { (title) }
            @if let Some(m) = retirement { (m) }
            @if let Some(m) = found { (m) @if !claim.is_empty() { p.soft { (v.tr("证书上的树根：", "Root on the certificate: ")) code { (claim.chars().take(64).collect::<String>()) } } } }
            (form(v, ""))
        })
    })
    .await
}

/// A pasted proof.
pub async fn posted(
    State(desk): Shared,
    v: View,
    Form(fields): Form<HashMap<String, String>>,
) -> Shown {
    let title = v.tr("核对证书", "Check a certificate").to_owned();
    let text = fields.get("proof").cloned().unwrap_or_default();
    body(&desk, v, &title, |reg, v| {
        let checked = super::api::checked(reg, &text);
        Ok(html! {
            h1 { (title) }
            @match &checked {
                Ok((number, at, filing)) => {
                    p { span class="verdict good" { "✓ " (v.tr("证明成立，由本登记机构签名。", "The proof holds and is signed by this registry.")) } }
                    dl.pairs {
                        dt { (v.tr("记录", "Record")) } dd { a href=(v.link(&format!("/registry/record/{number}"))) { (number) } }
                        dt { (v.tr("时间", "Time")) } dd { (time::text(*at)) }
                        dt { (v.tr("签署人", "Signed by")) } dd.code { (filing.envelope.by) }
                        dt { (v.tr("依据", "Rule")) } dd { (super::pages::rule(v, &filing.out.rule)) }
                        dt { (v.tr("请求原文", "Request as signed")) } dd.code { (filing.envelope.request) }
                    }
                }
                Err(e) => { p { span class="verdict bad" { "× " (v.tr("证明不成立：", "The proof does not hold: ")) (e) } } }
            }
            (form(v, if checked.is_ok() { "" } else { &text }))
        })
    })
    .await
}
