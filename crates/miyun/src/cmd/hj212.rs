//! HJ 212 for vendors and testers: decode what was captured, play a device or a fleet, play a host.

mod codes;
mod decode;
mod fleet;
mod listen;
mod members;
pub mod send;
mod show;

pub use fleet::{FLEET_KEY, spoken};

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use miyun_core::text::Lang;
use miyun_hj212::sm4::{Key, Keys};
use miyun_hj212::{CipherForm, CrcDialect, CrcSet, DeviceProfile, Edition};

#[derive(Subcommand)]
pub enum Hj212 {
    /// Decode frames from files or standard input, with every finding in plain words.
    ///
    /// Frames are found by their length; what lies between them is reported as noise. Exit code 1
    /// if something looked like a frame and is none (--strict: or breaks a rule).
    ///
    /// Example: miyun hj212 decode capture.txt --lang zh
    Decode(decode::Decode),
    /// Send as a simulated device, or as a fleet of mixed editions, dialects and faults.
    ///
    /// Example: miyun hj212 send 127.0.0.1:9212 --devices 100 --minutes 10 --rate 500
    Send(send::Send),
    /// Listen as a test host: print each frame with its findings, and answer.
    ///
    /// Data are printed, not stored: the promise of a 9014 is `miyun gateway`'s.
    ///
    /// Example: miyun hj212 listen --bind 127.0.0.1:9212 --lang zh
    Listen(listen::Listen),
    /// Who the devices of a simulated fleet are, and what is wrong with them on purpose.
    ///
    /// Example: miyun hj212 fleet --devices 100 --seed 7 --format csv
    Fleet(members::Members),
    /// Look up systems, commands, factors, flags and return codes, with their defects.
    ///
    /// Example: miyun hj212 codes a21026
    Codes(codes::Codes),
}

impl Hj212 {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Decode(c) => c.run(),
            Self::Send(c) => c.run(),
            Self::Listen(c) => c.run(),
            Self::Fleet(c) => c.run(),
            Self::Codes(c) => c.run(),
        }
    }
}

/// What is known of the devices.
#[derive(Args, Clone)]
pub struct Profile {
    /// Edition to hold frames against: 2005, 2017 or 2025. Without it the edition is not judged.
    #[arg(long)]
    edition: Option<Edition>,
    /// Check to take besides the standard's: modbus-low-first, modbus-high-first, hj212-swapped;
    /// `any` for all.
    #[arg(long = "crc", value_name = "DIALECT")]
    crc: Vec<String>,
    /// SM4 key: 32 hexadecimal digits or 16 characters.
    #[arg(long, env = "MIYUN_HJ212_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Write ciphertext as {0x..} text instead of raw bytes.
    #[arg(long)]
    cipher_as_text: bool,
}

impl Profile {
    fn read(&self) -> Result<DeviceProfile> {
        let mut crc = CrcSet::STANDARD;
        for word in &self.crc {
            if word == "any" {
                crc = CrcSet::ANY;
            } else {
                crc = crc.with(word.parse::<CrcDialect>().map_err(anyhow::Error::msg)?);
            }
        }
        let keys = match &self.key {
            Some(text) => Keys::one(
                Key::parse(text)
                    .map_err(anyhow::Error::msg)
                    .context("--key")?,
            ),
            None => Keys::default(),
        };
        Ok(DeviceProfile {
            edition: self.edition,
            crc,
            keys,
            cipher_form: if self.cipher_as_text {
                CipherForm::Text
            } else {
                CipherForm::Raw
            },
        })
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How people read it.
#[derive(Args, Clone, Copy)]
pub struct Reading {
    /// Language: en or zh.
    #[arg(long, default_value = "en", value_parser = lang)]
    lang: Lang,
    /// Colours.
    #[arg(long, value_enum, default_value = "auto")]
    color: Color,
}

fn lang(text: &str) -> Result<Lang, String> {
    match text {
        "en" => Ok(Lang::En),
        "zh" => Ok(Lang::Zh),
        other => Err(format!("unknown language {other:?}: use en or zh")),
    }
}
