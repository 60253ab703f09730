//! Serves the simulated city from a folder, for the browser tests and for work on the pages:
//! `cargo run -p miyun-web --example linxi -- FOLDER ADDRESS`. The folder is filled on the first
//! run: three years of hours, then a correction of some of them that was recorded later.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use miyun_core::Date;
use miyun_import::{Declared, Layout};
use miyun_lake::{ImportFile, Lake};
use miyun_rulebook::Rulebook;
use miyun_store::Store;
use miyun_web::app::{Platform, Settings, app};
use miyun_web::server::Site;

/// The day that the pages speak of.
const TODAY: Date = Date::constant(2026, 11, 24);
/// First day of the data.
const FIRST: Date = Date::constant(2024, 1, 1);

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().context("the first argument is a folder")?);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let lake = filled(&folder.join("lake"))?;
    let book = Rulebook::embedded();
    let plans = miyun_plan::embedded(book.vocabulary())
        .into_iter()
        .filter(|p| p.simulated)
        .collect();
    let records = folder.join("records.db");
    let store = Store::open(&format!("sqlite:{}", records.display())).await?;
    miyun_web::articles::demo::fill(&store, "2026-11-22T09:00:00Z".parse()?).await?;
    let site = Arc::new(Site::new(lake, book, plans, TODAY).with_store(store.clone()));
    let early = Arc::clone(&site);
    tokio::task::spawn_blocking(move || early.warm()).await?;
    let platform = Platform::new(site, store, Settings::default(), folder.join("spool"))?;
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .with_context(|| address.clone())?;
    println!("http://{}/", listener.local_addr()?);
    let door = app(platform, miyun_web::app::Doors::default())
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, door).await?;
    Ok(())
}

/// The lake with the city and its correction.
fn filled(folder: &std::path::Path) -> Result<Lake> {
    let mut lake = Lake::open(folder)?;
    if !lake.commits().is_empty() {
        return Ok(lake);
    }
    let days = usize::try_from((TODAY - FIRST).get_days())?;
    let city = miyun_sim::city(1, FIRST, days);
    put(
        &mut lake,
        &city,
        "linxi.csv",
        city.csv(),
        "2026-11-20T02:00:00Z",
    )?;
    let mut text = String::from("station,indicator,time,value,unit,flag\n");
    // Carbon monoxide that was written in micrograms, and fine particles after a recalibration.
    for flaw in city.flaws.iter().filter(|f| f.kind == "unit") {
        rows(&city, &flaw.subject, "CO", flaw.hours, 0.001, &mut text)?;
    }
    let hours = ((days - 90) * 24, (days - 30) * 24 - 1);
    rows(&city, "linxi/gangtie", "PM2.5", hours, 0.7, &mut text)?;
    put(
        &mut lake,
        &city,
        "linxi-correction.csv",
        text,
        "2026-11-22T08:30:00Z",
    )?;
    Ok(lake)
}

/// Rows of a series with its values times `factor`.
fn rows(
    city: &miyun_sim::City,
    subject: &str,
    indicator: &str,
    (from, to): (usize, usize),
    factor: f64,
    out: &mut String,
) -> Result<()> {
    let station = city
        .subjects
        .iter()
        .skip(1)
        .position(|s| s.id.as_str() == subject)
        .context("no such station")?;
    let k = miyun_sim::INDICATORS
        .iter()
        .position(|i| i.0 == indicator)
        .context("no such indicator")?;
    let (_, unit, scale) = miyun_sim::INDICATORS[k];
    let name = subject.rsplit('/').next().unwrap_or(subject);
    for h in from..=to {
        if let Some(v) = city.values[station][k][h] {
            let date = miyun_air::annual::date_of(city.first_day, h / 24);
            let value = f64::from(v) / f64::from(scale) * factor;
            out.push_str(&format!(
                "{name},{indicator},{date}T{:02}:00+08:00,{value:.2},{unit},\n",
                h % 24
            ));
        }
    }
    Ok(())
}

fn put(lake: &mut Lake, city: &miyun_sim::City, name: &str, text: String, at: &str) -> Result<()> {
    let book = Rulebook::embedded();
    let declared = Declared {
        interval: Some(miyun_core::IntervalLabel::HourBegin),
        subject_prefix: "linxi/".into(),
        ..Declared::default()
    };
    let parsed = miyun_import::read_csv(
        name,
        text.as_bytes(),
        Layout::Long,
        &declared,
        &miyun_assess::words(book),
    )?;
    let file = ImportFile {
        name: name.into(),
        digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        declared: "hour-begin, UTC+8".into(),
        reviewed: false,
        parsed,
    };
    let report = lake.import(
        vec![file],
        city.subjects.clone(),
        &|i| miyun_assess::medium(book, i),
        at,
    )?;
    println!(
        "{name}: {} values new, {} revised",
        report.values_new, report.values_revised
    );
    Ok(())
}
