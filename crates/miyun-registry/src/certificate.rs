//! The certificate of a retirement: one page, Chinese and English, with a QR code that leads to
//! the check, and the whole inclusion proof attached for a check without any server.
//!
//! The font is a subset of Noto Sans SC (SIL Open Font License 1.1) with the characters of
//! GB 2312; a beneficiary written in others shows a box on paper, and its full name in the proof.

use krilla::Document;
use krilla::color::rgb;
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use miyun_journal::proof::Proof;

use crate::Error;
use crate::model::{Model, Retired};
use crate::time;

const FONT: &[u8] = include_bytes!("../fonts/NotoSansSC-subset.otf");
/// A4 in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 56.0;

/// Where the QR code leads: the check page with the record and the root that was signed.
#[must_use]
pub fn address(base: &str, r: &Retired, proof: &Proof) -> String {
    format!(
        "{base}/en/registry/check?retirement={}&record={}&batches={}&root={}",
        r.id,
        r.record,
        proof.head.batches,
        hex::encode(proof.head.root)
    )
}

fn failed(reason: impl std::fmt::Debug) -> Error {
    Error::Storage {
        what: "certificate".into(),
        reason: format!("{reason:?}"),
    }
}

struct Sheet<'s, 'd> {
    surface: &'s mut Surface<'d>,
    font: Font,
    y: f32,
}

impl Sheet<'_, '_> {
    fn ink(&mut self, shade: u8) {
        self.surface.set_fill(Some(Fill {
            paint: rgb::Color::new(shade, shade, shade).into(),
            ..Fill::default()
        }));
    }

    fn put(&mut self, x: f32, size: f32, text: &str) {
        self.surface.draw_text(
            Point::from_xy(x, self.y),
            self.font.clone(),
            size,
            text,
            false,
            TextDirection::LeftToRight,
        );
    }

    /// A line that goes on below where it is full; wide characters count double.
    fn wrapped(&mut self, x: f32, size: f32, text: &str) {
        let room = ((PAGE.0 - LEFT - x) / (size * 0.52)) as usize;
        let mut line = String::new();
        let mut width = 0;
        for c in text.chars() {
            let w = if c.is_ascii() { 1 } else { 2 };
            if width + w > room {
                // At the last space, if the line has one; what follows begins the next.
                let cut = line.rfind(' ').map_or(line.len(), |at| at + 1);
                let rest = line.split_off(cut);
                self.put(x, size, &line);
                self.y += size * 1.4;
                width = rest.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
                line = rest;
            }
            line.push(c);
            width += w;
        }
        self.put(x, size, &line);
    }

    fn row(&mut self, zh: &str, en: &str, value: &str) {
        self.ink(110);
        self.put(LEFT, 9.0, zh);
        self.put(LEFT + 62.0, 9.0, en);
        self.ink(0);
        self.wrapped(LEFT + 176.0, 10.5, value);
        self.y += 20.0;
    }

    fn code(&mut self, text: &str, side: f32, x: f32, y: f32) -> Result<(), Error> {
        let code = qrcode::QrCode::new(text.as_bytes()).map_err(failed)?;
        let n = code.width();
        // Four modules of quiet zone.
        let module = side / (n as f32 + 8.0);
        let mut path = PathBuilder::new();
        for (k, colour) in code.to_colors().into_iter().enumerate() {
            if colour == qrcode::Color::Dark {
                let (cx, cy) = ((k % n) as f32 + 4.0, (k / n) as f32 + 4.0);
                if let Some(r) = Rect::from_xywh(x + cx * module, y + cy * module, module, module) {
                    path.push_rect(r);
                }
            }
        }
        self.ink(0);
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
        Ok(())
    }
}

/// The certificate as PDF bytes. The same retirement, proof and base give the same bytes.
///
/// # Errors
/// [`Error::Storage`] if the PDF cannot be made.
pub fn pdf(model: &Model, r: &Retired, proof: &Proof, base: &str) -> Result<Vec<u8>, Error> {
    let font =
        Font::new(FONT.to_vec().into(), 0).ok_or_else(|| failed("the font cannot be read"))?;
    let mut document = Document::new();
    document.set_metadata(
        Metadata::new()
            .title(format!("注销证书 Retirement certificate {}", r.id))
            .creator("Miyun".into())
            .language("zh-Hans".into())
            .document_id(r.id.clone()),
    );
    document.embed_file(EmbeddedFile {
        path: "proof.json".into(),
        mime_type: MimeType::new("application/json"),
        description: Some("inclusion proof of the retirement".into()),
        association_kind: AssociationKind::Supplement,
        data: proof.to_json().to_string().into_bytes().into(),
        modification_date: None,
        compress: Some(true),
        location: None,
    });
    let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| failed("page size"))?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    let mut s = Sheet {
        surface: &mut surface,
        font,
        y: 84.0,
    };
    if model.simulated() {
        s.ink(120);
        s.y = 48.0;
        s.put(
            LEFT,
            11.0,
            "模拟数据：不是任何真实的减排量　SIMULATED: no real unit was retired",
        );
        s.y = 84.0;
    }
    s.ink(0);
    s.put(LEFT, 24.0, "碳单位注销证书");
    s.y += 26.0;
    s.put(LEFT, 15.0, "Certificate of retirement");
    s.y += 44.0;
    let holder = model.party(&r.party).map_or_else(
        |_| r.party.clone(),
        |p| format!("{} {} ({})", p.name.zh, p.name.en, p.id),
    );
    let reason = r.retirement.reason.text();
    let prefix = model
        .asset(&r.asset)
        .ok()
        .and_then(|a| a.project.as_ref().map(|(p, _)| (p.clone(), a.vintage)));
    let serials: Vec<String> = r
        .serials
        .iter()
        .map(|[a, b]| match &prefix {
            Some((p, v)) => format!("{p}-{a}-{b}-{v}"),
            None => format!("{a}-{b}"),
        })
        .collect();
    s.row("受益人", "Beneficiary", &r.retirement.beneficiary);
    s.row("数量", "Quantity", &format!("{} t CO2e", r.amount));
    s.row("单位", "Units", &r.asset);
    if !serials.is_empty() {
        s.row("序列号", "Serial numbers", &serials.join("; "));
    }
    s.row("用途", "Reason", &format!("{}　{}", reason.zh, reason.en));
    if !r.retirement.note.is_empty() {
        s.row("说明", "Note", &r.retirement.note);
    }
    s.row("受益人所在地", "Jurisdiction", &r.retirement.jurisdiction);
    s.row("注销人", "Retired by", &holder);
    s.row("时间", "Time", &time::text(r.at));
    s.row("依据", "Rule", &r.rule);
    s.row("证书编号", "Certificate", &r.id);
    s.row("记录", "Record", &r.record.to_string());
    s.row("账本", "Ledger", &hex::encode(proof.head.ledger));
    s.row("树根", "Root", &hex::encode(proof.head.root));
    s.row("批次", "Batches", &proof.head.batches.to_string());
    s.row("签名", "Signature", &hex::encode(proof.head.signature));
    let link = address(base, r, proof);
    s.y += 8.0;
    let top = s.y;
    s.code(&link, 150.0, LEFT - 12.0, top)?;
    s.y = top + 30.0;
    s.ink(0);
    s.wrapped(
        LEFT + 160.0,
        9.5,
        "扫码核对：页面重新计算从本记录到已签名树根的路径。",
    );
    s.y += 18.0;
    s.wrapped(
        LEFT + 160.0,
        9.5,
        "Scan to check: the page recomputes the path from this record to the signed root.",
    );
    s.y += 18.0;
    s.wrapped(
        LEFT + 160.0,
        9.5,
        "附件 proof.json 可离线验证：miyun ledger proof --check proof.json --key 登记机构公钥",
    );
    s.y += 18.0;
    s.wrapped(
        LEFT + 160.0,
        9.5,
        "The attached proof.json is checked offline by that command with the operator's public key.",
    );
    surface.finish();
    page.finish();
    document.finish().map_err(failed)
}
