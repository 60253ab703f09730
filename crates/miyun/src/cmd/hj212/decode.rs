use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use miyun_hj212::{DeviceProfile, Event, Framer};
use serde::Serialize;

use super::show::{self, Book, NoFrame, Pen, Seen};
use super::{Profile, Reading};
use crate::out::{Format, Rows, line, opt};

#[derive(Args)]
pub struct Decode {
    /// Files with frames, as captured; `-` or none for standard input.
    files: Vec<PathBuf>,
    /// The input is hexadecimal text; blanks and line ends between digits are left out.
    #[arg(long)]
    hex: bool,
    /// Exit code 1 also if a frame breaks a rule of the standard.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    reading: Reading,
    /// How to print: table is text for people, csv has one line per value.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What a file holds.
#[derive(Debug, Default, Serialize)]
struct Report {
    file: String,
    frames: Vec<Seen>,
    no_frames: Vec<NoFrame>,
    noise_bytes: usize,
}

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

impl Decode {
    pub fn run(self) -> Result<()> {
        let profile = self.profile.read()?;
        let pen = Pen::new(self.reading);
        let book = Book::embedded();
        let mut reports = Vec::new();
        let files = if self.files.is_empty() {
            vec![PathBuf::from("-")]
        } else {
            self.files.clone()
        };
        for file in &files {
            let name = file.display().to_string();
            let input: Box<dyn Read> = if name == "-" {
                Box::new(io::stdin().lock())
            } else {
                Box::new(File::open(file).with_context(|| format!("cannot read {name}"))?)
            };
            let report = self
                .read(&name, input, &profile, &book, pen)
                .with_context(|| format!("cannot read {name}"))?;
            reports.push(report);
        }
        let frames: usize = reports.iter().map(|r| r.frames.len()).sum();
        let broken: usize = reports.iter().map(|r| r.no_frames.len()).sum();
        let odd = reports
            .iter()
            .flat_map(|r| &r.frames)
            .filter(|f| !f.conforms)
            .count();
        let noise: usize = reports.iter().map(|r| r.noise_bytes).sum();
        match self.format {
            Format::Table => line(&format!(
                "{frames} {}, {odd} {}, {broken} {}, {noise} {}\n",
                pen.say("frames", "帧"),
                pen.say("of them break a rule", "帧违反标准"),
                pen.say("no frames", "处不是有效帧"),
                pen.say("bytes of noise", "字节噪声"),
            ))?,
            Format::Json => line(&(serde_json::to_string_pretty(&reports)? + "\n"))?,
            Format::Csv => line(&table(&reports).csv()?)?,
        }
        if frames == 0 && broken == 0 {
            bail!("no frame in the input: a frame begins with ## and four digits");
        }
        if broken > 0 || self.strict && odd > 0 {
            std::process::exit(1);
        }
        Ok(())
    }

    fn read(
        &self,
        name: &str,
        mut input: Box<dyn Read>,
        profile: &DeviceProfile,
        book: &Book,
        pen: Pen,
    ) -> Result<Report> {
        let mut report = Report {
            file: name.to_owned(),
            ..Report::default()
        };
        let mut framer = Framer::new().patient();
        let mut piece = vec![0; PIECE];
        let mut half = None;
        loop {
            let n = input.read(&mut piece)?;
            if n == 0 {
                framer.finish();
            } else if self.hex {
                let bytes = unhex(&piece[..n], &mut half)?;
                framer.push(&bytes);
            } else {
                framer.push(&piece[..n]);
            }
            self.take(&mut framer, profile, book, pen, &mut report)?;
            if n == 0 {
                return Ok(report);
            }
        }
    }

    fn take(
        &self,
        framer: &mut Framer,
        profile: &DeviceProfile,
        book: &Book,
        pen: Pen,
        report: &mut Report,
    ) -> Result<()> {
        let people = self.format == Format::Table;
        loop {
            let Some(event) = framer.next(profile) else {
                return Ok(());
            };
            match event {
                Event::Frame(f) => {
                    let seen = Seen::new(report.frames.len() + 1, &f, book);
                    if people {
                        line(&show::frame(&seen, book, pen))?;
                    }
                    report.frames.push(seen);
                }
                Event::Rejected(r) => {
                    if people {
                        line(&show::rejected(&r, pen))?;
                    }
                    report.no_frames.push(NoFrame::new(&r));
                }
                Event::Noise(n) => {
                    // Line ends between frames are how captures look.
                    report.noise_bytes += n.iter().filter(|b| !b.is_ascii_whitespace()).count();
                }
            }
        }
    }
}

/// Bytes of hexadecimal text; `half` keeps a digit that waits for its partner.
fn unhex(text: &[u8], half: &mut Option<u8>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    for b in text.iter().filter(|b| !b.is_ascii_whitespace()) {
        let Some(d) = char::from(*b).to_digit(16) else {
            bail!("{:?} is no hexadecimal digit", char::from(*b));
        };
        match half.take() {
            Some(high) => out.push(high << 4 | d as u8),
            None => *half = Some(d as u8),
        }
    }
    Ok(out)
}

fn table(reports: &[Report]) -> Rows {
    let mut rows = Rows::new(&[
        "file",
        "frame#",
        "offset#",
        "mn",
        "st",
        "cn",
        "qn",
        "data_time",
        "code",
        "name",
        "attribute",
        "value",
        "findings",
    ]);
    for r in reports {
        for f in &r.frames {
            let findings: Vec<&str> = f.findings.iter().map(|x| x.code.as_str()).collect();
            for v in &f.values {
                rows.push(vec![
                    r.file.clone(),
                    f.number.to_string(),
                    f.offset.to_string(),
                    opt(f.mn.as_ref()),
                    opt(f.st.as_ref()),
                    opt(f.cn.as_ref()),
                    opt(f.qn.as_ref()),
                    opt(f.data_time.as_ref()),
                    v.code.clone(),
                    v.name.clone(),
                    v.attribute.clone(),
                    opt(v.value.as_ref()),
                    findings.join(" "),
                ]);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_may_be_cut_anywhere() {
        let mut half = None;
        let mut out = unhex(b"23 2", &mut half).unwrap();
        out.extend(unhex(b"3\n41", &mut half).unwrap());
        assert_eq!(out, b"##A");
        assert!(unhex(b"xy", &mut half).is_err());
    }
}
