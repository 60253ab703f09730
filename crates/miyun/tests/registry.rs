//! The simulated registry through the command line: one seed, one state; everything adds up; the
//! compliance table finds what the simulator planted.
#![allow(missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use miyun_sim::registry::{Conduct, market};
use serde_json::Value;

fn miyun(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miyun"))
        .args(args)
        .output()
        .unwrap()
}

fn done(args: &[&str]) -> String {
    let out = miyun(args);
    assert!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

fn demo(dir: &Path) -> String {
    let text = done(&[
        "registry",
        "demo",
        dir.to_str().unwrap(),
        "--seed",
        "5",
        "--enterprises",
        "24",
    ]);
    assert!(text.contains("SIMULATED"), "{text}");
    text.lines()
        .find(|l| l.starts_with("state "))
        .unwrap()
        .to_owned()
}

#[test]
fn the_simulated_registry() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    assert_eq!(demo(&a), demo(&b), "one seed, one state");
    let at = a.to_str().unwrap();
    assert!(
        !miyun(&["registry", "demo", at]).status.success(),
        "never over another"
    );
    let balances: Value = serde_json::from_str(&done(&[
        "registry", "show", at, "balances", "--format", "json",
    ]))
    .unwrap();
    for b in balances.as_array().unwrap() {
        assert_eq!(b["balanced"], true, "{b}");
        assert_ne!(b["serials"], false, "{b}");
    }
    assert_eq!(balances.as_array().unwrap().len(), 12);
    let verified = done(&["ledger", "verify", at, "--replay", "--format", "json"]);
    let report: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]));
    let table = done(&[
        "registry",
        "show",
        at,
        "compliance",
        "--year",
        "2024",
        "--format",
        "json",
    ]);
    let rows: Vec<Value> = serde_json::from_str(&table).unwrap();
    for p in market(5, 24).parties {
        let Some(conduct) = p.conduct else { continue };
        let row = rows.iter().find(|r| r["party"] == p.id).unwrap();
        let expected = match conduct {
            Conduct::InTime => ("A", "A"),
            Conduct::Late => ("B", "A"),
            Conduct::Short => ("B", "B"),
            Conduct::Unverified => ("C", "C"),
        };
        let got = (
            row["at_deadline"].as_str().unwrap(),
            row["now"].as_str().unwrap(),
        );
        assert_eq!(got, expected, "{row}");
    }
    let retired: Vec<Value> = serde_json::from_str(&done(&[
        "registry",
        "show",
        at,
        "retirements",
        "--format",
        "json",
    ]))
    .unwrap();
    let first = &retired[0];
    let record = first["record"].to_string();
    let proof = dir.path().join("proof.json");
    std::fs::write(&proof, done(&["ledger", "proof", at, "--record", &record])).unwrap();
    let key_text = std::fs::read_to_string(a.join("operator.key")).unwrap();
    let secret: [u8; 32] = hex::decode(key_text).unwrap().try_into().unwrap();
    let public = hex::encode(
        ed25519_dalek::SigningKey::from_bytes(&secret)
            .verifying_key()
            .to_bytes(),
    );
    let said = done(&[
        "ledger",
        "proof",
        "--check",
        proof.to_str().unwrap(),
        "--key",
        &public,
    ]);
    assert!(
        said.contains("holds: record") && said.contains("CN/sim/registry-rules"),
        "{said}"
    );
    let pdf = dir.path().join("c.pdf");
    done(&[
        "registry",
        "certificate",
        at,
        first["id"].as_str().unwrap(),
        "--out",
        pdf.to_str().unwrap(),
    ]);
    assert!(std::fs::read(&pdf).unwrap().starts_with(b"%PDF-"));
    let parquet = dir.path().join("m.parquet");
    done(&[
        "registry",
        "export",
        at,
        "movements",
        "--format",
        "parquet",
        "--out",
        parquet.to_str().unwrap(),
    ]);
    assert!(std::fs::read(&parquet).unwrap().starts_with(b"PAR1"));
    let cad: Value = serde_json::from_str(&done(&["registry", "export", at, "cad-trust"])).unwrap();
    assert_eq!(cad["simulated"], true);
    assert_eq!(cad["project"].as_array().unwrap().len(), 5);
    let script = done(&["ledger", "rebuild", at]);
    assert!(script.contains("create table ledger_moves"));
}
