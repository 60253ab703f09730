//! The shared vectors (`../shared/data/sensing/hj212/visible`): frames and streams made by another
//! program, expected values included. A clone without them skips, and says so.

use std::path::{Path, PathBuf};

use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{
    CipherForm, CrcDialect, CrcSet, DeviceProfile, Event, Field, FindingCode, Frame, Framer,
    Reason, Tail, decode,
};
use serde_json::{Map, Value, json};

fn lines(name: &str) -> Option<Vec<Value>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/sensing/hj212/visible")
        .join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    Some(
        text.lines()
            .map(|l| serde_json::from_str(l).expect("a line of JSON"))
            .collect(),
    )
}

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().expect("hex text")).expect("hex")
}

/// The vectors' names of the dialects and reasons.
fn snake(text: &str) -> String {
    text.replace('-', "_")
}

/// The vectors' name of a violation, `None` for findings that the vectors do not know.
fn violation(code: FindingCode) -> Option<String> {
    use FindingCode as C;
    Some(match code {
        C::MissingQn | C::MissingSt | C::MissingCn | C::MissingPw | C::MissingMn => {
            format!("missing_{}", code.as_str()[8..].to_uppercase())
        }
        C::MissingFlag => "missing_Flag".into(),
        C::MissingPnum => "missing_PNUM".into(),
        C::MissingPno => "missing_PNO".into(),
        C::BadQn
        | C::BadSt
        | C::BadCn
        | C::BadPw
        | C::BadMn
        | C::BadRf
        | C::BadPnum
        | C::BadPno => format!("bad_{}", code.as_str()[4..].to_uppercase()),
        C::BadFlag => "bad_Flag".into(),
        C::BadDataTime => "bad_DataTime".into(),
        C::CpTooLong
        | C::SegmentTooLong
        | C::TailNotCrLf
        | C::CrcModbusLowFirst
        | C::CrcModbusHighFirst
        | C::CrcSwapped => snake(code.as_str()),
        _ => return None,
    })
}

fn tail(t: Tail) -> &'static str {
    match t {
        Tail::CrLf => "crlf",
        Tail::Lf => "lf",
        Tail::Cr => "cr",
        Tail::None | Tail::Open => "none",
        Tail::Other => "other",
    }
}

/// The frame in the form of the vectors' `expected`.
fn described(f: &Frame<'_>) -> Value {
    let mut fields = Map::new();
    for (name, field) in [
        ("QN", Field::Qn),
        ("ST", Field::St),
        ("CN", Field::Cn),
        ("PW", Field::Pw),
        ("MN", Field::Mn),
        ("Flag", Field::Flag),
        ("PNUM", Field::Pnum),
        ("PNO", Field::Pno),
        ("RF", Field::Rf),
    ] {
        if let Some(v) = f.field(field) {
            fields.insert(name.into(), v.into());
        }
    }
    let mut groups: Vec<Vec<Value>> = Vec::new();
    let mut globals = Map::new();
    let mut factors: Map<String, Value> = Map::new();
    let mut warnings: Vec<String> = Vec::new();
    for item in f.items() {
        groups.resize(usize::from(item.group) + 1, Vec::new());
        groups[usize::from(item.group)].push(json!([item.key, item.value]));
        let Some(value) = item.value else {
            warnings.push(format!("cp_bare_token:{}", item.key));
            continue;
        };
        match item.split() {
            Some((code, attribute)) => {
                factors
                    .entry(code)
                    .or_insert_with(|| json!({}))
                    .as_object_mut()
                    .unwrap()
                    .insert(attribute.into(), value.into());
            }
            None => {
                globals.insert(item.key.into(), value.into());
            }
        }
    }
    let findings = f.check();
    if findings.has(FindingCode::CpDuplicateKey) {
        warnings.push("cp_duplicate_key".into());
    }
    if findings.has(FindingCode::CrcLowerCase) {
        warnings.push("crc_lower_case".into());
    }
    if findings.has(FindingCode::HeadDuplicate) {
        warnings.push("head_duplicate:QN".into());
    }
    warnings.sort();
    let mut violations: Vec<String> = findings.iter().filter_map(violation).collect();
    violations.sort();
    json!({
        "ok": true,
        "reason": null,
        "crc_wire": std::str::from_utf8(&f.raw()[f.raw().len() - 4..]).unwrap(),
        "crc_dialect": snake(f.dialect.as_str()),
        "cp_raw": f.region(),
        "cp": { "factors": factors, "globals": globals, "groups": groups },
        "declared_len": f.declared_len(),
        "encrypted": match f.cipher {
            None => json!(false),
            Some(CipherForm::Raw) => json!("raw_bytes"),
            Some(CipherForm::Text) => json!("text"),
        },
        "fields": fields,
        "flag": f.flag().map(|b| json!({
            "ack": b.ack(), "raw": b.0, "split": b.split(), "version": b.version(),
        })),
        "strict_ok": violations.is_empty(),
        "strict_violations": violations,
        "tail": tail(f.tail),
        "warnings": warnings,
    })
}

#[test]
fn every_frame_is_as_expected() {
    let Some(frames) = lines("frames.jsonl") else {
        return;
    };
    let mut wrong = Vec::new();
    for v in &frames {
        let raw = bytes(&v["raw_hex"]);
        let keys = match v["sm4_key_hex"].as_str() {
            Some(k) => Keys::one(Key::parse(k).unwrap()),
            None => Keys::default(),
        };
        let lenient = DeviceProfile {
            crc: CrcSet::ANY,
            keys: keys.clone(),
            ..Default::default()
        };
        let standard = DeviceProfile {
            keys,
            ..Default::default()
        };
        let (mut p1, mut p2) = (Vec::new(), Vec::new());
        let accepted = decode(&raw, &standard, &mut p1).is_ok();
        let got = match decode(&raw, &lenient, &mut p2) {
            Ok(f) => described(&f),
            Err(r) => {
                let mut m = json!({ "ok": false, "reason": snake(r.reason.as_str()) });
                if let Some(d) = r.dialect {
                    m["crc_dialect"] = snake(d.as_str()).into();
                } else if r.reason == Reason::BadCrc {
                    m["crc_dialect"] = Value::Null;
                }
                m
            }
        };
        let want = v["expected"].as_object().unwrap();
        let mut diff = Vec::new();
        for (k, w) in want {
            let mut g = match k.as_str() {
                "accept_default_listener" => json!(accepted),
                "crc_hj212" => continue, // below
                "declared_len" | "tail" | "crc_wire" if !want["ok"].as_bool().unwrap() => continue,
                _ => got[k].clone(),
            };
            let mut w = w.clone();
            if k == "warnings" {
                // The vectors name a duplicate once.
                for x in [&mut g, &mut w] {
                    let mut list: Vec<String> = serde_json::from_value(x.clone()).unwrap();
                    list.sort();
                    *x = json!(list);
                }
            }
            if g != w {
                diff.push(format!("{k}: want {w}, got {g}"));
            }
        }
        // The computed check, over the plain segment.
        if let (Some(w), Ok(f)) = (
            want.get("crc_hj212"),
            decode(&raw, &lenient, &mut Vec::new()),
        ) {
            let plain = format!("{}CP=&&{}&&", f.head(), f.region());
            let got = format!("{:04X}", CrcDialect::Hj212.of(plain.as_bytes()));
            if f.findings.has(FindingCode::EncodingGb18030) || got == w.as_str().unwrap() {
            } else {
                diff.push(format!("crc_hj212: want {w}, got {got}"));
            }
        }
        if !diff.is_empty() {
            wrong.push(format!("{}: {}", v["id"], diff.join("; ")));
        }
    }
    println!(
        "{} of {} frames as expected",
        frames.len() - wrong.len(),
        frames.len()
    );
    assert!(frames.len() > 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run(raw: &[u8], cuts: &[usize], profile: &DeviceProfile) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    let mut given = Vec::new();
    let mut at = 0;
    let mut take = |framer: &mut Framer| {
        while let Some(e) = framer.next(profile) {
            match e {
                Event::Frame(f) => {
                    given.extend_from_slice(f.raw());
                    frames.push(f.raw().to_vec());
                }
                Event::Rejected(r) => given.extend_from_slice(r.bytes),
                Event::Noise(n) => given.extend_from_slice(n),
            }
        }
    };
    for cut in cuts {
        framer.push(&raw[at..at + cut]);
        at += cut;
        take(&mut framer);
    }
    assert_eq!(at, raw.len());
    framer.finish();
    take(&mut framer);
    (frames, given)
}

#[test]
fn every_stream_is_as_expected() {
    let Some(streams) = lines("streams.jsonl") else {
        return;
    };
    for v in &streams {
        let raw = bytes(&v["raw_hex"]);
        let profile = DeviceProfile {
            crc: v["accept_dialects"]
                .as_array()
                .unwrap()
                .iter()
                .skip(1)
                .fold(CrcSet::STANDARD, |s, d| {
                    s.with(d.as_str().unwrap().parse().unwrap())
                }),
            ..Default::default()
        };
        let cuts: Vec<usize> = serde_json::from_value(v["chunk_sizes"].clone()).unwrap();
        let want: Vec<Vec<u8>> = v["expected_frames"]
            .as_array()
            .unwrap()
            .iter()
            .map(bytes)
            .collect();
        for cuts in [cuts, vec![raw.len()], vec![1; raw.len()]] {
            let (frames, given) = run(&raw, &cuts, &profile);
            assert_eq!(frames, want, "{}", v["id"]);
            assert_eq!(
                given.iter().filter(|b| !b"\r\n".contains(b)).count(),
                raw.iter().filter(|b| !b"\r\n".contains(b)).count(),
                "{}: bytes went missing",
                v["id"]
            );
        }
    }
    println!("{} streams as expected", streams.len());
}
