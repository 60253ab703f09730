//! Other registries' extracts: `data/carbon` beside the clone, and messy ones made here.
#![allow(missing_docs)]

use std::path::Path;

use miyun_registry::mirror;

fn data(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/carbon")
        .join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(e) => {
            eprintln!("skipped: {}: {e}", path.display());
            None
        }
    }
}

#[test]
fn the_transaction_log_of_five_countries() {
    let Some(text) = data("eutl/eutl_compliance_lu_mt_li_is_cy.csv") else {
        return;
    };
    let m = mirror::read("eutl", "eutl.csv", &text);
    assert_eq!(m.units.len(), 1322);
    assert!(m.problems.is_empty(), "{:?}", m.problems.first());
    let differ: Vec<&str> = m
        .units
        .iter()
        .filter(|u| !u.agrees())
        .map(|u| u.published.as_str())
        .collect();
    // 33 settled after the deadline, and one excluded installation with an open balance.
    assert_eq!(differ.iter().filter(|p| p.starts_with('B')).count(), 33);
    assert_eq!(differ.len(), 34);
}

#[test]
fn serial_blocks_of_three_registries() {
    let Some(text) = data("offsets/serial_blocks_sample.csv") else {
        return;
    };
    let m = mirror::read("offsets", "offsets.csv", &text);
    assert_eq!(m.blocks.len(), 550);
    // The sample's own README: the quantity is the length in 547, three are of another form.
    let other = m
        .problems
        .iter()
        .filter(|p| p.code == "serial-length" || p.code == "no-interval")
        .count();
    assert_eq!(other, 3, "{:?}", m.problems);
}

#[test]
fn messy_extracts_name_line_field_and_fix() {
    let m = mirror::read("x", "x.csv", "a,b\n1,2\n");
    assert_eq!(m.problems[0].code, "unknown-layout");
    let text = "registry,serial,block_start,block_end,quantity,vintage,status,project_id\n\
        v,P-1-10,1,10,10,2020,issued,1\n\
        v,P-5-6,5,6,2,2020,issued,1\n\
        v,P-0-10,0,10,10,2020,issued,1\n\
        v,P-9-8,9,8,1,2020,issued,1\n\
        v,P-11-12,11,12,many,2020,issued,1\n\
        v,short\n";
    let m = mirror::read("x", "x.csv", text);
    let codes: Vec<(u64, &str)> = m
        .problems
        .iter()
        .map(|p| (p.line, p.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            (3, "serial-overlap"),
            (4, "serial-length"),
            (5, "serial-length"),
            (6, "not-a-number"),
            (7, "unreadable-row")
        ]
    );
    assert!(m.problems.iter().all(|p| !p.fix.is_empty()));
    let text =
        "id,cc,activity,year,alloc,ver,surr,cumver,cumsurr,code\nX-1,X,1,2020,1,2,3,4,minus,A\n";
    let m = mirror::read("x", "x.csv", text);
    assert_eq!(
        (m.units.len(), m.problems[0].field.as_str()),
        (0, "cumsurr")
    );
}
